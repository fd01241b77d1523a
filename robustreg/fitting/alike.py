"""Fits of the same rows that differ in loss, penalty or scale, each near another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from robustreg.fitting.any_scale import AnyScale
from robustreg.fitting.basis import in_basis, lifted
from robustreg.fitting.coordinates import units_of
from robustreg.fitting.estimated import estimated_scale
from robustreg.fitting.precision import answer
from robustreg.fitting.problem import Problem
from robustreg.linalg import factorise
from robustreg.losses import relative_weight
from robustreg.penalties import ElasticNet
from robustreg.rows import Array
from robustreg.scale import COUNTED, SCALES, FixedPoint
from robustreg.solvers.majorised import FEW_COUNT
from robustreg.solvers.many.mean_curvature import (
    Measure,
    Shared,
    Terms,
    fit_by_mean_curvature,
)
from robustreg.solvers.many.vertices import REGULAR
from robustreg.solvers.orthogonal import Basis

# Where rows are few for their columns, mean curvature times the Gram matrix is no
# Hessian; a design of more entries is not formed, nor more residuals at a time.
FEWEST_ROWS, MOST_FORMED, MOST_RESIDUALS = 10, 2**24, 2**23
# Steps end four digits beyond what is asked for: each gains about two.
AT_ONCE = 1e-4


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


def fit_at_once(problems: list[Problem]) -> list[Alike | None]:
    """Return the fits of problems with convex and smooth losses, by one Gram matrix.

    None for those that it does not lead to, or not for certain, and for all if rows are
    sparse, or their columns depend on each other or all but do. Those of the first loss
    start at the median of y, all others at that of them whose penalty is most alike.

    Parameters
    ----------
    problems : list of Problem
        With the same rows, weights and kind of scale.
    """
    fits: list[Alike | None] = [None] * len(problems)
    some = [i for i, problem in enumerate(problems) if _is_smooth(problem)]
    shared = _shared(problems[some[0]]) if some else None
    if shared is None:
        return fits
    first = [i for i in some if problems[i].loss == problems[some[0]].loss]
    others = [i for i in some if i not in first]
    most = max(MOST_RESIDUALS // shared.target.size, 1)
    for group in (first, others):
        starts: list[Alike] = [fit for i in first if (fit := fits[i]) is not None]
        penalties = [problems[i].penalty for i in first if fits[i] is not None]
        for low in range(0, len(group), most):
            few = [problems[i] for i in group[low : low + most]]
            near = [starts[_most_like(p.penalty, penalties)] for p in few if starts]
            found = _at_once(few, shared, near)
            for i, fit in zip(group[low : low + most], found, strict=True):
                fits[i] = fit
    return fits


def _most_like(penalty: ElasticNet, others: list[ElasticNet]) -> int:
    """Return which penalty is nearest in the sum of what it weighs."""
    own = penalty.l1.sum(), penalty.l2.sum()
    away = [abs(o.l1.sum() - own[0]) + abs(o.l2.sum() - own[1]) for o in others]
    return int(np.argmin(away))


def _is_smooth(problem: Problem) -> bool:
    """Return whether a loss has a curvature everywhere, and one valley."""
    facts = problem.loss.facts
    return facts.convex and bool(np.isfinite(facts.largest_curvature))


def _shared(problem: Problem) -> Shared | None:
    """Return what problems share, None if it is too much, or no guide."""
    rows = problem.rows
    p, few = rows.n_params, rows.n_rows * rows.n_params <= MOST_FORMED
    if rows.stored is not None or not few or rows.n_rows < FEWEST_ROWS * p:
        return None
    weight = problem.weight / problem.weight.sum()
    gram = rows.gram(weight, np.arange(p))
    # Of what does not vary the params are 0.
    gram[np.diag_indices(p)] += ~rows.varies
    if factorise(gram).rcond < REGULAR:
        return None
    target = problem.y - units_of(problem).center
    return Shared(rows.dense(np.arange(rows.n_rows)), target, weight, gram)


def _at_once(
    problems: list[Problem], shared: Shared, near: list[Alike]
) -> list[Alike | None]:
    """Return the fits that one Gram matrix leads to, from fits near them if any."""
    first = problems[0]
    unit, units = first.rows.standard.unit, units_of(first)
    terms = []
    for problem in problems:
        own = problem.penalty.rescaled(unit)
        terms.append(
            Terms(problem.loss, np.append(own.l1, 0.0), np.append(own.l2, 0.0))
        )
    measure, start = None, np.full(len(problems), 1.0)
    if isinstance(first.scale, str):
        measure = _measure(first, str(first.scale))
        start *= measure(shared.target) or 1.0
    else:
        start *= float(first.scale)
    params = np.zeros((len(problems), first.rows.n_params))
    if near:
        params = units.from_original(np.array([fit.params for fit in near]))
        start = start if measure is None else np.array([fit.scale for fit in near])
    tol = AT_ONCE * first.tol
    params, scales, found = fit_by_mean_curvature(
        shared, terms, params, start, measure, tol, first.max_iter
    )
    original = units.to_original(params)
    return [
        _as_alike(problem, one, float(scale)) if is_found else None
        for problem, one, scale, is_found in zip(
            problems, original, scales, found, strict=True
        )
    ]


def _measure(problem: Problem, name: str) -> Measure:
    """Return what measures the scale of residuals, for columns that do not depend."""
    n_params = int(problem.rows.varies.sum()) if name in COUNTED else 0
    return lambda residual: SCALES[name](residual, problem.weight, n_params)


def _as_alike(problem: Problem, params: Array, scale: float) -> Alike:
    """Return a fit that was found."""
    data = (problem.rows, problem.weight)
    coef, intercept = answer(*data, params, scale, problem.eps)
    return Alike(params, coef, intercept, scale, True, True)
