"""A smooth fit and the scale of its residuals at once, with a sample's Hessian.

The scale is profiled out: it is always that of the residuals at hand, and what is
solved is ``gradient(params, scale(params)) = 0``. When the scale moves, the fit
follows, to first order along ``-H^-1 d gradient / d log(scale)``. A root search on that
line, which costs no pass, tells the scale that residuals will have once it did.
Programs that alternate between the two [1]_ make a fit for each scale instead.

Cost: half a pass, and one for each two digits of the gap: four or five. A whole
fit of smooth L1 to 1,000,000 rows of 50 columns took seven passes, where fits at one
scale after the other took nine; `tests/test_cost_updates.py` compares the two.

References
----------
.. [1] Huber, P. J. (1981). Robust Statistics, section 7.8. Wiley.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.optimize import brentq

from robustreg.linalg import MOST_DIRECT_PARAMS, least_norm_solve
from robustreg.objective import Objective, Point
from robustreg.rows import Array
from robustreg.solvers.results import Result
from robustreg.solvers.sampling import Preconditioner
from robustreg.solvers.subsampled import (
    POOR,
    Pairs,
    certified_gap,
    corrected_step,
    decrement,
)
from robustreg.tolerance import allowed_gap

# ``line(residual, change, reach)`` returns ``t -> scale of residual + t change``: exact
# for scales between ``exp(-reach)`` and ``exp(reach)`` times that of the residual.
Line = Callable[[Array, Array, float], Callable[[float], float]]

# How far the logarithm of the scale is looked for at first, and at most: the scale of a
# sample is off by about 0.01, and one that is off by much more is no guide.
FIRST_REACH, LONGEST_REACH = 0.02, 0.5
# Later it is looked for within this multiple of the last change, but within the second
# figure at least: a longer reach leaves more rows that may come near the median.
AHEAD, SHORTEST_REACH = 8.0, 1e-3
# To rounding errors of the scale.
LOG_XTOL = 1e-15


def profiled_newton(
    objective_at: Callable[[float], Objective],
    start: Array,
    scale: float,
    line: Line,
    preconditioner: Preconditioner,
    tol: float,
) -> tuple[Result, float] | None:
    """Minimise at the scale that the residuals of the minimum have.

    Parameters
    ----------
    objective_at : callable
        ``objective_at(scale)`` returns the objective in units of a scale: smooth, with
        few params and no l1 part.
    start : ndarray of shape (n_params,)
        Near the optimum, in units of y.
    scale : float
        Near the scale there.
    line : callable
        How the scale of residuals changes along a line.
    preconditioner : Preconditioner
        A sample's Hessian there.
    tol : float
        Done when the certified gap is allowed by `allowed_gap`.

    Returns
    -------
    Result
        As `subsampled_newton` returns it, in units of the scale.
    float
        The scale. None instead of both if the sample's Hessian will not do.
    """
    model, unit = preconditioner.model, objective_at(1.0)
    few = preconditioner.sample.objective
    drift = drift_at(few, few.evaluate(start / scale))
    tangent = -scale * model.factor.solve(drift)
    change = -unit.rows.predict(tangent)
    unit.rows.passes += 1
    params, before, gradient, point = start, start, None, None
    pairs: Pairs = []
    left, gap, reach, passes, success = np.inf, np.inf, FIRST_REACH, 0, False
    while not success:
        # Its residuals and target take no memory beside the next ones.
        point = None
        residual = unit.residual(params)
        length = _length(line, residual, change, scale, reach)
        if length is None:
            break
        residual += length * change
        params = params + length * tangent
        scale *= np.exp(length)
        residual /= scale
        point = objective_at(scale).evaluate(params / scale, residual)
        del residual
        passes, previous, left = passes + 1, left, decrement(model, point)
        if not left < POOR * previous:
            break
        if gradient is not None:
            step = (params - before) / scale
            slope = point.gradient - gradient - length * drift
            if step @ slope > 0:
                pairs.append((step, slope))
        gradient, before = point.gradient, params
        reach = max(AHEAD * abs(length), SHORTEST_REACH)
        allowed = allowed_gap(point.objective, point, tol)
        if left <= preconditioner.sample.share * allowed:
            gap = certified_gap(preconditioner, point)
            success = gap <= allowed
        params = params - scale * corrected_step(model, pairs, point)
    if point is None or not success:
        return None
    return Result(point, gap, passes - 1, True, unique=True), float(scale)


def drift_at(objective: Objective, point: Point) -> Array:
    """Return the derivative of the gradient by the logarithm of the scale.

    In units of the scale, at params that stay as they are in units of y.
    """
    pulled = objective.rows.adjoint(objective.curvature(point) * point.residual)
    return np.asarray(pulled - objective.l2 * point.params)


def tangent_at(point: Point) -> Array | None:
    """Return the derivative of a fit by the logarithm of the scale, None if it is dear.

    In units of the scale, for params in units of y. Params that an l1 part holds at 0
    stay there.
    """
    objective = point.objective
    held = (objective.l1 > 0) & (point.params == 0)
    columns = np.flatnonzero(objective.rows.varies & ~held)
    if not 0 < columns.size <= MOST_DIRECT_PARAMS:
        return None
    objective.rows.passes += 0.5
    hessian = objective.hessian(objective.curvature(point), columns)
    tangent = np.zeros_like(point.params)
    drift = drift_at(objective, point)[columns]
    tangent[columns] = -least_norm_solve(hessian, drift)[0]
    return tangent


def _length(
    line: Line, residual: Array, change: Array, scale: float, reach: float
) -> float | None:
    """Return by how much the logarithm of the scale changes; None if too much."""
    while reach <= LONGEST_REACH:
        scale_at = line(residual, change, reach)
        excess = partial(excess_at, scale_at, scale)
        if excess(-reach) > 0 > excess(reach):
            return root_between(excess, -reach, reach)
        reach *= AHEAD
    return None


def root_between(
    excess: Callable[[float], float], low: float, high: float
) -> float | None:
    """Return the root between two ends, None if the function is not known there."""
    try:
        return float(brentq(excess, low, high, xtol=LOG_XTOL))
    except ValueError:
        return None


def excess_at(scale_at: Callable[[float], float], scale: float, length: float) -> float:
    """Return by how much the logarithm of the scale exceeds that of the fit's."""
    return float(np.log(scale_at(length) / scale)) - length
