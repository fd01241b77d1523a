"""Rows of a sparse matrix, which is never densified."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, final

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from robustreg.rows.base import (
    BLOCK_ENTRIES,
    FEWEST_AT_A_TIME,
    HELD_ENTRIES,
    Array,
    Block,
    Index,
    Rows,
    Standard,
    make_standard,
    representatives,
)

# Rows of the sample that say what is typical: more than of dense data, for most entries
# say nothing.
FEW_SPARSE_ROWS = 10_000
# With no more entries than this a sparse product costs less than what calls it does.
FEW_SPARSE_ENTRIES = 30_000


def sparse_standard(X: Any, weight: Array, fit_intercept: bool) -> Standard:
    """Return the standardisation of a CSR matrix, from weighted moments."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        moments = _moments(X, weight, fit_intercept)
    return make_standard(*moments, fit_intercept)


def _moments(X: Any, weight: Array, centred: bool) -> tuple[Array, Array, Array]:
    """Return the mean, standard deviation and mean square of each column.

    The deviation to full precision only if it is ``centred``, that is, needed.
    """
    live = weight > 0
    if not live.all():
        X, weight = X[live], weight[live]
    w = weight / weight.sum()
    mean, mean_square = X.T @ w, X.power(2, np.float64).T @ w
    square = mean_square - mean**2
    # Where the difference loses a bit or more, deviations are summed instead.
    close = np.flatnonzero(square < 0.5 * mean_square)
    if centred and close.size:
        mean[close], square[close] = _two_pass(X[:, close], w)
    spread = np.sqrt(np.maximum(square, 0.0))
    return mean, spread, mean_square


def sparse_columns(X: Any, weight: Array) -> tuple[Iterator[Array], Array]:
    """Return a few columns after the other of rows that stand for all, densely.

    And the weight of these rows.
    """
    drawn, share = representatives(weight, FEW_SPARSE_ROWS)
    some, step = X[drawn].tocsc(), max(1, HELD_ENTRIES // drawn.size)
    places = range(0, X.shape[1], step)
    return (some[:, j : j + step].toarray() for j in places), share


def sparse_within(X: Any, low: Array, high: Array) -> NDArray[np.bool_]:
    """Return which rows of a CSR matrix have all entries within their columns' bounds.

    Those that are not stored, too.
    """
    row = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    far = (X.data < low[X.indices]) | (X.data > high[X.indices])
    # Where 0 is out of bounds, so is each entry that is not stored.
    needed = (low > 0) | (high < 0)
    stored = np.bincount(row, needed[X.indices], X.shape[0])
    near = np.bincount(row, far, X.shape[0]) == 0
    return np.asarray(near & (stored == np.count_nonzero(needed)))


def _two_pass(X: Any, w: Array) -> tuple[Array, Array]:
    """Return means and variances by the two-pass algorithm; w sums to 1."""
    p, live = X.shape[1], w > 0
    row_weight = np.repeat(w, np.diff(X.indptr))
    count = np.bincount(X.indices, np.repeat(1.0 * live, np.diff(X.indptr)), p)
    missing = 1 - np.bincount(X.indices, row_weight, p)
    missing = np.where(count == np.count_nonzero(live), 0.0, np.maximum(missing, 0.0))
    value = X.data.astype(np.float64)
    mean = np.bincount(X.indices, row_weight * value, p)
    deviation = value - mean[X.indices]
    # The mean's own rounding error comes off.
    slip = np.bincount(X.indices, row_weight * deviation, p) - missing * mean
    square = np.bincount(X.indices, row_weight * deviation**2, p) + missing * mean**2
    return mean + slip, square - slip**2


@final
@dataclass(frozen=True)
class _SparseBlock:
    """A CSR matrix and what standardises it after the product."""

    X: Any
    standard: Standard

    @cached_property
    def _transposed(self) -> Any:
        """A view, which takes longer to make than a small product with it."""
        return self.X.T

    def predict(self, params: Array) -> Array:
        """Return ``design @ params``."""
        coef, offset = self.standard.to_original(params)
        return np.asarray(self.X @ coef + offset)

    def adjoint(self, v: Array) -> Array:
        """Return ``design.T @ v``."""
        total = v.sum()
        slope = self._transposed @ v - self.standard.shift * total
        return np.append(slope * self.standard.unit, self.standard.constant * total)

    def predict_each(self, params: Array) -> Array:
        """Return ``params @ design.T``, in C order."""
        coef, offset = self.standard.to_original(params)
        result = np.ascontiguousarray((self.X @ coef.T).T)
        result += offset[:, None]
        return result

    def adjoint_each(self, v: Array) -> Array:
        """Return ``v @ design``."""
        total = v.sum(axis=1, keepdims=True)
        slope = (self._transposed @ v.T).T - self.standard.shift * total
        edge = self.standard.constant * total
        return np.hstack([slope * self.standard.unit, edge])

    def norms(self) -> Array:
        """Return the sum of the norms of the two parts: stored values and shifts."""
        scaled = self.X.multiply(self.standard.unit[None, :])
        square = np.asarray(scaled.multiply(scaled).sum(axis=1)).ravel()
        offset = self.standard.shift * self.standard.unit
        rest = np.sqrt(offset @ offset + self.standard.constant**2)
        return np.asarray(np.sqrt(square) + rest)

    def squares(self, c: Array) -> Array:
        """Return the sums of squares of the columns, from those of stored values."""
        shift, total, sums = self.standard.shift, float(c.sum()), self.X.T @ c
        square = self.X.power(2, np.float64).T @ c - shift * (2 * sums - shift * total)
        diagonal = np.maximum(square, 0.0) * self.standard.unit**2
        return np.append(diagonal, total * self.standard.constant**2)


@final
class SparseRows(Rows):
    """Rows of a CSR matrix; shifts are subtracted after the products.

    A column far from 0 that has a stored value in every row is shifted in a copy of
    the stored values; that costs no new entry.
    """

    _only: _SparseBlock

    def __init__(self, X: Any, standard: Standard, stored: Index | None = None) -> None:
        self.standard = standard
        self.n_rows = X.shape[0]
        self.n_params = X.shape[1] + 1
        self.passes = 0.0
        if stored is None:
            stored = np.bincount(X.indices, minlength=X.shape[1])
        self.stored = stored
        self._X, self._virtual = _shift_full_columns(X, standard)
        self._whole = self._only = _SparseBlock(self._X, self._virtual)

    def blocks(self) -> Iterator[tuple[slice, Block]]:
        """Yield all rows at once: slicing a sparse matrix copies it."""
        yield slice(0, self.n_rows), self._only

    @cached_property
    def _few(self) -> Array | None:
        """The stored matrix as an array if it has few entries."""
        few = self.n_rows * (self.n_params - 1) <= FEW_SPARSE_ENTRIES
        return self._X.toarray() if few else None

    def gram(self, c: Array, columns: Index) -> Array:
        """Return the Gram matrix: sparse products, dense only in the result.

        Of few entries dense ones.
        """
        self.count_pass(c)
        features = columns[columns < self.n_params - 1]
        inside = np.flatnonzero(c)
        # Equal weights become exactly 1, so that sums of whole numbers have no error
        # and dependent columns stay so.
        largest = float(c.max(initial=0.0)) or 1.0
        X: Any = self._X if self._few is None else self._few
        X, share = X[inside], c[inside] / largest
        if features.size < self.n_params - 1 or (np.diff(features) != 1).any():
            X = X[:, features]
        shift, unit = self._virtual.shift[features], self._virtual.unit[features]
        total = float(share.sum())
        if self._few is None:
            weighted = X.astype(np.float64)
            weighted.data *= np.repeat(share, np.diff(X.indptr))
            sums = np.asarray(weighted.sum(axis=0)).ravel()
            square = (X.T @ weighted).toarray()
        else:
            sums, square = share @ X, X.T @ (X * share[:, None])
        # In one buffer: of thousands of columns fresh memory takes most of the time.
        buffer = np.empty_like(square)
        square -= np.outer(sums, shift, out=buffer)
        square += np.outer(shift, shift * total - sums, out=buffer)
        square *= np.outer(unit, unit, out=buffer)
        square *= largest
        if features.size == columns.size:
            return square
        constant = self._virtual.constant
        edge = largest * ((sums - shift * total) * unit * constant)
        return _bordered(square, edge, largest * (total * constant**2), columns)

    def cross(
        self, index: Index, c: Array, columns: Index, v: Array
    ) -> tuple[Array, Array]:
        """Return the cross products: sparse ones, dense only in the result."""
        self.passes += index.size / max(self.n_rows, 1)
        virtual = self._virtual
        edge = np.full((index.size, 1), virtual.constant)
        scaled = self._X[index].multiply(virtual.unit[None, :])
        scaled = scipy.sparse.hstack([scaled, edge], "csr")
        offset = np.append(virtual.shift * virtual.unit, 0.0)
        weighted = scaled[:, columns].multiply(c[:, None]).tocsr()
        sums, total = np.asarray(scaled.T @ c), float(c.sum())
        product = (scaled.T @ weighted).toarray() - np.outer(sums, offset[columns])
        product -= np.outer(offset, sums[columns] - total * offset[columns])
        return product, np.asarray(scaled.T @ v) - offset * v.sum()

    def columns(self, index: Index) -> Rows:
        """Return a matrix of the columns."""
        features, old = index[:-1], self._virtual
        local = Standard(old.shift[features], old.unit[features], old.constant)
        return SparseRows(self._X[:, features], local)

    def entries(self) -> tuple[Any, Array]:
        """Return the scaled columns, not centred, and what centring takes off."""
        unit, constant = self._virtual.unit, self._virtual.constant
        edge = np.full((self.n_rows, 1), constant)
        scaled = self._X.multiply(unit[None, :])
        return scipy.sparse.hstack([scaled, edge], "csr"), self._virtual.shift * unit

    def in_precision(self, dtype: type[np.floating[Any]]) -> Rows:
        """Return a copy of the stored values in a longer precision."""
        if dtype == np.float32:
            return self
        rows = SparseRows(self._X.astype(dtype), self._virtual)
        rows.standard = self.standard
        return rows

    def take(self, index: Index) -> Rows:
        """Return some of the rows."""
        taken = SparseRows(self._X[index], self._virtual, self.stored)
        taken.standard = self.standard
        return taken

    def dense(self, index: Index) -> Array:
        """Return the design of a few rows, dense."""
        design = np.empty((index.size, self.n_params))
        block = self._X[index].toarray() - self._virtual.shift
        design[:, :-1] = block * self._virtual.unit
        design[:, -1] = self._virtual.constant
        return design

    def weighted(self, c: Array, columns: Index) -> Iterator[Array]:
        """Yield ``sqrt(c) * design`` of a few rows after the other."""
        inside = np.flatnonzero(c)
        size = max(FEWEST_AT_A_TIME, columns.size, BLOCK_ENTRIES // self.n_params)
        for start in range(0, inside.size, size):
            rows = inside[start : start + size]
            block = self.dense(rows)[:, columns]
            # Weights may be of a longer type, which LAPACK does not have.
            block *= np.sqrt(c[rows])[:, None]
            yield block


def _shift_full_columns(X: Any, standard: Standard) -> tuple[Any, Standard]:
    """Return X with its far-off, fully stored columns shifted, and what is left."""
    if not standard.far.any():
        return X, standard
    full = standard.far & (np.bincount(X.indices, minlength=X.shape[1]) == X.shape[0])
    moved = np.where(full, standard.shift, 0.0)
    shifted = X.astype(np.float64)
    shifted.data -= moved[X.indices]
    return shifted, replace(standard, shift=standard.shift - moved)


def _bordered(square: Array, edge: Array, corner: float, columns: Index) -> Array:
    """Return a Gram matrix of features with the intercept's row and column."""
    at = int(columns.argmax())
    result = np.empty((columns.size, columns.size))
    inside = np.delete(np.arange(columns.size), at)
    if at == columns.size - 1:
        # A slice costs a fraction of what two arrays of indices do.
        result[:at, :at] = square
    else:
        result[np.ix_(inside, inside)] = square
    result[inside, at] = result[at, inside] = edge
    result[at, at] = corner
    return result
