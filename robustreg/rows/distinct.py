"""Equal rows of features and targets are one row with their weights' sum.

A sample says whether merging pays: with m rows of which s are unlike all others, about
``n s / m`` rows of all n are of a kind that the sample did not see [1]_. Rows are told
apart by a number made of their bits, and compared entry by entry before they are
merged. Cost: next to nothing where targets do not repeat, else one or two passes.

References
----------
.. [1] Good, I. J. (1953). The population frequencies of species and the estimation of
   population parameters. Biometrika 40, 237-264.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from robustreg.rows.base import (
    BLOCK_ENTRIES,
    FEW_ROWS,
    Array,
    Index,
    gathered,
    stretches,
)

# The sample has one row in this many, and at least the second figure.
SAMPLED, FEWEST_SAMPLED = 16, 512
# Merging pays if it leaves at most this share of the rows.
WORTHWHILE = 0.25
# Multiplicative mixing of 64 bits by the golden ratio, which spreads the few bits that
# small integers differ in.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Merged:
    """Data of which equal rows may have been merged.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_distinct, n_columns)
        Features.
    targets : ndarray of shape (n_distinct, n_targets)
        Targets.
    weight : ndarray of shape (n_distinct,)
        Sums of the weights of equal rows.
    kind : ndarray of int of shape (n_rows,) or None
        Which of them each row given is; None if they are the rows given.
    """

    X: Any
    targets: Array
    weight: Array
    kind: Index | None

    def of_all(self, values: Array) -> Array:
        """Return for all rows given what is known of each that is left."""
        return values if self.kind is None else values[self.kind]


@dataclass(frozen=True)
class _Distinct:
    """A row of each kind, and the kind of each row."""

    first: Index
    kind: Index


def merged(X: Any, targets: Array, weight: Array) -> Merged:
    """Return the data with equal rows merged if that leaves far fewer.

    Parameters
    ----------
    X : ndarray or CSR or CSC matrix of shape (n_rows, n_columns)
        Finite, float32 or float64.
    targets : ndarray of shape (n_rows, n_targets)
        Finite.
    weight : ndarray of shape (n_rows,)
        Non-negative.
    """
    found = _distinct(X, targets)
    if found is None:
        return Merged(X, targets, weight, None)
    sums = np.bincount(found.kind, weight, found.first.size)
    return Merged(X[found.first], targets[found.first], sums, found.kind)


def _distinct(X: Any, targets: Array) -> _Distinct | None:
    """Return the distinct rows, None if they are not far fewer than all."""
    n = len(targets)
    if n < FEW_ROWS:
        return None
    size = max(n // SAMPLED, FEWEST_SAMPLED)
    some = np.random.default_rng(0).choice(n, size, replace=False, shuffle=False)
    if _unlike(_bits(targets[some]).sum(axis=1, dtype=np.uint64)) > WORTHWHILE:
        return None
    X = X.tocsr() if scipy.sparse.issparse(X) else X
    numbers = _numbers(X[some], targets[some])
    if _unlike(numbers) > WORTHWHILE:
        return None
    found = _grouped(_numbers(X, targets), numbers, some)
    if found.first.size > WORTHWHILE * n or not _are_equal(X, targets, found):
        return None
    return found


def _unlike(numbers: Array) -> float:
    """Return the share of numbers that occur once."""
    _, count = np.unique(numbers, return_counts=True)
    return float(np.count_nonzero(count == 1) / numbers.size)


def _grouped(numbers: Array, seen: Array, place: Index) -> _Distinct:
    """Group rows by their number, of which most are among those seen at some places."""
    known, index = np.unique(seen, return_index=True)
    first = place[index]
    kind = np.minimum(np.searchsorted(known, numbers), known.size - 1)
    others = np.flatnonzero(known[kind] != numbers)
    if others.size:
        _, index, more = np.unique(
            numbers[others], return_index=True, return_inverse=True
        )
        kind[others] = first.size + more
        first = np.append(first, others[index])
    return _Distinct(first, kind)


def _numbers(X: Any, targets: Array) -> Array:
    """Return a number for each row that equal rows share, and hardly any others."""
    n, p = X.shape
    factors = np.random.default_rng(1).integers(
        0, 2**64, p + targets.shape[1], dtype=np.uint64
    )
    factors |= np.uint64(1)
    numbers = np.empty(n, dtype=np.uint64)
    size = max(BLOCK_ENTRIES // max(p, 1), 1)
    for place in stretches(n, size):
        numbers[place] = (_bits(targets[place]) * factors[p:]).sum(axis=1)
        numbers[place] += _of_features(X[place], factors[:p])
    return numbers


def _of_features(X: Any, factors: Array) -> Array:
    """Return the part of the features in the numbers of some rows."""
    if not scipy.sparse.issparse(X):
        return np.asarray((_bits(X) * factors).sum(axis=1, dtype=np.uint64))
    # Sums that wrap around have exact differences.
    terms = np.where(X.data == 0, np.uint64(0), _bits(X.data) * factors[X.indices])
    sums = np.append(np.uint64(0), np.cumsum(terms, dtype=np.uint64))
    return np.asarray(sums[X.indptr[1:]] - sums[X.indptr[:-1]])


def _bits(values: Array) -> Array:
    """Return the bits of numbers, mixed; those of 0 and -0 are the same."""
    bits = (values.astype(np.float64) + 0.0).view(np.uint64)
    bits ^= bits >> np.uint64(32)
    bits *= GOLDEN
    bits ^= bits >> np.uint64(29)
    return bits


def _are_equal(X: Any, targets: Array, found: _Distinct) -> bool:
    """Return whether every row equals the one that stands for it."""
    sparse = scipy.sparse.issparse(X)
    kinds = X[found.first] if sparse else gathered(X, found.first)
    values = targets[found.first]
    for place in stretches(len(targets)):
        kind = found.kind[place]
        if not np.array_equal(values[kind], targets[place]):
            return False
        unequal = kinds[kind] != X[place]
        if unequal.nnz if sparse else unequal.any():
            return False
    return True
