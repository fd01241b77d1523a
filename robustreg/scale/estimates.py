"""Estimates of the scale of given residuals."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from robustreg.linalg import CANCELLED
from robustreg.rows import BLOCK_ENTRIES, TIE, Index, representatives, stretches
from robustreg.scale.clipped import proposal2, proposal2_of_each

Array = NDArray[Any]
Transform = Callable[[Array], Array]

# 1 / Phi^-1(3/4) makes the median absolute residual consistent at the Gaussian.
MAD_FACTOR = float(1 / norm.ppf(0.75))
# Of more values only those near the median are sorted.
MOST_SORTED = 2**14
# Residuals count as zero below this share of the spread of y.
RESOLUTION = 1e-10


def weighted_median(values: Array, weight: Array, of: Transform = np.positive) -> float:
    """Return the median of ``of(values)``, of which each stands ``weight`` times.

    The middle of the two candidates where half of the weight lies on either side, so
    that equal weights give ``numpy.median``. Of many values no copy is made.

    Examples
    --------
    >>> import numpy as np
    >>> from robustreg.scale import weighted_median
    >>> weighted_median(np.array([1.0, 2.0, 9.0, 5.0]), np.array([1.0, 1.0, 1.0, 0.0]))
    2.0
    """
    if values.size <= BLOCK_ENTRIES and weight.min() == weight.max():
        return float(_equal_median(of(values)))
    total, below = float(weight.sum()), 0.0
    if values.size > MOST_SORTED:
        near, below = _around_the_median(values, weight, of)
        values, weight = values[near], weight[near]
    return _sorted_median(of(values), weight, below, total)


def _equal_median(values: Array) -> Array:
    """Return the median over the last axis of values of equal weight, unsorted."""
    n = values.shape[-1]
    # Two places at once take several times as long.
    ordered = np.partition(values, n // 2, axis=-1)
    upper = ordered[..., n // 2]
    lower = upper if n % 2 else ordered[..., : n // 2].max(axis=-1)
    return np.asarray(lower + (upper - lower) / 2)


def _sorted_median(values: Array, weight: Array, below: float, total: float) -> float:
    """Return the median of values beside others with some weight below them."""
    halves = total / 2 - TIE * total - below, total / 2 + TIE * total - below
    if weight.min() == weight.max():
        # Order statistics are found without a sort.
        first, last = (max(ceil(half / weight[0]) - 1, 0) for half in halves)
        ordered = np.partition(values, last)
        upper = ordered[last]
        lower = upper if first == last else ordered[:last].max()
    else:
        order = np.argsort(values)
        sums = np.cumsum(weight[order])
        lower, upper = (values[order[np.searchsorted(sums, half)]] for half in halves)
    return float(lower + (upper - lower) / 2)


def median_beside(
    values: Array, weight: Array, below: float, total: float
) -> float | None:
    """Return the median of values and of others, of which some are below them.

    None if it is among the others.

    Parameters
    ----------
    values, weight : ndarray of shape (n_rows,)
        Those that may be the median, and how often each stands.
    below, total : float
        The weight of those that are below, and of all.
    """
    room = min(total / 2 - below, below + float(weight.sum()) - total / 2)
    # A tie is twice `TIE` of the half; sums err by as much.
    return (
        _sorted_median(values, weight, below, total) if room > 2 * TIE * total else None
    )


def median_of_each(values: Array, weight: Array) -> Array:
    """Return the `weighted_median` of each of k targets, an array of shape (k, n)."""
    if weight.size > MOST_SORTED:
        return np.array([weighted_median(row, weight) for row in values])
    if weight.min() == weight.max():
        return _equal_median(values)
    order, each = np.argsort(values, axis=1), np.arange(len(values))
    places = _half_passed(np.cumsum(weight[order], axis=1))
    lower, upper = (values[each, order[each, place]] for place in places)
    return np.asarray(lower + (upper - lower) / 2)


def _half_passed(sums: Array) -> tuple[Array, Array]:
    """Return where each row of sums passes half of its last, less and plus a tie."""
    total = sums[:, -1:]
    return (
        np.argmax(sums >= (0.5 - TIE) * total, axis=1),
        np.argmax(sums >= (0.5 + TIE) * total, axis=1),
    )


def _around_the_median(
    values: Array, weight: Array, of: Transform
) -> tuple[Index | slice, float]:
    """Return which values are near the median, and the weight below them.

    A sample tells where; if it misleads, all values are near.
    """
    index, _ = representatives(weight, MOST_SORTED)
    ordered = np.sort(of(values[index]))
    # Four standard deviations of the median's rank in a sample: each is half a root.
    middle, reach = MOST_SORTED // 2, 2 * isqrt(MOST_SORTED)
    low, high = ordered[middle - reach], ordered[middle + reach]
    return _between(low, high, values, weight, of) or (slice(None), 0.0)


def _between(
    low: float, high: float, values: Array, weight: Array, of: Transform
) -> tuple[Index, float] | None:
    """Return which of ``of(values)`` are in an interval, and the weight below it.

    None if half of the weight, tied or not, is not passed there.
    """
    below, near = 0.0, []
    for place in stretches(values.size):
        some = of(values[place])
        is_below = some < low
        below += float(weight[place] @ is_below)
        near.append(place.start + np.flatnonzero((some <= high) & ~is_below))
    index, half = np.concatenate(near), float(weight.sum()) / 2
    room = min(half - below, below + float(weight[index].sum()) - half)
    # A tie is twice `TIE` of the half; sums err by as much.
    return (index, below) if room > 4 * TIE * half else None


def mad(residual: Array, weight: Array, n_params: int) -> float:
    """Return 1.4826 times the weighted median of ``abs(residual)``."""
    del n_params
    return MAD_FACTOR * weighted_median(residual, weight, np.abs)


def mad_along(
    weight: Array,
    residual: Array,
    change: Array,
    reach: float,
    measured: float | None = None,
) -> Callable[[float], float]:
    """Return ``t -> mad(residual + t change)``, from the rows near the median.

    All others keep their side of it, which is for the caller to check; nan where the
    median itself is not between ``exp(-reach)`` and ``exp(reach)`` times the first, or
    the middle of two candidates of which one is not, or 0. ``measured`` is the MAD of
    the residuals, if known.
    """
    measured = mad(residual, weight, 0) if measured is None else measured
    middle = measured / MAD_FACTOR
    low, high = middle * np.exp(-reach), middle * np.exp(reach)
    found = _between(low, high, residual, weight, np.abs)
    if found is None:
        return lambda t: float("nan")
    near, below = found
    r, v, w, total = residual[near], change[near], weight[near], float(weight.sum())

    def along(t: float) -> float:
        median = _sorted_median(np.abs(r + t * v), w, below, total)
        seen = median > 0 and low <= median <= high
        return MAD_FACTOR * median if seen else float("nan")

    return along


def mad_beside(weight: Array, residual: Array, some: Index) -> Callable[[Array], float]:
    """Return the MAD of all residuals as a function of some, the others as they are.

    nan where one of the others is the median.
    """
    middle, total = weighted_median(residual, weight, np.abs), float(weight.sum())
    is_below = np.abs(residual) < middle
    is_below[some] = False
    below, few, near = float(weight @ is_below), weight[some], np.abs(residual[some])
    low = near[near <= middle].max(initial=0.0)
    high = near[near >= middle].min(initial=np.inf)
    holds = low + (high - low) / 2 == middle

    def of(values: Array) -> float:
        median = median_beside(np.abs(values), few, below, total) if holds else None
        return float("nan") if median is None else MAD_FACTOR * median

    return of


def mad_of_each(residual: Array, weights: Array, n_params: int) -> tuple[Array, Array]:
    """Return the MAD of each row of residuals, and its gradient by these.

    Parameters
    ----------
    residual, weights : ndarray of shape (n_fits, n_rows)
        Residuals, and how often each stands.
    n_params : int
        Not looked at.
    """
    del n_params
    size, each = np.abs(residual), np.arange(len(residual))
    order = np.argsort(size, axis=1)
    sums = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    median, gradient = np.zeros(len(size)), np.zeros_like(size)
    for place in _half_passed(sums):
        row = order[each, place]
        median += size[each, row] / 2
        gradient[each, row] += np.sign(residual[each, row]) / 2
    return MAD_FACTOR * median, MAD_FACTOR * gradient


SCALES: dict[str, Callable[[Array, Array, int], float]] = {
    "mad": mad,
    "proposal2": proposal2,
}
# Those that divide by rows less params, and must know how many these are.
COUNTED = frozenset({"proposal2"})
# Those that few rows determine, for residuals that move along a line.
LINES = {"mad": mad_along}
# And by which residuals over the scale, with the others on their side.
BESIDE = {"mad": (mad_beside, 1 / MAD_FACTOR)}
# Those that are measured of many fits at once, with their gradients.
OF_EACH = {"mad": mad_of_each, "proposal2": proposal2_of_each}


def spread(y: Array, weight: Array) -> float:
    """Return the typical distance of y from its median, 0 if y is constant.

    The median distance, of those that are not 0 if most are; no outlier moves it.
    """
    some, share = representatives(weight, MOST_SORTED)
    y, weight = y[some], share
    distance = np.abs(y - weighted_median(y, weight))
    median = weighted_median(distance, weight)
    if median > 0 or not (distance[weight > 0] > 0).any():
        return median
    return weighted_median(distance, weight * (distance > 0))


def scale_floor(y: Array, weight: Array) -> float:
    """Return the scale below which residuals count as zero.

    A ten-billionth of the spread of y, but no less than the rounding errors of a
    typical y; 1 if y is 0 throughout.
    """
    floor = least_distance(y, weight)
    return floor if floor > 0 else 1.0


def least_distance(y: Array, weight: Array) -> float:
    """Return the distance below which values of y are told apart by rounding only.

    0 if y is 0 throughout.
    """
    some, share = representatives(weight, MOST_SORTED)
    size = weighted_median(y[some], share, np.abs)
    return max(RESOLUTION * spread(y, weight), CANCELLED * size)
