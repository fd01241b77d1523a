"""Fits of one strength after the other, at a scale that goes along, by switching rows.

For a loss of parabolas and lines, with the gradient ``level u + offset`` at
``u = r / s``, the optimality condition times the scale s,

    sum_i w_i (level_i r_i + s offset_i) x_i - l2 b - s l1 sign(b) = 0,

is linear in params b and scale until a row crosses a breakpoint. Its solution at a
scale, and how it moves with that, come of one factor; the scale is where residuals
that move so have it, which few rows near their median tell [1]_. Gram matrix and sums
pass from one strength to the next, brought up to date by the rows that crossed. A step
on which none crosses is exact.

Cost of a step: two products of the design with a vector, a factor, and p^2 for each row
that crosses, with p params; two or three steps a strength.

References
----------
.. [1] Huber, P. J. (1981). Robust Statistics, section 7.8 (modified Newton). Wiley.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from robustreg.losses import Loss
from robustreg.rows import Array
from robustreg.solvers.many.mean_curvature import EVEN, Nearby
from robustreg.solvers.many.mean_models import Shared, Terms
from robustreg.solvers.many.newton import SCALE_RTOL
from robustreg.solvers.many.scale_moves import Measure, share_of
from robustreg.solvers.quadratics.quadratic import Pivoted, pivoted

# Steps after which a fit, and all after it, are left to others.
MOST_STEPS = 15
# What rounding leaves of a slope, as a share of the largest one of the loss.
LEFT_OF_SLOPES = 1e-12
# Rounding errors are those of the largest scale so far; beyond such a fall they go.
LARGEST_FALL = 0.5


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


def pieces_of(loss: Loss) -> Pieces:
    """Return the pieces of a loss that is made of parabolas and lines."""
    breakpoints = loss.facts.breakpoints or ()
    ends = np.array(breakpoints or (0.0,))
    within = np.concatenate([[ends[0] - 1], (ends[:-1] + ends[1:]) / 2, [ends[-1] + 1]])
    levels = loss.curvature(within)
    return Pieces(breakpoints, levels, loss.gradient(within) - levels * within)


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
        if not walk.fit(term.l1, term.l2):
            break
        at.params[i], at.scales[i] = walk.params, walk.scale
        found[i] = walk.is_even()
    return at, found


@final
class _Walk:
    """A fit that goes from strength to strength.

    ``params`` and ``scale`` are where it is, in units of y.
    """

    _offset: Array
    _force: Array
    _fresh: float

    def __init__(
        self, shared: Shared, loss: Loss, near: Nearby, measure: Measure | None
    ) -> None:
        self._shared, self._measure = shared, measure
        self.params, self.scale = near.params[0], float(near.scales[0])
        self._pieces, self._slope = pieces_of(loss), max(np.abs(loss.facts.slopes))
        self._residual = shared.target - shared.design @ self.params
        self._piece = self._pieces.of(self._residual, self.scale)
        self._curvature = shared.weight * self._pieces.levels[self._piece]
        self._gram = (shared.design.T * self._curvature) @ shared.design
        # Of what does not vary the params are 0.
        self._gram[np.diag_indices(self.params.size)] += ~shared.design.any(axis=0)
        self._refresh()

    def fit(self, l1: Array, l2: Array) -> bool:
        """Move to the fit of a penalty of the params over the scale, if that leads."""
        if self.scale < LARGEST_FALL * self._fresh:
            self._refresh()
        for _ in range(MOST_STEPS):
            model = self._model(l1, l2)
            if model is None:
                return False
            turn = model.solve(self._offset - l1 * model.sign)
            is_exact = self._move(model.solution - self.params, turn)
            if is_exact and self._is_optimal(l1, l2):
                return True
        return False

    def is_even(self) -> bool:
        """Return whether no column lies where the loss has hardly any curvature.

        There the optimum may not be unique, and which one it is others say.
        """
        least = EVEN * float(self._curvature.sum()) * self._shared.gram.diagonal()
        return bool((self._gram.diagonal() >= least).all())

    def _refresh(self) -> None:
        """Evaluate what steps bring up to date, and its rounding errors with it."""
        design, weight = self._shared.design, self._shared.weight
        self._residual = self._shared.target - design @ self.params
        self._offset = (weight * self._pieces.offsets[self._piece]) @ design
        inner = (self._curvature * self._residual) @ design
        self._force = inner + self.scale * self._offset
        self._fresh = self.scale

    def _model(self, l1: Array, l2: Array) -> Pivoted | None:
        """Return the fit of a penalty at this scale if no row crosses a breakpoint."""
        hessian = self._gram.copy()
        hessian[np.diag_indices(l2.size)] += l2
        linear = -self._force - self._gram @ self.params
        return pivoted(hessian, linear, self.scale * l1, self.params)

    def _move(self, step: Array, turn: Array) -> bool:
        """Make a step; return whether it is exact, but for signs.

        ``turn`` is by how much it is longer for each unit that the scale grows.
        """
        design, growth, left = self._shared.design, 0.0, 0.0
        self._residual -= design @ step
        if self._measure is not None:
            change = design @ turn
            change *= self.scale
            share, left = share_of(self._measure, self.scale, self._residual, change)
            change *= share
            self._residual -= change
            growth = share * self.scale
        step = step + growth * turn
        self.params, self.scale = self.params + step, self.scale + growth
        self._force += growth * self._offset - self._gram @ step
        crossed = self._cross()
        is_still = np.linalg.norm(step) <= SCALE_RTOL * self.scale
        return left <= SCALE_RTOL and bool(crossed == 0 or is_still)

    def _cross(self) -> int:
        """Take the rows that crossed a breakpoint to their pieces, return how many."""
        pieces, piece = self._pieces, self._pieces.of(self._residual, self.scale)
        rows = np.flatnonzero(piece != self._piece)
        if not rows.size:
            return 0
        before, after, few = self._piece[rows], piece[rows], self._shared.design[rows]
        weight = self._shared.weight[rows]
        level = weight * (pieces.levels[after] - pieces.levels[before])
        offset = weight * (pieces.offsets[after] - pieces.offsets[before])
        self._gram += (few.T * level) @ few
        turned = offset @ few
        self._offset += turned
        self._force += (level * self._residual[rows]) @ few + self.scale * turned
        self._curvature[rows] += level
        self._piece = piece
        return rows.size

    def _is_optimal(self, l1: Array, l2: Array) -> bool:
        """Return whether slopes are what the penalty has them, but for rounding."""
        slope, sign = self._force - l2 * self.params, np.sign(self.params)
        slope /= self.scale
        missed = np.abs(slope - l1 * sign) - l1 * (sign == 0)
        return bool((missed <= LEFT_OF_SLOPES * self._slope).all())
