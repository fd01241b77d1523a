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

from robustreg.linalg import factorise
from robustreg.objective import Model, Objective, Point
from robustreg.rows import Array, Index
from robustreg.solvers.newton import Step
from robustreg.solvers.quadratic import minimize_l1_quadratic

# Violators that may enter at once: as many as the support has, and at least these.
SMALLEST_GROWTH = 10
# A ridge of this share of the diagonal makes the model of duplicate columns definite.
RIDGE = 1e-11
# The penalty's own curvature does so above this share, which rounding leaves standing.
DEFINITE = 1e-14


def proximal_step(
    objective: Objective, point: Point, curvature: Array, last: Model | None
) -> Step:
    """Return the step to the minimum of the model on the working set."""
    del last
    columns = working_set(objective, point)
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


def working_set(objective: Objective, point: Point) -> Index:
    """Return the params of the model, in increasing order."""
    violation = objective.violation(point)
    inside = (objective.l1 == 0) | (point.params != 0)
    outside = np.flatnonzero(~inside & (violation > 0))
    growth = max(SMALLEST_GROWTH, np.count_nonzero(inside))
    order = np.argsort(-violation[outside], kind="stable")[:growth]
    return np.sort(np.append(np.flatnonzero(inside), outside[order]))
