"""Rows of a sparse matrix, which is never densified."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, final

import numpy as np
import scipy.linalg
import scipy.sparse

from robustreg.rows.base import Array, Block, Index, Rows, Standard, make_standard


def sparse_standard(X: Any, weight: Array, fit_intercept: bool) -> Standard:
    """Return the standardisation of a CSR matrix, from weighted moments."""
    p = X.shape[1]
    total = weight.sum()
    w = np.repeat(weight, np.diff(X.indptr)) / total
    value = X.data.astype(np.float64)
    live = np.repeat(weight > 0, np.diff(X.indptr))
    count = np.bincount(X.indices, live, p)
    missing = 1 - np.bincount(X.indices, w, p)
    missing = np.where(count == np.count_nonzero(weight), 0.0, missing)
    mean = np.bincount(X.indices, w * value, p)
    deviation = value - mean[X.indices]
    # Second pass: the mean's own rounding error comes off (two-pass algorithm).
    slip = np.bincount(X.indices, w * deviation, p) - missing * mean
    square = np.bincount(X.indices, w * deviation**2, p)
    square += np.maximum(missing, 0.0) * mean**2
    mean_square = np.bincount(X.indices, w * value**2, p)
    spread = np.sqrt(np.maximum(square - slip**2, 0.0))
    return make_standard(mean + slip, spread, mean_square, fit_intercept)


@final
class SparseRows(Rows):
    """Rows of a CSR matrix; shifts are subtracted after the products.

    A column far from 0 that has a stored value in every row is shifted in a copy of
    the stored values; that costs no new entry.
    """

    def __init__(self, X: Any, standard: Standard) -> None:
        self.standard = standard
        self.n_rows = X.shape[0]
        self.n_params = X.shape[1] + 1
        self.passes = 0.0
        self._X, self._virtual = _shift_full_columns(X, standard)

    def blocks(self) -> Iterator[tuple[slice, Block]]:
        """Yield all rows at once: slicing a sparse matrix copies it."""
        yield slice(0, self.n_rows), self

    def predict(self, params: Array) -> Array:
        """Return ``design @ params``."""
        coef, offset = self._virtual.to_original(params)
        return np.asarray(self._X @ coef + offset)

    def adjoint(self, v: Array) -> Array:
        """Return ``design.T @ v``."""
        total = v.sum()
        slope = (self._X.T @ v - self._virtual.shift * total) * self._virtual.unit
        return np.append(slope, self._virtual.constant * total)

    def gram(self, c: Array, columns: Index) -> Array:
        """Return the Gram matrix: sparse products, dense only in the result."""
        self.count_pass(c)
        features = columns[columns < self.n_params - 1]
        inside = np.flatnonzero(c)
        X, c = self._X[inside][:, features], c[inside]
        shift, unit = self._virtual.shift[features], self._virtual.unit[features]
        weighted = X.multiply(c[:, None]).tocsr()
        total, sums = float(c.sum()), np.asarray(weighted.T @ np.ones(c.size))
        square = (X.T @ weighted).toarray() - np.outer(sums, shift)
        square += np.outer(shift, shift * total - sums)
        result = np.empty((columns.size, columns.size))
        is_intercept = columns == self.n_params - 1
        f, i = np.flatnonzero(~is_intercept), np.flatnonzero(is_intercept)
        result[np.ix_(f, f)] = square * np.outer(unit, unit)
        edge = (sums - shift * total) * unit * self._virtual.constant
        result[np.ix_(f, i)] = edge[:, None]
        result[np.ix_(i, f)] = edge[None, :]
        result[np.ix_(i, i)] = total * self._virtual.constant**2
        return result

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

    def norms(self) -> Array:
        """Return the sum of the norms of the two parts: stored values and shifts."""
        scaled = self._X.multiply(self._virtual.unit[None, :])
        square = np.asarray(scaled.multiply(scaled).sum(axis=1)).ravel()
        offset = self._virtual.shift * self._virtual.unit
        rest = np.sqrt(offset @ offset + self._virtual.constant**2)
        return np.asarray(np.sqrt(square) + rest)

    def root(self, c: Array, columns: Index) -> Array:
        """Return R of a QR decomposition of a few rows after the other."""
        self.count_pass(c)
        result = np.zeros((0, columns.size))
        inside = np.flatnonzero(c)
        size = max(256, columns.size)
        for start in range(0, inside.size, size):
            rows = inside[start : start + size]
            block = self.few(rows)[:, columns] * np.sqrt(c[rows])[:, None]
            result = scipy.linalg.qr(np.vstack([result, block]), mode="r")[0]
            result = result[: columns.size]
        return result

    def design(self) -> tuple[Any, Array]:
        """Return the scaled columns, not centred, and what centring takes off."""
        unit, constant = self._virtual.unit, self._virtual.constant
        edge = np.full((self.n_rows, 1), constant)
        scaled = self._X.multiply(unit[None, :])
        return scipy.sparse.hstack([scaled, edge], "csr"), self._virtual.shift * unit

    def extended(self) -> Rows:
        """Return a copy of the stored values in long double."""
        rows = SparseRows(self._X.astype(np.longdouble), self._virtual)
        rows.standard = self.standard
        return rows

    def take(self, index: Index) -> Rows:
        """Return some of the rows."""
        taken = SparseRows(self._X[index], self._virtual)
        taken.standard = self.standard
        return taken

    def few(self, index: Index) -> Array:
        """Return the design of a few rows, dense."""
        design = np.empty((index.size, self.n_params))
        block = self._X[index].toarray() - self._virtual.shift
        design[:, :-1] = block * self._virtual.unit
        design[:, -1] = self._virtual.constant
        return design


def _shift_full_columns(X: Any, standard: Standard) -> tuple[Any, Standard]:
    """Return X with its far-off, fully stored columns shifted, and what is left."""
    if not standard.far.any():
        return X, standard
    full = standard.far & (np.bincount(X.indices, minlength=X.shape[1]) == X.shape[0])
    moved = np.where(full, standard.shift, 0.0)
    shifted = X.astype(np.float64)
    shifted.data -= moved[X.indices]
    return shifted, replace(standard, shift=standard.shift - moved)
