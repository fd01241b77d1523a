"""One target's fit: at a given scale, or with the scale that its residuals have."""

from __future__ import annotations

from robustreg.fitting.absent import with_absent
from robustreg.fitting.alike import Alike, fit_alike
from robustreg.fitting.at_once import fit_at_once
from robustreg.fitting.basis import basis_of
from robustreg.fitting.coordinates import Units, standardisations, units_of
from robustreg.fitting.precision import answers
from robustreg.fitting.problem import Coefficients, Fit, Problem
from robustreg.fitting.quantiles import QuantileFit, QuantileFits, fit_quantiles
from robustreg.fitting.reach import within_reach
from robustreg.fitting.resampled import Resampling, resampling
from robustreg.fitting.targets import fit_from, fit_problem, fit_targets

__all__ = [
    "Alike",
    "Coefficients",
    "Fit",
    "Problem",
    "QuantileFit",
    "QuantileFits",
    "Resampling",
    "Units",
    "answers",
    "basis_of",
    "fit_alike",
    "fit_at_once",
    "fit_from",
    "fit_problem",
    "fit_quantiles",
    "fit_targets",
    "resampling",
    "standardisations",
    "units_of",
    "with_absent",
    "within_reach",
]
