"""Exact fits of a piecewise linear loss by a few smooth ones with shifted targets.

The augmented Lagrangian of ``min sum_i w_i loss(r_i) + penalty`` with multipliers d is
the Moreau envelope of the loss at ``r + beta d`` [1]_: the same smooth problem for the
target ``y + beta d``. Its slopes are the next multipliers. For a piecewise linear loss
this ends after finitely many steps [2]_, in a fit that is optimal for the kinked loss.
Cost: a few Newton steps each time, with a Gram matrix of the rows near the kink only.

References
----------
.. [1] Rockafellar, R. T. (1976). Augmented Lagrangians and applications of the proximal
   point algorithm in convex programming. Mathematics of Operations Research 1, 97-116.
.. [2] Bertsekas, D. P. (1975). Necessary and sufficient conditions for a penalty method
   to be exact. Mathematical Programming 9, 87-99.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from robustreg.certificate import duality_gap
from robustreg.linalg import NOISE_LEVELS, TINY
from robustreg.losses import Envelope
from robustreg.objective import Objective, Point
from robustreg.rows import Array
from robustreg.solvers.continuation import ROWS_INSIDE, shrink
from robustreg.solvers.descent import descend
from robustreg.solvers.facts import step_rule_for
from robustreg.solvers.kinked.interior_point import EXACT, EXTRA_ITERATIONS
from robustreg.solvers.newton import INNER_ITERATIONS, MOST_MISSES, stationary_to
from robustreg.solvers.results import DIVERGED, NO_DECREASE, Result, Start
from robustreg.tolerance import allowed_gap, typical_value

# The envelope narrows by this factor unless the gap fell by the second.
SHRINK, ENOUGH = 0.2, 0.1
# Inner problems are solved to this share of the relative gap, and ten times closer each
# time, but no closer than the second figure and no looser than the third.
INNER_SHARE, TIGHTEST, LOOSEST = 1e-2, 1e-13, 1e-4


def augmented_lagrangian(
    objective: Objective, start: Start, tol: float, max_iter: int
) -> Result:
    """Minimise an objective with a piecewise linear loss.

    Parameters
    ----------
    objective : Objective
        Its loss is piecewise linear.
    start : Start
        Where to start. Widths are found from there.
    tol : float
        Done when the certified gap is allowed by `allowed_gap`.
    max_iter : int
        Largest number of multiplier updates.

    Returns
    -------
    Result
        With ``slopes``.
    """
    step_rule = step_rule_for(objective)
    inside = ROWS_INSIDE * objective.n_params
    near = shrink(objective, start.params, step_rule, inside)
    width, last = near.error, near.model
    point = objective.evaluate(near.params)
    narrowest = max(NOISE_LEVELS * objective.noise, TINY)
    # Where every row is fitted exactly, slopes of 0 certify it.
    best = now = Certified.by(np.zeros_like(objective.target), point)
    success = best.is_done(tol)
    iteration, last_gap, gtol, stalled = 0, np.inf, np.inf, 0
    far = _too_far(objective, point)
    spare = EXTRA_ITERATIONS if not success else 0
    while (not success or spare) and iteration < max_iter:
        iteration += 1
        spare -= success
        beta = max(width, narrowest) / objective.loss.facts.steepest
        inner = augmented(objective, now.slopes, beta)
        relative = min(last_gap / max(typical_value(objective, point), TINY), 1.0)
        gtol = min(INNER_SHARE * relative, 0.1 * gtol)
        gtol = min(max(gtol, TIGHTEST), LOOSEST)
        result = descend(
            inner,
            Start(point.params, model=last),
            step=step_rule.step,
            until=stationary_to(gtol),
            max_iter=INNER_ITERATIONS,
        )
        last = result.model
        point = objective.evaluate(result.point.params)
        if not np.abs(point.params).max() <= far:
            break
        now = Certified.by(inner.loss.gradient(result.point.residual), point)
        stalled = 0 if now.gap < 0.5 * best.gap else stalled + 1
        best = now if now.gap < best.gap else best
        if stalled > MOST_MISSES:
            break
        success = best.is_done(tol)
        if success and best.is_done(EXACT * tol):
            break
        if now.gap > ENOUGH * last_gap:
            width *= SHRINK
        last_gap = now.gap
    trouble = "iteration limit" if iteration >= max_iter else NO_DECREASE
    return best.result(iteration, success, trouble)


@final
@dataclass(frozen=True)
class Certified:
    """A point with the slopes that bound its gap.

    Parameters
    ----------
    point : Point
        The point.
    slopes : ndarray of shape (n_rows,)
        The slopes.
    gap : float
        The bound.
    """

    point: Point
    slopes: Array
    gap: float

    @classmethod
    def by(cls, slopes: Array, point: Point) -> Certified:
        """Return a point with the gap that slopes certify."""
        return cls(point, slopes, duality_gap(point.objective, point, slopes))

    def is_done(self, tol: float) -> bool:
        """Return whether the gap is within a tolerance."""
        objective = self.point.objective
        return bool(self.gap <= allowed_gap(objective, self.point, tol, self.slopes))

    def result(self, n_iter: int, success: bool, trouble: str) -> Result:
        """Return the result that ends there."""
        return Result(
            self.point, self.gap, n_iter, success, trouble, slopes=self.slopes
        )


def augmented(objective: Objective, multipliers: Array, beta: float) -> Objective:
    """Return the smooth objective whose slopes are the next multipliers."""
    envelope = Envelope(*objective.loss.facts.slopes, beta)
    return objective.with_loss(envelope, objective.target + beta * multipliers)


def _too_far(objective: Objective, point: Point) -> float:
    """Return the size of params from which there is no minimum.

    Beside rows held on their side the others may not bound the fit.
    """
    if not objective.linear.any():
        return np.inf
    return DIVERGED * max(float(np.abs(point.params).max()), 1.0)
