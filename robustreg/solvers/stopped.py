"""What is known of a point that a solver was stopped at."""

from __future__ import annotations

import numpy as np

from robustreg.certificate import duality_gap
from robustreg.objective import Objective, Point
from robustreg.solvers.results import Result
from robustreg.tolerance import allowed_gap, stationarity


def stopped_at(objective: Objective, point: Point, tol: float, n_iter: int) -> Result:
    """Return a result at a point, successful if its slopes certify it.

    Parameters
    ----------
    objective : Objective
        What is minimised.
    point : Point
        The best that is known.
    tol : float
        As solvers take it.
    n_iter : int
        Passes that led there.
    """
    if objective.loss.facts.convex:
        slopes = objective.loss.gradient(point.residual)
        gap = duality_gap(objective, point, slopes)
        success = gap <= allowed_gap(objective, point, tol)
    else:
        gap, success = np.nan, stationarity(objective, point) <= tol
    return Result(point, float(gap), n_iter, bool(success), "stopped by a callback")
