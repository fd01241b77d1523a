"""Losses that are not convex: downhill from a convex fit, each step of it.

Parabolas that touch a redescending loss from above, with curvature
``gradient(r) / r``, turn each step into a weighted least-squares problem with the same
penalty, whose minimum is never above the point it starts from (majorise-minimise, or
iteratively reweighted least squares [1]_). They follow the valley that the start lies
in. Near its bottom, or where they get short, Newton steps take over wherever the
Hessian is positive definite and the objective falls: they converge quadratically. A
loss of parabolas and constants is its own majoriser, and finitely many steps end it.

Cost: a pass and the Hessian of the step rule for each of about ten steps.

References
----------
.. [1] Huber, P. J. (1981). Robust Statistics, section 7.8. Wiley.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import OptimizeResult

from robustreg.linalg import EPS
from robustreg.losses import Envelope, Loss
from robustreg.objective import Objective, Point
from robustreg.rows import Array
from robustreg.solvers.newton import MAJORISED, Step, StepRule, allowed_gap, model_step
from robustreg.solvers.results import result_at

# The convex loss that starts one has a middle of this share of Huber's.
MIDDLE = 0.25
# So close is the convex fit that starts one.
START_TOL = 1e-6
# Newton's own curvature is tried at a stationarity below this, or after a majorising
# step that left more than this share of it.
NEAR, SLOW = 0.05, 0.5
# A Newton step must gain this share of what its model promised.
HONEST = 0.1
# Rounding errors that leave a larger violation than this leave no fit.
SOUND = 1e-3
MOST_HALVINGS = 40
ALL = len(MAJORISED) - 1


def convex_start(loss: Loss) -> Loss:
    """Return the convex loss whose fit starts that of a redescending one.

    The extreme slopes on either side of 0 and a narrow middle. It is nearly the L1
    loss, to which no convex one is superior in how little it yields to outliers in y:
    the wide middle of Huber's loss leads to worse valleys more often. But it is smooth,
    which costs less.
    """
    low, high = loss.facts.slopes
    return Envelope(low, high, MIDDLE / loss.facts.largest_curvature)


def majorised_newton(
    objective: Objective,
    start: Array,
    *,
    step_rule: StepRule,
    tol: float,
    max_iter: int,
) -> OptimizeResult:
    """Go down to the local minimum of the valley that the start lies in.

    Parameters
    ----------
    objective : Objective
        With a loss that is smooth at 0, convex or not.
    start : ndarray of shape (n_params,)
        Where to start.
    step_rule : callable
        As for `newton`.
    tol : float
        Done when the relative violation of the optimality condition is at most this,
        or as small as rounding errors allow.
    max_iter : int
        Largest number of steps.

    Returns
    -------
    OptimizeResult
        With ``gap`` nan, ``stationarity``, and ``unique``, True if the Hessian is
        positive definite.
    """
    point = objective.evaluate(start)
    left, promised, unique = objective.stationarity(point), np.inf, False
    iteration, slow, stalled = 0, False, False
    while left > tol and iteration < max_iter and not stalled:
        iteration += 1
        level = 0 if slow or left <= NEAR else ALL
        trial, step = _lower(objective, point, step_rule, level)
        stalled, promised = trial is point, step.decrease
        previous, left = left, objective.stationarity(trial)
        slow, point = left > SLOW * previous, trial
        unique = step.model is not None and not step.singular
    success = left <= tol
    if stalled and not success:
        sound = left <= SOUND or point.value <= objective.exact_value
        success = sound and promised <= allowed_gap(objective, point, tol)
    trouble = "iteration limit or no further decrease"
    return result_at(
        point, np.nan, iteration, success, trouble, stationarity=left, unique=unique
    )


def _lower(
    objective: Objective, point: Point, step_rule: StepRule, level: int
) -> tuple[Point, Step]:
    """Return a point that is no higher, the same one if none is found, and the step."""
    step, level = model_step(objective, point, step_rule, level)
    trial = objective.evaluate(point.params + step.direction)
    if _is_lower(objective, point, trial, step, HONEST):
        return trial, step
    if level < ALL:
        step, _ = model_step(objective, point, step_rule, ALL)
    # A full step suffices, but for rounding errors and for losses that are not
    # symmetric, which no parabola touches from above.
    length = 1.0
    for _ in range(MOST_HALVINGS):
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
    fall, error = point.value - trial.value, 100 * EPS * abs(point.value)
    if step.decrease > error:
        return fall > 0 and fall >= share * step.decrease
    better = objective.violation(trial).max() < objective.violation(point).max()
    return bool(better and fall >= -error)
