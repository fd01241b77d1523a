"""The bootstrap: fits of resampled rows, by weights that count them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from robustreg.estimators.base import RobustLinearModel
from robustreg.inference.checks import coefficients_of, is_penalised
from robustreg.rows import Array, Index, make_rows
from robustreg.scale import weighted_median

# A fit that predicts otherwise, by this share of a typical deviation, is another's.
FOREIGN_PREDICTION = 1e-4
# With more resamples lost than this share, those left say too little.
MOST_LOST = 0.5


def check_refit(estimator: Any, X: Any, y: Array, weight: Array) -> None:
    """Refuse data and weights that are not the fit's, by fitting them once more.

    Estimators of other libraries may be random, so that only ours are judged.
    """
    if not isinstance(estimator, RobustLinearModel):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = clone(estimator).fit(X, y, sample_weight=weight)
    fitted, refitted = (X @ m.coef_ + m.intercept_ for m in (estimator, again))
    moved = weighted_median(np.abs(refitted - fitted), weight)
    centre = weighted_median(fitted, weight)
    size = weighted_median(np.abs(fitted - centre) + np.abs(y - fitted), weight)
    if moved > FOREIGN_PREDICTION * size:
        raise ValueError(
            "A fit of this X, y and sample_weight is another one: its predictions "
            f"differ by {moved / size:.2g} of a typical deviation. Pass the data and "
            "the weights of the fit, with the parameters that it had; if they include "
            "random_state=None, give it a number."
        )


@dataclass(frozen=True)
class Resamples:
    """The fits of resampled rows.

    Parameters
    ----------
    draws : ndarray of shape (n_resamples, n_coefs)
        Their coefficients.
    absent : ndarray of bool of shape (n_resamples, n_coefs)
        Coefficients of columns that vary, but not in the resample: 0, and no estimate.
        None in fits with a penalty, which has an estimate for every column, and in
        those of other libraries.
    n_warned : int
        How many fits warned.
    """

    draws: Array
    absent: NDArray[np.bool_]
    n_warned: int


def resampled_coefficients(
    estimator: Any,
    X: Any,
    y: Array,
    weight: Array,
    groups: Index | None,
    n_bootstrap: int,
    random: np.random.RandomState,
) -> Resamples:
    """Return the fits of resamples.

    X is never copied: a resample is a weight for each row, how often it was drawn.
    """
    draws, absent, warned = [], [], 0
    estimable = _estimable(estimator, X, weight)
    for _ in range(n_bootstrap):
        counts = _draw(weight, groups, random)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = clone(estimator).fit(X, y, sample_weight=counts)
        warned += bool(caught)
        draws.append(coefficients_of(model))
        absent.append(_absent(model, X, counts, estimable))
    return Resamples(np.array(draws), np.array(absent), warned)


def _estimable(model: Any, X: Any, weight: Array) -> NDArray[np.bool_]:
    """Return which coefficients have no estimate but by a column that varies.

    With a penalty, and in other libraries, those of constant columns have one as well.
    """
    n_coefs = coefficients_of(model).size
    if not isinstance(model, RobustLinearModel) or is_penalised(model):
        return np.zeros(n_coefs, dtype=bool)
    far = model._farthest_counted
    rows = make_rows(X, weight, model.fit_intercept, farthest=far)
    return np.asarray(rows.varies[:n_coefs])


def _absent(
    model: Any, X: Any, counts: Array, estimable: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which of these coefficients have no estimate in a resample.

    They are 0, but so are some that have one: of an absolute loss where y has ties.
    """
    zero = (coefficients_of(model) == 0) & estimable
    return zero & ~_estimable(model, X, counts) if zero.any() else zero


def _draw(weight: Array, groups: Index | None, random: np.random.RandomState) -> Array:
    """Return how often each row stands in a resample of rows, or of groups."""
    if groups is None:
        total = float(weight.sum())
        counts = random.multinomial(max(round(total), 1), weight / total)
        return np.asarray(counts, dtype=np.float64)
    n_groups = int(groups.max()) + 1
    times = random.multinomial(n_groups, np.full(n_groups, 1 / n_groups))
    return np.asarray(weight * times[groups])


def without_lost(found: Resamples, names: list[str]) -> Array:
    """Return the resamples in which every column varies; say how many do not."""
    draws, absent = found.draws, found.absent
    lost = absent.any(axis=1)
    if not lost.any():
        return draws
    named = ", ".join(names[j] for j in np.flatnonzero(absent.any(axis=0))[:10])
    message = (
        f"In {lost.sum()} of {len(draws)} resamples some of the columns {named} are "
        "constant, so that their coefficients have no estimate."
    )
    if lost.mean() > MOST_LOST:
        raise ValueError(f"{message} Drop these columns, or choose another cov_type.")
    warnings.warn(
        f"{message} These resamples are left out. Prefer another cov_type for "
        "columns that so few rows have.",
        RuntimeWarning,
        stacklevel=5,
    )
    return draws[~lost]
