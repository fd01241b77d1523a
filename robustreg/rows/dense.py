"""Rows of a dense array: C or Fortran order, read-only or memory-mapped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from robustreg.rows.base import (
    BLOCK_ENTRIES,
    FEW_ROWS,
    FEWEST_AT_A_TIME,
    Array,
    Index,
    Rows,
    Standard,
    gathered,
    make_standard,
    representatives,
    strata,
    stretches,
)
from robustreg.rows.formed import FormedRows

# Arrays of fewer entries, 128 KiB, are taken and given back without asking the system;
# of long rows the second number at a time are worth more than that.
SMALL_ENTRIES, FEWEST_SMALL = 2**14, 64
# How many times as many rows as few a sample of these standardises at least; and the
# share of the sample that its effective size must be.
WORTH_SAMPLING, LEAST_EFFECTIVE = 3, 0.1
# Rows that are looked at for each that is taken at once: few may have weight.
LOOKED_AT = 16


def dense_standard(
    X: NDArray[np.floating[Any]], weight: Array, fit_intercept: bool
) -> Standard:
    """Return the standardisation, from moments merged block by block [1]_.

    References
    ----------
    .. [1] Chan, T. F., Golub, G. H., LeVeque, R. J. (1983). Algorithms for computing
       the sample variance. The American Statistician 37, 242-247.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        moments = _moments(X, weight)
    return make_standard(*moments, fit_intercept)


def _moments(X: NDArray[np.floating[Any]], weight: Array) -> tuple[Array, Array, Array]:
    """Return the mean, standard deviation and mean square of each column."""
    n, p = X.shape
    mean, square, seen = np.zeros(p), np.zeros(p), 0.0
    for place in _places(n, p):
        # BLAS multiplies no view of one number that stands for all weights.
        w = np.ascontiguousarray(weight[place])
        total = float(w.sum())
        if total == 0:
            continue
        live = w > 0
        block = X[place].astype(np.float64)
        if not live.all():
            block, w = block[live], w[live]
        center = w @ block / total
        block -= center
        # The mean of the deviations is the rounding error of the centre itself.
        slip = w @ block / total
        gap = center + slip - mean
        block *= block
        inner = np.maximum(w @ block - total * slip**2, 0.0)
        square += inner + gap**2 * (seen * total / (seen + total))
        mean += gap * (total / (seen + total))
        seen += total
    variance = square / seen
    return mean, np.sqrt(variance), variance + mean**2


def sampled_standard(
    X: NDArray[np.floating[Any]], weight: Array, fit_intercept: bool
) -> Standard | None:
    """Return the standardisation by a random sample of rows, or None if it will not do.

    Coordinates need not be exact: only which columns are constant does, and a sample
    in which no column is constant tells. It will not do if rows are few, or if few of
    those drawn have most of the weight.
    """
    if X.shape[0] < WORTH_SAMPLING * FEW_ROWS:
        return None
    drawn = strata(X.shape[0], FEW_ROWS).astype(np.intp)
    w = weight[drawn]
    # Kish's effective size is the squared sum over the sum of squares.
    few = w.sum() ** 2 < LEAST_EFFECTIVE * FEW_ROWS * (w @ w)
    if few or not w.any():
        return None
    standard = dense_standard(X[drawn], w, fit_intercept)
    return replace(standard, exact=False) if standard.unit.all() else None


def dense_columns(
    X: NDArray[np.floating[Any]], weight: Array
) -> tuple[Iterator[Array], Array]:
    """Return all columns of rows that stand for all, and these rows' weight."""
    drawn, share = representatives(weight, FEW_ROWS)
    return iter([X[drawn].astype(np.float64)]), share


def dense_within(
    X: NDArray[np.floating[Any]], low: Array, high: Array
) -> NDArray[np.bool_]:
    """Return which rows have all their entries within the bounds of the columns."""
    result = np.empty(X.shape[0], np.bool_)
    for place in _places(*X.shape):
        block = X[place]
        result[place] = ((block >= low) & (block <= high)).all(axis=1)
    return result


def _places(n: int, p: int, itemsize: int = 8) -> Iterator[slice]:
    """Return slices of consecutive rows, of about `BLOCK_ENTRIES` doubles each."""
    size = max(FEWEST_AT_A_TIME, 8 * BLOCK_ENTRIES // (itemsize * max(p, 1)))
    return stretches(n, size)


def _live_rows(c: Array, p: int) -> Iterator[Index]:
    """Yield the rows with weight, so many at a time that p x p matrices are few."""
    # The rows as they are and their design are half of a block each.
    most = max(2 * p, BLOCK_ENTRIES // (2 * max(p, 1)), FEWEST_AT_A_TIME)
    for stretch in stretches(c.size, LOOKED_AT * most):
        live = np.flatnonzero(c[stretch]) + stretch.start
        for start in range(0, live.size, most):
            yield live[start : start + most]


@final
@dataclass(frozen=True)
class _DenseBlock:
    """Some rows and what standardises them after the product."""

    X: Array
    standard: Standard

    def predict(self, params: Array) -> Array:
        """Return ``design @ params``."""
        coef, offset = self.standard.to_original(params)
        # Columns after the last that counts cost nothing.
        last = int(coef.nonzero()[0].max(initial=-1)) + 1
        prediction = self.X[:, :last] @ coef[:last].astype(self.X.dtype, copy=False)
        prediction += offset
        return prediction

    def adjoint(self, v: Array) -> Array:
        """Return ``design.T @ v``."""
        total = v.sum()
        result = np.empty(self.X.shape[1] + 1, np.result_type(self.X, v, np.float64))
        slope = v.astype(self.X.dtype, copy=False) @ self.X
        result[:-1] = (slope - self.standard.shift * total) * self.standard.unit
        result[-1] = self.standard.constant * total
        return result

    def predict_each(self, params: Array) -> Array:
        """Return ``params @ design.T``."""
        coef, offset = self.standard.to_original(params)
        return coef @ self.X.T + offset[:, None]

    def adjoint_each(self, v: Array) -> Array:
        """Return ``v @ design``."""
        total = v.sum(axis=1, keepdims=True)
        slope = (v @ self.X - self.standard.shift * total) * self.standard.unit
        return np.hstack([slope, self.standard.constant * total])

    def norms(self) -> Array:
        """Return the norms of the rows."""
        unit = self.standard.unit
        near = self.X * unit
        near -= self.standard.shift * unit
        near *= near
        # A product with a vector is several times as fast as a sum along short rows.
        return np.asarray(
            np.sqrt(near @ np.ones_like(unit) + self.standard.constant**2)
        )

    def squares(self, c: Array) -> Array:
        """Return the sums of squares of the columns; rows with ``c = 0`` cost less."""
        live = np.flatnonzero(c)
        X = self.X if live.size == c.size else gathered(self.X, live)
        near = (X - self.standard.shift) * self.standard.unit
        square = np.einsum("ij,ij,i->j", near, near, c[live])
        return np.append(square, self.standard.constant**2 * c.sum())


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
        self._itemsize = np.dtype(precision).itemsize
        self.standard = standard
        self.n_rows = X.shape[0]
        self.n_params = X.shape[1] + 1
        self.passes = 0.0
        # Extended precision is for small differences: it always centres first.
        extended = precision == np.longdouble and bool(standard.shift.any())
        self._centred = bool(standard.far.any()) or extended
        # What is left of the standardisation once the blocks are centred.
        zero = np.zeros_like(standard.shift)
        self._left = replace(standard, shift=zero) if self._centred else standard
        # Without a conversion the products need no blocks.
        if X.dtype == precision and not self._centred:
            self._whole = _DenseBlock(X, self._left)

    def blocks(self) -> Iterator[tuple[slice, _DenseBlock]]:
        """Yield views of consecutive rows; a far-off block is centred in a copy."""
        for place in _places(self.n_rows, self.n_params, self._itemsize):
            block = self._X[place].astype(self._precision, copy=False)
            if self._centred:
                block = block - self.standard.shift
            yield place, _DenseBlock(block, self._left)

    def gram(self, c: Array, columns: Index) -> Array:
        """Return the Gram matrix; rows with ``c = 0`` cost nothing."""
        self.count_pass(c)
        result = np.zeros((columns.size, columns.size))
        for block in self.weighted(c, columns):
            result += block.T @ block
        return result

    def cross(
        self, index: Index, c: Array, columns: Index, v: Array
    ) -> tuple[Array, Array]:
        """Return the cross products and the adjoint by one matrix product."""
        self.passes += index.size / max(self.n_rows, 1)
        features, place_of_intercept = _split(columns, self.n_params)
        unit, constant = self.standard.unit, self.standard.constant
        product = np.zeros((self.n_params, columns.size + 1))
        size = max(FEWEST_SMALL, SMALL_ENTRIES // self.n_params)
        for start in range(0, index.size, size):
            place = slice(start, start + size)
            near = self._X[index[place]].astype(np.float64, copy=False)
            near -= self.standard.shift
            right = np.empty((near.shape[0], columns.size + 1))
            right[:, : features.size] = near[:, features]
            right[:, : features.size] *= unit[features]
            right[:, features.size : -1] = constant
            right *= c[place, None]
            right[:, -1] = v[place]
            product[:-1] += near.T @ right
            product[-1] += right.sum(axis=0)
        product *= np.append(unit, constant)[:, None]
        return product[:, place_of_intercept], product[:, -1]

    def columns(self, index: Index) -> Rows:
        """Return an array of the columns in Fortran order, far-off ones centred."""
        features, old = index[:-1], self.standard
        local = Standard(old.shift[features], old.unit[features], old.constant)
        X = np.empty((self.n_rows, features.size), self._precision, order="F")
        moved = np.where(local.far, local.shift, 0.0)
        for place in _places(self.n_rows, self.n_params):
            X[place] = self._X[place][:, features]
            if moved.any():
                X[place] -= moved
        return DenseRows(X, replace(local, shift=local.shift - moved), self._precision)

    def entries(self) -> tuple[Any, Array]:
        """Return the design itself, and no offset."""
        blocks = self.weighted(np.ones(self.n_rows), np.arange(self.n_params))
        return np.vstack(list(blocks)), np.zeros(self.n_params - 1)

    def dense(self, index: Index) -> Array:
        """Return the design of a few rows."""
        return _formed(gathered(self._X, index), self.standard)

    def in_precision(self, dtype: type[np.floating[Any]]) -> Rows:
        """Return rows that are converted block by block, or not at all."""
        if dtype == np.float32 and (self._X.dtype != dtype or self._centred):
            return self
        return DenseRows(self._X, self.standard, dtype)

    def take(self, index: Index) -> Rows:
        """Return some of the rows, their design formed."""
        design = np.empty((index.size, self.n_params))
        for place in _places(index.size, self.n_params):
            design[place] = _formed(gathered(self._X, index[place]), self.standard)
        return FormedRows(design, self.standard)

    def formed(self) -> Rows:
        """Return all rows, their design formed."""
        return FormedRows(_formed(self._X, self.standard), self.standard, self)

    def weighted(self, c: Array, columns: Index) -> Iterator[Array]:
        """Yield blocks of ``sqrt(c) * design``, only the rows with c > 0."""
        features, place_of_intercept = _split(columns, self.n_params)
        everything = np.array_equal(features, np.arange(self._X.shape[1]))
        shift, unit = self.standard.shift[features], self.standard.unit[features]
        for rows in _live_rows(c, columns.size):
            raw = gathered(self._X, rows)
            raw = raw if everything else raw[:, features]
            design = np.empty((rows.size, columns.size))
            np.subtract(raw, shift, out=design[:, : features.size], dtype=np.float64)
            design[:, : features.size] *= unit
            design[:, features.size :] = self.standard.constant
            design *= np.sqrt(c[rows])[:, None]
            yield design[:, place_of_intercept]


def _formed(X: Array, standard: Standard) -> Array:
    """Return the standardised design of some rows."""
    design = np.empty((X.shape[0], X.shape[1] + 1))
    np.subtract(X, standard.shift, out=design[:, :-1])
    design[:, :-1] *= standard.unit
    design[:, -1] = standard.constant
    return design


def _split(columns: Index, n_params: int) -> tuple[Index, Index]:
    """Return the feature columns, and the order that puts the intercept back."""
    is_intercept = columns == n_params - 1
    order = np.argsort(np.argsort(is_intercept, kind="stable"), kind="stable")
    return columns[~is_intercept], order
