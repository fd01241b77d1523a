"""The coordinates of a fit: a centred target in units of its scale, standardised rows.

`Units` and `Standard` are the two ways from what users gave to what solvers see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from robustreg.fitting.problem import Problem
from robustreg.rows import Array, Rows, representatives
from robustreg.scale import MOST_SORTED, weighted_median

Found = TypeVar("Found")


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


def in_standard(
    rows_of: Callable[[bool], Rows],
    fit: Callable[[Rows], Found],
    is_solved: Callable[[Found], bool],
) -> Found:
    """Return what is found in the standardisation by a sample, or that by all rows.

    A row that the sample missed may own a column's scale.

    Parameters
    ----------
    rows_of : callable
        Takes whether all rows have to standardise, as `make_rows` does.
    fit : callable
        Takes the rows.
    is_solved : callable
        Tells of what was found whether it will do.
    """
    rows = rows_of(False)
    found = fit(rows)
    if rows.standard.exact or is_solved(found):
        return found
    return fit(rows_of(True))
