"""A problem whose columns all but depend on each other, and the way to it and back."""

from __future__ import annotations

from dataclasses import replace

from robustreg.fitting.any_scale import AnyScale
from robustreg.fitting.problem import Problem
from robustreg.report import Report
from robustreg.rows import Array
from robustreg.solvers.orthogonal import Basis, basis_for, certified


def basis_of(problem: Problem) -> Basis | None:
    """Return the coordinates that a problem is to be solved in, None for its own."""
    penalty = problem.penalty.rescaled(problem.rows.standard.unit)
    return basis_for(problem.rows, problem.weight, penalty)


def in_basis(
    problem: Problem, start: Array | None, basis: Basis | None
) -> tuple[Problem, Array | None]:
    """Return a problem and where it starts in the coordinates of a basis, if any."""
    if basis is None:
        return problem, start
    start = None if start is None else basis.lowered(start)
    report = None if problem.report is None else _lifting(problem.report, basis)
    rows, penalty = basis.rows, basis.penalty
    return replace(problem, rows=rows, penalty=penalty, report=report), start


def lifted(reduced: AnyScale, problem: Problem, basis: Basis | None) -> AnyScale:
    """Return the last fit in a basis as one of the problem itself, certified there."""
    if basis is None:
        return reduced
    scaled = AnyScale(replace(problem, report=None), None)
    objective = scaled.objective(reduced.scale, problem.loss)
    result = certified(objective, basis, reduced.last, problem.tol)
    scaled.take(reduced.scale, objective, result)
    return scaled


def _lifting(report: Report, basis: Basis) -> Report:
    """Return what tells a report of params in a basis."""

    def lifting(step: str, params: Array | None) -> bool:
        return report(step, None if params is None else basis.lifted(params))

    return lifting
