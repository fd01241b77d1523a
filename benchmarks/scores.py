"""Which score chooses well when the rows that it is computed on are spoiled, too.

Of candidates that differ in loss and strength of penalty, one is chosen by 5-fold
cross-validation with each score, bad rows in training and test rows alike. What counts
is the error of the chosen fit to all rows: the root mean square of how far its
predictions are from the truth, over that of the best candidate. 1 is a choice that
nobody could better.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import harness
import numpy as np
import timing
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring

from robustreg import RobustRegressor, RobustRegressorCV
from robustreg.metrics import neg_tau_scale, neg_trimmed_mean_absolute_error

ROWS, COLUMNS, SAMPLES = 200, 12, 20
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3)
SCORES: dict[str, Any] = {
    "tau-scale": neg_tau_scale,
    "trimmed mean absolute error": neg_trimmed_mean_absolute_error,
    "median absolute error": "neg_median_absolute_error",
    "mean absolute error": "neg_mean_absolute_error",
    "R2": "r2",
}
# How bad targets are off, in standard deviations of the errors.
KINDS = {"on one side": (10.0, 1.0), "on both sides": (0.0, 10.0)}
LOSSES = ["l2", "smooth_l1", "l1", "tukey"]
ALPHAS = [0.3, 0.1, 0.03, 0.01, 0.001]
CASES = [f"{share:.0%} bad rows {kind}" for kind in KINDS for share in SHARES]
RUN = timing.Limited(3600.0)


def measure(case: str) -> list[dict[str, Any]]:
    """Return the line of a share and a kind of bad rows."""
    row: dict[str, Any] = RUN(line, case)
    return [row]


def assemble(head: str, records: list[harness.Record]) -> None:
    """Write the table."""
    table = harness.markdown(harness.table_rows(records))
    harness.write("scores.md", f"{head}\n{table}")


def line(case: str) -> dict[str, Any]:
    """Return the mean ratio of errors of each score."""
    share = next(s for s in SHARES if case.startswith(f"{s:.0%} bad"))
    kind = next(kind for kind in KINDS if case.endswith(kind))
    ratios = np.array([ratios_of(seed, share, kind) for seed in range(SAMPLES)])
    means = ratios.mean(axis=0)
    found = {name: f"{mean:.3f}" for name, mean in zip(SCORES, means, strict=True)}
    return {"bad rows": case.replace(" bad rows", ""), **found}


def ratios_of(seed: int, share: float, kind: str) -> list[float]:
    """Return the error of what each score chooses, over the least of all candidates."""
    X, y, truth = sample(seed, share, kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        recorded = Recorder()
        RobustRegressorCV(LOSSES, alphas=ALPHAS, scoring=recorded).fit(X, y)
        errors = {
            candidate: error_of(RobustRegressor(**dict(candidate)).fit(X, y), X, truth)
            for candidate in recorded.scores
        }
    least = min(errors.values())
    return [errors[recorded.chosen(place)] / least for place in range(len(SCORES))]


def error_of(model: RobustRegressor, X: Any, truth: Any) -> float:
    """Return how far predictions are from the truth."""
    return float(np.sqrt(np.mean((model.predict(X) - truth) ** 2)))


class Recorder:
    """A score that keeps all scores of each candidate, a line for each fold."""

    def __init__(self) -> None:
        self.scores: dict[Any, list[list[float]]] = {}

    def __call__(self, model: RobustRegressor, X: Any, y: Any) -> float:
        """Return the first score."""
        values = [
            float(check_scoring(model, scoring)(model, X, y))
            for scoring in SCORES.values()
        ]
        names = ("loss", "penalty", "alpha")
        candidate = tuple((name, getattr(model, name)) for name in names)
        self.scores.setdefault(candidate, []).append(values)
        return values[0]

    def chosen(self, place: int) -> Any:
        """Return the candidate with the highest mean of a score."""
        means = {c: np.mean(v, axis=0)[place] for c, v in self.scores.items()}
        return max(means, key=lambda candidate: float(means[candidate]))


def sample(seed: int, share: float, kind: str) -> tuple[Any, Any, Any]:
    """Return rows, a share of whose targets is bad, and what their targets should be.

    Half of the columns matter.
    """
    rng = np.random.default_rng([seed, CASES.index(f"{share:.0%} bad rows {kind}")])
    X = rng.normal(size=(ROWS, COLUMNS))
    coef = rng.normal(size=COLUMNS) * (np.arange(COLUMNS) < COLUMNS / 2)
    truth = X @ coef
    shift, spread = KINDS[kind]
    bad = rng.random(ROWS) < share
    error = rng.normal(size=ROWS)
    y = truth + np.where(bad, shift + spread * rng.normal(size=ROWS), error)
    return X, y, truth


BENCHMARK = harness.Benchmark(__file__, CASES, measure, assemble)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
