"""What passes tell of errors: sums at a fit, weighted by values of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import scipy.linalg

from robustreg.objective import Point
from robustreg.partitions.part import Part, Tally
from robustreg.partitions.sums import Asked
from robustreg.rows import Array, Index, signed_gram

# A value of each row, of a point and the numbers of its rows.
RowValue = Callable[[Point, Index], Array]


@final
@dataclass(frozen=True)
class Root:
    """An upper triangle R, which stands for the Gram matrix ``R.T @ R``.

    Roots are merged part by part, so that no digits are squared away [1]_.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_params)
        The triangle; no rows for a Gram matrix of 0.

    References
    ----------
    .. [1] Demmel, J., Grigori, L., Hoemmen, M., Langou, J. (2012).
       Communication-optimal parallel and sequential QR and LU factorizations. SIAM
       Journal on Scientific Computing 34, A206-A239.
    """

    matrix: Array

    def __add__(self, other: Root) -> Root:
        """Return the root of the sum of both Gram matrices."""
        both = np.vstack([self.matrix, other.matrix])
        if len(both) <= both.shape[1]:
            return Root(both)
        return Root(scipy.linalg.qr(both, mode="r")[0][: both.shape[1]])


def weighted(
    part: Part, asked: Asked, values: Sequence[RowValue], others: Sequence[RowValue]
) -> Tally:
    """Return the number of rows, the gradient, and sums of values of the rows.

    Of each value the Gram matrix weighted by it, too, but not of the others.
    """
    point, number = asked.point(part), part.number
    every = np.arange(point.objective.n_params)
    counted = [part.weight * value(point, number) for value in values]
    grams = [signed_gram(point.objective.rows, each, every) for each in counted]
    totals = [each.sum() for each in counted]
    totals += [part.weight @ value(point, number) for value in others]
    sums = part.weight.size, point.gradient, np.array(grams), np.array(totals)
    return Tally(sums)


def roots(part: Part, asked: Asked, value: RowValue) -> Tally:
    """Return the roots of the two Gram matrices that a value's is the difference of."""
    point = asked.point(part)
    each, rows = part.weight * value(point, part.number), point.objective.rows
    return Tally(
        tuple(
            Root(rows.root(np.maximum(side, 0.0), np.arange(rows.n_params)))
            for side in (each, -each)
        )
    )
