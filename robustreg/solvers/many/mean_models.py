"""The quadratic model of each of many fits by one Gram matrix, and the steps to it.

A Hessian is the mean of ``curvature(r_i / s) x_i x_i'``. Where curvature has little to
do with x it is nearly the mean curvature times the mean G of ``x_i x_i'``, up to a
share of about the root of params per row [1]_. Where a penalty is strong, residuals
hold what the penalty keeps from the params, and rows far out in that direction have no
curvature: of Gaussian rows the Hessian is then

    mean(curvature) (G + a g g')

with the pull g of the rows, minus the gradient of the losses [2]_.

References
----------
.. [1] Huber, P. J. (1981). Robust Statistics, section 7.8 (modified residuals). Wiley.
.. [2] Stein, C. M. (1981). Estimation of the mean of a multivariate normal
   distribution. Annals of Statistics 9, 1135-1151.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from robustreg.linalg import Factor
from robustreg.losses import Loss
from robustreg.rows import FEW_ROWS, Array
from robustreg.solvers.many.kinks import products
from robustreg.solvers.many.pivoting import block_pivoting_each

# No direction has less than this share of the mean curvature, but for columns whose own
# is less, which have a Hessian of theirs.
LEAST_SHARE = 0.05


@dataclass(frozen=True)
class Shared:
    """What all fits have in common.

    Parameters
    ----------
    design : ndarray of shape (n_rows, n_params)
        The rows, standardised.
    target, weight : ndarray of shape (n_rows,)
        Targets in units of y, and weights with the sum 1.
    gram : ndarray of shape (n_params, n_params)
        ``design.T @ diag(weight) @ design``.
    factor : Factor or None
        Its factor, None where it is no guide to a Hessian.
    ridge : float
        A share of the diagonal that makes Hessians definite if columns depend on each
        other.
    """

    design: Array
    target: Array
    weight: Array
    gram: Array
    factor: Factor | None
    ridge: float = 0.0

    @property
    def few(self) -> slice:
        """The places of a few rows, for what need only be typical."""
        return slice(None, None, max(self.target.size // FEW_ROWS, 1))

    @cached_property
    def squares(self) -> Array:
        """The squares of the design."""
        return self.design**2

    @cached_property
    def few_rows(self) -> Array:
        """The design of a few rows."""
        return np.ascontiguousarray(self.design[self.few])

    @cached_property
    def few_weight(self) -> Array:
        """The weights of a few rows, with the sum 1."""
        weight = self.weight[self.few]
        return np.asarray(weight / weight.sum())


@dataclass(frozen=True)
class Terms:
    """What tells a fit from others.

    Parameters
    ----------
    loss : Loss
        Convex and smooth.
    l1, l2 : ndarray of shape (n_params,)
        The penalty of the params over the scale.
    """

    loss: Loss
    l1: Array
    l2: Array


@dataclass(frozen=True)
class Sums:
    """What rows tell of fits; a few rows tell what need only be typical.

    Parameters
    ----------
    pull : ndarray of shape (n_fits, n_params)
        Minus the gradient of the losses.
    curvature, value : ndarray of shape (n_fits,)
        Means of the loss's curvature and value, over a few rows.
    few, curvatures : ndarray of shape (n_fits, n_few)
        The residuals of these over the scale, and the loss's curvature there times
        their weight, which sums to 1.
    """

    pull: Array
    curvature: Array
    value: Array
    few: Array
    curvatures: Array


def sums_of(shared: Shared, terms: list[Terms], residual: Array) -> Sums:
    """Return what rows tell; overwrites the residuals, which are over the scale."""
    few, weight = residual[:, shared.few].copy(), shared.few_weight
    curvatures, value = np.empty_like(few), np.empty(len(terms))
    for i, (term, each) in enumerate(zip(terms, residual, strict=True)):
        np.multiply(term.loss.curvature(few[i]), weight, out=curvatures[i])
        value[i] = term.loss.value(few[i]) @ weight
        np.multiply(term.loss.gradient(each), shared.weight, out=each)
    pull = residual @ shared.design
    return Sums(pull, curvatures.sum(axis=1), value, few, curvatures)


@dataclass(frozen=True)
class Steps:
    """Steps over the scale, what share of the objective they promise, and what follows.

    Parameters
    ----------
    step, turn : ndarray of shape (n_fits, n_params)
        The steps, and the move of the fit, over its scale, with the logarithm of it.
    promise : ndarray of shape (n_fits,)
        Infinite where there is no step.
    """

    step: Array
    turn: Array
    promise: Array


def steps_of(
    shared: Shared, terms: list[Terms], sums: Sums, at: Array, near: NDArray[np.bool_]
) -> Steps:
    """Return the steps of fits from params over the scale; near fits see more."""
    along = np.where(near, _along_pulls(shared, sums), 0.0)
    l1, l2 = np.array([t.l1 for t in terms]), np.array([t.l2 for t in terms])
    also = l2 * at - (sums.curvatures * sums.few) @ shared.few_rows
    pull, curved = sums.pull, sums.curvature > 0
    hessians = (along[:, None] * pull)[:, :, None] * pull[:, None, :]
    hessians += shared.gram
    hessians *= np.where(curved, sums.curvature, 1.0)[:, None, None]
    np.einsum("ijj->ij", hessians)[:] += l2
    linear = l2 * at - pull - products(hessians, at)
    goal, turn = block_pivoting_each(hessians, linear, l1, at, also)
    there = np.isfinite(goal).all(axis=1) & curved & (sums.value > 0)
    step = np.where(there[:, None], goal - at, 0.0)
    decrease = 0.5 * (step * products(hessians, step)).sum(axis=1)
    promise = np.full(len(terms), np.inf)
    promise[there] = decrease[there] / sums.value[there]
    return Steps(step, np.where(there[:, None], turn, 0.0), promise)


def _along_pulls(shared: Shared, sums: Sums) -> Array:
    """Return the factor a for which ``G + a g g'`` is right for g, the rows' pulls.

    Of the direction d with ``G d = g``: a few rows tell the mean of ``(d'x)^2`` that
    curvature weighs over the one that it does not. Of Gaussian rows all else is right,
    too.
    """
    assert shared.factor is not None
    d = shared.factor.solve_each(sums.pull)
    squares = (d @ shared.few_rows.T) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = (squares * sums.curvatures).sum(axis=1) / (squares @ shared.few_weight)
        ratio = np.maximum(ratio / sums.curvature, LEAST_SHARE)
        factor = (ratio - 1) / (sums.pull * d).sum(axis=1)
    return np.where(np.isfinite(factor), factor, 0.0)
