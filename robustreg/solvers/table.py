"""The one table that chooses among solvers by facts of the objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import final

import numpy as np

from robustreg.certificate import duality_gap
from robustreg.linalg import (
    CANCELLED,
    FEW_ENTRIES,
    HALF_OF_DIGITS,
    MOST_DIRECT_PARAMS,
)
from robustreg.objective import Objective
from robustreg.rows import Array
from robustreg.solvers.descent import StepRule
from robustreg.solvers.direct import DIRECT
from robustreg.solvers.facts import Facts, facts_of, step_rule_for
from robustreg.solvers.kinked.active_rows import by_active_rows
from robustreg.solvers.kinked.augmented_lagrangian import augmented_lagrangian
from robustreg.solvers.kinked.exact import EXACT_ITERATIONS, by_interior_point
from robustreg.solvers.kinked.lagrangian_cg import augmented_lagrangian_cg
from robustreg.solvers.kinked.without_search import interpolating_fit
from robustreg.solvers.krylov import KRYLOV
from robustreg.solvers.majorised import (
    START_TOL,
    convex_start,
    few_count,
    majorised_newton,
)
from robustreg.solvers.newton import newton
from robustreg.solvers.proximal import PROXIMAL
from robustreg.solvers.results import Result, Run, Start
from robustreg.solvers.row_space import row_space
from robustreg.solvers.scipy_methods import l_bfgs_b, linear_program
from robustreg.solvers.starting import near_start
from robustreg.solvers.subsampled import subsampled_newton
from robustreg.solvers.ties import canonical, interpolated
from robustreg.tolerance import allowed_gap, rounding_of_terms

# A tie among optimal fits is broken by a fit that is solved this closely: a hundred
# times closer than the default tolerance, so that what is picked has its digits.
TIGHT_TOL = 1e-12


class UnsuitableSolverError(ValueError):
    """The solver that was asked for cannot do this objective."""


@final
@dataclass(frozen=True)
class Need:
    """What a solver needs of an objective: a noun phrase, and whether it is there."""

    phrase: str
    is_met: Callable[[Facts], bool]


CONVEX = Need("a convex loss", lambda facts: facts.convex)
NOT_CONVEX = Need("a loss that is not convex", lambda facts: not facts.convex)
SMOOTH = Need("a smooth loss", lambda facts: facts.smooth)
KINKED = Need("a piecewise linear loss", lambda facts: facts.piecewise_linear)
NO_L1 = Need("no l1 part in the penalty", lambda facts: not facts.l1_part)
NO_L2 = Need("no l2 part in the penalty", lambda facts: not facts.l2_part)
RIDGED = Need(
    "a penalty with an l2 part for all coefficients", lambda facts: facts.ridged
)
FEW_ROWS = Need("at most half as many rows as columns", lambda facts: facts.few_rows)
FEW_PARAMS = Need(
    f"at most {MOST_DIRECT_PARAMS} params", lambda facts: facts.few_params
)
FEW_AT_A_TIME = Need(
    f"at most {MOST_DIRECT_PARAMS} params or an l1 part in the penalty",
    lambda facts: facts.few_at_a_time,
)


@final
@dataclass(frozen=True)
class Solver:
    """A solver and what it needs.

    Parameters
    ----------
    run : callable
        The solver.
    needs : tuple of Need
        What it needs of the objective.
    rescues : bool
        Whether it is tried where the solver of choice fails: because it is of another
        kind, and sees what that one does not.
    factorises : bool
        Whether it steps by the factor of the Hessian of all params, which may be shared
        by targets, and a sample's by all rows.
    """

    run: Run
    needs: tuple[Need, ...]
    rescues: bool = False
    factorises: bool = False

    def unmet(self, facts: Facts) -> list[str]:
        """Return what is missing."""
        return [need.phrase for need in self.needs if not need.is_met(facts)]


def solve(
    objective: Objective,
    start: Start,
    solver: str,
    tol: float,
    max_iter: int,
    *,
    any_optimum: bool = False,
) -> Result:
    """Minimise an objective by the solver named, or by the first that fits.

    With ``any_optimum`` the result may be another than the documented one.

    Raises
    ------
    UnsuitableSolverError
        If its needs are not met; it names them and the solvers that would do.
    """
    run, few = chosen(objective, solver).run, objective.n_params <= MOST_DIRECT_PARAMS
    if few and (exact := interpolating_fit(objective)) is not None:
        return exact
    result = run(objective, start, tol, max_iter)
    if solver == "auto" and _is_lost(result, objective, max_iter):
        result = _rescued(objective, result, tol, max_iter)
    if few and not result.success:
        result = _interpolating(objective, result, tol)
    if result.success and not (result.unique or any_optimum) and few:
        return canonical_fit(objective, result, tol)
    return result


def chosen(objective: Objective, solver: str) -> Solver:
    """Return the solver that `solve` runs, or raise what it raises."""
    facts = facts_of(objective)
    suitable = _suitable(facts)
    name = suitable[0] if solver == "auto" and suitable else solver
    if name not in suitable:
        raise UnsuitableSolverError(_explanation(solver, facts, suitable))
    return SOLVERS[name]


def canonical_fit(objective: Objective, result: Result, tol: float) -> Result:
    """Return the documented one of the optimal fits, given any of them."""
    slopes = result.optimal_slopes
    allowed = allowed_gap(objective, result.point, tol, slopes)

    def again(like: Objective, params: Array) -> Array:
        solver = chosen(like, "auto")
        return solver.run(like, Start(params), TIGHT_TOL, EXACT_ITERATIONS).params

    point = canonical(objective, result.point, slopes, again, allowed)
    # Slopes that are optimal to rounding only may mislead. Values have no more digits
    # than their largest terms.
    allowed += objective.exact_value + CANCELLED * abs(result.value)
    if point.value > result.value + allowed:
        return result
    gap = result.gap + max(point.value - result.value, 0.0)
    # No objective is below 0, unless rows are held on their linear side.
    gap = gap if objective.linear.any() else min(gap, point.value)
    return replace(result, point=point, gap=gap)


def _is_lost(result: Result, objective: Objective, max_iter: int) -> bool:
    """Return whether a solver that had steps left knows nothing of the optimum.

    Nothing is a gap of more than a tenth of the objective. Of many entries another
    solver costs too much.
    """
    stopped = not result.success and result.n_iter < max_iter
    small = objective.rows.n_rows * objective.n_params <= FEW_ENTRIES
    return bool(stopped and small and result.gap > 0.1 * abs(result.value))


def _rescued(objective: Objective, result: Result, tol: float, max_iter: int) -> Result:
    """Return the result of a solver of another kind, if it knows more."""
    for name in _suitable(facts_of(objective))[1:]:
        if SOLVERS[name].rescues:
            other = SOLVERS[name].run(objective, Start(result.params), tol, max_iter)
            if other.gap < result.gap:
                # Its bound holds at any lower point, too.
                lower = (1.0 - HALF_OF_DIGITS) * other.point.value
                best = result if result.point.value < lower else other
                result = replace(other, point=best.point)
    return result


def _interpolating(objective: Objective, result: Result, tol: float) -> Result:
    """Return the fit of every row if the solver came near one: slopes of 0 certify it.

    Where rows all but depend on each other no step by its gradient comes nearer.
    """
    point = interpolated(objective, result.point)
    if point is None:
        return result
    slopes = np.zeros_like(objective.target)
    allowed = allowed_gap(objective, point, tol, slopes)
    success = point.value <= max(allowed, rounding_of_terms(objective, point))
    # That of a loss that is not convex is nan.
    gap = min(result.gap, point.value)
    return replace(
        result, point=point, gap=gap, success=success, slopes=slopes, rcond=None
    )


def _suitable(facts: Facts) -> list[str]:
    """Return the solvers whose needs are met, in order of preference."""
    return [name for name, entry in SOLVERS.items() if not entry.unmet(facts)]


def _explanation(solver: str, facts: Facts, suitable: list[str]) -> str:
    """Return what is missing, and what would do."""
    if solver == "auto":
        return f"no solver can minimise this objective, whose facts are {facts}."
    return (
        f"solver={solver!r} cannot minimise this objective: it needs "
        f"{' and '.join(SOLVERS[solver].unmet(facts))}. "
        f"Use solver='auto', or one of {suitable}."
    )


def _run_newton(
    objective: Objective,
    start: Start,
    tol: float,
    max_iter: int,
    *,
    step_rule: StepRule,
) -> Result:
    """Run Newton's method, near the optimum on a sample's Hessian if rows are many."""
    if not start.is_near:
        start = near_start(objective, start.params, step_rule)
    if start.preconditioner is not None:
        result = subsampled_newton(objective, start, start.preconditioner, tol)
        if result.success:
            return result
        start = replace(result.as_start(), model=start.model)
    return newton(objective, start, step_rule=step_rule, tol=tol, max_iter=max_iter)


def _run_row_space(
    objective: Objective, start: Start, tol: float, max_iter: int
) -> Result:
    """Solve the problem with a param per row, and finish with all params if needed."""
    space = row_space(objective)
    params = space.reduced(objective, start.params)
    inner_start = Start(params, start.is_near, slopes=start.slopes, unique=start.unique)
    # Closer than is asked for, since the way back adds rounding errors to the gap.
    options = ("auto", 0.1 * tol, max_iter)
    inner = solve(space.objective, inner_start, *options)
    point = objective.evaluate(space.restored(inner.params))
    slopes = space.slopes(inner.point) if inner.slopes is None else inner.slopes
    gap = duality_gap(objective, point, slopes)
    if gap > allowed_gap(objective, point, tol, slopes):
        names = _suitable(facts_of(objective))
        other = next(name for name in names if name != "row-space")
        return SOLVERS[other].run(objective, Start(point.params), tol, max_iter)
    return Result(point, gap, inner.n_iter, True, slopes=slopes)


def _run_majorised(
    objective: Objective, start: Start, tol: float, max_iter: int
) -> Result:
    """Go down from the convex fit, or from a fit of a like problem."""
    if not start.is_near:
        convex = objective.with_loss(convex_start(objective.loss), objective.target)
        fit = solve(convex, start, "auto", max(tol, START_TOL), max_iter)
        if tol < START_TOL and few_count(objective, fit.point.residual):
            fit = solve(convex, fit.as_start(), "auto", tol, max_iter)
        start = Start(fit.params)
    step_rule = step_rule_for(objective)
    return majorised_newton(
        objective, start, step_rule=step_rule, tol=tol, max_iter=max_iter
    )


# In order of preference.
SOLVERS: dict[str, Solver] = {
    "row-space": Solver(_run_row_space, (CONVEX, NO_L1, RIDGED, FEW_ROWS)),
    "newton": Solver(
        partial(_run_newton, step_rule=DIRECT),
        (CONVEX, SMOOTH, NO_L1, FEW_PARAMS),
        factorises=True,
    ),
    "newton-cg": Solver(
        partial(_run_newton, step_rule=KRYLOV), (CONVEX, SMOOTH, NO_L1)
    ),
    "proximal-newton": Solver(
        partial(_run_newton, step_rule=PROXIMAL), (CONVEX, SMOOTH), rescues=True
    ),
    "l-bfgs-b": Solver(l_bfgs_b, (CONVEX, SMOOTH, NO_L1)),
    "interior-point": Solver(
        partial(by_active_rows, method=by_interior_point), (KINKED, FEW_AT_A_TIME)
    ),
    "augmented-lagrangian": Solver(
        partial(by_active_rows, method=augmented_lagrangian), (KINKED, FEW_AT_A_TIME)
    ),
    "augmented-lagrangian-cg": Solver(augmented_lagrangian_cg, (KINKED, NO_L1)),
    "majorised-newton": Solver(_run_majorised, (NOT_CONVEX, SMOOTH)),
    "linprog": Solver(linear_program, (KINKED, NO_L2), rescues=True),
}
