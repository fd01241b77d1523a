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

from robustreg.linalg import EPS, solve_symmetric
from robustreg.objective import Objective, Point
from robustreg.rows import Array, Index
from robustreg.solvers.newton import Step

# Violators that may enter at once: as many as the support has, and at least these.
SMALLEST_GROWTH = 10
# A ridge of this share of the diagonal makes the model of duplicate columns definite.
RIDGE = 1e-11


def proximal_step(objective: Objective, point: Point, curvature: Array) -> Step:
    """Return the step to the minimum of the model on the working set."""
    columns = working_set(objective, point)
    hessian = objective.hessian(curvature, columns)
    diagonal = np.diag_indices(columns.size)
    hessian[diagonal] += RIDGE * hessian[diagonal]
    l1, start = objective.l1[columns], point.params[columns]
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


def minimize_l1_quadratic(
    hessian: Array, linear: Array, l1: Array, start: Array
) -> Array:
    """Return ``argmin x @ hessian @ x / 2 + linear @ x + l1 @ abs(x)``.

    An active-set method [1]_: Newton on the orthant of the current signs, stopped
    where the first coefficients change theirs; then the largest violators enter.
    Finite, and exact at zeros.

    References
    ----------
    .. [1] Lee, H., Battle, A., Raina, R., Ng, A. Y. (2007). Efficient sparse coding
       algorithms. Advances in Neural Information Processing Systems 19.
    """
    x = start.copy()
    sign = np.where(l1 > 0, np.sign(x), 1.0)
    live = hessian.diagonal() > 0
    scale = np.abs(linear) + l1 + np.abs(hessian) @ np.abs(x)
    for _ in range(20 + 10 * x.size):
        x, sign = _orthant_minimum(hessian, linear, l1, x, sign)
        slope = hessian @ x + linear
        violation = np.where((sign == 0) & live, np.abs(slope) - l1, 0.0)
        worst = violation.max(initial=0.0)
        if worst <= 8 * EPS * scale.max(initial=0.0):
            break
        enter = violation > 0.5 * worst
        sign = np.where(enter, -np.sign(slope), sign)
    return x


def _orthant_minimum(
    hessian: Array, linear: Array, l1: Array, x: Array, sign: Array
) -> tuple[Array, Array]:
    """Minimise over the coefficients with a sign, dropping those that reach 0."""
    for _ in range(2 * x.size + 2):
        active = np.flatnonzero(sign)
        right = -(linear + l1 * sign)[active]
        goal = solve_symmetric(
            hessian[np.ix_(active, active)], right, smallest_rcond=0.0
        )
        step = goal - x[active]
        signed = sign[active] * step
        bound = l1[active] > 0
        wrong = bound & (x[active] == 0) & (signed <= 0)
        if wrong.any():
            sign = sign.copy()
            sign[active[wrong]] = 0.0
            continue
        room = np.where(
            bound & (signed < 0),
            np.abs(x[active]) / np.where(signed < 0, -signed, 1.0),
            np.inf,
        )
        length = min(1.0, float(room.min(initial=np.inf)))
        x, sign = x.copy(), sign.copy()
        x[active] += length * step
        if length == 1.0:
            x[active] = goal
            return x, sign
        gone = active[room <= length]
        x[gone], sign[gone] = 0.0, 0.0
    return x, sign
