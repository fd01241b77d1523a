"""One target's fit: at a given scale, or with the scale that its residuals have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.optimize import OptimizeResult

from robustreg.losses import L1, Loss, relative_weight
from robustreg.objective import Objective
from robustreg.penalties import Penalty
from robustreg.rows import Array, Rows
from robustreg.scale import (
    SCALES,
    find_fixed_point,
    mad,
    scale_floor,
    spread,
    weighted_median,
)
from robustreg.solvers import near_start, solve
from robustreg.solvers.refinement import refine

# A smooth fit whose scaled Hessian has a reciprocal condition number below this has
# its last digits refined, unless the data is so large that extended precision, without
# BLAS, would cost more than the fit.
REFINED_RCOND = 1e-4
MOST_ENTRIES = 10**7


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
    solver, tol, max_iter
        As the estimators document them.
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
        Objective, and a bound on it minus its minimum.
    n_iter : int
        Iterations of the last fit, at least 1.
    weights : ndarray of shape (n_rows,) or None
        Robustness weights; None for a loss with a kink.
    success : bool
        Whether the gap is within the tolerance.
    collapsed : bool
        Whether the scale was held at its floor.
    message : str
        The solver's account.
    """

    coef: Array
    intercept: float
    scale: float
    objective: float
    dual_gap: float
    n_iter: int
    weights: Array | None
    success: bool
    collapsed: bool
    message: str


@final
class _Scaled:
    """The problem at any scale, each fit started from the one before."""

    def __init__(self, problem: Problem, start: Array | None) -> None:
        self.problem = problem
        constant = problem.rows.standard.constant
        self._center = constant * weighted_median(problem.y, problem.weight)
        self._params = np.zeros(problem.rows.n_params)
        if start is not None:
            self._params = start.copy()
            self._params[-1] -= self._center
        self._penalty = problem.penalty.rescaled(problem.rows.standard.unit)
        self._weight = problem.weight / problem.weight.sum()
        self.result: OptimizeResult = OptimizeResult()

    def objective(self, scale: float, loss: Loss) -> Objective:
        """Return the objective in units of a scale."""
        target = (self.problem.y - self._center) / scale
        return Objective(self.problem.rows, target, self._weight, loss, self._penalty)

    def fit(self, scale: float, near: bool = False) -> Array:
        """Fit at a scale, perhaps from a near fit; return residuals in units of y."""
        p = self.problem
        objective = self.objective(scale, p.loss)
        start = self._params.astype(np.float64) / scale
        self.result = solve(objective, start, p.solver, p.tol, p.max_iter, near)
        entries = p.rows.n_rows * p.rows.n_params
        rcond = self.result.get("rcond")
        delicate = rcond is not None and rcond < REFINED_RCOND
        if delicate and self.result.success and entries < MOST_ENTRIES:
            exact = (p.y.astype(np.longdouble) - self._center) / scale
            self.result.point = refine(objective, self.result.point, exact)
        self._params = self.result.point.params * scale
        return np.asarray(self.result.point.residual * scale, dtype=np.float64)

    def near_l1(self, scale: float) -> Array:
        """Start from nearly the L1 fit and return its residuals in units of y."""
        objective = self.objective(scale, L1())
        point = objective.evaluate(
            near_start(objective, self._params.astype(np.float64) / scale)
        )
        self._params = point.params * scale
        return np.asarray(point.residual * scale)

    def params(self) -> Array:
        """Return the params of the last fit, in units of y."""
        params = self._params.copy()
        params[-1] += self._center
        return params


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
        scale, collapsed, converged = _estimated_scale(scaled, problem.scale)
    else:
        scale, collapsed, converged = float(problem.scale), False, True
        scaled.fit(scale)
    result = scaled.result
    coef, intercept = problem.rows.standard.to_original(scaled.params())
    smooth = np.isfinite(problem.loss.facts.largest_curvature)
    residual = result.point.residual.astype(np.float64)
    return Fit(
        coef=coef.astype(np.float64),
        intercept=float(intercept),
        scale=scale,
        objective=float(result.point.value),
        dual_gap=float(result.gap),
        n_iter=max(int(result.nit), 1),
        weights=relative_weight(problem.loss, residual) if smooth else None,
        success=bool(result.success) and converged,
        collapsed=collapsed,
        message=result.message if converged else "the scale did not settle",
    )


def _estimated_scale(scaled: _Scaled, name: str) -> tuple[float, bool, bool]:
    """Return the fixed point of a scale estimate, from the L1 fit's MAD."""
    problem = scaled.problem
    n_params = int(np.count_nonzero(problem.rows.standard.unit))
    n_params += int(problem.rows.standard.constant)
    floor = scale_floor(problem.y, problem.weight)
    unit = max(spread(problem.y, problem.weight), floor)
    start = mad(scaled.near_l1(unit), problem.weight, n_params)

    def measure_at(scale: float) -> float:
        return SCALES[name](scaled.fit(scale, near=True), problem.weight, n_params)

    found = find_fixed_point(measure_at, start if start > floor else unit, floor)
    return found.scale, found.collapsed, found.converged
