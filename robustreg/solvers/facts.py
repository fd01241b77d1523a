"""What solvers ask about an objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from robustreg.linalg import MOST_DIRECT_PARAMS
from robustreg.objective import Objective
from robustreg.solvers.descent import StepRule
from robustreg.solvers.direct import DIRECT
from robustreg.solvers.krylov import KRYLOV
from robustreg.solvers.proximal import PROXIMAL


@final
@dataclass(frozen=True)
class Facts:
    """What solvers ask about an objective.

    Parameters
    ----------
    convex, smooth, piecewise_linear : bool
        Of the loss.
    l1_part, l2_part : bool
        Whether the penalty has one for some coefficient.
    ridged : bool
        Whether it has an l2 part for all of them.
    few_rows : bool
        Whether rows are at most half as many as columns.
    few_params : bool
        Whether the Hessian of all of them is factorised.
    """

    convex: bool
    smooth: bool
    piecewise_linear: bool
    l1_part: bool
    l2_part: bool
    ridged: bool
    few_rows: bool
    few_params: bool

    @property
    def few_at_a_time(self) -> bool:
        """Whether few params are in use at a time."""
        return self.few_params or self.l1_part


def facts_of(objective: Objective) -> Facts:
    """Return what solvers ask about an objective."""
    loss = objective.loss.facts
    curved = objective.l2[:-1] > 0
    most = min(MOST_DIRECT_PARAMS, curved.size / 2)
    return Facts(
        convex=loss.convex,
        smooth=loss.smooth,
        piecewise_linear=loss.piecewise_linear,
        l1_part=bool((objective.l1 > 0).any()),
        l2_part=bool(curved.any()),
        ridged=bool(curved[objective.rows.varies[:-1]].all()),
        few_rows=objective.rows.n_rows <= most,
        few_params=objective.n_params <= MOST_DIRECT_PARAMS,
    )


def step_rule_for(objective: Objective) -> StepRule:
    """Return how Newton steps are found for an objective."""
    facts = facts_of(objective)
    if facts.l1_part:
        return PROXIMAL
    return DIRECT if facts.few_params else KRYLOV
