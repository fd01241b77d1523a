"""Fits of the same few rows under many weights, at little more than their arithmetic.

Most of what a small fit costs is Python's. Of a convex loss whose fit is the only one,
it does not matter how that is found: from the fit of all rows, the fits of many weights
go there together. Those that do not arrive, or may not be the only ones, are left to
`fit_problem`. Of the few weights for which several scales agree with their own fits,
the one that is found is the one that leads there from the scale of all rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import final

import numpy as np
from numpy.typing import NDArray

from robustreg.fitting.coordinates import units_of
from robustreg.fitting.precision import answers
from robustreg.fitting.problem import Problem
from robustreg.linalg import FAINT
from robustreg.penalties import ElasticNet
from robustreg.rows import Array
from robustreg.scale import OF_EACH, spread
from robustreg.solvers.many.newton import MeasureEach, SmoothProblem, many_newton
from robustreg.solvers.many.vertices import ManyFits, many_vertices

# Of more params, or entries, the arithmetic outweighs what a fit costs in Python.
MOST_PARAMS, MOST_RESAMPLED = 30, 2**16


@dataclass(frozen=True)
class Resampled:
    """The fits of many weights, in original units.

    Parameters
    ----------
    coef : ndarray of shape (n_weights, n_features)
        Coefficients.
    intercept : ndarray of shape (n_weights,)
        Intercepts.
    done : ndarray of bool of shape (n_weights,)
        Which fits were found; the others are of no account.
    """

    coef: Array
    intercept: Array
    done: NDArray[np.bool_]


@final
class Resampling:
    """A problem whose fits under other weights are looked for together.

    Parameters
    ----------
    problem : Problem
        The problem with the weights of the fit that is known.
    coef : ndarray of shape (n_features,)
        The coefficients of that.
    intercept, scale : float
        Its intercept and scale, in units of y.
    """

    def __init__(
        self, problem: Problem, coef: Array, intercept: float, scale: float
    ) -> None:
        self._problem, self._scale = problem, scale
        self._units = units_of(problem)
        params = self._units.from_original(
            problem.rows.standard.from_original(
                coef.astype(np.float64), float(intercept)
            )
        )
        self._columns = np.flatnonzero(problem.rows.varies)
        self._near = params[self._columns]

    def fit(self, weights: Array) -> Resampled:
        """Return the fits of many weights, an array of shape (n_weights, n_rows)."""
        # What overflows does not arrive.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = self._found(weights)
        rows = self._problem.rows
        params = np.zeros((len(weights), rows.n_params))
        params[:, self._columns] = found.params
        params = self._units.to_original(params)
        coef = np.zeros((len(weights), rows.n_params - 1))
        intercept = np.zeros(len(weights))
        if found.done.any():
            weight, eps = self._problem.weight, self._problem.eps
            each = answers(rows, weight, params[found.done], self._scale, eps)
            coef[found.done], intercept[found.done] = each
        return Resampled(coef, intercept, found.done)

    def _found(self, weights: Array) -> ManyFits:
        """Return params of the columns that vary, around the centre of y."""
        problem, measure = self._problem, self._measure
        if not problem.loss.facts.piecewise_linear:
            penalty = self._l1, self._l2
            smooth = SmoothProblem(self._design, self._target, problem.loss, *penalty)
            found, scales = many_newton(
                smooth, weights, self._near, self._scale, measure, problem.max_iter
            )
        else:
            ends = problem.loss.facts.slopes
            found = many_vertices(self._design, self._target, weights, ends, self._near)
            scales = np.full(len(weights), self._scale)
            if measure is not None:
                residual = self._target - found.params @ self._design.T
                scales, _ = measure(residual, weights)
        return ManyFits(found.params, found.done & (scales > self._least_scale))

    @cached_property
    def _measure(self) -> MeasureEach | None:
        """What measures the scale, None if it is given."""
        name = self._problem.estimate
        if name is None:
            return None
        # Where columns depend on each other in a resample, its fit is none that counts.
        return partial(OF_EACH[name], n_params=self._columns.size)

    @cached_property
    def _least_scale(self) -> float:
        """The scale from which none has collapsed."""
        if self._measure is None:
            return 0.0
        typical = spread(self._problem.y, self._problem.weight)
        return FAINT * typical if typical > 0 else np.inf

    @cached_property
    def _design(self) -> Array:
        """The columns of the design that vary."""
        rows = self._problem.rows
        return rows.dense(np.arange(rows.n_rows))[:, self._columns]

    @cached_property
    def _target(self) -> Array:
        """The targets around their centre."""
        return self._units.of_target(self._problem.y)

    @cached_property
    def _l1(self) -> Array:
        """The penalty's slope of params of the columns that vary."""
        return np.append(self._penalty.l1, 0.0)[self._columns]

    @cached_property
    def _l2(self) -> Array:
        """The penalty's curvature of params of the columns that vary."""
        return np.append(self._penalty.l2, 0.0)[self._columns]

    @cached_property
    def _penalty(self) -> ElasticNet:
        """The penalty of the params over the scale."""
        problem = self._problem
        return problem.penalty.rescaled(problem.rows.standard.unit)


def resampling(
    problem: Problem, coef: Array, intercept: float, scale: float
) -> Resampling | None:
    """Return how fits are found together, None if one by one; as `Resampling`."""
    rows, facts, penalty = problem.rows, problem.loss.facts, problem.penalty
    n, p = rows.n_rows, rows.n_params
    few = p <= MOST_PARAMS and n * p <= MOST_RESAMPLED
    penalised = bool(penalty.l1.any() or penalty.l2.any())
    vertices = facts.piecewise_linear and not penalised
    suits = facts.convex and (facts.smooth or vertices)
    measured = problem.estimate is None or problem.estimate in OF_EACH
    if not (few and suits and measured and rows.varies.any()):
        return None
    if problem.solver != "auto":
        return None
    return Resampling(problem, coef, intercept, scale)
