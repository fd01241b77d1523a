"""The bootstrap: fits of resampled rows, by weights that count them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import clone

from robustreg.inference.checks import coefficients_of
from robustreg.rows import Array, Index

# With more resamples lost than this share, those left say too little.
MOST_LOST = 0.5


def resampled_coefficients(
    estimator: Any,
    X: Any,
    y: Array,
    weight: Array,
    groups: Index | None,
    n_bootstrap: int,
    random: np.random.RandomState,
) -> tuple[Array, int]:
    """Return the coefficients of resamples, a row each, and how many fits warned.

    X is never copied: a resample is a weight for each row, how often it was drawn.
    """
    draws, warned = [], 0
    for _ in range(n_bootstrap):
        counts = _draw(weight, groups, random)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = clone(estimator).fit(X, y, sample_weight=counts)
        warned += bool(caught)
        draws.append(coefficients_of(model))
    return np.array(draws), warned


def _draw(weight: Array, groups: Index | None, random: np.random.RandomState) -> Array:
    """Return how often each row stands in a resample of rows, or of groups."""
    if groups is None:
        total = float(weight.sum())
        counts = random.multinomial(max(round(total), 1), weight / total)
        return np.asarray(counts, dtype=np.float64)
    n_groups = int(groups.max()) + 1
    times = random.multinomial(n_groups, np.full(n_groups, 1 / n_groups))
    return np.asarray(weight * times[groups])


def without_lost(draws: Array, coef: Array, names: list[str]) -> Array:
    """Return the resamples in which every column varies; say how many do not.

    A column without a row in a resample gets the coefficient 0 there, which is no
    estimate. For fits without a penalty, whose coefficients are not 0 otherwise.
    """
    absent = (draws == 0) & (coef != 0)
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
