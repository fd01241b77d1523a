"""What is typical of the columns of a design, whatever a minority of its rows says."""

from __future__ import annotations

import numpy as np

from robustreg.linalg import FAR
from robustreg.rows import Array
from robustreg.scale import weighted_median

# Scales, distances and mean losses that differ by less, relatively, are equal: they are
# sums of many rows, whose rounding errors are smaller.
EQUAL = 1e-9
# A row of norm 1 adds nothing to the span of others that it is closer to: the direction
# that it adds would have lost half of its digits.
DEPENDENT = 1e-7
# What is added to a divisor that may be 0: small beside all others, and over it what is
# no larger than 1 is a number.
NOT_ZERO = 1e-300


def spreads(centred: Array, weight: Array) -> Array:
    """Return the median size of each column.

    Where most of it is 0, that of the rest, in rows that the other columns call near.
    """
    size = np.abs(centred)
    spread = medians(size, weight)
    far = (size > FAR * spread).any(axis=1, where=spread > 0)
    for j in np.flatnonzero((spread == 0) & size.any(axis=0)):
        rest = weight * (size[:, j] > 0)
        near = rest * ~far
        spread[j] = weighted_median(size[:, j], near if near.any() else rest)
    return spread


def medians(columns: Array, weight: Array) -> Array:
    """Return the weighted median of each column."""
    return np.array([weighted_median(column, weight) for column in columns.T])


def norms(rows: Array) -> Array:
    """Return the norms of rows, 1 for a row of zeros."""
    found = np.linalg.norm(rows, axis=1)
    return np.where(found > 0, found, 1.0)
