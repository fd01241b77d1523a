"""Rows standardised by those that are near: far ones would take all others' digits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustreg.linalg import FAR
from robustreg.rows import (
    TIE,
    Array,
    Rows,
    Standard,
    prepared,
    rows_in,
    rows_within,
    sampled_columns,
    standard_of,
)


def typical_rows(X: Any, weight: Array, intercept: bool, exactly: bool = False) -> Rows:
    """Return rows as `make_rows` does, standardised by those without a far entry.

    Beside an outlier of 1e16 in the moments, others would have no digits left.
    """
    X = prepared(X)
    by_all = standard_of(X, weight, intercept, exactly)
    near = near_rows(X, weight)
    return rows_in(X, _by_near(X, weight * near, weight, by_all))


def _by_near(X: Any, kept: Array, weight: Array, by_all: Standard) -> Standard:
    """Return the standardisation by the weight that is kept.

    The one by all, as given, if none is far, if most are, or if a column varies in far
    rows only.
    """
    few = 2 * kept.sum() < weight.sum()
    if few or np.count_nonzero(kept) == np.count_nonzero(weight):
        return by_all
    by_near = standard_of(X, kept, by_all.constant > 0, exactly=True)
    return by_near if ((by_near.unit > 0) >= (by_all.unit > 0)).all() else by_all


def near_rows(X: Any, weight: Array, farthest: float = FAR) -> NDArray[np.bool_]:
    """Return which rows have no entry far from the median of its column.

    Far is so many times as far as entries of the column typically are.
    """
    some, share = sampled_columns(X, weight)
    bounds = [_typical_range(columns, share, farthest) for columns in some]
    low, high = np.concatenate(bounds, axis=1)
    return rows_within(X, low, high)


def _typical_range(columns: Array, weight: Array, farthest: float) -> Array:
    """Return the bounds beyond which entries of each column are far.

    Where most entries are equal, those that differ say what is typical.
    """
    every = np.broadcast_to(weight[:, None], columns.shape)
    middle = _medians(columns, every)
    size = np.abs(columns - middle)
    deviation = _medians(size, every)
    if not deviation.all():
        others = _medians(size, weight[:, None] * (size > 0))
        deviation = np.where(deviation > 0, deviation, others)
    reach = np.where(deviation > 0, farthest * deviation, np.inf)
    return np.array([middle - reach, middle + reach])


def _medians(columns: Array, weight: Array) -> Array:
    """Return the lower weighted median of each column, 0 for one without weight."""
    order = np.argsort(columns, axis=0)
    sums = np.cumsum(np.take_along_axis(weight, order, axis=0), axis=0)
    half = (sums < (0.5 - TIE) * sums[-1:]).sum(axis=0)
    place = np.minimum(half, len(columns) - 1)
    found = np.take_along_axis(columns, order, axis=0)[place, np.arange(place.size)]
    return np.where(sums[-1] > 0, found, 0.0)
