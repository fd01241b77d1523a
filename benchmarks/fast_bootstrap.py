"""Does the fast and robust bootstrap of MM-estimates say what the slow one says?

Samples of 100 rows and 2 columns with an intercept. Errors are Gaussian, from a t
distribution with 3 degrees of freedom, or Gaussian with a tenth of the rows wrong in X
and y. Standard errors are compared with how far estimates spread over the samples, and,
in a few of these, with those of as many fits of the same resamples.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from typing import Any

import harness
import numpy as np
import timing
from numpy.typing import NDArray

from robustreg import MMRegressor
from robustreg.inference import coef_table

Array = NDArray[np.float64]

ROWS, TRUE = 100, np.array([1.0, -1.0, 1.0])
SAMPLES, RESAMPLES = 400, 499
# The slow one takes some hundred times as long, and so few tell nothing of coverage.
COMPARED, COMPARED_RESAMPLES = 6, 199
CASES = ("Gaussian", "t(3)", "a tenth is wrong")
FAST, SLOW = BY_100 = "fast-robust-bootstrap", "bootstrap"
RUN = timing.Limited(7200.0)


def measure_apart(case: str) -> list[dict[str, Any]]:
    """Return the rows of a case."""
    rows: list[dict[str, Any]] = RUN(compared, case)
    return rows


def assemble(head: str, records: list[harness.Record]) -> None:
    """Write the table."""
    table = harness.markdown(harness.table_rows(records))
    harness.write("fast_bootstrap.md", f"{head}\n{table}")


def compared(
    case: str, n_samples: int = SAMPLES, n_compared: int = COMPARED
) -> list[dict[str, Any]]:
    """Return a row for each covariance: standard errors, coverage, time."""
    warnings.simplefilter("ignore")
    rng, model = np.random.default_rng(0), MMRegressor(n_subsets=50)
    estimates, ratios = [], []
    told: dict[str, list[Told]] = {"avar1": [], FAST: [], SLOW: []}
    for sample in range(n_samples):
        X, y = draw(rng, case)
        model.fit(X, y)
        estimates.append(np.append(model.coef_, model.intercept_))
        for name in ("avar1", FAST):
            told[name].append(told_by(model, X, y, name, RESAMPLES))
        if sample < n_compared:
            slow = told_by(model, X, y, SLOW, COMPARED_RESAMPLES)
            fast = told_by(model, X, y, FAST, COMPARED_RESAMPLES)
            told[SLOW].append(slow)
            ratios.append(fast.error / slow.error)
    deviation = np.std(estimates, axis=0, ddof=1)
    return [
        {
            "errors": case,
            "cov_type": name,
            "samples": len(every),
            "std_err / deviation": np.mean([one.error / deviation for one in every]),
            "percent held": held(every) if name != SLOW else None,
            "std_err / slow": np.median(ratios) if name == FAST else None,
            "seconds for 100": min(o.seconds for o in every)
            if name in BY_100
            else None,
        }
        for name, every in told.items()
    ]


@dataclass(frozen=True)
class Told:
    """Standard errors, which intervals hold the truth, seconds for 100 resamples."""

    error: Array
    held: NDArray[np.bool_]
    seconds: float


def held(every: list[Told]) -> float:
    """Return the percentage of intervals that hold the truth."""
    return 100 * float(np.mean([one.held for one in every]))


def told_by(
    model: MMRegressor, X: Array, y: Array, cov_type: str, n_bootstrap: int
) -> Told:
    """Return what a covariance says of a fit."""
    options = {"cov_type": cov_type, "n_bootstrap": n_bootstrap, "random_state": 0}
    seconds, table = timing.seconds(lambda: coef_table(model, X, y, **options))
    held = (table["lower"] <= TRUE) & (table["upper"] >= TRUE)
    error = table["std_err"].to_numpy()
    return Told(error, held.to_numpy(), 100 * seconds / n_bootstrap)


def draw(rng: np.random.Generator, case: str) -> tuple[Array, Array]:
    """Return a sample."""
    X = rng.normal(size=(ROWS, TRUE.size - 1))
    errors = rng.standard_t(3, size=ROWS) if case == "t(3)" else rng.normal(size=ROWS)
    y = X @ TRUE[:-1] + TRUE[-1] + errors
    if case == "a tenth is wrong":
        wrong = ROWS // 10
        X[:wrong] += 5
        y[:wrong] = 50 + errors[:wrong]
    return X, y


BENCHMARK = harness.Benchmark(__file__, CASES, measure_apart, assemble)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
