"""Fits by passes, in original units."""

from __future__ import annotations

import numpy as np

from robustreg.fitting import Fit, Units
from robustreg.fitting.precision import answer
from robustreg.losses import relative_weight
from robustreg.objective import RESIDUAL_ERROR
from robustreg.outliers import rounding_scale
from robustreg.partitions.smooth import Found
from robustreg.partitions.whole import Ended, Reading, Whole
from robustreg.rows import typical_design, typical_terms
from robustreg.scale import FixedPoint, least_distance


def ended(whole: Whole, found: Found) -> Ended:
    """Return where a smooth fit ended."""
    convex = found.reading.asked.loss.facts.convex
    return Ended(
        found.reading,
        found.gap if convex else float("nan"),
        found.mad,
        whole.stationarity(found.reading),
        found.gap <= found.allowed,
        "the passes did not converge",
    )


def fitted(whole: Whole, end: Ended, at: FixedPoint, estimated: bool) -> Fit:
    """Return a fit in original units, without flags and weights of rows.

    Parameters
    ----------
    whole : Whole
        The rows.
    end : Ended
        The fit.
    at : FixedPoint
        Its scale.
    estimated : bool
        Whether that is the scale of its residuals.
    """
    problem, asked = whole.problem, end.reading.asked
    params = Units(whole.center, asked.scale).to_original(asked.params)
    data = problem.rows, problem.weight
    coef, intercept = answer(*data, params, at.scale, problem.eps)
    measured = at.scale if estimated and not at.collapsed else end.mad
    least = least_distance(problem.y, problem.weight)
    lowest = min(measured, at.scale)
    rounding = rounding_scale(*data, coef, intercept, problem.eps, lowest)
    # A scale that rounding hides is none of the answer's.
    terms = typical_terms(typical_design(*data), end.reading.in_units_of_y)
    hides = max(rounding, RESIDUAL_ERROR * terms)
    hidden = problem.estimate is not None and at.scale <= hides
    # Only a fit that is the same at any scale was made at another.
    unit = asked.scale / at.scale
    return Fit(
        coef=coef,
        intercept=intercept,
        scale=at.scale,
        objective=end.reading.value * unit,
        dual_gap=end.gap * unit,
        stationarity=end.stationarity,
        n_iter=1,
        weights=None,
        residual_scale=float(max(measured, least, rounding)),
        outliers=np.zeros(0, dtype=bool),
        success=end.success and at.converged,
        collapsed=at.collapsed or bool(hidden),
        message=end.message if at.converged else "the scale did not settle",
        disagreement=0.0 if at.converged else at.disagreement,
        counted=_counted(whole, end.reading),
    )


def _counted(whole: Whole, reading: Reading) -> float:
    """Return the mean robustness weight, that of the sample's rows."""
    few = whole.few(reading.asked)
    if few.loss.facts.convex:
        return 1.0
    weights = relative_weight(few.loss, few.residual(reading.params))
    return float(few.weight @ weights)
