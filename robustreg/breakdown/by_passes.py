"""MM-estimates of rows that are elsewhere.

A sample of them is searched for the valley of its S-estimate. There the equations of
the S-estimate of all rows are solved by passes: the fit is a minimum of Tukey's loss at
the M-scale of its own residuals. The M-step goes down from it, by passes as well.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from robustreg.breakdown.mm import check_penalty, start_of
from robustreg.breakdown.search import Search
from robustreg.fitting import Coefficients, Fit
from robustreg.losses import Tukey
from robustreg.partitions import Whole
from robustreg.partitions.answers import ended, fitted
from robustreg.partitions.scales import m_scale_excess
from robustreg.partitions.smooth import Descent
from robustreg.penalties import ElasticNet
from robustreg.rows import Array, design_rank
from robustreg.scale import AGREES, FixedPoint


def fit_mm_whole(whole: Whole, search: Search) -> Fit:
    """Fit one target, by the problem of the M-step and a search of its sample.

    Refuses a penalty in units of an S-scale, of the sample or of all rows, that is 0.
    """
    problem = whole.problem
    start, units = start_of(problem, search)
    params, scale = start.params * units.scale, start.scale * units.scale
    settled = 0.0
    if not start.collapsed:
        rank = design_rank(problem.rows, problem.weight)
        share = search.breakdown * (1 - rank / whole.total)
        params, scale, settled = _s_step(whole, params, scale, search.constant, share)
    collapsed = start.collapsed or settled == -np.inf
    check_penalty(problem, collapsed)
    found = Descent(whole, problem.loss, None, problem.tol).run(params / scale, scale)
    agrees = collapsed or abs(settled) <= AGREES
    at = FixedPoint(scale, collapsed=collapsed, converged=agrees, disagreement=settled)
    coef, intercept = problem.rows.standard.to_original(params)
    s_fit = Coefficients(coef, float(intercept) + whole.center)
    return replace(fitted(whole, ended(whole, found), at, True), s_estimate=s_fit)


def _s_step(
    whole: Whole, params: Array, scale: float, constant: float, share: float
) -> tuple[Array, float, float]:
    """Return the S-estimate of all rows in a valley, its scale, and what that is off.

    Params are in units of y, around the centre.
    """
    free = np.zeros(params.size - 1)
    problem = replace(whole.problem, penalty=ElasticNet(free, free))
    unpenalised = replace(whole, problem=problem)
    descent = Descent(unpenalised, Tukey(constant), m_scale_excess(share), problem.tol)
    found = descent.run(params / scale, scale)
    if found.off == -np.inf:
        return params, unpenalised.sample.floor, -np.inf
    return found.reading.in_units_of_y, found.reading.asked.scale, found.off
