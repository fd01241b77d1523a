"""MM-estimates: an S-estimate, and an M-step into the valley that it lies in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from robustreg.breakdown.s_estimate import SEstimate, s_estimate
from robustreg.breakdown.search import Search, Tell
from robustreg.fitting import Coefficients, Fit, Problem, Units, fit_from, units_of
from robustreg.linalg import SUM_ERROR
from robustreg.report import Report
from robustreg.rows import Array
from robustreg.scale import scale_floor, spread


def fit_mm(problem: Problem, search: Search) -> Fit:
    """Fit one target [1]_.

    Of S-estimates that tie, the one whose M-step comes lowest counts. The loss and the
    penalty of the problem are those of the M-step, and its scale, whatever it says, is
    the S-estimate's.

    References
    ----------
    .. [1] Yohai, V. J. (1987). High breakdown-point and high efficiency robust
       estimates for regression. Annals of Statistics 15, 642-656.
    """
    start, units = start_of(problem, search)
    at_scale = replace(problem, scale=start.scale * units.scale)
    fits = [
        _m_step(at_scale, params, units, start.collapsed)
        for params in (start.params, *start.tied)
    ]
    best = fits[0]
    for fit in fits[1:]:
        if fit.objective < best.objective - SUM_ERROR * abs(best.objective):
            best = fit
    return best


def _m_step(problem: Problem, params: Array, units: Units, collapsed: bool) -> Fit:
    """Return the fit in the valley of the S-estimate with params in some units."""
    start = units.to_original(params)
    fit = fit_from(problem, start, collapsed)
    coef, intercept = problem.rows.standard.to_original(start)
    return replace(fit, s_estimate=Coefficients(coef, float(intercept)))


def start_of(problem: Problem, search: Search) -> tuple[SEstimate, Units]:
    """Return the S-estimate of the rows of a problem, and the units that it is in."""
    floor = scale_floor(problem.y, problem.weight)
    units = units_of(problem, max(spread(problem.y, problem.weight), floor))
    start = s_estimate(
        problem.rows,
        units.of_target(problem.y),
        problem.weight,
        search,
        floor / units.scale,
        None if problem.report is None else _telling(problem.report, units),
    )
    check_penalty(problem, start.collapsed)
    return start, units


def _telling(report: Report, units: Units) -> Tell:
    """Return what tells a report of params in some units."""
    return lambda params: report("subsets", units.to_original(params))


def check_penalty(problem: Problem, collapsed: bool) -> None:
    """Refuse a penalty of the M-step in units of an S-scale that collapsed to 0."""
    penalised = problem.penalty.value(np.ones(problem.rows.n_params - 1)) > 0
    if collapsed and penalised:
        raise ValueError(
            "alpha > 0 penalises coefficients in units of the S-scale, and that is 0: "
            "more than half of the rows can be fitted exactly, as they always can with "
            "as many columns as rows. Use alpha=0, fewer columns, or RobustRegressor."
        )
