"""Newton's method for composite objectives, with a choice of how a step is found.

The loop of semismooth Newton [1]_ with a line search that costs no pass over the rows:
residuals are affine in the step. Each iteration takes one pass for value and gradient
and what its step strategy takes.

References
----------
.. [1] Qi, L., Sun, J. (1993). A nonsmooth version of Newton's method. Mathematical
   Programming 58, 353-367.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.optimize import brentq

from robustreg.certificate import duality_gap, local_gap
from robustreg.linalg import EPS
from robustreg.objective import Model, Objective, Point
from robustreg.rows import Array
from robustreg.solvers.results import Result, Start
from robustreg.tolerance import allowed_gap, stationarity


@dataclass(frozen=True)
class Step:
    """A direction and what the model of the objective says of it.

    Parameters
    ----------
    direction : ndarray of shape (n_params,)
        The step.
    decrease : float
        Decrease of the model, an estimate of the gap.
    singular : bool
        True if the model has no minimum: rows with curvature are too few.
    rcond : float or None
        Reciprocal condition number of the scaled Hessian, None if not known; 0 if
        the Gram matrix had too few digits and an orthogonal factorisation took its
        place. Steps are then repeated until they stall.
    model : Model or None
        The Hessian, if it is positive definite and formed.
    inexact : bool
        True if the minimum of the model was not reached to rounding.
    slopes : ndarray of shape (n_rows,) or None
        The slopes at the end of the full step, where those of the residuals there
        would be rounding errors.
    """

    direction: Array
    decrease: float
    singular: bool = False
    rcond: float | None = None
    model: Model | None = None
    inexact: bool = False
    slopes: Array | None = None


@final
@dataclass(frozen=True)
class StepRule:
    """How a step is found.

    Parameters
    ----------
    step : callable
        ``step(objective, point, curvature, last)`` returns a `Step`. The last model, if
        any, may save it some of its work.
    forms_hessian : bool
        Whether it factorises the Hessian of all params.
    is_inexact : bool
        Whether steps are found by products with it, few of them far from the optimum.
    """

    step: Callable[[Objective, Point, Array, Model | None], Step]
    forms_hessian: bool = False
    is_inexact: bool = False


# A fit on the way to another starts near its end, and takes few steps. One that takes
# more than this is left where it is: what it lacks the next one makes up for.
INNER_ITERATIONS = 30
# How stationary a fit is that starts one of more rows, or of a narrower loss: the
# gradient of 5,000 rows differs from that of all by as much.
START_GTOL = 1e-2
# Shares of the majorising curvature, tried in this order when Newton's own fails.
MAJORISED = (0.0, 0.01, 0.1, 1.0)
# A step has gone far enough once the slope along it fell to this share.
STEEP = 0.5
# Above this reciprocal condition number one more step would not give one more digit.
STEADY = 0.03
# A gap is worth its certificate once the model's decrease is this share of the value.
PROMISING = 1e-3
# Certificates in all, or updates of multipliers in a row, that did not halve the gap:
# after more than these it is rounding errors that bound it.
MOST_MISSES = 12
# After this many steps, as many in a row that neither lower the value nor promise less
# than all before go in circles: rounding errors of the slopes lead them.
MOST_IDLE = 50
# A longer step is that of curvature too faint to tell from none.
LONGEST_STEP = 1e100


@final
class _Progress:
    """The lowest value and the smallest promise of a decrease so far."""

    def __init__(self) -> None:
        self._lowest, self._least, self._idle = np.inf, np.inf, 0

    def is_over(self, value: float, decrease: float) -> bool:
        """Return whether neither fell in `MOST_IDLE` steps, the last one included."""
        fell = value < self._lowest or decrease < self._least
        self._lowest = min(value, self._lowest)
        self._least = min(decrease, self._least)
        self._idle = 0 if fell else self._idle + 1
        return self._idle > MOST_IDLE


def newton(
    objective: Objective,
    start: Start,
    *,
    step_rule: StepRule,
    tol: float,
    max_iter: int,
    gtol: float | None = None,
    majorise: bool = True,
) -> Result:
    """Minimise an objective.

    Parameters
    ----------
    objective : Objective
        With a smooth loss, and an l1 part only if the step rule knows of it.
    start : Start
        Where to start.
    step_rule : StepRule
        How a step is found.
    tol : float
        Done when the certified gap is allowed by `allowed_gap`.
    max_iter : int
        Largest number of steps.
    gtol : float or None
        If given, done when the relative stationarity is at most this; no certificate
        is made.
    majorise : bool
        Whether short steps add majorising curvature, which every row has: of no use
        where the penalty curves all params.

    Returns
    -------
    Result
        Where it ended, infinite as gap if no certificate was asked for.
    """
    point, last = objective.evaluate(start.params, start.residual), start.model
    level, iteration, success, unique = 0, 0, False, False
    previous, gap, misses, proven = np.inf, np.inf, 0, (np.inf, point)
    progress = _Progress()

    def promise(point: Point) -> float:
        return PROMISING * abs(point.value) + objective.exact_value

    while not success and iteration < max_iter:
        iteration += 1
        step, level = model_step(objective, point, step_rule, level, last)
        last = step.model or last
        if step.slopes is not None and gtol is None:
            whole = objective.evaluate(point.params + step.direction)
            gap = duality_gap(objective, whole, step.slopes)
            success = gap <= allowed_gap(objective, whole, tol)
            proven = min(proven, (gap, whole), key=lambda pair: pair[0])
            if success:
                point = whole
                break
        trial, length = _advance(objective, point, step)
        if not np.isfinite(trial.gradient).all():
            # Rows held on their side may leave no minimum.
            break
        left = _left(objective, point, step, trial) if gtol is None else np.inf
        if gtol is not None:
            success = length == 1.0 and stationarity(objective, trial) <= gtol
        elif min(step.decrease, left) <= promise(point):
            allowed = allowed_gap(objective, trial, tol)
            if step.model is not None and left <= allowed:
                gap = local_gap(objective, trial, step.model)
                unique = gap <= allowed
                steady = step.model.factor.rcond > STEADY
                sharp = left <= tol * allowed and steady
                success = unique and (sharp or step.decrease <= allowed)
            ready = left if step.inexact else step.decrease
            if min(step.decrease, ready) <= allowed and not success:
                before, gap = gap, _certified(objective, point, trial)
                misses += gap > 0.5 * before
                stalled = step.rcond != 0 or step.decrease >= 0.25 * previous
                success = gap <= allowed and stalled
        most = level == len(MAJORISED) - 1 or not majorise
        idle = iteration > MOST_IDLE and progress.is_over(trial.value, step.decrease)
        stuck = misses > MOST_MISSES or idle
        if not success and (stuck or (length == 0.0 and most)):
            break
        level = _next_level(level, length) if majorise else 0
        point, previous = trial, step.decrease
    if gtol is None and not success:
        gap = duality_gap(objective, point, objective.loss.gradient(point.residual))
        gap, point = min((gap, point), proven, key=lambda pair: pair[0])
        success = gap <= allowed_gap(objective, point, tol)
    return Result(
        point,
        float(gap),
        iteration,
        bool(success),
        "iteration limit or no further decrease",
        unique=unique,
        rcond=step.rcond,
        model=last,
    )


def _left(objective: Objective, point: Point, step: Step, trial: Point) -> float:
    """Return what the step's model says is left to gain at the trial point."""
    if step.inexact:
        return _next_decrease(objective, point, trial, step)
    if step.model is None or step.singular:
        return np.inf
    g = trial.gradient
    return 0.5 * float(g @ step.model.factor.solve(g))


def _certified(objective: Objective, point: Point, trial: Point) -> float:
    """Return the gap at the trial point, by the slopes that the model predicts there.

    Their adjoint is the model's gradient, 0 after a full Newton step.
    """
    loss = objective.loss
    change = trial.residual - point.residual
    slopes = loss.gradient(point.residual) + loss.curvature(point.residual) * change
    return duality_gap(objective, trial, slopes)


def _next_decrease(
    objective: Objective, point: Point, trial: Point, step: Step
) -> float:
    """Return an estimate of the next step's decrease after an inexact one.

    It goes with the square of the gradient. An inexact step that was the last but for
    its proof needs no other: that would be the costliest of all.
    """
    if not step.decrease > 0:
        return np.inf
    before = stationarity(objective, point)
    ratio = stationarity(objective, trial) / before if before > 0 else 0.0
    # With caution: what is only estimated may be too small by orders of magnitude.
    return 1e6 * step.decrease * ratio**2


def model_step(
    objective: Objective,
    point: Point,
    step_rule: StepRule,
    level: int,
    last: Model | None = None,
) -> tuple[Step, int]:
    """Return the step, with more of the majoriser while the model is singular."""
    while True:
        curvature = objective.curvature(point, MAJORISED[level])
        with np.errstate(over="ignore", invalid="ignore"):
            step = step_rule.step(objective, point, curvature, last)
        short = bool(np.abs(step.direction).max() <= LONGEST_STEP)
        if (short and not step.singular) or level == len(MAJORISED) - 1:
            return step, level
        level += 1


def _next_level(level: int, length: float) -> int:
    """Return less of the majoriser after a full step, more after a short one."""
    if length == 1.0:
        return max(level - 1, 0)
    return min(level + 1, len(MAJORISED) - 1) if length < 0.3 else level


def _advance(objective: Objective, point: Point, step: Step) -> tuple[Point, float]:
    """Return the next point and the length of the step, 0 if there is none.

    The full step is evaluated first. It stands if the value fell enough, or, where
    the value has no digits left to show that, if the slope along it halved. If not,
    the minimum between or beyond is found from residuals, affine in the length.
    """
    trial = objective.evaluate(point.params + step.direction)
    start = objective.slope(point, step.direction, before=False)
    stop = objective.slope(trial, step.direction, before=True)
    if start >= 0:
        return point, 0.0
    if stop < STEEP * start:
        return _lengthened(objective, point, trial, step.direction)
    # Values cost more than the slopes, and are made only if these do not decide.
    if stop <= -STEEP * start:
        return trial, 1.0
    visible = step.decrease > 100 * EPS * abs(point.value)
    if visible and trial.value <= point.value - 0.1 * step.decrease:
        return trial, 1.0
    slope = objective.line_slope(point, step.direction)
    if slope(1.0) <= 0:
        return trial, 1.0
    length = brentq(lambda t: slope(t) if t else start, 0.0, 1.0, rtol=1e-3)
    return objective.evaluate(point.params + length * step.direction), float(length)


def _lengthened(
    objective: Objective, point: Point, trial: Point, direction: Array
) -> tuple[Point, float]:
    """Return the minimum beyond a full step that still goes down as steeply.

    Where no row has curvature the model's step is as good as arbitrary.
    """
    slope = objective.line_slope(point, direction)
    if slope(1.0) >= 0:
        return trial, 1.0
    far = 2.0
    while slope(far) < 0 and far < 2.0**60:
        far *= 2.0
    length = brentq(slope, 0.5 * far, far, rtol=1e-3) if slope(far) > 0 else far
    return objective.evaluate(point.params + length * direction), 1.0
