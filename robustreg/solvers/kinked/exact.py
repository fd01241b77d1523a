"""Two ways to minimise a piecewise linear objective of few rows exactly."""

from __future__ import annotations

from dataclasses import replace

from robustreg.linalg import HALF_OF_DIGITS
from robustreg.objective import Objective
from robustreg.solvers.facts import facts_of
from robustreg.solvers.kinked.augmented_lagrangian import augmented_lagrangian
from robustreg.solvers.kinked.interior_point import interior_point
from robustreg.solvers.kinked.without_search import perfect_fit
from robustreg.solvers.results import Result, Run, Start
from robustreg.tolerance import rounding_of_terms, typical_value

# Interior points take 10 to 30 iterations. An exact fit on the way to another that has
# taken this many, or this many updates of multipliers, is left where it is.
EXACT_ITERATIONS = 100


def by_interior_point(
    objective: Objective, start: Start, tol: float, max_iter: int
) -> Result:
    """Minimise by the interior-point method, and if it stalls by the other one.

    With rows that are held, a failure says that too few others bound the objective. A
    gap that rounding errors of the predictions hide no method closes.
    """
    result = interior_point(objective, start, tol, max_iter)
    if result.success or objective.linear.any():
        return result
    exact = perfect_fit(objective, result.params, result.point.residual)
    if exact is not None:
        return exact
    rounding = rounding_of_terms(objective, result.point)
    if result.gap <= rounding:
        typical = typical_value(objective, result.point)
        # Half of the digits will do, of all rows if most have lost theirs.
        value = typical if typical > rounding else result.value
        return replace(result, success=result.gap <= HALF_OF_DIGITS * value)
    other = augmented_lagrangian(objective, start, tol, max_iter)
    return other if other.gap < result.gap else result


def exact_method(objective: Objective) -> Run:
    """Return the better of the two for an objective."""
    few = facts_of(objective).few_at_a_time
    return by_interior_point if few else augmented_lagrangian
