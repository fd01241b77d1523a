"""From vertex to vertex: a kinked loss under one l1 penalty after the other.

The optimum is a vertex: as many rows are fitted exactly as params are in use. It stays
the same while the slopes that hold it stay within their bounds [1]_. Where one leaves
them, its row or column is let go along an edge, as far as the objective falls [2]_:
over all kinks on the way.

Cost: n p for each edge and k^3 for its system, with k of the p params in use.

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


@dataclass(frozen=True)
class _Corner:
    """A vertex: rows that are fitted exactly, as many as params in use, and the rest.

    ``block`` is the design of these rows, ``basis`` its part that is in use, and
    ``pull`` the adjoint of the slopes of all other rows.
    """

    used: Index
    rows: Index
    block: Array
    basis: Square
    params: Array
    residual: Array
    pull: Array


@final
class Vertex:
    """Which rows are fitted exactly and which params are in use.

    Parameters
    ----------
    objective : Objective
        Its loss is piecewise linear; its penalty is of no account.
    params : ndarray of shape (n_params,)
        A vertex.

    Attributes
    ----------
    edges : int
        How many the last fit followed.
    """

    def __init__(self, objective: Objective, params: Array) -> None:
        self.edges = 0
        self._ends = low, high = objective.loss.facts.slopes
        self._weight, self._target = objective.weight, objective.target
        self._low, self._high = low * self._weight, high * self._weight
        self._rise = (high - low) * self._weight
        self._fixed = np.flatnonzero(~objective.rows.varies)
        self._design = objective.rows.few(np.arange(objective.rows.n_rows))
        residual = np.abs(self._target - self._design @ params)
        residual[self._weight == 0] = np.inf
        intercept = objective.rows.varies[-1:]
        used = np.flatnonzero(np.append(params[:-1] != 0, intercept))
        nearest = np.argsort(residual, kind="stable")
        self._corner = self._at(used, nearest[: used.size])

    def fit(self, l1: Array, most_edges: int) -> VertexFit | None:
        """Go to the optimum for an l1 part, None if it is not seen to be the only one.

        Of all slopes the one furthest beyond its bounds is let go.
        """
        self.edges = 0
        while (corner := self._corner) is not None:
            used, rows = corner.used, corner.rows
            wanted = l1[used] * np.sign(corner.params[used]) - corner.pull[used]
            held = corner.basis.solve(wanted, transposed=True)
            adjoint = corner.pull + held @ corner.block
            over = np.maximum(held - self._high[rows], self._low[rows] - held)
            outside = np.abs(adjoint) - l1
            outside[used] = outside[self._fixed] = -np.inf
            inside = (over < -MARGIN * self._rise[rows]).all()
            if inside and (outside < -MARGIN * l1).all():
                return VertexFit(corner.params, self._slopes(corner, held))
            if self.edges == most_edges:
                break
            self.edges += 1
            row, column = int(over.argmax()), int(outside.argmax())
            direction = np.zeros_like(l1)
            if over[row] >= outside[column]:
                unit = np.zeros(used.size)
                unit[row] = -1.0 if held[row] > self._high[rows[row]] else 1.0
                direction[used] = corner.basis.solve(unit)
                slope, rows = -over[row], np.delete(rows, row)
            else:
                direction[column] = np.sign(adjoint[column])
                moved = corner.block[:, column] * direction[column]
                direction[used] = -corner.basis.solve(moved)
                slope, used = -outside[column], np.append(used, column)
            self._corner = self._crossed(corner, direction, slope, rows, used, l1)
        return None

    def _at(self, used: Index, rows: Index) -> _Corner | None:
        """Return the vertex at which rows are fitted exactly, None if singular."""
        block = self._design[rows]
        basis = Square(block[:, used])
        if not basis.rcond > SMALLEST_RCOND:
            return None
        params = np.zeros(self._design.shape[1])
        params[used] = basis.solve(self._target[rows])
        residual = self._target - self._design @ params
        residual[rows] = 0.0
        side = np.where(residual > 0, self._high, self._low)
        side[rows] = 0.0
        pull = side @ self._design
        return _Corner(used, rows, block, basis, params, residual, pull)

    def _slopes(self, corner: _Corner, held: Array) -> Array:
        """Return the slopes of all rows, those that are held by these forces."""
        low, high = self._ends
        slopes = np.where(corner.residual > 0, high, low)
        slopes[corner.rows] = held / self._weight[corner.rows]
        return slopes

    def _crossed(
        self,
        corner: _Corner,
        direction: Array,
        slope: float,
        kept: Index,
        used: Index,
        l1: Array,
    ) -> _Corner | None:
        """Return where an edge that goes down with a slope goes up, None if nowhere.

        ``kept`` are the rows that stay fitted, ``used`` the params in use on the way.
        """
        residual, change = corner.residual, -(self._design @ direction)
        # A row that is fitted but not held counts as one below its kink.
        toward = np.where(residual > 0, change < 0, change > 0)
        toward[corner.rows] = False
        rows = toward.nonzero()[0]
        params, turn = corner.params[used], direction[used]
        shrinks = ((params > 0) & (turn < 0)) | ((params < 0) & (turn > 0))
        columns = (shrinks & (l1[used] > 0)).nonzero()[0]
        kinks = np.append(residual[rows], params[columns])
        speed = np.append(change[rows], turn[columns])
        kinks /= -speed
        rise = np.append(self._rise[rows], 2 * l1[used[columns]]) * np.abs(speed)
        order = kinks.argsort()
        end = int((slope + rise[order].cumsum()).searchsorted(0.0))
        if end == order.size or kinks[order[end]] <= 0:
            return None
        if (kink := int(order[end])) < rows.size:
            kept = np.append(kept, rows[kink])
        else:
            used = np.delete(used, columns[kink - rows.size])
        return self._at(used, kept)
