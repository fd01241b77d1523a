"""The scale at which a fit and the residuals of it agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import final

import numpy as np

from robustreg.linalg import EPS

# A fit at one scale is repeated until the scale it gives agrees to this.
SCALE_RTOL = 1e-11
# Far more than the secant method takes where it converges.
MOST_FITS = 60
# Where rounding errors or a kink in the fit keep it from that, this is agreement too.
AGREES = 1e-8
# But a scale that they hide more of is not told.
TELLING = 1e-6
# Fits in a row that do not halve the disagreement, after which the search ends.
MOST_STALLED = 15
# Between two scales whose disagreements differ by this many times more than they do,
# the fit jumps. The scale of residuals that move with the fit changes a few times as
# fast, seldom thirty times; the only optimum of a kinked loss may move faster.
STEEPEST, STEEPEST_CONTINUOUS = 40.0, 1e4
# A secant step that is this many times longer than the plain one is not to be trusted,
# unless the scale falls on and on, as it does towards a collapse.
LONGEST = 2.0
# Of two disagreements of other signs one beyond this counts as no more than so many
# times the other: what all but jumps is no guide to where it is 0.
FAR, MANY_TIMES = 1.0, 4.0


@dataclass(frozen=True)
class FixedPoint:
    """Where the scale of a fit's residuals is the scale of the fit.

    One that is neither collapsed nor converged is near, to start from.

    Parameters
    ----------
    scale : float
        The fixed point, or the floor that it was held at.
    collapsed : bool
        Whether it was held at the floor.
    converged : bool
        Whether the scale agrees with the residuals' to the tolerance.
    slope : float
        Derivative of the logarithm of measured over assumed scale by that of the
        assumed one, near the fixed point.
    disagreement : float
        Logarithm of measured over assumed scale, if that is not 0 but for rounding.
    hopeless : bool
        Whether the scale falls from there on and on, so that none agrees.
    """

    scale: float
    _: KW_ONLY
    collapsed: bool = False
    converged: bool = False
    slope: float = -1.0
    disagreement: float = 0.0
    hopeless: bool = False


def find_fixed_point(
    measure_at: Callable[[float], float],
    start: float,
    floor: float,
    slope: float = -1.0,
    rtol: float = SCALE_RTOL,
    tells_side: Callable[[], bool] = lambda: False,
    hidden: Callable[[], float] = lambda: 0.0,
    continuous: bool = False,
    most_fits: int = MOST_FITS,
) -> FixedPoint:
    """Return s with ``measure_at(s) = s``, by the secant method on log scales.

    ``measure_at(s)`` fits at scale s and returns the scale of the residuals; ``slope``
    is a guess of the derivative. Where ``tells_side`` says that the sign of what was
    measured last is known, steps that do not gain are replaced by halving the interval
    that the disagreement changes its sign in, until it is so short that the fit jumps
    there; one that is ``continuous`` seems to do so at much shorter ones only. What
    does not converge, in ``most_fits`` after the first, ends at the scale that agreed
    best. That will do if it agrees to `AGREES`, or to ``hidden``, what rounding errors
    make of the disagreement that was measured last, if that is little: there no step
    but one may gain.
    """
    x, f = float(np.log(start)), _log_excess(measure_at(start), start, floor)
    search = _Interval(x, f, tells_side(), hidden())
    steepest = STEEPEST_CONTINUOUS if continuous else STEEPEST
    reach, least, stalled, pull = LONGEST, np.inf, 0, f
    for _ in range(most_fits):
        stalled = 0 if abs(f) <= 0.5 * least else stalled + 1
        least = min(abs(f), least)
        over = stalled > MOST_STALLED or (stalled and search.is_hidden)
        if over or search.torn(steepest):
            break
        if abs(f) <= rtol:
            return FixedPoint(float(np.exp(x)), converged=True, slope=slope)
        if f == -np.inf:
            return FixedPoint(floor, collapsed=True, converged=True)
        step, most = -pull / slope, reach * abs(f)
        if not search.is_closed:
            step = float(np.clip(step, -most, most))
        # Below the floor nothing is measured: residuals are rounding errors there.
        new = max(float(np.exp(search.inside(x + step, stalled > 1))), floor)
        new_x, new_f = float(np.log(new)), _log_excess(measure_at(new), new, floor)
        before, pull = f, new_f
        reach = 2 * reach
        if new_f * f < 0:
            far = max(MANY_TIMES * min(abs(f), abs(new_f)), FAR)
            before, pull = np.clip([f, new_f], -far, far)
            reach = LONGEST
        if new_f > -np.inf and new_x != x:
            # Not 0: the step of a flat secant is limited by its reach.
            slope = min((pull - before) / (new_x - x), -EPS)
        x, f = new_x, new_f
        search.add(x, f, tells_side(), hidden())
    x, f = search.best
    if f == -np.inf:
        return FixedPoint(floor, collapsed=True, converged=True)
    done = is_agreement(f, search.hidden)
    scale = float(np.exp(x))
    return FixedPoint(scale, converged=done, slope=slope, disagreement=f)


def is_agreement(disagreement: float, hidden: float) -> bool:
    """Return whether a scale is told that agrees so well, beside rounding errors."""
    return abs(disagreement) <= AGREES or abs(disagreement) <= hidden <= TELLING


@final
class _Interval:
    """The log scales between which the disagreement changes its sign."""

    def __init__(self, x: float, f: float, known: bool, hidden: float) -> None:
        self._low = self._high = (np.nan, np.nan)
        self.best, self.hidden = (x, f), hidden
        self.add(x, f, known, hidden)

    def add(self, x: float, f: float, known: bool, hidden: float) -> None:
        """Take note of a disagreement f at x, and of its side if that is known.

        One of no more than ``hidden`` may be rounding errors.
        """
        if known and f > 0:
            self._low = (x, f)
        elif known:
            self._high = (x, f)
        if abs(f) <= abs(self.best[1]):
            self.best, self.hidden = (x, f), hidden

    @property
    def is_hidden(self) -> bool:
        """Whether the least disagreement may be rounding errors."""
        return abs(self.best[1]) <= self.hidden

    @property
    def is_closed(self) -> bool:
        """Whether both of its ends are known."""
        return not np.isnan(self._low[0] + self._high[0])

    def torn(self, steepest: float) -> bool:
        """Whether the disagreement is so steep there that it jumps."""
        (low, above), (high, below) = self._low, self._high
        return bool(above - below > steepest * abs(high - low))

    def inside(self, x: float, halve: bool) -> float:
        """Return x, or the middle of the interval if x is outside or does not gain."""
        if not self.is_closed:
            return x
        low, high = self._low[0], self._high[0]
        outside = not min(low, high) < x < max(low, high)
        return 0.5 * (low + high) if halve or outside else x


def _log_excess(measured: float, scale: float, floor: float) -> float:
    """Return by how much the log of a measured scale exceeds that of another."""
    return -np.inf if measured <= floor else float(np.log(measured / scale))
