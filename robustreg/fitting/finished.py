"""What users get of a fit: the last one at its scale, in original units."""

from __future__ import annotations

import numpy as np

from robustreg.fitting.any_scale import AnyScale
from robustreg.fitting.basis import Found
from robustreg.fitting.precision import answer
from robustreg.fitting.problem import Fit
from robustreg.linalg import EPS
from robustreg.losses import relative_weight
from robustreg.objective import Point
from robustreg.outliers import flag, measured_scale, rounding_scale
from robustreg.rows import Array
from robustreg.scale import FixedPoint
from robustreg.solvers import Result
from robustreg.solvers.majorised import SOUND
from robustreg.tolerance import stationarity


def finished(ended: Found, estimated: bool) -> Fit:
    """Return a fit in original units.

    Parameters
    ----------
    ended : Found
        The fit.
    estimated : bool
        Whether its scale is an estimate, or measured beside a scale that is given.
    """
    scaled, found = ended.whole, ended.at
    problem = scaled.problem
    scaled.drop_sample()
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
    hidden = problem.estimate is not None and found.scale <= least
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
        stopped=ended.stopped,
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
        if problem.eps > EPS and problem.estimate is not None:
            return found.scale * scaled.measure(residual)
        return found.scale
    return measured_scale(residual, found.scale, problem.y, problem.weight)
