"""Solvers, and the one table that chooses among them by facts of the objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from robustreg.certificate import duality_gap
from robustreg.losses import Pinball
from robustreg.objective import Objective, Point
from robustreg.rows import Array
from robustreg.solvers.canonical import canonical, touches_an_end
from robustreg.solvers.continuation import shrink, width_of
from robustreg.solvers.direct import direct_step
from robustreg.solvers.krylov import krylov_step
from robustreg.solvers.lagrangian_cg import augmented_lagrangian_cg
from robustreg.solvers.newton import StepRule, allowed_gap, newton
from robustreg.solvers.proximal import proximal_step
from robustreg.solvers.reduction import reduced_augmented_lagrangian, sample
from robustreg.solvers.row_space import row_space
from robustreg.solvers.scipy_methods import l_bfgs_b, linear_program

__all__ = ["SOLVERS", "UnsuitableSolverError", "near_start", "solve"]

# Above this many params the Hessian is not factorised.
MOST_DIRECT_PARAMS = 2000
# How stationary the fit of a sample is from which a fit of all rows starts.
SAMPLE_GTOL = 1e-3
# Inexact steps are so cheap at first that any start at which this share of the rows
# sees the loss's curvature is near enough.
SEEN = 0.1
# The share of the tolerance that a reduced problem is solved to.
SHARE_OF_REDUCED = 0.1

# A tie among optimal fits is broken by a fit that is solved this closely, in no more
# than so many multiplier updates.
TIGHT_TOL, TIE_ITERATIONS = 1e-12, 12


class UnsuitableSolverError(ValueError):
    """The solver that was asked for cannot do this objective."""


@dataclass(frozen=True)
class Solver:
    """A solver and the facts that it needs.

    Parameters
    ----------
    run : callable
        ``run(objective, start, tol, max_iter)`` returns an `OptimizeResult`.
    needs : dict
        Facts of the objective, by name, and the value that each must have.
    starts_near : bool
        Whether it wants a start near the optimum.
    """

    run: Callable[[Objective, Array, float, int], OptimizeResult]
    needs: dict[str, bool]
    starts_near: bool = False

    def mismatches(self, facts: dict[str, bool]) -> list[str]:
        """Return the names of the facts that do not match."""
        return [name for name, value in self.needs.items() if facts[name] != value]


def facts_of(objective: Objective) -> dict[str, bool]:
    """Return what solvers ask about an objective."""
    loss = objective.loss.facts
    few = objective.n_params <= MOST_DIRECT_PARAMS
    kinked = bool((objective.l1 > 0).any())
    curved = objective.penalty_curvature()[:-1] > 0
    ridged = bool(curved[objective.rows.varies[:-1]].all())
    most = min(MOST_DIRECT_PARAMS, curved.size / 2)
    return {
        "convex loss": loss.convex,
        "smooth loss": bool(np.isfinite(loss.largest_curvature)),
        "piecewise linear loss": loss.piecewise_linear,
        "l1 part in the penalty": kinked,
        "l2 part in the penalty": bool(curved.any()),
        "penalty with an l2 part for all coefficients": ridged,
        "number of rows of at most half the columns": objective.rows.n_rows <= most,
        "few params": few,
        "few params or l1 part": few or kinked,
    }


def solve(
    objective: Objective,
    start: Array,
    solver: str,
    tol: float,
    max_iter: int,
    near: bool = False,
) -> OptimizeResult:
    """Minimise an objective by the solver named, or by the first that fits.

    ``near`` says that the start is near the optimum as it is.

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
    name = suitable[0] if solver == "auto" and suitable else solver
    if name not in suitable:
        raise UnsuitableSolverError(_explanation(solver, facts, suitable))
    if SOLVERS[name].starts_near and not near:
        start = near_start(objective, start)
    result = SOLVERS[name].run(objective, start, tol, max_iter)
    # A Hessian with a Cholesky factor inside its region leaves no other optimum.
    unique = (result.get("rcond") or 0.0) > 0 and not touches_an_end(
        objective, result.point
    )
    if result.success and not unique and facts["few params"]:
        allowed = allowed_gap(objective, result.point, tol, result.slopes)

        def again(like: Objective, params: Array) -> OptimizeResult:
            return SOLVERS[_suitable(facts_of(like))[0]].run(
                like, params, TIGHT_TOL, TIE_ITERATIONS
            )

        result.point = canonical(objective, result.point, result.slopes, again, allowed)
        result.gap += max(result.point.value - result.fun, 0.0)
        result.x, result.fun = result.point.params, result.point.value
    return result


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


def _step_rule(objective: Objective) -> StepRule:
    """Return how Newton steps are found for an objective."""
    facts = facts_of(objective)
    if facts["l1 part in the penalty"]:
        return proximal_step
    return direct_step if facts["few params"] else krylov_step


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


def _run_newton(step_rule: StepRule) -> Callable[..., OptimizeResult]:
    """Return a solver that runs Newton's method with a step rule."""

    def run(
        objective: Objective, start: Array, tol: float, max_iter: int
    ) -> OptimizeResult:
        options = {"step_rule": step_rule, "tol": tol, "max_iter": max_iter}
        return _through_scipy(newton, objective, start, **options)

    return run


def _run_augmented_lagrangian(
    objective: Objective, start: Array, tol: float, max_iter: int
) -> OptimizeResult:
    """Run the augmented Lagrangian, on few rows at a time if there are many."""
    options = {
        "step_rule": _step_rule(objective),
        "tol": tol,
        "max_iter": max_iter,
    }
    return _through_scipy(reduced_augmented_lagrangian, objective, start, **options)


def _run_augmented_lagrangian_cg(
    objective: Objective, start: Array, tol: float, max_iter: int
) -> OptimizeResult:
    """Run the augmented Lagrangian for many params."""
    options = {"tol": tol, "max_iter": max_iter}
    return _through_scipy(augmented_lagrangian_cg, objective, start, **options)


def near_start(objective: Objective, start: Array) -> Array:
    """Return params near the optimum: from a sample of rows, then from wide losses."""
    step_rule, loss = _step_rule(objective), objective.loss
    own = width_of(loss)
    if not np.isfinite(own):
        return start
    few = sample(objective)
    if few is not None:
        near = near_start(few, start)
        return near if own == 0 else _roughly(few, near, step_rule)
    inexact = step_rule is krylov_step
    if inexact and own > 0 and _inside(objective.evaluate(start), own) >= SEEN:
        return start
    n_inside = 4 * objective.n_params if own == 0 else 1
    point, _ = shrink(objective, start, step_rule, n_inside)
    enough = min(objective.n_params / max(objective.rows.n_rows, 1), 1.0)
    if own == 0 or inexact or _inside(point, own) >= enough:
        return point.params
    # Too few rows see any curvature: the loss is all but piecewise linear here.
    kinked = objective.with_loss(Pinball(*loss.facts.slopes), objective.target)
    return _run_augmented_lagrangian(kinked, point.params, 1e-8, 30).x


def _inside(point: Point, width: float) -> float:
    """Return the share of rows in a quadratic middle of some half-width."""
    return float(np.mean(np.abs(point.residual) <= width))


def _roughly(objective: Objective, start: Array, step_rule: StepRule) -> Array:
    """Return the params of a fit to a loose tolerance, without a certificate."""
    return newton(
        objective,
        start,
        step_rule=step_rule,
        tol=0.0,
        max_iter=30,
        gtol=SAMPLE_GTOL,
    ).x


def _run_row_space(
    objective: Objective, start: Array, tol: float, max_iter: int
) -> OptimizeResult:
    """Solve the problem with a param per row, and finish with all params if needed."""
    space = row_space(objective)
    options = ("auto", SHARE_OF_REDUCED * tol, max_iter)
    inner = solve(space.objective, space.reduced(objective, start), *options)
    point = objective.evaluate(space.restored(inner.x))
    gap = duality_gap(objective, point, inner.slopes)
    if gap > allowed_gap(objective, point, tol, inner.slopes):
        others = [
            name for name in _suitable(facts_of(objective)) if name != "row-space"
        ]
        return SOLVERS[others[0]].run(objective, point.params, tol, max_iter)
    return OptimizeResult(
        x=point.params,
        fun=point.value,
        point=point,
        gap=gap,
        slopes=inner.slopes,
        nit=inner.nit,
        success=True,
        status=0,
        message="converged",
    )


# In order of preference.
SOLVERS: dict[str, Solver] = {
    "row-space": Solver(
        _run_row_space,
        {
            "convex loss": True,
            "l1 part in the penalty": False,
            "penalty with an l2 part for all coefficients": True,
            "number of rows of at most half the columns": True,
        },
    ),
    "newton": Solver(
        _run_newton(direct_step),
        {
            "convex loss": True,
            "smooth loss": True,
            "l1 part in the penalty": False,
            "few params": True,
        },
        starts_near=True,
    ),
    "newton-cg": Solver(
        _run_newton(krylov_step),
        {"convex loss": True, "smooth loss": True, "l1 part in the penalty": False},
        starts_near=True,
    ),
    "proximal-newton": Solver(
        _run_newton(proximal_step),
        {"convex loss": True, "smooth loss": True},
        starts_near=True,
    ),
    "l-bfgs-b": Solver(
        l_bfgs_b,
        {"convex loss": True, "smooth loss": True, "l1 part in the penalty": False},
    ),
    "augmented-lagrangian": Solver(
        _run_augmented_lagrangian,
        {"piecewise linear loss": True, "few params or l1 part": True},
    ),
    "augmented-lagrangian-cg": Solver(
        _run_augmented_lagrangian_cg,
        {"piecewise linear loss": True, "l1 part in the penalty": False},
    ),
    "linprog": Solver(
        linear_program,
        {"piecewise linear loss": True, "l2 part in the penalty": False},
    ),
}
