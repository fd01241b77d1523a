"""The objective of all rows, as far as the client knows it.

It holds a sample of rows, whose objective has nearly the same curvature, and has values
and gradients of all rows from passes. A linear term makes the sample's gradient that of
all rows where a pass was made; then the minimum of the two differ by little, and each
pass divides the difference by about ``sqrt(m / p)`` [1]_, [2]_.

References
----------
.. [1] Shamir, O., Srebro, N., Zhang, T. (2014). Communication-efficient distributed
   optimization using an approximate Newton-type method. ICML 2014.
.. [2] Jordan, M. I., Lee, J. D., Yang, Y. (2019). Communication-efficient distributed
   statistical inference. Journal of the American Statistical Association 114, 668-681.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np

from robustreg.certificate import local_gap
from robustreg.fitting import Problem, units_of
from robustreg.fitting.any_scale import AnyScale
from robustreg.linalg import SMALLEST_RCOND, factor_of_root, factorise
from robustreg.losses import L2, Loss
from robustreg.objective import Model, Objective, Point
from robustreg.partitions.engine import Engine
from robustreg.partitions.part import Part, Tally
from robustreg.partitions.sampling import Drawn
from robustreg.partitions.sums import Asked, gradient
from robustreg.rows import Array, FormedRows, Standard, weighted_gram
from robustreg.solvers.profiled import drift_at
from robustreg.tolerance import stationarity


@final
@dataclass(frozen=True)
class Reading:
    """What a pass told.

    Parameters
    ----------
    asked : Asked
        Where.
    value : float
        The objective.
    gradient : ndarray of shape (n_params,)
        Gradient of everything but the kinked part of the penalty.
    below, spread : float
        What a scale is measured by: the weight of rows below the window, and the mean
        of ``min(r^2, k^2)``.
    gram : ndarray of shape (n_params, n_params) or (0, 0)
        The Gram matrix of all rows weighted by their curvature, if asked for.
    near : Part
        The rows in the window.
    """

    asked: Asked
    value: float
    gradient: Array
    below: float
    spread: float
    gram: Array
    near: Part

    @property
    def params(self) -> Array:
        """Where, in units of the scale."""
        return self.asked.params

    @property
    def in_units_of_y(self) -> Array:
        """Where, around the centre."""
        return self.asked.params * self.asked.scale


@final
@dataclass(frozen=True)
class Ended:
    """Where a fit of all rows ended.

    Parameters
    ----------
    reading : Reading
        The last pass, at the fit.
    gap : float
        A bound on the objective there minus its minimum.
    mad : float
        1.4826 times the median of the absolute residuals, in units of y; nan if it was
        out of sight.
    stationarity : float
        Relative violation of the optimality condition; nan for a loss with a kink.
    success : bool
        Whether the gap is allowed.
    message : str
        What happened if it is not.
    """

    reading: Reading
    gap: float
    mad: float
    stationarity: float
    success: bool
    message: str


@final
@dataclass(frozen=True, eq=False)
class Whole:
    """All rows of one target.

    Parameters
    ----------
    engine : Engine
        Where they are.
    problem : Problem
        The problem of the sample's rows.
    target : int
        Which column of the targets.
    drawn : Drawn
        The sample, and what all rows are to the client.
    """

    engine: Engine
    problem: Problem
    target: int
    drawn: Drawn

    @property
    def total(self) -> float:
        """The sum of all weights."""
        return self.drawn.moments.total

    @cached_property
    def center(self) -> float:
        """What counts as 0 of the target."""
        return units_of(self.problem).center

    @property
    def standard(self) -> Standard:
        """The coordinates of the sample's rows."""
        return self.problem.rows.standard

    @cached_property
    def sample(self) -> AnyScale:
        """The sample's problem at any scale."""
        return AnyScale(self.problem, None)

    def asked(self, loss: Loss, params: Array, scale: float) -> Asked:
        """Return where a pass is made."""
        total, center = self.total, self.center
        return Asked(self.standard, loss, self.target, center, scale, total, params)

    def few(self, asked: Asked) -> Objective:
        """Return the sample's objective in the same units."""
        objective = self.sample.objective(asked.scale, asked.loss)
        shift = (self.center - asked.center) / asked.scale
        if not shift:
            return objective
        return objective.with_loss(asked.loss, objective.target + shift)

    def of_rows(self, asked: Asked, rows: Part) -> Objective:
        """Return the share of some rows in the objective, with all of the penalty."""
        penalty = self.few(asked).penalty
        return asked.objective(rows).with_penalty(penalty)

    def read(self, asked: Asked) -> Reading:
        """Return value and gradient, and what else is asked for; takes a pass."""
        return self.reading(asked, self.engine.run(gradient, asked))

    def reading(self, asked: Asked, tally: Tally) -> Reading:
        """Return what `gradient` told of all rows, with the penalty."""
        value, slope, below, spread, gram = tally.sums[:5]
        penalty, coef = self.few(asked).penalty, asked.params[:-1]
        slope = slope + np.append(penalty.l2 * coef, 0.0)
        value += penalty.value(coef)
        return Reading(asked, value, slope, below, spread, gram, tally.rows[0])

    def foreseen(self, asked: Asked) -> Reading | None:
        """Return what a pass would tell of the way to a fit of squares, if known.

        All but the value and the scale of the residuals.
        """
        products = self.drawn.products
        if products is None:
            return None
        unit, center, scale = self.standard, asked.center, asked.scale
        gram, pull = products.in_units(unit, self.target, center, scale)
        slope = gram @ asked.params - pull
        if not (np.isfinite(gram).all() and np.isfinite(slope).all()):
            return None
        slope += np.append(self.few(asked).penalty.l2 * asked.params[:-1], 0.0)
        none = np.zeros(0)
        nothing = Part(none[:, None], none[:, None], none, none.astype(np.intp))
        return Reading(asked, np.nan, slope, np.nan, np.nan, gram, nothing)

    def at(self, reading: Reading) -> Point:
        """Return the point of the sample whose gradient is all rows' steepest."""
        few = self.few(reading.asked)
        steepest = _steepest(reading, few.l1)
        return Point(reading.params, steepest, few.residual(reading.params), few)

    def stationarity(self, reading: Reading) -> float:
        """Return the relative violation of the optimality condition there."""
        few = self.few(reading.asked)
        residual = few.residual(reading.params)
        return stationarity(few, Point(reading.params, reading.gradient, residual, few))

    def near_minimum(self, reading: Reading, scale: float) -> Objective:
        """Return the sample's objective with the gradient of all rows there.

        At another scale, too: what all rows differ by from the sample stays the same.
        """
        few = self.few(reading.asked)
        linear = reading.gradient - few.evaluate(reading.params).gradient
        return self.few(replace(reading.asked, scale=scale)).tilted(linear)

    def quadratic(self, reading: Reading, scale: float) -> Objective:
        """Return the quadratic with the gradient and the curvature of all rows there.

        Least squares of a root of the Gram matrix; what bends down counts as bent up.
        """
        p, few = self.standard.unit.size + 1, self.few(reading.asked)
        size, vectors = np.linalg.eigh(reading.gram)
        root = np.sqrt(p * np.abs(size))[:, None] * vectors.T
        rows, weight = FormedRows(root, self.standard), np.full(p, 1 / p)
        params = reading.params * (reading.asked.scale / scale)
        model = Objective(rows, root @ params, weight, L2(), few.penalty)
        return model.tilted(self._pull(reading, few, scale))

    def _pull(self, reading: Reading, few: Objective, scale: float) -> Array:
        """Return the rows' part of the gradient at another scale, params as they are.

        That of squares is known, that of others to first order, from the sample.
        """
        pull, unit = reading.gradient - few.l2 * reading.params, reading.asked.scale
        if reading.asked.loss.facts.quadratic:
            return pull * (unit / scale)
        there = few.evaluate(reading.params)
        drift = drift_at(few, there) + few.l2 * reading.params
        return pull + np.log(scale / unit) * drift

    def gap(self, reading: Reading) -> float:
        """Return a bound on the value there minus the minimum, from the sample."""
        point = self.at(reading)
        return local_gap(point.objective, point, model_at(point), self.drawn.share)


def model_at(point: Point) -> Model:
    """Return the Hessian of the objective at a point."""
    objective = point.objective
    gram = weighted_gram(objective.rows, objective.curvature(point))
    hessian = objective.full_hessian(gram)
    factor = factorise(hessian)
    if factor.rcond < SMALLEST_RCOND:
        every = np.arange(objective.n_params)
        factor = factor_of_root(objective.hessian_root(gram.weight, every))
    return Model(hessian, factor, gram)


def _steepest(reading: Reading, l1: Array) -> Array:
    """Return the subgradient of least norm, 0 where a kink of the penalty allows it."""
    gradient, params = reading.gradient, reading.params
    away = gradient + l1 * np.sign(params)
    at_zero = np.sign(gradient) * np.maximum(np.abs(gradient) - l1, 0.0)
    return np.where(params == 0, at_zero, away)
