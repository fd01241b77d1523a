"""Losses that are not convex: downhill from a convex fit, each step of it.

Parabolas that touch a redescending loss from above, with curvature
``gradient(r) / r``, turn each step into a weighted least-squares problem with the same
penalty, whose minimum is never above the point it starts from (majorise-minimise, or
iteratively reweighted least squares [1]_). They follow the valley that the start lies
in. Near its bottom less of their curvature and more of the loss's own makes longer
steps, as long as the Hessian is positive definite and the objective falls: the share is
that of a Levenberg-Marquardt method, and without any parabola Newton's method converges
quadratically. A loss of parabolas and constants is its own majoriser, and finitely many
steps end it. A stationary point where the Hessian has a negative eigenvalue is a saddle
or a maximum, and its eigenvector leads on down [2]_.

Cost: a pass and the Hessian of the step rule for each of about ten steps.

References
----------
.. [1] Huber, P. J. (1981). Robust Statistics, section 7.8. Wiley.
.. [2] More, J. J., Sorensen, D. C. (1979). On the use of directions of negative
   curvature in a modified Newton method. Mathematical Programming 16, 1-20.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.linalg

from robustreg.linalg import EPS, MOST_DIRECT_PARAMS, SQUARABLE, factorise
from robustreg.losses import Envelope, Loss, relative_weight
from robustreg.objective import Objective, Point
from robustreg.rows import Array
from robustreg.solvers.continuation import width_of
from robustreg.solvers.descent import HONEST, UNSEEN, Step, StepRule
from robustreg.solvers.results import Result, Start
from robustreg.tolerance import allowed_gap, stationarity

# The tolerance of the convex fit that starts one: it shows in which valley, and three
# digits of the way to it.
START_TOL = 1e-6
# Where rows count for less than this on average a few of them make many valleys, and
# the last digits of a start choose among these: it is found to the tolerance, and of no
# sample. A Gaussian scale leaves more than half.
FEW_COUNT = 0.3
# Newton's own curvature is tried at a stationarity below this: from farther its steps
# leave the valley.
NEAR = 0.05
# Rounding errors that leave a larger violation than this leave no fit.
SOUND = 1e-3
# Where the violation is close to 0, steps gain figures: so many in a row that do not
# halve it show that rounding errors are all that is left of it.
CLOSE, MOST_HIDDEN = 1e-6, 8
# Shares of the parabolas' curvature in a step's, the rest Newton's own. From one to the
# next a step gets about three times as short, which few halvings of it would do better.
LEVELS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
ALL = len(LEVELS) - 1


def convex_start(loss: Loss) -> Loss:
    """Return the convex loss whose fit starts that of a redescending one.

    The extreme slopes on either side of 0 and a narrow middle. It is nearly the L1
    loss, to which no convex one is superior in how little it yields to outliers in y:
    the wide middle of Huber's loss leads to worse valleys more often. But it is smooth,
    which costs less.
    """
    low, high = loss.facts.slopes
    # A quarter of the middle of Huber's.
    return Envelope(low, high, 0.25 / loss.facts.largest_curvature)


def few_count(objective: Objective, residual: Array) -> bool:
    """Return whether a loss takes most rows for outliers."""
    weight = relative_weight(objective.loss, residual)
    return bool(objective.weight @ weight < FEW_COUNT * objective.weight.sum())


def majorised_newton(
    objective: Objective,
    start: Start,
    *,
    step_rule: StepRule,
    tol: float,
    max_iter: int,
) -> Result:
    """Go down to the local minimum of the valley that the start lies in.

    Parameters
    ----------
    objective : Objective
        With a loss that is smooth at 0, convex or not.
    start : Start
        Where to start. Unless a scale has settled there, the end is no saddle.
    step_rule, max_iter
        As for `newton`.
    tol : float
        Done when the relative violation of the optimality condition is at most this,
        or as small as rounding errors allow.

    Returns
    -------
    Result
        ``unique`` if the Hessian is positive definite.
    """
    point, done = objective.evaluate(start.params), 0
    while True:
        left = max_iter - done
        result, is_minimum = _stationary(objective, point, step_rule, tol, left)
        done += result.n_iter
        beyond = None
        if result.success and not (is_minimum or start.settled):
            beyond = beyond_saddle(objective, result.point)
        if beyond is None or done >= max_iter:
            # Without a step it is what the start is.
            unique = result.unique or (done == 0 and start.unique)
            return replace(result, n_iter=done, unique=unique)
        point, done = beyond, done + 1


def _stationary(
    objective: Objective, point: Point, step_rule: StepRule, tol: float, max_iter: int
) -> tuple[Result, bool]:
    """Go down to a stationary point; say if Newton's own step led to it, a minimum."""
    left, promised = stationarity(objective, point), np.inf
    unique, is_minimum = False, False
    iteration, stalled, level = 0, False, 0 if left <= NEAR else ALL
    least, hidden = left, 0
    while left > tol and iteration < max_iter and not stalled:
        iteration += 1
        trial, step, level = step_down(objective, point, step_rule, level)
        promised, left = step.decrease, stationarity(objective, trial)
        hidden = hidden + 1 if 0.5 * least < left and least <= CLOSE else 0
        stalled = trial is point or hidden > MOST_HIDDEN
        point, least = trial, min(least, left)
        unique = step.model is not None and not step.singular
        is_minimum = unique and LEVELS[level] == 0
        level = max(level - 1, 0) if left <= NEAR else ALL
    success = left <= tol
    if stalled and not success:
        sound = left <= SOUND or point.value <= objective.exact_value
        success = sound and promised <= allowed_gap(objective, point, tol)
    trouble = "iteration limit or no further decrease"
    result = Result(point, np.nan, iteration, bool(success), trouble, unique=unique)
    return result, is_minimum


def beyond_saddle(objective: Objective, point: Point) -> Point | None:
    """Return a lower point along negative curvature, None if there is none to be seen.

    A step as long as the loss is wide, halved until it goes down by a share of what the
    curvature promises. Of two ways that are as low it is the one in which the
    eigenvector's largest entry is positive.
    """
    if point.value <= objective.exact_value:
        return None
    free = objective.rows.varies & ((objective.l1 == 0) | (point.params != 0))
    columns = np.flatnonzero(free)
    if not 0 < columns.size <= MOST_DIRECT_PARAMS:
        return None
    hessian = objective.hessian(objective.curvature(point), columns)
    if factorise(hessian).rcond > 0:
        return None
    lowest, vector = scipy.linalg.eigh(hessian, subset_by_index=[0, 0])
    bend, direction = -float(lowest[0]), np.zeros_like(point.params)
    direction[columns] = vector[:, 0] * np.sign(vector[np.abs(vector).argmax(), 0])
    if bend <= columns.size * EPS * np.linalg.norm(hessian):
        return None
    length = min(width_of(objective.loss), 1.0)
    error = max(UNSEEN * abs(point.value), objective.exact_value)
    while 0.5 * bend * length**2 > error:
        ways = [
            objective.evaluate(point.params + sign * length * direction)
            for sign in (1.0, -1.0)
        ]
        least = min(ways, key=lambda way: way.value)
        if point.value - least.value >= HONEST * 0.5 * bend * length**2:
            return ways[0] if ways[0].value <= least.value + error else least
        length *= 0.5
    return None


def step_down(
    objective: Objective, point: Point, step_rule: StepRule, level: int
) -> tuple[Point, Step, int]:
    """Return a point that is no higher, with the step to it and its share of parabolas.

    The same point if none is found. ``level`` is the place in `LEVELS` to try first,
    and that of the step.
    """
    while True:
        curvature = objective.curvature(point, LEVELS[level])
        with np.errstate(over="ignore", invalid="ignore"):
            step = step_rule.step(objective, point, curvature, None)
        if level == ALL:
            return *_shortened(objective, point, step), level
        if not step.singular and np.abs(step.direction).max() <= SQUARABLE:
            trial = objective.evaluate(point.params + step.direction)
            if _is_lower(objective, point, trial, step, HONEST):
                return trial, step, level
        level += 1


def _shortened(objective: Objective, point: Point, step: Step) -> tuple[Point, Step]:
    """Return the first point along a halved step that is lower.

    A full step suffices, but for rounding errors and for losses that are not symmetric,
    which no parabola touches from above.
    """
    length = 1.0
    # To steps that change no digit.
    for _ in range(40):
        trial = objective.evaluate(point.params + length * step.direction)
        if _is_lower(objective, point, trial, step, 0.0):
            return trial, step
        if not step.decrease > EPS * abs(point.value):
            break
        length *= 0.5
    return point, step


def _is_lower(
    objective: Objective, point: Point, trial: Point, step: Step, share: float
) -> bool:
    """Return whether a step went down by a share of what its model promised.

    Where the value has no digits left to show it, the optimality condition tells.
    """
    fall, error = point.value - trial.value, UNSEEN * abs(point.value)
    if step.decrease > error:
        return fall > 0 and fall >= share * step.decrease
    better = objective.violation(trial).max() < objective.violation(point).max()
    return bool(better and fall >= -error)
