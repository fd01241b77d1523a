"""Kinked losses on many rows: only rows near the kink are worth their cost.

A row far from the fit keeps its side of the kink, where its loss is linear. A sample's
fit tells which rows may change sides; all others are replaced by one linear term, the
small problem is solved, and the sides are checked in one pass [1]_. Rows that changed
sides enter, and the next problem is smaller still.

Cost: about four passes and n p for the rows near the kink, not n p^2.

References
----------
.. [1] Portnoy, S., Koenker, R. (1997). The Gaussian hare and the Laplacian tortoise:
   computability of squared-error versus absolute-error estimators. Statistical Science
   12, 279-300, section 5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from robustreg.certificate import duality_gap
from robustreg.objective import Objective, Point
from robustreg.rows import Array, Index
from robustreg.solvers.augmented_lagrangian import augmented_lagrangian
from robustreg.solvers.continuation import shrink
from robustreg.solvers.newton import StepRule, allowed_gap

# A first fit on this many rows, on this many per param or on this share of all rows
# starts one on many more.
SAMPLE_ROWS, SAMPLE_ROWS_PER_PARAM, SAMPLE_SHARE = 10_000, 20, 0.05
# With a sample of m rows, this many times sqrt(p / m) of all rows may change sides.
BAND = 4.0
# Later rounds hold at least this many rows per param near the kink.
ROWS_PER_PARAM = 50
MOST_ROUNDS = 20


def sample(objective: Objective) -> Objective | None:
    """Return the objective of a random sample of rows, or None if rows are few."""
    n, p = objective.rows.n_rows, objective.n_params
    size = int(max(SAMPLE_ROWS, SAMPLE_ROWS_PER_PARAM * p, SAMPLE_SHARE * n))
    if n < 4 * size:
        return None
    drawn = np.unique(np.random.default_rng(0).integers(n, size=size))
    live = drawn[objective.weight[drawn] > 0]
    return objective.take(live) if live.size > size // 2 else None


def reduced_augmented_lagrangian(
    objective: Objective,
    start: Array,
    *,
    step_rule: StepRule,
    tol: float,
    max_iter: int,
) -> OptimizeResult:
    """Minimise a piecewise linear objective, on few rows at a time if there are many.

    Parameters and result are those of `augmented_lagrangian`.
    """
    few = sample(objective)
    options: dict[str, Any] = {
        "step_rule": step_rule,
        "tol": tol,
        "max_iter": max_iter,
    }
    if few is None:
        return augmented_lagrangian(objective, start, **options)
    near, _ = shrink(few, start, step_rule, 4 * few.n_params)
    point = objective.evaluate(near.params)
    n_rows = objective.rows.n_rows
    n_active = int(BAND * np.sqrt(few.n_params / few.rows.n_rows) * n_rows)
    iterations = 0
    for _ in range(MOST_ROUNDS):
        active = _nearest(objective, point, min(n_active, n_rows))
        held = objective.hold(point, active)
        result = reduced_augmented_lagrangian(held, point.params, **options)
        iterations += result.nit
        trial = objective.evaluate(result.x)
        wrong = _changed_sides(objective, point, trial, active)
        point = trial
        if not wrong:
            break
        least = ROWS_PER_PARAM * objective.n_params
        n_active = max(4 * wrong, least, n_active // 4 if n_active < n_rows else n_rows)
    slopes = objective.loss.gradient(point.residual)
    slopes[active] = result.slopes
    gap = duality_gap(objective, point, slopes)
    success = gap <= allowed_gap(objective, point, tol, slopes)
    return OptimizeResult(
        x=point.params,
        fun=point.value,
        point=point,
        gap=gap,
        slopes=slopes,
        nit=iterations,
        success=success,
        message="converged" if success else result.message,
    )


def _nearest(objective: Objective, point: Point, count: int) -> Index:
    """Return the rows of smallest residual, in order; rows of no weight are last."""
    size = np.where(objective.weight > 0, np.abs(point.residual), np.inf)
    return np.sort(np.argpartition(size, count - 1)[:count])


def _changed_sides(
    objective: Objective, point: Point, trial: Point, active: Index
) -> int:
    """Return how many of the held rows are now on the other side of the kink."""
    changed = (point.residual > 0) != (trial.residual > 0)
    changed &= objective.weight > 0
    changed[active] = False
    return int(np.count_nonzero(changed))
