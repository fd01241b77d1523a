"""Fits of one strength after the other, at a scale that goes along, by switching rows.

For a loss of parabolas and lines, with the gradient ``level u + offset`` at
``u = r / s``, the optimality condition times the scale s,

    sum_i w_i (level_i r_i + s offset_i) x_i - l2 b - s l1 sign(b) = 0,

is linear in params b and scale until a row crosses a breakpoint. Its solution at a
scale, and how it moves with that, come of one factor; the scale is where residuals
that move so have it, which few rows near their median tell [1]_. Gram matrix and sums
pass from one strength to the next, brought up to date by the rows that crossed. A step
on which none crosses is exact.

Cost of a step: a factor, p^2 for each row that crosses, with p params, and two products
of the design with a vector; after the first one for a strength, those of the few rows
that may cross. Two or three steps a strength.

References
----------
.. [1] Huber, P. J. (1981). Robust Statistics, section 7.8 (modified Newton). Wiley.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from robustreg.losses import Loss
from robustreg.rows import BLOCK_ENTRIES, Array, Index, stretches
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

# Where strengths are farther apart than this ratio others come between.
LONGEST_STRIDE = 0.8
# A step that moves the params by more scales, or mean residuals, leads astray.
FARTHEST = 10.0
# A direction in which the loss has less than this share of its mean curvature is flat.
LEAST_CURVED = 1e-6
# What rounding leaves of a slope, as a share of the largest one of the loss.
LEFT_OF_SLOPES = 1e-12
# Sums that are brought up to date have the rounding errors of the scale at which they
# were evaluated; they are evaluated again once it has fallen to this share.
LARGEST_FALL = 0.5


def fit_by_switching(
    shared: Shared, terms: list[Terms], near: Nearby, measure: Measure | None
) -> tuple[Nearby, NDArray[np.bool_]]:
    """Return where fits are, and which were found: no others after one that was not.

    Parameters
    ----------
    shared : Shared
        The rows.
    terms : list of Terms
        A fit each, from strong penalties to weak ones; their loss is the same, of
        parabolas and lines.
    near : Nearby
        Where the first one starts.
    measure : Measure or None
        How the scale of residuals is measured; None keeps it.
    """
    walk = _Walk(shared, terms[0].loss, near, measure)
    at = Nearby(np.zeros((len(terms), walk.params.size)), np.zeros(len(terms)))
    found = np.zeros(len(terms), dtype=bool)
    for i, term in enumerate(terms):
        if not all(walk.fit(*way) for way in _ways(shared, terms[max(i - 1, 0)], term)):
            break
        at.params[i], at.scales[i] = walk.params, walk.scale
        found[i] = walk.is_unique(term.l2)
    return at, found


def _ways(shared: Shared, last: Terms, term: Terms) -> list[tuple[Array, Array]]:
    """Return the strengths by which to go from one penalty to another, which is last.

    Where the Gram matrix is no guide, rows that are few for their columns leave some of
    these without curvature, and long steps lead astray.
    """
    ratio = (term.l1 + term.l2).sum() / ((last.l1 + last.l2).sum() or 1.0)
    if shared.factor is not None or not 0 < ratio < LONGEST_STRIDE:
        return [(term.l1, term.l2)]
    count = int(np.ceil(np.log(ratio) / np.log(LONGEST_STRIDE)))
    back = ratio ** (np.arange(1 - count, 1) / count)
    return [(term.l1 * each, term.l2 * each) for each in back]


def _pivots(matrix: Array, ridge: float) -> Array:
    """Return what is left of each column after those before, 0 without a factor."""
    matrix.flat[:: len(matrix) + 1] *= 1 + ridge
    factor, info = scipy.linalg.lapack.dpotrf(matrix, lower=1)
    return np.asarray(factor.diagonal() ** 2 if info == 0 else 0.0 * matrix[0])


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
class _Walk:
    """A fit that goes from strength to strength.

    ``params`` and ``scale`` are where it is, in units of y. ``_force`` is the sum over
    rows in the optimality condition there, and ``_offset`` that of its terms in the
    scale. ``_residual`` lacks the steps in ``_pending``.
    """

    _pending: Array
    _offset: Array
    _force: Array
    _fresh: float
    _slope: float

    def __init__(
        self, shared: Shared, loss: Loss, near: Nearby, measure: Measure | None
    ) -> None:
        self._shared, self._measure = shared, measure
        self.params, self.scale = near.params[0], float(near.scales[0])
        self._pieces = pieces_of(loss)
        self._residual = shared.target - shared.design @ self.params
        self._piece = self._pieces.of(self._residual, self.scale)
        self._curvature = shared.weight * self._pieces.levels[self._piece]
        self._gram = self._first_gram()
        self._band: Band | None = None
        self._norms = np.sqrt(np.einsum("ij,ij->i", shared.design, shared.design))
        self._refresh()

    def _first_gram(self) -> Array:
        """Return the Gram matrix of all rows but for what some lack of curvature."""
        shared, most = self._shared, float(self._pieces.levels.max())
        lack = most * shared.weight - self._curvature
        rows = np.flatnonzero(self._pieces.levels[self._piece] < most)
        few = shared.design[rows]
        return np.asarray(most * shared.gram - (few.T * lack[rows]) @ few)

    def fit(self, l1: Array, l2: Array) -> bool:
        """Move to the fit of a penalty of the params over the scale, if that leads."""
        self._band = None
        if self.scale < LARGEST_FALL * self._fresh:
            self._refresh()
        for number in range(MOST_STEPS):
            model = self._model(l1, l2)
            if model is None:
                return False
            turn = model.solve(self._offset - l1 * model.sign)
            step = model.solution - self.params
            look = self._look_near(step, turn) if number else None
            is_exact = self._move(step, turn, look or self._look_at_all(step, turn))
            if is_exact and self._is_optimal(l1, l2):
                return True
        return False

    def is_unique(self, l2: Array) -> bool:
        """Return whether the loss is curved in all directions that rows tell apart.

        Where it is not the optimum may not be unique, and which one it is others say.
        """
        used, shared = np.flatnonzero(self.params), self._shared
        some = np.ix_(used, used)
        own = _pivots(self._gram[some] + np.diag(l2[used]), shared.ridge)
        every = shared.gram.diagonal()[used]
        if shared.ridge:
            every = _pivots(shared.gram[some], shared.ridge)
        least = LEAST_CURVED * float(self._curvature.sum())
        return bool((own > 0).all() and (own >= least * every).all())

    def _refresh(self) -> None:
        """Evaluate what steps bring up to date, and its rounding errors with it."""
        design, weight = self._shared.design, self._shared.weight
        self._residual = self._shared.target - design @ self.params
        self._offset = (weight * self._pieces.offsets[self._piece]) @ design
        inner = (self._curvature * self._residual) @ design
        self._force = inner + self.scale * self._offset
        slopes = self._pieces.levels[self._piece] * self._residual / self.scale
        slopes += self._pieces.offsets[self._piece]
        self._slope = float(np.abs(slopes).max())
        self._fresh, self._pending = self.scale, np.zeros_like(self.params)

    def _model(self, l1: Array, l2: Array) -> Pivoted | None:
        """Return the fit of a penalty at this scale if no row crosses a breakpoint.

        Where few rows leave a direction without curvature, the mean curvature of the
        loss around the params holds it, until rows have crossed.
        """
        shared = self._shared
        found = self._held(l1, l2, shared.ridge * self._gram.diagonal())
        if shared.factor is not None or (found and not self._is_far(found.solution)):
            return found
        return self._held(l1, l2, float(self._curvature.sum()) * shared.gram.diagonal())

    def _is_far(self, params: Array) -> bool:
        """Return whether it is farther to params than residuals are from 0."""
        size = max(self.scale, float(self._shared.weight @ np.abs(self._residual)))
        return bool(np.linalg.norm(params - self.params) > FARTHEST * size)

    def _held(self, l1: Array, l2: Array, ridge: Array) -> Pivoted | None:
        """Return the fit if a ridge holds the params where they are."""
        hessian = self._gram.copy()
        hessian[np.diag_indices(l2.size)] += l2 + ridge
        linear = -self._force - self._gram @ self.params - ridge * self.params
        return pivoted(hessian, linear, self.scale * l1, self.params)

    def _look_at_all(self, step: Array, turn: Array) -> _Look:
        """Return what a step leads to, by all rows; bring their residuals there."""
        residual, share, left = self._residual, 0.0, 0.0
        change = self._moved(self._pending + step, turn)
        self._pending, self._band = np.zeros_like(step), None
        if self._measure is not None:
            share, left = share_of(self._measure, self.scale, residual, change)
            change *= share
            residual -= change
        growth = share * self.scale
        piece = self._pieces.of(residual, self.scale + growth)
        rows = np.flatnonzero(piece != self._piece)
        if self._measure is not None and not rows.size:
            # Rows far from the median may have come near unseen.
            ratio = self._measure.of(residual) / (self.scale + growth)
            left = abs(float(np.log(ratio))) if ratio > 0 else np.inf
        return _Look(growth, left, rows, residual[rows])

    def _moved(self, step: Array, turn: Array) -> Array:
        """Move all residuals; return by how much they fall while the scale doubles."""
        design, residual = self._shared.design, self._residual
        change = np.empty_like(residual)
        turn = self.scale * turn
        # Both products of a block of rows are made while it is in cache.
        for place in stretches(residual.size, BLOCK_ENTRIES // step.size + 1):
            residual[place] -= design[place] @ step
            if self._measure is not None:
                np.matmul(design[place], turn, out=change[place])
        return change

    def _look_near(self, step: Array, turn: Array) -> _Look | None:
        """Return what a short step leads to, by the rows that may cross.

        None if they are many, or if it leads farther than was thought.
        """
        if self._band is None:
            self._band = self._near(float(np.linalg.norm(step)), turn)
        band, share, left = self._band, 0.0, 0.0
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
            self._pieces.of(residual, scale) != self._piece[band.index]
        )
        return _Look(growth, left, band.index[inside], residual[inside])

    def _near(self, length: float, turn: Array) -> Band | None:
        """Return the rows that a few steps of a length may take across an end.

        None if they are many, or all are few.
        """
        residual, scale, few = self._residual, self.scale, None
        if self._pending.any():
            return None
        rise = STEPS_AHEAD * length
        reach = rise * (1 + float(np.linalg.norm(turn)))
        ends = self._pieces.ends + (self._measure.ends if self._measure else ())
        # The holders of a median are there, too.
        room = rise * float(np.abs(ends).max()) + BOTH_HOLDERS / residual.size * scale
        index = near_ends(residual, scale * np.array(ends), self._norms, reach, room)
        if index is None:
            return None
        if self._measure is not None:
            few = self._measure.beside(residual, index)
            if few is None:
                return None
        design = self._shared.design[index]
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
        weight, few = self._shared.weight[rows], self._shared.design[rows]
        piece, *gained = self._pieces.crossed(self._piece[rows], residual, self.scale)
        level, offset = (weight * gain for gain in gained)
        self._gram += (few.T * level) @ few
        turned = offset @ few
        self._offset += turned
        self._force += (level * residual) @ few + self.scale * turned
        self._curvature[rows] += level
        self._piece[rows] = piece

    def _is_optimal(self, l1: Array, l2: Array) -> bool:
        """Return whether slopes are what the penalty has them, but for rounding."""
        slope, sign = self._force - l2 * self.params, np.sign(self.params)
        slope /= self.scale
        missed = np.abs(slope - l1 * sign) - l1 * (sign == 0)
        return bool((missed <= LEFT_OF_SLOPES * self._slope).all())
