"""Kinked losses with many params: the augmented Lagrangian on the rows near the kink.

The multiplier method of `augmented_lagrangian`, made for steps by conjugate gradients,
whose cost is the rows that have curvature times the square root of a condition number
that goes with the inverse width of the envelope. Three things differ. The envelope
starts wide and halves with every update of the multipliers, each taking a few Newton
steps from the last. Inner problems are solved no closer than the gap asks for. And once
few rows lie near the kink, all others are held on their side, where their loss is
linear [1]_: they are one linear term, and a pass over all rows checks their sides.

Cost: a dozen passes over all rows and two for each update, then passes over about twice
the rows that the optimum fits exactly.

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
from robustreg.solvers.results import result_at

# The width falls by this factor with each update of the multipliers. The first fits
# may explain so much that it falls faster, but by no more than the second.
NARROWER, FASTEST = 0.5, 0.1
# Inner problems are solved to this share of the relative gap and so much closer each
# time, within limits.
INNER_SHARE, CLOSER, TIGHTEST, LOOSEST = 0.3, 0.5, 1e-13, 2e-3
INNER_ITERATIONS = 30
# So many times the rows inside the envelope are near the kink; all others are held.
# When more than the second multiple is near, rows are held anew.
NEAR, TOO_MANY = 2, 5
# One row in so many is near in any case.
LEAST = 50
TINY = float(np.finfo(float).tiny)


def augmented_lagrangian_cg(
    objective: Objective, start: Array, *, tol: float, max_iter: int
) -> OptimizeResult:
    """Minimise an objective with a piecewise linear loss and no l1 part.

    Parameters and result are those of `augmented_lagrangian`.
    """
    low, high = objective.loss.facts.slopes
    narrowest = max(NOISE_LEVELS * objective.noise, TINY) / max(-low, high)
    best, best_slopes = objective.evaluate(start), np.zeros_like(objective.target)
    gap = duality_gap(objective, best, best_slopes)
    allowed = allowed_gap(objective, best, tol, best_slopes)
    point, slopes = best, best_slopes.copy()
    every = np.arange(objective.rows.n_rows)
    near, part = every, objective
    beta = _typical(objective, point) or float(objective.weight @ abs(point.residual))
    gtol, relative, iteration = LOOSEST, 1.0, 0
    while gap > allowed and iteration < max_iter:
        iteration += 1
        if part is objective and iteration > 1:
            beta = max(min(beta, _typical(objective, point)), FASTEST * beta)
        beta = max(beta, narrowest)
        gtol = max(min(INNER_SHARE * relative, CLOSER * gtol), TIGHTEST)
        params, slopes[near] = _update(part, point.params, slopes[near], beta, gtol)
        point = objective.evaluate(params)
        wrong = _take_sides(objective, point, slopes, near)
        new_gap = duality_gap(objective, point, slopes)
        relative = min(new_gap / max(objective.yardstick(point), TINY), 1.0)
        if new_gap > gap and part is not objective:
            # What was held had to move: once more from the best, with all rows.
            point, slopes, near, part = best, best_slopes.copy(), every, objective
            continue
        if new_gap < gap:
            best, best_slopes, gap = point, slopes.copy(), new_gap
            allowed = allowed_gap(objective, best, tol, best_slopes)
        n_loose = np.count_nonzero(slopes != objective.loss.gradient(point.residual))
        if part is objective or wrong or near.size > TOO_MANY * n_loose:
            near = _near_rows(objective, point, slopes, wrong)
            part = objective.hold(point, near) if near.size < every.size else objective
        beta *= NARROWER
    success = gap <= allowed
    return result_at(
        best, gap, iteration, success, "iteration limit", slopes=best_slopes
    )


def _typical(objective: Objective, point: Point) -> float:
    """Return the width of the envelope that ends at a typical residual."""
    low, high = objective.loss.facts.slopes
    return objective.typical_residual(point) / max(-low, high)


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


def _take_sides(objective: Objective, point: Point, slopes: Array, near: Index) -> int:
    """Set the slopes of held rows to their sides; return how many changed theirs."""
    own = objective.loss.gradient(point.residual)
    own[near] = slopes[near]
    changed = (own != slopes) & (objective.weight > 0)
    slopes[:] = own
    return int(np.count_nonzero(changed))


def _near_rows(objective: Objective, point: Point, slopes: Array, wrong: int) -> Index:
    """Return the rows that may change sides, in order.

    Those whose multiplier is not the slope of their side, so that what holds the
    others agrees with all multipliers, and then those of smallest residual. Rows of no
    weight are last.
    """
    size = np.abs(point.residual)
    size[slopes != objective.loss.gradient(point.residual)] = 0.0
    size[objective.weight == 0] = np.inf
    n_rows = size.size
    count = NEAR * int(np.count_nonzero(size == 0)) + TOO_MANY * wrong
    count = min(max(count, n_rows // LEAST, 1), n_rows)
    return np.sort(np.argpartition(size, count - 1)[:count])
