"""What passes tell of errors: sums at a fit, weighted by values of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from robustreg.objective import Point
from robustreg.partitions.part import Part, Root, Tally
from robustreg.partitions.sums import Asked
from robustreg.rows import Array, Index, signed_gram

# A value of each row, of a point and the numbers of its rows.
RowValue = Callable[[Point, Index], Array]


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
