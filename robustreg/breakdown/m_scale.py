"""M-scales of many sets of residuals at once, and the weights that belong to them."""

from __future__ import annotations

import numpy as np

from robustreg.rows import TIE, Array
from robustreg.rows.base import STRETCH

# A search for log scale goes no further than this in one step.
REACH = 3.0
# Steps that cover more than all floating point numbers: 500 steps of 3 in logarithms.
MOST_STEPS = 500


def tukey_weight(residual: Array, width: Array | float) -> Array:
    """Return ``(1 - (r / width)^2)^2``, 0 beyond the width."""
    room = 1 - np.minimum(np.abs(residual) / width, 1.0) ** 2
    return np.asarray(room * room)


def m_scales(
    residual: Array,
    weight: Array,
    constant: float,
    share: float,
    rtol: float,
    floor: float = 0.0,
) -> Array:
    """Return the s of each row of residuals with ``sum_i w_i rho(r_i / s) = share``.

    rho is Tukey's loss with supremum 1 and is reached at ``constant`` scales [1]_.
    Newton's method on log s, with bisection where it leaves what is left.

    Parameters
    ----------
    residual : ndarray of shape (n_sets, n_rows)
        Finite.
    weight : ndarray of shape (n_rows,)
        Sums to 1.
    constant : float
        Where rho ends to rise.
    share : float
        In (0, 1).
    rtol : float
        How closely log s is found.
    floor : float
        What counts as 0 of the residuals.

    Returns
    -------
    ndarray of shape (n_sets,)
        0 where no more than the share of the rows differ from 0.

    References
    ----------
    .. [1] Huber, P. J. (1981). Robust Statistics, section 5.2. Wiley.
    """
    step = max(1, STRETCH // residual.shape[1])
    parts = [
        _scales(residual[first : first + step], weight, constant, share, rtol, floor)
        for first in range(0, max(residual.shape[0], 1), step)
    ]
    return np.concatenate(parts)


def m_scale(
    residual: Array, weight: Array, constant: float, share: float, floor: float = 0.0
) -> float:
    """Return the M-scale of one set of residuals."""
    return float(m_scales(residual[None], weight, constant, share, 1e-14, floor)[0])


def _scales(
    residual: Array,
    weight: Array,
    constant: float,
    share: float,
    rtol: float,
    floor: float,
) -> Array:
    """Return the scales of some sets."""
    size = np.abs(residual)
    # What is so large pulls no more; its square might overflow.
    start = _typical(size)
    result = np.zeros(len(size))
    differ = (size > floor) @ weight > share * (1 + TIE)
    open_ = np.flatnonzero(differ & (start > 0))
    size, x = size[open_], np.log(start[open_])
    low, high = np.full(open_.size, -np.inf), np.full(open_.size, np.inf)
    for _ in range(MOST_STEPS):
        if not open_.size:
            break
        excess, slope = _excess(size, x, weight, constant, share)
        low, high = np.where(excess > 0, x, low), np.where(excess > 0, high, x)
        new = _next(x, excess, slope, low, high)
        result[open_] = np.exp(new)
        left = np.abs(new - x) > rtol
        open_, size, x = open_[left], size[left], new[left]
        low, high = low[left], high[left]
    return result


def _typical(size: Array) -> Array:
    """Return a median of each set, or the mean of its positive part if that is 0."""
    middle = size.shape[1] // 2
    median = np.partition(size, middle, axis=1)[:, middle]
    largest = size.max(axis=1)
    return np.where(median > 0, median, largest)


def _excess(
    size: Array, x: Array, weight: Array, constant: float, share: float
) -> tuple[Array, Array]:
    """Return ``mean(rho) - share`` at log scale x, and minus its derivative."""
    with np.errstate(over="ignore"):
        t = size * (np.exp(-x) / constant)[:, None]
    np.minimum(t, 1.0, out=t)
    t *= t
    room = 1 - t
    square = room * room
    t *= square
    square *= room
    return 1 - share - square @ weight, 6 * (t @ weight)


def _next(x: Array, excess: Array, slope: Array, low: Array, high: Array) -> Array:
    """Return Newton's next log scale, or the middle of the bracket."""
    step = excess / np.maximum(slope, np.abs(excess) / REACH + 1e-300)
    new = x + step
    with np.errstate(invalid="ignore"):
        middle = (low + high) / 2
    outside = (new <= low) | (new >= high)
    return np.where(outside & np.isfinite(middle) & (new != x), middle, new)
