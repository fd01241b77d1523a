"""The verbs: what a pass computes of the rows of a part, where they are.

A pass maps one of these functions over all parts. What comes back is small however many
rows there are: sums, and rows that are drawn or near a kink or a median.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import scipy.sparse

from robustreg.losses import Loss
from robustreg.objective import Objective, Point
from robustreg.partitions.drawing import drawn, uniform
from robustreg.partitions.part import Part, Tally, moments_of
from robustreg.penalties import ElasticNet
from robustreg.rows import Array, Index, Rows, Standard, prepared, rows_in
from robustreg.scale import proposal2_spread


@final
@dataclass(frozen=True)
class Asked:
    """Where the objective of all rows is evaluated.

    Parameters
    ----------
    standard : Standard
        The coordinates.
    loss : Loss
        The loss.
    target : int
        Which column of the targets.
    center, scale : float
        What is 0 and what is 1 of the target, in units of y.
    total : float
        Sum of all weights.
    params : ndarray of shape (n_params,)
        Where, in units of the scale.
    window : tuple of float, default=(0, 0)
        Absolute residuals from the first to below the second are asked for.
    rate : float, default=1
        Share of them that is brought back, each weighted for those it stands for.
    curved : bool, default=False
        Whether the Gram matrix of all rows is asked for, weighted by their curvature.
    """

    standard: Standard
    loss: Loss
    target: int
    center: float
    scale: float
    total: float
    params: Array
    window: tuple[float, float] = (0.0, 0.0)
    rate: float = 1.0
    curved: bool = False

    def rows(self, part: Part) -> Rows:
        """Return the rows of a part in these coordinates."""
        return rows_in(prepared(part.X), self.standard)

    def objective(self, part: Part) -> Objective:
        """Return the share that a part has in the objective, without the penalty."""
        target = (part.y[:, self.target] - self.center) / self.scale
        free = np.zeros(self.standard.unit.size)
        penalty = ElasticNet(free, free)
        weight = part.weight / self.total
        return Objective(self.rows(part), target, weight, self.loss, penalty)

    def point(self, part: Part) -> Point:
        """Return the share that a part has in the point there."""
        return self.objective(part).evaluate(self.params)


def sample(part: Part, n_rows: int, size: int, fit_intercept: bool) -> Tally:
    """Return the moments of the columns and the rows that are drawn."""
    first = int(part.number[0])
    count = int(part.number[-1]) + 1 - first
    chosen = np.isin(part.number - first, drawn(first, count, n_rows, size))
    rows = part.take(np.flatnonzero(chosen))
    return Tally((moments_of(part, fit_intercept),), (rows,))


@final
@dataclass(frozen=True)
class Unusual:
    """Columns in which few rows differ from the rest.

    Parameters
    ----------
    columns : ndarray of int of shape (k,)
        Their numbers.
    usual : ndarray of shape (k,)
        What they hold in most rows.
    rate : ndarray of shape (k,)
        Share of the other rows that is drawn, at most 1.
    """

    columns: Index
    usual: Array
    rate: Array

    def rate_of(self, X: Any) -> Array:
        """Return the rate at which each row is drawn, 0 for usual rows."""
        some = X[:, self.columns]
        if scipy.sparse.issparse(some):
            # Of sparse columns the usual value is 0.
            rates = (some != 0).multiply(self.rate).tocsr().max(axis=1)
            return np.asarray(rates.toarray()).ravel()
        return ((some != self.usual) * self.rate).max(axis=1)


def unusual(part: Part, kinds: Unusual) -> Tally:
    """Return the weight of unusual rows, and those drawn, weighted to stand for all."""
    rate = kinds.rate_of(part.X)
    chosen = np.flatnonzero(uniform(part.number) < rate)
    rows = part.take(chosen)
    rows = replace(rows, weight=rows.weight / rate[chosen])
    return Tally((float(part.weight @ (rate > 0)),), (rows,))


def distinct(part: Part) -> Tally:
    """Return all rows, equal ones merged."""
    return Tally((), (part.distinct(),))


def gradient(part: Part, asked: Asked) -> Tally:
    """Return the value, the gradient, what a scale is measured by, and near rows.

    These are the weight of smaller absolute residuals than those of the window, and the
    sum of proposal 2. The Gram matrix is empty if it is not asked for.
    """
    point = asked.point(part)
    objective = point.objective
    gram = np.zeros((0, 0))
    if asked.curved:
        # Parabolas from above: far from the optimum no row may lose its curvature.
        curvature = objective.curvature(point, majorised=1.0)
        gram = objective.rows.gram(curvature, np.arange(objective.n_params))
    below, near = _in_window(part, point, asked)
    spread = proposal2_spread(point.residual, objective.weight)
    return Tally((point.value, point.gradient, below, spread, gram), (near,))


def held(part: Part, asked: Asked, reach: float) -> Tally:
    """Return the adjoint of the slopes of rows away from the kink, and the others."""
    point = asked.point(part)
    near = np.abs(point.residual) <= reach
    slopes = point.objective.weight * asked.loss.gradient(point.residual)
    adjoint = point.objective.rows.adjoint(np.where(near, 0.0, slopes))
    return Tally((adjoint,), (part.take(np.flatnonzero(near)).distinct(),))


def sides(part: Part, asked: Asked, before: Array, reach: float, noise: float) -> Tally:
    """Return what `gradient` does of the scale, and held rows that changed their side.

    Since ``before``; at the kink, to rounding, both sides agree.
    """
    point = asked.point(part)
    old = point.objective.residual(before)
    wrong = ((old > 0) != (point.residual > 0)) & (np.abs(old) > reach)
    wrong &= np.abs(point.residual) > noise
    below, near = _in_window(part, point, asked)
    spread = proposal2_spread(point.residual, point.objective.weight)
    sums = point.value, point.gradient, below, spread
    return Tally(sums, (near, part.take(np.flatnonzero(wrong))))


def _in_window(part: Part, point: Point, asked: Asked) -> tuple[float, Part]:
    """Return the weight of absolute residuals below the window, and rows in it."""
    (low, high), size = asked.window, np.abs(point.residual)
    near = np.flatnonzero((size >= low) & (size < high))
    if asked.rate < 1:
        near = near[uniform(part.number[near]) < asked.rate]
    rows = part.take(near)
    rows = replace(rows, weight=rows.weight / asked.rate)
    return float(part.weight @ (size < low)), rows
