"""Fits by passes: how many, how long, what comes back, how far from those in memory.

A case is a fit of rows of a size, by each engine in turn; what an engine's passes cost;
threads beside the plain fit; or a fit within a limit of memory. Seconds are the
processor's, of this process and of all workers, with one thread of BLAS: on an idle
machine two workers take about half of them.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import elsewhere
import harness
import limits
import numpy as np
from elsewhere import BY_PASSES, IN_TURN, MEMORY, THREADS, WORKERS, timed
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, clone
from threadpoolctl import threadpool_limits

from robustreg import MMRegressor, RobustRegressor
from robustreg.estimators.arrays import fits_by_passes
from robustreg.losses import make_loss
from robustreg.partitions import Drawing, Drawn, Engine, InTurn
from robustreg.partitions import draw as sampled
from robustreg.partitions.sums import Asked, gradient
from robustreg.rows import Standard

Row = dict[str, Any]

COLUMNS = 20
# Rows, and how many times each engine is run, in turn: a single run of a second or two
# has been off by half.
SIZES = {10**6: 3, 10**7: 1}
FITS: dict[str, BaseEstimator] = {
    "smooth_l1": RobustRegressor(scale=1.0),
    "smooth_l1, MAD": RobustRegressor(),
    "l1": RobustRegressor("l1", scale=1.0),
    "quantile 0.9": RobustRegressor("l1", quantile=0.9, scale=1.0),
    "l2": RobustRegressor("l2", scale=1.0),
    "tukey, MAD": RobustRegressor("tukey"),
    "MM": MMRegressor(random_state=0),
}
# Evaluations of a method that may need very many.
MOST_EVALUATIONS = 1000
TOLS = (1e-8, 1e-10)
# Rows of folders, the larger one of 4 GB, and the fits of them.
PARQUET = {2 * 10**6: limits.FITS, 13 * 10**6: limits.FITS[1:2]}
# Rows and columns of the fits in threads.
SHAPES = ((10**6, 50), (10**7, 20))
THREAD_FITS = ("smooth_l1, MAD", "l1")
# For what a pass costs without work: parts, and rows of each; and with it.
EMPTY_PARTS, TINY, FULL_ROWS, TIMES = (4, 64), 2_500, 4 * 10**6, 5
# Of these rows so many come back, for the bandwidth.
SHARE_BACK = 0.2


def assemble(head: str, records: list[harness.Record]) -> None:
    """Write the tables and draw."""
    rows = harness.table_rows(records)
    text = [head]
    for kind in dict.fromkeys(row["kind"] for row in rows):
        own = [{k: v for k, v in r.items() if k != "kind"} for r in rows]
        own = [o for o, r in zip(own, rows, strict=True) if r["kind"] == kind]
        text.append(f"**{kind}**\n\n{harness.markdown(own)}")
    text += model_table(rows)
    harness.write("partitions.md", "\n".join(text))
    draw(rows)


def model_table(rows: list[Row]) -> list[str]:
    """Return what the model of costs says of the runs."""
    import pass_costs

    table = pass_costs.compared(rows)
    title = "**Model of costs beside the runs**"
    return [f"{title}\n\n{harness.markdown(table)}"] if table else []


def draw(rows: list[Row]) -> None:
    """Draw what fits of more rows would take."""
    import pass_costs

    pass_costs.draw(rows)


def fits(rows: int, name: str) -> list[Row]:
    """Return a fit by each engine."""
    data = elsewhere.files(rows, COLUMNS)
    engines = (MEMORY, *BY_PASSES)
    runs: dict[str, list[Row]] = {engine: [] for engine in engines}
    for _ in range(SIZES[rows]):
        for engine in engines:
            runs[engine].append(fit_once(FITS[name], engine, data))
    reference = runs[MEMORY][0]
    return [
        {"kind": "Fits", "rows": rows, "fit": name, "engine": engine}
        | summary(runs[engine], runs[MEMORY], reference["model"])
        for engine in engines
    ]


def fit_once(model: BaseEstimator, engine: str, data: elsewhere.Files) -> Row:
    """Return the time of a fit, its passes and the fit."""
    gc.collect()
    model = clone(model)
    with elsewhere.any_size(), elsewhere.scheduler(engine), elsewhere.watched() as seen:
        given = elsewhere.data_for(engine, data)
        seconds, _ = timed(partial(model.fit, *given))
    return {"model": model, "seconds": seconds, "passes": seen}


def summary(runs: Sequence[Row], plain: Sequence[Row], reference: Any) -> Row:
    """Return what several runs of an engine have in common."""
    model, passes = runs[0]["model"], runs[0]["passes"]
    pairs = zip(runs, plain, strict=True)
    size = np.abs(reference.coef_).max()
    return {
        "passes": model.n_iter_ if passes else None,
        "seconds": median(run["seconds"] for run in runs),
        "times in memory": median(a["seconds"] / b["seconds"] for a, b in pairs),
        "seconds outside passes": median(
            run["seconds"] - sum(seen.seconds for seen in run["passes"]) for run in runs
        )
        if passes
        else None,
        "MB of the sample": passes[0].nbytes / 1e6 if passes else None,
        "MB of other passes": sum(p.nbytes for p in passes[1:]) / 1e6
        if passes
        else None,
        "gap": float(getattr(model, "dual_gap_", np.nan)),
        "difference": float(np.abs(model.coef_ - reference.coef_).max() / size),
    }


def lbfgs(rows: int, standardised: bool) -> list[Row]:
    """Return the passes of L-BFGS to some gaps: an evaluation is a pass."""
    engine = elsewhere.engine_for(IN_TURN, elsewhere.files(rows, COLUMNS))
    model = RobustRegressor(scale=1.0, tol=1e-14)
    (fit,), _ = fits_by_passes(model, model._checked_loss(), engine)
    asked = start(draw_sample(engine))
    if not standardised:
        free = Standard(np.zeros(COLUMNS), np.ones(COLUMNS), 1.0)
        asked = replace(asked, standard=free)
    reached = descend(engine, asked, fit.objective)
    name = "standardised" if standardised else "as they come"
    row = {"kind": "L-BFGS, smooth_l1", "rows": rows, "columns": name}
    return [
        row | {"relative gap": tol, "passes": reached.get(tol, np.nan)} for tol in TOLS
    ]


def start(some: Drawn) -> Asked:
    """Return the question for smooth_l1 at 0, in standardised columns."""
    standard, total = some.moments.standard(True), some.moments.total
    loss, center = make_loss("smooth_l1", None, 0.5), float(np.median(some.part.y))
    return Asked(standard, loss, 0, center, 1.0, total, np.zeros(COLUMNS + 1))


def draw_sample(engine: Engine) -> Drawn:
    """Return the sample of an engine's rows."""
    return sampled(engine, True, Drawing())


class EnoughError(Exception):
    """The last tolerance is reached."""


def descend(engine: Engine, asked: Asked, least: float) -> dict[float, int]:
    """Return after how many evaluations L-BFGS reached each tolerance."""
    reached: dict[float, int] = {}
    count = 0

    def evaluate(params: Any) -> tuple[float, Any]:
        nonlocal count
        tally = engine.run(gradient, replace(asked, params=params))
        count += 1
        for tol in TOLS:
            if tally.sums[0] - least <= tol * least:
                reached.setdefault(tol, count)
        if len(reached) == len(TOLS) or count == MOST_EVALUATIONS:
            raise EnoughError
        return tally.sums[0], tally.sums[1]

    exact = {"ftol": 0.0, "gtol": 0.0, "maxiter": 10**6, "maxfun": 10**6}
    with suppress(EnoughError):
        minimize(evaluate, asked.params, jac=True, method="L-BFGS-B", options=exact)
    return reached


def costs(name: str) -> list[Row]:
    """Return the constants of the model of costs, of an engine."""
    data, workers = (
        elsewhere.files(FULL_ROWS, COLUMNS),
        1 if name == IN_TURN else WORKERS,
    )
    with elsewhere.scheduler(name):
        few, many = (without_work(name, parts) for parts in EMPTY_PARTS)
        task = max(many - few, 0.0) / (EMPTY_PARTS[1] - EMPTY_PARTS[0])
        engine = elsewhere.engine_for(name, data)
        first, some = timed(partial(draw_sample, engine))
        asked = start(some)
        plain = typical(partial(engine.run, gradient, asked))
        # The rows in a window come back, and nothing else is done.
        size = np.abs(some.part.y[:, 0] - asked.center)
        window = (0.0, float(np.quantile(size, SHARE_BACK)))
        wide = replace(asked, window=window)
        back, tally = timed(partial(engine.run, gradient, wide))
    parts = len(elsewhere.places(FULL_ROWS, COLUMNS))
    latency = max(few - EMPTY_PARTS[0] * task, 0.0)
    work = plain - latency - parts * task
    return [
        {
            "kind": "Constants",
            "engine": name,
            "workers": workers,
            "ms a pass": 1e3 * latency,
            "ms a part": 1e3 * task,
            "million entries a second of a worker": FULL_ROWS * COLUMNS / work / 1e6,
            "MB a second back": tally.nbytes / max(back - plain, 1e-3) / 1e6,
            "first pass, in others": first / plain,
        }
    ]


def without_work(name: str, parts: int) -> float:
    """Return the seconds of a pass over parts of a few rows."""
    data = elsewhere.files(parts * TINY, COLUMNS)
    if name == IN_TURN:
        X, y = data.mapped()
        readers = [
            partial(elsewhere.part_at, X, y, place)
            for place in elsewhere.places(*X.shape, TINY * COLUMNS)
        ]
        engine: Engine = InTurn(readers, *X.shape, 1)
    else:
        engine = elsewhere.holding(*data.collections(TINY * COLUMNS))
    asked = start(draw_sample(engine))
    return typical(partial(engine.run, gradient, asked))


def typical(call: Callable[[], Any]) -> float:
    """Return the median time of a few calls."""
    return median(timed(call)[0] for _ in range(TIMES))


def threads(rows: int, columns: int) -> list[Row]:
    """Return fits in threads beside the plain one, of the same arrays in memory."""
    X, y = elsewhere.files(rows, columns).loaded()
    X = X.astype(np.float64)
    return [threads_row(name, X, y) for name in THREAD_FITS]


def threads_row(name: str, X: Any, y: Any) -> Row:
    """Return the gain of threads for a fit.

    The wall clock's, which a busy machine spoils, and what two free cores would give:
    the work of passes is shared, and that of the client is not.
    """
    model, (rows, columns) = FITS[name], X.shape
    chunk = elsewhere.arrays.MOST_ENTRIES // columns
    lazy = elsewhere.in_chunks(X, y, chunk)
    ways = {
        "plain": lambda: clone(model).fit(X, y),
        "a pool": lambda: by_passes(clone(model), elsewhere.InThreads(X, y)),
        "dask": lambda: clone(model).fit(*lazy),
    }
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    with elsewhere.scheduler(THREADS):
        for _ in range(SIZES[10**6]):
            for way, call in ways.items():
                found[way].append(both_clocks(call))
    (wall, free), *others = (np.median(each, axis=0) for each in found.values())
    row = {"kind": "Threads, of arrays in memory", "rows": rows, "columns": columns}
    row |= {"fit": name, "seconds, plain": float(free)}
    for way, (seen, shared) in zip(list(ways)[1:], others, strict=True):
        row[f"gain in {way}, wall clock"] = float(wall / seen)
        row[f"gain in {way}, cores free"] = float(free / shared)
    return row


def both_clocks(call: Callable[[], Any]) -> tuple[float, float]:
    """Return the wall clock's seconds of a fit, and those with free cores."""
    gc.collect()
    begin = time.perf_counter()
    with elsewhere.watched() as passes:
        seconds, _ = timed(call)
    shared = sum(seen.seconds for seen in passes) * (1 - 1 / WORKERS)
    return time.perf_counter() - begin, seconds - shared


def by_passes(model: BaseEstimator, engine: Engine) -> None:
    """Fit a model by passes."""
    fits_by_passes(model, model._checked_loss(), engine)


CASES: dict[str, Callable[[], list[Row]]] = {
    **{f"costs: {name}": partial(costs, name) for name in BY_PASSES},
    **{
        f"{rows:,} rows: {name}": partial(fits, rows, name)
        for rows in SIZES
        for name in FITS
    },
    "L-BFGS: 1,000,000 rows, as they come": partial(lbfgs, 10**6, False),
    "L-BFGS: 1,000,000 rows, standardised": partial(lbfgs, 10**6, True),
    "L-BFGS: 10,000,000 rows, standardised": partial(lbfgs, 10**7, True),
    **{
        f"memory: {rows:,} rows of a mapped file": partial(limits.of_mapped, rows, 50)
        for rows in (2 * 10**6, 10**7)
    },
    **{
        f"memory: {rows:,} rows of Parquet": partial(limits.of_parquet, rows, 50, fits)
        for rows, fits in PARQUET.items()
    },
    **{f"threads: {n:,} x {p}": partial(threads, n, p) for n, p in SHAPES},
}


def measure(case: str) -> list[Row]:
    """Return what a case measures, with one thread of BLAS."""
    with threadpool_limits(1):
        return CASES[case]()


BENCHMARK = harness.Benchmark(
    __file__, list(CASES), measure, assemble, peers=["dask", "distributed", "pyarrow"]
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
