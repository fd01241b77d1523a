"""Least squares of many targets, at the price of matrix products.

At a given scale, or without a penalty at any: then no scale moves the fit, and that of
its residuals is measured afterwards. The targets differ in y alone: one factor serves
all, and what a fit costs in Python is shared. The fits are those that `fit_problem`
makes one by one; those that are not certified after two steps are left to it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robustreg.fitting.any_scale import REFINED_RCOND
from robustreg.fitting.precision import answers
from robustreg.fitting.problem import Fit, Problem
from robustreg.linalg import EPS, SUM_ERROR
from robustreg.objective import Model, Objective
from robustreg.outliers import flag, measured_scales, rounding_scale
from robustreg.rows import (
    Array,
    design_rank,
    representatives,
    typical_design,
    typical_terms,
)
from robustreg.rows.base import STRETCH
from robustreg.scale import COUNTED, MOST_SORTED, SCALES, median_of_each
from robustreg.solvers import chosen
from robustreg.solvers.direct import hessian_model
from robustreg.solvers.many.targets import ManyPoints, ManyTargets

# However many the rows are, this many targets share what it costs to read them.
FEWEST_TARGETS = 8


def number_together(problem: Problem) -> int:
    """Return how many targets of a problem's kind are fitted at a time, 1 if singly."""
    given = problem.estimate is None or _is_bare(problem)
    facts = problem.loss.facts
    squares = facts.quadratic and facts.unimodal
    if not (squares and given) or problem.penalty.l1.any():
        return 1
    return max(FEWEST_TARGETS, STRETCH // problem.rows.n_rows)


def _is_bare(problem: Problem) -> bool:
    """Return whether there is no penalty, so that least squares are so at any scale."""
    penalty = problem.penalty
    return not (penalty.l1.any() or penalty.l2.any())


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
    first = problems[0]
    y = np.array([problem.y for problem in problems], dtype=np.float64)
    center = _centers(y, first)
    targets = y - center[:, None]
    unit = _units(targets, first)
    targets /= unit[:, None]
    weight = first.weight / first.weight.sum()
    penalty = first.penalty.rescaled(first.rows.standard.unit)
    objective = Objective(first.rows, targets[0], weight, first.loss, penalty)
    if not chosen(objective, first.solver).factorises:
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
        scale = _scales(first, y, unit, found)
    found.done[:] &= scale > 0
    done = np.flatnonzero(found.done)
    fits: list[Fit | None] = [None] * len(problems)
    if not done.size:
        return fits, model
    given = _fits(first, y, center, unit, scale, many, found)
    for i, fit in zip(done, given, strict=True):
        fits[i] = fit
    return fits, model


def _units(targets: Array, problem: Problem) -> Array:
    """Return what each target is fitted in units of: its scale, or its size."""
    if problem.estimate is None:
        return np.full(len(targets), float(problem.scale))
    size = np.abs(targets).mean(axis=1)
    return np.where((size > 0) & np.isfinite(size), size, 1.0)


def _scales(problem: Problem, y: Array, unit: Array, found: ManyPoints) -> Array:
    """Return the scale of each fit, 0 of one whose residuals may be rounding errors."""
    if problem.estimate is None:
        return unit
    rows, weight = problem.rows, problem.weight
    rank, measure = _rank(problem), SCALES[problem.estimate]
    scale = np.zeros_like(unit)
    for k in np.flatnonzero(found.done):
        scale[k] = measure(found.residual[k], weight, rank) * unit[k]
    terms = typical_terms(typical_design(rows, weight), np.ones(rows.n_params))
    size = np.abs(y).max(axis=1) + terms * unit * np.abs(found.params).max(axis=1)
    return np.where(scale > SUM_ERROR * size, scale, 0.0)


def _centers(y: Array, problem: Problem) -> Array:
    """Return the median of each target, 0 without an intercept."""
    constant = problem.rows.standard.constant
    if not constant:
        return np.zeros(len(y))
    some, share = representatives(problem.weight, MOST_SORTED)
    return constant * median_of_each(y[:, some], share)


def _fits(
    problem: Problem,
    y: Array,
    center: Array,
    unit: Array,
    scale: Array,
    many: ManyTargets,
    found: ManyPoints,
) -> Iterator[Fit]:
    """Yield the fits that were found, in original units and at their scales."""
    done, rows, eps = np.flatnonzero(found.done), problem.rows, problem.eps
    y, center, unit, scale = y[done], center[done], unit[done], scale[done]
    params = found.params[done] * unit[:, None]
    params[:, -1] += center
    coef, intercept = answers(rows, problem.weight, params, scale[:, None], eps)
    each = np.array(coef, np.float64), np.array(intercept, np.float64)
    if eps > EPS:
        params = rows.standard.from_original(*each)
        params[:, -1] -= center
        rounded = found.params.copy()
        rounded[done] = params / unit[:, None]
        found = many.moved(found, rounded)
    # Squares change by this factor, if the scale is not the unit.
    square = (unit / scale) ** 2
    residual = found.residual[done] * (unit / scale)[:, None]
    measured = _residual_scales(problem, residual, scale, y)
    rounding = _roundings(problem, *each, np.minimum(measured, scale))
    residual_scale = np.maximum(measured, rounding)
    collapsed = (problem.estimate is not None) & (scale <= rounding)
    cut = problem.outlier_threshold * residual_scale / scale
    outliers = flag(residual, cut[:, None])
    weights = np.ones_like(residual)
    for i, k in enumerate(done):
        yield Fit(
            coef=coef[i],
            intercept=intercept[i],
            scale=float(scale[i]),
            objective=float(square[i] * found.value[k]),
            dual_gap=float(square[i] * found.gap[k]),
            stationarity=float(found.stationarity[k]),
            n_iter=int(found.n_iter[k]),
            weights=weights[i],
            residual_scale=float(residual_scale[i]),
            outliers=outliers[i],
            success=True,
            collapsed=bool(collapsed[i]),
            message="converged",
            disagreement=0.0,
            counted=1.0,
        )


def _roundings(problem: Problem, coef: Array, intercept: Array, scale: Array) -> Array:
    """Return the rounding errors of each fit's stored predictions."""
    rows, weight, eps = problem.rows, problem.weight, problem.eps
    each = zip(coef, intercept, scale, strict=True)
    return np.array(
        [rounding_scale(rows, weight, *fit[:2], eps, fit[2]) for fit in each]
    )


def _residual_scales(
    problem: Problem, residual: Array, scale: Array, y: Array
) -> Array:
    """Return the scale of each fit's residuals: its own, if that was estimated.

    Of a rounded answer that has changed.
    """
    if problem.estimate is None:
        return measured_scales(residual, scale, y, problem.weight)
    if problem.eps <= EPS:
        return scale
    rank = _rank(problem)
    measure = SCALES[problem.estimate]
    ratio = [measure(each, problem.weight, rank) for each in residual]
    return np.asarray(scale * ratio)


def _rank(problem: Problem) -> int:
    """Return how many params the scale's divisor counts."""
    counted = problem.estimate in COUNTED
    return design_rank(problem.rows, problem.weight) if counted else 0
