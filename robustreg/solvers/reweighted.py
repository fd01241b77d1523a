"""A fit of a redescending loss and the scale of its residuals at once.

The scale is profiled out: it is always that of the residuals at hand, and what is
solved is ``gradient(params, scale(params)) = 0``. From far each step is the weighted
least-squares problem of the parabolas that touch the loss from above at that scale, as
programs of robust regression have always alternated the two [1]_: small steps, that
stay in the valley they start in, while a whole fit at a scale that overshoots leaves
it. Near, Newton's method on both at once converges quadratically: the scale moves along
the line on which the fit follows it, as in `profiled_newton`.

Cost: a pass and a half and a Gram matrix for each of ten to forty steps.

References
----------
.. [1] Huber, P. J. (1981). Robust Statistics, section 7.8. Wiley.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np

from robustreg.linalg import MOST_DIRECT_PARAMS, least_norm_solve
from robustreg.objective import Objective, Point
from robustreg.rows import Array, Index
from robustreg.solvers.descent import StepRule
from robustreg.solvers.majorised import ALL, CLOSE, LEVELS, MOST_HIDDEN, step_down
from robustreg.solvers.profiled import Line, drift_at, excess_at, root_between
from robustreg.tolerance import stationarity

# Newton's method is tried at a violation below this: from farther it ends in other
# fixed points than reweighting more often.
NEAR = 0.01
# Once after so many steps in a row that did not halve the violation it is from a little
# farther: the parabolas end nowhere there.
PLATEAU, LESS_NEAR = 10, 0.02
# A Newton step must leave no more than this share of the violation; after one that does
# not, the next is tried at this share of it.
PROGRESS, LATER = 0.5, 0.3
# The place in `LEVELS` of the smallest that is tried: steps with less of the parabolas'
# curvature end in other fixed points than reweighting more often, and are no fewer.
FIRST_LEVEL = LEVELS.index(0.1)
# How far the logarithm of the scale is looked for, from near: where the Hessian is all
# but singular, the line leads far away. Few rows come near the median on the way to the
# first of these ends, and many on that to the last.
REACHES = ((1e-8, 1e-6, 1e-4, 0.01), (0.2,))
# Steps in a row that do not halve the violation, and steps in all, that end it: on a
# plateau many gain little, and each costs a pass and a half.
MOST_STALLED, MOST_STEPS = 60, 300


@final
@dataclass(frozen=True)
class Settled:
    """Where reweighting ended.

    Parameters
    ----------
    params : ndarray of shape (n_params,)
        The fit, in units of y.
    scale : float
        The scale of its residuals.
    violation : float
        Relative violation of the optimality condition at that scale.
    residual : ndarray of shape (n_rows,)
        Residuals, in units of the scale.
    unique : bool
        Whether a step by a regular Hessian led there.
    """

    params: Array
    scale: float
    violation: float
    residual: Array
    unique: bool


@final
@dataclass(frozen=True)
class _State:
    """Params and residuals in units of y, and the point at their scale."""

    params: Array
    residual: Array
    scale: float
    point: Point
    violation: float
    unique: bool


@final
class Reweighting:
    """Steps of fit and scale at once.

    Parameters
    ----------
    objective_at : callable
        ``objective_at(scale)`` returns the objective in units of a scale.
    measure : callable
        The scale of residuals.
    line : callable
        How it changes along a line.
    step_rule : StepRule
        As for `newton`.
    floor : float
        Scales no larger count as 0.
    """

    def __init__(
        self,
        objective_at: Callable[[float], Objective],
        measure: Callable[[Array], float],
        line: Line,
        step_rule: StepRule,
        floor: float,
    ) -> None:
        self._objective_at, self._measure, self._line = objective_at, measure, line
        self._step_rule, self._floor = step_rule, floor
        self._rows = objective_at(1.0).rows
        self._level = ALL

    def settle(self, start: Array, tol: float) -> Settled | None:
        """Return where steps from a start end; None if the scale vanishes.

        Before the violation is below ``tol`` if they do not settle, or if there are too
        many params for Newton's method on both: whole fits go on from there.
        """
        residual = self._objective_at(1.0).residual(start)
        now = best = self._state(start, residual)
        goal, least, stalled = NEAR, np.inf, 0
        for _ in range(MOST_STEPS):
            most = MOST_STALLED if least > CLOSE else MOST_HIDDEN
            if now is None or now.violation <= tol or stalled > most:
                break
            trial = None
            goal = LESS_NEAR if stalled == PLATEAU else goal
            if now.violation <= goal:
                columns = self._free(now)
                if columns.size > MOST_DIRECT_PARAMS:
                    break
                trial, goal = self._newton(now, columns), LATER * now.violation
            if trial is not None and trial.violation <= PROGRESS * now.violation:
                now, goal = trial, NEAR
            else:
                before, now = now, self._down(now)
                if now is before:
                    break
            if now is None or best is None:
                break
            stalled = 0 if now.violation <= 0.5 * least else stalled + 1
            least = min(least, now.violation)
            best = now if now.violation <= best.violation else best
        if now is None or best is None:
            return None
        left, residual = best.violation, best.point.residual
        return Settled(best.params, best.scale, left, residual, best.unique)

    def _state(
        self, params: Array, residual: Array, unique: bool = False
    ) -> _State | None:
        """Return the point at the scale of residuals in units of y."""
        scale = self._measure(residual)
        if not scale > self._floor:
            return None
        objective = self._objective_at(scale)
        point = objective.evaluate(params / scale, residual / scale)
        violation = stationarity(objective, point)
        return _State(params, residual, scale, point, violation, unique)

    def _change(self, direction: Array) -> Array:
        """Return by how much residuals change along a direction."""
        self._rows.passes += 1
        return -self._rows.predict(direction)

    def _down(self, now: _State) -> _State | None:
        """Return a lower point at the same scale, by its parabolas alone from far.

        The same state if there is none to be seen.
        """
        far = now.violation > NEAR
        level = ALL if far else self._level
        options = (now.point.objective, now.point, self._step_rule, level)
        point, _, level = step_down(*options)
        if point is now.point:
            return now
        self._level = ALL if far else max(level - 1, FIRST_LEVEL)
        return self._state(now.scale * point.params, now.scale * point.residual)

    def _free(self, now: _State) -> Index:
        """Return the params that an l1 part does not hold at 0."""
        held = (now.point.objective.l1 > 0) & (now.params == 0)
        return np.flatnonzero(self._rows.varies & ~held)

    def _newton(self, now: _State, columns: Index) -> _State | None:
        """Return where Newton's step for fit and scale leads to; None if it has none.

        The Hessian at a fixed scale need not be positive definite where the two settle.
        An l1 part keeps its signs.
        """
        objective = now.point.objective
        self._rows.passes += 0.5
        drift = drift_at(objective, now.point)
        hessian = objective.hessian(objective.curvature(now.point), columns)
        slope = now.point.gradient + objective.l1 * np.sign(now.params)
        right = np.column_stack([slope, drift])[columns]
        solution, regular = least_norm_solve(hessian, right)
        step = np.zeros((now.params.size, 2))
        step[columns] = -now.scale * solution
        direction, tangent = step.T
        residual = now.residual + self._change(direction)
        change = self._change(tangent)
        length = self._length(residual, change, now.scale)
        if length is None:
            return None
        params = now.params + direction + length * tangent
        return self._state(params, residual + length * change, regular)

    def _length(self, residual: Array, change: Array, scale: float) -> float | None:
        """Return by how much the log scale changes, on the line that the fit takes.

        None if that is too much. Where the scale moves faster than the one it is
        measured at, it changes against the disagreement.
        """
        for reaches in REACHES:
            scale_at = self._line(residual, change, reaches[-1])
            excess = partial(excess_at, scale_at, scale)
            # Residuals whose scale vanishes on the line have a logarithm of -inf.
            with np.errstate(divide="ignore"):
                here = excess(0.0)
                for reach in reaches:
                    for end in (reach, -reach):
                        if excess(end) * here <= 0:
                            return root_between(excess, 0.0, end)
        return None
