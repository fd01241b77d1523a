"""The rows that subsets are drawn from, in coordinates that no outlier spoils."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from robustreg.breakdown.central import central_halves, norms, spanning, spreads
from robustreg.linalg import NO_DIRECTION
from robustreg.rows import Array, Index, Rows, representatives, strata, stretches
from robustreg.rows.base import HELD_ENTRIES, MOST_ENTRIES
from robustreg.scale import median_of_each

# Rows for each param of which no sample is taken, however many they are.
ROWS_A_PARAM = 20
# Rows drawn for each direction that the sample missed.
ROWS_A_DIRECTION = 50
# Candidates whose Gram matrices cost less one by one than the products of columns.
FEW = 8


@dataclass(frozen=True)
class Cloud:
    """Rows in coordinates in which typical rows extend equally far everywhere.

    Parameters
    ----------
    design : ndarray of shape (m, rank)
        The rows, ``standardised design @ matrix``.
    target : ndarray of shape (m,)
        Their targets.
    weight : ndarray of shape (m,)
        Positive weights that sum to 1.
    matrix : ndarray of shape (n_params, rank)
        ``params = matrix @ coordinates``.
    central : ndarray of bool of shape (2, m)
        Halves of the rows that are central in X, by `central_halves`, and rows that
        hold what they leave open.
    complete : bool
        Whether no row with weight was left out.
    """

    design: Array
    target: Array
    weight: Array
    matrix: Array
    central: NDArray[np.bool_]
    complete: bool

    @property
    def directions(self) -> Array:
        """The rows, each with norm 1; a row of zeros stays one."""
        return self.design / norms(self.design)[:, None]

    def grams(self, pull: Array) -> Array:
        """Return ``design.T @ diag(w) @ design`` for each row w of weights.

        Those of many are one matrix product, with the products of pairs of columns.
        """
        design, n_columns = self.design, self.design.shape[1]
        gram = np.empty((len(pull), n_columns, n_columns))
        if len(pull) <= FEW:
            for one, weight in zip(gram, pull, strict=True):
                np.matmul(design.T * weight, design, out=one)
            return gram
        upper = np.triu_indices(n_columns)
        sums = np.zeros((len(pull), upper[0].size))
        for place, products in self._products():
            sums += pull[:, place] @ products
        gram[:, upper[0], upper[1]] = sums
        gram[:, upper[1], upper[0]] = sums
        return gram

    def _products(self) -> Iterator[tuple[slice, Array]]:
        """Yield the products of pairs of columns, of some rows at a time.

        In the order of `numpy.triu_indices`. They are kept if they are few.
        """
        n_rows, n_columns = self.design.shape
        n_pairs = n_columns * (n_columns + 1) // 2
        if n_rows * n_pairs <= MOST_ENTRIES:
            yield slice(None), self._kept
            return
        for place in stretches(n_rows, max(16, HELD_ENTRIES // n_pairs)):
            yield place, _products(self.design[place])

    @cached_property
    def _kept(self) -> Array:
        """The products of all rows."""
        return _products(self.design)


def _products(design: Array) -> Array:
    """Return the products of pairs of columns."""
    n_columns = design.shape[1]
    parts = [design[:, j, None] * design[:, j:] for j in range(n_columns)]
    return np.concatenate(parts, axis=1)


def make_cloud(rows: Rows, target: Array, weight: Array, most_rows: int) -> Cloud:
    """Return the cloud of the rows that have weight, or of a sample of many.

    The rows are put in an order of their own, so that neither their order in the data
    nor whether a row is repeated or has twice the weight makes a difference.
    """
    live = np.flatnonzero(weight)
    probe = np.random.default_rng(0).normal(size=rows.n_params)
    order = live[np.argsort((target + rows.predict(probe))[live], kind="stable")]
    most = max(most_rows, ROWS_A_PARAM * rows.n_params)
    if order.size <= most:
        index, share = order, weight[order]
    else:
        index, share = _sample(rows, weight, order, most // 2)
    design = rows.dense(index)
    matrix = _equalised(design, share, rows.standard.constant > 0)
    near = design @ matrix
    halves = central_halves(design[:, :-1], share)
    return Cloud(
        design=near,
        target=target[index],
        weight=share / share.sum(),
        matrix=matrix,
        central=np.array([spanning(half, near) for half in halves]),
        complete=order.size <= most,
    )


def _sample(rows: Rows, weight: Array, order: Index, size: int) -> tuple[Index, Array]:
    """Return rows that stand for all, and for how many each does.

    Where they do not span what all rows do, because a dummy is rare, rows that extend
    in the missing directions are a stratum of their own.
    """
    drawn, share = representatives(weight[order], size)
    index, n_varying = order[drawn], int(np.count_nonzero(rows.varies))
    for _ in range(n_varying):
        missing = _null_directions(rows.dense(index)[:, rows.varies])
        if not missing.shape[1]:
            break
        probe = np.zeros(rows.n_params)
        probe[rows.varies] = missing @ np.random.default_rng(1).normal(
            size=missing.shape[1]
        )
        reach = np.abs(rows.predict(probe))[order]
        outside = order[reach > NO_DIRECTION**0.5 * np.abs(probe).max()]
        if not outside.size:
            break
        count = min(outside.size, ROWS_A_DIRECTION * missing.shape[1])
        total = float(weight[outside].sum())
        picked = np.searchsorted(np.cumsum(weight[outside]), strata(total, count))
        share = np.append(share, np.full(count, total / count))
        index = np.append(index, outside[np.minimum(picked, outside.size - 1)])
    return index, share


def _null_directions(design: Array) -> Array:
    """Return an orthonormal basis of the directions in which no row extends."""
    # Far rows would make all others look as if they did not extend.
    directions = design / norms(design)[:, None]
    _, size, turn = np.linalg.svd(np.linalg.qr(directions, mode="r"))
    rank = int(np.count_nonzero(size > NO_DIRECTION * size[0])) if size.size else 0
    return np.asarray(turn[rank:].T)


def _equalised(design: Array, weight: Array, intercept: bool) -> Array:
    """Return the matrix to coordinates in which the directions of rows are alike.

    Columns are centred and scaled by medians, each row then counts by its direction
    only, and the principal axes of these are scaled [1]_: far rows, up to half of
    them, cannot make the others look alike. Dependent columns share one coordinate.

    References
    ----------
    .. [1] Visuri, S., Koivunen, V., Oja, H. (2000). Sign and rank covariance matrices.
       Journal of Statistical Planning and Inference 91, 557-575.
    """
    shift = median_of_each(design.T, weight) * intercept
    shift[-1] = 0.0
    spread = spreads(design - shift, weight)
    kept = np.flatnonzero(spread)
    matrix = np.zeros((design.shape[1], kept.size))
    matrix[kept, np.arange(kept.size)] = 1 / spread[kept]
    if intercept:
        matrix[-1] -= shift @ matrix
    near = design @ matrix
    near *= (np.sqrt(weight / weight.sum()) / norms(near))[:, None]
    root = np.linalg.qr(near, mode="r")
    _, size, turn = np.linalg.svd(root, full_matrices=False)
    rank = int(np.count_nonzero(size > NO_DIRECTION * size[:1]))
    matrix = matrix @ (turn[:rank].T / size[:rank])
    if rank < np.count_nonzero(design.any(axis=0)):
        # Params of dependent columns have least norm.
        null = _null_directions(design)
        matrix -= null @ (null.T @ matrix)
    return np.asarray(matrix)
