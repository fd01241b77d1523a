"""Which rows are far from a fit, in units of the scale that their residuals have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustreg.linalg import CANCELLED, TINY
from robustreg.rows import Standard
from robustreg.scale import (
    MAD_FACTOR,
    RESOLUTION,
    least_distance,
    mad,
    median_of_each,
)

Array = NDArray[Any]


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


def rounding_scale(standard: Standard, coef: Array, intercept: Any, eps: float) -> Any:
    """Return the size of the rounding errors of a typical row's prediction.

    By the typical size of each of its terms, ``abs(coef) (abs(shift) + deviation)``,
    of which each is rounded twice, as a product and in the sum.
    Of coef of shape (k, n_features) and intercept of shape (k,), that of each.
    """
    varies = standard.unit > 0
    size = np.abs(standard.shift[varies]) + 1 / standard.unit[varies]
    edge = np.asarray(intercept)[..., None]
    terms = np.concatenate([coef[..., varies] * size, edge], axis=-1)
    # Squares of terms beyond 1e154 would overflow.
    largest = np.maximum(np.abs(terms).max(axis=-1), TINY)
    relative = np.linalg.norm(terms / largest[..., None], axis=-1)
    return np.maximum(2 * eps * largest * relative, TINY)
