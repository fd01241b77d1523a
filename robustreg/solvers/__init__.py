"""Solvers, and the one table that chooses among them by facts of the objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from robustreg.certificate import duality_gap
from robustreg.objective import Objective
from robustreg.rows import Array
from robustreg.solvers.canonical import canonical
from robustreg.solvers.direct import direct_step
from robustreg.solvers.facts import facts_of, step_rule_for
from robustreg.solvers.kinked import (
    ExactMethod,
    by_augmented_lagrangian,
    by_interior_point,
)
from robustreg.solvers.krylov import krylov_step
from robustreg.solvers.lagrangian_cg import augmented_lagrangian_cg
from robustreg.solvers.majorised import START_TOL, convex_start, majorised_newton
from robustreg.solvers.newton import StepRule, allowed_gap, newton
from robustreg.solvers.proximal import proximal_step
from robustreg.solvers.reduction import reduced
from robustreg.solvers.results import result_at
from robustreg.solvers.row_space import row_space
from robustreg.solvers.scipy_methods import l_bfgs_b, linear_program
from robustreg.solvers.starting import near_start
from robustreg.solvers.subsampled import subsampled_newton

__all__ = ["SOLVERS", "UnsuitableSolverError", "chosen", "near_start", "solve"]

# The share of the tolerance that a reduced problem is solved to.
SHARE_OF_REDUCED = 0.1
# A tie among optimal fits is broken by a fit that is solved this closely, in no more
# than so many multiplier updates.
TIGHT_TOL, TIE_ITERATIONS = 1e-12, 100
# A fit that failed with a gap of this share of its objective is tried by another solver
# if data has no more entries: of more the other one costs too much.
LOST, MOST_RESCUED_ENTRIES = 0.1, 10**5


class UnsuitableSolverError(ValueError):
    """The solver that was asked for cannot do this objective."""


Run = Callable[[Objective, Array, float, int, OptimizeResult | None], OptimizeResult]


@dataclass(frozen=True)
class Solver:
    """A solver and the facts that it needs.

    Parameters
    ----------
    run : callable
        ``run(objective, start, tol, max_iter, previous)`` returns an `OptimizeResult`;
        ``previous`` may be that of a like problem, or None.
    needs : dict
        Facts of the objective, by name, and the value that each must have.
    rescues : bool
        Whether it is tried where the solver of choice fails: because it is of another
        kind, and sees what that one does not.
    """

    run: Run
    needs: dict[str, bool]
    rescues: bool = False

    def mismatches(self, facts: dict[str, bool]) -> list[str]:
        """Return the names of the facts that do not match."""
        return [name for name, value in self.needs.items() if facts[name] != value]


def solve(
    objective: Objective,
    start: Array,
    solver: str,
    tol: float,
    max_iter: int,
    previous: OptimizeResult | None = None,
) -> OptimizeResult:
    """Minimise an objective by the solver named, or by the first that fits.

    ``previous`` is the result of a like problem, from whose answer this one starts.

    Returns
    -------
    OptimizeResult
        With ``point``, ``gap``, ``nit``, ``success`` and ``message``.

    Raises
    ------
    UnsuitableSolverError
        If the facts do not match; it names them and the solvers that would do.
    """
    facts = facts_of(objective)
    suitable = _suitable(facts)
    name = chosen(objective, solver)
    result = SOLVERS[name].run(objective, start, tol, max_iter, previous)
    if solver == "auto" and _is_lost(result, objective, max_iter):
        result = _rescued(objective, result, suitable, tol, max_iter)
    if result.success and not result.get("unique") and facts["few params"]:
        slopes = _slopes(objective, result)
        allowed = allowed_gap(objective, result.point, tol, slopes)

        def again(like: Objective, params: Array) -> OptimizeResult:
            return SOLVERS[_suitable(facts_of(like))[0]].run(
                like, params, TIGHT_TOL, TIE_ITERATIONS, None
            )

        point = canonical(objective, result.point, slopes, again, allowed)
        # Slopes that are optimal to rounding only may mislead.
        if point.value <= result.fun + allowed + objective.exact_value:
            result.gap += max(point.value - result.fun, 0.0)
            result.point, result.x, result.fun = point, point.params, point.value
    return result


def chosen(objective: Objective, solver: str) -> str:
    """Return the name of the solver that `solve` runs, or raise what it raises."""
    facts = facts_of(objective)
    suitable = _suitable(facts)
    name = suitable[0] if solver == "auto" and suitable else solver
    if name not in suitable:
        raise UnsuitableSolverError(_explanation(solver, facts, suitable))
    return name


def _is_lost(result: OptimizeResult, objective: Objective, max_iter: int) -> bool:
    """Return whether a solver that had steps left knows nothing of the optimum."""
    stopped = not result.success and result.nit < max_iter
    small = objective.rows.n_rows * objective.n_params <= MOST_RESCUED_ENTRIES
    return bool(stopped and small and result.gap > LOST * abs(result.fun))


def _rescued(
    objective: Objective,
    result: OptimizeResult,
    suitable: list[str],
    tol: float,
    max_iter: int,
) -> OptimizeResult:
    """Return the result of a solver of another kind, if it knows more."""
    for name in suitable[1:]:
        if SOLVERS[name].rescues:
            other = SOLVERS[name].run(objective, result.x, tol, max_iter, None)
            result = other if other.gap < result.gap else result
    return result


def _slopes(objective: Objective, result: OptimizeResult) -> Array:
    """Return the optimal slopes, those of the residuals if the loss is smooth."""
    slopes = result.get("slopes")
    if slopes is None:
        slopes = objective.loss.gradient(result.point.residual)
    return np.asarray(slopes)


def _suitable(facts: dict[str, bool]) -> list[str]:
    """Return the solvers whose needs match, in order of preference."""
    return [name for name, entry in SOLVERS.items() if not entry.mismatches(facts)]


def _explanation(solver: str, facts: dict[str, bool], suitable: list[str]) -> str:
    """Return what does not match, and what would."""
    if solver == "auto":
        found = ", ".join(f"{name}: {value}" for name, value in facts.items())
        return f"no solver can minimise this objective, whose facts are {found}."
    needs = " and ".join(
        f"{'a' if SOLVERS[solver].needs[name] else 'no'} {name}"
        for name in SOLVERS[solver].mismatches(facts)
    )
    return (
        f"solver={solver!r} cannot minimise this objective: it needs {needs}. "
        f"Use solver='auto', or one of {suitable}."
    )


def _through_scipy(
    method: Callable[..., OptimizeResult],
    objective: Objective,
    start: Array,
    **options: object,
) -> OptimizeResult:
    """Run one of our methods as a ``method=`` of `scipy.optimize.minimize`."""

    def custom(fun: object, x0: Array, *args: object, **passed: object) -> Any:
        del fun, args, passed
        return method(objective, x0, **options)

    return minimize(
        lambda params: objective.evaluate(params).value, start, method=custom
    )


def _newton(
    objective: Objective,
    start: Array,
    *,
    step_rule: StepRule,
    tol: float,
    max_iter: int,
    previous: OptimizeResult | None,
) -> OptimizeResult:
    """Run Newton's method, near the optimum on a sample's Hessian if rows are many."""
    if previous is None:
        near = near_start(objective, start, step_rule)
        start, preconditioner, known = near.params, near.preconditioner, None
        last = near.last
    else:
        preconditioner = previous.get("preconditioner")
        known, last = previous.get("residual"), previous.get("last")
    if preconditioner is not None:
        result = subsampled_newton(objective, start, preconditioner, tol, known)
        result.preconditioner = preconditioner
        if result.success:
            return result
        start, known = result.x, result.point.residual
    return newton(
        objective,
        start,
        step_rule=step_rule,
        tol=tol,
        max_iter=max_iter,
        known=known,
        last=last,
    )


def _run_newton(
    objective: Objective,
    start: Array,
    tol: float,
    max_iter: int,
    previous: OptimizeResult | None,
    *,
    step_rule: StepRule,
) -> OptimizeResult:
    """Run Newton's method with a step rule."""
    options = {
        "step_rule": step_rule,
        "tol": tol,
        "max_iter": max_iter,
        "previous": previous,
    }
    return _through_scipy(_newton, objective, start, **options)


def _run_kinked(
    objective: Objective,
    start: Array,
    tol: float,
    max_iter: int,
    previous: OptimizeResult | None,
    *,
    method: ExactMethod,
) -> OptimizeResult:
    """Run an exact method of piecewise linear losses, on few rows at a time."""
    known = previous is not None and "slopes" in previous
    options = {
        "step_rule": step_rule_for(objective),
        "exact": partial(method, tol=tol, max_iter=max_iter),
        "tol": tol,
        "previous": previous if known else None,
    }
    return _through_scipy(reduced, objective, start, **options)


def _afresh(
    objective: Objective,
    start: Array,
    tol: float,
    max_iter: int,
    previous: OptimizeResult | None,
    *,
    method: Callable[..., OptimizeResult],
) -> OptimizeResult:
    """Run a method that has no use for a previous result."""
    del previous
    return method(objective, start, tol, max_iter)


def _run_augmented_lagrangian_cg(
    objective: Objective, start: Array, tol: float, max_iter: int
) -> OptimizeResult:
    """Run the augmented Lagrangian for many params."""
    options = {"tol": tol, "max_iter": max_iter}
    return _through_scipy(augmented_lagrangian_cg, objective, start, **options)


def _run_row_space(
    objective: Objective, start: Array, tol: float, max_iter: int
) -> OptimizeResult:
    """Solve the problem with a param per row, and finish with all params if needed."""
    space = row_space(objective)
    options = ("auto", SHARE_OF_REDUCED * tol, max_iter)
    inner = solve(space.objective, space.reduced(objective, start), *options)
    point = objective.evaluate(space.restored(inner.x))
    slopes = inner.get("slopes")
    slopes = space.slopes(inner.point) if slopes is None else slopes
    gap = duality_gap(objective, point, slopes)
    if gap > allowed_gap(objective, point, tol, slopes):
        others = [
            name for name in _suitable(facts_of(objective)) if name != "row-space"
        ]
        return SOLVERS[others[0]].run(objective, point.params, tol, max_iter, None)
    return result_at(point, gap, inner.nit, True, "", slopes=slopes)


def _run_majorised(
    objective: Objective,
    start: Array,
    tol: float,
    max_iter: int,
    previous: OptimizeResult | None,
) -> OptimizeResult:
    """Go down from the convex fit, or from a previous one."""
    if previous is None:
        convex = objective.with_loss(convex_start(objective.loss), objective.target)
        start = solve(convex, start, "auto", max(tol, START_TOL), max_iter).x
    step_rule = step_rule_for(objective)
    options = {"step_rule": step_rule, "tol": tol, "max_iter": max_iter}
    return _through_scipy(majorised_newton, objective, start, **options)


# In order of preference.
SOLVERS: dict[str, Solver] = {
    "row-space": Solver(
        partial(_afresh, method=_run_row_space),
        {
            "convex loss": True,
            "l1 part in the penalty": False,
            "penalty with an l2 part for all coefficients": True,
            "number of rows of at most half the columns": True,
        },
    ),
    "newton": Solver(
        partial(_run_newton, step_rule=direct_step),
        {
            "convex loss": True,
            "smooth loss": True,
            "l1 part in the penalty": False,
            "few params": True,
        },
    ),
    "newton-cg": Solver(
        partial(_run_newton, step_rule=krylov_step),
        {"convex loss": True, "smooth loss": True, "l1 part in the penalty": False},
    ),
    "proximal-newton": Solver(
        partial(_run_newton, step_rule=proximal_step),
        {"convex loss": True, "smooth loss": True},
        rescues=True,
    ),
    "l-bfgs-b": Solver(
        partial(_afresh, method=l_bfgs_b),
        {"convex loss": True, "smooth loss": True, "l1 part in the penalty": False},
    ),
    "interior-point": Solver(
        partial(_run_kinked, method=by_interior_point),
        {"piecewise linear loss": True, "few params or l1 part": True},
    ),
    "augmented-lagrangian": Solver(
        partial(_run_kinked, method=by_augmented_lagrangian),
        {"piecewise linear loss": True, "few params or l1 part": True},
    ),
    "augmented-lagrangian-cg": Solver(
        partial(_afresh, method=_run_augmented_lagrangian_cg),
        {"piecewise linear loss": True, "l1 part in the penalty": False},
    ),
    "majorised-newton": Solver(
        _run_majorised, {"convex loss": False, "smooth loss": True}
    ),
    "linprog": Solver(
        partial(_afresh, method=linear_program),
        {"piecewise linear loss": True, "l2 part in the penalty": False},
        rescues=True,
    ),
}
