"""A problem whose columns all but depend on each other, and the way to it and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from robustreg.fitting.any_scale import AnyScale
from robustreg.fitting.estimated import estimated_scale
from robustreg.fitting.problem import Problem
from robustreg.objective import Model
from robustreg.penalties import ElasticNet
from robustreg.report import Report, StopFit
from robustreg.rows import Array
from robustreg.scale import FixedPoint
from robustreg.solvers import stopped_at
from robustreg.solvers.orthogonal import (
    Basis,
    InBasis,
    UnseenRow,
    basis_for,
    basis_of_far_rows,
    certified,
)


@final
@dataclass(frozen=True)
class Found:
    """A fit of a problem.

    Parameters
    ----------
    whole : AnyScale
        The problem itself with its last fit.
    inner : AnyScale
        What was fitted: the same, or in a basis.
    basis : InBasis or None
        That basis.
    at : FixedPoint
        Its scale.
    stopped : bool
        Whether a report asked to stop before its end, which then is the best so far.
    """

    whole: AnyScale
    inner: AnyScale
    basis: InBasis | None
    at: FixedPoint
    stopped: bool


def fit_in_basis(
    problem: Problem,
    start: Array | None,
    basis: InBasis | None,
    *,
    shared: Model | None = None,
    is_near: bool = False,
    near: float | None = None,
) -> Found:
    """Fit a problem in a basis, or in one that an unseen row asks for on the way.

    The scale is the one given, or agrees with its own fit: of a convex loss it is
    looked for at ``near``, the scale of a like fit.
    """
    given = _given(problem, start, basis)
    inner, stopped = AnyScale(*given, shared, is_near=is_near), False
    try:
        try:
            if problem.estimate is None:
                inner.fit(float(problem.scale), problem.tol)
                at = FixedPoint(float(problem.scale), converged=True)
            else:
                at = estimated_scale(inner, near=near)
        except StopFit as stop:
            at, stopped = _end_at(inner, stop), True
    except UnseenRow:
        penalty = _standardised(problem)
        basis = basis_of_far_rows(problem.rows, problem.weight, penalty)
        return fit_in_basis(problem, start, basis, is_near=is_near, near=near)
    inner.end_watch()
    return Found(_lifted(inner, problem, basis), inner, basis, at, stopped)


def _end_at(scaled: AnyScale, stop: StopFit) -> FixedPoint:
    """Make the best that is known when a fit is stopped its last; return its scale.

    That is the one given, or that of the residuals.
    """
    problem, collapsed = scaled.problem, False
    if problem.estimate is None:
        scale = float(problem.scale)
    else:
        in_units_of_y = scaled.objective(1.0, problem.loss)
        residual = in_units_of_y.residual(scaled.in_units_of(1.0, stop.params))
        measured = scaled.measure(residual)
        scale, collapsed = max(measured, scaled.floor), measured <= scaled.floor
    objective = scaled.objective(scale, problem.loss)
    point = objective.evaluate(scaled.in_units_of(scale, stop.params))
    result = stopped_at(objective, point, problem.tol, stop.n_passes)
    scaled.take(scale, objective, result)
    return FixedPoint(scale, collapsed=collapsed, converged=True)


def basis_of(problem: Problem) -> InBasis | None:
    """Return the coordinates that a problem is to be solved in, None for its own."""
    return basis_for(problem.rows, problem.weight, _standardised(problem))


def _standardised(problem: Problem) -> ElasticNet:
    """Return the penalty of standardised coefficients."""
    return problem.penalty.rescaled(problem.rows.standard.unit)


def _given(
    problem: Problem, start: Array | None, inside: InBasis | None
) -> tuple[Problem, Array | None]:
    """Return a problem and where it starts in the coordinates of a basis, if any."""
    if inside is None:
        return problem, start
    basis, rows = inside.basis, inside.rows
    start = None if start is None else basis.lowered(start)
    report = None if problem.report is None else _lifting(problem.report, basis)
    return replace(problem, rows=rows, penalty=basis.penalty, report=report), start


def _lifted(reduced: AnyScale, problem: Problem, inside: InBasis | None) -> AnyScale:
    """Return the last fit in a basis as one of the problem itself, certified there."""
    if inside is None:
        return reduced
    scaled = AnyScale(replace(problem, report=None), None)
    scaled.end_watch()
    objective = scaled.objective(reduced.scale, problem.loss)
    result = certified(objective, inside, reduced.last, problem.tol)
    scaled.take(reduced.scale, objective, result)
    return scaled


def _lifting(report: Report, basis: Basis) -> Report:
    """Return what tells a report of params in a basis."""

    def lifting(step: str, params: Array | None) -> bool:
        return report(step, None if params is None else basis.lifted(params))

    return lifting
