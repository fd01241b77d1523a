"""What rows are made of: the containers of X, and what each makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from robustreg.rows.base import BLOCK_ENTRIES, Array, Rows, Standard
from robustreg.rows.dense import (
    DenseRows,
    dense_columns,
    dense_standard,
    dense_within,
    sampled_standard,
)
from robustreg.rows.sparse import (
    SparseRows,
    sparse_columns,
    sparse_standard,
    sparse_within,
)

# Data of no more entries than this, 2 MiB, have their design formed: a copy that small
# is worth what it saves in every product.
FORMED_ENTRIES = 2 * BLOCK_ENTRIES
# Bytes that a stored value's place takes.
INDEX_SIZE = np.dtype(np.int32).itemsize


def make_rows(
    X: Any, weight: Array, fit_intercept: bool, exactly: bool = False
) -> Rows:
    """Return the rows of an array or a sparse matrix, standardised by ``weight``.

    A large sparse matrix that takes less memory dense is made so.

    Parameters
    ----------
    X : ndarray or CSR or CSC matrix of shape (n_samples, n_features)
        Finite, float32 or float64.
    weight : ndarray of shape (n_samples,)
        Non-negative, not all 0.
    fit_intercept : bool
        Whether the design has a constant column.
    exactly : bool
        Whether to standardise by all rows even where a sample of many would do.
    """
    X = prepared(X)
    return rows_in(X, standard_of(X, weight, fit_intercept, exactly))


def prepared(X: Any) -> Any:
    """Return X as its rows will hold it: an array, or CSR without duplicates."""
    if not scipy.sparse.issparse(X):
        return X
    if _is_full(X):
        return X.toarray(order="C")
    X = X.tocsr()
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def standard_of(
    X: Any, weight: Array, fit_intercept: bool, exactly: bool = False
) -> Standard:
    """Return the standardisation of a `prepared` X, as for `make_rows`."""
    container, standard = _container_of(X), None
    if container.sampled_standard is not None and not exactly:
        standard = container.sampled_standard(X, weight, fit_intercept)
    return standard or container.standard(X, weight, fit_intercept)


def rows_in(X: Any, standard: Standard) -> Rows:
    """Return the rows of a `prepared` X in the coordinates of a standardisation."""
    return _container_of(X).rows(X, standard)


def sampled_columns(X: Any, weight: Array) -> tuple[Iterator[Array], Array]:
    """Return columns of a `prepared` X, some at a time, and the weight of their rows.

    Dense, and of a sample of many rows, that stands for all.
    """
    return _container_of(X).columns(X, weight)


def rows_within(X: Any, low: Array, high: Array) -> NDArray[np.bool_]:
    """Return which rows of a `prepared` X lie within bounds of the columns."""
    return _container_of(X).within(X, low, high)


def dense_rows(X: Array, standard: Standard) -> Rows:
    """Return the rows of an array, their design formed if they are few."""
    rows = DenseRows(X, standard)
    return rows.formed() if X.size <= FORMED_ENTRIES else rows


def _is_full(X: Any) -> bool:
    """Return whether a large sparse matrix takes less memory dense, and less time."""
    entries = X.shape[0] * X.shape[1]
    size = X.dtype.itemsize
    return entries > FORMED_ENTRIES and entries * size < X.nnz * (size + INDEX_SIZE)


@final
@dataclass(frozen=True)
class Container:
    """What is made of a `prepared` X of one kind.

    Parameters
    ----------
    holds : callable
        ``holds(X)`` says whether X is of this kind.
    rows, columns, within : callable
        What `rows_in`, `sampled_columns` and `rows_within` return.
    standard : callable
        ``standard(X, weight, fit_intercept)`` returns the standardisation by all rows.
    sampled_standard : callable or None
        Returns that by a sample, or None if that will not do.
    """

    holds: Callable[[Any], bool]
    rows: Callable[[Any, Standard], Rows]
    columns: Callable[[Any, Array], tuple[Iterator[Array], Array]]
    within: Callable[[Any, Array, Array], NDArray[np.bool_]]
    standard: Callable[[Any, Array, bool], Standard]
    sampled_standard: Callable[[Any, Array, bool], Standard | None] | None = None


SPARSE = Container(
    holds=scipy.sparse.issparse,
    rows=SparseRows,
    columns=sparse_columns,
    within=sparse_within,
    standard=sparse_standard,
)
DENSE = Container(
    holds=lambda X: True,
    rows=dense_rows,
    columns=dense_columns,
    within=dense_within,
    standard=dense_standard,
    sampled_standard=sampled_standard,
)
# An X is of the first that holds it.
CONTAINERS = (SPARSE, DENSE)


def _container_of(X: Any) -> Container:
    """Return the container of a `prepared` X."""
    return next(each for each in CONTAINERS if each.holds(X))
