"""What is typical of columns, and the half of the rows that is central in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robustreg.linalg import FAR, SQUARABLE, SUM_ERROR
from robustreg.rows import Array
from robustreg.scale import median_of_each, weighted_median

# A row of norm 1 adds nothing to the span of others that it is closer to: the direction
# that it adds would have lost half of its digits.
DEPENDENT = 1e-7
# What is added to a divisor that may be 0: small beside all others, and over it what is
# no larger than 1 is a number, as are sums of these.
NOT_ZERO = 1e-300


def central_halves(columns: Array, weight: Array) -> NDArray[np.bool_]:
    """Return the rows of which no more than half are nearer to the centre, by two ways.

    By the distance from the medians of the columns in units of their median absolute
    deviations; and by the distance in which the deterministic MCD has its first start
    [1]_, with the same medians and deviations: the columns through ``tanh`` have a
    correlation to which far rows add little, and along its principal axes rows are
    measured as along the columns.

    Columns with two values cannot show that a row is far, and have no say. Weights are
    positive.

    References
    ----------
    .. [1] Hubert, M., Rousseeuw, P. J., Verdonck, T. (2012). A deterministic algorithm
       for robust location and scatter. Journal of Computational and Graphical
       Statistics 21, 618-637.
    """
    low, high = columns.min(axis=0), columns.max(axis=0)
    graded = columns[:, ((columns > low) & (columns < high)).any(axis=0)]
    by_column = _measured(graded, weight, 0.0)
    turned = by_column @ _axes(np.tanh(by_column), weight)
    # Components with a smaller share of the largest spread are rounding errors.
    by_axis = _measured(turned, weight, DEPENDENT)
    return np.array([_half(by_column, weight), _half(by_axis, weight)])


def _measured(columns: Array, weight: Array, smallest: float) -> Array:
    """Return columns from their medians, in units of their typical distance to it.

    Which is no smaller than a share of the largest of them.
    """
    centred = columns - median_of_each(columns.T, weight)
    spread = spreads(centred, weight)
    spread = np.maximum(spread, smallest * spread.max(initial=0.0))
    # Beyond, all is equally far.
    return np.clip(centred / spread, -SQUARABLE, SQUARABLE)


def _axes(columns: Array, weight: Array) -> Array:
    """Return the principal axes of the correlation of columns."""
    share = weight / weight.sum()
    centred = columns - share @ columns
    covariance = (centred * share[:, None]).T @ centred
    deviation = np.sqrt(covariance.diagonal())
    correlation = covariance / np.outer(deviation, deviation)
    # Those that are equal but for rounding have the same axes.
    return np.asarray(np.linalg.eigh(np.round(correlation / SUM_ERROR) * SUM_ERROR)[1])


def _half(measured: Array, weight: Array) -> NDArray[np.bool_]:
    """Return the rows whose norm is at most the median one."""
    distance = np.linalg.norm(measured, axis=1)
    return np.asarray(distance <= weighted_median(distance, weight) * (1 + SUM_ERROR))


def spanning(part: NDArray[np.bool_], design: Array) -> NDArray[np.bool_]:
    """Return a part of the rows and the nearest others that span with it what all do.

    Columns that are 0 in all of a half would have any coefficient there. The design has
    full column rank, in coordinates in which rows of small norm are near.
    """
    size = np.linalg.norm(design, axis=1)
    directions = design / norms(design)[:, None]
    _, held, turn = np.linalg.svd(np.linalg.qr(directions[part], mode="r"))
    rank = int(np.count_nonzero(held > DEPENDENT * held.max(initial=0.0)))
    left, found = directions @ turn[rank:].T, part.copy()
    for row in np.argsort(size, kind="stable") if left.size else ():
        length = np.linalg.norm(left[row])
        if not part[row] and length > DEPENDENT:
            unit = left[row] / length
            left -= np.outer(left @ unit, unit)
            found[row] = True
    return found


def spreads(centred: Array, weight: Array) -> Array:
    """Return the median size of each column.

    Where most of it is 0, that of the rest, in rows that the other columns call near.
    """
    size = np.abs(centred)
    spread = median_of_each(size.T, weight)
    far = (size > FAR * spread).any(axis=1, where=spread > 0)
    for j in np.flatnonzero((spread == 0) & size.any(axis=0)):
        rest = weight * (size[:, j] > 0)
        near = rest * ~far
        spread[j] = weighted_median(size[:, j], near if near.any() else rest)
    return spread


def norms(rows: Array) -> Array:
    """Return the norms of rows, 1 for a row of zeros."""
    found = np.linalg.norm(rows, axis=1)
    return np.where(found > 0, found, 1.0)
