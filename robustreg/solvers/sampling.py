"""A random sample of rows that stands for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from robustreg.objective import Model, Objective
from robustreg.rows import Index, strata


@final
@dataclass(frozen=True)
class Sampling:
    """How many rows stand for all, and of how many more that is worth its cost.

    Parameters
    ----------
    least : int
        Rows of a sample, at least. Of fewer a step costs what it does in Python.
    per_param : int
        Rows for each param, at least: the Hessian of m rows differs from that of all by
        ``sqrt(p / m)``, and a step by it divides the gap by m / p.
    share : float
        Share of all rows, at least: a pass over the sample then costs a tenth of one
        over all, and the larger it is the fewer of those follow.
    worthwhile : float
        How many times more all rows must be.
    few, few_per_param : int
        Rows, or rows for each param, that a kinked fit solves as they are: what they
        cost is about what it costs to choose among them.
    """

    least: int = 5_000
    per_param: int = 20
    share: float = 0.1
    worthwhile: float = 2.5
    few: int = 3_000
    few_per_param: int = 16

    def draw(self, objective: Objective) -> Sample | None:
        """Return the sample that starts a fit of all rows, None if not worth it."""
        n, p = objective.rows.n_rows, objective.n_params
        size = int(max(self.least, self.per_param * p, self.share * n))
        return sample(objective, size, self.worthwhile)

    def draw_kinked(self, objective: Objective) -> Sample | None:
        """Return the sample that starts a kinked fit, None if it is not worth it."""
        return sample(objective, self.balanced(objective), self.worthwhile)

    def balanced(self, objective: Objective) -> int:
        """Return the size of the sample that starts a kinked fit.

        ``2 (p n^2)^(1/3)`` rows leave about as much work as they are [1]_.

        References
        ----------
        .. [1] Portnoy, S., Koenker, R. (1997). The Gaussian hare and the Laplacian
           tortoise: computability of squared-error versus absolute-error estimators.
           Statistical Science 12, 279-300, section 5.
        """
        n, p = objective.rows.n_rows, objective.n_params
        balanced = 2 * (p * float(n) ** 2) ** (1 / 3)
        return int(max(balanced, self.per_param * p))

    def has_few(self, objective: Objective) -> bool:
        """Return whether a kinked fit solves all rows with weight at once."""
        most = max(self.few, self.few_per_param * objective.n_params)
        return int(np.count_nonzero(objective.weight)) <= most


STARTING = Sampling()


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


def sample(
    objective: Objective, size: int, worthwhile: float = STARTING.worthwhile
) -> Sample | None:
    """Return a sample, the same every time, or None if rows are not so many more.

    Rows are drawn in proportion to their weight, one of each stretch of equal weight,
    so that a weight of 2 is the row twice.
    """
    n = objective.rows.n_rows
    if n < worthwhile * size:
        return None
    weight = objective.weight
    if weight.min() == weight.max():
        index = strata(n, size).astype(np.intp)
        count = np.ones(size, dtype=np.intp)
    else:
        # A light row would stand for many, and leave the sample a tiny `Sample.share`.
        heavy = np.where(weight >= 0.1 * weight.mean(), weight, 0.0)
        sums = np.cumsum(heavy)
        place = strata(sums[-1], size)
        index, count = np.unique(np.searchsorted(sums, place), return_counts=True)
        if index.size < size // 2:
            return None
    few = objective.take(index, weight.sum() * count / size)
    return Sample(index, few, float((weight[index] / few.weight).min()))
