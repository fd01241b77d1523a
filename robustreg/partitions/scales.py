"""The scale of all rows' residuals, near where a pass was made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from robustreg.partitions.sums import Asked
from robustreg.partitions.whole import Reading, Whole
from robustreg.rows import TIE, Array
from robustreg.scale import (
    MAD_FACTOR,
    mad,
    median_beside,
    proposal2_share,
    proposal2_spread,
)

# ``excess(params, scale)``, the first in units of the second, is the logarithm of the
# residuals' scale over it; nan if that is out of sight.
Excess = Callable[[Array, float], float]
# Makes one of what a pass showed.
ExcessOf = Callable[[Whole, Reading], Excess]

# The median of a sample's absolute residuals is off by about one over the root of its
# size, in logarithms: eight of these hold that of all rows.
ERRORS = 8.0
# Later passes know that of all rows beside the sample's: what they differ by changes
# with the rows that a step takes past the median.
ERRORS_LATER = 6.0
# A window holds so many rows at least, if they are spread as widely as their sizes.
FEWEST_ROWS = 64
# A window that missed the median is widened.
WIDER = 8.0


@final
@dataclass(frozen=True)
class Window:
    """The absolute residuals among which the median of all is looked for.

    Parameters
    ----------
    scale : float
        1.4826 times the median that is expected, in units of y.
    reach : float
        By how much its logarithm may be off.
    floor : float
        The scale below which residuals count as 0, in units of y.
    share : float, default=1
        The MAD of all rows over that of the sample, where it was last seen.
    """

    scale: float
    reach: float
    floor: float
    share: float = 1.0

    def of(self, whole: Whole, asked: Asked) -> Asked:
        """Return the question with this window, of some of its rows if they are many.

        Its median is then known well enough for a narrower one.
        """
        unit, factor = MAD_FACTOR * asked.scale, float(np.exp(self.reach))
        low = max(self.scale / factor, self.floor) / unit
        high = max(self.scale * factor / unit, low)
        few = whole.few(asked)
        size = np.abs(few.residual(asked.params))
        share = float(few.weight @ ((size >= low) & (size < high)))
        most = whole.drawn.drawing.near(asked.params.size)
        rate = most / max(share * whole.engine.n_rows, most)
        return replace(asked, window=(low, high), rate=rate)

    def wider(self) -> Window:
        """Return the window after one that missed."""
        return replace(self, reach=WIDER * self.reach)

    def after(self, whole: Whole, reading: Reading, there: Asked) -> Window:
        """Return the window of the next pass."""
        if not np.isfinite(mad_of(whole, reading)):
            return self.wider()._around(whole, there)
        return self._narrower(whole, reading, there)

    def _around(self, whole: Whole, there: Asked) -> Window:
        """Return the window around the scale that is expected there."""
        return replace(self, scale=self.share * sample_mad(whole, there))

    def _narrower(self, whole: Whole, reading: Reading, there: Asked) -> Window:
        """Return the window after one that showed the median."""
        here, mad = reading.asked, mad_of(whole, reading)
        before = sample_mad(whole, here)
        share = mad / before if before > 0 else 1.0
        passed = _step(whole, here, there) / mad if mad > 0 else 1.0
        reach = ERRORS_LATER * np.sqrt(min(passed, 1.0) / whole.problem.y.size)
        least = FEWEST_ROWS / whole.engine.n_rows
        if here.rate < 1:
            least = max(least, ERRORS * self.reach / np.sqrt(reading.near.number.size))
        new = replace(self, reach=float(max(reach, least)), share=share)
        return new._around(whole, there)


def _step(whole: Whole, here: Asked, there: Asked) -> float:
    """Return the mean size of what a step changes predictions by, in units of y."""
    few = whole.few(here)
    step = there.params * there.scale - here.params * here.scale
    return float(few.weight @ np.abs(few.rows.predict(step)))


def first_window(whole: Whole, asked: Asked) -> Window:
    """Return the window around the scale that the sample's residuals have there."""
    reach = float(ERRORS / np.sqrt(whole.problem.y.size))
    return Window(sample_mad(whole, asked), reach, whole.sample.floor)


def seen_or(excess: Excess, window: Window, whole: Whole, asked: Asked) -> Excess:
    """Return an excess, and where it is out of sight what the sample says of it."""

    def anywhere(params: Array, scale: float) -> float:
        off = excess(params, scale)
        if not np.isnan(off):
            return off
        there = replace(asked, params=params, scale=scale)
        return float(np.log(window.share * sample_mad(whole, there) / scale))

    return anywhere


def sample_mad(whole: Whole, asked: Asked) -> float:
    """Return the MAD of the sample's residuals, in units of y."""
    few = whole.few(asked)
    return asked.scale * mad(few.residual(asked.params), few.weight, 0)


def mad_of(whole: Whole, reading: Reading) -> float:
    """Return the MAD of all residuals in units of y, nan if it was out of sight."""
    scale = reading.asked.scale
    return float(scale * np.exp(mad_excess(whole, reading)(reading.params, scale)))


def mad_excess(whole: Whole, reading: Reading) -> Excess:
    """Return the excess of the MAD, from the rows in the window.

    Minus infinity if half of the residuals are below the scale that counts as 0.
    """
    asked, near = reading.asked, reading.near
    rows, unit = asked.rows(near), asked.scale
    target = near.y[:, asked.target] - asked.center
    low, high = (end * unit for end in asked.window)
    nothing = MAD_FACTOR * low <= whole.sample.floor * (1 + TIE)
    collapsed = nothing and 2 * reading.below > whole.total

    def excess(params: Array, scale: float) -> float:
        size = np.abs(target - scale * rows.predict(params))
        if collapsed:
            return -np.inf
        median = median_beside(size, near.weight, reading.below, whole.total)
        if median is None or not low <= median <= high:
            return float("nan")
        return float(np.log(MAD_FACTOR * median / scale))

    return excess


def proposal2_excess(whole: Whole, reading: Reading) -> Excess:
    """Return that of proposal 2: what all rows differ by from the sample stays."""
    share = proposal2_share(whole.sample.rank, whole.total)
    spread = proposal2_spread
    few = whole.few(reading.asked)
    more = reading.spread - spread(few.residual(reading.params), few.weight)

    def excess(params: Array, scale: float) -> float:
        objective = whole.sample.objective(scale, reading.asked.loss)
        sum_of_all = spread(objective.residual(params), objective.weight) + more
        return 0.5 * float(np.log(sum_of_all / share)) if sum_of_all > 0 else -np.inf

    return excess


def m_scale_excess(share: float) -> ExcessOf:
    """Return that of an M-scale: the mean loss is a share of the largest."""

    def excess_of(whole: Whole, reading: Reading) -> Excess:
        few, loss = whole.few(reading.asked), reading.asked.loss
        aim = share * loss.facts.largest_value
        more = reading.value - few.evaluate(reading.params).value

        def excess(params: Array, scale: float) -> float:
            objective = whole.sample.objective(scale, loss)
            mean = objective.evaluate(params).value + more
            return 0.5 * float(np.log(mean / aim)) if mean > 0 else -np.inf

        return excess

    return excess_of


EXCESSES: dict[str, ExcessOf] = {"mad": mad_excess, "proposal2": proposal2_excess}
# Those of which a window shows all that matters, for residuals at any scale.
SEEN_AT_ONCE = frozenset({"mad"})
