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

from typing import final

import numpy as np

from robustreg.linalg import EPS
from robustreg.objective import Objective, Point
from robustreg.penalties import Penalty
from robustreg.rows import Array, Index, Rows
from robustreg.solvers.quadratic import minimize_l1_quadratic

# Up to so many params the gradient of all is kept up to date; beyond, that of the
# working set, and the others' takes a pass.
MOST_WATCHED = 1000
MOST_STEPS = 40
# A step has gone too far once the slope along it is this share of the first, upwards.
STEEP = 0.5
# A param enters the working set where its slope reaches this share of its l1 part.
NEAR = 0.9


@final
class SwitchingFit:
    """The optimum for one penalty after the other, and what they share.

    Parameters
    ----------
    objective : Objective
        Its loss is made of parabolas and lines; its penalty is of no account.
    point : Point
        Where to start, evaluated without a penalty.

    Attributes
    ----------
    params : ndarray of shape (n_params,)
        The last fit.
    residual : ndarray of shape (n_rows,)
        Its residuals.
    working : ndarray of shape (n_working,)
        The params that may move, the intercept last.
    switches, steps : int
        Rows that have switched so far and steps that have been made.
    """

    def __init__(self, objective: Objective, point: Point) -> None:
        self.params, self.residual = point.params.copy(), point.residual
        self.gradient = point.gradient.copy()
        self.switches, self.steps = 0, 0
        self._objective = objective
        self._levels = _piece_curvatures(objective)
        self._piece = self._pieces(self.residual)
        self._watches_all = objective.n_params <= MOST_WATCHED
        intercept = objective.n_params - 1
        features = np.flatnonzero(self.params[:-1])
        self.working = np.append(features, intercept)
        self._narrow = objective.rows.columns(self.working)
        self._gram = self._watched().cross(
            self._curvature(), self._places(np.arange(self.working.size))
        )

    def _watched(self) -> Rows:
        """Return the rows whose gradient is kept: all columns or the working set."""
        return self._objective.rows if self._watches_all else self._narrow

    def _places(self, index: Index) -> Index:
        """Return where some of the working set are among the watched columns."""
        return self.working[index] if self._watches_all else index

    def _pieces(self, residual: Array) -> Array:
        """Return the number of the piece of the loss that each residual is on."""
        piece = np.zeros(residual.shape, np.int8)
        for end in self._objective.loss.facts.breakpoints or ():
            piece += residual > end
        return piece

    def _curvature(self) -> Array:
        """Return each row's curvature times its weight."""
        return np.asarray(self._objective.weight * self._levels[self._piece])

    def enter(self, new: Index) -> None:
        """Let more params move."""
        old = self.working.size
        self.working = np.concatenate([self.working[:-1], new, self.working[-1:]])
        self._narrow = self._objective.rows.columns(self.working)
        kept = np.append(np.arange(old - 1), self.working.size - 1)
        added = np.arange(old - 1, self.working.size - 1)
        block = self._watched().cross(self._curvature(), self._places(added))
        gram = np.empty((block.shape[0], self.working.size))
        rows = np.arange(block.shape[0]) if self._watches_all else kept
        gram[np.ix_(rows, kept)] = self._gram
        gram[:, added] = block
        if not self._watches_all:
            gram[added] = block.T
        self._gram = gram

    def step(self, l1: Array, l2: Array) -> int:
        """Make a Newton step; return how many rows switched.

        Parameters
        ----------
        l1, l2 : ndarray of shape (n_params,)
            The penalty's kinks and curvature.
        """
        self.steps += 1
        start = self.params[self.working]
        slope = self.gradient[self.working]
        l1, l2 = l1[self.working], l2[self.working]
        hessian = self._gram[self._places(np.arange(self.working.size))]
        hessian[np.diag_indices(start.size)] += l2
        linear = slope + l2 * start - hessian @ start
        direction = minimize_l1_quadratic(hessian, linear, l1, start) - start
        change = self._narrow.predict(direction)
        residual = self.residual - change
        piece = self._pieces(residual)
        return self._commit(start + direction, direction, residual, piece)

    def _commit(
        self, params: Array, direction: Array, residual: Array, piece: Array
    ) -> int:
        """Move, and bring gradient and Gram matrix up to date by the switched rows."""
        rows = np.flatnonzero(piece != self._piece)
        moved = self._gram @ direction
        if rows.size:
            loss, weight = self._objective.loss, self._objective.weight[rows]
            before, after = self._levels[self._piece[rows]], self._levels[piece[rows]]
            slopes = loss.gradient(self.residual[rows])
            slopes -= before * (self.residual[rows] - residual[rows])
            missed = loss.gradient(residual[rows]) - slopes
            few = self._watched().take(rows)
            moved -= few.adjoint(weight * missed)
            everything = self._places(np.arange(self.working.size))
            self._gram += few.cross(weight * (after - before), everything)
        if self._watches_all:
            self.gradient += moved
        else:
            self.gradient[self.working] += moved
        self.params[self.working] = params
        self.residual, self._piece = residual, piece
        self.switches += rows.size
        return rows.size

    def refresh(self) -> None:
        """Evaluate the gradient of the params outside the working set, too."""
        if not self._watches_all:
            loss = self._objective.loss
            self.gradient = -self._objective.adjoint(loss.gradient(self.residual))


def _piece_curvatures(objective: Objective) -> Array:
    """Return the curvature of each piece of the loss, from a residual within it."""
    ends = np.array(objective.loss.facts.breakpoints or ())
    if not ends.size:
        return np.asarray(objective.loss.curvature(np.zeros(1)))
    within = np.concatenate([[ends[0] - 1], (ends[:-1] + ends[1:]) / 2, [ends[-1] + 1]])
    return np.asarray(objective.loss.curvature(within))


def fit_next(
    shared: SwitchingFit, penalty: Penalty, allowed: float, typical: float
) -> float | None:
    """Move to the optimum for one more penalty; return its gap, None if it is not met.

    Parameters
    ----------
    shared : SwitchingFit
        At the optimum for another penalty, better a stronger one.
    penalty : Penalty
        The penalty.
    allowed, typical : float
        The gap to reach, and a typical residual, the price of a param's slope.
    """
    l1 = np.append(penalty.l1, 0.0)
    l2 = np.append(penalty.curvature(shared.params[:-1]), 0.0)
    _enter_near(shared, NEAR * l1)
    for _ in range(MOST_STEPS):
        switched = shared.step(l1, l2)
        if switched and _gap(shared, l1, l2, typical, shared.working) > allowed:
            continue
        shared.refresh()
        if _enter_near(shared, l1):
            continue
        gap = _gap(shared, l1, l2, typical, np.arange(l1.size))
        if gap <= allowed:
            return gap
        if not switched:
            return None
    return None


def _enter_near(shared: SwitchingFit, limit: Array) -> int:
    """Let params enter the working set whose slope exceeds a limit."""
    near = np.abs(shared.gradient) > limit * (1 + 64 * EPS)
    near[shared.working] = False
    new = np.flatnonzero(near)
    if new.size:
        shared.enter(new)
    return new.size


def _gap(
    shared: SwitchingFit, l1: Array, l2: Array, typical: float, index: Index
) -> float:
    """Return the Fenchel gap of the fit with its own slopes, which is the penalty's.

    A slope beyond what the penalty allows counts over the typical residual.
    """
    params, adjoint = shared.params[index], -shared.gradient[index]
    l1, l2 = l1[index], l2[index]
    excess = np.maximum(np.abs(adjoint) - l1, 0.0)
    pairing = l1 * np.abs(params) - np.clip(adjoint, -l1, l1) * params
    goal = np.sign(adjoint) * excess / np.where(l2 > 0, l2, 1.0)
    curved = 0.5 * l2 * (params - goal) ** 2
    return float((pairing + np.where(l2 > 0, curved, typical * excess)).sum())
