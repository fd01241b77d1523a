"""How close to an optimum is close enough: what is typical, and rounding errors.

A gap is measured against a value that outliers do not own, and against what rounding
errors of the residuals are worth.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robustreg.linalg import NOISE_LEVELS, TINY
from robustreg.objective import RESIDUAL_ERROR, Objective, Point
from robustreg.rows import BLOCK_ENTRIES, Array, Index, middle_of, stretches

# Slopes this close to an end of their range, and residuals to where their loss becomes
# linear, as a share of it, count as there: they may hold other fits, too. Far above
# their rounding errors, and far below the room that slopes of rows at the kink have but
# for coincidence.
AT_END = 1e-7
# A residual is known to a small multiple of its rounding error.
RESOLVED = 16.0
# A violation of no more typical errors of a slope than this may be their sum.
FEW_ERRORS = 4.0
# Residuals count up to this multiple of their median: 0.7 % exceed it at the Gaussian.
CLIPPED_AT = 4.0


def allowed_gap(
    objective: Objective, point: Point, tol: float, slopes: Array | None = None
) -> float:
    """Return the gap at which a fit is done: relative, but not below rounding."""
    rounding = gap_error(objective, point, slopes)
    return max(tol * typical_value(objective, point), rounding)


def typical_value(objective: Objective, point: Point) -> float:
    """Return the value that ``tol`` is relative to, deaf to outliers.

    The value with residuals clipped at a few times their median: a gap that is
    small beside an outlier's loss can still be large beside everybody else's.
    """
    deaf, typical = (
        objective.loss.facts.bounded_slope,
        typical_residual(objective, point),
    )
    if typical <= NOISE_LEVELS * objective.noise or not deaf:
        return point.value
    rows, weight = objective.representatives
    most = CLIPPED_AT * typical
    clipped = np.clip(point.residual[rows], -most, most)
    value = float(weight @ objective.loss.value(clipped))
    return value + objective.penalty.value(point.params[:-1])


def gap_error(objective: Objective, point: Point, slopes: Array | None = None) -> float:
    """Return the rounding error that the gap has from those of the residuals.

    Only rows whose slope, the loss's own if None are given, has room on both sides
    count: in the tails the loss and its conjugate cancel exactly.
    """
    low, high = objective.loss.facts.slopes
    rows, weight = objective.representatives
    if slopes is None:
        slope = objective.loss.gradient(point.residual[rows])
    else:
        slope = slopes[rows]
    room = (slope > low) & (slope < high)
    error = objective.loss.value(RESOLVED * residual_error(objective, point, rows))
    return float((weight * room) @ error)


def stationarity(objective: Objective, point: Point) -> float:
    """Return the largest violation relative to the terms that it sums.

    Of the size of rounding errors, which the rows' own curvature makes, it counts as 0.
    """
    errors = objective.noise * np.array([1.0, -1.0])
    noise = np.abs(objective.loss.gradient(errors)).max()
    largest = float(objective.violation(point).max())
    hidden = largest <= FEW_ERRORS * noise
    # What underflowed on its way to 0 is nothing.
    if hidden and largest <= max(FEW_ERRORS * _slope_errors(objective, point), TINY):
        return 0.0

    def slopes(place: slice) -> Array:
        return np.abs(objective.loss.gradient(point.residual[place]))

    terms = _mean(objective, slopes)
    return largest / terms if terms > 0 else float("inf")


def _slope_errors(objective: Objective, point: Point) -> float:
    """Return what rounding errors of the residuals are worth in a gradient.

    By the inequality of Cauchy and Schwarz, as columns have mean square 1.
    """

    def squares(place: slice) -> Array:
        curvature = objective.loss.curvature(point.residual[place])
        return (curvature * residual_error(objective, point, place)) ** 2

    return float(np.sqrt(_mean(objective, squares)))


def _mean(objective: Objective, of: Callable[[slice], Array]) -> float:
    """Return the weighted mean over rows of what is made of a stretch at a time."""
    weight = objective.weight
    places = stretches(weight.size, BLOCK_ENTRIES)
    return float(sum(weight[place] @ of(place) for place in places))


def rounding_of_terms(objective: Objective, point: Point) -> float:
    """Return what predictions cost that round by terms which are larger than they."""
    rows, weight = objective.representatives
    # By the inequality of Cauchy and Schwarz. Shifts of sparse rows are terms, too.
    size = float(np.linalg.norm(point.params)) * objective.rows.take(rows).norms()
    errors = RESIDUAL_ERROR * np.array([size, -size])
    return float((objective.loss.value(errors) @ weight).max())


def typical_residual(objective: Objective, point: Point) -> float:
    """Return how large residuals are: deaf to outliers where the loss is."""
    if objective.loss.facts.bounded_slope:
        return middle_of(np.abs(point.residual[objective.representatives[0]]))
    return float(objective.weight @ np.abs(point.residual))


def residual_error(objective: Objective, point: Point, rows: Index | slice) -> Array:
    """Return the rounding errors of some residuals."""
    size = np.abs(objective.target[rows]) + np.abs(point.residual[rows])
    return np.asarray(RESIDUAL_ERROR * size)
