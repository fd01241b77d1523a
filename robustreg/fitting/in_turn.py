"""Fits at one scale after the other, on the way to the one that agrees."""

from __future__ import annotations

from typing import final

import numpy as np

from robustreg.fitting.any_scale import AnyScale
from robustreg.scale import TELLING, FixedPoint
from robustreg.solvers.newton import INNER_ITERATIONS

# A scale that its fit agrees with to this share, of a loss that is not convex, is worth
# more than none: the fit through half of the rows, which it has at any scale.
NEARLY = 0.1
# A fall of the scale below this share of the last one is likely one to 0.
FAR_BELOW = 0.1
# A fit at a scale that is off is made to this share of the square of that.
ROUGHLY = 1e-3
# Where a penalty outweighs the residuals rounding errors leave no smaller tolerance.
CLOSEST = 1e-13
# The root of a gap bounds how far half of the rows may move, with room for weights.
SURELY = 0.1


@final
class FitsInTurn:
    """Fits of a problem, of which each tells the scale of its residuals.

    Of a loss that is not convex each starts in the valley of the fit that agreed best:
    the valley of a scale that was much too small, where the loss rejects every row,
    would hold all fits after it. Residuals that are no more than rounding errors of a
    fit have no scale, and raise the floor to these. No fit is rough if all are to be
    made ``exactly``.
    """

    def __init__(self, scaled: AnyScale, exactly: bool) -> None:
        self.floor = scaled.floor
        facts = scaled.problem.loss.facts
        self._convex = facts.convex
        self._smooth = facts.smooth
        # A kinked fit is exact in any case, and one that starts with its scale near is
        # made so. These two may jump as the scale moves.
        bent = facts.convex and not facts.piecewise_linear
        self.rough = bent and not exactly
        self._enough = ROUGHLY if self.rough else 0.0
        # Of the objective: the penalty, where it outweighs all residuals.
        self._size = 1.0
        self._scaled = scaled
        self._ratio = 1.0
        self.tol, self._least, self._best = scaled.problem.tol, np.inf, scaled.kept()
        self._best_tol = self.tol
        # Where the scale all but agreed with its fit, if anywhere.
        self.nearest: FixedPoint | None = None

    def measure_at(self, scale: float) -> float:
        """Return the scale of the residuals of the fit at a scale."""
        if not self._convex or self._is_nearer(scale):
            self._scaled.restore(self._best)
        # Where residuals of the fit before are rounding errors, a fit may be any.
        scale = max(scale, self._scaled.rounding())
        falls = self._smooth and scale < FAR_BELOW * self._scaled.scale
        again = scale == self._scaled.scale
        # Of a rough fit the rows that tell the scale may be off by all of it, and what
        # is asked for once more was too rough to tell its side.
        if again or (falls and self._scaled.follow(scale)):
            self._enough = 0.0
        exact = self._exact()
        self.tol = max(exact, self._enough)
        # A fit that needs many steps left its valley, which is all that it has to tell.
        most = self._scaled.problem.max_iter if self._convex else INNER_ITERATIONS
        rough = self.tol > exact
        # Which of several optima it is matters for the last fit, which this may be.
        anyone = self.tol > self._scaled.problem.tol
        residual = self._scaled.fit(scale, self.tol, most, any_optimum=anyone)
        ratio = self._scaled.measure(residual)
        if rough and _distance(ratio) > self._least:
            # What a rough fit says that does not gain may be no more than rough.
            self.rough, self.tol = False, exact
            ratio = self._scaled.measure(self._scaled.fit(scale, self.tol, most))
        self._ratio, away = ratio, _distance(ratio)
        if self._convex and self._smooth:
            last = self._scaled.last.point
            penalty = last.objective.penalty.value(last.params[:-1])
            self._size = max(1.0, penalty)
        self._enough = self._roughly(ratio)
        if ratio * scale <= self._scaled.rounding():
            self.floor = max(self.floor, self._scaled.rounding())
            return 0.0
        # What has collapsed agrees with nothing, as the search sees it.
        if ratio * scale > self._scaled.floor and away <= self._least:
            self._least, self._best = away, self._scaled.kept()
            self._best_tol = self.tol
            if away <= NEARLY:
                log_ratio = float(np.log(ratio))
                self.nearest = FixedPoint(scale, disagreement=log_ratio)
        return ratio * scale

    def _exact(self) -> float:
        """Return the tolerance of a fit whose scale is told to the last digits.

        Of a penalty that outweighs the residuals more would be lost on all of these.
        """
        tol = self._scaled.problem.tol
        return min(tol, max(tol / self._size, CLOSEST))

    def _roughly(self, ratio: float) -> float:
        """Return the tolerance of the next fit, 0 if it is to be made as asked for.

        A gap goes with the square of a distance: the fit is closer than the scale.
        """
        if not (self.rough and ratio > 0):
            return 0.0
        return ROUGHLY * min(_distance(ratio), 1.0) ** 2 / self._size

    def _is_nearer(self, scale: float) -> bool:
        """Return whether the fit that agreed best is nearer to a scale than the last.

        The way from one that was much too far is long.
        """
        best, last = self._best[1], self._scaled.scale
        return self._smooth and _distance(scale / best) < _distance(scale / last)

    def tells_side(self) -> bool:
        """Return whether the last fit is on the side of the scale that it says.

        A rough one if it is certified so closely that residuals far below the scale
        stay there: with more curvature than at the scale.
        """
        short = max(1.0 - self._ratio, 0.0)
        is_sure = self._convex and self._scaled.last.gap <= (SURELY * short) ** 2
        return bool(is_sure or self.tol <= self._scaled.problem.tol)

    def hidden(self) -> float:
        """Return what errors of the last fit may make of its scale.

        Those of rounding, and that a gap is not 0 where the penalty outweighs all.
        """
        scaled = self._scaled
        # Of the residuals, and of the slopes that these are to have.
        rounding = 2 * scaled.rounding() / scaled.scale
        # The root bounds it from far above: more than is told is not left to it.
        missed = min(np.sqrt(scaled.last.gap), TELLING) if self._size > 1 else 0.0
        return float(min(max(rounding, missed), NEARLY))

    def back_to_best(self) -> None:
        """Make the fit that agreed best the last one."""
        self._scaled.restore(self._best)
        self.tol = self._best_tol


def _distance(ratio: float) -> float:
    """Return how far the logarithm of a ratio is from 0."""
    return abs(float(np.log(ratio))) if ratio > 0 else np.inf
