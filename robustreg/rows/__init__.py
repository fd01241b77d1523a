"""Where the data lives: the only home of intercept and sparse branches."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import scipy.sparse

from robustreg.rows.base import (
    BLOCK_ENTRIES,
    TIE,
    Array,
    Block,
    Index,
    Rows,
    Standard,
    representatives,
    strata,
    stretches,
    typical_standard,
)
from robustreg.rows.dense import DenseRows, dense_standard, sampled_standard
from robustreg.rows.dense import near_rows as near_dense
from robustreg.rows.distinct import Merged, merged
from robustreg.rows.formed import FormedRows
from robustreg.rows.gram import WeightedGram, signed_gram, weighted_gram
from robustreg.rows.present import present, taken
from robustreg.rows.rank import design_rank
from robustreg.rows.sparse import SparseRows, sparse_standard
from robustreg.rows.sparse import near_rows as near_sparse
from robustreg.rows.terms import typical_terms

__all__ = [
    "BLOCK_ENTRIES",
    "TIE",
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
    "make_rows",
    "merged",
    "present",
    "representatives",
    "signed_gram",
    "strata",
    "stretches",
    "taken",
    "typical_terms",
    "weighted_gram",
]

# Data of no more entries than this, 2 MiB, have their design formed.
FORMED_ENTRIES = 2 * BLOCK_ENTRIES
# Bytes that a stored value's place takes.
INDEX_SIZE = np.dtype(np.int32).itemsize


def make_rows(
    X: Any,
    weight: Array,
    fit_intercept: bool,
    exactly: bool = False,
    farthest: float = np.inf,
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
    farthest : float
        Rows with an entry that is so many times farther from the median of
        its column than entries typically are do not count for the standardisation.
        Beside an outlier of 1e16, others would have no digits left.
    """
    if scipy.sparse.issparse(X):
        if not _is_full(X):
            return _sparse_rows(X.tocsr(), weight, fit_intercept, farthest)
        X = X.toarray(order="C")
    standard = None if exactly else sampled_standard(X, weight, fit_intercept)
    if standard is None:
        standard = dense_standard(X, weight, fit_intercept)
    if np.isfinite(farthest):
        near = near_dense(X, weight, farthest)
        by = partial(dense_standard, X, fit_intercept=fit_intercept)
        standard = typical_standard(standard, weight, near, by)
    return dense_rows(X, standard)


def dense_rows(X: Array, standard: Standard) -> Rows:
    """Return the rows of an array, their design formed if they are few."""
    rows = DenseRows(X, standard)
    return rows.formed() if X.size <= FORMED_ENTRIES else rows


def _is_full(X: Any) -> bool:
    """Return whether a large sparse matrix takes less memory dense, and less time."""
    entries = X.shape[0] * X.shape[1]
    size = X.dtype.itemsize
    return entries > FORMED_ENTRIES and entries * size < X.nnz * (size + INDEX_SIZE)


def _sparse_rows(X: Any, weight: Array, fit_intercept: bool, farthest: float) -> Rows:
    """Return the rows of a CSR matrix."""
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    standard = sparse_standard(X, weight, fit_intercept)
    if np.isfinite(farthest):
        near = near_sparse(X, weight, farthest)
        by = partial(sparse_standard, X, fit_intercept=fit_intercept)
        standard = typical_standard(standard, weight, near, by)
    return SparseRows(X, standard)
