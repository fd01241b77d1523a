"""The time of an MM-estimate beside R's lmrob and least squares.

Processor's seconds on one thread, the median of five fits (one of lmrob). A tenth of
the rows is wrong in y, a tenth in X and y; of the dummies of one factor a fifth in y.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import harness
import numpy as np
import timing
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from robustreg import MMRegressor

Array = NDArray[np.float64]

SHAPES = {
    f"{n:,} x {p}": (n, p)
    for n, p in (
        (100, 3),
        (1000, 5),
        (3000, 43),
        (10_000, 20),
        (100_000, 20),
        (100_000, 50),
    )
}
DUMMIES = "3,000 x 34 dummies"
RUNS = 5
# A process for all; seconds for a shape.
RUN = timing.Limited(3600.0)
SCRIPT = Path(__file__).with_name("breakdown.R")


def measure(case: str) -> list[dict[str, Any]]:
    """Return the row of a shape."""
    return [RUN(row, case)]


def assemble(head: str, records: list[harness.Record]) -> None:
    """Write the table."""
    table = harness.markdown(harness.table_rows(records))
    harness.write("breakdown.md", f"{head}\n{table}")


def problem(n: int, p: int) -> tuple[Array, Array]:
    """Return correlated columns and heavy-tailed errors, and a fifth of wrong rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p)) + rng.normal(size=(n, 1))
    y = X @ rng.normal(size=p) + 3.0 + rng.standard_t(5, n)
    tenth = n // 10
    y[: 2 * tenth] = 100.0 + rng.normal(size=2 * tenth)
    X[:tenth] += 20.0
    return X, y


def dummies(n: int, p: int) -> tuple[Array, Array]:
    """Return the dummies of a factor, heavy-tailed errors and a fifth of wrong rows."""
    rng = np.random.default_rng(0)
    X = 1.0 * (rng.integers(p + 1, size=(n, 1)) == np.arange(p))
    y = X @ rng.normal(size=p) + 3.0 + rng.standard_t(5, n)
    y[: n // 5] = 100.0 + rng.normal(size=n // 5)
    return X, y


def row(case: str) -> dict[str, Any]:
    """Return the times and scales of all fits to a problem."""
    X, y = dummies(3000, 34) if case == DUMMIES else problem(*SHAPES[case])
    times, model = [], MMRegressor()
    for _ in range(RUNS):
        seconds, model = timing.seconds(lambda: MMRegressor().fit(X, y))
        times.append(seconds)
    own = statistics.median(times)
    ridge = statistics.median(
        timing.seconds(lambda: Ridge(solver="cholesky").fit(X, y))[0]
        for _ in range(RUNS)
    )
    seconds, scale = lmrob(X, y)
    return {
        "rows x columns": case,
        "MMRegressor, s": own,
        "lmrob, s": seconds,
        "lmrob / MMRegressor": seconds / own,
        "MMRegressor / Ridge": own / ridge,
        "S-scale": f"{model.scale_:.6g}",
        "lmrob's S-scale": f"{scale:.6g}",
    }


def lmrob(X: Array, y: Array) -> tuple[float, float]:
    """Return the processor's seconds and the scale of lmrob, nan without R."""
    if not harness.installed("R: robustbase"):
        return float("nan"), float("nan")
    with tempfile.TemporaryDirectory() as folder:
        X.ravel(order="F").tofile(Path(folder, "X"))
        y.tofile(Path(folder, "y"))
        command = ["Rscript", str(SCRIPT), folder, *map(str, X.shape)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, scale, *_ = map(float, done.stdout.split())
    return seconds, scale


BENCHMARK = harness.Benchmark(
    __file__, [*SHAPES, DUMMIES], measure, assemble, peers=["R: robustbase"]
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
