"""A proximal Newton step: the quadratic model plus the l1 part, on a working set.

Only params that are unpenalised, non-zero or violate optimality enter the model, so
that its Gram matrix has the size of the support and p x p is never formed [1]_.

References
----------
.. [1] Lee, J. D., Sun, Y., Saunders, M. A. (2014). Proximal Newton-type methods for
   minimizing composite functions. SIAM Journal on Optimization 24, 1420-1443.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustreg.linalg import (
    EPS,
    FEW_ENTRIES,
    MOST_COPIED,
    NEGLIGIBLE,
    SMALLEST_RCOND,
    factorise,
)
from robustreg.objective import Model, Objective, Point
from robustreg.rows import Array, Index
from robustreg.solvers.descent import Step, StepRule
from robustreg.solvers.orthogonal import MOST_COLUMNS, all_but_depend, are_owned
from robustreg.solvers.quadratics.active_set import RootQuadratic
from robustreg.solvers.quadratics.quadratic import minimize_l1_quadratic
from robustreg.solvers.quadratics.rows_quadratic import RowsQuadratic

# A ridge of this share of the diagonal makes the model of duplicate columns definite.
RIDGE = 1e-11
# Rounding errors of a slope beyond this share of its l1 part leave that few digits.
NOISY = 1e-6


def proximal_step(
    objective: Objective, point: Point, curvature: Array, last: Model | None
) -> Step:
    """Return the step to the minimum of the model on the working set."""
    del last
    columns = working_set(objective, point, int(np.count_nonzero(curvature > 0)))
    if _is_faint(objective, curvature, columns):
        by_rows = _step_by_rows(objective, point, curvature)
        # Where rounding errors leave it no decrease, others know more.
        if by_rows is not None and by_rows.decrease > 0:
            return by_rows
    hessian = objective.hessian(curvature, columns)
    diagonal = np.diag_indices(columns.size)
    definite = objective.l2[columns] > NEGLIGIBLE * hessian[diagonal]
    hessian[diagonal] += np.where(definite, 0.0, RIDGE * hessian[diagonal])
    l1, start = objective.l1[columns], point.params[columns]
    if curvature.min(initial=0.0) < 0 and factorise(hessian).rcond == 0:
        return Step(np.zeros_like(point.params), 0.0, singular=True)
    linear = point.gradient[columns] - hessian @ start
    solution = minimize_l1_quadratic(hessian, linear, l1, start)
    step = _step_to(objective, point, hessian, columns, solution)
    if _has_few_digits(objective, hessian, columns, solution, curvature):
        by_root = _step_by_root(objective, point, curvature, columns, solution)
        if by_root is not None and by_root.decrease >= step.decrease:
            return by_root
    return step


PROXIMAL = StepRule(proximal_step)


def _step_to(
    objective: Objective, point: Point, hessian: Array, columns: Index, solution: Array
) -> Step:
    """Return the step to the minimum of the model on some columns."""
    start, live = point.params[columns], hessian.diagonal() > 0
    change = solution - start
    direction = np.zeros_like(point.params)
    direction[columns] = change
    # Written without the difference of two objective values, which would cancel.
    kinked = objective.l1[columns] @ (np.abs(solution) - np.abs(start))
    decrease = -(
        point.gradient[columns] @ change + 0.5 * change @ hessian @ change + kinked
    )
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
    ridge = objective.l2[np.flatnonzero(objective.rows.varies[:-1])]
    faint = ridge.min() <= SMALLEST_RCOND * float(curvature.sum())
    return bool(ridge.all() and faint and n_rows * objective.n_params <= MOST_COPIED)


def _has_few_digits(
    objective: Objective,
    hessian: Array,
    columns: Index,
    solution: Array,
    curvature: Array,
) -> bool:
    """Return whether the Gram matrix of the columns in use has too few digits.

    Of many entries only if columns all but depend on each other, or a row far out makes
    them look so: those that do exactly a ridge tells apart.
    """
    used = np.flatnonzero(solution)
    n_entries = np.count_nonzero(curvature) * objective.n_params
    few = 0 < used.size <= MOST_COLUMNS and n_entries <= MOST_COPIED
    if not few or curvature.min(initial=0.0) < 0:
        return False
    if n_entries <= FEW_ENTRIES and _is_noise(objective, curvature):
        return True
    if factorise(hessian[np.ix_(used, used)]).rcond >= SMALLEST_RCOND:
        return False
    if n_entries <= FEW_ENTRIES:
        return True
    if all_but_depend(objective.rows, curvature, objective.l2):
        return True
    square = hessian.diagonal() / curvature.sum()
    return are_owned(objective.rows, curvature, columns, square)


def _is_noise(objective: Objective, curvature: Array) -> bool:
    """Return whether rounding errors of the gradient leave an l1 part few digits."""
    rows = curvature > 0
    steepest = float((curvature[rows] / objective.weight[rows]).max(initial=0.0))
    error = EPS * steepest * float(np.abs(objective.target[rows]).max(initial=0.0))
    return bool(error > NOISY * objective.l1[objective.l1 > 0].min(initial=np.inf))


def _step_by_rows(objective: Objective, point: Point, curvature: Array) -> Step | None:
    """Return the step to the minimum of the model by its dual, None if that fails."""
    model = _row_model(objective, point, curvature)
    inner = np.flatnonzero(objective.rows.varies[:-1])
    design, shift = model.design, model.shift
    l1, l2 = objective.l1[inner], objective.l2[inner]
    quadratic = RowsQuadratic(
        design[:, inner], design[:, -1], model.target, shift[inner], -shift[-1], l1, l2
    )
    found = quadratic.minimum(point.params[inner])
    if found is None:
        return None
    x, b, u = found
    params = np.zeros_like(point.params)
    params[inner], params[-1] = x, b
    return model.step_to(params, u)


def _step_by_root(
    objective: Objective,
    point: Point,
    curvature: Array,
    columns: Index,
    solution: Array,
) -> Step | None:
    """Return the step to the minimum of the model by its root, None if that fails.

    With a choice of columns of its own, if they are few: rounding errors of the
    gradient may have hidden some that belong to it.
    """
    model = _row_model(objective, point, curvature)
    every = np.flatnonzero(objective.rows.varies)
    start = np.zeros_like(point.params)
    start[columns] = solution
    if every.size <= MOST_COLUMNS:
        columns = every
    quadratic = RootQuadratic(
        model.design[:, columns],
        model.target,
        model.shift[columns],
        objective.l1[columns],
        objective.l2[columns],
    )
    # Of a solution without digits the signs are worse than those of the last step.
    guesses = start[columns], point.params[columns]
    found = quadratic.minimum(min(guesses, key=quadratic.value))
    if found is None:
        return None
    params = np.zeros_like(point.params)
    params[columns], u = found
    return model.step_to(params, u)


@dataclass(frozen=True)
class _RowModel:
    """The quadratic model as least squares of the rows that see curvature.

    Parameters
    ----------
    objective : Objective
        What is modelled.
    point : Point
        Where.
    rows : ndarray of shape (n_curved,)
        The rows with curvature.
    root : ndarray of shape (n_curved,)
        The roots of it.
    design : ndarray of shape (n_curved, n_params)
        These rows times the roots.
    target : ndarray of shape (n_curved,)
        The predictions at which the model of a row is least, times the roots.
    shift : ndarray of shape (n_params,)
        The pull of all other rows.
    slopes : ndarray of shape (n_rows,)
        The slopes of all rows at the point.
    """

    objective: Objective
    point: Point
    rows: Index
    root: Array
    design: Array
    target: Array
    shift: Array
    slopes: Array

    def step_to(self, params: Array, residual: Array) -> Step:
        """Return the step to the minimum, given the model's residuals there."""
        objective, point = self.objective, self.point
        direction = params - point.params
        change, l2 = self.design @ direction, objective.l2
        kinked = objective.l1 @ (np.abs(params) - np.abs(point.params))
        decrease = -float(point.gradient @ direction) - 0.5 * float(change @ change)
        decrease -= 0.5 * float(l2 @ direction**2) + float(kinked)
        slopes = self.slopes.copy()
        slopes[self.rows] = self.root * residual / objective.weight[self.rows]
        return Step(direction, decrease, slopes=slopes)


def _row_model(objective: Objective, point: Point, curvature: Array) -> _RowModel:
    """Return the quadratic model with a parabola for each row."""
    rows = np.flatnonzero(curvature)
    objective.rows.count_pass(curvature)
    root = np.sqrt(curvature[rows])
    design = root[:, None] * objective.rows.dense(rows)
    slopes = objective.loss.gradient(point.residual)
    # Of a parabola its target, without the rounding errors of the residual.
    least = slopes[rows] * (objective.weight[rows] / curvature[rows])
    least += objective.target[rows] - point.residual[rows]
    held = objective.weight * slopes
    held[rows] = 0.0
    shift = objective.rows.adjoint(held) - objective.linear
    return _RowModel(objective, point, rows, root, design, root * least, shift, slopes)


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
    ridged = objective.l2.any()
    most = n_inside if ridged else min(n_inside, n_curved - n_inside)
    # A small support would grow by a few params a step.
    growth = max(10, most)
    order = np.argsort(-violation[outside], kind="stable")[:growth]
    return np.sort(np.append(np.flatnonzero(inside), outside[order]))
