"""Passes over all rows for several quantiles at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from robustreg.objective import Objective
from robustreg.rows import Array, Block, Index


@dataclass(frozen=True)
class Corners:
    """Vertices of k fits: params, and the rows they pass through, -1 for none."""

    params: Array
    basis: Index
    n_iter: int


@dataclass(frozen=True)
class Pull:
    """What one pass brought: the force of the slopes, and the rows inside a width."""

    force: Array
    inside: list[Index]


@final
class Sides:
    """Passes over all rows for the params of k quantiles at once.

    Slopes are those of the pinball loss, the level above the kink and the level minus 1
    below; between, a number from -1/2 to 1/2 is added to their middle.
    """

    def __init__(self, objective: Objective, levels: Array, mean: Array) -> None:
        self.objective, self.levels, self._mean = objective, levels, mean
        self.rows, self.used = objective.rows, np.flatnonzero(objective.rows.varies)
        self.middle = np.outer(levels - 0.5, mean)

    @classmethod
    def of_all(cls, objective: Objective, levels: Array) -> Sides:
        """Return those of an objective's rows."""
        objective.rows.passes += 0.5
        return cls(objective, levels, objective.rows.adjoint(objective.weight))

    def of(self, which: Index) -> Sides:
        """Return those of some of the quantiles."""
        return Sides(self.objective, self.levels[which], self._mean)

    def smoothed(self, params: Array, width: Array) -> Pull:
        """Return the force of slopes that rise over half-widths on both sides."""
        unit = 1 / (2 * width[:, None])

        def halves(place: slice, residual: Array) -> Array:
            return np.clip(residual * unit, -0.5, 0.5)

        return self._pulled(params, halves)

    def held(self, params: Array, band: Array) -> Pull:
        """Return the force of the rows outside bands around the kink."""
        edge = band[:, None]

        def halves(place: slice, residual: Array) -> Array:
            return 0.5 * ((residual > edge) * 1.0 - (residual < -edge))

        return self._pulled(params, halves)

    def at(self, corners: Corners) -> Pull:
        """Return the force of all rows but those that are fitted exactly."""

        def halves(place: slice, residual: Array) -> Array:
            here = (corners.basis >= place.start) & (corners.basis < place.stop)
            fit, column = np.nonzero(here)
            residual[fit, corners.basis[fit, column] - place.start] = 0.0
            return 0.5 * np.sign(residual)

        return self._pulled(corners.params, halves)

    def _pulled(self, params: Array, halves: Callable[[slice, Array], Array]) -> Pull:
        """Return the force of slopes, and the rows where they are at neither end."""
        inside: list[list[Index]] = [[] for _ in params]
        target, weight = self.objective.target, self.objective.weight

        def terms(place: slice, block: Block) -> tuple[Array]:
            half = halves(place, target[place] - block.predict_each(params))
            fit, row = np.nonzero(np.abs(half) < 0.5)
            parts = np.split(row, np.searchsorted(fit, np.arange(1, len(params))))
            for rows, part in zip(inside, parts, strict=True):
                rows.append(place.start + part)
            half *= weight[place]
            return (block.adjoint_each(half),)

        (force,) = self.rows.map_reduce(terms)
        return Pull(
            np.asarray(force) + self.middle, [np.concatenate(rows) for rows in inside]
        )


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
