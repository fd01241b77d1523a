"""A proximal Newton step: the quadratic model plus the l1 part, on a working set.

Only params that are unpenalised, non-zero or violate optimality enter the model, so
that its Gram matrix has the size of the support and p x p is never formed [1]_.

References
----------
.. [1] Lee, J. D., Sun, Y., Saunders, M. A. (2014). Proximal Newton-type methods for
   minimizing composite functions. SIAM Journal on Optimization 24, 1420-1443.
"""

from __future__ import annotations

import numpy as np

from robustreg.linalg import SMALLEST_RCOND, factorise
from robustreg.objective import Model, Objective, Point
from robustreg.rows import Array, Index
from robustreg.solvers.newton import Step
from robustreg.solvers.quadratic import minimize_l1_quadratic
from robustreg.solvers.rows_quadratic import RowsQuadratic

# Violators that may enter at once: as many as the support has, and at least these.
SMALLEST_GROWTH = 10
# A ridge of this share of the diagonal makes the model of duplicate columns definite.
RIDGE = 1e-11
# The penalty's own curvature does so above this share, which rounding leaves standing.
DEFINITE = 1e-14
# With more entries the rows that see curvature are not copied.
MOST_ENTRIES = 10**7


def proximal_step(
    objective: Objective, point: Point, curvature: Array, last: Model | None
) -> Step:
    """Return the step to the minimum of the model on the working set."""
    del last
    columns = working_set(objective, point, int(np.count_nonzero(curvature > 0)))
    if _is_faint(objective, curvature, columns):
        by_rows = _step_by_rows(objective, point, curvature)
        if by_rows is not None:
            return by_rows
    hessian = objective.hessian(curvature, columns)
    diagonal = np.diag_indices(columns.size)
    definite = objective.penalty_curvature(columns) > DEFINITE * hessian[diagonal]
    hessian[diagonal] += np.where(definite, 0.0, RIDGE * hessian[diagonal])
    l1, start = objective.l1[columns], point.params[columns]
    if curvature.min(initial=0.0) < 0 and factorise(hessian).rcond == 0:
        return Step(np.zeros_like(point.params), 0.0, singular=True)
    linear = point.gradient[columns] - hessian @ start
    solution = minimize_l1_quadratic(hessian, linear, l1, start)
    change = solution - start
    direction = np.zeros_like(point.params)
    direction[columns] = change
    # Written without the difference of two objective values, which would cancel.
    kinked = l1 @ (np.abs(solution) - np.abs(start))
    decrease = -(
        point.gradient[columns] @ change + 0.5 * change @ hessian @ change + kinked
    )
    live = hessian[diagonal] > 0
    unseen = bool(np.any(~live & (objective.violation(point)[columns] > 0)))
    return Step(direction, float(decrease), singular=unseen)


def _is_faint(objective: Objective, curvature: Array, columns: Index) -> bool:
    """Return whether a ridge that a Gram matrix hides has most of the columns to hold.

    More than there are rows with curvature, so that those cannot hold them.
    """
    n_rows = np.count_nonzero(curvature)
    n_used = np.count_nonzero(objective.rows.varies[columns])
    if not 0 < n_rows < n_used or curvature.min() < 0:
        return False
    ridge = objective.penalty_curvature()[np.flatnonzero(objective.rows.varies[:-1])]
    faint = ridge.min() <= SMALLEST_RCOND * float(curvature.sum())
    return bool(ridge.all() and faint and n_rows * objective.n_params <= MOST_ENTRIES)


def _step_by_rows(objective: Objective, point: Point, curvature: Array) -> Step | None:
    """Return the step to the minimum of the model by its dual, None if that fails."""
    rows = np.flatnonzero(curvature)
    inner = np.flatnonzero(objective.rows.varies[:-1])
    objective.rows.count_pass(curvature)
    root = np.sqrt(curvature[rows])
    design = root[:, None] * objective.rows.few(rows)
    slopes = objective.loss.gradient(point.residual)
    # The predictions at which the model of a row is least: of a parabola its target,
    # without the rounding errors of the residual.
    least = slopes[rows] * (objective.weight[rows] / curvature[rows])
    least += objective.target[rows] - point.residual[rows]
    held = objective.weight * slopes
    held[rows] = 0.0
    shift = objective.rows.adjoint(held) - objective.linear
    l1, l2 = objective.l1[inner], objective.penalty_curvature(inner)
    quadratic = RowsQuadratic(
        design[:, inner], design[:, -1], root * least, shift[inner], -shift[-1], l1, l2
    )
    found = quadratic.minimum(point.params[inner])
    if found is None:
        return None
    x, b, u = found
    direction = -point.params
    direction[inner] += x
    direction[-1] += b
    slopes[rows] = root * u / objective.weight[rows]
    change, moved = design @ direction, direction[inner]
    decrease = -float(point.gradient @ direction) - 0.5 * float(change @ change)
    decrease -= 0.5 * float(l2 @ moved**2)
    decrease -= float(l1 @ (np.abs(x) - np.abs(point.params[inner])))
    return Step(direction, decrease, slopes=slopes)


def working_set(objective: Objective, point: Point, n_curved: int) -> Index:
    """Return the params of the model, in increasing order.

    No more enter than there are rows with curvature: the model would have no one
    minimum, and what is near one costs several times as many factors. A curved penalty
    gives it one.
    """
    violation = objective.violation(point)
    inside = (objective.l1 == 0) | (point.params != 0)
    outside = np.flatnonzero(~inside & (violation > 0))
    n_inside = np.count_nonzero(inside)
    ridged = objective.penalty_curvature().any()
    most = n_inside if ridged else min(n_inside, n_curved - n_inside)
    growth = max(SMALLEST_GROWTH, most)
    order = np.argsort(-violation[outside], kind="stable")[:growth]
    return np.sort(np.append(np.flatnonzero(inside), outside[order]))
