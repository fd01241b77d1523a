"""Where the data lives: an array or a sparse matrix, with or without an intercept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from robustreg.rows.base import (
    BLOCK_ENTRIES,
    FEW_ROWS,
    TIE,
    Array,
    Block,
    Index,
    Rows,
    Standard,
    product,
    representatives,
    strata,
    stretches,
)
from robustreg.rows.dense import (
    DenseRows,
    dense_columns,
    dense_standard,
    dense_within,
    sampled_standard,
)
from robustreg.rows.distinct import Merged, merged
from robustreg.rows.formed import FormedRows
from robustreg.rows.gram import WeightedGram, signed_gram, weighted_gram
from robustreg.rows.present import present, taken
from robustreg.rows.rank import design_rank, independent, root_rank
from robustreg.rows.sparse import (
    SparseRows,
    sparse_columns,
    sparse_standard,
    sparse_within,
)
from robustreg.rows.terms import (
    TYPICAL_ROWS,
    typical_original_terms,
    typical_row,
    typical_terms,
)

__all__ = [
    "BLOCK_ENTRIES",
    "FEW_ROWS",
    "FORMED_ENTRIES",
    "TIE",
    "TYPICAL_ROWS",
    "Array",
    "Block",
    "DenseRows",
    "FormedRows",
    "Index",
    "Merged",
    "Rows",
    "SparseRows",
    "Standard",
    "WeightedGram",
    "dense_rows",
    "design_rank",
    "independent",
    "make_rows",
    "merged",
    "prepared",
    "present",
    "product",
    "representatives",
    "root_rank",
    "rows_in",
    "rows_within",
    "sampled_columns",
    "signed_gram",
    "standard_of",
    "strata",
    "stretches",
    "taken",
    "typical_original_terms",
    "typical_row",
    "typical_terms",
    "weighted_gram",
]

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
    if scipy.sparse.issparse(X):
        return sparse_standard(X, weight, fit_intercept)
    standard = None if exactly else sampled_standard(X, weight, fit_intercept)
    return standard or dense_standard(X, weight, fit_intercept)


def rows_in(X: Any, standard: Standard) -> Rows:
    """Return the rows of a `prepared` X in the coordinates of a standardisation."""
    if scipy.sparse.issparse(X):
        return SparseRows(X, standard)
    return dense_rows(X, standard)


def sampled_columns(X: Any, weight: Array) -> tuple[Iterator[Array], Array]:
    """Return columns of a `prepared` X, some at a time, and the weight of their rows.

    Dense, and of a sample of many rows, that stands for all.
    """
    columns = sparse_columns if scipy.sparse.issparse(X) else dense_columns
    return columns(X, weight)


def rows_within(X: Any, low: Array, high: Array) -> NDArray[np.bool_]:
    """Return which rows of a `prepared` X lie within bounds of the columns."""
    within = sparse_within if scipy.sparse.issparse(X) else dense_within
    return within(X, low, high)


def dense_rows(X: Array, standard: Standard) -> Rows:
    """Return the rows of an array, their design formed if they are few."""
    rows = DenseRows(X, standard)
    return rows.formed() if X.size <= FORMED_ENTRIES else rows


def _is_full(X: Any) -> bool:
    """Return whether a large sparse matrix takes less memory dense, and less time."""
    entries = X.shape[0] * X.shape[1]
    size = X.dtype.itemsize
    return entries > FORMED_ENTRIES and entries * size < X.nnz * (size + INDEX_SIZE)
