"""How far the scale of a fit is from that of its residuals, which move with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robustreg.rows import Array

# How far scales are looked for, in the first move of their logarithms, but not further
# than the second; and the most secants that find them, to a share of that move.
REACH, MOST_REACH, MOST_SECANTS, ROOT_SHARE = 10.0, 0.5, 6, 1e-2


@dataclass(frozen=True)
class Measure:
    """How the scale of residuals is measured.

    Parameters
    ----------
    of : callable
        Returns the scale of residuals.
    along : callable
        Takes residuals, their change and a reach; returns a function of t, the scale of
        ``residual + t change`` as long as that is within ``exp(-reach)`` and
        ``exp(reach)`` times the first, else nan.
    """

    of: Callable[[Array], float]
    along: Callable[[Array, Array, float], Callable[[float], float]]


def move_of(
    measure: Measure, scale: float, residual: Array, change: Array | None
) -> float:
    """Return how far the logarithm of a scale is from that of the residuals.

    Of residuals that fall by so much for each unit of it; infinite if they have none.
    """
    measured = measure.of(residual)
    if not measured > 0:
        return np.inf
    move = float(np.log(measured / scale))
    if move == 0 or change is None:
        return move
    reach = min(REACH * abs(move), MOST_REACH)
    return _root(measure.along(residual, -change, reach), scale, move)


def _root(along: Callable[[float], float], scale: float, first: float) -> float:
    """Return t with ``along(t) = scale exp(t)`` but for a share, by secants."""
    low, at_low, high = 0.0, first, first
    for _ in range(MOST_SECANTS):
        measured = along(high)
        if not measured > 0:
            return first
        at_high = float(np.log(measured / scale)) - high
        if abs(at_high) <= ROOT_SHARE * abs(first) or at_high == at_low:
            break
        slope = (at_high - at_low) / (high - low)
        low, at_low, high = high, at_high, high - at_high / slope
    return high
