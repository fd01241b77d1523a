"""Newton's method for a sequence of penalties, touching only rows that switch.

A loss of parabolas and lines has a Hessian that changes only with the rows that cross
a breakpoint [1]_. Residuals, gradient and Gram matrix pass from one penalty to the
next and are updated with those rows alone, and the model, a quadratic plus the l1 part,
is solved on a working set of columns [2]_.

Cost of a step: n k for k columns in the working set, and p k for each row that
switches. The step that no row switches on is exact, and its gradient certifies it.

References
----------
.. [1] Madsen, K., Nielsen, H. B. (1990). Finite algorithms for robust linear
   regression. BIT 30, 682-699.
.. [2] Tibshirani, R. et al. (2012). Strong rules for discarding predictors in
   lasso-type problems. Journal of the Royal Statistical Society B 74, 245-266.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from robustreg.linalg import EPS, ROUNDINGS
from robustreg.objective import Objective, Point
from robustreg.penalties import ElasticNet
from robustreg.rows import Array, Index, Rows
from robustreg.solvers.kinked.interior_point.working import LIKELY
from robustreg.solvers.many.pieces import (
    MOST_STEPS,
    STEPS_AHEAD,
    Band,
    near_ends,
    pieces_of,
)
from robustreg.solvers.quadratics.quadratic import block_pivoting

# Of no more params than this the gradient is kept up to date, at p k for each row that
# switches; of more only that of the working set, and the others' takes a pass.
MOST_WATCHED = 1000
# A step of no more than this share of the last one over all rows may look at the rows
# near a breakpoint alone.
SHORT = 0.2
# Steps without a switch that may reduce what rounding left.
PATIENCE = 5
# Where rows still switched, a fit is good if its gap is this share of what is allowed.
FAR_BELOW = 1e-3


@final
class SwitchingFit:
    """The optimum for one penalty after the other, and what they share.

    Parameters
    ----------
    objective : Objective
        Its loss is made of parabolas and lines; it has no penalty.
    point : Point
        Where to start.
    features : ndarray of shape (n_features,)
        The first columns of the working set.

    Attributes
    ----------
    params, gradient : ndarray of shape (n_params,)
        The last fit and the gradient of the losses there.
    working : ndarray of shape (n_working,)
        The params that may move, the intercept last.
    switches, steps : int
        Rows that have switched so far and steps that have been made.
    """

    working: Index
    _narrow: Rows
    _pending: Array
    _band: Band | None
    _norms: Array | None
    _longest: float

    def __init__(self, objective: Objective, point: Point, features: Index) -> None:
        self.params, self.gradient = point.params.copy(), point.gradient.copy()
        self.switches, self.steps = 0, 0
        self._objective = objective
        self._pieces = pieces_of(objective.loss)
        self._residual = point.residual
        self._piece = self._pieces.of(point.residual)
        self._watches_all = objective.n_params <= MOST_WATCHED
        self._use_columns(np.append(features, objective.n_params - 1))
        self._gram = self._cross(np.arange(self.working.size))

    def step(self, l1: Array, l2: Array) -> int | None:
        """Make a Newton step; return how many rows switched, None if it has no one.

        A model has no one minimum where too few rows have curvature.

        Parameters
        ----------
        l1, l2 : ndarray of shape (n_params,)
            The penalty's kinks and curvature.
        """
        self.steps += 1
        start = self.params[self.working]
        l1, l2 = l1[self.working], l2[self.working]
        hessian = self._gram[self._places(np.arange(start.size))]
        hessian[np.diag_indices(start.size)] += l2
        linear = self.gradient[self.working] + l2 * start - hessian @ start
        goal = block_pivoting(hessian, linear, l1, start)
        if goal is None:
            return None
        direction = goal - start
        rows, residual = self._move(direction)
        self.params[self.working] = goal
        self._update(rows, residual, direction)
        return rows.size

    def enter(self, new: Index) -> None:
        """Let more params move."""
        self._settle()
        old = self.working.size
        self._use_columns(np.concatenate([self.working[:-1], new, self.working[-1:]]))
        kept = np.append(np.arange(old - 1), self.working.size - 1)
        added = np.arange(old - 1, self.working.size - 1)
        block = self._cross(added)
        gram = np.empty((block.shape[0], self.working.size))
        rows = np.arange(block.shape[0]) if self._watches_all else kept
        gram[np.ix_(rows, kept)] = self._gram
        gram[:, added] = block
        if not self._watches_all:
            gram[added] = block.T
        self._gram = gram

    def refresh(self) -> None:
        """Evaluate the gradient of the params outside the working set, too."""
        if not self._watches_all:
            loss = self._objective.loss
            self.gradient = -self._objective.adjoint(loss.gradient(self.residual()))

    def residual(self) -> Array:
        """Return the residuals of the last fit."""
        self._settle()
        return self._residual

    def _move(self, direction: Array) -> tuple[Index, Array]:
        """Return the rows that switch on a step, and their residuals after it."""
        total = self._pending + direction
        reach = float(np.linalg.norm(total))
        if self._band is None and reach <= SHORT * self._longest:
            self._band = self._near(STEPS_AHEAD * reach)
        band = self._band
        if band is not None and reach <= band.reach:
            self._pending = total
            residual = band.residual - band.design @ total
            inside = np.flatnonzero(
                self._pieces.of(residual) != self._piece[band.index]
            )
            return band.index[inside], residual[inside]
        change = self._narrow.predict(total)
        self._residual = np.subtract(self._residual, change, out=change)
        self._pending, self._band = np.zeros_like(total), None
        self._longest = reach
        rows = np.flatnonzero(self._pieces.of(self._residual) != self._piece)
        return rows, self._residual[rows]

    def _update(self, rows: Index, residual: Array, direction: Array) -> None:
        """Bring gradient and Gram matrix up to date after a step."""
        moved = self._gram @ direction
        if rows.size:
            before, weight = self._piece[rows], self._objective.weight[rows]
            after, level, offset = self._pieces.crossed(before, residual)
            change, missed = self._watched().cross(
                rows,
                weight * level,
                self._places(np.arange(direction.size)),
                weight * (level * residual + offset),
            )
            moved -= missed
            self._gram += change
            self._piece[rows] = after
            self.switches += rows.size
        if self._watches_all:
            self.gradient += moved
        else:
            self.gradient[self.working] += moved

    def _near(self, reach: float) -> Band | None:
        """Return the rows that may switch within a reach, None if they are many."""
        if self._norms is None:
            self._norms = self._narrow.norms()
        index = near_ends(self._residual, self._pieces.ends, self._norms, reach)
        if index is None:
            return None
        return Band(index, self._narrow.dense(index), self._residual[index], reach)

    def _settle(self) -> None:
        """Bring all residuals up to date."""
        if self._pending.any():
            self._residual = self._residual - self._narrow.predict(self._pending)
        self._pending, self._band = np.zeros(self.working.size), None

    def _use_columns(self, working: Index) -> None:
        """Set the working columns, where all residuals are up to date."""
        self.working = working
        self._narrow = self._objective.rows.columns(working)
        self._pending = np.zeros(working.size)
        self._band = None
        self._norms = None
        self._longest = 0.0

    def _watched(self) -> Rows:
        """Return the rows whose gradient is kept: all columns or the working set."""
        return self._objective.rows if self._watches_all else self._narrow

    def _places(self, index: Index) -> Index:
        """Return where some of the working set are among the watched columns."""
        return self.working[index] if self._watches_all else index

    def _cross(self, index: Index) -> Array:
        """Return columns of the Gram matrix, of some of the working set."""
        curvature = self._objective.weight * self._pieces.levels[self._piece]
        rows = np.flatnonzero(curvature)
        c, none = curvature[rows], np.zeros(rows.size)
        return self._watched().cross(rows, c, self._places(index), none)[0]


@dataclass(frozen=True)
class Goal:
    """When a fit is done.

    Parameters
    ----------
    allowed : float
        The gap to reach.
    typical : float
        A typical residual, the price of a param's slope.
    rounding : float
        What rounding leaves of a slope; no gap is known where more is left.
    """

    allowed: float
    typical: float
    rounding: float


def fit_next(shared: SwitchingFit, penalty: ElasticNet, goal: Goal) -> float | None:
    """Move to the optimum for one more penalty; return its gap, None if it is not met.

    Parameters
    ----------
    shared : SwitchingFit
        At the optimum for another penalty, better a stronger one.
    penalty : ElasticNet
        The penalty.
    goal : Goal
        When it is done.
    """
    l1 = np.append(penalty.l1, 0.0)
    l2 = np.append(penalty.l2, 0.0)
    _enter_near(shared, LIKELY * l1)
    patience = PATIENCE
    for _ in range(MOST_STEPS):
        switched = shared.step(l1, l2)
        if switched is None or patience == 0:
            return None
        gap = _gap(shared, l1, l2, goal, shared.working)
        if switched and gap > FAR_BELOW * goal.allowed:
            continue
        # A step without a switch is exact but for rounding, which another one reduces.
        patience -= switched == 0
        shared.refresh()
        if _enter_near(shared, l1):
            continue
        gap = _gap(shared, l1, l2, goal, np.arange(l1.size))
        if gap <= goal.allowed:
            return gap
    return None


def _enter_near(shared: SwitchingFit, limit: Array) -> int:
    """Let params enter the working set whose slope exceeds a limit."""
    near = np.abs(shared.gradient) > limit * (1 + ROUNDINGS * EPS)
    near[shared.working] = False
    new = np.flatnonzero(near)
    if new.size:
        shared.enter(new)
    return new.size


def _gap(shared: SwitchingFit, l1: Array, l2: Array, goal: Goal, index: Index) -> float:
    """Return the Fenchel gap of the fit with its own slopes, which is the penalty's.

    What rounding leaves of a slope that the penalty does not allow counts over the
    typical residual.
    """
    params, adjoint = shared.params[index], -shared.gradient[index]
    l1, l2 = l1[index], l2[index]
    excess = np.maximum(np.abs(adjoint) - l1, 0.0)
    if np.any((l2 == 0) & (excess > goal.rounding)):
        return np.inf
    pairing = l1 * np.abs(params) - np.clip(adjoint, -l1, l1) * params
    best = np.sign(adjoint) * excess / np.where(l2 > 0, l2, 1.0)
    curved = 0.5 * l2 * (params - best) ** 2
    return float((pairing + np.where(l2 > 0, curved, goal.typical * excess)).sum())
