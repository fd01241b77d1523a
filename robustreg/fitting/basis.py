"""A problem whose columns all but depend on each other, and the way to it and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar, final

from robustreg.fitting.any_scale import AnyScale
from robustreg.fitting.problem import Problem
from robustreg.objective import Model
from robustreg.penalties import ElasticNet
from robustreg.report import Report
from robustreg.rows import Array
from robustreg.solvers.orthogonal import (
    Basis,
    InBasis,
    UnseenRow,
    basis_for,
    basis_of_far_rows,
    certified,
)

T = TypeVar("T")


@final
@dataclass(frozen=True)
class Found(Generic[T]):
    """A fit of a problem.

    Parameters
    ----------
    whole : AnyScale
        The problem itself with its last fit.
    inner : AnyScale
        What was fitted: the same, or in a basis.
    basis : InBasis or None
        That basis.
    answer : object
        What fitting told.
    """

    whole: AnyScale
    inner: AnyScale
    basis: InBasis | None
    answer: T


def fit_in_basis(
    problem: Problem,
    start: Array | None,
    basis: InBasis | None,
    fit: Callable[[AnyScale], T],
    *,
    shared: Model | None = None,
    is_near: bool = False,
) -> Found[T]:
    """Fit a problem in a basis, or in one that an unseen row asks for on the way."""
    given = _given(problem, start, basis)
    inner = AnyScale(*given, shared, is_near=is_near)
    try:
        answer = fit(inner)
    except UnseenRow:
        penalty = _standardised(problem)
        basis = basis_of_far_rows(problem.rows, problem.weight, penalty)
        return fit_in_basis(problem, start, basis, fit, is_near=is_near)
    inner.refuses = False
    return Found(_lifted(inner, problem, basis), inner, basis, answer)


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
    scaled.refuses = False
    objective = scaled.objective(reduced.scale, problem.loss)
    result = certified(objective, inside, reduced.last, problem.tol)
    scaled.take(reduced.scale, objective, result)
    return scaled


def _lifting(report: Report, basis: Basis) -> Report:
    """Return what tells a report of params in a basis."""

    def lifting(step: str, params: Array | None) -> bool:
        return report(step, None if params is None else basis.lifted(params))

    return lifting
