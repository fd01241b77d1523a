"""Do nominal 95 % intervals hold the true coefficients in 95 % of all samples?

::

    python benchmarks/interval_coverage.py            # all, about a quarter hour
    python benchmarks/interval_coverage.py --only l1 --repetitions 2000   # one loss
    python benchmarks/interval_coverage.py --types bootstrap --repetitions 100

What is not measured anew stays as it was.

Samples of 300 rows and 4 columns with an intercept. Errors are Gaussian or from a t
distribution with 3 degrees of freedom, moved until their quantile is 0. Their scale
is 1, or grows in a line with the first column, or is least in its middle.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from collections.abc import Callable
from typing import Any

import harness
import numpy as np
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
ANY = ("avar1", "HC1", "HC3", "nid", "ker", "powell")
CLAIMS = {"equal": (*SAME, *ANY), "linear": ANY, "curved": tuple(set(ANY) - {"nid"})}
SMOOTH, JUMPING = ("H1", "HC1", "HC3"), ("HC1",)
KINKED = ("iid", "nid", "ker", "powell", "kernel-iid")
# Smooth L1 and Huber are one loss but for a factor.
LEFT_OUT = ("huber",)
MM = "MM"
RESAMPLES = 199
LIMIT = 6 * 3600.0


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="losses")
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--types", nargs="*", help="covariances; all but bootstrap")
    given = parser.parse_args()
    losses = given.only or every_loss()
    run, rows = harness.Limited(LIMIT), []
    for loss in losses:
        for error in ERRORS:
            for scale in SCALES:
                cell = (loss, error, scale, given.repetitions, given.types)
                rows += run(coverages, *cell)
                print(*[list(row.values()) for row in rows[-1:]], flush=True)
    run.close()
    rows = with_others(rows)
    harness.write_csv("coverage.csv", rows)
    harness.write("coverage.md", summary(rows))
    print(summary(rows))


def every_loss() -> list[str]:
    """Return all losses that are looked at, in the order of the table."""
    return [*(name for name in LOSSES if name not in LEFT_OUT), MM]


def with_others(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows in order, with those of the last run that were not made anew."""
    done = {(row["loss"], row["cov_type"]) for row in rows}
    last = harness.RESULTS / "coverage.csv"
    if last.exists():
        with last.open(newline="", encoding="utf-8") as file:
            rows = rows + [
                row
                for row in csv.DictReader(file)
                if (row["loss"], row["cov_type"]) not in done
            ]
    losses, types = every_loss(), [*SMOOTH, *KINKED, "avar1", "bootstrap"]
    return sorted(
        rows,
        key=lambda row: (losses.index(row["loss"]), types.index(row["cov_type"])),
    )


def coverages(
    loss: str, error: str, scale: str, repetitions: int, only: list[str] | None
) -> list[dict[str, Any]]:
    """Return a row for each covariance: how often its intervals held."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    types = [name for name in types_of(loss) if name in CLAIMS[scale]]
    if only is not None:
        types = [name for name in [*types, "bootstrap"] if name in only]
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
        return ("avar1", "HC1")
    facts = make_loss(loss, None).facts
    if facts.piecewise_linear:
        return KINKED
    return JUMPING if loss == "talwar" else SMOOTH


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
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row["loss"], row["cov_type"])
        start = {"loss": key[0], "cov_type": key[1], "samples": row["repetitions"]}
        line = lines.setdefault(key, start)
        place = f"{row['errors']}, {row['scale']}"
        mean, lowest = float(row["mean"]), float(row["lowest"])
        line[place] = f"{100 * mean:.1f} ({100 * lowest:.1f})"
    places = [f"{error}, {scale}" for error in ERRORS for scale in SCALES]
    full = [
        {**{p: "" for p in ("loss", "cov_type", "samples", *places)}, **line}
        for line in lines.values()
    ]
    inside = sum(0.93 <= float(row["mean"]) <= 0.97 for row in rows)
    return "\n".join(
        [
            f"{harness.machine()}.\n",
            "Percent of samples whose intervals hold the truth: the mean of the five "
            "coefficients, and in brackets the lowest of them, whose own standard "
            "error is 1.1 with 400 samples and 2.2 with 100. "
            f"{inside} of {len(rows)} means lie between 93 and 97.\n",
            harness.markdown(full),
        ]
    )


if __name__ == "__main__":
    main()
