"""Which rows are far from a fit, in units of the scale that their residuals have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustreg.rows import Standard
from robustreg.scale import EPS, RESOLUTION, ROUNDING, mad, resolution

Array = NDArray[Any]

TINY = float(np.finfo(np.float64).tiny)


def flag(residual: Array, cut: float) -> NDArray[np.bool_]:
    """Return where ``abs(residual) > cut``."""
    flags: NDArray[np.bool_] = residual > cut
    flags |= residual < -cut
    return flags


def measured_scale(residual: Array, unit: float, y: Array, weight: Array) -> float:
    """Return 1.4826 times the weighted median of ``abs(residual)``, times ``unit``.

    At least what counts as 0 beside y, so that an exact fit has a scale, too.
    """
    measured = mad(residual, weight, 0) * unit
    low, high = float(y.min()), float(y.max())
    # What the resolution cannot exceed is cheaper than itself.
    most = max(RESOLUTION * (high - low), ROUNDING * EPS * max(high, -low))
    return measured if measured > most else max(measured, resolution(y, weight))


def rounding_scale(
    standard: Standard, coef: Array, intercept: float, eps: float
) -> float:
    """Return the size of the rounding errors of a typical row's prediction.

    By the typical size of each of its terms, ``abs(coef) (abs(shift) + deviation)``.
    """
    varies = standard.unit > 0
    size = np.abs(standard.shift[varies]) + 1 / standard.unit[varies]
    terms = np.append(coef[varies] * size, intercept)
    # Squares of terms beyond 1e154 would overflow.
    largest = max(float(np.abs(terms).max()), TINY)
    return max(2 * eps * largest * float(np.linalg.norm(terms / largest)), TINY)
