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
from typing import final

import numpy as np

from robustreg.certificate import duality_gap, local_gap, rows_gap
from robustreg.objective import Objective, Point
from robustreg.rows import Array
from robustreg.solvers.descent import Pace, Step, StepRule, advance, model_step
from robustreg.solvers.results import Result, Start
from robustreg.tolerance import allowed_gap, stationarity

# A fit on the way to another starts near its end, and takes few steps. One that takes
# more than this is left where it is: what it lacks the next one makes up for.
INNER_ITERATIONS = 30
# How stationary a fit is that starts one of more rows, or of a narrower loss: the
# gradient of 5,000 rows differs from that of all by as much.
START_GTOL = 1e-2
# Above this reciprocal condition number one more step would not give one more digit.
STEADY = 0.03
# A gap is worth its certificate once the model's decrease is this share of the value.
PROMISING = 1e-3
# Slopes whose rows alone miss the allowed gap by this factor certify nothing.
HOPELESS = 10.0
# Certificates in all, or updates of multipliers in a row, that did not halve the gap:
# after more than these it is rounding errors that bound it.
MOST_MISSES = 12


def newton(
    objective: Objective,
    start: Start,
    *,
    step_rule: StepRule,
    tol: float,
    max_iter: int,
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

    Returns
    -------
    Result
        Where it ended.
    """
    point, last = objective.evaluate(start.params, start.residual), start.model
    proof, pace = _Proof(objective, point, tol), Pace()
    iteration, success, previous = 0, False, np.inf
    while not success and iteration < max_iter:
        iteration += 1
        step, pace.level = model_step(
            objective, point, step_rule.step, pace.level, last
        )
        last = step.model or last
        whole = proof.of_own_slopes(point, step)
        if whole is not None:
            point, success = whole, True
            break
        trial, length = advance(objective, point, step)
        if not np.isfinite(trial.gradient).all():
            # Rows held on their side may leave no minimum.
            break
        success = proof.of_step(point, step, trial, previous)
        over = pace.is_over(trial, step, length) or proof.misses > MOST_MISSES
        if over and not success:
            break
        point, previous = trial, step.decrease
    if not success:
        point, success = proof.of_end(point)
    return Result(
        point,
        float(proof.gap),
        iteration,
        success,
        "iteration limit or no further decrease",
        unique=proof.unique,
        rcond=step.rcond,
        model=last,
    )


@final
class _Proof:
    """What certificates have shown on the way.

    Attributes
    ----------
    gap : float
        The last bound.
    unique : bool
        Whether curvature around a point showed that there is no other optimum.
    misses : int
        Bounds that did not halve the one before.
    """

    def __init__(self, objective: Objective, point: Point, tol: float) -> None:
        self.gap, self.unique, self.misses = np.inf, False, 0
        self._objective, self._tol = objective, tol
        self._best = np.inf, point
        # Of those that were not certified the one that misses least: by how much, and
        # the slopes.
        self._skipped: tuple[float, Point, Array] | None = None

    def of_own_slopes(self, point: Point, step: Step) -> Point | None:
        """Return where a step leads whose slopes are known, if they certify it."""
        if step.slopes is None:
            return None
        whole = self._objective.evaluate(point.params + step.direction)
        allowed = self._allowed(whole)
        # What rows miss by no projection makes up for: it costs more than a step.
        missed = rows_gap(self._objective, whole, step.slopes)
        if missed > HOPELESS * allowed:
            if self._skipped is None or missed < self._skipped[0]:
                self._skipped = missed, whole, step.slopes
            return None
        self._certify(whole, step.slopes)
        return whole if self.gap <= allowed else None

    def _certify(self, whole: Point, slopes: Array) -> None:
        """Bound the gap of a point, which is kept if none has a smaller one."""
        self.gap = duality_gap(self._objective, whole, slopes)
        self._best = min((self.gap, whole), self._best, key=lambda pair: pair[0])

    def of_step(self, point: Point, step: Step, trial: Point, previous: float) -> bool:
        """Return whether the point that a step led to is certified.

        It is not asked for before a model promises little, and costs no pass while the
        curvature around the point is certificate enough. ``previous`` is the decrease
        of the step before.
        """
        left = _left(self._objective, point, step, trial)
        promise = PROMISING * abs(point.value) + self._objective.exact_value
        if not min(step.decrease, left) <= promise:
            return False
        allowed = self._allowed(trial)
        if step.model is not None and left <= allowed:
            self.gap = local_gap(self._objective, trial, step.model)
            self.unique = bool(self.gap <= allowed)
            steady = step.model.factor.rcond > STEADY
            sharp = left <= self._tol * allowed and steady
            if self.unique and (sharp or step.decrease <= allowed):
                return True
        ready = left if step.inexact else step.decrease
        if not min(step.decrease, ready) <= allowed:
            return False
        before, self.gap = self.gap, _certified(self._objective, point, trial)
        self.misses += self.gap > 0.5 * before
        stalled = step.rcond != 0 or step.decrease >= 0.25 * previous
        return bool(self.gap <= allowed and stalled)

    def of_end(self, point: Point) -> tuple[Point, bool]:
        """Return the best of what is certified and the last point, and if it will do.

        The last one by the slopes of its own residuals.
        """
        if self._skipped is not None:
            self._certify(*self._skipped[1:])
        self._certify(point, self._objective.loss.gradient(point.residual))
        self.gap, best = self._best
        return best, bool(self.gap <= self._allowed(best))

    def _allowed(self, point: Point) -> float:
        """Return the gap at which a point is done."""
        return allowed_gap(self._objective, point, self._tol)


def stationary_to(gtol: float) -> Callable[[Objective, Point, float], bool]:
    """Return when a fit ends that needs no certificate: at a relative stationarity."""

    def until(objective: Objective, point: Point, length: float) -> bool:
        return length == 1.0 and stationarity(objective, point) <= gtol

    return until


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
