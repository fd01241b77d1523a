"""The bootstrap: fits of resampled rows, by weights that count them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from robustreg.estimators.base import RobustLinearModel
from robustreg.inference.checks import coefficients_of, is_penalised, names_of
from robustreg.rows import Array, Index

# With more resamples lost than this share, those left say too little.
MOST_LOST = 0.5
# Fits of the same data differ by less than this share of their standard errors.
SAME_FIT = 0.1


@dataclass(frozen=True)
class Resampled:
    """Fits of resampled rows.

    Parameters
    ----------
    draws : ndarray of shape (n_resamples, n_coefs)
        The coefficients.
    absent : ndarray of bool of shape (n_resamples, n_coefs)
        Which are 0 because the column is constant in the rows that were drawn, and
        not in all.
    n_warned : int
        How many fits warned.
    """

    draws: Array
    absent: NDArray[np.bool_]
    n_warned: int


def resample(
    estimator: Any,
    X: Any,
    y: Array,
    weight: Array,
    groups: Index | None,
    n_bootstrap: int,
    random: np.random.RandomState,
) -> Resampled:
    """Return fits of resamples.

    X is never copied: a resample is a weight for each row, how often it was drawn.
    """
    draws, absent, n_warned = [], [], 0
    always = _absent(estimator, X, weight)
    for _ in range(n_bootstrap):
        counts = _draw(weight, groups, random)
        model, warned = _refit(estimator, X, y, counts)
        n_warned += warned
        draws.append(coefficients_of(model))
        absent.append(_absent(model, X, counts) & ~always)
    return Resampled(np.array(draws), np.array(absent), n_warned)


def _refit(estimator: Any, X: Any, y: Array, weight: Array) -> tuple[Any, bool]:
    """Return a clone's fit, and whether it warned."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = clone(estimator).fit(X, y, sample_weight=weight)
    return model, bool(caught)


def _absent(model: Any, X: Any, counts: Array) -> NDArray[np.bool_]:
    """Return which coefficients are 0 because their column is constant in the rows.

    Without an intercept a column needs to be 0 for that. A penalty makes others 0.
    """
    coef = coefficients_of(model)
    absent, live = np.zeros(coef.size, dtype=bool), counts > 0
    if not isinstance(model, RobustLinearModel) or is_penalised(model):
        return absent
    for j in np.flatnonzero(model.coef_ == 0):
        column = X[:, [j]][live]
        low, high = column.min(), column.max()
        absent[j] = low == high and (model.fit_intercept or low == 0)
    return absent


def check_same_data(estimator: Any, X: Any, y: Array, weight: Array) -> None:
    """Refuse data at which one of robustreg's estimators has other coefficients.

    Of others a fit may be random, and is not asked again.
    """
    if not isinstance(estimator, RobustLinearModel):
        return
    again, _ = _refit(estimator, X, y, weight)
    change = X @ (again.coef_ - estimator.coef_)
    change = change + (again.intercept_ - estimator.intercept_)
    n_obs, n_coefs = float(weight.sum()), len(names_of(estimator))
    change = np.sqrt(weight @ np.square(change) / n_obs)
    # A small part of the predictions' own errors, or what the tolerance leaves open.
    share = max(SAME_FIT * np.sqrt(n_coefs / n_obs), 10 * np.sqrt(estimator.tol))
    precision = 1e3 * float(np.finfo(estimator.coef_.dtype).eps)
    size = share * again.residual_scale_ + precision * float(np.abs(y).max())
    if change > size:
        raise ValueError(
            "A refit on this X, y and sample_weight has other coefficients: its "
            f"predictions are {change:.2g} away, {size:.2g} is allowed. Pass the data "
            "and the weights of the fit, with the parameters that it had, and a "
            "number as random_state of an estimator that has one."
        )


def _draw(weight: Array, groups: Index | None, random: np.random.RandomState) -> Array:
    """Return how often each row stands in a resample of rows, or of groups."""
    if groups is None:
        total = float(weight.sum())
        counts = random.multinomial(max(round(total), 1), weight / total)
        return np.asarray(counts, dtype=np.float64)
    n_groups = int(groups.max()) + 1
    times = random.multinomial(n_groups, np.full(n_groups, 1 / n_groups))
    return np.asarray(weight * times[groups])


def without_lost(draws: Array, absent: NDArray[np.bool_], names: list[str]) -> Array:
    """Return the resamples in which every column varies; say how many do not.

    A column that is constant in a resample has the coefficient 0 there, which is no
    estimate.
    """
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
