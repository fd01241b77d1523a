"""Do nominal 95 % intervals hold the true coefficients in 95 % of all samples?

Samples of 300 rows and 4 columns with an intercept. Errors are Gaussian or from a t
distribution with 3 degrees of freedom, moved until their quantile is 0. Their scale
is 1, or grows in a line with the first column, or is least in its middle.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import harness
import numpy as np
import timing
from numpy.typing import NDArray
from scipy.stats import norm, t
from sklearn.base import BaseEstimator

from robustreg import MMRegressor, RobustRegressor
from robustreg.inference import coef_table
from robustreg.losses import LOSSES, make_loss

Array = NDArray[np.float64]

ROWS, TRUE = 300, np.array([1.0, -1.0, 0.0, 2.0, 1.0])
ERRORS: dict[str, Any] = {"Gaussian": norm(), "t(3)": t(3)}
SCALES: dict[str, Callable[[Array], Array]] = {
    "equal": lambda x: np.ones_like(x),
    "linear": lambda x: 0.5 + x,
    "curved": lambda x: 1 + np.abs(x - 1.5),
}
# Equal errors for all; otherwise for what claims to hold there.
SAME = ("H1", "XtX", "iid", "kernel-iid")
ANY = ("avar1", "HC1", "HC3", "nid", "ker", "powell", "bootstrap")
CLAIMS = {"equal": (*SAME, *ANY), "linear": ANY, "curved": tuple(set(ANY) - {"nid"})}
SMOOTH, JUMPING = ("H1", "HC1", "HC3"), ("HC1",)
KINKED = ("iid", "nid", "ker", "powell", "kernel-iid")
# Smooth L1 and Huber are one loss but for a factor.
LEFT_OUT = ("huber",)
MM = "MM"
RESAMPLES = 199
SAMPLES, MORE_SAMPLES, BOOTSTRAPPED = 400, 1500, 100
# A process for all; seconds for one kind of errors.
RUN = timing.Limited(3600.0)


def measure_apart(case: str) -> list[dict[str, Any]]:
    """Return the rows of a case, for each kind of errors."""
    loss, types, repetitions = CASES[case]
    return [
        row
        for error in ERRORS
        for scale in SCALES
        for row in RUN(coverages, loss, error, scale, types, repetitions)
    ]


def assemble(head: str, records: list[harness.Record]) -> None:
    """Write the table."""
    rows = harness.table_rows(records)
    harness.write("coverage.md", f"{head}\n{summary(rows)}")


def coverages(
    loss: str, error: str, scale: str, types: tuple[str, ...], repetitions: int
) -> list[dict[str, Any]]:
    """Return a row for each covariance: how often its intervals held."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    types = tuple(name for name in types if name in CLAIMS[scale])
    held: dict[str, list[Array]] = {name: [] for name in types}
    width: dict[str, list[Array]] = {name: [] for name in types}
    quantile = 0.75 if loss == "quantile" else 0.5
    model = model_of(loss, quantile)
    for _ in range(repetitions):
        X, y = draw(rng, ERRORS[error], SCALES[scale], quantile)
        model.fit(X, y)
        for name in types:
            table = coef_table(
                model, X, y, cov_type=name, n_bootstrap=RESAMPLES, random_state=0
            )
            lower, upper = table["lower"].to_numpy(), table["upper"].to_numpy()
            held[name].append((lower <= TRUE) & (upper >= TRUE))
            width[name].append(upper - lower)
    return [
        {
            "loss": loss,
            "errors": error,
            "scale": scale,
            "cov_type": name,
            "repetitions": repetitions,
            "mean": float(np.mean(held[name])),
            "lowest": float(np.mean(held[name], axis=0).min()),
            "highest": float(np.mean(held[name], axis=0).max()),
            "width": float(np.mean(width[name])),
        }
        for name in types
    ]


def model_of(loss: str, quantile: float) -> BaseEstimator:
    """Return the estimator of a loss, or of MM."""
    if loss == MM:
        return MMRegressor(n_subsets=100)
    return RobustRegressor(loss, quantile=quantile, scale=scale_of(loss))


def types_of(loss: str) -> tuple[str, ...]:
    """Return the covariances of a loss that are looked at."""
    if loss == MM:
        return ("HC1", "avar1")
    facts = make_loss(loss, None).facts
    if facts.piecewise_linear:
        return KINKED
    return JUMPING if loss == "talwar" else SMOOTH


def cases() -> Iterator[tuple[str, tuple[str, tuple[str, ...], int]]]:
    """Yield the cases: a loss, covariances, how many samples."""
    for loss in [*(name for name in LOSSES if name not in LEFT_OUT), MM]:
        yield loss, (loss, types_of(loss), MORE_SAMPLES if loss == "l1" else SAMPLES)
        if loss in ("l1", "smooth_l1"):
            yield f"{loss}, bootstrap", (loss, ("bootstrap",), BOOTSTRAPPED)


CASES = dict(cases())


def scale_of(loss: str) -> float | str:
    """Return the scale to fit with: none is needed where it changes nothing."""
    return 1.0 if loss in ("l1", "l2", "quantile") else "mad"


def draw(
    rng: np.random.Generator,
    error: Any,
    scale: Callable[[Array], Array],
    quantile: float,
) -> tuple[Array, Array]:
    """Return a sample."""
    X = rng.normal(size=(ROWS, 4))
    X[:, 0] = rng.uniform(0, 3, size=ROWS)
    errors = error.rvs(ROWS, random_state=rng) - error.ppf(quantile)
    return X, X @ TRUE[:4] + TRUE[4] + scale(X[:, 0]) * errors


def summary(rows: list[dict[str, Any]]) -> str:
    """Return the table: a line for each loss and covariance, a column for each data."""
    places = [f"{error}, {scale}" for error in ERRORS for scale in SCALES]
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row["loss"], row["cov_type"])
        start = {"loss": key[0], "cov_type": key[1], "samples": row["repetitions"]}
        start |= dict.fromkeys(places, "") | {"measured at": row["measured at"]}
        line = lines.setdefault(key, start)
        place = f"{row['errors']}, {row['scale']}"
        line[place] = f"{100 * row['mean']:.1f} ({100 * row['lowest']:.1f})"
    inside = sum(0.93 <= row["mean"] <= 0.97 for row in rows)
    return "\n".join(
        [
            "Percent of samples whose intervals hold the truth: the mean of the five "
            "coefficients, and in brackets the lowest of them, whose own standard "
            "error is 1.1 with 400 samples and 2.2 with 100. "
            f"{inside} of {len(rows)} means lie between 93 and 97.\n",
            harness.markdown(list(lines.values())),
        ]
    )


BENCHMARK = harness.Benchmark(__file__, list(CASES), measure_apart, assemble)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
