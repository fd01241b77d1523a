"""The fit without columns, and the penalty from which on it is optimal.

Coefficients of 0 are optimal if and only if some optimal slopes d of the intercept's
fit meet ``abs(design.T @ (w d)) <= l1`` [1]_. For a smooth loss the slopes are unique.
Rows that a loss with a kink fits exactly leave theirs open, and the smallest bound is
that of a linear program in those. Of a loss that is not convex it is a local minimum,
at penalties for which the convex fit that starts it has no columns, either.

References
----------
.. [1] Osborne, M. R., Presnell, B., Turlach, B. A. (2000). On the LASSO and its dual.
   Journal of Computational and Graphical Statistics 9, 319-337.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from scipy.optimize import brentq, linprog

from robustreg.linalg import EPS, TINY
from robustreg.objective import Objective, Point
from robustreg.penalties import ElasticNet
from robustreg.rows import Array, DenseRows, Index, Standard
from robustreg.solvers.majorised import START_TOL, convex_start
from robustreg.solvers.results import Start
from robustreg.solvers.scipy_methods import LP_TOLERANCES
from robustreg.solvers.table import solve
from robustreg.tolerance import allowed_gap


@dataclass(frozen=True)
class NullFit:
    """The optimum with all coefficients 0.

    Parameters
    ----------
    point : Point
        Where the coefficients are 0.
    gap : float
        A bound on the value there minus the minimum over the intercept; nan for a loss
        that is not convex.
    adjoint : ndarray of shape (n_params,)
        Of optimal slopes, the smallest in units of the l1 part.
    strength : float
        The smallest multiple of the penalty that keeps all coefficients at 0.
    own_strength : float
        The same without the convex fit that starts one of a loss that is not convex.
    success : bool
        Whether the intercept was found to the tolerance.
    """

    point: Point
    gap: float
    adjoint: Array
    strength: float
    own_strength: float
    success: bool


def null_fit(objective: Objective, tol: float, max_iter: int) -> NullFit:
    """Return the optimum with all coefficients 0, whatever the penalty is."""
    if not objective.loss.facts.convex:
        return _null_valley(objective, tol, max_iter)
    params, slopes, gap = _intercept(objective, tol, max_iter)
    point = objective.evaluate(params)
    adjoint = -point.gradient
    if not objective.loss.facts.smooth:
        exact = np.abs(point.residual) <= objective.noise
        free = np.flatnonzero(exact & (objective.weight > 0))
        slopes = np.where(exact, slopes, objective.loss.gradient(point.residual))
        slopes[free] = _least_slopes(objective, slopes, free)
        adjoint = objective.adjoint(slopes)
    success = gap <= allowed_gap(objective, point, tol, slopes)
    strength = _strength(objective, adjoint)
    return NullFit(point, gap, adjoint, strength, strength, success)


def _null_valley(objective: Objective, tol: float, max_iter: int) -> NullFit:
    """Return the local minimum that the convex fit without columns leads to."""
    convex = objective.with_loss(convex_start(objective.loss), objective.target)
    start = null_fit(convex, max(tol, START_TOL), max_iter)
    params = np.zeros(objective.n_params)
    success = start.success
    if objective.rows.standard.constant:
        near = Start(start.point.params[-1:], is_near=True)
        result = solve(_without_columns(objective), near, "auto", tol, max_iter)
        params[-1], success = result.params[-1], bool(result.success)
    point = objective.evaluate(params)
    own = _strength(objective, -point.gradient)
    strength = max(own, start.strength)
    return NullFit(point, np.nan, -point.gradient, strength, own, success)


def _intercept(
    objective: Objective, tol: float, max_iter: int
) -> tuple[Array, Array, float]:
    """Return the params of the intercept's fit, its slopes and its gap."""
    params = np.zeros(objective.n_params)
    if not objective.rows.standard.constant:
        return params, np.zeros_like(objective.target), 0.0
    if objective.loss.facts.smooth:
        params[-1] = _root(objective)
        residual = objective.target - params[-1]
        slopes = objective.loss.gradient(residual)
        if objective.weight @ objective.loss.curvature(residual) > 0:
            missed = abs(float(objective.weight @ slopes))
            return params, slopes, missed * float(objective.weight @ np.abs(residual))
    alone = _without_columns(objective)
    near = Start(params[-1:], is_near=True)
    result = solve(alone, near, "auto", tol, max_iter)
    params[-1] = result.params[-1]
    return params, result.optimal_slopes, float(result.gap)


def _root(objective: Objective) -> float:
    """Return the intercept at which the slopes of a smooth loss cancel."""
    target, weight, loss = objective.target, objective.weight, objective.loss
    live = weight > 0

    def slope(intercept: float) -> float:
        return float(weight @ loss.gradient(target - intercept))

    low, high = float(target[live].min()), float(target[live].max())
    if low == high:
        return low
    tolerances = {"xtol": objective.noise + TINY, "rtol": 4 * EPS}
    # Halvings from the largest distance between targets to the smallest.
    return float(brentq(slope, low, high, **tolerances, maxiter=1000))


def _without_columns(objective: Objective) -> Objective:
    """Return the objective of the intercept alone."""
    none = np.zeros(0)
    standard = Standard(none, none, objective.rows.standard.constant)
    rows = DenseRows(np.zeros((objective.rows.n_rows, 0)), standard)
    penalty = ElasticNet(none, none)
    return Objective(rows, objective.target, objective.weight, objective.loss, penalty)


def _strength(objective: Objective, adjoint: Array) -> float:
    """Return the largest adjoint in units of the l1 part."""
    live = objective.l1 > 0
    return float((np.abs(adjoint[live]) / objective.l1[live]).max(initial=0.0))


def _least_slopes(objective: Objective, slopes: Array, free: Index) -> Array:
    """Return the slopes of the free rows that make the strength smallest.

    One free row has no choice if there is an intercept. Unknowns of the program are
    the slopes and the strength, in units of the largest possible one.
    """
    standard = objective.rows.standard
    if free.size <= standard.constant or not objective.l1.any():
        return slopes[free]
    held = slopes.copy()
    held[free] = 0.0
    rest = objective.adjoint(held)
    live = np.flatnonzero(objective.l1)
    unit, weight = objective.l1[live], objective.weight[free]
    matrix, offset = objective.rows.take(free).entries()
    design = scipy.sparse.csr_array(matrix[:, live]).toarray() - offset[live]
    columns, base = design.T * (weight / unit[:, None]), rest[live] / unit
    size = float((np.abs(base) + np.abs(columns).sum(axis=1)).max(initial=0.0)) or 1.0
    minus = np.full((live.size, 1), -1.0)
    above = np.block([[columns / size, minus], [-columns / size, minus]])
    balance = np.append(weight / weight.sum(), 0.0) * standard.constant
    result = linprog(
        np.append(np.zeros(free.size), 1.0),
        A_ub=above,
        b_ub=np.concatenate([-base, base]) / size,
        A_eq=balance[None, :],
        b_eq=[-rest[-1] / weight.sum()],
        bounds=[objective.loss.facts.slopes] * free.size + [(0.0, None)],
        method="highs",
        options=LP_TOLERANCES,
    )
    return slopes[free] if result.x is None else np.asarray(result.x[:-1])
