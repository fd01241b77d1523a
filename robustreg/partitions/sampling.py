"""The sample: rows that stand for all, drawn in one pass, or in two if rows differ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from robustreg.partitions.drawing import Drawing
from robustreg.partitions.engine import Engine
from robustreg.partitions.part import Moments, Part, Products
from robustreg.partitions.sums import (
    Importance,
    distinct,
    important,
    sample,
    sample_and_products,
)
from robustreg.rows import Array, Rows, Standard, merged, prepared, rows_in

# The curvature of a column that fewer rows of a sample make is off by a seventh, one
# over their root.
FEWEST_ROWS = 49


@final
@dataclass(frozen=True)
class Drawn:
    """The rows that are drawn, and what all rows are to the client.

    Parameters
    ----------
    drawing : Drawing
        How many were to be drawn.
    part : Part
        The rows, weighted to stand for all.
    moments : Moments
        Those of all rows.
    share : float
        Every row has in truth at least this share of its weight here.
    everything : bool
        Whether the rows drawn are all.
    products : Products or None
        Those of all rows, if they were asked for.
    """

    drawing: Drawing
    part: Part
    moments: Moments
    share: float
    everything: bool
    products: Products | None = None

    def rows(self, fit_intercept: bool) -> Rows:
        """Return the rows in the coordinates of all."""
        return self.rows_in(self.moments.standard(fit_intercept))

    def rows_in(self, standard: Standard) -> Rows:
        """Return the rows in some coordinates."""
        X = prepared(self.part.X.astype(np.float64, copy=False))
        return rows_in(X, standard)


def draw(
    engine: Engine, fit_intercept: bool, drawing: Drawing, squares: bool = False
) -> Drawn:
    """Return the sample of all rows; takes a pass, or two if few rows matter most.

    Parameters
    ----------
    engine : Engine
        Where the rows are.
    fit_intercept : bool
        Whether columns have a mean.
    drawing : Drawing
        How many are drawn.
    squares : bool
        Whether to bring what least squares needs of all rows as well.
    """
    n = engine.n_rows
    size = drawing.size(n, engine.n_features + 1)
    if squares and size < n:
        tally = engine.run(sample_and_products, n, size, fit_intercept)
        moments, products = tally.sums
    else:
        tally, products = engine.run(sample, n, size, fit_intercept), None
        (moments,) = tally.sums
    drawn = Drawn(drawing, tally.rows[0], moments, 1.0, size == n, products)
    return drawn if size == n else _representative(engine, drawn, size, fit_intercept)


def _representative(
    engine: Engine, drawn: Drawn, size: int, fit_intercept: bool
) -> Drawn:
    """Return rows that were drawn, or others where they do not stand for all."""
    n, moments = engine.n_rows, drawn.moments
    if _repeats(drawn.part, n / size):
        every = engine.run(distinct).rows[0].distinct()
        return replace(drawn, part=every, everything=True)
    alike = _weighted(drawn, drawn.part, 1.0)
    share, rows = alike.share * n / size, alike.rows(fit_intercept)
    if not _is_uneven(rows, alike.part.weight, share, moments.total):
        return alike
    by = Importance(moments.standard(fit_intercept), moments.total, n, size)
    (part,) = engine.run(important, by).rows
    return _weighted(drawn, part, by.rate(part))


def _weighted(drawn: Drawn, part: Part, rate: Any) -> Drawn:
    """Return rows that were drawn at rates, each weighted for those it stands for."""
    weight = part.weight / rate
    share = float(weight.sum()) / drawn.moments.total
    part = replace(part, weight=weight / share)
    return replace(drawn, part=part, share=share * float(np.min(rate)))


def _is_uneven(rows: Rows, weight: Array, share: float, total: float) -> bool:
    """Return whether a few rows, drawn or not, make most of what a column varies.

    That of all rows is known, and of the sample how many rows make it, as Kish counts
    them [1]_: the square of a sum over the sum of squares.

    Parameters
    ----------
    rows : Rows
        The sample's.
    weight : ndarray of shape (n_rows,)
        Weights that sum to those of all rows.
    share : float
        What they were divided by, over what was expected.
    total : float
        Sum of all weights.

    References
    ----------
    .. [1] Kish, L. (1965). Survey Sampling, section 8.2. Wiley.
    """
    columns = np.flatnonzero(rows.varies)
    sums, squares = np.zeros(columns.size), np.zeros(columns.size)
    for block in rows.weighted(weight, columns):
        sums += (block**2).sum(axis=0)
        squares += (block**4).sum(axis=0)
    off = np.abs(np.append(sums / total, 1.0) * share - 1) > FEWEST_ROWS**-0.5
    few = sums**2 < FEWEST_ROWS * squares
    return bool(off.any() or few.any())


def _repeats(part: Part, times: float) -> bool:
    """Return whether all rows, so many times these, are of few kinds.

    Rows of kinds that were not drawn are about as many as, in the same measure, those
    that are the only one of their kind among the drawn [1]_.

    References
    ----------
    .. [1] Good, I. J. (1953). The population frequencies of species and the estimation
       of population parameters. Biometrika 40, 237-264.
    """
    kind = merged(part.X, part.y, part.weight).kind
    if kind is None:
        return False
    single = np.count_nonzero(np.bincount(kind) == 1)
    return bool(single * times <= kind.size)
