"""MM-estimates: an S-estimate, and an M-step into the valley that it lies in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from robustreg.breakdown.downhill import downhill
from robustreg.breakdown.s_estimate import SEstimate, s_estimate
from robustreg.breakdown.ties import TIE
from robustreg.fitting import Coefficients, Fit, Problem, fit_from
from robustreg.rows import Array, representatives
from robustreg.scale import MOST_SORTED, scale_floor, spread, weighted_median


def fit_mm(
    problem: Problem,
    *,
    constant: float,
    breakdown: float,
    n_subsets: int,
    rng: np.random.Generator,
) -> Fit:
    """Fit one target [1]_.

    Of S-estimates that tie, the one whose M-step comes lowest counts.

    Parameters
    ----------
    problem : Problem
        With the loss of the M-step. Its scale is the S-estimate's, whatever it
        says, and its penalty is the M-step's alone.
    constant : float
        Of Tukey's loss in the S-estimate.
    breakdown : float
        Share of rows that may be wrong.
    n_subsets : int
        How many subsets are drawn, as in `s_estimate`.
    rng : numpy.random.Generator
        Where they come from.

    References
    ----------
    .. [1] Yohai, V. J. (1987). High breakdown-point and high efficiency robust
       estimates for regression. Annals of Statistics 15, 642-656.
    """
    y, weight, standard = problem.y, problem.weight, problem.rows.standard
    floor = scale_floor(y, weight)
    unit = max(spread(y, weight), floor)
    some, share = representatives(weight, MOST_SORTED)
    center = standard.constant * weighted_median(y[some], share)
    start = s_estimate(
        problem.rows,
        (y - center) / unit,
        weight,
        constant=constant,
        breakdown=breakdown,
        n_subsets=n_subsets,
        floor=floor / unit,
        rng=rng,
    )
    _check_penalty(problem, start)
    at_scale = replace(problem, scale=start.scale * unit)
    shift = np.zeros_like(start.params)
    shift[-1] = center
    fits = [
        _m_step(at_scale, params * unit, shift, start.collapsed)
        for params in (start.params, *start.tied)
    ]
    best = fits[0]
    for fit in fits[1:]:
        if fit.objective < best.objective - TIE * abs(best.objective):
            best = fit
    return best


def _m_step(problem: Problem, params: Array, shift: Array, collapsed: bool) -> Fit:
    """Return the fit in the valley of the S-estimate with the params, less a shift."""
    scale, weight = float(problem.scale), problem.weight / problem.weight.sum()
    target = (problem.y - shift[-1]) / scale
    near = downhill(problem.rows, target, weight, problem.loss, params / scale)
    fit = fit_from(problem, near * scale + shift, collapsed)
    coef, intercept = problem.rows.standard.to_original(params + shift)
    return replace(fit, s_estimate=Coefficients(coef, float(intercept)))


def _check_penalty(problem: Problem, start: SEstimate) -> None:
    """Refuse a penalty in units of a scale that is 0."""
    penalised = problem.penalty.value(np.ones(problem.rows.n_params - 1)) > 0
    if start.collapsed and penalised:
        raise ValueError(
            "alpha > 0 penalises coefficients in units of the S-scale, and that is 0: "
            "more than half of the rows can be fitted exactly, as they always can with "
            "as many columns as rows. Use alpha=0, fewer columns, or RobustRegressor."
        )
