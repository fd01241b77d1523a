"""A Gram matrix that is made anew from the rows alone whose weight changed.

Between Newton steps on a loss of parabolas and lines only the rows that cross a
breakpoint change their curvature [1]_.

References
----------
.. [1] Madsen, K., Nielsen, H. B. (1990). Finite algorithms for robust linear
   regression. BIT 30, 682-699.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustreg.linalg import CANCELLED
from robustreg.rows.base import Array, Index, Rows

# Rows that changed cost as much as all if they are more than this share of those with
# weight, and finding them does for fewer params than the second figure.
MOST_CHANGED, FEWEST_PARAMS = 0.5, 16
# What any number of updates leave of a column's square keeps its digits if it is no
# smaller than this share.
LEAST_LEFT = 0.25


@dataclass(frozen=True)
class WeightedGram:
    """The matrix ``design.T @ diag(weight) @ design`` and what it was made of.

    Parameters
    ----------
    rows : Rows
        The design.
    weight : ndarray of shape (n_rows,)
        Of any sign.
    matrix : ndarray of shape (n_params, n_params)
        The matrix.
    squares : ndarray of shape (n_params,)
        The largest diagonal since the matrix was made from all rows, whose rounding
        errors it still has; in units of this one's weights.
    """

    rows: Rows
    weight: Array
    matrix: Array
    squares: Array


def weighted_gram(
    rows: Rows, weight: Array, last: WeightedGram | None = None
) -> WeightedGram:
    """Return the Gram matrix, from the last one if few of the same rows changed.

    Costs ``k p^2`` for k rows that changed their weight by more than a common factor.
    """
    if last is not None and last.rows is rows and rows.n_params >= FEWEST_PARAMS:
        updated = _updated(last, weight)
        if updated is not None:
            return updated
    matrix = signed_gram(rows, weight, np.arange(rows.n_params))
    return WeightedGram(rows, weight, matrix, matrix.diagonal().copy())


def signed_gram(rows: Rows, weight: Array, columns: Index) -> Array:
    """Return the Gram matrix on some params for weights of any sign."""
    if weight.min(initial=0.0) >= 0:
        return rows.gram(weight, columns)
    above = rows.gram(np.maximum(weight, 0.0), columns)
    above -= rows.gram(np.maximum(-weight, 0.0), columns)
    return above


def _updated(last: WeightedGram, weight: Array) -> WeightedGram | None:
    """Return the matrix for other weights of the same rows, None if not worthwhile."""
    largest = float(weight.max(initial=0.0))
    before = float(last.weight.max(initial=0.0))
    if not (largest > 0 and before > 0):
        return None
    factor = largest / before
    change = weight - factor * last.weight
    same = np.abs(change) <= CANCELLED * np.abs(weight)
    if same.size - np.count_nonzero(same) > MOST_CHANGED * np.count_nonzero(weight):
        return None
    change[same] = 0.0
    matrix = factor * last.matrix
    if change.any():
        matrix += signed_gram(last.rows, change, np.arange(last.rows.n_params))
    squares = np.maximum(factor * last.squares, matrix.diagonal())
    if not (matrix.diagonal() >= LEAST_LEFT * squares).all():
        return None
    return WeightedGram(last.rows, weight, matrix, squares)
