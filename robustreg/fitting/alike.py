"""Fits of the same rows that differ in loss, penalty or scale, each near another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from robustreg.fitting.any_scale import AnyScale
from robustreg.fitting.basis import fit_in_basis
from robustreg.fitting.precision import answer
from robustreg.fitting.problem import Problem
from robustreg.rows import Array
from robustreg.solvers.majorised import few_count
from robustreg.solvers.orthogonal import InBasis


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


def fit_alike(problem: Problem, basis: InBasis | None, near: Alike | None) -> Alike:
    """Return the fit of a problem, from where another one's is.

    Of a loss that is not convex the start is its own: no other leads to the same valley
    for certain.

    Parameters
    ----------
    problem : Problem
        What to fit.
    basis : InBasis or None
        The coordinates to solve it in, as `basis_of` has them.
    near : Alike or None
        A fit of the same rows; None if there is none.
    """
    near = near if problem.loss.facts.convex else None
    start = None if near is None else near.params
    at = None if near is None else near.scale
    ended = fit_in_basis(problem, start, basis, is_near=near is not None, near=at)
    scaled, found = ended.whole, ended.at
    params = np.asarray(scaled.params(), dtype=np.float64)
    data = (problem.rows, problem.weight)
    coef, intercept = answer(*data, scaled.params(), found.scale, problem.eps)
    success = bool(scaled.last.success and found.converged)
    counts = found.disagreement != 0 or (success and not _few_count(scaled))
    return Alike(params, coef, intercept, found.scale, success, counts)


def _few_count(scaled: AnyScale) -> bool:
    """Return whether a redescending loss takes most rows for outliers."""
    point = scaled.last.point
    convex = point.objective.loss.facts.convex
    return not convex and few_count(point.objective, point.residual)
