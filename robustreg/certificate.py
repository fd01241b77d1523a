"""A bound on how far a point is from the optimum, from Fenchel duality.

For any slopes d (one per row, in the domain of the loss's conjugate) with
``g = design.T @ (w d)`` in the domain of the penalty's conjugate,

    objective(params) - minimum <= sum_i w_i (loss(r_i) + loss*(d_i) - r_i d_i)
                                   + penalty(c) + penalty*(g) - g @ c

and every summand on the right is non-negative [1]_, so that nothing cancels. At the
optimum ``d = loss'(r)`` makes both parts 0.

References
----------
.. [1] Borwein, J. M., Lewis, A. S. (2006). Convex Analysis and Nonlinear Optimization,
   2nd edition, section 3.3. Springer.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from robustreg.linalg import (
    CANCELLED,
    EPS,
    MOST_DIRECT_PARAMS,
    NEGLIGIBLE,
    ROUNDINGS,
    SMALLEST_RCOND,
    Factor,
    cholesky_solve,
    conjugate_gradients,
    factor_of_root,
    factorise,
    jacobi,
    solve_symmetric,
)
from robustreg.objective import Model, Objective, Point
from robustreg.rows import Array, Index
from robustreg.tolerance import AT_END, residual_error, typical_residual

# Projections of slopes at most: each takes two passes.
PROJECTIONS = 6
# A bound of this share of the value says next to nothing.
FAR = 0.5
# Where no Gram matrix is formed a projection is exact to this share, and takes no more
# products: what it misses is left to the next.
PROJECTED, MOST_PRODUCTS = 1e-12, 500
# An orthogonal decomposition of more entries costs too much.
MOST_ROOT_ENTRIES = 10**6
# Near the point rows keep this share of their curvature, or count as having none, and
# leaving those out may let the squared norm of the gradient grow by this factor.
KEPT, MAY_GROW = 0.9, 2.0
# A column that keeps less of its curvature than this has lost its digits, too.
DIGITS_LEFT = 1e-4


def duality_gap(objective: Objective, point: Point, slopes: Array) -> float:
    """Return an upper bound on ``point.value`` minus the minimum.

    Parameters
    ----------
    objective : Objective
        A convex objective.
    point : Point
        The point to certify.
    slopes : ndarray of shape (n_rows,)
        Guess of the optimal slopes; projected until they are feasible.

    Returns
    -------
    float
        The bound, no larger than the value itself.
    """
    # No objective is below 0, unless rows are held on their linear side.
    trivial = np.inf if objective.linear.any() else point.value
    low, high = objective.loss.facts.slopes
    bound, flat = trivial, objective.l2 == 0
    held = flat
    for projection in range(PROJECTIONS):
        slopes = np.clip(slopes, low, high)
        adjoint = objective.adjoint(slopes)
        rounding = ROUNDINGS * EPS * _adjoint_size(objective, slopes)
        stiff = held | _is_faint(objective, point, slopes, rounding)
        excess = _excess(objective, point, adjoint, stiff)
        missed = np.abs(excess) > rounding
        if not missed[flat].any():
            share = _feasible_share(objective, adjoint, rounding)
            feasible = share * adjoint - (1 - share) * objective.linear
            trial = share * slopes
            found = _fenchel_young(objective, point, trial, feasible, stiff, rounding)
            bound = min(bound, found)
        if not missed.any():
            # A curved penalty pays for slopes that are wrong, but not any price.
            excess = _excess(objective, point, adjoint, np.ones_like(flat))
            wrong = (np.abs(excess) > rounding).any()
            if bound <= FAR * point.value or held.all() or not wrong:
                break
            held = np.ones_like(flat)
        elif projection % 2 and missed[flat].any():
            # Where rows have not room enough for all, others have their price.
            excess = np.where(flat, excess, 0.0)
        slopes = _projected(objective, slopes, excess)
    return float(bound)


def local_gap(
    objective: Objective, point: Point, model: Model, share: float = 1.0
) -> float:
    """Return an upper bound on the gap from curvature near the point; inf if none.

    Within the ellipsoid of radius ``2 norm``, ``norm^2 = g @ H^-1 @ g``, the objective
    is at least its tangent plus the quadratic of the curvature that no row loses
    there. On the boundary that is no less than the value at the point, so that the
    minimum lies inside, at most ``norm^2 / 2`` below (strong convexity on a level
    set [1]_). A row's prediction changes there by no more than
    ``2 norm / sqrt(curvature)``, because H holds that row's own term.

    Parameters
    ----------
    objective : Objective
        Its rows made the model; a sample of all rows will do.
    point : Point
        The gradient is that of all rows, the residuals those of the objective's.
    model : Model
        Its Hessian.
    share : float
        All rows have at least this share of the model's curvature.

    References
    ----------
    .. [1] Boyd, S., Vandenberghe, L. (2004). Convex Optimization, section 9.1.2.
       Cambridge University Press.
    """
    if not (objective.loss.facts.unimodal and _is_curved(objective, model.factor)):
        return np.inf
    curvature = model.gram.weight
    rows = np.flatnonzero(curvature)
    c, r = curvature[rows], point.residual[rows]
    square = float(point.gradient @ model.factor.solve(point.gradient))
    reach = 2 * np.sqrt(MAY_GROW * square) / np.sqrt(c) / (KEPT * share)
    if np.isfinite(objective.loss.facts.linear_beyond):
        reach = np.maximum(reach, AT_END * objective.loss.facts.linear_beyond)
    near = objective.loss.curvature(r - reach)
    near = np.minimum(near, objective.loss.curvature(r + reach))
    loses = objective.weight[rows] * near < KEPT * c
    if loses.any():
        factor = _without(objective, model, rows[loses])
        if factor is None or not _is_curved(objective, factor):
            return np.inf
        left = float(point.gradient @ factor.solve(point.gradient))
        if not left <= MAY_GROW * square:
            return np.inf
        square = left
    rounding = float(c @ residual_error(objective, point, rows) ** 2)
    return 0.5 * (np.sqrt(square) + np.sqrt(rounding)) ** 2 / (KEPT * share)


def _is_curved(objective: Objective, factor: Factor) -> bool:
    """Return whether no column that varies is without curvature."""
    return bool((factor.scale > 0)[objective.rows.varies].all())


def _without(objective: Objective, model: Model, rows: Index) -> Factor | None:
    """Return the factor of a model without some rows, None if that has no digits."""
    lost, every = np.zeros_like(model.gram.weight), np.arange(objective.n_params)
    lost[rows] = model.gram.weight[rows]
    if model.factor.rcond < SMALLEST_RCOND:
        # It is that of a root, from which nothing can be taken.
        return factor_of_root(objective.hessian_root(model.gram.weight - lost, every))
    hessian = model.hessian - objective.rows.gram(lost, every)
    left_over = hessian.diagonal() >= DIGITS_LEFT * model.hessian.diagonal()
    factor = factorise(hessian)
    return factor if factor.rcond >= SMALLEST_RCOND and left_over.all() else None


def _is_faint(
    objective: Objective, point: Point, slopes: Array, rounding: float
) -> NDArray[np.bool_]:
    """Return which params have so little curvature of the penalty that noise counts.

    The conjugate charges the square of an excess over the curvature, and the excess
    holds the rounding errors of the adjoint and of the residuals that slopes are of.
    """
    curvature = objective.l2
    facts = objective.loss.facts
    noise = objective.noise * facts.largest_curvature if facts.smooth else 0.0
    # Roots: the square of an excess may overflow.
    excess = np.sqrt(objective.n_params) * (rounding + noise)
    allowed = np.sqrt(NEGLIGIBLE * abs(point.value))
    return (curvature > 0) & (excess > np.sqrt(2 * curvature) * allowed)


def _excess(
    objective: Objective, point: Point, adjoint: Array, stiff: NDArray[np.bool_]
) -> Array:
    """Return the adjoint minus its prescribed value, 0 where none is prescribed.

    A param that is 0 and has a kink there leaves an interval, and where the penalty
    is curved the conjugate pays for an excess, unless the param is stiff.
    """
    pinned = stiff & ((objective.l1 == 0) | (point.params != 0))
    return np.where(pinned, adjoint - _wanted(objective, point), 0.0)


def _wanted(objective: Objective, point: Point) -> Array:
    """Return the gradient of the penalty, which the adjoint equals at the optimum."""
    smooth = objective.l2 * point.params
    return objective.l1 * np.sign(point.params) + smooth


def _adjoint_size(objective: Objective, slopes: Array) -> float:
    """Return the size of the terms that an adjoint sums, in standard deviations.

    By the inequality of Cauchy and Schwarz, as columns have mean square 1.
    """
    largest = objective.loss.facts.steepest
    typical = float(np.sqrt(objective.weight @ slopes**2))
    floor = EPS * largest if np.isfinite(largest) else 0.0
    return float((typical + floor) * np.sqrt(objective.n_params))


def _projected(objective: Objective, slopes: Array, excess: Array) -> Array:
    """Return slopes that meet the constraints, moved where they have room to move."""
    low, high = objective.loss.facts.slopes
    room = np.minimum(slopes - low, high - slopes)
    room = np.where(np.isfinite(room), np.maximum(room, 0.0), 1.0)
    columns = np.flatnonzero(excess)
    step = np.zeros_like(excess)
    if columns.size <= MOST_DIRECT_PARAMS:
        weight = objective.weight * room
        step[columns] = _solved(objective, weight, columns, excess[columns])
    else:
        step = _krylov_projection(objective, objective.weight * room, excess)
    objective.rows.passes += 1
    return slopes - room * objective.rows.predict(step)


def _solved(objective: Objective, c: Array, columns: Index, right: Array) -> Array:
    """Return ``gram(c)^-1 right``, by a root of it where it has lost its digits."""
    gram = objective.rows.gram(c, columns)
    solution, rcond = cholesky_solve(gram, right)
    if rcond > SMALLEST_RCOND:
        return solution
    if objective.rows.n_rows * columns.size > MOST_ROOT_ENTRIES:
        return solve_symmetric(gram, right)
    scale = jacobi(gram.diagonal())
    root = objective.rows.root(c, columns) * scale
    _, size, basis = scipy.linalg.svd(root, full_matrices=False)
    kept = size > EPS * max(root.shape) * size.max(initial=0.0)
    size, basis = size[kept], basis[kept]
    return np.asarray(scale * (((basis @ (scale * right)) / size**2) @ basis))


def _krylov_projection(objective: Objective, c: Array, excess: Array) -> Array:
    """Return the step of `_projected` by conjugate gradients: no p x p matrix."""
    live = excess != 0

    def product(v: Array) -> Array:
        image = objective.rows.adjoint(c * objective.rows.predict(v))
        objective.rows.passes += 1
        return np.where(live, image, 0.0)

    diagonal = objective.rows.gram_diagonal(c)
    diagonal = np.where(live & (diagonal > 0), diagonal, 1.0)
    return conjugate_gradients(product, excess, diagonal, PROJECTED, MOST_PRODUCTS)


def _feasible_share(objective: Objective, adjoint: Array, rounding: float) -> float:
    """Return the largest share in [0, 1] of the slopes that the l1 part allows."""
    kinked = (objective.l2 == 0) & (objective.l1 > 0)
    limit = objective.l1[kinked]
    over = np.abs(adjoint[kinked])
    ratio = np.where(over > limit + rounding, limit / np.maximum(over, limit), 1.0)
    return float(ratio.min(initial=1.0))


def _fenchel_young(
    objective: Objective,
    point: Point,
    slopes: Array,
    adjoint: Array,
    stiff: NDArray[np.bool_],
    rounding: float,
) -> float:
    """Return the bound of the module's formula for feasible slopes.

    What rounding leaves of a constraint counts over the distance that a fit moves
    when it moves by the typical residual.
    """
    coef, l1 = point.params[:-1], objective.l1
    wanted = _wanted(objective, point)
    flat = objective.l2 == 0
    limited = np.where(flat, np.clip(adjoint, -l1, l1), adjoint)
    # Elsewhere the conjugate's charge, a square over the curvature, is the smaller.
    at_zero = (l1 > 0) & (point.params == 0)
    target = np.where(at_zero, np.clip(adjoint, -l1, l1), wanted)
    limited = np.where(stiff & (np.abs(adjoint - target) <= rounding), target, limited)
    missed = float(np.abs(adjoint - limited).sum())
    pairing = limited[:-1] * coef
    conjugate = objective.penalty.conjugate(limited[:-1])
    penalty = objective.penalty.value(coef) + float((conjugate - pairing).sum())
    rows = rows_gap(objective, point, slopes)
    return rows + max(penalty, 0.0) + missed * typical_residual(objective, point)


def rows_gap(objective: Objective, point: Point, slopes: Array) -> float:
    """Return the mean of ``loss(r) + loss*(d) - r d``, of slopes within their range.

    0 where d is the loss's own slope at r. So it is for rows without weight, whose
    conjugate may be infinite.
    """
    loss, r = objective.loss, point.residual
    slopes = np.clip(slopes, *loss.facts.slopes)
    gaps = loss.value(r) + loss.conjugate(slopes) - r * slopes
    own = loss.gradient(r)
    same = np.abs(slopes - own) <= CANCELLED * np.abs(own)
    none = same | (objective.weight == 0)
    return float(objective.weight @ np.where(none, 0.0, np.maximum(gaps, 0.0)))
