"""From vertex to vertex for many weights of the same few rows at once.

A kinked fit without a penalty is a vertex: as many rows as params are fitted exactly,
and the slopes that balance all others there are within their bounds. From one that is
not, the row whose slope is furthest beyond is let go along an edge, as far as the
objective falls [1]_. What one step costs in Python, the fits of all weights share.

Cost: n k for each edge of each fit, with k params, and a sort of the rows.

References
----------
.. [1] Barrodale, I., Roberts, F. D. K. (1973). An improved algorithm for discrete l1
   linear approximation. SIAM Journal on Numerical Analysis 10, 839-848.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from robustreg.linalg import Square
from robustreg.rows import Array, Index
from robustreg.tolerance import AT_END

# A basis, or a Hessian, of smaller reciprocal condition number is left to methods that
# refine what they find: errors made here, EPS over it, are 2e-8 at most.
REGULAR = 1e-8
# After this many edges another method is the better one, or after half as many as there
# are params.
MOST_EDGES = 100


@dataclass(frozen=True)
class ManyFits:
    """The fits of many weights.

    Parameters
    ----------
    params : ndarray of shape (n_weights, n_params)
        The only optimum of each.
    done : ndarray of bool of shape (n_weights,)
        Which of them were found; the others' params are of no account.
    """

    params: Array
    done: NDArray[np.bool_]


def many_vertices(
    design: Array, target: Array, weights: Array, ends: tuple[float, float], near: Array
) -> ManyFits:
    """Fit a piecewise linear loss for many weights, each where one fit is optimal.

    Parameters
    ----------
    design : ndarray of shape (n_rows, n_params)
        The rows.
    target : ndarray of shape (n_rows,)
        Their targets.
    weights : ndarray of shape (n_weights, n_rows)
        Non-negative.
    ends : tuple of float
        The loss's two slopes.
    near : ndarray of shape (n_params,)
        A fit near the others; they start at the vertex nearest to it.
    """
    params = np.zeros((len(weights), near.size))
    done = np.zeros(len(weights), dtype=bool)
    basis = _vertex_near(design, np.abs(target - design @ near))
    if basis is None:
        return ManyFits(params, done)
    walk = _Walk(design, target, ends, weights, basis)
    for _ in range(MOST_EDGES):
        ended, found = walk.at_optimum()
        done[walk.left[ended]] = True
        params[walk.left[ended]] = found
        walk.drop(ended)
        if not walk.left.size:
            break
        walk.drop(~walk.cross())
    return ManyFits(params, done)


def _vertex_near(design: Array, distance: Array) -> Index | None:
    """Return the nearest rows that determine params, None if none do."""
    chosen: list[int] = []
    left = design.copy()
    for row in np.argsort(distance, kind="stable").tolist():
        size = float(left[row] @ left[row])
        if size > REGULAR * float(design[row] @ design[row]):
            chosen.append(row)
            left -= np.outer(left @ left[row], left[row] / size)
        if len(chosen) == design.shape[1]:
            rows = np.array(chosen)
            return rows if Square(design[rows]).rcond > REGULAR else None
    return None


@final
class _Walk:
    """Vertices of those fits that are on their way.

    ``left`` are their places, ``basis`` the rows that each passes through and
    ``inverse`` the inverses of these rows.
    """

    def __init__(
        self,
        design: Array,
        target: Array,
        ends: tuple[float, float],
        weights: Array,
        basis: Index,
    ) -> None:
        self._design, self._target, self._ends = design, target, ends
        self._weights, self.left = weights, np.arange(len(weights))
        self._basis = np.tile(basis, (len(weights), 1))
        inverse = np.linalg.inv(design[basis])
        self._inverse = np.tile(inverse, (len(weights), 1, 1))
        # Of the basis: by how much slopes are beyond their bounds, and which are above.
        self._over = np.zeros(self._basis.shape)
        self._above = np.zeros(self._basis.shape, dtype=bool)
        self._residual = np.zeros(weights.shape)

    def drop(self, which: NDArray[np.bool_]) -> None:
        """Go on without some of the fits."""
        if not which.any():
            return
        kept = ~which
        self.left, self._basis = self.left[kept], self._basis[kept]
        self._inverse, self._weights = self._inverse[kept], self._weights[kept]
        self._residual, self._over = self._residual[kept], self._over[kept]
        self._above = self._above[kept]

    def at_optimum(self) -> tuple[NDArray[np.bool_], Array]:
        """Evaluate all fits; return which are optimal, and their params."""
        low, high = self._ends
        rows = self._design[self._basis]
        held = self._target[self._basis]
        params = _products(self._inverse, held)
        params += _products(self._inverse, held - _products(rows, params))
        self._residual = self._target - params @ self._design.T
        np.put_along_axis(self._residual, self._basis, 0.0, axis=1)
        slopes = self._weights * np.where(self._residual > 0, high, low)
        np.put_along_axis(slopes, self._basis, 0.0, axis=1)
        pull = _products(self._inverse.transpose(0, 2, 1), -slopes @ self._design)
        weight = np.take_along_axis(self._weights, self._basis, axis=1)
        self._over = np.maximum(pull - weight * high, weight * low - pull)
        self._above = pull > weight * high
        room = AT_END * (high - low) * weight
        optimal = np.all(self._over < -room, axis=1)
        if optimal.any():
            product = rows @ self._inverse
            error = np.abs(product - np.eye(params.shape[1])).max(axis=(1, 2))
            # Of others one step of refinement does not bring back the digits.
            optimal &= error < 1e-6
        return optimal, params[optimal]

    def cross(self) -> NDArray[np.bool_]:
        """Go along an edge, each fit for itself; return which could."""
        low, high = self._ends
        every = np.arange(self.left.size)
        place = np.argmax(self._over, axis=1)
        slope = -self._over[every, place]
        sign = np.where(self._above[every, place], 1.0, -1.0)
        direction = -sign[:, None] * self._inverse[every, :, place]
        change = -(direction @ self._design.T)
        nearer = self._residual * change < 0
        nearer &= self._weights > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.where(nearer, -self._residual / change, np.inf)
        rise = np.where(nearer, (high - low) * self._weights * np.abs(change), 0.0)
        order = np.argsort(distance, axis=1)
        after = np.cumsum(np.take_along_axis(rise, order, axis=1), axis=1)
        passed = after + slope[:, None] >= 0
        end = np.argmax(passed, axis=1)
        entering = order[every, end]
        goes = (slope < 0) & passed[every, end] & nearer[every, entering]
        self._exchange(goes, place, entering)
        return goes

    def _exchange(
        self, which: NDArray[np.bool_], place: Index, entering: Index
    ) -> None:
        """Exchange a row of each basis for another, and update the inverses."""
        some = np.flatnonzero(which)
        place, entering = place[some], entering[some]
        inverse = self._inverse[some]
        row = np.einsum("ij,ijk->ik", self._design[entering], inverse)
        each = np.arange(some.size)
        column = inverse[each, :, place] / row[each, place][:, None]
        row[each, place] -= 1.0
        self._inverse[some] = inverse - column[:, :, None] * row[:, None, :]
        self._basis[some, place] = entering


def _products(matrices: Array, vectors: Array) -> Array:
    """Return the product of each matrix with its vector."""
    return np.asarray((matrices @ vectors[:, :, None])[:, :, 0])
