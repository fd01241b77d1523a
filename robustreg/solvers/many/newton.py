"""Newton's method for many weights of the same few rows at once.

For a convex and smooth loss at a scale that is given, or jointly with the scale that a
function of the residuals measures,

    F(b, s) = sum_i w_i loss'(r_i / s) x_i - l2 b / s - l1 sign(b) = 0,
    log measure(r) = log s.

Each fit takes full steps from one that is near. A param that an l1 penalty holds at 0
begins to move once its share of the sum exceeds l1, and is 0 again where it would
change its sign. Fits that do not settle are left to methods with line searches. What a
step costs in Python, the fits of all weights share.

Cost: n k^2 for each step of each fit, with k params.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robustreg.losses import Loss
from robustreg.rows import Array
from robustreg.solvers.many.kinks import products
from robustreg.solvers.many.vertices import REGULAR, ManyFits
from robustreg.solvers.newton import INNER_ITERATIONS
from robustreg.tolerance import AT_END

# A fit is done when a Newton step promises this share of the objective, the square of
# ten digits of the params, and its scale agrees with that of its residuals to this.
PROMISE, SCALE_RTOL = 1e-20, 1e-12

# ``measure(residual, weights)`` returns the scale of each fit's residuals and its
# gradient by these.
MeasureEach = Callable[[Array, Array], tuple[Array, Array]]


@dataclass(frozen=True)
class SmoothProblem:
    """Rows, a loss and a penalty.

    Parameters
    ----------
    design : ndarray of shape (n_rows, n_params)
        The rows.
    target : ndarray of shape (n_rows,)
        Their targets, in units of y.
    loss : Loss
        A convex and smooth loss.
    l1, l2 : ndarray of shape (n_params,)
        Slope and curvature of the penalty of the params over the scale.
    """

    design: Array
    target: Array
    loss: Loss
    l1: Array
    l2: Array


@dataclass(frozen=True)
class _Model:
    """The equations of many fits at a point, and their derivatives.

    ``step`` is the Newton step at this scale, ``turn`` what it loses as the logarithm
    of the scale grows, ``promise`` the share of the objective that the step promises;
    ``regular`` says of which fits the Hessian is positive definite. ``begins`` is the
    sign with which params begin to move that are held at 0, 0 for all others.
    """

    step: Array
    turn: Array
    promise: Array
    regular: NDArray[np.bool_]
    begins: Array


def many_newton(
    problem: SmoothProblem,
    weights: Array,
    near: Array,
    scale: float,
    measure: MeasureEach | None,
    max_iter: int,
) -> tuple[ManyFits, Array]:
    """Fit a smooth loss for many weights.

    Parameters
    ----------
    problem : Smooth
        What is fitted.
    weights : ndarray of shape (n_weights, n_rows)
        Non-negative, and of a positive sum each.
    near : ndarray of shape (n_params,)
        A fit near the others, in units of y.
    scale : float
        Its scale.
    measure : callable or None
        Measures the scale of residuals; None keeps the scale.
    max_iter : int
        Largest number of steps.

    Returns
    -------
    ManyFits
        The fits that were found.
    ndarray of shape (n_weights,)
        Their scales.
    """
    shares = weights / weights.sum(axis=1, keepdims=True)
    params = np.tile(near, (len(weights), 1))
    signs = np.sign(params) * (problem.l1 > 0)
    scales = np.full(len(weights), scale)
    done, left = np.zeros(len(weights), dtype=bool), np.arange(len(weights))
    for _ in range(min(max_iter, INNER_ITERATIONS) + 1):
        residual = problem.target - params[left] @ problem.design.T
        at = params[left], signs[left], scales[left]
        model = _model(problem, *at, shares[left], residual)
        step, log_step = model.step, np.zeros(left.size)
        agrees, moves = np.ones(left.size, dtype=bool), model.regular
        if measure is not None:
            found, gradient = measure(residual, weights[left])
            pull = gradient @ problem.design
            excess, log_step = _scale_step(model, scales[left], found, pull)
            moves = moves & (found > 0)
            step = step - log_step[:, None] * model.turn
            agrees = np.abs(excess) <= SCALE_RTOL
        settled = model.regular & (model.promise <= PROMISE) & agrees
        settled &= ~model.begins.any(axis=1)
        some = left[settled]
        done[some] = _only(problem, residual[settled], scales[some], shares[some])
        goes = moves & ~settled
        params[left[goes]] += step[goes]
        signs[left[goes]] += model.begins[goes]
        crossed = params * signs < 0
        params[crossed] = signs[crossed] = 0.0
        scales[left[goes]] *= np.exp(log_step[goes])
        left = left[goes]
        if not left.size:
            break
    return ManyFits(params, done), scales


def _model(
    problem: SmoothProblem,
    params: Array,
    signs: Array,
    scale: Array,
    shares: Array,
    residual: Array,
) -> _Model:
    """Return the equations of some fits and their derivatives."""
    design, l1, l2 = problem.design, problem.l1, problem.l2
    size = residual / scale[:, None]
    scaled = params / scale[:, None]
    force = (shares * _each(problem.loss.gradient, size)) @ design - l2 * scaled
    force -= l1 * signs
    held = (l1 > 0) & (signs == 0)
    begins = np.where(held & (np.abs(force) > l1), np.sign(force), 0.0)
    curved = shares * _each(problem.loss.curvature, size)
    hessian = _grams(design, curved) + np.diag(l2)
    hessian[~np.isfinite(hessian).all(axis=(1, 2))] = 0.0
    turn = (curved * size) @ design - l2 * scaled
    _hold(held, hessian, force, turn)
    eigenvalues, basis = np.linalg.eigh(hessian)
    regular = eigenvalues[:, 0] > REGULAR * eigenvalues[:, -1]
    safe = np.where(regular[:, None], eigenvalues, 1.0)
    along = products(basis.transpose(0, 2, 1), force)
    step = products(basis, along / safe)
    moved = products(basis, products(basis.transpose(0, 2, 1), turn) / safe)
    # The rounding errors of a basis move what is held at 0, too.
    step[held] = moved[held] = 0.0
    value = np.sum(shares * _each(problem.loss.value, size), axis=1)
    value += np.sum(l1 * np.abs(scaled) + l2 * scaled**2 / 2, axis=1)
    promise = np.sum(along**2 / safe, axis=1) / np.where(value > 0, value, 1.0)
    each = scale[:, None]
    return _Model(each * step, each * moved, promise, regular, begins)


def _hold(held: NDArray[np.bool_], hessian: Array, force: Array, turn: Array) -> None:
    """Take params that are held at 0 out of the equations.

    Their place on the diagonal is that of the largest curvature, so that it does not
    count.
    """
    if not held.any():
        return
    force[held] = turn[held] = 0.0
    largest = np.abs(hessian).max(axis=(1, 2))
    free = ~held
    hessian *= free[:, :, None] & free[:, None, :]
    each, j = np.nonzero(held)
    hessian[each, j, j] = largest[each]


def _scale_step(
    model: _Model, scale: Array, found: Array, pull: Array
) -> tuple[Array, Array]:
    """Return by how much logarithms of scales disagree, and their step.

    ``pull`` is how much the measured scale falls as the params grow.
    """
    found = np.where(found > 0, found, scale)
    pull = pull / found[:, None]
    excess = np.log(found / scale)
    slope = 1 - np.sum(pull * model.turn, axis=1)
    # Where the measured scale answers a change of the assumed one by nearly as much, or
    # more, Newton's method does not apply, and the measured scale is the next one.
    steep = slope > 0.05
    wanted = excess - np.where(steep, np.sum(pull * model.step, axis=1), 0.0)
    step = wanted / np.where(steep, slope, 1.0)
    # By a factor of two at most.
    return excess, np.clip(step, -0.7, 0.7)


def _only(
    problem: SmoothProblem, residual: Array, scale: Array, shares: Array
) -> NDArray[np.bool_]:
    """Return which fits are the only ones: those curved to all sides.

    A row where the curvature begins or ends may hold a fit from one side only.
    """
    size = residual / scale[:, None]
    near = AT_END * np.abs(size)
    curved = np.minimum(
        _each(problem.loss.curvature, size - near),
        _each(problem.loss.curvature, size + near),
    )
    hessian = _grams(problem.design, shares * curved) + np.diag(problem.l2)
    eigenvalues = np.linalg.eigvalsh(hessian)
    return np.asarray(eigenvalues[:, 0] > REGULAR * eigenvalues[:, -1])


def _grams(design: Array, c: Array) -> Array:
    """Return ``design.T @ diag(c) @ design`` for each row of c."""
    k = design.shape[1]
    i, j = np.tril_indices(k)
    found = np.empty((len(c), k, k))
    found[:, i, j] = found[:, j, i] = c @ (design[:, i] * design[:, j])
    return found


def _each(function: Callable[[Array], Array], values: Array) -> Array:
    """Return a loss's function of an array of any shape."""
    return np.asarray(function(values.ravel())).reshape(values.shape)
