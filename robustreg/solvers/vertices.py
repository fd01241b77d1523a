"""From vertex to vertex: a kinked loss under one l1 penalty after the other.

The optimum is a vertex: as many rows are fitted exactly as params are in use. It stays
the same while the slopes that hold it stay within their bounds [1]_. Where one leaves
them, its row or column is let go along an edge, as far as the objective falls [2]_:
over all kinks on the way.

Cost: n k for each edge, with k params in use, and n p for its slopes.

References
----------
.. [1] Li, Y., Zhu, J. (2008). L1-norm quantile regression. Journal of Computational and
   Graphical Statistics 17, 163-185.
.. [2] Barrodale, I., Roberts, F. D. K. (1973). An improved algorithm for discrete l1
   linear approximation. SIAM Journal on Numerical Analysis 10, 839-848.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from robustreg.linalg import Square
from robustreg.objective import Objective
from robustreg.rows import Array, Index

# Slopes this close to their bounds, in units of these, may hold other fits, too.
MARGIN = 1e-7
SMALLEST_RCOND = 1e-10
# After so many edges another method is the better one.
MOST_EDGES = 100


@dataclass(frozen=True)
class VertexFit:
    """A vertex that is the only optimum.

    Parameters
    ----------
    params : ndarray of shape (n_params,)
        Where it is.
    slopes : ndarray of shape (n_rows,)
        Optimal slopes.
    """

    params: Array
    slopes: Array


@final
class Vertex:
    """Which rows are fitted exactly and which params are in use.

    Parameters
    ----------
    objective : Objective
        Its loss is piecewise linear; its penalty is of no account.
    params : ndarray of shape (n_params,)
        A vertex.
    """

    def __init__(self, objective: Objective, params: Array) -> None:
        self._objective = objective
        self._design = objective.rows.few(np.arange(objective.rows.n_rows))
        residual = np.abs(objective.target - self._design @ params)
        residual[objective.weight == 0] = np.inf
        intercept = objective.rows.varies[-1:]
        self._used = np.flatnonzero(np.append(params[:-1] != 0, intercept))
        nearest = np.argsort(residual, kind="stable")
        self._rows: Index = nearest[: self._used.size]

    def fit(self, l1: Array) -> VertexFit | None:
        """Go to the optimum for an l1 part, None if it is not seen to be the only one.

        Of all slopes the one furthest beyond its bounds is let go.
        """
        low, high = self._objective.loss.facts.slopes
        weight, fixed = self._objective.weight, ~self._objective.rows.varies
        for _ in range(MOST_EDGES):
            used, rows = self._used, self._rows
            basis = Square(self._design[np.ix_(rows, used)])
            if not basis.rcond > SMALLEST_RCOND:
                return None
            params, residual = self._primal(basis)
            slopes, adjoint = self._dual(basis, params, residual, l1)
            held = slopes[rows]
            over = weight[rows] * np.maximum(held - high, low - held)
            outside = np.abs(adjoint) - l1
            outside[used], outside[fixed] = -np.inf, -np.inf
            room = MARGIN * (high - low) * weight[rows]
            if (over < -room).all() and (outside < -MARGIN * l1).all():
                return VertexFit(params, slopes)
            row, column = int(np.argmax(over)), int(np.argmax(outside))
            direction, kept = np.zeros_like(l1), rows
            if over[row] >= outside[column]:
                kept = np.delete(rows, row)
                unit = np.zeros(used.size)
                unit[row] = -1.0 if held[row] > high else 1.0
                direction[used] = basis.solve(unit)
            else:
                direction[column] = np.sign(adjoint[column])
                moved = self._design[rows, column] * direction[column]
                direction[used] = -basis.solve(moved)
            if not self._cross(params, residual, direction, kept, l1):
                return None
        return None

    def _primal(self, basis: Square) -> tuple[Array, Array]:
        """Return the vertex and its residuals."""
        target, params = self._objective.target, np.zeros(self._design.shape[1])
        params[self._used] = basis.solve(target[self._rows])
        residual = target - self._design @ params
        residual[self._rows] = 0.0
        return params, residual

    def _dual(
        self, basis: Square, params: Array, residual: Array, l1: Array
    ) -> tuple[Array, Array]:
        """Return the slopes that balance the params in use, and their adjoint."""
        low, high = self._objective.loss.facts.slopes
        weight, used, rows = self._objective.weight, self._used, self._rows
        slopes = np.where(residual > 0, high, low)
        slopes[rows] = 0.0
        adjoint = self._design.T @ (weight * slopes)
        wanted = l1[used] * np.sign(params[used]) - adjoint[used]
        pull = basis.solve(wanted, transposed=True)
        slopes[rows] = pull / weight[rows]
        return slopes, adjoint + self._design[rows].T @ pull

    def _cross(
        self,
        params: Array,
        residual: Array,
        direction: Array,
        kept: Index,
        l1: Array,
    ) -> bool:
        """Go along an edge while the objective falls; return whether it ends."""
        low, high = self._objective.loss.facts.slopes
        weight = self._objective.weight
        change = -(self._design @ direction)
        change[kept] = 0.0
        side = np.where(residual == 0, change, residual)
        slope = float(weight @ (np.where(side > 0, high, low) * change))
        sign = np.sign(np.where(params == 0, direction, params))
        slope += float(l1 @ (sign * direction))
        rows = np.flatnonzero(
            (residual != 0) & (np.sign(residual) == -np.sign(change)) & (weight > 0)
        )
        columns = np.flatnonzero(
            (params != 0) & (np.sign(params) == -np.sign(direction)) & (l1 > 0)
        )
        kinks = np.append(residual[rows], params[columns])
        kinks /= -np.append(change[rows], direction[columns])
        rise = np.append(
            (high - low) * weight[rows] * np.abs(change[rows]),
            2 * l1[columns] * np.abs(direction[columns]),
        )
        order = np.argsort(kinks)
        end = int(np.searchsorted(slope + np.cumsum(rise[order]), 0.0))
        if not slope < 0 or end == order.size:
            return False
        self._rows = kept
        self._used = np.union1d(self._used, np.flatnonzero(direction))
        if (kink := order[end]) < rows.size:
            self._rows = np.append(kept, rows[kink])
        else:
            self._used = np.setdiff1d(self._used, columns[kink - rows.size])
        return self._used.size == self._rows.size
