"""One target's fit: at a given scale, or with the scale that its residuals have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from scipy.optimize import OptimizeResult

from robustreg.losses import L1, Loss, relative_weight
from robustreg.objective import Objective, Point
from robustreg.outliers import flag, measured_scale, rounding_scale
from robustreg.penalties import Penalty
from robustreg.rows import Array, Rows, representatives
from robustreg.scale import (
    MOST_SORTED,
    SCALE_RTOL,
    SCALES,
    FixedPoint,
    find_fixed_point,
    mad,
    scale_floor,
    spread,
    weighted_median,
)
from robustreg.solvers import near_start, solve
from robustreg.solvers.direct import direct_step
from robustreg.solvers.facts import step_rule_for
from robustreg.solvers.majorised import SOUND, convex_start
from robustreg.solvers.refinement import refine
from robustreg.solvers.sampling import Sample, default_size, sample
from robustreg.solvers.subsampled import preconditioner_at

# A smooth fit whose scaled Hessian has a reciprocal condition number below this has
# its last digits refined, unless the data is so large that extended precision, without
# BLAS, would cost more than the fit.
REFINED_RCOND = 1e-4
MOST_ENTRIES = 10**7
# A sample's scale and fit start those of all rows; they are only so close anyway.
ROUGH_RTOL, ROUGH_TOL = 1e-3, 1e-8
# A kinked fit of all rows costs little more than one of a sample, unless they are so
# many times more.
WORTHWHILE_IF_KINKED = 10
# A fit on the way to the scale may have a relative gap of this share of the square of
# the relative distance that is left.
SCALE_SHARE = 1e-3


@dataclass(frozen=True)
class Problem:
    """What a fit minimises and how.

    Parameters
    ----------
    rows : Rows
        The standardised design.
    y : ndarray of shape (n_rows,)
        The target, in its own units.
    weight : ndarray of shape (n_rows,)
        Weights that count rows.
    loss : Loss
        The loss.
    penalty : Penalty
        The penalty of the original coefficients over the scale.
    scale : float or str
        A number or a name in `robustreg.scale.SCALES`.
    solver, tol, max_iter, outlier_threshold
        As the estimators document them.
    eps : float
        Relative rounding error of the predictions that users will see.
    """

    rows: Rows
    y: Array
    weight: Array
    loss: Loss
    penalty: Penalty
    scale: float | str
    solver: str
    tol: float
    max_iter: int
    outlier_threshold: float
    eps: float


@dataclass(frozen=True)
class Initial:
    """The fit that a fit started from, in original units.

    Parameters
    ----------
    coef : ndarray of shape (n_features,)
        Coefficients.
    intercept : float
        Intercept, in units of y.
    """

    coef: Array
    intercept: float


@dataclass(frozen=True)
class Fit:
    """A fitted target, in original units.

    Parameters
    ----------
    coef : ndarray of shape (n_features,)
        Coefficients.
    intercept, scale : float
        Intercept and scale, in units of y.
    objective, dual_gap : float
        Objective, and a bound on it minus its minimum; nan for a loss that is not
        convex.
    stationarity : float
        Relative violation of the optimality condition; nan for a loss with a kink.
    n_iter : int
        Iterations of the last fit, at least 1.
    weights : ndarray of shape (n_rows,) or None
        Robustness weights; None for a loss with a kink.
    residual_scale : float
        Scale of the residuals, in units of y, positive.
    outliers : ndarray of bool of shape (n_rows,)
        Residuals of more than ``outlier_threshold`` such scales.
    success : bool
        Whether the solver met the tolerance and the scale settled.
    collapsed : bool
        Whether the scale was held at its floor.
    message : str
        The solver's account.
    initial : Initial or None
        The fit that it started from, where that is an estimate of its own.
    """

    coef: Array
    intercept: float
    scale: float
    objective: float
    dual_gap: float
    stationarity: float
    n_iter: int
    weights: Array | None
    residual_scale: float
    outliers: Array
    success: bool
    collapsed: bool
    message: str
    initial: Initial | None = None


@final
class _Scaled:
    """The problem at any scale, each fit started from the one before."""

    def __init__(self, problem: Problem, start: Array | None) -> None:
        self.problem = problem
        some, share = representatives(problem.weight, MOST_SORTED)
        constant = problem.rows.standard.constant
        self._center = constant * weighted_median(problem.y[some], share)
        self._params = np.zeros(problem.rows.n_params)
        if start is not None:
            self._params = start.copy()
            self._params[-1] -= self._center
        self._penalty = problem.penalty.rescaled(problem.rows.standard.unit)
        self._weight = problem.weight / problem.weight.sum()
        self._scale = 1.0
        self.result: OptimizeResult = OptimizeResult()

    def objective(self, scale: float, loss: Loss) -> Objective:
        """Return the objective in units of a scale."""
        target = self.problem.y - self._center
        target /= scale
        return Objective(self.problem.rows, target, self._weight, loss, self._penalty)

    def fit(self, scale: float, tol: float) -> Array:
        """Fit at a scale, from the last fit if any; return residuals in its units."""
        p = self.problem
        objective = self.objective(scale, p.loss)
        start = self._params.astype(np.float64) / scale
        previous = self.result if self.result else None
        if previous is not None and "point" in previous:
            previous.residual = previous.point.residual * (self._scale / scale)
        self.result = solve(objective, start, p.solver, tol, p.max_iter, previous)
        entries = p.rows.n_rows * p.rows.n_params
        rcond = self.result.get("rcond")
        delicate = rcond is not None and rcond < REFINED_RCOND
        if delicate and self.result.success and entries < MOST_ENTRIES:
            exact = (p.y.astype(np.longdouble) - self._center) / scale
            self.result.point = refine(objective, self.result.point, exact)
        self._params, self._scale = self.result.point.params * scale, scale
        return np.asarray(self.result.point.residual, dtype=np.float64)

    def near_l1(self, scale: float) -> Array:
        """Start from nearly the L1 fit and return its residuals in units of y."""
        objective = self.objective(scale, L1())
        start = self._params.astype(np.float64) / scale
        params = near_start(objective, start, step_rule_for(objective)).params
        self._params = params * scale
        self.result = OptimizeResult(x=params)
        return np.asarray(objective.residual(params) * scale)

    def near_convex(self, name: str) -> FixedPoint:
        """Start from the fit of a convex loss; return its scale."""
        convex = replace(self.problem, loss=convex_start(self.problem.loss))
        other = _Scaled(replace(convex, solver="auto"), self.params())
        found = _estimated_scale(other, name, ROUGH_RTOL)
        self._params = other.params()
        self._params[-1] -= self._center
        self.result = OptimizeResult(x=self._params)
        return replace(found, converged=False)

    def near_sample(self, name: str) -> FixedPoint | None:
        """Start from the fit of a sample of rows; return its scale.

        None if rows are few or if the sample's scale is no guide. Which valley of a
        loss that is not convex a fit lies in is for all rows to say.
        """
        if not self.problem.loss.facts.convex:
            return None
        whole = self.objective(1.0, self.problem.loss)
        size = default_size(whole)
        few_rows = whole.rows.n_rows < WORTHWHILE_IF_KINKED * size
        if few_rows and self.problem.loss.facts.piecewise_linear:
            return None
        drawn = sample(whole, size)
        if drawn is None:
            return None
        few = _Scaled(_of_sample(self.problem, drawn), self.params())
        found = _estimated_scale(few, name, ROUGH_RTOL)
        if found.collapsed or not (found.converged and few.result.success):
            return None
        self._params = few.params()
        self._params[-1] -= self._center
        self.result = OptimizeResult(x=self._params)
        at_scale = few.objective(found.scale, self.problem.loss)
        if step_rule_for(at_scale) is direct_step:
            there = replace(drawn, objective=at_scale)
            self.result.preconditioner = preconditioner_at(there, few.result.point)
        return found

    def params(self) -> Array:
        """Return the params of the last fit, in units of y."""
        params = self._params.copy()
        params[-1] += self._center
        return params


def _of_sample(problem: Problem, drawn: Sample) -> Problem:
    """Return the problem of a sample's rows, weighted to stand for all."""
    few = drawn.objective
    return replace(
        problem,
        rows=few.rows,
        y=problem.y[drawn.index],
        weight=few.weight * (drawn.index.size / few.weight.sum()),
        tol=max(problem.tol, ROUGH_TOL),
    )


def fit_problem(problem: Problem, start: Array | None = None) -> Fit:
    """Fit one target.

    Parameters
    ----------
    problem : Problem
        What to fit.
    start : ndarray of shape (n_params,) or None
        Params in units of y to start from; None starts at the median of y.
    """
    scaled = _Scaled(problem, start)
    if isinstance(problem.scale, str):
        found = _estimated_scale(scaled, problem.scale, SCALE_RTOL)
    else:
        found = FixedPoint(float(problem.scale), collapsed=False, converged=True)
        scaled.fit(found.scale, problem.tol)
    return _finished(scaled, found, isinstance(problem.scale, str))


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
    scaled = _Scaled(problem, start)
    scaled.result = OptimizeResult(x=start)
    found = FixedPoint(float(problem.scale), collapsed=collapsed, converged=True)
    scaled.fit(found.scale, problem.tol)
    return _finished(scaled, found, True)


def _finished(scaled: _Scaled, found: FixedPoint, estimated: bool) -> Fit:
    """Return the last fit in original units."""
    problem, result = scaled.problem, scaled.result
    # A sample's rows are memory, and no further fit starts here.
    result.pop("preconditioner", None)
    coef, intercept = problem.rows.standard.to_original(scaled.params())
    smooth = np.isfinite(problem.loss.facts.largest_curvature)
    residual = result.point.residual.astype(np.float64, copy=False)
    scale = _residual_scale(problem, found, residual, estimated)
    scale = max(
        scale, rounding_scale(problem.rows.standard, coef, intercept, problem.eps)
    )
    stationarity = _stationarity(result.point)
    # A canonical or refined point may have lost to rounding what the solver found.
    lost = bool(np.isnan(result.gap)) and stationarity > SOUND
    trouble = "rounding errors are too large" if result.success else result.message
    return Fit(
        coef=coef.astype(np.float64),
        intercept=float(intercept),
        scale=found.scale,
        objective=float(result.point.value),
        dual_gap=float(result.gap),
        stationarity=stationarity,
        n_iter=max(int(result.nit), 1),
        weights=relative_weight(problem.loss, residual) if smooth else None,
        residual_scale=scale,
        outliers=flag(residual, problem.outlier_threshold * scale / found.scale),
        success=bool(result.success) and found.converged and not lost,
        collapsed=found.collapsed,
        message=trouble if found.converged else "the scale did not settle",
    )


def _stationarity(point: Point) -> float:
    """Return the relative violation of the optimality condition, nan at a kink.

    Where all residuals are rounding errors, so is the violation.
    """
    objective = point.objective
    if not np.isfinite(objective.loss.facts.largest_curvature):
        return float("nan")
    if point.value <= objective.exact_value:
        return 0.0
    return float(objective.stationarity(point))


def _residual_scale(
    problem: Problem, found: FixedPoint, residual: Array, estimated: bool
) -> float:
    """Return the scale of the residuals: the fit's own, if estimated and positive."""
    if estimated and not found.collapsed:
        return found.scale
    return measured_scale(residual, found.scale, problem.y, problem.weight)


def _estimated_scale(scaled: _Scaled, name: str, rtol: float) -> FixedPoint:
    """Return the fixed point of a scale estimate, from a sample's or the L1 fit's MAD.

    For a loss that is not convex from that of a convex one, whose valley it follows.
    Fits far from the fixed point are made roughly.
    """
    problem, measure = scaled.problem, SCALES[name]
    n_params = int(np.count_nonzero(problem.rows.standard.unit))
    n_params += int(problem.rows.standard.constant)
    floor = scale_floor(problem.y, problem.weight)
    near = scaled.near_sample(name)
    if not problem.loss.facts.convex:
        near = scaled.near_convex(name)
    elif near is None:
        unit = max(spread(problem.y, problem.weight), floor)
        start = mad(scaled.near_l1(unit), problem.weight, n_params)
        near = FixedPoint(start if start > floor else unit, False, False)
    # A kinked fit is exact in any case.
    kinked = problem.loss.facts.piecewise_linear
    away, tol = (0.0 if kinked else 1.0), problem.tol

    def measure_at(scale: float) -> float:
        nonlocal away, tol
        tol = max(problem.tol, SCALE_SHARE * away**2)
        residual = scaled.fit(scale, tol)
        ratio = measure(residual, problem.weight, n_params)
        away = 0.0 if kinked or ratio <= 0 else min(abs(float(np.log(ratio))), 1.0)
        return ratio * scale

    if near.converged:
        # With a sample's Hessian each pass gains two digits of everything at once; more
        # of the scale than of the coefficients would be of no use.
        rtol = max(rtol, 1e-3 * float(np.sqrt(problem.tol)))
    found = find_fixed_point(measure_at, near.scale, floor, near.slope, rtol)
    if tol > problem.tol:
        scaled.fit(found.scale, problem.tol)
    return found
