"""Many smooth losses and penalties of the same rows at once, by one Gram matrix.

A Hessian is the mean of ``curvature(r_i / s) x_i x_i'``. Where curvature has little to
do with x it is nearly the mean curvature times the mean of ``x_i x_i'``, up to a share
of about the root of params per row, so that a step

    (mean(curvature) G + l2) d = -gradient,

with the l1 part in it if there is one, gains a digit or more, for the price of a pass
[1]_. All fits share G, and the passes: products of a matrix with a matrix. The scale of
residuals is taken as it is after each step. Fits that do not settle are left to methods
that look at their own Hessian.

Cost: n k for each step of each fit, with k params, and n k^2 once.

References
----------
.. [1] Huber, P. J. (1981). Robust Statistics, section 7.8 (modified residuals). Wiley.
.. [2] Aitken, A. C. (1926). On Bernoulli's numerical solution of algebraic equations.
   Proceedings of the Royal Society of Edinburgh 46, 289-305.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from robustreg.losses import Loss
from robustreg.rows import Array, Index
from robustreg.solvers.quadratics.quadratic import block_pivoting

# Steps that may fail to promise less than half of the best before, after which a fit is
# left to others; and most steps of all.
PATIENCE, MOST_STEPS = 3, 40
# A column whose rows have less than this share of the mean curvature has a Hessian of
# its own.
EVEN = 0.05
# A scale whose moves shrink by no more than this is slow; two such shares that differ
# by less than the second are one.
SLOW, STEADY = 0.3, 0.2

Measure = Callable[[Array], float]


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
        ``design.T @ diag(weight) @ design``, positive definite.
    """

    design: Array
    target: Array
    weight: Array
    gram: Array


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


def fit_by_mean_curvature(
    shared: Shared,
    terms: list[Terms],
    near: Array,
    scales: Array,
    measure: Measure | None,
    tol: float,
    max_iter: int,
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Return params, scales and which fits were found.

    Parameters
    ----------
    shared : Shared
        The rows.
    terms : list of Terms
        A fit each.
    near : ndarray of shape (n_fits, n_params)
        Where they start, in units of y.
    scales : ndarray of shape (n_fits,)
        Scales that they start with.
    measure : callable or None
        Returns the scale of residuals; None keeps the scales.
    tol : float
        The share of the objective that a last step may promise; of a scale its root
        may be off.
    max_iter : int
        Largest number of steps.
    """
    params, moves = near.copy(), _Scales(scales.copy(), measure)
    found, left = np.zeros(len(terms), dtype=bool), np.arange(len(terms))
    least, stalled = np.full(len(terms), np.inf), np.zeros(len(terms), dtype=int)
    for _ in range(min(max_iter, MOST_STEPS)):
        if not left.size:
            break
        residual = shared.target - params[left] @ shared.design.T
        away = moves.follow(residual, left)
        scale = moves.scales[left, None]
        some = [terms[i] for i in left]
        step, promise = _steps(shared, some, residual / scale, params[left] / scale)
        params[left] += scale * step
        promise = np.maximum(promise, away**2)
        found[left] = promise <= tol
        stalled[left] = np.where(promise <= 0.5 * least[left], 0, stalled[left] + 1)
        least[left] = np.fmin(promise, least[left])
        left = left[(promise > tol) & (stalled[left] <= PATIENCE)]
    for i in np.flatnonzero(found):
        residual = (shared.target - shared.design @ params[i]) / moves.scales[i]
        found[i] = _is_even(shared, terms[i].loss.curvature(residual))
    return params, moves.scales, found


@final
class _Scales:
    """The scales of fits, each that of the residuals before, or where these lead to.

    Where a penalty is strong, a fit goes with its scale, which moves on by nearly the
    same share in each step: Aitken's extrapolation goes all the way [2]_.
    """

    def __init__(self, scales: Array, measure: Measure | None) -> None:
        self.scales, self._measure = scales, measure
        # The last move of each logarithm, and its share of the one before.
        self._move, self._share = np.zeros(scales.size), np.full(scales.size, np.nan)

    def follow(self, residual: Array, left: Index) -> Array:
        """Take the scales of residuals; return by how much the logarithms were off.

        Infinite where residuals have no scale.
        """
        if self._measure is None:
            return np.zeros(left.size)
        measured = np.array([self._measure(each) for each in residual])
        with np.errstate(divide="ignore", invalid="ignore"):
            move = np.log(measured / self.scales[left])
            share = move / self._move[left]
            steady = np.abs(share - self._share[left]) <= STEADY * np.abs(share)
        ahead = steady & (share >= SLOW) & (share <= 1 - SLOW / 10)
        jump = np.where(ahead, move / np.where(ahead, 1 - share, 1.0), move)
        jump = np.where(np.isfinite(move), jump, 0.0)
        self.scales[left] *= np.exp(np.clip(jump, -1.0, 1.0))
        self._move[left] = np.where(ahead, np.nan, move)
        self._share[left] = np.where(ahead, np.nan, share)
        return np.abs(move)


def _steps(
    shared: Shared, terms: list[Terms], residual: Array, at: Array
) -> tuple[Array, Array]:
    """Return the step of each fit over its scale, and the share that it promises.

    0 and infinite where there is no step.
    """
    slopes, means = np.empty_like(residual), np.empty(len(terms))
    values = np.empty(len(terms))
    for i, (term, each) in enumerate(zip(terms, residual, strict=True)):
        slopes[i] = term.loss.gradient(each) * shared.weight
        means[i] = term.loss.curvature(each) @ shared.weight
        values[i] = term.loss.value(each) @ shared.weight
    pulls, steps = slopes @ shared.design, np.zeros_like(at)
    promises = np.full(len(terms), np.inf)
    for i, term in enumerate(terms):
        hessian = means[i] * shared.gram
        hessian[np.diag_indices_from(hessian)] += term.l2
        linear = term.l2 * at[i] - pulls[i] - hessian @ at[i]
        goal = block_pivoting(hessian, linear, term.l1, at[i])
        if goal is not None and values[i] > 0:
            steps[i] = goal - at[i]
            promises[i] = 0.5 * float(steps[i] @ hessian @ steps[i]) / values[i]
    return steps, promises


def _is_even(shared: Shared, curvature: Array) -> bool:
    """Return whether no column lies where the loss has hardly any curvature.

    There the optimum may not be unique, and which one it is others say.
    """
    weight = shared.weight * curvature
    own = np.einsum("i,ij,ij->j", weight, shared.design, shared.design)
    return bool((own >= EVEN * weight.sum() * shared.gram.diagonal()).all())
