"""The verbs: what a pass computes of the rows of a part, where they are.

A pass maps one of these functions over all parts. What comes back is small however many
rows there are: sums, and rows that are drawn or near a kink or a median.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from robustreg.losses import Loss
from robustreg.objective import Objective, Point
from robustreg.partitions.drawing import drawn, uniform
from robustreg.partitions.part import Part, Tally, moments_of, products_of
from robustreg.penalties import ElasticNet
from robustreg.rows import Array, Rows, Standard, prepared, rows_in, signed_gram
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
    majorised : float or None, default=None
        Share, in the curvature that weights the Gram matrix of all rows, of parabolas
        that touch the loss from above; None if it is not asked for.
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
    majorised: float | None = None

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
    return Tally((moments_of(part, fit_intercept),), (_drawn(part, n_rows, size),))


def sample_and_products(
    part: Part, n_rows: int, size: int, fit_intercept: bool
) -> Tally:
    """Return what `sample` does, and what least squares needs of all rows."""
    moments = moments_of(part, fit_intercept)
    products = products_of(part, moments, fit_intercept)
    return Tally((moments, products), (_drawn(part, n_rows, size),))


def _drawn(part: Part, n_rows: int, size: int) -> Part:
    """Return the rows that are drawn."""
    first = int(part.number[0])
    count = int(part.number[-1]) + 1 - first
    chosen = np.isin(part.number - first, drawn(first, count, n_rows, size))
    return part.take(np.flatnonzero(chosen))


@final
@dataclass(frozen=True)
class Importance:
    """At which rates rows are drawn if some matter more than others.

    Half of them whatever they are, the others by their shares of what all columns vary:
    by the squares of their norms [1]_.

    Parameters
    ----------
    standard : Standard
        The coordinates.
    total : float
        Sum of all weights.
    n_rows : int
        Number of all rows.
    size : int
        How many rows of each half are drawn, on the whole.

    References
    ----------
    .. [1] Drineas, P., Kannan, R., Mahoney, M. W. (2006). Fast Monte Carlo algorithms
       for matrices I: approximating matrix multiplication. SIAM Journal on Computing
       36, 132-157.
    """

    standard: Standard
    total: float
    n_rows: int
    size: int

    def rate(self, part: Part) -> Array:
        """Return the rate at which each row is drawn, at most 1."""
        rows = rows_in(prepared(part.X), self.standard)
        square = part.weight * rows.norms() ** 2
        n_params = np.count_nonzero(rows.varies)
        share = 1 / self.n_rows + square / (self.total * n_params)
        return np.minimum(self.size * share, 1.0)


def important(part: Part, by: Importance) -> Tally:
    """Return the rows that are drawn at rates."""
    return Tally((), (part.take(np.flatnonzero(uniform(part.number) < by.rate(part))),))


def distinct(part: Part) -> Tally:
    """Return all rows, equal ones merged."""
    return Tally((), (part.distinct(),))


def gradient(part: Part, asked: Asked) -> Tally:
    """Return the value, the gradient, what a scale is measured by, and near rows.

    These are the weight of smaller absolute residuals than those of the window, and the
    sum of proposal 2. The Gram matrix is empty if it is not asked for.
    """
    return _seen(part, asked.point(part), asked)


def near_kink(part: Part, asked: Asked, reach: float) -> Tally:
    """Return what `gradient` does, and the rows near the kink.

    With the adjoint of the slopes of all others.
    """
    point = asked.point(part)
    near = np.abs(point.residual) <= reach
    slopes = point.objective.weight * asked.loss.gradient(point.residual)
    adjoint = point.objective.rows.adjoint(np.where(near, 0.0, slopes))
    seen, rows = _seen(part, point, asked), part.take(np.flatnonzero(near))
    return Tally((*seen.sums, adjoint), (*seen.rows, rows.distinct()))


def sides(part: Part, asked: Asked, before: Asked, reach: float, noise: float) -> Tally:
    """Return what `gradient` does, and held rows that changed their side.

    Since ``before``; at the kink, to rounding, both sides agree.
    """
    point = asked.point(part)
    old = before.objective(part).residual(before.params)
    wrong = ((old > 0) != (point.residual > 0)) & (np.abs(old) > reach)
    wrong &= np.abs(point.residual) > noise
    seen = _seen(part, point, asked)
    return Tally(seen.sums, (*seen.rows, part.take(np.flatnonzero(wrong))))


def _seen(part: Part, point: Point, asked: Asked) -> Tally:
    """Return what is asked for at a point."""
    objective, gram = point.objective, np.zeros((0, 0))
    if asked.majorised is not None:
        curvature = objective.curvature(point, asked.majorised)
        gram = signed_gram(objective.rows, curvature, np.arange(point.params.size))
    below, near = _in_window(part, point, asked)
    spread = proposal2_spread(point.residual, objective.weight)
    return Tally((point.value, point.gradient, below, spread, gram), (near,))


def _in_window(part: Part, point: Point, asked: Asked) -> tuple[float, Part]:
    """Return the weight of absolute residuals below the window, and rows in it."""
    (low, high), size = asked.window, np.abs(point.residual)
    near = np.flatnonzero((size >= low) & (size < high))
    if asked.rate < 1:
        near = near[uniform(part.number[near]) < asked.rate]
    rows = part.take(near)
    rows = replace(rows, weight=rows.weight / asked.rate)
    return float(part.weight @ (size < low)), rows
