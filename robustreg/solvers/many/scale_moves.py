"""How far the scale of a fit is from that of its residuals, which move with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robustreg.rows import Array, Index

# How far scales are looked for, in the first move of their logarithms, but not further
# than the second; and the most secants that find them, to a share of that move.
REACH, MOST_REACH, MOST_SECANTS, ROOT_SHARE = 10.0, 0.5, 7, 1e-2
# Such moves one after the other, until the root is found to this.
WIDER, EXACT = (3.0, 30.0, 300.0), 1e-13
# Of an even number of rows two hold the median, by about one part in as many from each
# other. Both have to be within reach.
BOTH_HOLDERS = 16.0


@dataclass(frozen=True)
class Measure:
    """How the scale of residuals is measured.

    Parameters
    ----------
    of : callable
        Returns the scale of residuals.
    along : callable
        Takes residuals, their change, a reach and the scale of residuals; returns a
        function of t, the scale of ``residual + t change`` as long as that is within
        ``exp(-reach)`` and ``exp(reach)`` times the first, else nan.
    ends : tuple of float
        Where residuals over their scale are that hold it, and that others cross when
        it changes its holders; none if all hold it.
    holders : callable or None
        Takes residuals and which of them may cross an end; returns a function of
        residuals of these, the scale of all, nan if others hold it.
    """

    of: Callable[[Array], float]
    along: Callable[[Array, Array, float, float], Callable[[float], float]]
    ends: tuple[float, ...] = ()
    holders: Callable[[Array, Index], Callable[[Array], float]] | None = None

    def beside(self, residual: Array, some: Index) -> Measure | None:
        """Return what measures the scale of all by some, the others on their side.

        None where all hold it.
        """
        if self.holders is None:
            return None
        of = self.holders(residual, some)

        def along(
            few: Array, change: Array, reach: float, measured: float
        ) -> Callable[[float], float]:
            return lambda t: of(few + t * change)

        return Measure(of, along)


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
    reach = _reach(REACH * abs(move), residual.size)
    along = measure.along(residual, -change, reach, measured)
    exact = ROOT_SHARE * abs(move)
    return _root(lambda t: _log(along(t) / scale) - t, move, move, exact)[0]


def share_of(
    measure: Measure, scale: float, residual: Array, change: Array
) -> tuple[float, float]:
    """Return t with ``scale (1 + t)`` the scale of ``residual - t change``.

    And by how much their logarithms are still off, infinite if that is not known.
    """
    measured = measure.of(residual)
    move = _log(measured / scale)
    if move == 0 or not measured > 0:
        return 0.0, np.inf if move else 0.0
    first, change = float(np.expm1(move)), -change
    for wider in WIDER:
        reach = _reach(wider * abs(move), residual.size)
        along = measure.along(residual, change, reach, measured)

        def excess(t: float, along: Callable[[float], float] = along) -> float:
            return _log(along(t) / (scale * (1 + t)))

        t, left = _root(excess, first, move, EXACT)
        if left <= EXACT or reach == MOST_REACH:
            break
    return t, left


def _log(ratio: float) -> float:
    """Return a logarithm, nan if there is none."""
    return float(np.log(ratio)) if ratio > 0 else np.nan


def _reach(wanted: float, n_rows: int) -> float:
    """Return how far a scale is looked for, if that is wanted."""
    return min(max(wanted, BOTH_HOLDERS / n_rows), MOST_REACH)


def _root(
    excess: Callable[[float], float], first: float, at_zero: float, exact: float
) -> tuple[float, float]:
    """Return where the size of an excess is no more than is exact, and it, by secants.

    The first move itself where the excess is not known, which is infinite then.
    """
    low, at_low, high = 0.0, at_zero, first
    for number in range(MOST_SECANTS):
        at_high = excess(high)
        if not np.isfinite(at_high):
            return first, np.inf
        flat = at_high == at_low or number == MOST_SECANTS - 1
        if abs(at_high) <= exact or flat:
            break
        slope = (at_high - at_low) / (high - low)
        low, at_low, high = high, at_high, high - at_high / slope
    return high, abs(at_high)
