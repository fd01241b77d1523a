"""Random subsets of rows that determine a fit, however many columns are dummies."""

from __future__ import annotations

import numpy as np

from robustreg.breakdown.columns import DEPENDENT
from robustreg.rows import Array, Index

# Vain draws after which the independent rows are looked for: that takes a product with
# all rows, and a draw hardly anything.
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
    for k in range(n_columns):
        before, left = basis[:, :k], np.arange(n_subsets)
        for _ in range(TRIES):
            drawn = _draw(sums, rng.random(left.size))
            news, sizes = _new_part(before, directions[drawn])
            good = sizes > DEPENDENT
            chosen[left[good], k] = drawn[good]
            basis[left[good], k] = news[good] / sizes[good, None]
            left = left[~good]
            if not left.size:
                break
            before = basis[left, :k]
        for one in left:
            chosen[one, k], basis[one, k] = _independent(
                directions, sums, basis[one, :k], float(rng.random())
            )
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


def _independent(
    directions: Array, sums: Array, basis: Array, place: float
) -> tuple[int, Array]:
    """Draw one of all rows that a basis does not span; return its new direction."""
    new = directions - (directions @ basis.T) @ basis
    size = np.linalg.norm(new, axis=1)
    weight = np.diff(sums, prepend=0.0)
    # If rounding leaves none, the farthest of all is taken.
    free = size > min(DEPENDENT, float(size.max()) / 2)
    drawn = int(_draw(np.cumsum(weight * free), np.array([place]))[0])
    if not free[drawn]:
        drawn = int(np.argmax(size))
    news, sizes = _new_part(basis[None], directions[drawn][None])
    return drawn, news[0] / sizes[0]
