"""A random sample of rows that stands for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustreg.objective import Model, Objective
from robustreg.rows import Index, strata

# A first fit on this many rows, on this many per param or on this share of all rows
# starts one on many more.
SAMPLE_ROWS, SAMPLE_ROWS_PER_PARAM, SAMPLE_SHARE = 5_000, 20, 0.1
# A sample is worth its cost if rows are so many times more.
WORTHWHILE = 2.5
# Rows of less than this share of the mean weight are not drawn.
LIGHT = 0.1


@dataclass(frozen=True)
class Sample:
    """Some rows and what they say of the rest.

    Parameters
    ----------
    index : ndarray of int
        Row numbers, increasing.
    objective : Objective
        Of those rows, weighted to stand for all.
    share : float
        Every row drawn has in truth at least this share of the weight that it has in
        the sample.
    """

    index: Index
    objective: Objective
    share: float


@dataclass(frozen=True)
class Preconditioner:
    """A sample and its Hessian near the optimum, which later fits may use again."""

    sample: Sample
    model: Model


def default_size(objective: Objective) -> int:
    """Return how many rows a sample has that starts a smooth fit."""
    n, p = objective.rows.n_rows, objective.n_params
    return int(max(SAMPLE_ROWS, SAMPLE_ROWS_PER_PARAM * p, SAMPLE_SHARE * n))


def sample(objective: Objective, size: int) -> Sample | None:
    """Return a sample, the same every time, or None if rows are few.

    Rows are drawn in proportion to their weight, one of each stretch of equal weight,
    so that a weight of 2 is the row twice.
    """
    n = objective.rows.n_rows
    if n < WORTHWHILE * size:
        return None
    weight = objective.weight
    if weight.min() == weight.max():
        index = strata(n, size).astype(np.intp)
        count = np.ones(size, dtype=np.intp)
    else:
        heavy = np.where(weight >= LIGHT * weight.mean(), weight, 0.0)
        sums = np.cumsum(heavy)
        place = strata(sums[-1], size)
        index, count = np.unique(np.searchsorted(sums, place), return_counts=True)
        if index.size < size // 2:
            return None
    few = objective.take(index, weight.sum() * count / size)
    return Sample(index, few, float((weight[index] / few.weight).min()))
