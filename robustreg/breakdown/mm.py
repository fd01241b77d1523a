"""MM-estimates: an S-estimate, and an efficient fit in the valley that it lies in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from robustreg.breakdown.downhill import downhill
from robustreg.breakdown.s_estimate import SEstimate, s_estimate
from robustreg.breakdown.ties import TIE
from robustreg.fitting import Fit, Initial, Problem, fit_from
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

    Of S-estimates that tie, the one whose second step is lowest is the first step.

    Parameters
    ----------
    problem : Problem
        With the loss of the second step. Its scale is the S-estimate's, whatever it
        says, and its penalty is the second step's alone.
    constant : float
        Of Tukey's loss in the first step.
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
    first = s_estimate(
        problem.rows,
        (y - center) / unit,
        weight,
        constant=constant,
        breakdown=breakdown,
        n_subsets=n_subsets,
        floor=floor / unit,
        rng=rng,
    )
    _check_penalty(problem, first)
    at_scale = replace(problem, scale=first.scale * unit)
    shift = np.zeros_like(first.params)
    shift[-1] = center
    fits = [
        _second_step(at_scale, params * unit, shift, first.collapsed)
        for params in (first.params, *first.tied)
    ]
    best = fits[0]
    for fit in fits[1:]:
        if fit.objective < best.objective - TIE * abs(best.objective):
            best = fit
    return best


def _second_step(problem: Problem, params: Array, shift: Array, collapsed: bool) -> Fit:
    """Return the fit in the valley of the S-estimate with the params, less a shift."""
    scale, weight = float(problem.scale), problem.weight / problem.weight.sum()
    target = (problem.y - shift[-1]) / scale
    near = downhill(problem.rows, target, weight, problem.loss, params / scale)
    fit = fit_from(problem, near * scale + shift, collapsed)
    coef, intercept = problem.rows.standard.to_original(params + shift)
    return replace(fit, initial=Initial(coef, float(intercept)))


def _check_penalty(problem: Problem, first: SEstimate) -> None:
    """Refuse a penalty in units of a scale that is 0."""
    penalised = problem.penalty.value(np.ones(problem.rows.n_params - 1)) > 0
    if first.collapsed and penalised:
        raise ValueError(
            "alpha > 0 penalises coefficients in units of the S-scale, and that is 0: "
            "more than half of the rows can be fitted exactly, as they always can with "
            "as many columns as rows. Use alpha=0, fewer columns, or RobustRegressor."
        )
