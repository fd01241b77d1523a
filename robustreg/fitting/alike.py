"""Fits of the same rows that differ in loss, penalty or scale, each near another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from robustreg.fitting.any_scale import AnyScale
from robustreg.fitting.basis import in_basis, lifted
from robustreg.fitting.estimated import estimated_scale
from robustreg.fitting.precision import answer
from robustreg.fitting.problem import Problem
from robustreg.losses import relative_weight
from robustreg.rows import Array
from robustreg.scale import FixedPoint
from robustreg.solvers.majorised import FEW_COUNT
from robustreg.solvers.orthogonal import Basis


@dataclass(frozen=True)
class Alike:
    """A fit as far as one that starts near it, and a prediction, need it.

    Parameters
    ----------
    params : ndarray of shape (n_params,)
        Params in units of y.
    coef : ndarray of shape (n_features,)
        Coefficients, in the precision that they are stored in.
    intercept, scale : float
        Intercept and scale, in units of y.
    success : bool
        Whether the solver met the tolerance and the scale settled.
    will_do : bool
        Whether no other standardisation would lead to a better fit, or another.
    """

    params: Array
    coef: Array
    intercept: Any
    scale: float
    success: bool
    will_do: bool


def fit_alike(problem: Problem, basis: Basis | None, near: Alike | None) -> Alike:
    """Return the fit of a problem, from where another one's is.

    Of a loss that is not convex the start is its own: no other leads to the same valley
    for certain.

    Parameters
    ----------
    problem : Problem
        What to fit.
    basis : Basis or None
        The coordinates to solve it in, as `basis_of` has them.
    near : Alike or None
        A fit of the same rows; None if there is none.
    """
    near = near if problem.loss.facts.convex else None
    start = None if near is None else near.params
    own = (problem, start) if basis is None else in_basis(problem, start, basis)
    scaled = AnyScale(*own, is_near=near is not None)
    found = _fitted(scaled, None if near is None else near.scale)
    if basis is not None:
        scaled = lifted(scaled, problem, basis)
    params = np.asarray(scaled.params(), dtype=np.float64)
    data = (problem.rows, problem.weight)
    coef, intercept = answer(*data, scaled.params(), found.scale, problem.eps)
    success = bool(scaled.last.success and found.converged)
    counts = found.disagreement != 0 or (success and not _few_count(scaled))
    return Alike(params, coef, intercept, found.scale, success, counts)


def _fitted(scaled: AnyScale, near: float | None) -> FixedPoint:
    """Fit at the scale that is asked for, or at the residuals' own; return it."""
    problem = scaled.problem
    if isinstance(problem.scale, str):
        return estimated_scale(scaled, problem.scale, near=near)
    scaled.fit(float(problem.scale), problem.tol)
    return FixedPoint(float(problem.scale), collapsed=False, converged=True)


def _few_count(scaled: AnyScale) -> bool:
    """Return whether a redescending loss takes most rows for outliers."""
    problem = scaled.problem
    if problem.loss.facts.convex:
        return False
    residual = scaled.last.point.residual.astype(np.float64, copy=False)
    weights = relative_weight(problem.loss, residual)
    return bool(problem.weight @ weights < FEW_COUNT * problem.weight.sum())
