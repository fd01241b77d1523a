"""Least squares of many targets at a given scale, at the price of matrix products.

They differ in y alone: one factor serves all, and what a fit costs in Python is shared.
The fits are those that `fit_problem` makes one by one; those that are not certified
after two steps are left to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from robustreg.fitting.precision import answers
from robustreg.fitting.problem import Fit, Problem
from robustreg.fitting.scaled import REFINED_RCOND
from robustreg.objective import Model, Objective
from robustreg.outliers import flag, measured_scales, rounding_scale
from robustreg.rows import Array, representatives
from robustreg.scale import EPS, MOST_SORTED, median_of_each
from robustreg.solvers import chosen
from robustreg.solvers.direct import hessian_model
from robustreg.solvers.many_targets import ManyPoints, ManyTargets

# So many residuals stay in cache with what is made of them, and so many targets share
# what it costs to read the rows, however many these are.
MOST_RESIDUALS, FEWEST_TARGETS = 2**15, 8


def number_together(problem: Problem) -> int:
    """Return how many targets of a problem's kind are fitted at a time, 1 if singly."""
    constant = problem.loss.facts.breakpoints == () and problem.loss.facts.unimodal
    given = not isinstance(problem.scale, str)
    if not (constant and given) or problem.penalty.l1.any():
        return 1
    return max(FEWEST_TARGETS, MOST_RESIDUALS // problem.rows.n_rows)


def fit_together(
    problems: list[Problem], last: Model | None
) -> tuple[list[Fit | None], Model | None]:
    """Fit targets that differ in y alone.

    Parameters
    ----------
    problems : list of Problem
        Several, of a kind of which `number_together` says that they may be.
    last : Model or None
        The Hessian of others of them, if known.

    Returns
    -------
    list of Fit or None
        None for what is left to `fit_problem`.
    Model or None
        The Hessian, if one was made.
    """
    first, scale = problems[0], float(problems[0].scale)
    y = np.array([problem.y for problem in problems], dtype=np.float64)
    center = _centers(y, first)
    targets = y - center[:, None]
    targets /= scale
    weight = first.weight / first.weight.sum()
    penalty = first.penalty.rescaled(first.rows.standard.unit)
    objective = Objective(first.rows, targets[0], weight, first.loss, penalty)
    if chosen(objective, first.solver) != "newton":
        return [None] * len(problems), last
    curvature = weight * first.loss.facts.largest_curvature
    model = hessian_model(objective, curvature, last)
    unseen = model.factor.scale[first.rows.varies] == 0
    if model.factor.rcond < REFINED_RCOND or unseen.any():
        return [None] * len(problems), model
    # What overflows is not certified.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        many = ManyTargets(objective, targets, model, first.tol)
        found = many.fit(first.max_iter)
    done = np.flatnonzero(found.done)
    fits: list[Fit | None] = [None] * len(problems)
    for i, fit in zip(done, _fits(first, y, center, many, found), strict=True):
        fits[i] = fit
    return fits, model


def _centers(y: Array, problem: Problem) -> Array:
    """Return the median of each target, 0 without an intercept."""
    constant = problem.rows.standard.constant
    if not constant:
        return np.zeros(len(y))
    some, share = representatives(problem.weight, MOST_SORTED)
    return constant * median_of_each(y[:, some], share)


def _fits(
    problem: Problem, y: Array, center: Array, many: ManyTargets, found: ManyPoints
) -> Iterator[Fit]:
    """Yield the fits that were found, in original units."""
    done, scale = np.flatnonzero(found.done), float(problem.scale)
    standard = problem.rows.standard
    params = found.params[done] * scale
    params[:, -1] += center[done]
    coef, intercept = answers(standard, params, scale, problem.eps)
    if problem.eps > EPS:
        found = many.moved(found, _rounded(problem, coef, intercept, center, found))
    residual = found.residual[done]
    measured = measured_scales(residual, scale, y[done], problem.weight)
    each = np.array(coef, np.float64), np.array(intercept, np.float64)
    residual_scale = np.maximum(measured, rounding_scale(standard, *each, problem.eps))
    outliers = flag(
        residual, problem.outlier_threshold * residual_scale[:, None] / scale
    )
    weights = np.ones_like(residual)
    for i, k in enumerate(done):
        yield Fit(
            coef=coef[i],
            intercept=intercept[i],
            scale=scale,
            objective=float(found.value[k]),
            dual_gap=float(found.gap[k]),
            stationarity=float(found.stationarity[k]),
            n_iter=int(found.n_iter[k]),
            weights=weights[i],
            residual_scale=float(residual_scale[i]),
            outliers=outliers[i],
            success=True,
            collapsed=False,
            message="converged",
            disagreement=0.0,
            counted=1.0,
        )


def _rounded(
    problem: Problem,
    coef: Sequence[Array],
    intercept: Sequence[Any],
    center: Array,
    found: ManyPoints,
) -> Array:
    """Return params of which those of the fits found are the rounded answers."""
    params = found.params.copy()
    for i, k in enumerate(np.flatnonzero(found.done)):
        exact = coef[i].astype(np.float64), float(intercept[i])
        params[k] = problem.rows.standard.from_original(*exact)
        params[k, -1] -= center[k]
        params[k] /= float(problem.scale)
    return params
