"""The coordinates of a fit: a centred target in units of its scale, standardised rows.

`Units` and `Standard` are the two ways from what users gave to what solvers see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from robustreg.fitting.problem import Problem
from robustreg.rows import Array, Rows, representatives
from robustreg.scale import MOST_SORTED, weighted_median


@dataclass(frozen=True)
class Units:
    """What is 0 and what is 1 of a target while it is fitted.

    Parameters
    ----------
    center : float
        In units of y; 0 without an intercept.
    scale : float
        In units of y, positive.
    """

    center: float
    scale: float = 1.0

    def of_target(self, y: Array) -> Array:
        """Return a target in these units."""
        target = y - self.center
        target /= self.scale
        return target

    def from_original(self, params: Array) -> Array:
        """Return in these units params of shape (..., n_params) in units of y."""
        centred = params.copy()
        centred[..., -1] -= self.center
        return centred / self.scale

    def to_original(self, params: Array) -> Array:
        """Return in units of y params of shape (..., n_params) in these."""
        original = params * self.scale
        original[..., -1] += self.center
        return original


def units_of(problem: Problem, scale: float = 1.0) -> Units:
    """Return the units of a scale around the median of y, or of a sample of many."""
    some, share = representatives(problem.weight, MOST_SORTED)
    constant = problem.rows.standard.constant
    return Units(constant * weighted_median(problem.y[some], share), scale)


def standardisations(rows_of: Callable[[bool], Rows]) -> Iterator[Rows]:
    """Yield rows in the standardisation by a sample, then in that by all rows.

    The second are for fits to which the first would not do: a row that the sample
    missed may own a column's scale. Where the first are those by all rows already,
    there are no others.

    Parameters
    ----------
    rows_of : callable
        Takes whether all rows have to standardise, as `make_rows` does.
    """
    rows = rows_of(False)
    yield rows
    if not rows.standard.exact:
        yield rows_of(True)
