"""Huber's proposal 2: the scale of the mean square of clipped residuals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from robustreg.rows import representatives

Array = NDArray[Any]

# Huber's proposal 2 clips at this many scales, as MASS does.
PROPOSAL2_CLIP = 1.345
# Beside the largest residual, in logarithms, none is so small, for numbers span 1455,
# and no scale is so large: it is at most 1.7 times that residual. Its logarithm is
# found to the last figure.
SMALLEST_LOG, LARGEST_LOG, LOG_TOL = -1500.0, 40.0, 1e-14
# Of more values a sample's scale is found first, and then a few steps on from it.
MOST_SEARCHED, MOST_NEAR = 2**14, 20


def proposal2(residual: Array, weight: Array, n_params: int) -> float:
    """Return Huber's proposal 2 [1]_ for given residuals.

    The s that solves ``sum_i w_i min(r_i^2 / s^2, k^2) = gamma (sum(w) - n_params)``
    with ``k = 1.345`` and gamma the expectation at the Gaussian, as MASS ``rlm`` does.
    Weights count rows, and n_params independent ones. With more params than half of
    the rows, half of the rows replaces the divisor.

    References
    ----------
    .. [1] Huber, P. J. (1981). Robust Statistics, section 7.7. Wiley.
    """
    total = float(weight.sum())
    share = proposal2_share(n_params, total)
    size, weight = np.abs(residual), weight / total
    if size.size > MOST_SEARCHED:
        some, each = representatives(weight, MOST_SEARCHED)
        near = _clipped_scale(size[some], each, share)
        found = _clipped_scale_from(near, size, weight, share)
        if found is not None:
            return found
    return _clipped_scale(size, weight, share)


def _clipped_scale(size: Array, weight: Array, share: float) -> float:
    """Return the scale at which the mean clipped square of sizes is a share."""
    k, largest = PROPOSAL2_CLIP, float(size[weight > 0].max())
    if largest == 0:
        return 0.0
    with np.errstate(divide="ignore"):
        log_size = np.log(size / largest)

    def excess(log_scale: float) -> float:
        # In logarithms: an outlier may be 1e300 times the rest.
        clipped = np.exp(np.minimum(log_size - log_scale, np.log(k)))
        return float(weight @ (clipped * clipped)) - share

    # Too many residuals are 0, if those that are not cannot make up the share.
    if excess(SMALLEST_LOG) <= 0:
        return 0.0
    root = brentq(excess, SMALLEST_LOG, LARGEST_LOG, xtol=LOG_TOL, rtol=LOG_TOL)
    return float(largest * np.exp(root))


def _clipped_scale_from(
    scale: float, size: Array, weight: Array, share: float
) -> float | None:
    """Return the same from near it, by Newton's method, None where that fails.

    In ``1 / s^2`` the mean is concave and piecewise linear: after one step all go up,
    and the last is exact.
    """
    for _ in range(MOST_NEAR):
        clip, before = PROPOSAL2_CLIP * scale, scale
        inner = weight * (size <= clip)
        left = share - PROPOSAL2_CLIP**2 * (float(weight.sum()) - float(inner.sum()))
        if not (scale > 0 and left > 0):
            return None
        # What is clipped is left out of the square, which it might exceed.
        ratio = np.minimum(size, clip) / scale
        scale *= float(np.sqrt(inner @ (ratio * ratio) / left))
        if abs(scale - before) <= LOG_TOL * before:
            return scale
    return None


def proposal2_of_each(
    residual: Array, weights: Array, n_params: int
) -> tuple[Array, Array]:
    """Return the proposal 2 of each row of residuals, and its gradient by these.

    Between two sizes at which residuals begin to be clipped the equation is linear in
    ``1 / s^2``.

    Parameters
    ----------
    residual, weights : ndarray of shape (n_fits, n_rows)
        Residuals, and how often each stands.
    n_params : int
        As for `proposal2`.
    """
    most, order = PROPOSAL2_CLIP**2, np.argsort(np.abs(residual), axis=1)
    square = np.take_along_axis(residual, order, axis=1) ** 2
    count = np.take_along_axis(weights, order, axis=1)
    inner = np.cumsum(count * square, axis=1)
    sums = np.cumsum(count, axis=1)
    total = sums[:, -1]
    wanted = proposal2_share(n_params, total) * total
    outer = most * (total[:, None] - sums)
    # The excess at the scale that clips beyond each row, which falls from row to row.
    ratio = np.divide(inner, square, out=np.zeros_like(inner), where=square > 0)
    passed = most * ratio + outer <= wanted[:, None]
    last = np.where(passed.any(axis=1), passed.argmax(axis=1), square.shape[1]) - 1
    each = np.arange(len(square))
    some, left = np.where(last >= 0, [inner[each, last], outer[each, last]], 0.0)
    room = np.where(last >= 0, wanted - left, wanted - most * total)
    scale = np.sqrt(np.where(room > 0, some / np.where(room > 0, room, 1.0), 0.0))
    is_inner = np.abs(residual) <= PROPOSAL2_CLIP * scale[:, None]
    size = np.where(scale > 0, scale * room, np.inf)
    return scale, weights * residual * is_inner / size[:, None]


def proposal2_spread(residual: Array, weight: Array) -> float:
    """Return the mean of ``min(r^2, k^2)`` of residuals in units of a scale."""
    clipped = np.minimum(np.abs(residual), PROPOSAL2_CLIP)
    return float(weight @ clipped**2)


def proposal2_share(n_params: int, total: Any) -> Any:
    """Return what the mean of ``min(r^2 / s^2, k^2)`` is at the scale of proposal 2.

    Of one total of weights, or of each of several.
    """
    left = np.maximum(1 - n_params / total, 0.5)
    return mean_clipped_square(PROPOSAL2_CLIP) * left


def mean_clipped_square(k: float) -> float:
    """Return the expectation of ``min(Z^2, k^2)`` at the Gaussian."""
    inner = 2 * norm.cdf(k) - 1
    return float(inner + k * k * (1 - inner) - 2 * k * norm.pdf(k))
