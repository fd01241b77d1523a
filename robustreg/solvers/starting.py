"""Where a fit starts: from a sample of rows, then from wide losses."""

from __future__ import annotations

import numpy as np

from robustreg.losses import Pinball
from robustreg.objective import Objective
from robustreg.rows import Array
from robustreg.solvers.continuation import ROWS_INSIDE, shrink, width_of
from robustreg.solvers.descent import StepRule, descend
from robustreg.solvers.kinked.active_rows import by_active_rows
from robustreg.solvers.kinked.exact import EXACT_ITERATIONS, exact_method
from robustreg.solvers.newton import INNER_ITERATIONS, START_GTOL, stationary_to
from robustreg.solvers.results import Start
from robustreg.solvers.sampling import STARTING, Preconditioner, Sampling

# The tolerance of a fit that starts one of other rows or of another loss: far below the
# gap between the two, so that it costs them no step.
ROUGH_TOL = 1e-8
# With an l1 part the kinked fit pays where rows in the middle are fewer than this share
# of the params in use: at twice as many the steps of 400 x 1,000 cost the same.
SEEN_BY_L1 = 0.5


def near_start(
    objective: Objective,
    start: Array,
    step_rule: StepRule,
    sampling: Sampling = STARTING,
) -> Start:
    """Return a start near the optimum of a convex objective.

    The fit of a sample if rows are many, with its Hessian if that is of use; else, and
    for the sample, that of wider and wider losses in reverse.
    """
    own = width_of(objective.loss)
    if not np.isfinite(own):
        return Start(start)
    drawn = sampling.draw(objective)
    if drawn is None and step_rule.is_inexact and own > 0:
        residual = objective.residual(start)
        # Inexact steps are cheap at first: if a tenth of the rows see the loss's
        # curvature, the start is near enough.
        if _inside(residual, own) >= 0.1:
            return Start(start)
    if drawn is None:
        inside = ROWS_INSIDE * objective.n_params if own == 0 else 1
        near = shrink(objective, start, step_rule, inside)
        if own == 0 or step_rule.is_inexact or is_seen(objective, near):
            return Start(near.params, model=near.model)
        return _near_kinked(objective, near.params)
    near = near_start(drawn.objective, start, step_rule, sampling)
    if own == 0:
        return Start(near.params)
    fit = descend(
        drawn.objective,
        Start(near.params, model=near.model),
        step=step_rule.step,
        until=stationary_to(START_GTOL),
        max_iter=INNER_ITERATIONS,
    )
    # Without this fact the sample could not certify a fit.
    usable = fit.success and objective.loss.facts.unimodal
    if not usable or fit.model is None:
        return Start(fit.point.params)
    return Start(fit.point.params, preconditioner=Preconditioner(drawn, fit.model))


def _near_kinked(objective: Objective, params: Array) -> Start:
    """Return the fit of the kinked loss that narrowing ones have for a limit.

    For where too few rows see any curvature: the loss is all but piecewise linear.
    """
    kinked = objective.with_loss(
        Pinball(*objective.loss.facts.slopes), objective.target
    )
    options = (ROUGH_TOL, EXACT_ITERATIONS)
    method = exact_method(objective)
    fit = by_active_rows(kinked, Start(params), *options, method=method)
    return Start(fit.params)


def is_seen(objective: Objective, start: Start) -> bool:
    """Return whether enough rows are in a loss's quadratic middle for its own steps.

    As many as params in use; of those that an l1 part holds half, which its steps take
    out of use again. With an l2 part beside that, whose kinked fits are dear, any.
    """
    if objective.l1.any() and objective.l2.any():
        return True
    used = np.count_nonzero((objective.l1 == 0) | (start.params != 0))
    least = SEEN_BY_L1 * used if objective.l1.any() else used
    enough = min(least / max(objective.rows.n_rows, 1), 1.0)
    return _inside(start.residual_in(objective), width_of(objective.loss)) >= enough


def _inside(residual: Array, width: float) -> float:
    """Return the share of rows in a quadratic middle of some half-width."""
    return float(np.mean(np.abs(residual) <= width))
