"""From vertex to vertex for many fits at once: many weights of a few rows, many losses.

A kinked fit without a penalty is a vertex: as many rows as params are fitted exactly,
and the slopes that balance all others there are within their bounds. From one that is
not, the row whose slope is furthest beyond is let go along an edge, as far as the
objective falls [1]_. What one step costs in Python, all fits share.

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
from robustreg.solvers.many.kinks import Kinks, SharedRows, products
from robustreg.tolerance import AT_END

# A basis, or a Hessian, of smaller reciprocal condition number is left to methods that
# refine what they find: errors made here, EPS over it, are 2e-8 at most.
REGULAR = 1e-8
# One step of refinement does not bring back what an inverse loses that is off by more.
INVERTED = 1e-6
# Rows for each param that are looked at first for a vertex.
FEW_NEAREST = 4
# After this many edges another method is the better one, or after half as many as there
# are params.
MOST_EDGES = 100


@dataclass(frozen=True)
class ManyFits:
    """The fits of many weights, or of many losses.

    Parameters
    ----------
    params : ndarray of shape (n_fits, n_params)
        The only optimum of each.
    done : ndarray of bool of shape (n_fits,)
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
    k = len(weights)
    basis = vertex_near(design, np.abs(target - design @ near))
    if basis is None:
        return ManyFits(np.zeros((k, near.size)), np.zeros(k, dtype=bool))
    low, high = (np.full((k, 1), end) for end in ends)
    rows = SharedRows(design, target)
    kinks = Kinks(rows, weights, low, high, np.zeros((k, near.size)))
    inverse = np.tile(np.linalg.inv(design[basis]), (k, 1, 1))
    found = follow_edges(kinks, np.tile(basis, (k, 1)), inverse)
    return ManyFits(found.params, found.done)


@dataclass(frozen=True)
class Vertices:
    """Where edges lead to.

    Parameters
    ----------
    params : ndarray of shape (k, n_params)
        The only optimum of each fit.
    basis : ndarray of int of shape (k, n_params)
        The rows that it passes through.
    done : ndarray of bool of shape (k,)
        Which of them were found; others are of no account.
    edges : int
        How many edges the fit that took most of them followed.
    """

    params: Array
    basis: Index
    done: NDArray[np.bool_]
    edges: int


def follow_edges(
    kinks: Kinks, basis: Index, inverse: Array, most_edges: int = MOST_EDGES
) -> Vertices:
    """Go from a vertex of each fit to its optimum.

    Parameters
    ----------
    kinks : Kinks
        What is minimised.
    basis : ndarray of int of shape (k, n_params)
        The rows that each vertex passes through.
    inverse : ndarray of shape (k, n_params, n_params)
        The inverses of these rows.
    most_edges : int
        How many edges are followed at most.
    """
    params, ends = np.zeros(basis.shape), basis.copy()
    done = np.zeros(len(basis), dtype=bool)
    walk = _Walk(kinks, basis, inverse)
    edges = 0
    while walk.left.size:
        ended, found = walk.at_optimum()
        some = walk.left[ended]
        done[some], params[some], ends[some] = True, found, walk.basis[ended]
        walk.drop(ended)
        if not walk.left.size or edges == most_edges:
            break
        edges += 1
        walk.drop(~walk.cross())
    return Vertices(params, ends, done, edges)


def vertex_near(design: Array, distance: Array) -> Index | None:
    """Return the nearest rows that determine params, None if none do."""
    nearest = np.argsort(distance, kind="stable")
    # Few rows are passed over but where many are alike.
    found = _independent(design, nearest[: FEW_NEAREST * design.shape[1]])
    return _independent(design, nearest) if found is None else found


def _independent(design: Array, rows: Index) -> Index | None:
    """Return the first rows that determine params, None if none do."""
    chosen: list[int] = []
    left = design[rows]
    for place, row in enumerate(rows.tolist()):
        size = float(left[place] @ left[place])
        if size > REGULAR * float(design[row] @ design[row]):
            chosen.append(row)
            left -= np.outer(left @ left[place], left[place] / size)
        if len(chosen) == design.shape[1]:
            found = np.array(chosen)
            return found if Square(design[found]).rcond > REGULAR else None
    return None


@final
class _Walk:
    """Vertices of those fits that are on their way.

    ``left`` are their places, ``basis`` the rows that each passes through and
    ``inverse`` the inverses of these rows.
    """

    def __init__(self, kinks: Kinks, basis: Index, inverse: Array) -> None:
        self._kinks, self.left = kinks, np.arange(len(basis))
        self.basis, self._inverse = basis.copy(), inverse
        # Of the basis: by how much slopes are beyond their bounds, and which are above.
        self._over = np.zeros(self.basis.shape)
        self._above = np.zeros(self.basis.shape, dtype=bool)
        self._residual = np.zeros(kinks.weights.shape)

    def drop(self, which: NDArray[np.bool_]) -> None:
        """Go on without some of the fits."""
        if not which.any():
            return
        kept = ~which
        self._kinks = self._kinks.kept(kept)
        self.left, self.basis = self.left[kept], self.basis[kept]
        self._inverse, self._residual = self._inverse[kept], self._residual[kept]
        self._over, self._above = self._over[kept], self._above[kept]

    def at_optimum(self) -> tuple[NDArray[np.bool_], Array]:
        """Evaluate all fits; return which are optimal, and their params."""
        kinks, low, high = self._kinks, self._kinks.low, self._kinks.high
        rows = kinks.rows.block(self.basis)
        held = kinks.rows.targets(self.basis)
        params = products(self._inverse, held)
        params += products(self._inverse, held - products(rows, params))
        self._residual = kinks.rows.residual(params)
        np.put_along_axis(self._residual, self.basis, 0.0, axis=1)
        slopes = kinks.weights * np.where(self._residual > 0, high, low)
        np.put_along_axis(slopes, self.basis, 0.0, axis=1)
        missing = kinks.linear - kinks.rows.adjoint(slopes)
        pull = products(self._inverse.transpose(0, 2, 1), missing)
        weight = np.take_along_axis(kinks.weights, self.basis, axis=1)
        self._over = np.maximum(pull - weight * high, weight * low - pull)
        self._above = pull > weight * high
        room = AT_END * (high - low) * weight
        optimal = np.all(self._over < -room, axis=1)
        if optimal.any():
            product = rows @ self._inverse
            error = np.abs(product - np.eye(params.shape[1])).max(axis=(1, 2))
            optimal &= error < INVERTED
        return optimal, params[optimal]

    def cross(self) -> NDArray[np.bool_]:
        """Go along an edge, each fit for itself; return which could."""
        kinks = self._kinks
        every = np.arange(self.left.size)
        place = np.argmax(self._over, axis=1)
        slope = -self._over[every, place]
        sign = np.where(self._above[every, place], 1.0, -1.0)
        direction = -sign[:, None] * self._inverse[every, :, place]
        change = -kinks.rows.along(direction)
        nearer = self._residual * change < 0
        nearer &= kinks.weights > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.where(nearer, -self._residual / change, np.inf)
        rise = (kinks.high - kinks.low) * kinks.weights * np.abs(change)
        rise = np.where(nearer, rise, 0.0)
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
        entered = self._kinks.rows.block(entering[:, None])[which, 0]
        some = np.flatnonzero(which)
        place, entering = place[some], entering[some]
        inverse = self._inverse[some]
        row = np.einsum("ij,ijk->ik", entered, inverse)
        each = np.arange(some.size)
        column = inverse[each, :, place] / row[each, place][:, None]
        row[each, place] -= 1.0
        self._inverse[some] = inverse - column[:, :, None] * row[:, None, :]
        self.basis[some, place] = entering
