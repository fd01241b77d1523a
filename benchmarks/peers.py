"""Data set x problem x solver: the gap of the objective beside the time.

Every solver runs with a few tolerances, so that gap against time makes a line. A gap is
relative, from our certified optimum. A case is a problem on a data set, of all solvers.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

import harness
import numpy as np
import timing
from problems import Array, Problem, dense, few_coefficients, one_hot
from sklearn.datasets import load_diabetes
from solvers import SOLVERS

from robustreg import RobustRegressor

# Seconds for a solver at one tolerance, its repeated fits and a warm-up together.
LIMIT, REFERENCE_LIMIT = 30.0, 120.0
TOLERANCES = (1e-3, 1e-6, 1e-9)
REPEATS, BUDGET = 3, 1.0
# Smaller gaps are rounding errors; a logarithmic axis must end somewhere.
LEAST_GAP = 1e-16
DRAWN = "100,000 x 20"


@lru_cache(1)
def diabetes() -> tuple[Array, Array]:
    """Return real data, with columns of deviation 1 and a target of about that."""
    X, y = load_diabetes(return_X_y=True)
    return X / X.std(axis=0), (y - np.median(y)) / 50


DATA: dict[str, Callable[[], tuple[Any, Array]]] = {
    "diabetes, 442 x 10": diabetes,
    DRAWN: lambda: dense(100_000, 20),
    "500 x 2,000": lambda: few_coefficients(500, 2_000),
    "one-hot, 300,000 x 26,593": one_hot,
}
WIDE, SPARSE = list(DATA)[2:]
# Solvers for l2 penalties often have no intercept, so that there nobody has one.
PROBLEMS = {
    "median": Problem("l1", penalty=None),
    "absolute + l2": Problem("l1", alpha=1e-3, fit_intercept=False),
    "absolute + l1": Problem("l1", penalty="l1", alpha=0.05, fit_intercept=False),
    "Huber + l2": Problem(alpha=1e-3, fit_intercept=False),
    "Huber + l1": Problem(penalty="l1", alpha=0.05),
    "Huber, MAD": Problem(beta=1.345, penalty=None),
    "squares": Problem("l2", penalty=None),
    "squares + l2": Problem("l2", alpha=1e-3),
    "squares + l1": Problem("l2", penalty="l1", alpha=0.05),
}


def assemble(head: str, records: list[harness.Record]) -> None:
    """Write the table and draw."""
    rows = harness.table_rows(records)
    harness.write("peers.md", f"{head}\n{harness.markdown(table(rows))}")
    draw([row for row in rows if row["data"] == DRAWN])


def asked(data: str, problem: Problem) -> bool:
    """Return whether a problem is put on some data: wide data need a penalty."""
    if data == SPARSE:
        return problem.penalty == "l2"
    return data != WIDE or problem.penalty is not None


CASES = {
    f"{data}: {name}": (data, name)
    for data in DATA
    for name, problem in PROBLEMS.items()
    if asked(data, problem)
}


def measure_solvers(case: str) -> list[dict[str, Any]]:
    """Return a row for each solver of a problem on some data and each tolerance."""
    data, name = CASES[case]
    mad = name.endswith("MAD")
    with closing(timing.Limited(REFERENCE_LIMIT)) as reference:
        try:
            known = reference(find_optimum, data, name)
        except TimeoutError:
            known = math.nan, 1.0
    rows = []
    with closing(timing.Limited(LIMIT)) as run:
        for solver, entry in SOLVERS.items():
            suits = entry.suits(PROBLEMS[name], mad, data == SPARSE)
            if suits and harness.installed(entry.package):
                rows += measure_tolerances(run, data, name, solver, *known)
    return rows


def measure_tolerances(
    run: Any, data: str, name: str, solver: str, optimum: float, scale: float
) -> list[dict[str, Any]]:
    """Return a row for each tolerance of a solver, until one fails."""
    rows = []
    for tol in TOLERANCES if SOLVERS[solver].tolerant else TOLERANCES[-1:]:
        row = {"data": data, "problem": name, "solver": solver, "tol": tol}
        row |= {"seconds": math.nan, "gap": math.nan, "note": ""}
        # Data stay in the process, which is new after one that took too long.
        run.patiently(make_data, data)
        try:
            row |= run(measure, data, name, solver, tol, optimum, scale)
        except TimeoutError as error:
            row["note"] = str(error)
        rows.append(row)
        if row["note"]:
            break
    return rows


def make_data(data: str) -> None:
    """Make the data that the next measurement finds made."""
    DATA[data]()


def find_optimum(data: str, name: str) -> tuple[float, float]:
    """Return an objective's smallest value, by our certified fit, and the scale."""
    warnings.simplefilter("ignore")
    X, y = DATA[data]()
    problem = PROBLEMS[name]
    scale = "mad" if name.endswith("MAD") else 1.0
    model = RobustRegressor(**problem.params(), scale=scale, tol=1e-12).fit(X, y)
    value = problem.value(X, y, model.coef_, model.intercept_, model.scale_)
    return value, float(model.scale_)


def measure(
    data: str, name: str, solver: str, tol: float, optimum: float, scale: float
) -> dict[str, Any]:
    """Return a solver's time and its gap."""
    warnings.simplefilter("ignore")
    X, y = DATA[data]()
    problem, fit = PROBLEMS[name], SOLVERS[solver].run
    with suppress(Exception):
        fit(X[:300], y[:300], problem, tol)  # what only a first call does
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < BUDGET:
        try:
            passed, answer = timing.seconds(lambda: fit(X, y, problem, tol))
        except Exception as error:
            return {"note": f"{type(error).__name__}: {error}"[:200]}
        times.append(passed if answer.seconds is None else answer.seconds)
        if answer.seconds is not None:
            break  # another program, which saw to that itself
    if answer.beta is not None:
        # It chose its breakpoint by itself: our fit of that problem is the measure.
        problem = replace(problem, beta=answer.beta)
        model = RobustRegressor(**problem.params(), scale=1.0, tol=1e-12).fit(X, y)
        optimum = problem.value(X, y, model.coef_, model.intercept_)
    reached = problem.value(X, y, answer.coef, answer.intercept, scale)
    return {"seconds": float(np.median(times)), "gap": (reached - optimum) / optimum}


def table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each data set, problem and solver: the best that it reached."""
    best: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        key = (row["data"], row["problem"], row["solver"])
        if key in best and not row["gap"] < best[key]["gap"]:
            continue
        best[key] = row
    return list(best.values())


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw gap against time on one data set, a panel for each robust problem."""
    import drawing

    names = [n for n in dict.fromkeys(r["problem"] for r in rows) if n[:7] != "squares"]
    figure, panels = drawing.plt.subplots(3, 2, figsize=(6.6, 9), sharex=True)
    figure.subplots_adjust(wspace=0.75, hspace=0.4)
    labels = []
    for panel, name in zip(panels.flat, names, strict=False):
        drawing.log_axes(panel, "seconds, one thread", "relative gap", name)
        shown = [r for r in rows if r["problem"] == name and not math.isnan(r["gap"])]
        ends = []
        for k, solver in enumerate(dict.fromkeys(r["solver"] for r in shown)):
            own = [r for r in shown if r["solver"] == solver]
            time = [r["seconds"] for r in own]
            gap = [max(r["gap"], LEAST_GAP) for r in own]
            colour = drawing.COLOURS[k % len(drawing.COLOURS)]
            width = 2.5 if solver.startswith("robustreg") else 1.0
            panel.plot(time, gap, color=colour, marker="o", ms=4, lw=width)
            ends.append((time[-1], gap[-1], solver, colour))
        panel.set_ylim(LEAST_GAP / 3, 10)
        labels.append((panel, ends))
    for panel, ends in labels:  # once the axis that they share has its limits
        drawing.label_ends(panel, ends)
    drawing.save(figure, "peers.svg")


BENCHMARK = harness.Benchmark(
    __file__,
    list(CASES),
    measure_solvers,
    assemble,
    peers=dict.fromkeys(solver.package for solver in SOLVERS.values()),
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
