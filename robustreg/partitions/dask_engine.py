"""Passes over the partitions of dask collections, on whichever scheduler is current.

The only file that imports dask.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, final
from uuid import uuid4

import dask
import dask.array as da
import numpy as np
from dask.system import CPU_COUNT

from robustreg.partitions.collection import is_collection
from robustreg.partitions.engine import Engine, Verb, of_part
from robustreg.partitions.loading import PartitionError, checked, part_of
from robustreg.partitions.part import Part, Tally, tallied

# As many tallies are merged at a time.
BRANCHES = 8
# Data are held in the memory of workers if they take no more than this share of it.
MOST_HELD = 0.5


@final
class DaskEngine(Engine):
    """Partitions of X, y and weights that have the same rows.

    Parameters
    ----------
    X : dask Array or DataFrame of shape (n_samples, n_features)
        Features.
    y : dask Array, Series or DataFrame, or array-like
        Targets.
    weight : dask Array or Series, array-like or None
        Weights.
    """

    def __init__(self, X: Any, y: Any, weight: Any) -> None:
        super().__init__()
        self.X = _features(X)
        self.given_names = given_names(X)
        lengths = cache(partial(_lengths, self.X, y=y, sample_weight=weight))
        self.y = _aligned("y", y, self.X, lengths)
        self.single = self.y.ndim == 1
        self.n_targets = 1 if self.single else self.y.shape[1]
        columns = [_blocks(self.X), _blocks(self.y)]
        if weight is None:
            columns.append([None] * len(columns[0]))
        else:
            columns.append(_blocks(_aligned("sample_weight", weight, self.X, lengths)))
        self.n_rows, self.n_features = sum(lengths()), self.X.shape[1]
        if not self.n_rows:
            raise ValueError("X has no rows. At least one is needed.")
        self.names = self.given_names or tuple(map(str, range(self.n_features)))
        first = np.concatenate([[0], np.cumsum(lengths())[:-1]]).astype(int).tolist()
        self._blocks = list(zip(*columns, first, strict=True))
        self._held: list[Any] | None = None

    def hold(self) -> None:
        """Keep the parts in the memory of workers from now on, if they fit.

        Without workers of their own the data stay where they are.
        """
        client = _client()
        if client is None:
            return
        limits = client.run(_memory_limit, on_error="ignore").values()
        width = 4 if self.X.dtype == np.float32 else 8
        needed = self.n_rows * (self.n_features * width + 8 * (self.n_targets + 2))
        if needed > MOST_HELD * sum(limits):
            return
        name, names = _new_name("robustreg rows"), self._shared(self.names)
        parts = [
            dask.delayed(part_of)(*blocks, names, i, dask_key_name=(name, i))
            for i, blocks in enumerate(self._blocks)
        ]
        self._held = list(dask.persist(*parts, optimize_graph=False))

    def _shared(self, values: Any) -> Any:
        """Return one node of a graph that all tasks share, hashed once."""
        return dask.delayed(values, _new_name("robustreg asked"), traverse=False)

    def _tally(self, verb: Verb, args: tuple[Any, ...]) -> Tally | None:
        """Return the tally, merged by a tree of tasks."""
        name = _new_name(f"robustreg pass {len(self.passes) + 1}: {verb.__name__}")
        asked, names = self._shared(args), self._shared(self.names)
        check = not self.passes
        leaves = [
            dask.delayed(of)(
                *part,
                (names, i) if check else None,
                verb,
                asked,
                dask_key_name=(name, i),
            )
            for i, (of, part) in enumerate(self._sources(names))
        ]
        level = 0
        while len(leaves) > 1:
            level += 1
            leaves = [
                dask.delayed(tallied)(
                    leaves[i : i + BRANCHES], dask_key_name=(name, level, i)
                )
                for i in range(0, len(leaves), BRANCHES)
            ]
        try:
            return _computed(leaves, [blocks[:-1] for blocks in self._blocks])[0]
        except BaseException:
            self._let_go()
            raise

    def _sources(self, names: Any) -> list[tuple[Callable[..., Any], tuple[Any, ...]]]:
        """Return how each part is come by: a function and its first arguments."""
        if self._held is not None:
            return [(_of_held, (part,)) for part in self._held]
        blocks = enumerate(self._blocks)
        return [(_of_blocks, (*each, names, i)) for i, each in blocks]

    def _let_go(self) -> None:
        """Cancel what workers are still to read, even if a traceback refers to it."""
        held, self._held = self._held, None
        client = _client()
        if held is not None and client is not None:
            from distributed import futures_of

            client.cancel(futures_of(held))

    def rowwise(self, function: Callable[..., Any], dtype: Any, *args: Any) -> Any:
        """Return a lazy array of ``function(X, y, partition, *args)`` of each row."""
        return rowwise(function, self.X, self.y, dtype, *args)


def _new_name(name: str) -> str:
    """Return a name of tasks that no others have, shown as it is given."""
    return f"{name}-{uuid4().hex}"


def _computed(tasks: list[Any], partitions: list[Any]) -> list[Any]:
    """Return the results of tasks; an error tells which partition cannot be read."""
    try:
        return list(dask.compute(*tasks, optimize_graph=False))
    except PartitionError:
        raise
    except Exception as error:
        # What the cluster itself reports is about no partition, or names its task.
        if type(error).__module__.partition(".")[0] != "distributed":
            error.add_note(_culprit(partitions))
        raise


def _culprit(partitions: list[Any]) -> str:
    """Return which partition cannot be read, found by halves."""
    low, high = 0, len(partitions)
    while high - low > 1:
        middle = (low + high) // 2
        if _is_readable(partitions[low:middle]):
            low = middle
        else:
            high = middle
    if _is_readable(partitions[low:high]):
        return "Every partition can be read by itself."
    return f"Partition {low} of {len(partitions)} cannot be read."


def _is_readable(partitions: list[Any]) -> bool:
    """Return whether partitions can be read."""
    blocks = [block for each in partitions for block in each if block is not None]
    counts = map(_counted, blocks)
    try:
        return bool(dask.compute(*counts))
    except Exception:
        return False


def rowwise(
    function: Callable[..., Any], X: Any, y: Any, dtype: Any, *args: Any
) -> Any:
    """Return a lazy array of ``function(X, y, partition, *args)``, shaped as y.

    Of a partition the function gets its number in an array.
    """
    axes = "it"[: y.ndim]
    return da.blockwise(
        function,
        axes,
        X,
        "ij",
        y,
        axes,
        _numbers_of(X),
        "i",
        *(other for each in args for other in (each, None)),
        dtype=dtype,
        concatenate=True,
        align_arrays=False,
        meta=np.empty((0,) * y.ndim, dtype),
    )


def _of_blocks(
    X: Any,
    y: Any,
    weight: Any,
    first: int,
    names: tuple[str, ...],
    partition: int,
    check: tuple[tuple[str, ...], int] | None,
    verb: Verb,
    args: tuple[Any, ...],
) -> Tally | None:
    """Return what a verb makes of a partition."""
    part = part_of(X, y, weight, first, names, partition)
    return _of_held(part, check, verb, args)


def _of_held(
    part: Part,
    check: tuple[tuple[str, ...], int] | None,
    verb: Verb,
    args: tuple[Any, ...],
) -> Tally | None:
    """Return what a verb makes of a part, which is checked first if that is asked."""
    return of_part(part if check is None else checked(part, *check), verb, args)


def _client() -> Any:
    """Return the client of a cluster if that is where tasks run, else None."""
    try:
        from distributed import Client
    except ImportError:
        return None
    # Of a client it is a method.
    client = getattr(dask.base.get_scheduler(), "__self__", None)
    return client if isinstance(client, Client) else None


def _memory_limit(dask_worker: Any) -> float:
    """Return how much memory a worker may use, its share of the machine's if any."""
    from distributed.system import MEMORY_LIMIT

    share = min(1.0, dask_worker.state.nthreads / CPU_COUNT)
    return dask_worker.memory_manager.memory_limit or share * MEMORY_LIMIT


def given_names(X: Any) -> tuple[Any, ...] | None:
    """Return what the columns of a frame are called; None for an array."""
    columns = getattr(X, "columns", None)
    return None if columns is None else tuple(columns)


def aligned(X: Any, y: Any) -> tuple[Any, Any]:
    """Return features and targets as arrays with the same partitions."""
    features = _features(X)
    if y is None:
        return features, None
    lengths = cache(partial(_lengths, features, y=y))
    return features, _aligned("y", y, features, lengths)


def predictions(
    function: Callable[..., Any], X: Any, targets: tuple[int, ...], *args: Any
) -> Any:
    """Return a lazy array of ``function(X, partition, *args)`` of each row and target.

    Of a partition the function gets its number in an array.
    """
    axes = "it"[: 1 + len(targets)]
    return da.blockwise(
        function,
        axes,
        X,
        "ij",
        _numbers_of(X),
        "i",
        *(other for each in args for other in (each, None)),
        dtype=np.float64,
        concatenate=True,
        new_axes=dict(zip("t", targets, strict=False)),
        align_arrays=False,
        meta=np.empty((0,) * len(axes)),
    )


def _numbers_of(X: Any) -> Any:
    """Return the number of each partition, one a block."""
    return da.arange(X.numblocks[0], chunks=1)


def _features(X: Any) -> Any:
    """Return features as a dask array with one column of blocks."""
    array = _as_array("X", X)
    if array.ndim != 2:
        raise ValueError(
            f"X must have two dimensions. Got an array of shape {array.shape}."
        )
    if not array.shape[1]:
        raise ValueError("X has no columns. At least one is needed.")
    return array.rechunk({1: -1})


def _as_array(name: str, values: Any) -> Any:
    """Return a dask array; an array in memory is one partition."""
    if isinstance(values, da.Array):
        return values
    if not is_collection(values):
        return da.from_array(np.asarray(values), chunks=-1)
    # Of the type: a Delayed has every attribute.
    make = getattr(type(values), "to_dask_array", None)
    if make is None:
        raise ValueError(
            f"{name} must be a dask array or frame. Got a {type(values).__name__}. Use "
            "dask.array.from_delayed, or its to_dataframe()."
        )
    kinds = set(_kinds(name, values).values())
    if len(kinds) > 1 or not all(isinstance(kind, np.dtype) for kind in kinds):
        # Else of other types together pandas makes an array of objects.
        values = values.astype(np.float64)
    # Else small files are read as one partition, as many as there are columns left out.
    with dask.config.set({"optimization.tune.active": False}):
        return make(values)


def _kinds(name: str, frame: Any) -> dict[Any, Any]:
    """Return the type of each column; refuse by name those that are not numbers."""
    kinds = dict(frame.dtypes) if frame.ndim == 2 else {frame.name: frame.dtype}
    words = [str(each) for each, kind in kinds.items() if kind.kind not in "biuf"]
    if words:
        raise ValueError(
            f"All columns of {name} must be numbers. {words[:10]} are not. Encode them "
            "first, or drop them."
        )
    return kinds


def _lengths(X: Any, **others: Any) -> list[int]:
    """Return how many rows each partition has, counted if no collection knows."""
    arrays = [_as_array(*each) for each in others.items() if is_collection(each[1])]
    alike = [each for each in arrays if each.numblocks[0] == X.numblocks[0]]
    for each in (X, *alike):
        if not np.isnan(each.chunks[0]).any():
            return [int(length) for length in each.chunks[0]]
    # Targets are the least to read.
    blocks = _blocks(_one_column(alike[0] if alike else X))
    return _computed(list(map(_counted, blocks)), [(block,) for block in blocks])


def _counted(block: Any) -> Any:
    """Return a task that counts the rows of a block."""
    return dask.delayed(_count)(block, dask_key_name=_new_name("robustreg counting"))


def _count(block: Any) -> int:
    """Return the number of rows of a block."""
    return int(block.shape[0])


def _aligned(name: str, values: Any, X: Any, lengths: Callable[[], list[int]]) -> Any:
    """Return targets or weights with the partitions of X.

    Where these are not known on both sides, each is compared when it is read.
    """
    array = _as_array(name, values)
    if array.ndim == 2 and array.shape[1] == 1:
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
    return array.rechunk({1: -1}) if array.ndim == 2 else array


def _blocks(array: Any) -> list[Any]:
    """Return the blocks of one column of them."""
    return list(array.to_delayed().ravel())
