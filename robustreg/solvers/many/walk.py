"""A fit that moves to that of one penalty after the other, by the rows that cross."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from robustreg.linalg import FAINT
from robustreg.losses import Loss
from robustreg.rows import BLOCK_ENTRIES, Array, Index, stretches
from robustreg.rows.base import TIE
from robustreg.solvers.many.mean_curvature import Nearby
from robustreg.solvers.many.mean_models import Shared, Terms
from robustreg.solvers.many.newton import SCALE_RTOL
from robustreg.solvers.many.pieces import (
    MOST_STEPS,
    STEPS_AHEAD,
    Band,
    near_ends,
    pieces_of,
)
from robustreg.solvers.many.scale_moves import BOTH_HOLDERS, Measure, share_of
from robustreg.solvers.quadratics.quadratic import Pivoted, pivoted

# A step that moves the params by more scales, or mean residuals, leads astray.
FARTHEST = 10.0
# Sums that are brought up to date have the rounding errors of the scale at which they
# were evaluated; they are evaluated again once it has fallen to this share.
LARGEST_FALL = 0.5


def _pivots(matrix: Array, ridge: float) -> Array:
    """Return what is left of each column after those before, 0 without a factor."""
    matrix.flat[:: len(matrix) + 1] *= 1 + ridge
    factor, info = scipy.linalg.lapack.dpotrf(matrix, lower=1)
    return np.asarray(factor.diagonal() ** 2 if info == 0 else 0.0 * matrix[0])


@final
@dataclass(frozen=True)
class Reached:
    """The fit of a penalty.

    Parameters
    ----------
    params : ndarray of shape (n_params,)
        Where it is.
    scale : float
        Its scale.
    piece : ndarray of shape (n_rows,)
        The pieces that residuals were taken to be on.
    is_unique : bool
        Whether the loss is curved in all directions that rows tell apart.
    """

    params: Array
    scale: float
    piece: NDArray[np.int8]
    is_unique: bool


@final
@dataclass(frozen=True)
class _Look:
    """What a step leads to.

    Parameters
    ----------
    growth, left : float
        By how much the scale grows there, and by how much its logarithm is still off.
    rows, residual : ndarray of shape (n_crossing,)
        The rows that cross a breakpoint, and their residuals.
    """

    growth: float
    left: float
    rows: Index
    residual: Array


@final
class Walk:
    """A fit that goes from strength to strength.

    ``params`` and ``scale`` are where it is, in units of y, and ``band`` the rows that
    may cross a breakpoint near there. ``_force`` is the sum over
    rows in the optimality condition there, and ``_offset`` that of its terms in the
    scale. ``residual`` lacks the steps in ``_pending``.
    """

    _pending: Array
    _offset: Array
    _force: Array
    _fresh: float
    _slope: float

    def __init__(
        self, shared: Shared, loss: Loss, near: Nearby, measure: Measure | None
    ) -> None:
        self.shared, self.measure = shared, measure
        self.params, self.scale = near.params[0], float(near.scales[0])
        self.pieces = pieces_of(loss)
        self.residual = shared.target - shared.design @ self.params
        self.piece = self.pieces.of(self.residual, self.scale)
        self._curvature = shared.weight * self.pieces.levels[self.piece]
        self._gram = self._first_gram()
        self.band: Band | None = None
        self._norms = np.sqrt(np.einsum("ij,ij->i", shared.design, shared.design))
        self._refresh()

    def _first_gram(self) -> Array:
        """Return the Gram matrix of all rows but for what some lack of curvature."""
        shared, most = self.shared, float(self.pieces.levels.max())
        lack = most * shared.weight - self._curvature
        rows = np.flatnonzero(self.pieces.levels[self.piece] < most)
        few = shared.design[rows]
        return np.asarray(most * shared.gram - (few.T * lack[rows]) @ few)

    def fit(self, term: Terms) -> Reached | None:
        """Move to the fit of a penalty of the params over the scale, if that leads."""
        if self.scale < LARGEST_FALL * self._fresh:
            self._refresh()
            self.band = None
        for number in range(MOST_STEPS):
            way = self.direction(term)
            if way is None:
                return None
            near = number > 0 or self.band is not None
            look = self._look_near(*way) if near else None
            is_exact = self._move(*way, look or self._look_at_all(*way))
            if is_exact and self._is_optimal(term.l1, term.l2):
                place = self.params.copy(), self.scale, self.piece.copy()
                return Reached(*place, self._is_unique(term.l2))
        return None

    def direction(self, term: Terms) -> tuple[Array, Array] | None:
        """Return the step to a fit if no row crosses, and how it turns with the scale.

        The second for each unit by which the scale grows.
        """
        model = self._model(term.l1, term.l2)
        if model is None:
            return None
        turn = model.solve(self._offset - term.l1 * model.sign)
        return model.solution - self.params, turn

    def _is_unique(self, l2: Array) -> bool:
        """Return whether the loss is curved in all directions that rows tell apart.

        Where it is not the optimum may not be unique, and which one it is others say.
        """
        used, shared = np.flatnonzero(self.params), self.shared
        some = np.ix_(used, used)
        own = _pivots(self._gram[some] + np.diag(l2[used]), shared.ridge)
        every = shared.gram.diagonal()[used]
        if shared.ridge:
            every = _pivots(shared.gram[some], shared.ridge)
        least = FAINT * float(self._curvature.sum())
        return bool((own > 0).all() and (own >= least * every).all())

    def settle(self, residual: Array | None = None) -> None:
        """Bring all residuals to where the params are, and rows to their pieces."""
        if residual is None and not self._pending.any():
            return
        if residual is None:
            residual = self.residual - self.shared.design @ self._pending
        self.residual, self._pending = residual, np.zeros_like(self.params)
        rows = np.flatnonzero(self.pieces.of(residual, self.scale) != self.piece)
        self._cross(rows, residual[rows])

    def _refresh(self) -> None:
        """Evaluate what steps bring up to date, and its rounding errors with it."""
        design, weight = self.shared.design, self.shared.weight
        self.residual = self.shared.target - design @ self.params
        self._offset = (weight * self.pieces.offsets[self.piece]) @ design
        inner = (self._curvature * self.residual) @ design
        self._force = inner + self.scale * self._offset
        slopes = self.pieces.levels[self.piece] * self.residual / self.scale
        slopes += self.pieces.offsets[self.piece]
        self._slope = float(np.abs(slopes).max())
        self._fresh, self._pending = self.scale, np.zeros_like(self.params)

    def _model(self, l1: Array, l2: Array) -> Pivoted | None:
        """Return the fit of a penalty at this scale if no row crosses a breakpoint.

        Where few rows leave a direction without curvature, the mean curvature of the
        loss around the params holds it, until rows have crossed.
        """
        shared = self.shared
        found = self._held(l1, l2, shared.ridge * self._gram.diagonal())
        if shared.factor is not None or (found and not self._is_far(found.solution)):
            return found
        return self._held(l1, l2, float(self._curvature.sum()) * shared.gram.diagonal())

    def _is_far(self, params: Array) -> bool:
        """Return whether it is farther to params than residuals are from 0."""
        size = max(self.scale, float(self.shared.weight @ np.abs(self.residual)))
        return bool(np.linalg.norm(params - self.params) > FARTHEST * size)

    def _held(self, l1: Array, l2: Array, ridge: Array) -> Pivoted | None:
        """Return the fit if a ridge holds the params where they are."""
        hessian = self._gram.copy()
        hessian[np.diag_indices(l2.size)] += l2 + ridge
        linear = -self._force - self._gram @ self.params - ridge * self.params
        return pivoted(hessian, linear, self.scale * l1, self.params)

    def _look_at_all(self, step: Array, turn: Array) -> _Look:
        """Return what a step leads to, by all rows; bring their residuals there."""
        residual, share, left = self.residual, 0.0, 0.0
        change = self.moved(residual, self._pending + step, turn)
        self._pending, self.band = np.zeros_like(step), None
        if self.measure is not None:
            share, left = share_of(self.measure, self.scale, residual, change)
            change *= share
            residual -= change
        growth = share * self.scale
        piece = self.pieces.of(residual, self.scale + growth)
        rows = np.flatnonzero(piece != self.piece)
        if self.measure is not None and not rows.size:
            # Rows far from the median may have come near unseen.
            ratio = self.measure.of(residual) / (self.scale + growth)
            left = abs(float(np.log(ratio))) if ratio > 0 else np.inf
        return _Look(growth, left, rows, residual[rows])

    def moved(self, residual: Array, step: Array, turn: Array) -> Array:
        """Move all residuals; return by how much they fall while the scale doubles."""
        design = self.shared.design
        change = np.empty_like(residual)
        turn = self.scale * turn
        # Both products of a block of rows are made while it is in cache.
        for place in stretches(residual.size, BLOCK_ENTRIES // step.size + 1):
            residual[place] -= design[place] @ step
            if self.measure is not None:
                np.matmul(design[place], turn, out=change[place])
        return change

    def _look_near(self, step: Array, turn: Array) -> _Look | None:
        """Return what a short step leads to, by the rows that may cross.

        None if they are many, or if it leads farther than was thought.
        """
        if self.band is None:
            self.band = self._near(float(np.linalg.norm(step)), turn)
        band, share, left = self.band, 0.0, 0.0
        if band is None:
            return None
        residual = band.residual - band.design @ (self._pending + step)
        if band.measure is not None:
            change = band.design @ turn
            change *= self.scale
            share, left = share_of(band.measure, self.scale, residual, change)
            residual -= share * change
        growth = share * self.scale
        pending, scale = self._pending + step + growth * turn, self.scale + growth
        far = np.linalg.norm(pending) > band.reach
        if far or abs(scale - band.scale) > band.rise or left == np.inf:
            return None
        self._pending = pending
        inside = np.flatnonzero(
            self.pieces.of(residual, scale) != self.piece[band.index]
        )
        return _Look(growth, left, band.index[inside], residual[inside])

    def _near(self, length: float, turn: Array) -> Band | None:
        """Return the rows that a few steps of a length may take across an end.

        None if they are many, or all are few.
        """
        residual, scale, few = self.residual, self.scale, None
        if self._pending.any():
            return None
        rise = STEPS_AHEAD * length
        reach = rise * (1 + float(np.linalg.norm(turn)))
        ends = self.pieces.ends + (self.measure.ends if self.measure else ())
        # The holders of a median are there, too.
        room = rise * float(np.abs(ends).max()) + BOTH_HOLDERS / residual.size * scale
        index = near_ends(residual, scale * np.array(ends), self._norms, reach, room)
        if index is None:
            return None
        if self.measure is not None:
            few = self.measure.beside(residual, index)
            if few is None:
                return None
        design = self.shared.design[index]
        return Band(index, design, residual[index], reach, rise, scale, few)

    def _move(self, step: Array, turn: Array, look: _Look) -> bool:
        """Make a step; return whether it is exact, but for signs."""
        step = step + look.growth * turn
        self.params, self.scale = self.params + step, self.scale + look.growth
        self._force += look.growth * self._offset - self._gram @ step
        self._cross(look.rows, look.residual)
        is_still = np.linalg.norm(step) <= SCALE_RTOL * self.scale
        return look.left <= SCALE_RTOL and bool(look.rows.size == 0 or is_still)

    def _cross(self, rows: Index, residual: Array) -> None:
        """Take rows that crossed a breakpoint to the pieces of their residuals."""
        if not rows.size:
            return
        weight, few = self.shared.weight[rows], self.shared.design[rows]
        piece, *gained = self.pieces.crossed(self.piece[rows], residual, self.scale)
        level, offset = (weight * gain for gain in gained)
        self._gram += (few.T * level) @ few
        turned = offset @ few
        self._offset += turned
        self._force += (level * residual) @ few + self.scale * turned
        self._curvature[rows] += level
        self.piece[rows] = piece

    def _is_optimal(self, l1: Array, l2: Array) -> bool:
        """Return whether slopes are what the penalty has them, but for rounding."""
        slope, sign = self._force - l2 * self.params, np.sign(self.params)
        slope /= self.scale
        missed = np.abs(slope - l1 * sign) - l1 * (sign == 0)
        return bool((missed <= TIE * self._slope).all())
