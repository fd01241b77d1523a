"""Fits that need no search: of every row, or of the rows with one and the same target.

Where most of the target is one value, a count of rare events or a clipped rating, the
intercept alone is optimal as soon as slopes of the tied rows, which a kink leaves open,
balance those of all others [1]_. Nothing narrows then: the density of residuals at the
kink is infinite.

References
----------
.. [1] Koenker, R. (2005). Quantile Regression, section 2.2. Cambridge University Press.
"""

from __future__ import annotations

import numpy as np

from robustreg.certificate import duality_gap
from robustreg.linalg import NOISE_LEVELS
from robustreg.objective import Objective, Point
from robustreg.penalties import ElasticNet
from robustreg.rows import Array
from robustreg.solvers.results import Result
from robustreg.solvers.ties import can_interpolate, nearer
from robustreg.tolerance import allowed_gap, rounding_of_terms, typical_residual

# Fewer rows than this share at one value seldom balance all others.
TIED_SHARE = 0.2
# A residual of no more than this many rounding errors is at the kink.
AT_KINK = 4


def constant_fit(objective: Objective, tol: float) -> Result | None:
    """Return the fit of the intercept alone if ties make it optimal, else None.

    No penalty is below its value at coefficients of 0, so that what is optimal without
    a penalty is so with any.
    """
    value = _quantile(objective) if objective.rows.standard.constant else 0.0
    rows, share = objective.representatives
    tied = np.abs(objective.target[rows] - value) <= AT_KINK * objective.noise
    if share @ tied < TIED_SHARE * share.sum():
        return None
    # What ties do not hold in a sample they seldom hold in all rows, unless all but a
    # few events are tied, of which a sample has one too many.
    few = share @ tied < 0.99 * share.sum()
    sampled = few and rows.size < objective.target.size
    if sampled and _held(objective.take(rows, share), value, tol) is None:
        return None
    return _held(objective, value, tol)


def _held(objective: Objective, value: float, tol: float) -> Result | None:
    """Return the fit of an intercept if it is optimal, else None."""
    params = np.append(np.zeros(objective.n_params - 1), value)
    point = objective.evaluate(params, objective.target - value)
    slopes = _balanced(objective, point.residual)
    none = np.zeros(objective.n_params - 1)
    gap = duality_gap(objective.with_penalty(ElasticNet(none, none)), point, slopes)
    if gap > allowed_gap(objective, point, tol, slopes):
        return None
    return Result(point, gap, 1, True, slopes=slopes)


def perfect_fit(objective: Objective, start: Array, residual: Array) -> Result | None:
    """Return the start if it fits every row, to rounding, at no penalty."""
    point = Point(start, np.full_like(start, np.nan), residual, objective)
    if typical_residual(objective, point) > NOISE_LEVELS * objective.noise:
        return None
    return _of_every_row(objective.evaluate(start))


def _of_every_row(point: Point) -> Result | None:
    """Return a point if it fits every row, to rounding, at no penalty."""
    objective = point.objective
    slopes = np.zeros_like(objective.target)
    gap = duality_gap(objective, point, slopes)
    rounding = rounding_of_terms(objective, point)
    if not gap <= max(allowed_gap(objective, point, 0.0, slopes), rounding):
        return None
    return Result(point, gap, 1, True, slopes=slopes)


def interpolating_fit(objective: Objective) -> Result | None:
    """Return the fit of every row by coefficients that are as many, if there is one.

    Those of least norm. A search by gradients would end above it where rows all but
    depend on each other, or count very differently.
    """
    if not (can_interpolate(objective) and objective.loss.facts.convex):
        return None
    point = objective.evaluate(np.zeros(objective.n_params))
    # Once more for what rounding left.
    return _of_every_row(nearer(objective, nearer(objective, point)))


def _quantile(objective: Objective) -> float:
    """Return the quantile of typical targets that the loss's slopes stand for."""
    low, high = objective.loss.facts.slopes
    rows, share = objective.representatives
    order = np.argsort(objective.target[rows])
    sums = np.cumsum(share[order])
    place = np.searchsorted(sums, high / (high - low) * sums[-1])
    return float(objective.target[rows[order[min(place, order.size - 1)]]])


def _balanced(objective: Objective, residual: Array) -> Array:
    """Return the slopes of each row's side, of rows at the kink what balances them."""
    low, high = objective.loss.facts.slopes
    slopes = objective.loss.gradient(residual)
    tied = np.abs(residual) <= AT_KINK * objective.noise
    slopes[tied] = 0.0
    needed = -float(objective.weight @ slopes) / float(objective.weight @ tied)
    slopes[tied] = min(max(needed, low), high)
    return slopes
