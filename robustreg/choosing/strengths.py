"""The strengths that a penalty is tried with, where none are given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from robustreg.fitting import Problem, fit_problem, units_of
from robustreg.linalg import MOST_DIRECT_PARAMS
from robustreg.objective import Objective
from robustreg.paths import strengths
from robustreg.penalties import ElasticNet
from robustreg.rows import Array, Rows, make_rows
from robustreg.scale import weighted_median


def strengths_for(problem: Problem, n_alphas: int, eps: float) -> Array:
    """Return alphas from the largest that matters down to ``eps`` times it.

    With an l1 part it is the smallest that keeps all coefficients at 0, at the scale
    that residuals have there. With l2 alone it halves, or more than halves, what the
    columns explain in every direction: the largest eigenvalue of their covariance times
    a typical curvature of the loss, the ratio of the median slope to the median size of
    residuals of the intercept alone.

    Parameters
    ----------
    problem : Problem
        With a penalty of strength 1.
    n_alphas : int
        How many.
    eps : float
        The smallest over the largest.
    """
    scale = _scale_without_columns(problem)
    unit, units = problem.rows.standard.unit, units_of(problem, scale)
    objective = Objective(
        problem.rows,
        units.of_target(problem.y),
        problem.weight / problem.weight.sum(),
        problem.loss,
        problem.penalty.rescaled(unit),
    )
    if problem.penalty.l1.any():
        return strengths(objective, n_alphas, eps, problem.tol, problem.max_iter)
    largest = _typical_curvature(objective) * _largest_variance(problem.rows, objective)
    return np.geomspace(largest, eps * largest, n_alphas)


def _scale_without_columns(problem: Problem) -> float:
    """Return the scale of the fit of the intercept alone."""
    if problem.estimate is None:
        return float(problem.scale)
    constant = bool(problem.rows.standard.constant)
    empty = np.zeros((problem.y.size, 0))
    none = ElasticNet(np.zeros(0), np.zeros(0))
    rows = make_rows(empty, problem.weight, constant)
    return fit_problem(replace(problem, rows=rows, penalty=none)).scale


def _typical_curvature(objective: Objective) -> float:
    """Return the median slope of a loss over the median size of residuals around 0."""
    sizes = [
        weighted_median(values, objective.weight, np.abs)
        for values in (objective.loss.gradient(objective.target), objective.target)
    ]
    return float(sizes[0] / sizes[1]) if min(sizes) > 0 else 1.0


def _largest_variance(rows: Rows, objective: Objective) -> float:
    """Return the largest eigenvalue of the columns' covariance, in original units.

    Of many columns the largest variance of one of them.
    """
    varies = np.flatnonzero(rows.varies)
    varies = varies[varies < rows.n_params - 1]
    if not varies.size:
        return 1.0
    spread = 1 / rows.standard.unit[varies]
    if varies.size > MOST_DIRECT_PARAMS:
        return float(spread.max() ** 2)
    gram = rows.gram(objective.weight, varies)[: varies.size, : varies.size]
    return float(np.linalg.eigvalsh(gram * np.outer(spread, spread))[-1])
