"""A Newton step from the factorised Hessian: n p^2 for the Gram matrix, p^3 / 3 after.

A Gram matrix squares the condition number. Where its Cholesky factor shows that too few
digits are left, a QR decomposition of the rows takes its place: with it, repeated steps
are the corrected seminormal equations [1]_, as accurate as QR on the data itself.

References
----------
.. [1] Bjorck, A. (1987). Stability analysis of the method of seminormal equations for
   linear least squares problems. Linear Algebra and its Applications 88/89, 31-48.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from robustreg.linalg import (
    EPS,
    FAINT,
    SMALLEST_RCOND,
    Factor,
    dependent_solve,
    factorise,
    jacobi,
)
from robustreg.objective import Model, Objective, Point
from robustreg.rows import Array, weighted_gram
from robustreg.solvers.descent import Step, StepRule


def hessian_model(objective: Objective, curvature: Array, last: Model | None) -> Model:
    """Return the Hessian and its factor, of no use where its ``rcond`` is small.

    The last Gram matrix is brought up to date if few rows changed, and its factor
    stands if none did.
    """
    gram = weighted_gram(objective.rows, curvature, last.gram if last else None)
    hessian = objective.full_hessian(gram)
    same = last is not None and np.array_equal(hessian, last.hessian)
    factor = last.factor if last is not None and same else factorise(hessian)
    return Model(hessian, factor, gram)


def direct_step(
    objective: Objective, point: Point, curvature: Array, last: Model | None
) -> Step:
    """Return ``-hessian^+ gradient``, of least norm if the Hessian is singular.

    One that is not positive semidefinite, which some rows' curvature may make it, has
    no step.
    """
    model = hessian_model(objective, curvature, last)
    hessian, factor = model.hessian, model.factor
    if factor.rcond < SMALLEST_RCOND:
        # A ridge too faint for the Gram matrix to show is one all the same.
        if not objective.l2.any():
            dependent = dependent_solve(hessian, point.gradient)
            if dependent is not None:
                return _dependent_step(hessian, point.gradient, dependent)
        if curvature.min(initial=0.0) < 0:
            return Step(np.zeros_like(point.params), 0.0, singular=True)
        root = objective.hessian_root(curvature, np.arange(objective.n_params))
        return root_step(root, point.gradient)
    return factored_step(point.gradient, factor, model)


DIRECT = StepRule(direct_step, forms_hessian=True)


def factored_step(gradient: Array, factor: Factor, model: Model | None = None) -> Step:
    """Return the step of a positive definite Hessian, by its factor."""
    solution = factor.solve(gradient)
    decrease = 0.5 * float(gradient @ solution)
    unseen = bool(np.any(gradient[factor.scale == 0]))
    return Step(-solution, decrease, unseen, factor.rcond, model)


def _dependent_step(hessian: Array, gradient: Array, solution: Array) -> Step:
    """Return the step of exactly dependent columns, unless the gradient has more."""
    missed = np.abs(jacobi(hessian.diagonal()) * (hessian @ solution - gradient))
    reach = np.abs(jacobi(hessian.diagonal()) * gradient).max(initial=0.0)
    singular = bool(missed.max(initial=0.0) > FAINT * reach)
    unseen = bool(np.any(gradient[hessian.diagonal() == 0]))
    decrease = 0.5 * float(gradient @ solution)
    return Step(-solution, decrease, singular=singular or unseen)


def root_step(root: Array, gradient: Array) -> Step:
    """Return the step from R of the Hessian ``R.T @ R``, by its singular values."""
    scale = jacobi((root**2).sum(axis=0))
    _, size, basis = scipy.linalg.svd(root * scale, full_matrices=False)
    kept = size > EPS * max(root.shape) * (size[0] if size.size else 0.0)
    size, basis = size[kept], basis[kept]
    inner = basis @ (scale * gradient)
    direction = -scale * (basis.T @ (inner / size**2))
    missed = scale * gradient - basis.T @ inner
    reach = float(np.abs(scale * gradient).max(initial=0.0))
    singular = float(np.abs(missed).max(initial=0.0)) > FAINT * reach
    decrease = 0.5 * float((inner / size) @ (inner / size))
    unseen = bool(np.any(gradient[scale == 0]))
    return Step(direction, decrease, singular=singular or unseen, rcond=0.0)
