"""Many smooth losses and penalties of the same rows at once, by one Gram matrix.

Each step minimises the model of `mean_models`, plus the l1 part if there is one, and
gains a digit or more for the price of a pass. All fits share the Gram matrix and the
passes, which are products of a matrix with a matrix. After a step the scale goes to
where it agrees with residuals that move with it. Fits that do not settle are left to
methods that look at their own Hessian.

Cost: n k for each step of each fit, with k params, and n k^2 once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from robustreg.rows import Array, Index
from robustreg.rows.base import HELD_ENTRIES
from robustreg.solvers.many.mean_models import (
    LEAST_SHARE,
    Shared,
    Terms,
    steps_of,
    sums_of,
)
from robustreg.solvers.many.scale_moves import Measure, move_of

# Steps that may fail to promise less than this share of the best before, after which a
# fit is left to others, which cost many times as much; and most steps of all.
PATIENCE, SLOWEST, MOST_STEPS = 3, 0.8, 40
# A fit is near if the last step promised no more than this share of the objective.
NEAR = 0.05
# Entries of Hessians that are looked at at a time: they stay in cache.
MOST_SQUARES = 2**19
# Params that move with the logarithm of the scale by less than this share of it hardly
# change what is measured.
TURNING = 0.1


@dataclass(frozen=True)
class Nearby:
    """Where fits are, or may be near.

    Parameters
    ----------
    params : ndarray of shape (n_fits, n_params)
        Params in units of y.
    scales : ndarray of shape (n_fits,)
        Their scales.
    """

    params: Array
    scales: Array

    def copy(self) -> Nearby:
        """Return a copy."""
        return Nearby(self.params.copy(), self.scales.copy())

    def taken(self, index: Index) -> Nearby:
        """Return some of them, copied."""
        return Nearby(self.params[index], self.scales[index])

    def put(self, index: Index, others: Nearby) -> None:
        """Overwrite some of them."""
        self.params[index], self.scales[index] = others.params, others.scales

    def moved(self, others: Nearby, share: Array) -> Nearby:
        """Return a share of the way to others."""
        params = self.params + share[:, None] * (others.params - self.params)
        return Nearby(params, self.scales * (others.scales / self.scales) ** share)


def fit_by_mean_curvature(
    shared: Shared,
    terms: list[Terms],
    near: Nearby,
    measure: Measure | None,
    tol: float,
    max_iter: int,
) -> tuple[Nearby, NDArray[np.bool_]]:
    """Return where fits are, and which were found.

    Parameters
    ----------
    shared : Shared
        The rows.
    terms : list of Terms
        A fit each.
    near : Nearby
        Where they start.
    measure : Measure or None
        How the scale of residuals is measured; None keeps the scales.
    tol : float
        The share of the objective that a last step may promise; of a scale its root
        may be off.
    max_iter : int
        Largest number of steps.
    """
    walk, left = _Walk(shared, terms, near, measure), np.arange(len(terms))
    found, progress = np.zeros(len(terms), dtype=bool), _Progress(len(terms), tol)
    for _ in range(min(max_iter, MOST_STEPS)):
        if not left.size:
            break
        is_near = progress.last[left] < NEAR
        parts = zip(walk.parts(left), walk.parts(is_near), strict=True)
        promise = np.concatenate([walk.advance(*part) for part in parts])
        found[left], goes_on = progress.of(promise, left)
        left = left[goes_on]
    for some in walk.parts(np.flatnonzero(found)):
        found[some] = walk.are_even(some)
    return walk.at, found


@final
class _Walk:
    """Fits on their way, a few at a time, whose residuals stay in cache.

    ``at`` is where they are, ``turns`` how params move with the logarithm of the scale.
    """

    def __init__(
        self, shared: Shared, terms: list[Terms], near: Nearby, measure: Measure | None
    ) -> None:
        self._shared, self._terms, self._measure = shared, terms, measure
        self.at, self._turns = near.copy(), np.zeros_like(near.params)
        n, k = shared.design.shape
        self._few = max(min(HELD_ENTRIES // n, MOST_SQUARES // k**2), 1)
        # Made once: to ask the system for memory takes longer than a product.
        few = min(self._few, len(terms))
        self._residual, self._changes = np.empty((few, n)), np.empty((few, n))

    def parts(self, values: Any) -> list[Any]:
        """Return what belongs to a few fits at a time."""
        starts = range(0, len(values), self._few)
        return [values[low : low + self._few] for low in starts]

    def advance(self, some: Index, is_near: NDArray[np.bool_]) -> Array:
        """Make a step of each; return which share of the objective it promised."""
        moves = self._look(some)
        scale = self.at.scales[some, None]
        terms = [self._terms[i] for i in some]
        sums = sums_of(self._shared, terms, self._residual[: some.size])
        params = self.at.params[some]
        steps = steps_of(self._shared, terms, sums, params / scale, is_near)
        self.at.params[some] = params + scale * steps.step
        known = (steps.promise < NEAR) & (self._measure is not None)
        self._turns[some] = np.where(known[:, None], scale * steps.turn, 0.0)
        return np.maximum(steps.promise, moves**2)

    def are_even(self, some: Index) -> NDArray[np.bool_]:
        """Return of which fits no column lies where the loss has hardly any curvature.

        There the optimum may not be unique, and which one it is others say.
        """
        shared, residual = self._shared, self._residuals(self.at.params[some])
        for i, each in zip(some, residual, strict=True):
            each /= self.at.scales[i]
            curvature = self._terms[i].loss.curvature(each)
            np.multiply(curvature, shared.weight, out=each)
        own = residual @ shared.squares
        least = LEAST_SHARE * np.outer(residual.sum(axis=1), shared.gram.diagonal())
        return np.asarray((own >= least).all(axis=1))

    def _residuals(self, params: Array) -> Array:
        """Return the residuals, in an array that is there."""
        residual = self._residual[: len(params)]
        np.matmul(params, self._shared.design.T, out=residual)
        return np.subtract(self._shared.target, residual, out=residual)

    def _look(self, some: Index) -> Array:
        """Evaluate the residuals, over scales that move to where these have them.

        Return how far the logarithms of scales were off, infinite where there is none.
        """
        at, turns = self.at, self._turns[some]
        residual, moves = self._residuals(at.params[some]), np.zeros(some.size)
        turning = np.flatnonzero(self._is_turning(some))
        changes = self._changes[: turning.size]
        np.matmul(turns[turning], self._shared.design.T, out=changes)
        change_of = dict(zip(turning.tolist(), changes, strict=True))
        for i, (number, each) in enumerate(zip(some, residual, strict=True)):
            if self._measure is not None:
                change = change_of.get(i)
                moves[i] = move_of(self._measure, at.scales[number], each, change)
                move = np.clip(moves[i], -1.0, 1.0) if np.isfinite(moves[i]) else 0.0
                at.scales[number] *= np.exp(move)
                if change is not None:
                    at.params[number] += move * turns[i]
                    change *= move
                    each -= change
            each /= at.scales[number]
        return moves

    def _is_turning(self, some: Index) -> NDArray[np.bool_]:
        """Return which fits move with their scales so much that these follow."""
        # Columns have mean square 1.
        size = np.linalg.norm(self._turns[some], axis=1)
        return np.asarray(size > TURNING * self.at.scales[some])


@final
class _Progress:
    """What the steps of each fit have promised so far."""

    def __init__(self, n_fits: int, tol: float) -> None:
        self._tol = tol
        self.last, self._least = np.full((2, n_fits), np.inf)
        self._stalled = np.zeros(n_fits, dtype=int)

    def of(
        self, promise: Array, left: Index
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which fits are found after a step, and which go on."""
        done, stalls = promise <= self._tol, ~(promise <= SLOWEST * self._least[left])
        self._stalled[left] = np.where(stalls, self._stalled[left] + 1, 0)
        self._least[left] = np.fmin(promise, self._least[left])
        self.last[left] = promise
        return done, ~done & (self._stalled[left] <= PATIENCE)
