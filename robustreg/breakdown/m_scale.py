"""M-scales of many sets of residuals at once, and the weights that belong to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustreg.breakdown.central import NOT_ZERO
from robustreg.rows import TIE, Array
from robustreg.rows.base import STRETCH
from robustreg.scale import LOG_TOL

# A search for log scale goes no further than this in one step.
REACH = 3.0
# Steps that cover more than all floating point numbers: 500 steps of 3 in logarithms.
MOST_STEPS = 500


def tukey_weight(residual: Array, width: Array | float) -> Array:
    """Return ``(1 - (r / width)^2)^2``, 0 beyond the width."""
    room = 1 - np.minimum(np.abs(residual) / width, 1.0) ** 2
    return np.asarray(room * room)


@dataclass(frozen=True)
class SCriterion:
    """What an S-estimate minimises: the M-scale of residuals [1]_.

    The s that solves ``sum_i w_i rho(r_i / s) = share``, rho being Tukey's loss with
    supremum 1, which is reached at ``constant`` scales.

    Parameters
    ----------
    constant : float
        Where rho ends to rise.
    share : float
        In (0, 1).
    floor : float
        A smaller scale counts as 0, and so do smaller residuals.

    References
    ----------
    .. [1] Huber, P. J. (1981). Robust Statistics, section 5.2. Wiley.
    """

    constant: float
    share: float
    floor: float

    def scales(self, residual: Array, weight: Array, rtol: float) -> Array:
        """Return the scale of each row of finite residuals, no less than the floor.

        Which it is where no more than the share of the rows differ from 0. By Newton's
        method on log s, up to rtol, with bisection where it leaves what is left.
        Weights sum to 1.
        """
        step = max(1, STRETCH // residual.shape[1])
        parts = [
            self._scales(residual[first : first + step], weight, rtol)
            for first in range(0, max(residual.shape[0], 1), step)
        ]
        return np.maximum(np.concatenate(parts), self.floor)

    def scale(self, residual: Array, weight: Array) -> float:
        """Return the scale of residuals to the last digits, no less than the floor."""
        return float(self.scales(residual[None], weight, LOG_TOL)[0])

    def missed(self, residual: Array, weight: Array, scales: Array) -> Array:
        """Return the mean loss of each row of residuals at given scales.

        The share, but at the floor: there the weight of the rows that are not fitted
        exactly, by which fits of the same scale are told apart.
        """
        t = np.minimum(np.abs(residual) / (self.constant * scales[:, None]), 1.0)
        return np.asarray((1 - (1 - t * t) ** 3) @ weight)

    def _scales(self, residual: Array, weight: Array, rtol: float) -> Array:
        """Return the scales of some sets, 0 where they are at the floor."""
        size = np.abs(residual)
        # What is so large pulls no more; its square might overflow.
        start = _typical(size)
        result = np.zeros(len(size))
        differ = (size > self.floor) @ weight > self.share * (1 + TIE)
        open_ = np.flatnonzero(differ & (start > 0))
        size, x = size[open_], np.log(start[open_])
        low, high = np.full(open_.size, -np.inf), np.full(open_.size, np.inf)
        for _ in range(MOST_STEPS):
            if not open_.size:
                break
            excess, slope = self._excess(size, x, weight)
            low, high = np.where(excess > 0, x, low), np.where(excess > 0, high, x)
            new = _next(x, excess, slope, low, high)
            result[open_] = np.exp(new)
            left = np.abs(new - x) > rtol
            open_, size, x = open_[left], size[left], new[left]
            low, high = low[left], high[left]
        return result

    def _excess(self, size: Array, x: Array, weight: Array) -> tuple[Array, Array]:
        """Return ``mean(rho) - share`` at log scale x, and minus its derivative."""
        with np.errstate(over="ignore"):
            t = size * (np.exp(-x) / self.constant)[:, None]
        np.minimum(t, 1.0, out=t)
        t *= t
        room = 1 - t
        square = room * room
        t *= square
        square *= room
        return 1 - self.share - square @ weight, 6 * (t @ weight)


def _typical(size: Array) -> Array:
    """Return a median of each set, or the mean of its positive part if that is 0."""
    middle = size.shape[1] // 2
    median = np.partition(size, middle, axis=1)[:, middle]
    largest = size.max(axis=1)
    return np.where(median > 0, median, largest)


def _next(x: Array, excess: Array, slope: Array, low: Array, high: Array) -> Array:
    """Return Newton's next log scale, or the middle of the bracket."""
    step = excess / np.maximum(slope, np.abs(excess) / REACH + NOT_ZERO)
    new = x + step
    with np.errstate(invalid="ignore"):
        middle = (low + high) / 2
    outside = (new <= low) | (new >= high)
    return np.where(outside & np.isfinite(middle) & (new != x), middle, new)
