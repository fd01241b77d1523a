"""What solvers ask about an objective."""

from __future__ import annotations

import numpy as np

from robustreg.objective import Objective
from robustreg.solvers.direct import direct_step
from robustreg.solvers.krylov import krylov_step
from robustreg.solvers.newton import StepRule
from robustreg.solvers.proximal import proximal_step

# Above this many params the Hessian is not factorised.
MOST_DIRECT_PARAMS = 2000


def facts_of(objective: Objective) -> dict[str, bool]:
    """Return what solvers ask about an objective."""
    loss = objective.loss.facts
    few = objective.n_params <= MOST_DIRECT_PARAMS
    kinked = bool((objective.l1 > 0).any())
    curved = objective.l2[:-1] > 0
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


def step_rule_for(objective: Objective) -> StepRule:
    """Return how Newton steps are found for an objective."""
    facts = facts_of(objective)
    if facts["l1 part in the penalty"]:
        return proximal_step
    return direct_step if facts["few params"] else krylov_step
