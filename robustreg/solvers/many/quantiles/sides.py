"""Passes over all rows for several quantiles at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.linalg import norm

from robustreg.objective import Objective
from robustreg.rows import Array, Block, Index
from robustreg.solvers.many.kinks import Kinks, OwnRows, SharedRows
from robustreg.solvers.many.quantiles.active import Active, sizes


@dataclass(frozen=True)
class Corners:
    """Vertices of k fits: params, and the rows they pass through, -1 for none."""

    params: Array
    basis: Index
    n_iter: int


@final
class Sides:
    """Passes over all rows for the params of k quantiles at once.

    Slopes are those of the pinball loss, the level above the kink and the level minus 1
    below; between, a number from -1/2 to 1/2 is added to their middle.
    """

    def __init__(self, objective: Objective, levels: Array) -> None:
        self.objective, self.levels = objective, levels
        self.rows, self.used = objective.rows, np.flatnonzero(objective.rows.varies)
        self._middle = levels[:, None] - 0.5

    def of(self, which: Index) -> Sides:
        """Return those of some of the quantiles."""
        return Sides(self.objective, self.levels[which])

    def every(self) -> Active:
        """Return all rows, of which any may cross."""
        target, weight, k = self.objective.target, self.objective.weight, self._half
        every = np.arange(target.size)
        rows = SharedRows(self.rows.dense(every)[:, self.used], target)
        weights = np.tile(weight, (k.size, 1))
        linear = -self._middle * rows.adjoint(weight)
        kinks = Kinks(rows, weights, -k, k, linear)
        size = sizes(self.rows.norms()[None], self.used.size)
        return Active(np.tile(every, (k.size, 1)), kinks, size)

    def around(self, params: Array, width: Array) -> Active:
        """Return the rows within a distance of each kink; others keep their side.

        A distance is that of a typical row.
        """
        inside: list[list[Index]] = [[] for _ in params]
        target = self.objective.target

        def terms(place: slice, block: Block) -> tuple[Array]:
            residual = target[place] - block.predict_each(params)
            slopes = np.copysign(0.5, residual)
            reach = sizes(block.norms(), self.used.size) * width[:, None]
            near = np.abs(residual, out=residual) <= reach
            slopes[near] = 0.0
            for found, which in zip(inside, near, strict=True):
                found.append(place.start + np.flatnonzero(which))
            return self._pulled(place, block, slopes)

        # Norms are half a pass.
        (force,) = self.rows.map_reduce(terms, 1.5)
        found = [np.concatenate(parts) for parts in inside]
        return self._active(found, np.asarray(force))

    def force_of_smooth(self, params: Array, width: Array) -> Array:
        """Return the force of slopes that rise over half-widths on both sides."""
        target, unit = self.objective.target, 0.5 / width[:, None]

        def terms(place: slice, block: Block) -> tuple[Array]:
            slopes = target[place] - block.predict_each(params)
            slopes *= unit
            np.clip(slopes, -0.5, 0.5, out=slopes)
            return self._pulled(place, block, slopes)

        return np.asarray(self.rows.map_reduce(terms)[0])

    def force_at(self, corners: Corners) -> Array:
        """Return the force of all rows but those that are fitted exactly."""
        target = self.objective.target

        def terms(place: slice, block: Block) -> tuple[Array]:
            residual = target[place] - block.predict_each(corners.params)
            slopes = np.copysign(0.5, residual)
            slopes[residual == 0] = 0.0
            here = (corners.basis >= place.start) & (corners.basis < place.stop)
            fit, column = np.nonzero(here)
            slopes[fit, corners.basis[fit, column] - place.start] = 0.0
            return self._pulled(place, block, slopes)

        return np.asarray(self.rows.map_reduce(terms)[0])

    def _pulled(self, place: slice, block: Block, slopes: Array) -> tuple[Array]:
        """Return the force of a block, of slopes from their middle; these change."""
        slopes += self._middle
        slopes *= self.objective.weight[place]
        return (block.adjoint_each(slopes),)

    @property
    def _half(self) -> Array:
        """Half of the range of slopes of each."""
        return np.full((self.levels.size, 1), 0.5)

    def _active(self, inside: list[Index], force: Array) -> Active:
        """Return some rows of each fit, given the force of all others."""
        k, size = len(inside), max(rows.size for rows in inside)
        places, design = np.full((k, size), -1), np.zeros((k, size, self.used.size))
        for place, block, rows in zip(places, design, inside, strict=True):
            place[: rows.size] = rows
            block[: rows.size] = self.rows.dense(rows)[:, self.used]
        empty = places < 0
        target = np.where(empty, 0.0, self.objective.target[places])
        weights = np.where(empty, 0.0, self.objective.weight[places])
        linear, half = -force[:, self.used], self._half
        kinks = Kinks(OwnRows(design, target), weights, -half, half, linear)
        return Active(places, kinks, sizes(norm(design, axis=2), self.used.size))


def within(objective: Objective, params: Array, share: Array) -> Array:
    """Return the distances from the kink within which shares of the rows lie."""
    rows, _ = objective.representatives
    size = np.abs(residuals(objective, params, rows))
    count = np.minimum((share * rows.size).astype(np.intp), rows.size - 1)
    size.sort(axis=1)
    width = np.take_along_axis(size, count[:, None], axis=1)[:, 0]
    return np.maximum(width, objective.noise)


def residuals(objective: Objective, params: Array, rows: Index) -> Array:
    """Return the residuals of some rows, of shape (k, n_some)."""
    objective.rows.passes += rows.size / objective.rows.n_rows
    return np.asarray(objective.target[rows] - params @ objective.rows.dense(rows).T)
