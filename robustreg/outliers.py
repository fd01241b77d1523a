"""Which rows are far from a fit, in units of the scale that their residuals have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustreg.linalg import CANCELLED, TINY
from robustreg.rows import Rows, Standard, typical_original_terms
from robustreg.scale import (
    MAD_FACTOR,
    RESOLUTION,
    least_distance,
    mad,
    median_of_each,
)

Array = NDArray[Any]

# A median is at most this many times the root mean square: the root of 2, and as much
# again for moments of a sample.
MOST_TYPICAL = 2.0


def flag(residual: Array, cut: float | Array) -> NDArray[np.bool_]:
    """Return where ``abs(residual) > cut``."""
    flags: NDArray[np.bool_] = residual > cut
    flags |= residual < -cut
    return flags


def measured_scale(residual: Array, unit: float, y: Array, weight: Array) -> float:
    """Return 1.4826 times the weighted median of ``abs(residual)``, times ``unit``.

    At least what counts as 0 beside y, so that an exact fit has a scale, too.
    """
    measured = mad(residual, weight, 0) * unit
    # What it cannot exceed is cheaper than itself.
    most = _most_distance(y.min(), y.max())
    return measured if measured > most else max(measured, least_distance(y, weight))


def measured_scales(residual: Array, unit: Array, y: Array, weight: Array) -> Array:
    """Return the `measured_scale` of each of k targets, from arrays of shape (k, n)."""
    measured = MAD_FACTOR * median_of_each(np.abs(residual), weight) * unit
    most = _most_distance(y.min(axis=1), y.max(axis=1))
    for i in np.flatnonzero(~(measured > most)):
        measured[i] = max(measured[i], least_distance(y[i], weight))
    return measured


def _most_distance(low: Any, high: Any) -> Any:
    """Return what it cannot exceed for targets between two values."""
    size = np.maximum(high, -low)
    return np.maximum(RESOLUTION * (high - low), CANCELLED * size)


def rounding_scale(
    rows: Rows, weight: Array, coef: Array, intercept: Any, eps: float, scale: float
) -> float:
    """Return the rounding error of a typical row's prediction, as it is stored.

    Each of its terms is rounded twice, as a product and in the sum. Next to nothing
    where it is sure to be less than a scale: what columns are in the mean tells that.
    """
    most = _mean_terms(rows.standard, coef, intercept)
    if scale > MOST_TYPICAL * 2 * eps * most:
        return TINY
    return max(2 * eps * typical_original_terms(rows, weight, coef, intercept), TINY)


def _mean_terms(standard: Standard, coef: Array, intercept: Any) -> float:
    """Return the root sum of squares of terms of the size that their columns have."""
    varies = standard.unit > 0
    size = np.abs(standard.shift[varies]) + 1 / standard.unit[varies]
    terms = np.append(coef[varies] * size, intercept)
    # Squares of terms beyond 1e154 would overflow.
    largest = max(float(np.abs(terms).max()), TINY)
    return largest * float(np.linalg.norm(terms / largest))
