"""A start near the optimum: from a wide, nearly quadratic loss to the narrow one.

With few rows in the quadratic middle of a loss, Newton's method sees little curvature.
Shrinking the middle step by step, each stage started from the one before, keeps enough
rows inside throughout [1]_.

References
----------
.. [1] Madsen, K., Nielsen, H. B. (1993). A finite smoothing algorithm for linear l1
   estimation. SIAM Journal on Optimization 3, 223-235.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from robustreg.losses import Dilated, Envelope, Loss
from robustreg.objective import Objective
from robustreg.rows import Array
from robustreg.solvers.descent import StepRule, descend
from robustreg.solvers.newton import stationary_to
from robustreg.solvers.results import Start

# Each stage narrows the middle by this factor: a smaller one takes fewer stages, but
# more steps for each.
SHRINK = 0.15
# It is solved to this relative gradient in a few steps, or left to the next.
STAGE_GTOL, STAGE_ITERATIONS = 5e-2, 8
# Where the narrowest middle is not the loss's own it holds this many rows per param: at
# least 1, for the params to be determined, and the more the further off the fit is.
ROWS_INSIDE = 4


def width_of(loss: Loss) -> float:
    """Return the half-width of the quadratic middle: largest slope over curvature."""
    return float(loss.facts.steepest / loss.facts.largest_curvature)


def widened(loss: Loss, width: float) -> Loss:
    """Return a smooth loss with the same slopes and a middle of some half-width."""
    low, high = loss.facts.slopes
    if loss.facts.piecewise_linear:
        return Envelope(low, high, width / loss.facts.steepest)
    return Dilated(loss, width / width_of(loss))


def shrink(
    objective: Objective,
    start: Array,
    step_rule: StepRule,
    n_inside: int,
) -> Start:
    """Return the fit of the last and narrowest of the wide losses.

    Stops before the loss's own width, and when about ``n_inside`` rows are left in
    the middle. Its ``error`` is the half-width of that, the largest residual if there
    was no stage.
    """
    near, width, stages = Start(start), np.inf, 0
    residual = near.residual_in(objective)
    while True:
        size = np.abs(residual[objective.weight > 0])
        # The first stage has most of the rows in its middle.
        upper = int(0.7 * (size.size - 1))
        typical = float(np.partition(size, upper)[upper])
        k = min(n_inside, size.size) - 1
        least = max(width_of(objective.loss), float(np.partition(size, k)[k]))
        # A stage on top of a wide one may jump: the first fit explains the most.
        # Later, residuals that stay inside as the width falls belong to an exact fit.
        next_width = width * SHRINK if stages > 1 else min(typical, width * SHRINK)
        exact = stages > 1 and typical <= width
        if exact or next_width <= max(least, objective.noise):
            fallback = max(float(size.max()), objective.noise)
            error = width if stages else fallback
            return replace(near, residual=residual, error=error)
        width, stages = next_width, stages + 1
        stage = objective.with_loss(widened(objective.loss, width), objective.target)
        fit = descend(
            stage,
            replace(near, residual=residual),
            step=step_rule.step,
            until=stationary_to(STAGE_GTOL),
            max_iter=STAGE_ITERATIONS,
        )
        residual = fit.point.residual
        near = Start(fit.point.params, is_near=True, model=fit.model)
