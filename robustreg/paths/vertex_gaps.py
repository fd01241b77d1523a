"""Certificates of many vertices at once: those of `duality_gap`, by arrays.

At a vertex under an l1 penalty the slopes are feasible but for rounding, and the bound
of `robustreg.certificate` is

    sum_i w_i (loss(r_i) - r_i d_i) + typical(r) sum_j missed_j,

``missed`` being what rounding leaves of the constraints. Whatever misses them by more
is not certified here.
"""

from __future__ import annotations

import numpy as np

from robustreg.linalg import EPS, ROUNDINGS
from robustreg.objective import Objective
from robustreg.rows import Array
from robustreg.tolerance import CLIPPED_AT


def vertex_gaps(
    objective: Objective, l1: Array, params: Array, slopes: Array, tol: float
) -> Array:
    """Return bounds on the objective at params minus its minimum, for k penalties.

    Infinite where the bound is not within the tolerance, or the slopes not feasible.

    Parameters
    ----------
    objective : Objective
        With a piecewise linear loss; its penalty is of no account.
    l1, params : ndarray of shape (k, n_params)
        L1 parts of the penalties, and the vertices.
    slopes : ndarray of shape (k, n_rows)
        Optimal slopes.
    tol : float
        The tolerance, as `allowed_gap` takes it.
    """
    weight, (low, high) = objective.weight, objective.loss.facts.slopes
    slopes = np.clip(slopes, low, high)
    objective.rows.passes += 1
    residual = objective.target - objective.rows.predict_each(params)
    adjoint = objective.rows.adjoint_each(weight * slopes)
    limited = np.where(params != 0, l1 * np.sign(params), np.clip(adjoint, -l1, l1))
    missed = np.abs(adjoint - limited)
    terms = np.abs(slopes) @ weight + EPS * max(-low, high)
    rounding = ROUNDINGS * EPS * np.sqrt(objective.n_params) * terms
    feasible = (missed <= rounding[:, None]).all(axis=1)
    value = np.maximum(high * residual, low * residual)
    few, share = objective.representatives
    size = np.abs(residual[:, few])
    typical = np.partition(size, few.size // 2, axis=1)[:, few.size // 2]
    rows = np.maximum(value - residual * slopes, 0.0) @ weight
    gap = rows + missed.sum(axis=1) * typical
    # No more than `typical_value`, which clips residuals.
    clipped = np.minimum(value[:, few], CLIPPED_AT * typical[:, None] * min(-low, high))
    typical = clipped @ share + (l1 * np.abs(params)).sum(axis=1)
    return np.where(feasible & (gap <= tol * typical), gap, np.inf)
