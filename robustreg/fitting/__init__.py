"""One target's fit: at a given scale, or with the scale that its residuals have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

import numpy as np

from robustreg.fitting.absent import with_absent
from robustreg.fitting.alike import Alike, fit_alike
from robustreg.fitting.any_scale import AnyScale
from robustreg.fitting.at_once import fit_at_once
from robustreg.fitting.basis import basis_of, in_basis, lifted
from robustreg.fitting.coordinates import Units, standardisations, units_of
from robustreg.fitting.precision import answer, answers
from robustreg.fitting.problem import Coefficients, Fit, Problem
from robustreg.fitting.quantiles import (
    QuantileFit,
    QuantileFits,
    crossing_share,
    quantiles_together,
)
from robustreg.fitting.reach import within_reach
from robustreg.fitting.resampled import Resampling, resampling
from robustreg.fitting.stopping import fit_unless_stopped
from robustreg.fitting.together import fit_together, number_together
from robustreg.linalg import EPS
from robustreg.losses import relative_weight
from robustreg.objective import Model, Point
from robustreg.outliers import flag, measured_scale, rounding_scale
from robustreg.rows import Array
from robustreg.scale import FixedPoint
from robustreg.solvers import Result
from robustreg.solvers.majorised import SOUND
from robustreg.solvers.orthogonal import Basis
from robustreg.tolerance import stationarity

__all__ = [
    "Alike",
    "Coefficients",
    "Fit",
    "Problem",
    "QuantileFit",
    "QuantileFits",
    "Resampling",
    "Units",
    "answers",
    "basis_of",
    "fit_alike",
    "fit_at_once",
    "fit_from",
    "fit_problem",
    "fit_quantiles",
    "fit_targets",
    "resampling",
    "standardisations",
    "units_of",
    "with_absent",
    "within_reach",
]


def fit_problem(problem: Problem, start: Array | None = None) -> Fit:
    """Fit one target.

    Parameters
    ----------
    problem : Problem
        What to fit.
    start : ndarray of shape (n_params,) or None
        Params in units of y to start from; None starts at the median of y.
    """
    return fit_targets([problem], [start])[0]


def fit_targets(
    problems: Iterable[Problem], starts: Iterable[Array | None]
) -> list[Fit]:
    """Fit targets that differ in y alone: least squares together, others one by one.

    Parameters
    ----------
    problems : iterable of Problem
        What to fit.
    starts : iterable of ndarray of shape (n_params,) or None
        For each as `fit_problem` takes it.
    """
    fits: list[Fit] = []
    shared, asked, basis = None, False, None
    pairs = zip(problems, starts, strict=True)
    for first in pairs:
        some = [first, *islice(pairs, number_together(first[0]) - 1)]
        found: list[Fit | None] = [None] * len(some)
        if len(some) > 1:
            found, shared = fit_together([problem for problem, _ in some], shared)
        for (problem, start), fit in zip(some, found, strict=True):
            if fit is None:
                # That of one is that of all: they share rows, weights and penalty.
                basis = basis if asked else basis_of(problem)
                asked = True
                fit, shared = _fit(problem, start, basis, shared)
            fits.append(fit)
    return fits


def fit_quantiles(problems: list[Problem]) -> QuantileFits:
    """Fit problems that differ in their loss alone: twice pinball losses, at scale 1.

    Parameters
    ----------
    problems : list of Problem
        What to fit.
    """
    together, report = quantiles_together(problems), problems[0].report
    pairs = list(zip(problems, together, strict=True))
    if report is not None and any(fit is not None for fit in together):
        # Whether to stop is for those to ask that are fitted one by one.
        report("quantiles together", None)
    left = [problem for problem, fit in pairs if fit is None]
    others = iter(fit_targets(left, [None] * len(left)))
    fits = [_of_quantile(next(others)) if fit is None else fit for _, fit in pairs]
    return QuantileFits(fits, crossing_share(problems, fits))


def _of_quantile(fit: Fit) -> QuantileFit:
    """Return what is kept of a fit that was made by itself."""
    done = fit.success, fit.stopped
    return QuantileFit(fit.coef, fit.intercept, fit.dual_gap, fit.n_iter, *done)


def _fit(
    problem: Problem, start: Array | None, basis: Basis | None, shared: Model | None
) -> tuple[Fit, Model | None]:
    """Return the fit of a problem, and its Hessian if it is that of every y."""
    own = (problem, start) if basis is None else in_basis(problem, start, basis)
    scaled = AnyScale(*own, shared)
    found, stopped = fit_unless_stopped(scaled)
    shared = scaled.shared_model()
    if basis is not None:
        scaled = lifted(scaled, problem, basis)
    fit = _finished(scaled, found, isinstance(problem.scale, str))
    return replace(fit, stopped=stopped), shared


def fit_from(problem: Problem, start: Array, collapsed: bool) -> Fit:
    """Fit one target at an estimated scale, going down from exactly a start.

    Parameters
    ----------
    problem : Problem
        What to fit; its scale is a number.
    start : ndarray of shape (n_params,)
        Params in units of y. The fit is the minimum of the valley that they lie in,
        if the loss is not convex.
    collapsed : bool
        Whether the scale is the least that counts as positive.
    """
    basis = basis_of(problem)
    own = (problem, start) if basis is None else in_basis(problem, start, basis)
    scaled = AnyScale(*own, is_near=True)
    found, stopped = fit_unless_stopped(scaled)
    if basis is not None:
        scaled = lifted(scaled, problem, basis)
    found = replace(found, collapsed=collapsed)
    return replace(_finished(scaled, found, True), stopped=stopped)


def _finished(scaled: AnyScale, found: FixedPoint, estimated: bool) -> Fit:
    """Return the last fit in original units."""
    problem = scaled.problem
    data = (problem.rows, problem.weight)
    coef, intercept = answer(*data, scaled.params(), found.scale, problem.eps)
    if coef.dtype != np.float64:
        scaled.take_rounded(coef, intercept)
    result = scaled.last
    residual = result.point.residual.astype(np.float64, copy=False)
    scale = _residual_scale(scaled, found, residual, estimated)
    least = min(scale, found.scale)
    rounding = rounding_scale(*data, coef, intercept, problem.eps, least)
    scale = max(scale, rounding)
    # A scale that rounding hides, in single precision, far from 0 or where columns
    # nearly depend on each other, is none of the stored answer's.
    least = rounding if problem.eps > EPS else max(rounding, scaled.rounding())
    hidden = isinstance(problem.scale, str) and found.scale <= least
    collapsed = found.collapsed or bool(hidden)
    stationarity = _stationarity(result.point)
    # A canonical or refined point may have lost to rounding what the solver found.
    lost = bool(np.isnan(result.gap)) and stationarity > SOUND
    facts, weights, counted = problem.loss.facts, None, 1.0
    if facts.smooth:
        weights = relative_weight(problem.loss, residual)
    if weights is not None and not facts.convex:
        counted = float(problem.weight @ weights) / float(problem.weight.sum())
    return Fit(
        coef=coef,
        intercept=intercept,
        scale=found.scale,
        objective=float(result.point.value),
        dual_gap=float(result.gap),
        stationarity=stationarity,
        n_iter=max(int(result.n_iter), 1),
        weights=weights,
        residual_scale=scale,
        outliers=flag(residual, problem.outlier_threshold * scale / found.scale),
        success=bool(result.success) and found.converged and not lost,
        collapsed=collapsed,
        message=_account(result, found, lost),
        disagreement=0.0 if found.converged else found.disagreement,
        counted=counted,
    )


def _account(result: Result, found: FixedPoint, lost: bool) -> str:
    """Return what happened to a fit."""
    if not found.converged:
        return "the scale did not settle"
    lost = lost and result.success
    return "rounding errors are too large" if lost else result.message


def _stationarity(point: Point) -> float:
    """Return the relative violation of the optimality condition, nan at a kink.

    Where all residuals are rounding errors, so is the violation.
    """
    objective = point.objective
    if not objective.loss.facts.smooth:
        return float("nan")
    if point.value <= objective.exact_value:
        return 0.0
    return float(stationarity(objective, point))


def _residual_scale(
    scaled: AnyScale, found: FixedPoint, residual: Array, estimated: bool
) -> float:
    """Return the scale of the residuals: the fit's own, if estimated and positive.

    Of a rounded answer that has changed.
    """
    problem = scaled.problem
    if estimated and not found.collapsed:
        if problem.eps > EPS and isinstance(problem.scale, str):
            return found.scale * scaled.measure(problem.scale, residual)
        return found.scale
    return measured_scale(residual, found.scale, problem.y, problem.weight)
