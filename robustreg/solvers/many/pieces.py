"""The parabolas and lines of a loss, and the rows that short steps take across ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from robustreg.losses import Loss
from robustreg.rows import BLOCK_ENTRIES, Array, Index, stretches
from robustreg.solvers.many.scale_moves import Measure

# Steps after which a fit is left to others.
MOST_STEPS = 15
# After a long step the rows near an end will do, those that steps of half as much again
# can make cross; of fewer rows, or if more than this share is near, to look at all is
# as cheap.
STEPS_AHEAD, FEWEST_ROWS, LARGEST_BAND = 1.5, 4_000, 0.125
# Rows at a time whose few values stay in cache together.
ROWS_IN_CACHE = BLOCK_ENTRIES // 8


@final
@dataclass(frozen=True)
class Pieces:
    """The parabolas and lines of a loss, from low residuals to high ones.

    Parameters
    ----------
    ends : tuple of float
        Its breakpoints.
    levels, offsets : ndarray of shape (n_pieces,)
        The gradient on a piece is ``level r + offset``.
    """

    ends: tuple[float, ...]
    levels: Array
    offsets: Array

    def of(self, residual: Array, scale: float = 1.0) -> NDArray[np.int8]:
        """Return the number of the piece that each residual over a scale is on."""
        piece = np.zeros(residual.shape, np.int8)
        for end in self.ends:
            piece += residual > end * scale
        return piece

    def crossed(
        self, before: NDArray[np.int8], residual: Array, scale: float = 1.0
    ) -> tuple[NDArray[np.int8], Array, Array]:
        """Return the pieces of residuals, and what level and offset gained there."""
        after = self.of(residual, scale)
        level = self.levels[after] - self.levels[before]
        return after, level, self.offsets[after] - self.offsets[before]


def pieces_of(loss: Loss) -> Pieces:
    """Return the pieces of a loss that is made of parabolas and lines."""
    breakpoints = loss.facts.breakpoints or ()
    ends = np.array(breakpoints or (0.0,))
    within = np.concatenate([[ends[0] - 1], (ends[:-1] + ends[1:]) / 2, [ends[-1] + 1]])
    levels = loss.curvature(within)
    return Pieces(breakpoints, levels, loss.gradient(within) - levels * within)


@final
@dataclass(frozen=True)
class Band:
    """The rows that a few short steps may take across an end; others keep their side.

    Parameters
    ----------
    index : ndarray of shape (n_near,)
        Which rows.
    design, residual : ndarray
        Their design, and their residuals where the band was made.
    reach, rise : float
        How far params, in Euclidean norm, and the scale may go from where they were
        then.
    scale : float
        The scale where the band was made.
    measure : Measure or None
        Tells of their residuals the scale of all, if that moves.
    """

    index: Index
    design: Array
    residual: Array
    reach: float
    rise: float = np.inf
    scale: float = 1.0
    measure: Measure | None = None


def near_ends(
    residual: Array, ends: Iterable[float], norms: Array, reach: float, room: float = 0
) -> Index | None:
    """Return the rows that params may take across an end of a piece.

    None if they are many, or all are few. No residual changes by more than its row's
    norm times the change of the params.

    Parameters
    ----------
    residual : ndarray of shape (n_rows,)
        Where they are now.
    ends : iterable of float
        In units of residuals.
    norms : ndarray of shape (n_rows,)
        Euclidean norms of the design's rows.
    reach : float
        How far params may go.
    room : float
        How far the ends may.
    """
    if residual.size < FEWEST_ROWS:
        return None
    near = np.zeros(residual.size, dtype=bool)
    for place in stretches(residual.size, ROWS_IN_CACHE):
        width = reach * norms[place] + room
        for end in ends:
            near[place] |= np.abs(residual[place] - end) <= width
    index = np.flatnonzero(near)
    return index if index.size <= LARGEST_BAND * residual.size else None


def near_ways(here: Array, there: Array, ends: Iterable[float], room: float) -> Index:
    """Return the rows with an end of a piece on their way, or nearly so.

    Parameters
    ----------
    here, there : ndarray of shape (n_rows,)
        Where residuals are, and where they are likely to go.
    ends : iterable of float
        In their units.
    room : float
        How far from their way an end may be.
    """
    near = np.zeros(here.size, dtype=bool)
    for place in stretches(here.size, ROWS_IN_CACHE):
        low = np.minimum(here[place], there[place]) - room
        high = np.maximum(here[place], there[place]) + room
        for end in ends:
            near[place] |= (low <= end) & (end <= high)
    return np.flatnonzero(near)
