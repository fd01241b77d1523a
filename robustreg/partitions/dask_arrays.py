"""Dask collections as arrays with the same partitions, and lazy arrays made of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import dask
import dask.array as da
import numpy as np

from robustreg.partitions.collection import is_collection
from robustreg.partitions.dask_tasks import computed, counted

# Else small files are read as one partition, as many as there are columns left out.
WHOLE_FILES = {"optimization.tune.active": False}


def rowwise(
    function: Callable[..., Any],
    every: Any,
    targets: tuple[int, ...],
    dtype: Any,
    *args: Any,
) -> Any:
    """Return a lazy array of ``function(X, y, partition, *args)`` of each row.

    Parameters
    ----------
    function : callable
        It gets the number of the partition in an array, and y only if there is any.
    every : dask Array
        X, y and others, as `side_by_side` returns them.
    targets : tuple of int
        What a row has the shape of.
    dtype : dtype
        That of what is made.
    *args : objects
        What else the function is given.
    """
    axes = "it"[: 1 + len(targets)]
    return da.blockwise(
        partial(_of_first_two, function),
        axes,
        every,
        "i",
        da.arange(every.numblocks[0], chunks=1),
        "i",
        *(other for each in args for other in (each, None)),
        dtype=dtype,
        new_axes=dict(zip("t", targets, strict=False)),
        # What a dashboard calls it.
        token="robustreg rows",
        align_arrays=False,
        meta=np.empty((0,) * len(axes), dtype),
    )


def _of_first_two(
    function: Callable[..., Any], values: tuple[Any, ...], *others: Any
) -> Any:
    """Return what a function makes of the blocks of X and y."""
    return function(*values[:2], *others)


def side_by_side(given: list[Any], arrays: list[Any]) -> Any:
    """Return an array whose blocks are tuples of those of some arrays.

    What the columns of one frame, or of one array, are made of is then read once.

    Parameters
    ----------
    given : list of array-like
        X, y and what else there is, as they were given.
    arrays : list of dask Array
        They as arrays with the same partitions.
    """
    meta = np.empty(0, object)
    if all(map(_is_frame, given)):
        first, *others = map(_as_numbers, given)
        with dask.config.set(WHOLE_FILES):
            return first.map_partitions(
                _values,
                *map(_one_series, others),
                align_dataframes=False,
                enforce_metadata=False,
                meta=meta,
            )
    tables = [each.ndim == 2 for each in arrays]
    # Columns of each have an axis of their own.
    axes = [("i", str(j))[: each.ndim] for j, each in enumerate(arrays)]
    pairs = (each for pair in zip(arrays, axes, strict=True) for each in pair)
    join = partial(_blocks, tables)
    return da.blockwise(join, "i", *pairs, dtype=object, align_arrays=False, meta=meta)


def _values(*frames: Any) -> tuple[Any, ...]:
    """Return what partitions of frames hold."""
    return tuple(frame.to_numpy() for frame in frames)


def _blocks(tables: list[bool], *blocks: Any) -> tuple[Any, ...]:
    """Return blocks, those of tables out of the lists that hold them alone."""
    pairs = zip(blocks, tables, strict=True)
    return tuple(block[0] if table else block for block, table in pairs)


def _one_series(frame: Any) -> Any:
    """Return the only column of a frame, or a frame of more as it is."""
    one = frame.ndim == 2 and len(frame.columns) == 1
    return frame[frame.columns[0]] if one else frame


def given_names(X: Any) -> tuple[Any, ...] | None:
    """Return what the columns of a frame are called; None for an array."""
    columns = getattr(X, "columns", None)
    return None if columns is None else tuple(columns)


def aligned(X: Any, y: Any) -> tuple[Any, Any]:
    """Return features and targets as arrays with the same partitions."""
    features = features_of(X)
    if y is None:
        return features, None
    lengths = cache(partial(lengths_of, features, y=y))
    return features, aligned_with("y", y, features, lengths)


def features_of(X: Any) -> Any:
    """Return features as a dask array with one column of blocks."""
    array = _as_array("X", X)
    if array.ndim != 2:
        column = " One column is frame[['name']] or array[:, None]."
        raise ValueError(
            f"X must have two dimensions. Got an array of shape {array.shape}."
            f"{column if array.ndim == 1 else ''}"
        )
    return _one_column(_with_columns("X", array))


def _with_columns(name: str, array: Any) -> Any:
    """Return an array of two dimensions; refuse one without columns."""
    if not array.shape[1]:
        raise ValueError(f"{name} has no columns. At least one is needed.")
    return array


def _as_array(name: str, values: Any) -> Any:
    """Return a dask array; an array in memory is one partition."""
    if isinstance(values, da.Array):
        return _of_numbers(name, values)
    if not is_collection(values):
        return da.from_array(_of_numbers(name, np.asarray(values)), chunks=-1)
    if not _is_frame(values):
        raise ValueError(
            f"{name} must be a dask array or frame. Got a {type(values).__name__}. Use "
            "dask.array.from_delayed, or its to_dataframe()."
        )
    _refuse_columns(name, values)
    with dask.config.set(WHOLE_FILES):
        return _as_numbers(values).to_dask_array()


def _is_frame(values: Any) -> bool:
    """Return whether values are a frame or a series of dask."""
    # Of the type: a Delayed has every attribute.
    make = getattr(type(values), "to_dask_array", None)
    return is_collection(values) and make is not None


def _as_numbers(frame: Any) -> Any:
    """Return a frame or a series of which pandas makes an array of numbers."""
    kinds = set(_kinds(frame).values())
    if len(kinds) > 1 or not all(isinstance(kind, np.dtype) for kind in kinds):
        # Of types together, or its own, it would be one of objects.
        return frame.astype(np.float64)
    return frame


def _kinds(frame: Any) -> dict[Any, Any]:
    """Return the type of each column."""
    return dict(frame.dtypes.items()) if frame.ndim == 2 else {frame.name: frame.dtype}


def _of_numbers(name: str, array: Any) -> Any:
    """Return an array; refuse what cannot hold real numbers, such as text and dates."""
    # What objects are is for those who read them to say.
    if array.dtype.kind not in "biufO":
        raise ValueError(
            f"{name} must hold real numbers. Got the dtype {array.dtype}. Make numbers "
            f"of it first, such as by {name}.astype(float)."
        )
    return array


def _refuse_columns(name: str, frame: Any) -> None:
    """Refuse by name columns that are not numbers, or that share a name."""
    kinds = _kinds(frame)
    if frame.ndim == 2 and len(kinds) < len(frame.columns):
        repeated = frame.columns[frame.columns.duplicated()]
        raise ValueError(
            f"The columns of {name} must have different names. More than one is called "
            f"{', '.join(map(repr, repeated.unique()))}. Rename them, or drop some."
        )
    words = [str(each) for each, kind in kinds.items() if kind.kind not in "biuf"]
    if words:
        raise ValueError(
            f"All columns of {name} must be numbers. {words[:10]} are not. Encode them "
            "first, such as categories by dask.dataframe.get_dummies, or drop them."
        )


def lengths_of(X: Any, **others: Any) -> list[int]:
    """Return how many rows each partition has, counted if no collection knows."""
    arrays = [_as_array(*each) for each in others.items() if is_collection(each[1])]
    alike = [each for each in arrays if each.numblocks[0] == X.numblocks[0]]
    for each in (X, *alike):
        if not np.isnan(each.chunks[0]).any():
            return [int(length) for length in each.chunks[0]]
    # Targets are the least to read.
    blocks = blocks_of(_one_column(alike[0] if alike else X))
    return computed(list(map(counted, blocks)), blocks)


def aligned_with(
    name: str, values: Any, X: Any, lengths: Callable[[], list[int]]
) -> Any:
    """Return targets or weights with the partitions of X.

    Where these are not known on both sides, each is compared when it is read.
    """
    if values is None:
        raise ValueError(f"{name} is needed. Got None.")
    array = _as_array(name, values)
    if array.ndim == 2 and _with_columns(name, array).shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 and (array.ndim != 2 or name != "y"):
        raise ValueError(
            f"{name} must have one dimension{' or two' if name == 'y' else ''}. Got an "
            f"array of shape {array.shape}."
        )
    array, n_parts = _one_column(array), X.numblocks[0]
    unknown = np.isnan(array.chunks[0]).any()
    if array.numblocks[0] == n_parts and (unknown or np.isnan(X.chunks[0]).any()):
        return array
    if unknown:
        raise ValueError(
            f"{name} must have the same partitions as X, of which there are {n_parts}. "
            f"Got {array.numblocks[0]}. Make both from one frame, or repartition them."
        )
    n, known = sum(lengths()), sum(array.chunks[0])
    if known != n:
        raise ValueError(
            f"{name} must have as many rows as X, which has {n}. Got {known}."
        )
    return array.rechunk({0: tuple(lengths())})


def _one_column(array: Any) -> Any:
    """Return an array with one column of blocks."""
    one = array.ndim == 1 or array.numblocks[1] == 1
    return array if one else array.rechunk({1: -1})


def blocks_of(array: Any) -> list[Any]:
    """Return the blocks of one column of them."""
    return list(array.to_delayed().ravel())
