"""Rows of data in standardised coordinates, whatever container they live in.

Conventions of every room above this one
----------------------------------------
``params = [coef..., intercept]``, always, one longer than the number of columns.
They belong to the design ``[(X - shift) * unit, constant]``: every column has mean 0
and standard deviation 1 (mean square 1 without an intercept), ``constant`` is 1 with
an intercept and 0 without, and ``unit`` is 0 for a column that does not vary. The
design is never formed: X is neither copied nor changed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray

from robustreg.linalg import CANCELLED, FAR

Array = NDArray[Any]
Index = NDArray[np.intp]

# Sums of weights carry rounding errors of this share; a tie is a tie up to them.
TIE = 1e-12
# Elements of an array that stays in cache with a few others made of it, 256 KiB.
STRETCH = 2**15
# Entries of a block, in double precision, that fits the second-level cache with what is
# made of it, 1 MiB.
BLOCK_ENTRIES = 2**17
# Entries of what is made of many rows for a while, and then no more of, 8 MiB.
HELD_ENTRIES = 2**20
# Entries of what is made at a time where it takes many products, 32 MiB.
MOST_ENTRIES = 2**22
# Rows that tell what is typical of all; of no more a summary is not worth its cost.
FEW_ROWS = 2**12
# Rows that a product takes at least at a time, however long they are, so that what it
# costs in Python is little beside it.
FEWEST_AT_A_TIME = 256


@dataclass(frozen=True)
class Standard:
    """The standardisation ``(X - shift) * unit`` and the constant of the intercept.

    ``exact`` is False if a sample of rows gave the moments.
    """

    shift: Array
    unit: Array
    constant: float
    exact: bool = True

    @property
    def far(self) -> NDArray[np.bool_]:
        """Columns so far from 0 that the shift must come off before a product."""
        offset = np.abs(self.shift) * self.unit
        # To subtract the shift after the product costs digits; such a one is subtracted
        # from the data first.
        return np.asarray(offset > FAR)

    def to_original(self, params: Array) -> tuple[Array, Any]:
        """Return ``coef, intercept`` for the original columns, in their precision.

        Of params of shape (..., n_params), those of each.
        """
        coef = self.unit * params[..., :-1]
        return coef, self.constant * params[..., -1] - coef @ self.shift

    def from_original(self, coef: Array, intercept: Any) -> Array:
        """Return the params of ``coef, intercept``; 0 where a column is constant.

        Of coef of shape (..., n_features), those of each.
        """
        varies = self.unit > 0
        standard = np.where(varies, coef, 0.0) / np.where(varies, self.unit, 1.0)
        edge = np.asarray(self.constant * (intercept + coef @ self.shift))
        return np.concatenate([standard, edge[..., None]], axis=-1)


def make_standard(
    mean: Array, deviation: Array, mean_square: Array, fit_intercept: bool
) -> Standard:
    """Return the standardisation by weighted moments of the columns.

    A deviation of a few rounding errors of the mean is a constant column's.

    Raises
    ------
    ValueError
        For columns whose squares overflow or underflow.
    """
    lost = ~np.isfinite(mean_square) | ((mean_square == 0) & (mean != 0))
    if lost.any():
        raise ValueError(
            "X has entries whose squares are no floating point numbers, in columns "
            f"{np.flatnonzero(lost)[:10].tolist()}: beyond about 1e154, or all within "
            "1e-162. Multiply such columns by a power of ten, which does not change "
            "the fit but for the units of its coefficients, or drop wrong rows."
        )
    if fit_intercept:
        spread = np.where(deviation > CANCELLED * abs(mean), deviation, 0)
        shift, constant = mean, 1.0
    else:
        spread = np.sqrt(mean_square)
        shift, constant = np.zeros_like(mean), 0.0
    positive = spread > 0
    unit = np.where(positive, 1 / np.where(positive, spread, 1.0), 0.0)
    return Standard(shift, unit, constant)


def strata(total: float, size: int) -> Array:
    """Return a random place in each of ``size`` equal stretches of ``[0, total)``."""
    places = (np.arange(size) + np.random.default_rng(0).random(size)) * (total / size)
    return np.minimum(places, np.nextafter(total, 0.0))


def middle_of(values: Array) -> float:
    """Return a value with half of the others on either side, without interpolation."""
    middle = values.size // 2
    return float(np.partition(values, middle)[middle])


def representatives(weight: Array, size: int) -> tuple[Index, Array]:
    """Return the rows that have weight, and it, or ``size`` rows of equal weight.

    For what need only be typical; the second, where rows are more, with repetitions.
    """
    n, total = weight.size, float(weight.sum())
    if n <= size:
        live = np.flatnonzero(weight)
        return live, weight[live]
    if weight.min() == weight.max():
        index = strata(n, size).astype(np.intp)
    else:
        sums = np.cumsum(weight)
        index = np.searchsorted(sums, strata(sums[-1], size))
    return index, np.full(size, total / size)


def stretches(n: int, size: int = STRETCH) -> Iterator[slice]:
    """Yield slices of consecutive rows, so few that arrays of one stay in cache."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def gathered(X: Array, rows: Index) -> Array:
    """Return some rows of an array, copied: ``X[rows]``, but twice as fast in C order.

    In any other order numpy would copy all of X first.
    """
    if X.flags.c_contiguous:
        return X.take(rows, axis=0, mode="clip")
    return np.asarray(X[rows])


def product(X: Any, coef: Array) -> Array:
    """Return ``X @ coef.T``; of X in another precision no copy is made.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_rows, n_columns)
        Features.
    coef : ndarray of shape (n_columns,) or (k, n_columns)
        Coefficients.
    """
    if scipy.sparse.issparse(X) or X.dtype == coef.dtype:
        return np.asarray(X @ coef.T)
    n, p = X.shape
    result = np.empty((n, *coef.shape[:-1]), np.result_type(X, coef))
    for place in stretches(n, max(BLOCK_ENTRIES // max(p, 1), 1)):
        result[place] = X[place] @ coef.T
    return result


class Block(Protocol):
    """Some consecutive rows of a design D; c and each v have a value for each."""

    def predict(self, params: Array) -> Array:
        """Return ``D @ params``."""

    def adjoint(self, v: Array) -> Array:
        """Return ``D.T @ v``."""

    def predict_each(self, params: Array) -> Array:
        """Return ``params @ D.T``, for k params."""

    def adjoint_each(self, v: Array) -> Array:
        """Return ``v @ D``, for k v."""

    def norms(self) -> Array:
        """Return the Euclidean norms of the rows, or a little more."""

    def squares(self, c: Array) -> Array:
        """Return the diagonal of ``D.T @ diag(c) @ D``."""


class Rows(ABC):
    """n rows of the standardised design, with products that take one pass each.

    A subclass sets the attributes; what is abstract it alone can do, the rest follows
    from its blocks.

    Attributes
    ----------
    standard : Standard
        The coordinates.
    n_rows : int
        Number of rows.
    n_params : int
        Number of columns plus one for the intercept.
    passes : float
        Passes over the rows made so far, a fraction for a pass over some of them.
        `gram`, `gram_diagonal`, `cross`, `root` and `map_reduce` add theirs; of all
        other products the caller does, who knows which are made in one pass.
    stored : ndarray of shape (n_columns,) or None
        How many values each column of a sparse matrix stores, and the matrix of
        `entries` is sparse, too; None if dense.
    """

    standard: Standard
    n_rows: int
    n_params: int
    passes: float
    stored: Index | None = None
    # All rows, where a product with one vector needs no blocks that stay in cache; and
    # where there is but this one block.
    _whole: Block | None = None
    _only: Block | None = None
    # That of the products with one vector.
    _precision: type[np.floating[Any]] = np.float64

    @property
    def varies(self) -> NDArray[np.bool_]:
        """Which params move a prediction: not those of constant columns."""
        return np.append(self.standard.unit > 0, self.standard.constant > 0)

    @abstractmethod
    def blocks(self) -> Iterator[tuple[slice, Block]]:
        """Yield consecutive blocks of rows, each small enough to stay in cache."""

    def predict(self, params: Array) -> Array:
        """Return ``design @ params``, of shape (n_rows,)."""
        if self._whole is not None:
            return self._whole.predict(params)
        result = np.empty(self.n_rows, self._precision)
        for place, block in self.blocks():
            result[place] = block.predict(params)
        return result

    def adjoint(self, v: Array) -> Array:
        """Return ``design.T @ v``, of shape (n_params,)."""
        if self._whole is not None:
            return self._whole.adjoint(v)
        result = np.zeros(self.n_params, self._precision)
        for place, block in self.blocks():
            result += block.adjoint(v[place])
        return result

    def predict_each(self, params: Array) -> Array:
        """Return ``params @ design.T``, of shape (k, n_rows), for k params."""
        if self._only is not None:
            return self._only.predict_each(params)
        result = np.empty((len(params), self.n_rows))
        for place, block in self.blocks():
            result[:, place] = block.predict_each(params)
        return result

    def adjoint_each(self, v: Array) -> Array:
        """Return ``v @ design``, of shape (k, n_params), for v of k values a row."""
        if self._only is not None:
            return self._only.adjoint_each(v)
        result = np.zeros((len(v), self.n_params))
        for place, block in self.blocks():
            result += block.adjoint_each(v[:, place])
        return result

    def norms(self) -> Array:
        """Return the Euclidean norms of the rows of the design, or a little more."""
        if self._only is not None:
            return self._only.norms()
        result = np.empty(self.n_rows)
        for place, block in self.blocks():
            result[place] = block.norms()
        return result

    def gram_diagonal(self, c: Array) -> Array:
        """Return the diagonal of ``gram(c, all columns)``, without the rest."""
        self.count_pass(c)
        if self._only is not None:
            return self._only.squares(c)
        result = np.zeros(self.n_params)
        for place, block in self.blocks():
            result += block.squares(c[place])
        return result

    def root(self, c: Array, columns: Index) -> Array:
        """Return a matrix R with ``R.T @ R = gram(c, columns)``, by orthogonal steps.

        The condition number of R is the square root of the Gram matrix's.
        """
        self.count_pass(c)
        result = np.zeros((0, columns.size))
        # SciPy's QR decomposition of no columns takes the square of the rows.
        if not columns.size:
            return result
        for block in self.weighted(c, columns):
            block = np.vstack([result, block]) if len(result) else block
            result = scipy.linalg.qr(block, mode="r")[0][: columns.size]
        return result

    @abstractmethod
    def gram(self, c: Array, columns: Index) -> Array:
        """Return ``design.T @ diag(c) @ design`` on some columns, for ``c >= 0``.

        ``columns`` index params, so the last one is the intercept's.
        """

    @abstractmethod
    def cross(
        self, index: Index, c: Array, columns: Index, v: Array
    ) -> tuple[Array, Array]:
        """Return ``D.T @ diag(c) @ D[:, columns]`` and ``D.T @ v``.

        D is the design on the rows of ``index``, to which c, of any sign, and v belong.
        """

    @abstractmethod
    def columns(self, index: Index) -> Rows:
        """Return the design on some of the params, the last one last, copied.

        Its ``standard`` need not lead back to the original columns.
        """

    @abstractmethod
    def entries(self) -> tuple[Any, Array]:
        """Return matrix and offset: the design is ``matrix - np.append(offset, 0)``.

        For linear programs, which need the entries; sparse stays sparse.
        """

    @abstractmethod
    def dense(self, index: Index) -> Array:
        """Return the design of a few rows, for an index as of `take`, as an array."""

    @abstractmethod
    def weighted(self, c: Array, columns: Index) -> Iterator[Array]:
        """Yield ``sqrt(c) * design`` of the rows with c > 0, some after the other.

        On some of the params, dense.
        """

    @abstractmethod
    def take(self, index: Index) -> Rows:
        """Return some of the rows, in any order and with repetitions, copied.

        With the same ``standard``, and no passes made.
        """

    @abstractmethod
    def in_precision(self, dtype: type[np.floating[Any]]) -> Rows:
        """Return the same rows with products in another precision.

        Single is for data of single precision; other rows return themselves, by
        identity: callers ask with ``is``. Long double is slow, and no longer than
        double on some platforms.
        """

    def map_reduce(
        self,
        terms: Callable[[slice, Block], tuple[Array | float, ...]],
        cost: float = 1.0,
    ) -> tuple[Array | float, ...]:
        """Return the sums over all blocks of ``terms(place, block)``.

        ``cost`` is that of the terms, in passes.
        """
        self.passes += cost
        parts = [terms(place, block) for place, block in self.blocks()]
        return tuple(sum(column) for column in zip(*parts, strict=True))

    def count_pass(self, c: Array) -> None:
        """Count the share of rows that a product weighted by ``c`` touches."""
        self.passes += np.count_nonzero(c) / max(self.n_rows, 1)
