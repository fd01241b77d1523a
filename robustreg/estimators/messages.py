"""What the estimators say of fits that are not what was asked for."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from robustreg.fitting import Fit
from robustreg.rows import Array
from robustreg.scale import weighted_median


@dataclass(frozen=True)
class Collapse:
    """How an estimator speaks of a scale that is 0, or too small for its loss.

    Parameters
    ----------
    name : str
        What the scale is called.
    fit : str
        What the fit is then.
    tied, wide, exact : str
        The way out if y is mostly one value, if params are about as many as rows, and
        otherwise.
    small : str
        The way out if the loss takes nearly all rows for outliers.
    """

    name: str
    fit: str
    tied: str
    wide: str
    exact: str
    small: str


def no_effect(name: str, penalty: str | None, alpha: float) -> str:
    """Return what is said of a penalty without alpha, or of alpha without a penalty."""
    if penalty is None:
        return (
            f"{name}: alpha={alpha!r} has no effect with penalty=None. Set penalty to "
            "'l1', 'l2' or 'elasticnet', or alpha to 0."
        )
    return (
        f"{name}: penalty={penalty!r} has no effect with alpha=0. Set alpha, which "
        "RobustRegressorCV chooses and robust_path shows, or penalty to None."
    )


def no_effect_alphas(name: str, alphas: Any, default: int) -> str:
    """Return what is said of strengths where no candidate has a penalty."""
    return (
        f"{name}: alphas={reprlib.repr(alphas)} has no effect with penalty=None. Set "
        f"penalty to 'l1', 'l2' or 'elasticnet', or leave alphas at {default}."
    )


def unsettled(told: str, fits: list[Fit]) -> str:
    """Return what is said of fits that no scale agrees with."""
    worst = max(fits, key=lambda fit: abs(fit.disagreement))
    return (
        f"{told} found no scale that agrees with its own fit "
        f"near s = {worst.scale:.6g}: the residuals of the fit there have the "
        f"scale {worst.scale * np.exp(worst.disagreement):.6g}, and the fit "
        "jumps where s moves on, or s falls on and on. The fit that agreed best is "
        "kept. Pass a number as scale, a larger beta, a stronger penalty, or "
        "a convex and smooth loss."
    )


def unconverged_folds(name: str, failed: int, of: int, tol: float) -> str:
    """Return what is said of fits of folds that did not converge."""
    return (
        f"{name}: {failed} of {of} fits of folds did not converge to tol={tol:g}, or "
        "found no scale that agrees with its own fit. Their scores are those of the "
        "best fits found. Raise max_iter or tol, leave out the smallest alphas, or "
        "pass a number as scale."
    )


def stopped(told: str, fits: list[Fit], tol: float) -> str:
    """Return what is said of fits that a callback stopped."""
    return (
        f"{told} was stopped by a callback before tol={tol:g} was met: "
        f"{_shortfall(max(fits, key=_doubt))}. The best fit found is kept."
    )


def unconverged(
    told: str, fits: list[Fit], solver: str, tol: float, max_iter: int
) -> str:
    """Return what is said of fits that did not meet the tolerance."""
    worst = max(fits, key=_doubt)
    more = "Raise max_iter or tol" if worst.n_iter >= max_iter else "Raise tol"
    return (
        f"{told} stopped before tol={tol:g} was met: "
        f"{_shortfall(worst)} (solver={solver!r}, {worst.n_iter} "
        f"iterations: {worst.message}). The best fit found is kept. "
        f"{more}, or try another solver."
    )


def rejecting(told: str, collapse: Collapse, fit: Fit) -> str:
    """Return what is said of a fit that no row counts in."""
    return (
        f"{told} rejects nearly all rows: their weights_ have a "
        f"mean of {fit.counted:.2g}. At the scale {fit.scale:.3g} the loss "
        f"takes them for outliers. {collapse.small}"
    )


def collapsed(
    told: str, collapse: Collapse, y: Array, weight: Array, n_params: int
) -> str:
    """Return what is said of a scale that is 0, and why it is for this target."""
    value = weighted_median(y, weight)
    same = y == value
    cause, way_out = "", collapse.exact
    if weight[same].sum() > 0.5 * weight.sum():
        cause = f", because y is {value:.6g} in {_rows(same, weight)}"
        way_out = collapse.tied
    elif 2 * n_params > y.size:
        # Those that the params fit exactly are most.
        cause = f", because there are {n_params} coefficients for {y.size} rows"
        way_out = collapse.wide
    return (
        f"{told}: {collapse.name} collapsed. More than half of the rows are fitted "
        f"exactly{cause}. The fit is made at the smallest scale that counts as "
        f"positive, which is {collapse.fit}. {way_out}"
    )


def _rows(some: Array, weight: Array) -> str:
    """Return how many rows some are, or how much of the weight."""
    if weight.min() == weight.max():
        return f"{np.count_nonzero(some)} of {some.size} rows"
    return f"rows with {weight[some].sum() / weight.sum():.1%} of the weight"


def _doubt(fit: Fit) -> float:
    """Return how far a fit may be from done: its gap, or what stands in for it."""
    return fit.stationarity if np.isnan(fit.dual_gap) else fit.dual_gap


def _shortfall(fit: Fit) -> str:
    """Return what a fit lacks, in the terms of its loss."""
    if np.isnan(fit.dual_gap):
        return (
            "the relative violation of a local minimum's optimality condition is "
            f"{fit.stationarity:.2g}"
        )
    return (
        f"the objective, {fit.objective:.6g}, may be {fit.dual_gap:.2g} above its "
        "minimum"
    )
