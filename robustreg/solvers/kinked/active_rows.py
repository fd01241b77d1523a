"""Kinked losses on many rows: only rows near the kink are worth their cost.

A row far from the fit keeps its side of the kink, where its loss is linear. So a
sample is fitted first, its fit is moved by Newton's method on a narrow smooth loss of
all rows, all rows but those nearest to that fit are replaced by one linear term [1]_,
the small problem is solved exactly, and the sides are checked. A tangent is a lower
bound, so that the small problem's certificate is the large one's. Rows that changed
sides enter, and the small problem is solved again.

Cost: about five passes, n p each, and the Gram matrices of the rows near the kink.

References
----------
.. [1] Portnoy, S., Koenker, R. (1997). The Gaussian hare and the Laplacian tortoise:
   computability of squared-error versus absolute-error estimators. Statistical Science
   12, 279-300, section 5.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from robustreg.certificate import duality_gap
from robustreg.linalg import NOISE_LEVELS
from robustreg.losses import Envelope, Loss
from robustreg.objective import FAINTEST, Objective, Point
from robustreg.rows import Array, Index, middle_of
from robustreg.solvers.continuation import ROWS_INSIDE, STAGE_ITERATIONS, shrink
from robustreg.solvers.descent import descend
from robustreg.solvers.facts import step_rule_for
from robustreg.solvers.kinked.without_search import (
    AT_KINK,
    TIED_SHARE,
    constant_fit,
    perfect_fit,
)
from robustreg.solvers.newton import START_GTOL, stationary_to
from robustreg.solvers.results import Result, Run, Start
from robustreg.solvers.sampling import STARTING, Sampling
from robustreg.tolerance import allowed_gap, rounding_of_terms, typical_residual

# ``exact(objective, start)`` minimises an objective of few rows.
Exact = Callable[[Objective, Start], Result]

# Rows this many errors of the smooth fit away from the kink are taken to keep their
# side. Fewer errors leave fewer rows to solve for, but cost another round more often.
BAND = 6.0
# Too few may leave nothing that bounds the linear term of the others; a start at the
# fit of a like problem knows which rows do.
LEAST_ROWS_PER_PARAM = 6
# Slopes of a like problem that miss their condition by no more than this share of their
# range may be optimal here, too: a certificate says.
ALIKE = 1e-9


def by_active_rows(
    objective: Objective,
    start: Start,
    tol: float,
    max_iter: int,
    *,
    method: Run,
    sampling: Sampling = STARTING,
) -> Result:
    """Minimise a piecewise linear objective, on few rows at a time if there are many.

    A start with slopes is the fit of a like problem.

    Returns
    -------
    Result
        As ``method`` returns it, for all rows.
    """
    exact = partial(method, tol=tol, max_iter=max_iter)
    if start.slopes is not None:
        near = _from_like(objective, start, start.slopes, exact, tol, sampling)
        if near is not None:
            return near
    done = perfect_fit(objective, start.params, start.residual_in(objective))
    done = done or constant_fit(objective, tol)
    if done is None and sampling.has_few(objective):
        done = _as_it_is(objective, start.params, exact)
    if done is not None:
        return done
    point, error = near_kinked(objective, start.params, exact, sampling)
    least = max(sampling.few, LEAST_ROWS_PER_PARAM * objective.n_params)
    return _in_rounds(objective, point, error, least, exact)


def _from_like(
    objective: Objective,
    start: Start,
    slopes: Array,
    exact: Exact,
    tol: float,
    sampling: Sampling,
) -> Result | None:
    """Minimise from the fit of a like problem, which may be this one's.

    The guess is about as far off as a Newton step goes for which its slopes are the
    gradient. None if it is so far off that a sample leaves fewer rows to solve for, or
    that no slopes could meet their condition.
    """
    residual = start.residual_in(objective)
    done = perfect_fit(objective, start.params, residual)
    if done is None and not start.params[:-1].any():
        # What ties made optimal for a like problem they may make so for this one.
        done = constant_fit(objective, tol)
    if done is not None:
        return done
    low, high = objective.loss.facts.slopes
    wanted = objective.l2 * start.params
    missed = objective.adjoint(slopes) - wanted
    point = Point(start.params, -missed, residual, objective)
    missed = np.maximum(np.abs(missed) - objective.l1, 0.0)
    share = float(np.linalg.norm(missed)) / (high - low)
    # Under an l2 part params are only as close as the root of the gap. At another scale
    # slopes certify the same fit without one: all terms change by one factor.
    if share <= ALIKE and not wanted.any():
        gap = duality_gap(objective, point, slopes)
        if gap <= allowed_gap(objective, point, tol, slopes):
            return Result(point, gap, 1, True, slopes=slopes, unique=start.unique)
    if share > 1:
        return None
    error = max(_sparsity(objective, residual) * share, objective.noise)
    error = max(error, rounding_of_terms(objective, point))
    least = LEAST_ROWS_PER_PARAM * objective.n_params
    near = _count_within(objective, point, BAND * error, least)
    if near > sampling.balanced(objective) and not sampling.has_few(objective):
        return None
    return _in_rounds(objective, point, error, least, exact)


def _in_rounds(
    objective: Objective, point: Point, error: float, least: int, exact: Exact
) -> Result:
    """Minimise on the rows near the kink, all others held on their side."""
    n_active = _count_within(objective, point, BAND * error, least)
    n_rows, iterations = objective.rows.n_rows, 0
    # Each at least doubles the rows, until they are all.
    for _ in range(20):
        active = _nearest(objective, point, n_active)
        held = objective.linearise(point, active)
        result = exact(held, Start(point.params, error=error))
        iterations += result.n_iter
        residual = objective.residual(result.params)
        residual[active] = result.point.residual
        wrong = _changed_sides(objective, point.residual, residual, active)
        # Too few rows may leave nothing that bounds the linear term.
        if result.success or n_active == n_rows:
            point = Point(result.params, result.point.gradient, residual, objective)
            error *= 0.5
            if not wrong:
                break
        more = max(2 * n_active, 4 * wrong) if result.success else 8 * n_active
        n_active = min(more, n_rows)
    settled = point.params is result.params and not wrong
    return _of_all_rows(point, residual, active, result, iterations, settled)


def _of_all_rows(
    point: Point,
    residual: Array,
    active: Index,
    result: Result,
    iterations: int,
    settled: bool,
) -> Result:
    """Return the result for all rows, given that of the active ones."""
    slopes = point.objective.loss.gradient(residual)
    slopes[active] = result.optimal_slopes
    return Result(
        point,
        result.gap if settled else np.inf,
        iterations,
        result.success and settled,
        result.message,
        slopes=slopes,
        unique=result.unique,
    )


def _as_it_is(objective: Objective, start: Array, exact: Exact) -> Result:
    """Minimise on all rows, from the fit of a smooth loss as wide as half of them.

    Under an l1 penalty on more columns than rows that costs more than it saves. Nor
    does a start that fits most rows exactly: it is far from the central path.
    """
    if objective.l1.any() and objective.rows.n_rows < objective.n_params:
        none = np.zeros_like(start)
        none[-1] = start[-1]
        near = Start(none)
    else:
        near = shrink(
            objective, start, step_rule_for(objective), objective.rows.n_rows // 2
        )
    residual = near.residual_in(objective)
    done = perfect_fit(objective, near.params, residual)
    if done is not None:
        return done
    return exact(objective, Start(near.params, error=_spread(objective, residual)))


def near_kinked(
    objective: Objective, start: Array, exact: Exact, sampling: Sampling
) -> tuple[Point, float]:
    """Return a point near the optimum and by about how much its predictions are off.

    From samples of samples, the smallest of them solved, or from wide losses.
    """
    if sampling.has_few(objective):
        point = _as_it_is(objective, start, exact).point
        return point, typical_residual(objective, point) / objective.rows.n_rows
    # The sample is given back before all rows are looked at.
    near = _of_sample(objective, start, exact, sampling)
    return _smooth_fit(objective, *(near or _of_wide_losses(objective, start)))


def _of_sample(
    objective: Objective, start: Array, exact: Exact, sampling: Sampling
) -> tuple[Array, float, float] | None:
    """Return what `near_sample` does of a sample, None if rows are not so many more."""
    drawn = sampling.draw_kinked(objective)
    if drawn is None:
        return None
    few = drawn.objective
    return near_sample(few, *near_kinked(few, start, exact, sampling))


def _smooth_fit(
    objective: Objective, params: Array, width: float, sparsity: float
) -> tuple[Point, float]:
    """Return the fit of a smooth loss of some half-width, and by how much it is off."""
    # A sample that is fitted exactly knows of no residual.
    least = max(objective.noise, FAINTEST)
    sparsity, width = max(sparsity, least), max(width, least)
    narrow, shift = narrow_loss(objective.loss, width)
    fit = descend(
        objective.with_loss(narrow, objective.target + shift),
        Start(params),
        step=step_rule_for(objective).step,
        until=stationary_to(START_GTOL),
        max_iter=STAGE_ITERATIONS,
    )
    low, high = objective.loss.facts.slopes
    left = narrow_error(objective.rows.n_rows, objective.n_params, width, sparsity)
    left += sparsity * float(np.abs(fit.point.gradient).max()) / (high - low)
    residual = fit.point.residual - shift
    point = Point(fit.point.params, fit.point.gradient, residual, objective)
    if _is_crowded(point, width, sparsity):
        left = max(left, width)
    return point, float(max(left, objective.noise))


def narrow_loss(loss: Loss, width: float) -> tuple[Envelope, float]:
    """Return a smooth loss of some half-width, and what is added to the target for it.

    The slope rises from low to high over equal distances on both sides of the kink (a
    uniform kernel): its bias is of second order.
    """
    low, high = loss.facts.slopes
    beta = 2 * width / (high - low)
    return Envelope(low, high, beta), beta * (low + high) / 2


def narrow_error(n_rows: int, n_params: int, width: float, sparsity: float) -> float:
    """Return by about how much a fit of the narrow loss is off.

    Noise of the slopes of rows within the width, and bias.
    """
    return float(
        np.sqrt(n_params * width * sparsity / (6 * n_rows)) + width**2 / (6 * sparsity)
    )


def near_sample(few: Objective, point: Point, off: float) -> tuple[Array, float, float]:
    """Return a sample's params, the width of the smooth fit from there, the sparsity.

    With m rows a fit is off by about ``sqrt(p / m)`` times the sparsity times the
    standard deviation of slopes over their range.
    """
    sparsity = _sparsity(few, point.residual)
    low, high = few.loss.facts.slopes
    spread = sparsity * np.sqrt(-low * high) / (high - low)
    error = max(spread * np.sqrt(few.n_params / few.rows.n_rows), off)
    # Two errors wide: most rows that are at the kink in the end are within.
    return point.params, 2 * float(error), sparsity


def _of_wide_losses(objective: Objective, start: Array) -> tuple[Array, float, float]:
    """Return what `near_sample` does, of a smooth loss with few rows in its middle."""
    inside = ROWS_INSIDE * objective.n_params
    near = shrink(objective, start, step_rule_for(objective), inside)
    residual = near.residual_in(objective)
    size = np.abs(residual[objective.weight > 0])
    width = float(np.partition(size, inside)[inside])
    return near.params, width, _sparsity(objective, residual)


def _sparsity(objective: Objective, residual: Array) -> float:
    """Return one over the density of residuals at the kink [1]_, from those nearest.

    References
    ----------
    .. [1] Koenker, R. (2005). Quantile Regression, section 3.4. Cambridge University
       Press.
    """
    rows, _ = objective.representatives
    size, exact = np.abs(residual[rows]), NOISE_LEVELS * objective.noise
    # Of the first share that holds more than exact fits, which do not say how far off.
    for share in (0.1, 0.2, 0.4, 0.8):
        nearest = float(np.quantile(size, share))
        if nearest > exact:
            return 2 * nearest / share
    return max(2 * float(size.max(initial=0.0)), objective.noise, FAINTEST)


def _is_crowded(point: Point, width: float, sparsity: float) -> bool:
    """Return whether many more rows are near the kink than the sparsity says.

    They are tied, and spread over the width of the smooth loss that they hold.
    """
    rows, _ = point.objective.representatives
    inside = float(np.mean(np.abs(point.residual[rows]) <= width))
    # Twice as many as the density farther off would have within the width.
    return inside > 2 * (2 * width / sparsity) and inside > TIED_SHARE


def _spread(objective: Objective, residual: Array) -> float:
    """Return the typical residual, of those that are not 0 if most are."""
    size = np.abs(residual[objective.representatives[0]])
    above = size[size > objective.noise]
    return middle_of(above) if above.size else max(objective.noise, FAINTEST)


def _count_within(objective: Objective, point: Point, reach: float, least: int) -> int:
    """Return how many rows are kept near the kink."""
    within = int(np.count_nonzero(np.abs(point.residual) <= reach))
    return min(max(within, least), objective.rows.n_rows)


def _nearest(objective: Objective, point: Point, count: int) -> Index:
    """Return the rows of smallest residual, in order; none without weight."""
    size = np.where(objective.weight > 0, np.abs(point.residual), np.inf)
    count = min(count, size.size)
    nearest = np.argpartition(size, count - 1)[:count]
    return np.sort(nearest[objective.weight[nearest] > 0])


def _changed_sides(
    objective: Objective, before: Array, after: Array, active: Index
) -> int:
    """Return how many of the held rows are now on the other side of the kink."""
    # At the kink, to rounding, both sides agree.
    changed = ((before > 0) != (after > 0)) & (objective.weight > 0)
    changed &= np.abs(after) > AT_KINK * objective.noise
    changed[active] = False
    return int(np.count_nonzero(changed))
