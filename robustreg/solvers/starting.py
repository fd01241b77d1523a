"""Where a fit starts: from a sample of rows, then from wide losses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from robustreg.losses import Pinball
from robustreg.objective import Model, Objective, Point
from robustreg.rows import Array
from robustreg.solvers.continuation import shrink, width_of
from robustreg.solvers.kinked import exact_method
from robustreg.solvers.krylov import krylov_step
from robustreg.solvers.newton import StepRule, newton
from robustreg.solvers.reduction import reduced
from robustreg.solvers.sampling import default_size, sample
from robustreg.solvers.subsampled import Preconditioner

# How stationary the fit of a sample is from which a fit of all rows starts.
SAMPLE_GTOL = 1e-2
# Inexact steps are so cheap at first that any start at which this share of the rows
# sees the loss's curvature is near enough.
SEEN = 0.1
# So close is a kinked fit that starts a nearly kinked one, in so many updates.
KINKED_TOL, KINKED_ITERATIONS = 1e-8, 50


@dataclass(frozen=True)
class NearStart:
    """Params near the optimum, and a Hessian there if one was made.

    That of a sample is a preconditioner, that of all rows the ``last``.
    """

    params: Array
    preconditioner: Preconditioner | None = None
    last: Model | None = None


def near_start(objective: Objective, start: Array, step_rule: StepRule) -> NearStart:
    """Return params near the optimum of a convex objective.

    The fit of a sample if rows are many; else, and for the sample, that of wider and
    wider losses in reverse.
    """
    own = width_of(objective.loss)
    if not np.isfinite(own):
        return NearStart(start)
    inexact = step_rule is krylov_step
    drawn = sample(objective, default_size(objective))
    if drawn is None and inexact and own > 0:
        point = objective.evaluate(start)
        if _inside(point, own) >= SEEN:
            return NearStart(start)
    if drawn is None:
        return _from_wide_losses(objective, start, step_rule, own)
    near = near_start(drawn.objective, start, step_rule)
    if own == 0:
        return NearStart(near.params)
    fit = newton(
        drawn.objective,
        near.params,
        step_rule=step_rule,
        tol=0.0,
        max_iter=30,
        gtol=SAMPLE_GTOL,
        last=near.last,
    )
    # Without this fact the sample could not certify a fit.
    certifies = objective.loss.facts.unimodal
    usable = fit.success and fit.model is not None and certifies
    return NearStart(fit.x, Preconditioner(drawn, fit.model) if usable else None)


def _from_wide_losses(
    objective: Objective, start: Array, step_rule: StepRule, own: float
) -> NearStart:
    """Return the params of the last of a sequence of narrowing losses."""
    loss = objective.loss
    near = shrink(
        objective, start, step_rule, 4 * objective.n_params if own == 0 else 1
    )
    point = near.point
    used = np.count_nonzero((objective.l1 == 0) | (point.params != 0))
    enough = min(used / max(objective.rows.n_rows, 1), 1.0)
    inexact = step_rule is krylov_step
    if own == 0 or inexact or objective.l1.any() or _inside(point, own) >= enough:
        return NearStart(point.params, last=near.last)
    # Too few rows see any curvature: the loss is all but piecewise linear here.
    kinked = objective.with_loss(Pinball(*loss.facts.slopes), objective.target)
    exact = partial(exact_method(objective), tol=KINKED_TOL, max_iter=KINKED_ITERATIONS)
    return NearStart(reduced(kinked, point.params, step_rule, exact, KINKED_TOL).x)


def _inside(point: Point, width: float) -> float:
    """Return the share of rows in a quadratic middle of some half-width."""
    return float(np.mean(np.abs(point.residual) <= width))
