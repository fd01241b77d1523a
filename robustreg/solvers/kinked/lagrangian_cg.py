"""Kinked losses with many params: the augmented Lagrangian on the rows near the kink.

The multiplier method of `augmented_lagrangian`, made for steps by conjugate gradients,
whose cost is the rows that have curvature times the square root of a condition number
that goes with the inverse width of the envelope. Three things differ. The envelope
starts wide and halves with every update of the multipliers, each taking a few Newton
steps from the last. Inner problems are solved no closer than the gap asks for. And once
few rows lie near the kink, all others are held on their side, where their loss is
linear [1]_: they are one linear term, and a pass over all rows checks their sides.

Categories, one-hot, need a few dozen products throughout. Where columns share rows at
random, the rows at the kink are nearly dependent in some directions, and an update
takes half as many products again as the one before, or more. Once the next one would
cost more than a factorisation, or one cost a few, `interior_point` solves what is left,
which makes no more factorisations than there are updates to come.

Cost: a dozen passes over all rows and two for each update, then passes over about twice
the rows that the optimum fits exactly; or a few updates and 4 to 20 factorisations.

References
----------
.. [1] Portnoy, S., Koenker, R. (1997). The Gaussian hare and the Laplacian tortoise:
   computability of squared-error versus absolute-error estimators. Statistical Science
   12, 279-300, section 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from robustreg.linalg import NOISE_LEVELS, TINY
from robustreg.objective import Objective, Point
from robustreg.rows import Array, Index, Rows
from robustreg.solvers.descent import descend
from robustreg.solvers.kinked.augmented_lagrangian import TIGHTEST, Certified, augmented
from robustreg.solvers.kinked.exact import EXACT_ITERATIONS
from robustreg.solvers.kinked.interior_point import interior_point
from robustreg.solvers.krylov import KRYLOV
from robustreg.solvers.newton import INNER_ITERATIONS, stationary_to
from robustreg.solvers.results import Result, Start
from robustreg.tolerance import typical_residual, typical_value

# The width falls by the first factor with each update of the multipliers. While fits
# explain more and more it falls with the residuals, but no faster than by the second.
NARROWER, FASTEST = 0.5, 0.1
# Inner problems are solved to the first share of the relative gap, and to no more than
# the second of the last one's tolerance, within limits.
INNER_SHARE, CLOSER, LOOSEST = 0.3, 0.5, 2e-3
# This many times the rows inside the envelope are near the kink; all others are held.
# When more than the second multiple is near, rows are held anew.
MARGIN, TOO_MANY = 2, 5
# The time of a floating point operation of a product, bound by memory, in those of a
# factorisation, bound by arithmetic.
BOUND_BY_MEMORY = 16
# The normal matrix has no more columns than this, unless the design is larger than it.
MOST_FACTORISED = 5000
# An update that costs more than the first multiple of the one before is followed by one
# that costs as many times more, which may be one factorisation; one that does not may
# cost the second figure.
GROWS, DEAR = 1.2, 3.0
# After two interior points that found no optimum, products do the rest.
MOST_FAILURES = 2


@final
@dataclass(frozen=True)
class _Update:
    """Params, the multipliers there, the passes they took, and whether they failed."""

    params: Array
    multipliers: Array
    passes: float
    failed: bool


@final
class _Costs:
    """What products and factorisations of a design cost, in operations."""

    def __init__(self, rows: Rows) -> None:
        p, n = rows.n_params, max(rows.n_rows, 1)
        self._p = p
        self._per_row = p if rows.stored is None else 1 + rows.stored.sum() / n
        self._fits = p * p <= max(MOST_FACTORISED**2, n * self._per_row)
        self._n_rows, self._last = n, np.inf

    def are_dear(self, n_near: int, passes: float, rest: float) -> bool:
        """Return whether the next update by products costs more than factors.

        The last one took passes over the rows near the kink, and others over all rows,
        its certificate among them.
        """
        values = (n_near * passes + self._n_rows * rest) * self._per_row
        factor = n_near * self._per_row**2 + self._p**3 / 3
        price = self._fits * 4 * BOUND_BY_MEMORY * values / factor
        growth, self._last = price / (self._last or np.inf), price
        return price > DEAR or (growth > GROWS and price * growth > 1.0)


def augmented_lagrangian_cg(
    objective: Objective, start: Start, tol: float, max_iter: int
) -> Result:
    """Minimise an objective with a piecewise linear loss and no l1 part.

    Parameters and result are those of `augmented_lagrangian`.
    """
    point, slopes = objective.evaluate(start.params), np.zeros_like(objective.target)
    best = Certified.by(slopes.copy(), point)
    every = np.arange(objective.rows.n_rows)
    near, part = every, objective
    beta = _typical(objective, point) or float(objective.weight @ abs(point.residual))
    gtol, relative, iteration = LOOSEST, 1.0, 0
    costs, factors, failures = _Costs(objective.rows), False, 0
    while not best.is_done(tol) and iteration < max_iter:
        iteration += 1
        if part is objective and iteration > 1:
            beta = max(min(beta, _typical(objective, point)), FASTEST * beta)
        beta = max(beta, _narrowest(objective))
        gtol = max(min(INNER_SHARE * relative, CLOSER * gtol), TIGHTEST)
        if factors:
            update = _by_interior_point(part, point.params, beta, tol)
            failures += update.failed
        else:
            update = _by_products(part, point.params, slopes[near], beta, gtol)
        slopes[near], before = update.multipliers, objective.rows.passes
        point = objective.evaluate(update.params)
        wrong = _take_sides(objective, point, slopes, near)
        now = Certified.by(slopes.copy(), point)
        rest = objective.rows.passes - before
        factors = factors or costs.are_dear(near.size, update.passes, rest)
        factors = factors and failures < MOST_FAILURES
        relative = min(now.gap / max(typical_value(objective, point), TINY), 1.0)
        if now.gap > best.gap and part is not objective:
            # What was held had to move: once more from the best, with all rows.
            point, slopes, near, part = best.point, best.slopes.copy(), every, objective
            continue
        best = now if now.gap < best.gap else best
        n_loose = np.count_nonzero(slopes != objective.loss.gradient(point.residual))
        if part is objective or wrong or near.size > TOO_MANY * n_loose:
            near = _near_rows(objective, point, slopes, wrong)
            whole = near.size == every.size
            part = objective if whole else objective.linearise(point, near)
        beta *= NARROWER
    return best.result(iteration, best.is_done(tol), "iteration limit")


def _narrowest(objective: Objective) -> float:
    """Return the width below which the envelope is rounding."""
    return max(NOISE_LEVELS * objective.noise, TINY) / objective.loss.facts.steepest


def _typical(objective: Objective, point: Point) -> float:
    """Return the width of the envelope that ends at a typical residual."""
    return typical_residual(objective, point) / objective.loss.facts.steepest


def _by_products(
    objective: Objective, start: Array, multipliers: Array, beta: float, gtol: float
) -> _Update:
    """Return the fit of one smooth problem by conjugate gradients."""
    inner, before = augmented(objective, multipliers, beta), objective.rows.passes
    result = descend(
        inner,
        Start(start),
        step=KRYLOV.step,
        until=stationary_to(gtol),
        max_iter=INNER_ITERATIONS,
        majorise=not objective.l2.any(),
    )
    multipliers = inner.loss.gradient(result.point.residual)
    passes = objective.rows.passes - before
    return _Update(result.point.params, multipliers, passes, False)


def _by_interior_point(
    objective: Objective, start: Array, beta: float, tol: float
) -> _Update:
    """Return the kinked fit itself, from one whose residuals are off by about beta."""
    low, high = objective.loss.facts.slopes
    before = objective.rows.passes
    width = beta * (high - low) / 2
    near = Start(start, error=width)
    result = interior_point(objective, near, tol, EXACT_ITERATIONS)
    passes = objective.rows.passes - before
    return _Update(result.params, result.optimal_slopes, passes, not result.success)


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
    count = MARGIN * int(np.count_nonzero(size == 0)) + TOO_MANY * wrong
    # Fewer rows than 2 % cost nothing beside the passes over all.
    count = min(max(count, n_rows // 50, 1), n_rows)
    return np.sort(np.argpartition(size, count - 1)[:count])
