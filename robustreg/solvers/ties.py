"""One answer where many fits are optimal: the same for weights and repeated rows.

Two rules pick it. Where columns depend on each other and nothing penalises them, and
where an l1 penalty leaves coefficients open, the standardised coefficients have least
norm. Where a loss that is linear in its tails
leaves the fit itself open (the median of an even number of values), the fit stays as
far as it can from where the loss bends: the smallest distance is maximised, then the
second smallest, and so on, which for a median is the midpoint [1]_.

References
----------
.. [1] Schmeidler, D. (1969). The nucleolus of a characteristic function game. SIAM
   Journal on Applied Mathematics 17, 1163-1170.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg
from scipy.optimize import linprog, nnls

from robustreg.linalg import (
    ABSENT,
    EPS,
    MOST_COPIED,
    NO_DIRECTION,
    SMALLEST_RCOND,
    jacobi,
    least_norm_fit,
)
from robustreg.objective import Objective, Point
from robustreg.rows import Array, Index
from robustreg.tolerance import (
    AT_END,
    rounding_of_terms,
    typical_residual,
    typical_value,
)

# Ridges that pick the least norm, as shares of the objective, the first that is exact.
RIDGES = (1e-3, 1e-5, 1e-7)

# Of the linear program of the farthest fit: its rows at first, and how often more may
# enter; by which share of a typical distance a row is too near; and from where, beyond
# the program's own tolerance, a multiplier is that of a row that binds.
FIRST_ROWS, MOST_ROUNDS, TOO_NEAR, BINDING = 1000, 50, 1e-9, 1e-7

Solve = Callable[[Objective, Array], Array]


def canonical(
    objective: Objective, point: Point, slopes: Array, solve: Solve, allowed: float
) -> Point:
    """Return the canonical one of the optimal fits.

    Parameters
    ----------
    objective : Objective
        A convex objective.
    point : Point
        Any optimum.
    slopes : ndarray of shape (n_rows,)
        Optimal slopes; any will do.
    solve : callable
        ``solve(objective, params)`` returns the params that minimise a like objective.
    allowed : float
        The gap at which a fit counts as optimal.
    """
    found = _among_optimal(objective, point, slopes, solve, allowed)
    return nearer(objective, found) if _interpolates(objective, point) else found


def interpolated(objective: Objective, point: Point) -> Point | None:
    """Return a fit of every row without what nearly dependent rows left of residuals.

    None if it is none, or if coefficients are fewer than rows or penalised.
    """
    return nearer(objective, point) if _interpolates(objective, point) else None


def can_interpolate(objective: Objective) -> bool:
    """Return whether free coefficients are as many as rows."""
    few = objective.rows.n_rows <= objective.n_params and not objective.linear.any()
    return few and not (objective.l1.any() or objective.l2.any())


def _interpolates(objective: Objective, point: Point) -> bool:
    """Return whether free coefficients fit every row, to rounding."""
    rounding = rounding_of_terms(objective, point)
    near = point.value <= max(objective.exact_value, rounding)
    return bool(near and can_interpolate(objective))


def nearer(objective: Objective, point: Point) -> Point:
    """Return a lower point by a change of least norm, as the fit has, if any is."""
    if point.value == 0:
        return point
    design = objective.rows.dense(np.arange(objective.rows.n_rows))
    rcond = EPS * max(design.shape)
    change = least_norm_fit(design, point.residual.astype(np.float64), rcond)[0]
    nearer = objective.evaluate(point.params + change)
    return nearer if nearer.value < point.value else point


def _among_optimal(
    objective: Objective, point: Point, slopes: Array, solve: Solve, allowed: float
) -> Point:
    """Return the one of the optimal fits that the rules name."""
    if not np.isfinite(objective.loss.facts.linear_beyond):
        return _moved(objective, point, _least_norm(objective, point.params))
    point = _moved(objective, point, _snapped(objective, point))
    if _is_unique(objective, point, slopes):
        return _moved(objective, point, _least_norm(objective, point.params))
    if objective.loss.facts.piecewise_linear and (objective.l1 > 0).any():
        least = _least_on_face(objective, point, slopes, allowed)
        point = least or _least_ridge(objective, point, solve, allowed)
    params = _centred(objective, point, slopes)
    return _moved(objective, point, _least_norm(objective, params))


def _moved(objective: Objective, point: Point, params: Array) -> Point:
    """Return the point at params, without a pass if it is there already."""
    return point if params is point.params else objective.evaluate(params)


def _snapped(objective: Objective, point: Point) -> Array:
    """Return params with coefficients of rounding size at their kink at 0."""
    size = np.abs(point.params)
    tiny = NO_DIRECTION * max(size.max(), typical_residual(objective, point))
    at_zero = (objective.l1 > 0) & (size > 0) & (size <= tiny)
    return np.where(at_zero, 0.0, point.params) if at_zero.any() else point.params


def _least_on_face(
    objective: Objective, point: Point, slopes: Array, allowed: float
) -> Point | None:
    """Return the optimum of least coefficient norm, None if that is not found.

    Optimal are all fits on whose sides of their kinks rows and coefficients stay: those
    that the slopes leave no other. That is least distance programming [1]_.

    References
    ----------
    .. [1] Lawson, C. L., Hanson, R. J. (1974). Solving Least Squares Problems, chapter
       23. Prentice-Hall.
    """
    rows, params = objective.rows, point.params.copy()
    # For the slopes and the rows outside.
    rows.passes += 2
    pull = rows.adjoint(objective.weight * slopes) - objective.linear
    at_bound = np.abs(pull) >= (1 - AT_END) * objective.l1
    flat = rows.varies & (objective.l2 == 0)
    columns = np.flatnonzero(flat & (at_bound | (params != 0)))
    inside = _inside(objective, slopes)
    outside = np.flatnonzero((objective.weight > 0) & ~inside)
    if not inside.any() or outside.size * columns.size > MOST_COPIED:
        return None
    way = scipy.linalg.null_space(rows.root(1.0 * inside, columns), NO_DIRECTION)
    sign = np.sign(pull[columns]) * (objective.l1[columns] > 0)
    side = np.where(slopes[outside] > np.mean(objective.loss.facts.slopes), 1.0, -1.0)
    moves = side[:, None] * rows.dense(outside)[:, columns] @ way
    limits = np.vstack([-moves, sign[:, None] * way])
    room = np.append(side * point.residual[outside], sign * params[columns])
    coefs = columns < params.size - 1
    step = _least_distance(way[coefs], params[columns[coefs]], limits, room)
    if step is None:
        return None
    params[columns] += way @ step
    # Coefficients that end at their kink are there to rounding.
    least = objective.evaluate(params)
    least = _moved(objective, least, _snapped(objective, least))
    return least if least.value <= point.value + allowed else None


def _least_distance(
    basis: Array, origin: Array, limits: Array, room: Array
) -> Array | None:
    """Return t of least ``|origin + basis t|`` with ``limits t >= -room``, if found."""
    if not 0 < basis.shape[1] <= basis.shape[0]:
        return None
    image, root = scipy.linalg.qr(basis, mode="economic")
    if np.abs(np.diagonal(root)).min() <= NO_DIRECTION:
        return None
    middle = image.T @ origin
    limits = scipy.linalg.solve_triangular(root, limits.T, trans="T").T
    size = np.linalg.norm(limits, axis=1)
    bound = np.flatnonzero(size > NO_DIRECTION * size.max())
    near = np.maximum(room[bound], 0.0) / size[bound]
    first = np.argsort(near, kind="stable")[:FIRST_ROWS]
    bound, near = bound[first], near[first]
    # SciPy's method frees memory twice where it is given no column.
    if not bound.size:
        return np.asarray(scipy.linalg.solve_triangular(root, -middle))
    limits = limits[bound] / size[bound, None]
    matrix = np.vstack([limits.T, limits @ middle - near])
    goal = np.append(np.zeros(middle.size), 1.0)
    try:
        missed = matrix @ nnls(matrix, goal)[0] - goal
    except (RuntimeError, np.linalg.LinAlgError):
        return None
    if missed[-1] == 0:
        return None
    step = scipy.linalg.solve_triangular(root, -missed[:-1] / missed[-1] - middle)
    return np.asarray(step)


def _least_ridge(
    objective: Objective, point: Point, solve: Solve, allowed: float
) -> Point:
    """Return the optimum of least coefficient norm.

    A ridge that is small enough picks it exactly: a piecewise linear problem keeps
    its optimal face under a small curved term [1]_.

    References
    ----------
    .. [1] Mangasarian, O. L., Meyer, R. R. (1979). Nonlinear perturbation of linear
       programs. SIAM Journal on Control and Optimization 17, 745-752.
    """
    square = float(point.params[:-1] @ point.params[:-1])
    if square == 0:
        return point
    for share in RIDGES:
        ridge = share * typical_value(objective, point) / square
        ridged = objective.with_penalty(objective.penalty.ridged(ridge))
        trial = objective.evaluate(solve(ridged, point.params))
        trial = _moved(objective, trial, _snapped(objective, trial))
        if trial.value <= point.value + allowed:
            return trial
    return point


def _inside(objective: Objective, slopes: Array) -> Array:
    """Return which rows hold the fit: their slope is at neither end."""
    low, high = objective.loss.facts.slopes
    margin = AT_END * (high - low)
    return (objective.weight > 0) & (slopes > low + margin) & (slopes < high - margin)


def _is_unique(objective: Objective, point: Point, slopes: Array) -> bool:
    """Return whether the rows that hold the fit leave open only what all do."""
    flat = objective.l2 == 0
    free = np.flatnonzero(
        flat & objective.rows.varies & ((objective.l1 == 0) | (point.params != 0))
    )
    if not free.size:
        return True
    inside = 1.0 * _inside(objective, slopes)
    rank = _rank(objective.rows.gram(inside, free))
    if rank is not None:
        if rank == free.size:
            return True
        # What no row tells apart has least norm by itself, but under an l1 penalty.
        every = 1.0 * (objective.weight > 0)
        same = rank == _rank(objective.rows.gram(every, free))
        if same and not objective.l1[free].any():
            return True
    held = objective.rows.root(inside, free)
    size = scipy.linalg.svdvals(held) if held.size else np.zeros(0)
    rank = int((size > NO_DIRECTION * size.max(initial=0.0)).sum())
    return rank == free.size


def _least_norm(objective: Objective, params: Array) -> Array:
    """Return params without their part in the null space of the design."""
    free = np.flatnonzero((objective.l2 == 0) & (objective.l1 == 0))
    if free.size < objective.n_params:
        return params
    basis, square = _row_space(objective, free)
    if basis.shape[1] >= objective.rows.varies.sum():
        return params
    inside = basis @ (basis.T @ params)
    # Rounding errors of the basis, which predictions show, once more.
    objective.rows.passes += 1
    missed = objective.weight * objective.rows.predict(params - inside)
    return inside + basis @ ((basis.T @ objective.rows.adjoint(missed)) / square)


def _row_space(objective: Objective, free: Index) -> tuple[Array, Array]:
    """Return an orthonormal basis of the span of the rows and its mean squares.

    From the Gram matrix if its eigenvalues tell columns that are dependent from those
    that are not, else from an orthogonal factorisation of the rows.
    """
    size, basis = scipy.linalg.eigh(objective.rows.gram(objective.weight, free))
    kept = size > SMALLEST_RCOND * size[-1]
    if (kept | (size < ABSENT * size[-1])).all():
        return basis[:, kept], size[kept]
    root = objective.rows.root(objective.weight, free)
    _, size, turned = scipy.linalg.svd(root, full_matrices=False)
    kept = size > EPS * max(root.shape) * size[0]
    return turned[kept].T, size[kept] ** 2


def _centred(objective: Objective, point: Point, slopes: Array) -> Array:
    """Return the params of the central fit among the optimal ones."""
    low, high = objective.loss.facts.slopes
    live, inside = objective.weight > 0, _inside(objective, slopes)
    free = _free_params(objective)
    directions = _open_directions(objective, inside, free)
    if not directions.shape[1]:
        return point.params
    outside = np.flatnonzero(live & ~inside)
    side = np.where(slopes[outside] > (low + high) / 2, 1.0, -1.0)
    distance = side * point.residual[outside] - objective.loss.facts.linear_beyond
    params = point.params.copy()
    while directions.shape[1]:
        full = np.zeros((params.size, directions.shape[1]))
        full[free] = directions
        moves = [-side * objective.rows.predict(column)[outside] for column in full.T]
        change = np.column_stack(moves)
        step, tight = _farthest(distance, change)
        params[free] += directions @ step
        distance = distance + change @ step
        kernel = scipy.linalg.null_space(change[tight], rcond=NO_DIRECTION)
        if kernel.shape[1] == directions.shape[1]:
            break
        directions = directions @ kernel
    return params


def _rank(gram: Array) -> int | None:
    """Return the rank of a Gram matrix, None if its eigenvalues leave it open."""
    scale = jacobi(gram.diagonal())
    size = scipy.linalg.eigvalsh(gram * np.outer(scale, scale))
    kept = size > SMALLEST_RCOND
    return int(kept.sum()) if (kept | (size < ABSENT)).all() else None


def _free_params(objective: Objective) -> Index:
    """Return the params that optimal fits of one coefficient norm may differ in.

    A curved penalty fixes its coefficient, and so does the least norm under l1.
    """
    flat = objective.l2 == 0
    return np.flatnonzero(flat & objective.rows.varies & (objective.l1 == 0))


def _open_directions(objective: Objective, inside: Array, free: Index) -> Array:
    """Return a basis of the changes that move no row whose slope is inside."""
    if not free.size:
        return np.zeros((0, 0))
    held = objective.rows.root(1.0 * inside, free)
    every = objective.rows.root(1.0 * (objective.weight > 0), free)
    _, size, basis = scipy.linalg.svd(every, full_matrices=False)
    spanned = basis[size > NO_DIRECTION * size.max(initial=0.0)].T
    if not spanned.size:
        return np.zeros((free.size, 0))
    if not held.size:
        return np.asarray(spanned)
    image = held @ spanned
    _, size, turn = scipy.linalg.svd(image)
    rank = int((size > NO_DIRECTION * size.max(initial=0.0)).sum())
    return np.asarray(spanned @ turn[rank:].T)


def _farthest(distance: Array, change: Array) -> tuple[Array, Index]:
    """Maximise the smallest ``distance + change @ step``; name the rows that bind.

    Rows that no step moves do not count. The linear program holds the nearest rows,
    and those that its answer comes too close to.
    """
    moved = np.abs(change).max(axis=1) > NO_DIRECTION * np.abs(change).max()
    rows = np.flatnonzero(moved)
    order = rows[np.argsort(distance[rows], kind="stable")]
    chosen = order[:FIRST_ROWS]
    unit = max(float(np.median(np.abs(distance[rows]))), float(EPS))
    steepness = float(np.abs(change).max())
    for _ in range(MOST_ROUNDS):
        # Variables: step * steepness / unit, and the smallest distance / unit.
        matrix = np.column_stack([-change[chosen] / steepness, np.ones(chosen.size)])
        result = linprog(
            np.append(np.zeros(change.shape[1]), -1.0),
            A_ub=matrix,
            b_ub=distance[chosen] / unit,
            bounds=(None, None),
            method="highs",
        )
        if result.x is None:
            return np.zeros(change.shape[1]), chosen
        step, reached = result.x[:-1] * unit / steepness, result.x[-1] * unit
        now = distance[rows] + change[rows] @ step
        short = np.setdiff1d(rows[now < reached - TOO_NEAR * unit], chosen)
        if not short.size:
            binding = chosen[np.abs(result.ineqlin.marginals) > BINDING]
            return step, binding
        chosen = np.append(chosen, short)
    return np.zeros(change.shape[1]), chosen
