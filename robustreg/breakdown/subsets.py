"""Random subsets of rows that determine a fit, however many columns are dummies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from robustreg.breakdown.columns import DEPENDENT
from robustreg.rows import Array, Index

# Vain draws after which the independent rows are looked for: that takes a product with
# all rows, once for what a subset lacks, and a draw hardly anything.
TRIES = 10
# Entries of the bases that are built side by side, 64 MiB.
MOST_ENTRIES = 2**23


def nonsingular_subsets(
    directions: Array, weight: Array, n_subsets: int, rng: np.random.Generator
) -> Index:
    """Return subsets of as many rows as columns, each of full rank [1]_.

    Rows are drawn one by one, in proportion to their weights; one that depends on
    those before it is put back and another is drawn. A repeated row is such a one, so
    that a weight of 2 is the same as the row twice, if it follows itself.

    Parameters
    ----------
    directions : ndarray of shape (n_rows, n_columns)
        Rows of norm 1, of full column rank.
    weight : ndarray of shape (n_rows,)
        Positive.
    n_subsets : int
        How many.
    rng : numpy.random.Generator
        Where they come from.

    Returns
    -------
    ndarray of shape (n_subsets, n_columns)

    References
    ----------
    .. [1] Koller, M., Stahel, W. A. (2017). Nonsingular subsampling for regression
       S estimators with categorical predictors. Computational Statistics 32, 631-646.
    """
    n_columns = directions.shape[1]
    sums = np.cumsum(weight)
    side = max(1, MOST_ENTRIES // max(n_columns**2, 1))
    parts = [
        _grown(directions, sums, min(side, n_subsets - first), rng)
        for first in range(0, n_subsets, side)
    ]
    return np.concatenate(parts)


def _grown(
    directions: Array, sums: Array, n_subsets: int, rng: np.random.Generator
) -> Index:
    """Return some subsets, grown by one row at a time."""
    n_columns = directions.shape[1]
    chosen = np.empty((n_subsets, n_columns), np.intp)
    basis = np.zeros((n_subsets, n_columns, n_columns))
    growing = np.arange(n_subsets)
    kinds: _Kinds | None = None
    for k in range(n_columns):
        before, left = basis[growing, :k], growing
        for _ in range(TRIES):
            drawn = _draw(sums, rng.random(left.size))
            news, sizes = _new_part(before, directions[drawn])
            good = sizes > DEPENDENT
            chosen[left[good], k] = drawn[good]
            basis[left[good], k] = news[good] / sizes[good, None]
            left, before = left[~good], before[~good]
            if not left.size:
                break
        for one in left:
            kinds = kinds or _kinds(directions, sums)
            places = rng.random((2, n_columns - k))
            chosen[one, k:] = _completed(kinds, basis[one, :k], places)
        growing = np.setdiff1d(growing, left, assume_unique=True)
    return chosen


def _draw(sums: Array, places: Array) -> Index:
    """Return the rows at some places in [0, 1) of the cumulated weights."""
    found = np.searchsorted(sums, places * sums[-1], side="right")
    return np.minimum(found, sums.size - 1)


def _new_part(basis: Array, rows: Array) -> tuple[Array, Array]:
    """Return what of each row its own basis does not span, and its norm."""
    new = rows[:, :, None]
    # Twice, because the first time leaves rounding errors as large as what is new.
    for _ in range(2):
        new = new - basis.transpose(0, 2, 1) @ (basis @ new)
    return new[:, :, 0], np.linalg.norm(new[:, :, 0], axis=1)


@dataclass(frozen=True)
class _Kinds:
    """Rows in an order in which equal ones stand together.

    Parameters
    ----------
    directions : ndarray of shape (n_kinds, n_columns)
        A row of each kind.
    order : ndarray of shape (n_rows,)
        The rows.
    sums : ndarray of shape (n_rows,)
        Their cumulated weights.
    first : ndarray of shape (n_kinds + 1,)
        Where each kind begins, and where the last one ends.
    """

    directions: Array
    order: Index
    sums: Array
    first: Index

    @cached_property
    def weight(self) -> Array:
        """The weight of each kind."""
        return np.diff(np.append(0.0, self.sums)[self.first])

    def rows(self, kinds: Index, places: Array) -> Index:
        """Return a row of each of some kinds, at a place in [0, 1) of its weight."""
        before = np.append(0.0, self.sums)[self.first[kinds]]
        found = np.searchsorted(
            self.sums, before + places * self.weight[kinds], side="right"
        )
        return self.order[np.clip(found, self.first[kinds], self.first[kinds + 1] - 1)]


def _kinds(directions: Array, sums: Array) -> _Kinds:
    """Return the rows by kind."""
    order = np.lexsort(directions.T)
    ordered = directions[order]
    differ = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = np.flatnonzero(np.concatenate([[True], differ, [True]]))
    weight = np.diff(sums, prepend=0.0)[order]
    return _Kinds(ordered[first[:-1]], order, np.cumsum(weight), first)


def _completed(kinds: _Kinds, basis: Array, places: Array) -> Index:
    """Return the rows at some places among all those that a basis does not span yet.

    Each in the directions that are missing only, which are few where most draws are
    vain; and what a basis spans, a larger one does.

    Parameters
    ----------
    kinds : _Kinds
        The rows.
    basis : ndarray of shape (k, n_columns)
        What the rows before span.
    places : ndarray of shape (2, n_columns - k)
        In [0, 1): of the kind of each row, and of the row in it.
    """
    news = kinds.directions @ np.linalg.qr(basis.T, mode="complete")[0][:, len(basis) :]
    weight, some = kinds.weight, np.arange(len(news))
    chosen = np.empty(places.shape[1], np.intp)
    for k, place in enumerate(places[0]):
        square = np.einsum("ij,ij->i", news, news)
        # If rounding leaves none, the farthest of all is taken.
        free = square > min(DEPENDENT**2, float(square.max()) / 2)
        news, square, weight, some = news[free], square[free], weight[free], some[free]
        (drawn,) = _draw(np.cumsum(weight), np.array([place]))
        chosen[k] = some[drawn]
        along = news @ news[drawn]
        news = news - along[:, None] * (news[drawn] / square[drawn])
    return kinds.rows(chosen, places[1])
