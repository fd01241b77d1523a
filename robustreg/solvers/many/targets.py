"""Least squares of many targets at once: one Hessian, and arrays for all the rest.

For a loss ``c r^2 / 2`` and a penalty without an l1 part, one Newton step from 0 ends
at the fit of every target y_k, by the same factor:

    b_k = H^-1 c X'W y_k,     H = c X'W X + diag(l2).

Where rounding leaves some of the gradient, a second step takes it off. Each fit is
certified as `newton` certifies it; those that are not are left to that.

Cost: a pass and a half over the rows for all targets, another one for a second step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from robustreg.certificate import KEPT
from robustreg.linalg import NOISE_LEVELS
from robustreg.objective import RESIDUAL_ERROR, Model, Objective
from robustreg.rows import Array
from robustreg.solvers.newton import PROMISING, STEADY
from robustreg.tolerance import RESOLVED


@dataclass(frozen=True)
class ManyPoints:
    """Points of many targets, in units of the scale.

    Parameters
    ----------
    params, gradient : ndarray of shape (n_targets, n_params)
        Where, and the gradients there.
    residual : ndarray of shape (n_targets, n_rows)
        Residuals.
    value, gap, stationarity : ndarray of shape (n_targets,)
        Objectives, bounds on these minus their minima, and relative violations of the
        optimality condition.
    n_iter : ndarray of int of shape (n_targets,)
        Steps.
    done : ndarray of bool of shape (n_targets,)
        Which of them are certified to be optimal; others are of no account.
    """

    params: Array
    gradient: Array
    residual: Array
    value: Array
    gap: Array
    stationarity: Array
    n_iter: Array
    done: Array


@final
class ManyTargets:
    """The objective of many targets.

    Parameters
    ----------
    objective : Objective
        That of any target; its loss has constant curvature, its penalty no l1 part.
    targets : ndarray of shape (n_targets, n_rows)
        The targets, in units of the scale.
    model : Model
        The Hessian, positive definite on all columns that vary.
    tol : float
        As `newton` takes it.
    """

    def __init__(
        self, objective: Objective, targets: Array, model: Model, tol: float
    ) -> None:
        self._objective, self._targets = objective, targets
        self._model, self._tol = model, tol
        self._steepness = objective.loss.facts.largest_curvature
        self._pull = objective.weight * self._steepness
        some = np.abs(targets[:, objective.representatives[0]])
        # As `Objective.noise` has it.
        self._noise = RESIDUAL_ERROR * _middles_of_positive(some)

    def fit(self, max_iter: int) -> ManyPoints:
        """Return the minima, by at most two steps."""
        self._objective.rows.passes += 0.5
        gradient = -self._objective.rows.adjoint_each(self._pull * self._targets)
        found = self._stepped(np.zeros_like(gradient), gradient)
        again = np.flatnonzero(~found.done)
        if again.size and max_iter > 1:
            some = self._targets[again]
            left = ManyTargets(self._objective, some, self._model, self._tol)
            second = left._stepped(found.params[again], found.gradient[again])
            second.n_iter[:] = 2
            for name, values in vars(found).items():
                values[again] = vars(second)[name]
        return found

    def moved(self, found: ManyPoints, params: Array) -> ManyPoints:
        """Return points near others; the gaps grow by what they are worse."""
        there = self._at(params)
        worse = np.maximum(there.value - found.value, 0.0)
        return replace(
            there, gap=found.gap + worse, n_iter=found.n_iter, done=found.done
        )

    def _stepped(self, params: Array, before: Array) -> ManyPoints:
        """Return where a step leads from params that have these gradients."""
        factor = self._model.factor
        step = factor.solve_each(before)
        there = self._at(params - step)
        g = there.gradient
        left = 0.5 * np.maximum(_dots(g, factor.solve_each(g)), 0.0)
        rounding = self._rounding(there.residual)
        gap = (np.sqrt(left) + np.sqrt(0.5 * rounding)) ** 2 / KEPT
        # As `allowed_gap` and `newton` have it.
        allowed = np.maximum(self._tol * there.value, 0.5 * RESOLVED**2 * rounding)
        decrease = 0.5 * _dots(before, step)
        sharp = (left <= self._tol * allowed) & (factor.rcond > STEADY)
        done = (gap <= allowed) & (sharp | (decrease <= allowed))
        promise = PROMISING * there.value + self._exact_value
        done &= np.minimum(decrease, left) <= promise
        # A column without entries has no part in the factor.
        done &= ~before[:, factor.scale == 0].any(axis=1)
        return replace(there, gap=gap, done=done)

    def _at(self, params: Array) -> ManyPoints:
        """Return points of which the gap is not known."""
        objective = self._objective
        objective.rows.passes += 1
        residual = self._targets - objective.rows.predict_each(params)
        weighted = self._pull * residual
        bent = objective.l2 * params
        gradient = bent - objective.rows.adjoint_each(weighted)
        value = 0.5 * (_dots(weighted, residual) + _dots(bent, params))
        terms = np.abs(weighted, out=weighted).sum(axis=1)
        return ManyPoints(
            params,
            gradient,
            residual,
            value,
            np.full(len(params), np.inf),
            self._stationarity(gradient, value, terms),
            np.ones(len(params), dtype=np.intp),
            np.zeros(len(params), dtype=np.bool_),
        )

    @property
    def _exact_value(self) -> Array:
        """The values of fits whose residuals are rounding errors."""
        return 0.5 * self._steepness * (NOISE_LEVELS * self._noise) ** 2

    def _rounding(self, residual: Array) -> Array:
        """Return the sums of squares of the residuals' rounding errors."""
        size = np.abs(residual)
        size += np.abs(self._targets)
        size *= RESIDUAL_ERROR
        size *= size
        return np.asarray(size @ self._pull)

    def _stationarity(self, gradient: Array, value: Array, terms: Array) -> Array:
        """Return `Objective.stationarity`, 0 where all residuals are rounding errors.

        ``terms`` are the sums of the sizes of the rows' slopes.
        """
        largest = np.abs(gradient).max(axis=1)
        none = value <= self._exact_value
        none |= largest <= 4 * self._steepness * self._noise
        return np.where(none, 0.0, largest / np.where(none, 1.0, terms))


def _dots(left: Array, right: Array) -> Array:
    """Return the product of each row with its own."""
    return np.asarray(np.einsum("ij,ij->i", left, right))


def _middles_of_positive(size: Array) -> Array:
    """Return of each row what `middle_of` returns of its positive entries, else 0."""
    positive = size > 0
    middle = np.count_nonzero(positive, axis=1) // 2
    ordered = np.partition(np.where(positive, size, np.inf), np.unique(middle), axis=1)
    found = np.take_along_axis(ordered, middle[:, None], axis=1)[:, 0]
    return np.where(np.isfinite(found), found, 0.0)
