"""The optimality conditions that an interior-point method solves, and its systems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import final

import numpy as np
import scipy.linalg

from robustreg.linalg import (
    FEW_ENTRIES,
    SINGULAR,
    TINY,
    Factor,
    conjugate_gradients,
    factorise,
    jacobi,
)
from robustreg.objective import Objective
from robustreg.rows import Array, Index

# Slopes that are wanted, and by how much others miss the condition of the params, lead
# to how params and slopes move.
Solve = Callable[[Array, Array], tuple[Array, Array]]

# The first of these shares of its diagonal with which the normal matrix has a factor
# is added to it, for dependent columns and those that only rows at the boundary hold.
RIDGES = (1e-15, 1e-13, 1e-11)
# A system of fewer params costs so little that to leave part of it out saves nothing.
MANY_PARAMS = 64
# Rows of less than this share of the mean weight are left out if they are this share of
# all: so light that a few products bring them back, and enough to be worth that.
LIGHT, ENOUGH_LIGHT = 1e-4, 0.2
# A step need be no closer than this, nor is it worth more products.
STEP_RTOL, MOST_PRODUCTS = 1e-6, 20


@dataclass(frozen=True)
class State:
    """Where the iteration is.

    Parameters
    ----------
    params : ndarray of shape (n_params,)
        Coefficients and intercept.
    slopes : ndarray of shape (n_kinks,)
        Weighted slopes, between their bounds.
    room : ndarray of shape (2, n_kinks)
        How far the slopes are from their upper and their lower bound: positive, also
        where rounding errors of a slope are larger, as those of a far row are.
    parts : ndarray of shape (2, n_kinks)
        What the residual is above and below 0: positive, and their difference is the
        residual once it is feasible.
    """

    params: Array
    slopes: Array
    room: Array
    parts: Array


@final
class Equations:
    """The optimality conditions of an objective's rows of positive weight.

    Parameters
    ----------
    objective : Objective
        Its loss is piecewise linear.
    used : ndarray of shape (n_used,)
        The params that may move, in order, the last one of all last; others are 0.
    """

    def __init__(self, objective: Objective, used: Index) -> None:
        self.whole, self.used = objective, used
        self.live = np.flatnonzero(objective.weight)
        narrow = used.size < objective.n_params
        if narrow:
            objective = objective.columns(used)
        if narrow or self.live.size < objective.weight.size:
            objective = objective.take(self.live, objective.weight[self.live])
        low, high = objective.loss.facts.slopes
        self.objective = objective
        self.kinked = np.flatnonzero(objective.l1 > 0)
        l1 = objective.l1[self.kinked]
        self.low = np.append(low * objective.weight, -l1)
        self.high = np.append(high * objective.weight, l1)
        # What residuals above and below 0 cost.
        self.prices = np.stack([self.high, -self.low])
        self.target = np.append(objective.target, np.zeros(l1.size))
        self.curvature = objective.l2
        self.every = np.arange(objective.n_params)
        self.varies = objective.rows.varies
        self.n_varying = int(np.count_nonzero(self.varies))
        self.n_rows = objective.target.size

    def widened(self, params: Array) -> Array:
        """Return all params, given those that may move."""
        full = np.zeros(self.whole.n_params)
        full[self.used] = params
        return full

    def determined_by(self, active: Index) -> bool:
        """Return whether active kinks are neither too many nor too few for one fit."""
        curved = self.curvature > 0
        return bool(curved.any() or active.size == self.n_varying)

    def n_open(self, active: Index) -> int:
        """Return in how many directions neither active kinks nor a penalty hold."""
        return 0 if self.curvature.any() else max(self.n_varying - active.size, 0)

    def predict(self, params: Array) -> Array:
        """Return the prediction of every kink's residual."""
        self.objective.rows.passes += 1
        rows = self.objective.rows.predict(params)
        return np.append(rows, params[self.kinked]) if self.kinked.size else rows

    def adjoint(self, slopes: Array) -> Array:
        """Return the sum of all kinks' slopes times their rows."""
        self.objective.rows.passes += 1
        result = self.objective.rows.adjoint(slopes[: self.n_rows])
        if self.kinked.size:
            result[self.kinked] += slopes[self.n_rows :]
        return result

    def adjoint_of_rows(self, slopes: Array) -> Array:
        """Return the sum of the rows' slopes times all of their columns."""
        weighted = np.zeros_like(self.whole.weight)
        weighted[self.live] = slopes[: self.n_rows]
        self.whole.rows.passes += 1
        return self.whole.rows.adjoint(weighted)

    def dropped(self, active: Index) -> Index:
        """Return the params whose own kink is among some active ones: they are 0."""
        return self.kinked[active[active >= self.n_rows] - self.n_rows]

    def design(self, active: Index) -> Array:
        """Return the rows of some kinks."""
        rows = self.objective.rows.dense(active[active < self.n_rows])
        if not self.kinked.size:
            return rows
        l1 = np.zeros((active.size - rows.shape[0], self.every.size))
        columns = self.dropped(active)
        l1[np.arange(columns.size), columns] = 1.0
        return np.vstack([rows, l1])

    def normal(self, inverse: Array) -> tuple[Solve, bool] | None:
        """Return how systems of the normal matrix are solved, None if they cannot be.

        And whether that takes a factor alone.

        Its rows are weighted by ``inverse``. Near the end all but as many as there are
        params are nearly without weight: those make a preconditioner [1]_.

        References
        ----------
        .. [1] Wright, S. J. (1997). Primal-Dual Interior-Point Methods, chapter 11.
           SIAM.
        """
        weight, diagonal = inverse[: self.n_rows], self.curvature.copy()
        diagonal[self.kinked] += inverse[self.n_rows :]
        if self.every.size >= MANY_PARAMS and self._is_gram_dear():
            near = self._preconditioner(weight, diagonal)
            if near is not None:
                iterated = partial(self._iterated, weight, diagonal, near)
                return self._of_sum(inverse, iterated), False
        factor = self._factor(weight, diagonal)
        if factor.rcond < SINGULAR and self._is_root_cheap():
            return self._by_root(inverse), True
        if factor.rcond == 0:
            return None
        return self._of_sum(inverse, factor.solve), True

    def _of_sum(self, inverse: Array, solve: Callable[[Array], Array]) -> Solve:
        """Return how a system is solved whose right-hand side is summed first."""

        def solved(wanted: Array, missing: Array) -> tuple[Array, Array]:
            params = solve(self.adjoint(wanted) - missing)
            return params, wanted - inverse * self.predict(params)

        return solved

    def _is_root_cheap(self) -> bool:
        """Return whether each coefficient has a penalty, and entries are few.

        Without one dependent columns take their rank from a ridge.
        """
        held = (self.curvature > 0) | ~self.varies
        held[self.kinked] = True
        n_entries = self.target.size * self.every.size
        return bool(held[:-1].all()) and n_entries <= FEW_ENTRIES

    def _by_root(self, inverse: Array) -> Solve:
        """Return how it is solved by least squares of the kinks, without a Gram matrix.

        Rows of very different weight keep their digits if larger ones stand above [1]_.

        References
        ----------
        .. [1] Cox, A. J., Higham, N. J. (1998). Stability of Householder QR
           factorization for weighted least squares problems. In Numerical Analysis
           1997, 57-73. Addison Wesley Longman.
        """
        weight = np.sqrt(np.maximum(inverse, TINY))
        kinks = weight[:, None] * self.design(np.arange(weight.size))
        root = np.vstack([kinks, np.diag(np.sqrt(self.curvature))])
        order = np.argsort(-np.abs(root).max(axis=1), kind="stable")
        scale = jacobi((root**2).sum(axis=0))
        left, upper, pivot = scipy.linalg.qr(
            (root * scale)[order], mode="economic", pivoting=True, check_finite=False
        )
        rank = int(np.count_nonzero(upper.diagonal()))
        left, pivot = left[:, :rank], pivot[:rank]
        back = partial(
            scipy.linalg.solve_triangular, upper[:rank, :rank], check_finite=False
        )

        def solve(wanted: Array, missing: Array) -> tuple[Array, Array]:
            goal = np.append(wanted / weight, np.zeros_like(missing))[order]
            pull = back((scale * missing)[pivot], trans="T")
            inner = left.T @ goal
            # What lies outside the columns; twice is enough.
            goal -= left @ inner
            goal += left @ (pull - left.T @ goal)
            params, slopes = np.zeros_like(missing), np.empty_like(goal)
            params[pivot], slopes[order] = back(inner - pull), goal
            return scale * params, weight * slopes[: weight.size]

        return solve

    def _is_gram_dear(self) -> bool:
        """Return whether a Gram matrix costs more than its factor."""
        n, p, stored = self.n_rows, self.every.size, self.objective.rows.stored
        per_row = p if stored is None else stored.sum() / n
        return stored is None or bool(n * per_row**2 > p**3 / 3)

    def _preconditioner(self, weight: Array, diagonal: Array) -> Factor | None:
        """Return the factor of the rows that are not light, None if it will not do."""
        light = weight < LIGHT * weight.mean()
        n_light = np.count_nonzero(light)
        too_many = self.n_rows - n_light + np.count_nonzero(diagonal) < self.n_varying
        if n_light < ENOUGH_LIGHT * self.n_rows or too_many:
            return None
        near = self._factor(np.where(light, 0.0, weight), diagonal)
        # A column that light rows alone hold, or hold apart, needs them.
        held = bool((near.scale > 0)[self.varies].all())
        # One of smaller condition number has its rank from the ridge.
        return near if held and near.rcond > SINGULAR else None

    def _iterated(
        self, weight: Array, diagonal: Array, near: Factor, right: Array
    ) -> Array:
        """Solve with the normal matrix, given the factor of one that is near."""
        rows = self.objective.rows

        def product(v: Array) -> Array:
            rows.passes += 1
            return diagonal * v + rows.adjoint(weight * rows.predict(v))

        pivots = np.where(near.scale > 0, near.scale, 1.0) ** -2.0
        limits = STEP_RTOL, MOST_PRODUCTS
        return conjugate_gradients(product, right, pivots, *limits, near.solve)

    def _factor(self, weight: Array, diagonal: Array) -> Factor:
        """Return the factor of the normal matrix."""
        matrix = self.objective.rows.gram(weight, self.every)
        matrix.flat[:: self.every.size + 1] += diagonal
        pivots = matrix.diagonal().copy()
        for ridge in RIDGES:
            matrix.flat[:: self.every.size + 1] = pivots * (1 + ridge)
            factor = factorise(matrix)
            if factor.rcond > 0:
                break
        return factor
