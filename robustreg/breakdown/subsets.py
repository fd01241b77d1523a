"""Random subsets of rows that determine a fit, however many columns are dummies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from robustreg.breakdown.central import DEPENDENT
from robustreg.rows import BLOCK_ENTRIES, Array, Index, stretches

# Vain draws after which the independent rows are looked for: that takes a product with
# all rows, once for what a subset lacks, and a draw hardly anything.
TRIES = 10
# Entries of the bases that are built side by side, 64 MiB.
MOST_DRAWN = 2**23


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
    side = max(1, MOST_DRAWN // max(n_columns**2, 1))
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
        if left.size:
            kinds = kinds or _kinds(directions, sums)
            places = rng.random((left.size, 2, n_columns - k))
            chosen[left, k:] = _completed(kinds, before, places)
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


def _completed(kinds: _Kinds, bases: Array, places: Array) -> Index:
    """Return the rows at some places among all those that a basis does not span yet.

    Each in the directions that are missing only, which are few where most draws are
    vain; and what a basis spans, a larger one does.

    Parameters
    ----------
    kinds : _Kinds
        The rows.
    bases : ndarray of shape (n_subsets, k, n_columns)
        What the rows before span, in each subset.
    places : ndarray of shape (n_subsets, 2, n_columns - k)
        In [0, 1): of the kind of each row, and of the row in it.

    Returns
    -------
    ndarray of shape (n_subsets, n_columns - k)
    """
    missing = places.shape[2]
    # As many side by side as stay in cache.
    side = max(1, BLOCK_ENTRIES // max(kinds.weight.size * missing, 1))
    drawn = [
        _drawn_kinds(kinds, bases[part], places[part, 0])
        for part in stretches(len(bases), side)
    ]
    return kinds.rows(np.concatenate(drawn), places[:, 1])


def _drawn_kinds(kinds: _Kinds, bases: Array, places: Array) -> Index:
    """Return the kinds of the rows that `_completed` returns."""
    every, chosen = np.arange(len(bases)), np.empty(places.shape, np.intp)
    turn = np.linalg.qr(bases.transpose(0, 2, 1), mode="complete")[0]
    news = kinds.directions @ turn[:, :, bases.shape[1] :]
    some, free = _outside(news, np.ones(news.shape[:2], dtype=bool))
    news = np.take_along_axis(news, some[:, :, None], axis=1)
    for k, place in enumerate(places.T):
        if k:
            free = _is_outside(news, free)
        sums = np.cumsum(np.where(free, kinds.weight[some], 0.0), axis=1)
        total = sums[:, -1]
        passed = np.minimum(place * total, np.nextafter(total, 0.0))
        drawn = np.argmax(sums > passed[:, None], axis=1)
        chosen[:, k] = some[every, drawn]
        row = news[every, drawn]
        along = news @ (row / (row**2).sum(axis=1, keepdims=True))[:, :, None]
        news -= along * row[:, None, :]
    return chosen


def _outside(news: Array, free: NDArray[np.bool_]) -> tuple[Index, NDArray[np.bool_]]:
    """Return in each set rows that add something, in order, and which of them do.

    As many in each: sets with fewer have others, too.
    """
    free = _is_outside(news, free)
    most = int(np.count_nonzero(free, axis=1).max())
    some = np.argsort(~free, axis=1, kind="stable")[:, :most]
    return some, np.take_along_axis(free, some, axis=1)


def _is_outside(news: Array, free: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which of the free rows of each set add something to its basis.

    If rounding leaves none, the farthest of them.
    """
    square = np.einsum("sij,sij->si", news, news)
    largest = np.where(free, square, 0.0).max(axis=1, keepdims=True)
    return free & (square > np.minimum(DEPENDENT**2, largest / 2))
