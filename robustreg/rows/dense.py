"""Rows of a dense array: C or Fortran order, read-only or memory-mapped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from robustreg.rows.base import Array, Index, Rows, Standard, make_standard

# A block of this many bytes fits the second-level cache beside what it makes.
BLOCK_BYTES = 2**20


def dense_standard(
    X: NDArray[np.floating[Any]], weight: Array, fit_intercept: bool
) -> Standard:
    """Return the standardisation, from moments merged block by block [1]_.

    References
    ----------
    .. [1] Chan, T. F., Golub, G. H., LeVeque, R. J. (1983). Algorithms for computing
       the sample variance. The American Statistician 37, 242-247.
    """
    n, p = X.shape
    mean, square, mean_square = np.zeros(p), np.zeros(p), np.zeros(p)
    seen = 0.0
    for place in _places(n, p):
        w = weight[place]
        total = float(w.sum())
        if total == 0:
            continue
        block = X[place].astype(np.float64)
        center = w @ block / total
        mean_square += w @ block**2
        block -= center
        # The mean of the deviations is the rounding error of the centre itself.
        slip = w @ block / total
        gap = center + slip - mean
        inner = np.maximum(w @ block**2 - total * slip**2, 0.0)
        square += inner + gap**2 * (seen * total / (seen + total))
        mean += gap * (total / (seen + total))
        seen += total
    return make_standard(
        mean, np.sqrt(square / seen), mean_square / seen, fit_intercept
    )


def _places(n: int, p: int) -> Iterator[slice]:
    """Yield slices of consecutive rows, of about `BLOCK_BYTES` each."""
    size = max(256, BLOCK_BYTES // (8 * max(p, 1)))
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


@final
class DenseRows(Rows):
    """Rows of an array, worked through in blocks that are upcast to float64."""

    def __init__(
        self,
        X: NDArray[np.floating[Any]],
        standard: Standard,
        precision: type[np.floating[Any]] = np.float64,
    ) -> None:
        self._X = X
        self._precision = precision
        self.standard = standard
        self.n_rows = X.shape[0]
        self.n_params = X.shape[1] + 1
        self.passes = 0.0
        # Extended precision is for small differences: it always centres first.
        extended = precision != np.float64 and bool(standard.shift.any())
        self._centred = bool(standard.far.any()) or extended
        # Without a conversion the products need no blocks.
        self._direct = X.dtype == precision and not self._centred

    def blocks(self) -> Iterator[tuple[slice, Rows]]:
        """Yield views of consecutive rows; a far-off block is centred in a copy."""
        for place in _places(self.n_rows, self.n_params):
            block = self._X[place]
            if self._centred:
                near = block.astype(self._precision) - self.standard.shift
                shift = np.zeros_like(self.standard.shift)
                unit, constant = self.standard.unit, self.standard.constant
                local = Standard(shift, unit, constant)
                yield place, DenseRows(near, local, self._precision)
            else:
                wide = block.astype(self._precision, copy=False)
                yield place, DenseRows(wide, self.standard, self._precision)

    def predict(self, params: Array) -> Array:
        """Return ``design @ params``."""
        if self._direct:
            coef, offset = self.standard.to_original(params)
            return self._X @ coef + offset
        result = np.empty(self.n_rows, self._precision)
        for place, block in self.blocks():
            result[place] = block.predict(params)
        return result

    def adjoint(self, v: Array) -> Array:
        """Return ``design.T @ v``."""
        if self._direct:
            total = v.sum()
            slope = (v @ self._X - self.standard.shift * total) * self.standard.unit
            return np.append(slope, self.standard.constant * total)
        result = np.zeros(self.n_params, self._precision)
        for place, block in self.blocks():
            result += block.adjoint(v[place])
        return result

    def gram(self, c: Array, columns: Index) -> Array:
        """Return the Gram matrix; rows with ``c = 0`` cost nothing."""
        self.count_pass(c)
        result = np.zeros((columns.size, columns.size))
        for block in self._weighted_designs(c, columns):
            result += block.T @ block
        return result

    def gram_diagonal(self, c: Array) -> Array:
        """Return the diagonal of the Gram matrix."""
        self.count_pass(c)
        columns = np.arange(self.n_params)
        designs = self._weighted_designs(c, columns)
        return sum(
            ((block**2).sum(axis=0) for block in designs), np.zeros(columns.size)
        )

    def root(self, c: Array, columns: Index) -> Array:
        """Return R of a QR decomposition, by one block after the other."""
        self.count_pass(c)
        result = np.zeros((0, columns.size))
        for block in self._weighted_designs(c, columns):
            result = scipy.linalg.qr(np.vstack([result, block]), mode="r")[0]
            result = result[: columns.size]
        return result

    def design(self) -> tuple[Any, Array]:
        """Return the design itself, and no offset."""
        blocks = self._weighted_designs(np.ones(self.n_rows), np.arange(self.n_params))
        return np.vstack(list(blocks)), np.zeros(self.n_params - 1)

    def extended(self) -> Rows:
        """Return the rows, upcast to long double block by block."""
        return DenseRows(self._X, self.standard, np.longdouble)

    def take(self, index: Index) -> Rows:
        """Return some of the rows."""
        return DenseRows(self._X[index], self.standard, self._precision)

    def _weighted_designs(self, c: Array, columns: Index) -> Iterator[Array]:
        """Yield blocks of ``sqrt(c) * design``, only the rows with c > 0."""
        features, place_of_intercept = _split(columns, self.n_params)
        everything = np.array_equal(features, np.arange(self._X.shape[1]))
        shift, unit = self.standard.shift[features], self.standard.unit[features]
        for place in _places(self.n_rows, columns.size):
            inside = np.flatnonzero(c[place])
            if not inside.size:
                continue
            rows = inside + place.start
            raw = self._X[rows] if everything else self._X[np.ix_(rows, features)]
            design = np.empty((rows.size, columns.size))
            np.subtract(raw, shift, out=design[:, : features.size], dtype=np.float64)
            design[:, : features.size] *= unit
            design[:, features.size :] = self.standard.constant
            design *= np.sqrt(c[rows])[:, None]
            yield design[:, place_of_intercept]


def _split(columns: Index, n_params: int) -> tuple[Index, Index]:
    """Return the feature columns, and the order that puts the intercept back."""
    is_intercept = columns == n_params - 1
    order = np.argsort(np.argsort(is_intercept, kind="stable"), kind="stable")
    return columns[~is_intercept], order
