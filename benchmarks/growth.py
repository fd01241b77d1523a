"""Time against the number of rows and of columns, drawn, with the exponents.

A case is a contender, with more and more rows or columns. Where it takes too long or
would not fit in memory its line ends.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from contextlib import closing
from typing import Any

import harness
import numpy as np
import timing
from problems import Array, dense
from sklearn.linear_model import HuberRegressor, QuantileRegressor, Ridge

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor

COLUMNS = 20
ROWS = (10**3, 3162, 10**4, 31_623, 10**5, 316_228, 10**6, 3_162_278, 10**7)
WIDE_ROWS = 20_000
WIDTHS = (5, 10, 20, 50, 100, 200, 500, 1000)
# Seconds for a point, its repeated fits together.
LIMIT = 30.0
REPEATS, BUDGET = 5, 1.5
# Data, a peer's copies of it and what they make of it take so many times its bytes.
COPIES = 4
# Points of at least so many rows or columns count for the exponents.
LARGE = {"rows": 10**5, "columns": 50}


def assemble(head: str, records: list[harness.Record]) -> None:
    """Write the table and draw."""
    rows = harness.table_rows(records)
    harness.write("growth.md", f"{head}\n{harness.markdown(exponents(rows))}")
    draw(rows)


def contender(name: str, X: Array, y: Array) -> Callable[[], Any]:
    """Return a contender's fit, with its best settings and in its best layout."""
    if name == "Ridge":
        X = np.asfortranarray(X)
    alpha = 1e-6
    huber = HuberRegressor(alpha=alpha * 1.35 * X.shape[0], max_iter=10_000)
    models = {
        "smooth_l1": SmoothL1Regressor(penalty="l2", alpha=alpha),
        "l1": L1Regressor(),
        "RobustRegressor": RobustRegressor(),
        "Ridge": Ridge(solver="cholesky"),
        "HuberRegressor": huber,
        "QuantileRegressor": QuantileRegressor(alpha=0),
    }
    others = {"statsmodels RLM": rlm, "statsmodels QuantReg": quantreg}
    fit = others[name] if name in others else models[name].fit
    return lambda: fit(X, y)


OURS = ("smooth_l1", "l1", "RobustRegressor")
NAMES = (*OURS, "Ridge", "HuberRegressor", "QuantileRegressor")
NAMES += ("statsmodels RLM", "statsmodels QuantReg")
SWEEPS = {
    "rows": [(n, COLUMNS) for n in ROWS],
    "columns": [(WIDE_ROWS, p) for p in WIDTHS],
}
CASES = {f"{varied}: {name}": (varied, name) for varied in SWEEPS for name in NAMES}


def rlm(X: Array, y: Array) -> None:
    """Fit Huber's loss with a scale by MAD by statsmodels."""
    import statsmodels.api as sm

    sm.RLM(y, sm.add_constant(X), M=sm.robust.norms.HuberT(1.345)).fit()


def quantreg(X: Array, y: Array) -> None:
    """Fit a median regression by statsmodels."""
    import statsmodels.api as sm

    sm.QuantReg(y, sm.add_constant(X)).fit(q=0.5)


def sweep(case: str) -> list[dict[str, Any]]:
    """Return the times of a contender at all sizes, while they stay in the limit."""
    varied, name = CASES[case]
    rows: list[dict[str, Any]] = []
    with closing(timing.Limited(LIMIT)) as run:
        for n, p in SWEEPS[varied]:
            if COPIES * 8 * n * p > memory():
                print(f"  {n} x {p} would not fit in memory")
                break
            run.patiently(make_data, n, p)
            try:
                time = run(measure, name, n, p)
            except TimeoutError as error:
                print(f"  left out from {n} x {p} on: {error}")
                break
            row = {"varied": varied, "rows": n, "columns": p}
            rows.append(row | {"contender": name, "seconds": time})
    return rows


def memory() -> int:
    """Return how many bytes of memory are free."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def make_data(n: int, p: int) -> None:
    """Make the data that the next measurement finds made."""
    dense(n, p)


def measure(name: str, n: int, p: int) -> float:
    """Return the median time of some fits, of one if it is long."""
    warnings.simplefilter("ignore")
    fit = contender(name, *dense(n, p))
    times: list[float] = []
    if n * p <= 10**6:
        fit()  # what only a first call does
    while len(times) < REPEATS and sum(times) < BUDGET:
        times.append(timing.seconds(fit)[0])
    return float(np.median(times))


def line(rows: list[dict[str, Any]], varied: str, name: str) -> tuple[Array, Array]:
    """Return a contender's sizes and times."""
    own = [r for r in rows if r["varied"] == varied and r["contender"] == name]
    return np.array([r[varied] for r in own]), np.array([r["seconds"] for r in own])


def exponents(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how time grows: the slope of its logarithm over the larger sizes."""
    table = []
    for name in dict.fromkeys(row["contender"] for row in rows):
        entry: dict[str, Any] = {"contender": name}
        for varied, large in LARGE.items():
            size, time = line(rows, varied, name)
            used = size >= large
            slope = np.nan
            if used.sum() > 2:
                slope = np.polyfit(np.log(size[used]), np.log(time[used]), 1)[0]
            entry[f"exponent in {varied}, from {large:,}"] = float(slope)
            entry[f"most {varied}"] = f"{size[-1]:,}" if size.size else ""
            entry[f"its seconds, most {varied}"] = (
                float(time[-1]) if time.size else np.nan
            )
        own = [row for row in rows if row["contender"] == name]
        table.append(entry | {"measured at": harness.marks(own)})
    return table


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw time against rows and against columns."""
    import drawing

    figure, panels = drawing.plt.subplots(2, 1, figsize=(5.2, 8.4))
    figure.subplots_adjust(right=0.74, hspace=0.3)
    titles = (f"{COLUMNS} columns", f"{WIDE_ROWS:,} rows")
    names = list(dict.fromkeys(row["contender"] for row in rows))
    for panel, varied, title in zip(panels, LARGE, titles, strict=True):
        drawing.log_axes(panel, varied, "seconds, one thread", title)
        ends = []
        for k, name in enumerate(names):
            size, time = line(rows, varied, name)
            if not size.size:
                continue
            style = {"lw": 2.0, "ls": "-"} if name in OURS else {"lw": 1.0, "ls": "--"}
            colour = drawing.INK if name == "Ridge" else drawing.COLOURS[k]
            panel.plot(size, time, color=colour, marker="o", ms=3, **style)
            ends.append((size[-1], time[-1], name, colour))
        drawing.label_ends(panel, ends)
    drawing.save(figure, "growth.svg")


BENCHMARK = harness.Benchmark(
    __file__, list(CASES), sweep, assemble, peers=["statsmodels"]
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
