"""A sequence of fits that differ in their penalty, each started at the one before."""

from __future__ import annotations

from dataclasses import dataclass

from robustreg.certificate import duality_gap
from robustreg.objective import Objective
from robustreg.penalties import Penalty
from robustreg.rows import Array
from robustreg.solvers import solve
from robustreg.solvers.newton import allowed_gap
from robustreg.solvers.null_fit import NullFit


@dataclass(frozen=True)
class WarmFit:
    """One of a sequence of fits.

    Parameters
    ----------
    params : ndarray of shape (n_params,)
        Where the objective is smallest.
    value, gap : float
        The objective there, and a bound on it minus its minimum.
    success : bool
        Whether the gap is within the tolerance.
    """

    params: Array
    value: float
    gap: float
    success: bool


def warm_fits(
    objective: Objective,
    null: NullFit,
    penalties: list[Penalty],
    tol: float,
    max_iter: int,
) -> list[WarmFit]:
    """Return the fit for each penalty; the first is best the strongest."""
    fits: list[WarmFit] = []
    params, near = null.point.params, False
    for penalty in penalties:
        like = objective.with_penalty(penalty)
        fit = None if near else _null(like, null, tol)
        if fit is None:
            result = solve(like, params, "auto", tol, max_iter, near)
            fit = WarmFit(
                result.x, float(result.fun), float(result.gap), result.success
            )
            near = True
        params = fit.params
        fits.append(fit)
    return fits


def _null(objective: Objective, null: NullFit, tol: float) -> WarmFit | None:
    """Return the fit without columns if it is optimal."""
    gap = duality_gap(objective, null.point, null.slopes)
    allowed = allowed_gap(objective, null.point, tol, null.slopes)
    if gap > allowed:
        return None
    return WarmFit(null.point.params, null.point.value, gap, True)
