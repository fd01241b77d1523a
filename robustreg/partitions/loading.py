"""What a partition holds, read as rows and checked where it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from robustreg.linalg import SUMMABLE
from robustreg.partitions.part import Part
from robustreg.rows import Array


class PartitionError(ValueError):
    """What a partition holds is not what a fit can use."""


def part_of(
    values: tuple[Any, ...], first: int, names: tuple[str, ...], partition: int
) -> Part:
    """Return the rows of a partition.

    Parameters
    ----------
    values : tuple of array-like
        What the partition holds of X, y and, if there are any, weights.
    first : int
        The number of its first row.
    names : tuple of str
        What the columns are called.
    partition : int
        Its number.

    Raises
    ------
    PartitionError
        For values that are not finite and real; it names partition, row and column.
    """
    features, target, *weights = values
    X = _features(features, names, partition)
    n = X.shape[0]
    targets = _numbers(target, "y", partition)
    targets = targets[:, None] if targets.ndim == 1 else targets
    counted: Array = np.broadcast_to(1.0, (n,))
    if weights:
        counted = _numbers(weights[0], "sample_weight", partition)
    for name, given in (("y", targets), ("sample_weight", counted)):
        if len(given) != n:
            raise PartitionError(
                f"{name} must have the same partitions as X, but partition {partition} "
                f"has {n} rows of X and {len(given)} of {name}. Make both from one "
                "frame, or repartition them."
            )
    return Part(X, targets, counted, np.arange(first, first + n))


def checked(part: Part, names: tuple[str, ...], partition: int) -> Part:
    """Return the rows of a partition if all of them can be used."""
    X = part.X.data if scipy.sparse.issparse(part.X) else part.X
    if not _is_finite(X):
        row, column = _first_bad(part.X)
        raise PartitionError(
            f"X must be finite, but partition {partition} holds NaN or infinity in "
            f"column {names[column]!r}, first in its row {row}. Drop such rows, or "
            "fill them."
        )
    for name, values in (("y", part.y), ("sample_weight", part.weight)):
        if not _is_finite(values):
            row = int(
                np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(1))[0]
            )
            raise PartitionError(
                f"{name} must be finite, but partition {partition} holds NaN or "
                f"infinity, first in its row {row}. Drop such rows."
            )
    if np.abs(part.y).max(initial=0.0) > SUMMABLE:
        raise PartitionError(
            f"y must be within {SUMMABLE:g} of 0, but in partition {partition} it is "
            "not. Divide it by a power of ten."
        )
    if (part.weight < 0).any():
        row = int(np.flatnonzero(part.weight < 0)[0])
        raise PartitionError(
            f"sample_weight must not be negative, but in partition {partition} it is "
            f"{part.weight[row]:g}, first in its row {row}."
        )
    return part


def _features(X: Any, names: tuple[str, ...], partition: int) -> Any:
    """Return features as a float array, or as a CSR matrix."""
    if scipy.sparse.issparse(X):
        X = X.tocsr()
        if X.shape[1] != len(names):
            raise _wrong_width(X, names, partition)
        return X if X.dtype in (np.float32, np.float64) else X.astype(np.float64)
    X = _unmasked(X)
    if X.ndim != 2 or X.shape[1] != len(names):
        raise _wrong_width(X, names, partition)
    if X.dtype == np.float32:
        return X
    if X.dtype.kind != "O":
        return _numbers(X, "X", partition)
    columns = [
        _numbers(column, f"Column {name!r} of X", partition)
        for name, column in zip(names, X.T, strict=True)
    ]
    return np.column_stack(columns)


def _wrong_width(X: Any, names: tuple[str, ...], partition: int) -> PartitionError:
    """Return the error for a partition of another shape."""
    return PartitionError(
        f"Partition {partition} of X has shape {X.shape}, but must have {len(names)} "
        "columns as the others."
    )


def _numbers(values: Any, name: str, partition: int) -> Array:
    """Return real numbers in double precision."""
    values = _unmasked(values)
    try:
        if values.dtype.kind in "MmcSU":
            raise TypeError("not one of real numbers")
        return values.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise PartitionError(
            f"{name} must hold real numbers, but partition {partition} has the dtype "
            f"{values.dtype}: {error}."
        ) from error


def _unmasked(values: Any) -> Array:
    """Return an array, with NaN for what is masked."""
    if np.ma.isMaskedArray(values) and values.dtype.kind in "biuf":
        return np.ma.filled(values.astype(np.float64), np.nan)
    return np.asarray(values)


def _is_finite(values: Array) -> bool:
    """Return whether all values are; a sum that is finite says so at once."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(
            np.isfinite(values.sum(dtype=np.float64)) or np.isfinite(values).all()
        )


def _first_bad(X: Any) -> tuple[int, int]:
    """Return the row and the column of the first value that is not finite."""
    if scipy.sparse.issparse(X):
        X = X.tocoo()
        first = int(np.flatnonzero(~np.isfinite(X.data))[0])
        return int(X.row[first]), int(X.col[first])
    row, column = np.argwhere(~np.isfinite(X))[0]
    return int(row), int(column)


def new_rows(X: Any, y: Any, names: tuple[str, ...], partition: int) -> Part:
    """Return new rows that can be used, with targets unless y is None."""
    targets = np.empty((X.shape[0], 0)) if y is None else y
    part = part_of((X, targets), 0, names, partition)
    return checked(part, names, partition)
