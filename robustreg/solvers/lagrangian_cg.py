"""Kinked losses with many params: the augmented Lagrangian on the rows near the kink.

The multiplier method of `augmented_lagrangian`, made for steps by conjugate gradients,
whose cost is the rows that have curvature times the square root of a condition number
that goes with the inverse width of the envelope. Three things differ. The envelope
starts wide and halves with every update of the multipliers, each taking a few Newton
steps from the last. Inner problems are solved no closer than the gap asks for. And once
few rows lie near the kink, all others are held on their side, where their loss is
linear [1]_: they are one linear term until a pass over all rows checks their sides.

Cost: a dozen passes over all rows, then passes over about twice the rows that the
optimum fits exactly.

References
----------
.. [1] Portnoy, S., Koenker, R. (1997). The Gaussian hare and the Laplacian tortoise:
   computability of squared-error versus absolute-error estimators. Statistical Science
   12, 279-300, section 5.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import OptimizeResult

from robustreg.certificate import duality_gap
from robustreg.losses import Envelope
from robustreg.objective import NOISE_LEVELS, Objective, Point
from robustreg.rows import Array, Index
from robustreg.solvers.krylov import krylov_step
from robustreg.solvers.newton import allowed_gap, newton

# The width falls by this factor with each update of the multipliers.
NARROWER = 0.5
# Inner problems are solved to this share of the relative gap, within limits.
INNER_SHARE, TIGHTEST, LOOSEST = 0.3, 1e-13, 1e-3
INNER_ITERATIONS = 30
# So many times the rows inside the envelope are near the kink; all others are held.
# When more than the second multiple is near, rows are held anew.
NEAR, TOO_MANY = 2, 5
# The gap of the near rows leaves this share of what is allowed to the others.
PART = 0.5
TINY = float(np.finfo(float).tiny)


def augmented_lagrangian_cg(
    objective: Objective, start: Array, *, tol: float, max_iter: int
) -> OptimizeResult:
    """Minimise an objective with a piecewise linear loss and no l1 part.

    Parameters and result are those of `augmented_lagrangian`.
    """
    n_rows = objective.rows.n_rows
    low, high = objective.loss.facts.slopes
    narrowest = max(NOISE_LEVELS * objective.noise, TINY) / max(-low, high)
    point, slopes = objective.evaluate(start), np.zeros_like(objective.target)
    gap = duality_gap(objective, point, slopes)
    best, best_slopes = point, slopes.copy()
    allowed = allowed_gap(objective, point, tol, slopes)
    near, part, params = np.arange(n_rows), objective, start
    beta, relative, iteration = np.inf, 1.0, 0
    while gap > allowed and iteration < max_iter:
        iteration += 1
        if part is objective:
            beta = min(beta, objective.typical_residual(point) / max(-low, high))
        beta = max(beta, narrowest)
        gtol = float(np.clip(INNER_SHARE * relative, TIGHTEST, LOOSEST))
        params, slopes[near] = _update(part, params, slopes[near], beta, gtol)
        point = part.evaluate(params)
        new_gap = duality_gap(part, point, slopes[near])
        relative = new_gap / max(objective.yardstick(best), TINY)
        inside = max(np.count_nonzero((slopes > low) & (slopes < high)), 1)
        crowded = near.size > TOO_MANY * inside
        wrong = 0
        if part is not objective and (crowded or new_gap <= PART * allowed):
            point = objective.evaluate(params)
            wrong = _take_sides(objective, point, slopes, near)
            new_gap = duality_gap(objective, point, slopes)
            part = objective
        if part is objective:
            if new_gap < gap:
                best, best_slopes, gap = point, slopes.copy(), new_gap
                allowed = allowed_gap(objective, best, tol, best_slopes)
            count = NEAR * inside + TOO_MANY * wrong
            if count < n_rows // NEAR:
                near = _nearest(objective, point, count)
                part = objective.hold(point, near)
        beta *= NARROWER
    success = gap <= allowed
    return OptimizeResult(
        x=best.params,
        fun=best.value,
        point=best,
        gap=gap,
        slopes=best_slopes,
        nit=iteration,
        success=success,
        status=0 if success else 1,
        message="converged" if success else "iteration limit",
    )


def _update(
    objective: Objective, start: Array, multipliers: Array, beta: float, gtol: float
) -> tuple[Array, Array]:
    """Return the params of one smooth problem, and the multipliers that they give."""
    low, high = objective.loss.facts.slopes
    shifted = objective.target + beta * multipliers
    result = newton(
        objective.with_loss(Envelope(low, high, beta), shifted),
        start,
        step_rule=krylov_step,
        tol=0.0,
        max_iter=INNER_ITERATIONS,
        gtol=gtol,
        majorise=not objective.penalty_curvature().any(),
    )
    return result.x, np.clip(result.point.residual / beta, low, high)


def _take_sides(
    objective: Objective, point: Point, slopes: Array, near: Index
) -> int:
    """Set the slopes of held rows to their sides; return how many changed theirs."""
    own = objective.loss.gradient(point.residual)
    own[near] = slopes[near]
    changed = (own != slopes) & (objective.weight > 0)
    slopes[:] = own
    return int(np.count_nonzero(changed))


def _nearest(objective: Objective, point: Point, count: int) -> Index:
    """Return the rows of smallest residual, in order; rows of no weight are last."""
    size = np.where(objective.weight > 0, np.abs(point.residual), np.inf)
    return np.sort(np.argpartition(size, count - 1)[:count])
