"""A smooth fit of all rows, and its scale at the same time: a pass a step.

A pass at params and scale tells value and gradient of all rows, and the rows near the
median of their absolute residuals. The client moves to the minimum of the sample's
objective with that gradient, at the scale that residuals have there. Where the sample's
curvature is no guide, passes bring the Gram matrix of all rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from robustreg.losses import Loss
from robustreg.partitions.scales import (
    ExcessOf,
    first_window,
    mad_excess,
    mad_of,
)
from robustreg.partitions.sums import Asked
from robustreg.partitions.whole import Reading, Whole, model_at
from robustreg.rows import Array
from robustreg.scale import AGREES, find_fixed_point
from robustreg.solvers import Start, solve
from robustreg.solvers.newton import INNER_ITERATIONS
from robustreg.solvers.subsampled import POOR, decrement
from robustreg.tolerance import allowed_gap

# A step is exact, beside the pass that it is for; so is the scale that goes with it.
STEP_TOL, STEP_RTOL = 1e-14, 1e-12
# Each pass gains a digit at least: these gain all, and make good for a sample that is
# no guide.
MOST_PASSES = 25
# What is asked of the curvature of all rows where steps by another gained little. Far
# away no row may lose its own; near by parabolas are slow; and beside a row far out the
# Gram matrix has no digits, which the rows of the sample have.
IN_TURN: dict[float | None, float | None] = {None: 1.0, 1.0: 0.0, 0.0: None}


class OutOfSightError(Exception):
    """The scale of the residuals is not within the window."""


@final
@dataclass(frozen=True)
class Found:
    """What a pass showed of the fit at its params.

    Parameters
    ----------
    reading : Reading
        The pass.
    gap, allowed : float
        A bound on the excess of the objective, and how large it may be; of a loss that
        is not convex the relative violation of the optimality condition.
    left : float
        What the sample's Hessian says is left to gain.
    off : float
        Logarithm of the residuals' scale over that of the fit; 0 if that is given, nan
        if it was out of sight.
    mad : float
        1.4826 times the median of the absolute residuals, in units of y; nan if it was
        out of sight.
    """

    reading: Reading
    gap: float
    allowed: float
    left: float
    off: float
    mad: float

    @property
    def success(self) -> bool:
        """Whether the gap is allowed and the scale agrees."""
        return self.gap <= self.allowed and abs(self.off) <= AGREES


@final
class Descent:
    """The way down of a smooth loss.

    Parameters
    ----------
    whole : Whole
        The rows.
    loss : Loss
        The loss.
    excess_of : callable or None
        Makes the excess of the residuals' scale of a reading, as those in `EXCESSES`;
        None if the scale is given.
    tol : float
        Done when the certified gap is allowed by `allowed_gap`.
    center : float or None
        What counts as 0 of the target, if it is not the median.
    """

    def __init__(
        self,
        whole: Whole,
        loss: Loss,
        excess_of: ExcessOf | None,
        tol: float,
        center: float | None = None,
    ) -> None:
        self.whole, self.loss, self.tol = whole, loss, tol
        self._excess_of = excess_of
        # Of other scales the MAD is of no account.
        self._watches = excess_of in (None, mad_excess)
        self._center = whole.center if center is None else center

    def _asked(self, params: Array, scale: float) -> Asked:
        """Return where a pass is made."""
        asked = self.whole.asked(self.loss, params, scale)
        return replace(asked, center=self._center)

    def run(self, params: Array, scale: float, most: int = MOST_PASSES) -> Found:
        """Return the fit, or what ``most`` passes made of it.

        Parameters
        ----------
        params : ndarray of shape (n_params,)
            The fit of the sample, in units of the scale.
        scale : float
            The scale, or that of the sample.
        """
        # Of constant curvature that of all rows ends it.
        majorised = 0.0 if self.loss.facts.quadratic else None
        if majorised is not None:
            params = self._foreseen(params, scale)
        window, left = first_window(self.whole, self._asked(params, scale)), np.inf
        best = None
        for _ in range(most):
            if best is not None and self.whole.engine.stopped:
                break
            asked = window.of(self.whole, self._asked(params, scale))
            found = self._found(self.whole.read(replace(asked, majorised=majorised)))
            if self._is_done(found):
                return found
            if best is not None and self._has_risen(found, best):
                params, majorised = 0.5 * (params + best.reading.params), 1.0
                continue
            if best is not None and found.left > POOR * left:
                majorised = IN_TURN[best.reading.asked.majorised]
            best, left = found, found.left
            try:
                params, new = self.moved(found, majorised is not None)
            except OutOfSightError:
                window, left = window.wider(), np.inf
                continue
            scale = new
            window = window.after(self.whole, found.reading, self._asked(params, scale))
        return found if best is None else best

    def _has_risen(self, found: Found, best: Found) -> bool:
        """Return whether a step went up, which is known where the scale is given."""
        rise = found.reading.value - best.reading.value
        return self._excess_of is None and not rise <= best.allowed

    def _is_done(self, found: Found) -> bool:
        """Return whether nothing is left to do or to see."""
        collapsed = found.off == -np.inf
        exact = found.reading.asked.rate == 1 and bool(np.isfinite(found.mad))
        seen = exact or not self._watches
        return collapsed or (found.success and seen)

    def _found(self, reading: Reading) -> Found:
        """Return what a pass showed."""
        point, scale = self.whole.at(reading), reading.asked.scale
        off = 0.0
        if self._excess_of is not None:
            off = self._excess_of(self.whole, reading)(reading.params, scale)
        if self.loss.facts.convex:
            gap = self.whole.gap(reading)
            allowed = allowed_gap(point.objective, point, self.tol)
            left = decrement(model_at(point), point)
        else:
            gap, allowed = self.whole.stationarity(reading), self.tol
            left = gap**2
        return Found(reading, gap, allowed, left, off, mad_of(self.whole, reading))

    def moved(self, found: Found, by_gram: bool = False) -> tuple[Array, float]:
        """Return the params and the scale to look at next, by all rows' Gram matrix.

        If there is one: else by the curvature of the sample.
        """
        reading, unit = found.reading, found.reading.asked.scale
        fit_at = self._model_fit(reading, by_gram and reading.gram.size > 0)
        if self._excess_of is None:
            return fit_at(unit), unit
        if not np.isfinite(found.off):
            raise OutOfSightError
        excess = self._excess_of(self.whole, reading)

        def measure_at(scale: float) -> float:
            measured = excess(fit_at(scale), scale)
            if np.isnan(measured):
                raise OutOfSightError
            return scale * float(np.exp(measured))

        new = find_fixed_point(measure_at, unit, 0.0, rtol=STEP_RTOL).scale
        return fit_at(new), new

    def _foreseen(self, params: Array, scale: float) -> Array:
        """Return the fit of squares by products of all rows, or what was given."""
        asked = replace(self._asked(params, scale), majorised=0.0)
        reading = self.whole.foreseen(asked)
        return params if reading is None else self._model_fit(reading, True)(scale)

    def _model_fit(self, reading: Reading, by_gram: bool) -> Callable[[float], Array]:
        """Return what makes the fit at a scale of the model that a pass told."""
        model = self.whole.quadratic if by_gram else self.whole.near_minimum
        start, unit = Start(reading.params, is_near=True), reading.asked.scale

        def fit_at(scale: float) -> Array:
            near = start.rescaled(unit, scale)
            step = solve(
                model(reading, scale), near, "auto", STEP_TOL, INNER_ITERATIONS
            )
            return step.params

        return fit_at
