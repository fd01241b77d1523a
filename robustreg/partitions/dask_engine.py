"""Passes over the partitions of dask collections, on whichever scheduler is current.

The only file that imports dask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, final
from uuid import uuid4

import dask
import dask.array as da
import numpy as np

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
        self.given_names = given_names(X)
        features = _as_array(X)
        if features.ndim != 2:
            raise ValueError(
                f"X must have two dimensions. Got an array of shape {features.shape}."
            )
        self.X = features.rechunk({1: -1})
        self.names = self.given_names or tuple(map(str, range(self.X.shape[1])))
        lengths = _lengths(self.X, y)
        self.n_rows, self.n_features = int(sum(lengths)), self.X.shape[1]
        self.lengths = lengths
        self.y = _aligned("y", y, lengths)
        self.single = self.y.ndim == 1
        self.n_targets = 1 if self.single else self.y.shape[1]
        self.weight = (
            None if weight is None else _aligned("sample_weight", weight, lengths)
        )
        columns = [_blocks(self.X), _blocks(self.y)]
        columns.append(
            [None] * len(lengths) if weight is None else _blocks(self.weight)
        )
        first = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(int).tolist()
        self._blocks = list(zip(*columns, first, strict=True))
        self._held = self._in_workers()

    def _in_workers(self) -> list[Any] | None:
        """Return the parts held in the memory of workers, None if they do not fit.

        Without workers of their own the data stay where they are.
        """
        client = _client()
        if client is None:
            return None
        limits = client.run(_memory_limit).values()
        values = self.n_features + self.n_targets + (self.weight is not None) + 1
        needed = self.n_rows * values * 8
        if not limits or needed > MOST_HELD * sum(limits):
            return None
        name = "robustreg rows"
        parts = [
            dask.delayed(part_of)(
                *blocks, self.names, i, dask_key_name=f"{name}-{uuid4().hex}"
            )
            for i, blocks in enumerate(self._blocks)
        ]
        return list(dask.persist(*parts, optimize_graph=False))

    def _tally(self, verb: Verb, args: tuple[Any, ...]) -> Tally | None:
        """Return the tally, merged by a tree of tasks."""
        name = f"robustreg pass {len(self.passes) + 1}: {verb.__name__}"
        # One node of the graph, which is hashed once.
        asked = dask.delayed(args, traverse=False)
        check = not self.passes
        leaves = [
            dask.delayed(of)(
                *part,
                (self.names, i) if check else None,
                verb,
                asked,
                dask_key_name=f"{name}-{uuid4().hex}",
            )
            for i, (of, part) in enumerate(self._sources())
        ]
        while len(leaves) > 1:
            leaves = [
                dask.delayed(tallied)(
                    leaves[i : i + BRANCHES],
                    dask_key_name=f"{name}-{uuid4().hex}",
                )
                for i in range(0, len(leaves), BRANCHES)
            ]
        return self._computed(leaves[0])

    def _sources(self) -> Iterator[tuple[Callable[..., Any], tuple[Any, ...]]]:
        """Yield how each part is come by: a function and its first arguments."""
        if self._held is not None:
            yield from ((_of_held, (part,)) for part in self._held)
            return
        for i, blocks in enumerate(self._blocks):
            yield _of_blocks, (*blocks, self.names, i)

    def rowwise(self, function: Callable[..., Any], dtype: Any, *args: Any) -> Any:
        """Return a lazy array of ``function(X, y, *args)`` of each row and target."""
        return rowwise(function, self.X, self.y, dtype, *args)

    def _computed(self, task: Any) -> Any:
        """Return the result of a task; an error tells which partition it is of."""
        try:
            (result,) = dask.compute(task, optimize_graph=False)
        except PartitionError:
            raise
        except Exception as error:
            error.add_note(self._culprit())
            raise
        return result

    def _culprit(self) -> str:
        """Return which partition cannot be read."""
        for i, blocks in enumerate(self._blocks):
            try:
                dask.compute([block for block in blocks if block is not None])
            except Exception:
                return f"Partition {i} of {len(self._blocks)} cannot be read."
        return "Every partition can be read by itself."


def rowwise(
    function: Callable[..., Any], X: Any, y: Any, dtype: Any, *args: Any
) -> Any:
    """Return a lazy array of ``function(X, y, *args)``, of the shape of y."""
    axes = "it"[: y.ndim]
    return da.blockwise(
        function,
        axes,
        X,
        "ij",
        y,
        axes,
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
    if dask.config.get("scheduler", None) not in (
        None,
        "distributed",
        "dask.distributed",
    ):
        return None
    try:
        from distributed import default_client

        return default_client()
    except (ImportError, ValueError):
        return None


def _memory_limit(dask_worker: Any) -> float:
    """Return how much memory a worker may use."""
    return dask_worker.memory_manager.memory_limit or np.inf


def given_names(X: Any) -> tuple[Any, ...] | None:
    """Return what the columns of a frame are called; None for an array."""
    columns = getattr(X, "columns", None)
    return None if columns is None else tuple(columns)


def aligned(X: Any, y: Any) -> tuple[Any, Any]:
    """Return features and targets as arrays with the same partitions."""
    features = _as_array(X).rechunk({1: -1})
    if y is None:
        return features, None
    return features, _aligned("y", y, _lengths(features, y))


def predictions(
    function: Callable[..., Any], X: Any, targets: tuple[int, ...], *args: Any
) -> Any:
    """Return a lazy array of ``function(X, *args)`` of each row, and target if any."""
    axes = "it"[: 1 + len(targets)]
    return da.blockwise(
        function,
        axes,
        X,
        "ij",
        *(other for each in args for other in (each, None)),
        dtype=np.float64,
        concatenate=True,
        new_axes=dict(zip("t", targets, strict=False)),
        align_arrays=False,
        meta=np.empty((0,) * len(axes)),
    )


def r2(residual: Any, y: Any, weight: Any) -> float:
    """Return the mean coefficient of determination of the targets; takes two passes.

    That of targets without any spread is 1 if they are predicted exactly and else 0.
    """
    counted = da.ones_like(y[..., :1] if y.ndim > 1 else y, dtype=np.float64)
    if weight is not None:
        lengths = _lengths(y, y)
        counted = _aligned("sample_weight", weight, lengths)
        counted = counted[:, None] if y.ndim > 1 else counted
    total, mean = dask.compute(counted.sum(), (counted * y).sum(axis=0))
    away = y - mean / total
    missed, spread = dask.compute(
        (counted * residual**2).sum(axis=0), (counted * away**2).sum(axis=0)
    )
    exact = np.where(missed > 0, 0.0, 1.0)
    share = missed / np.where(spread > 0, spread, 1.0)
    return float(np.mean(np.where(spread > 0, 1 - share, exact)))


def _as_array(values: Any) -> Any:
    """Return a collection, or an array, as a dask array."""
    if isinstance(values, da.Array) or not dask.is_dask_collection(values):
        return values
    _refuse_words(values)
    # Else small files are read as one partition, as many as there are columns left out.
    with dask.config.set({"optimization.tune.active": False}):
        return values.to_dask_array()


def _refuse_words(frame: Any) -> None:
    """Refuse columns that are not numbers, by their names."""
    kinds = frame.dtypes if frame.ndim == 2 else {frame.name: frame.dtype}
    words = [str(name) for name, kind in kinds.items() if not is_number(kind)]
    if words:
        raise ValueError(
            f"All columns must be numbers. {words[:10]} are not. Encode them first, or "
            "drop them."
        )


def is_number(kind: Any) -> bool:
    """Return whether a dtype, of numpy or of pandas, is one of real numbers."""
    return getattr(kind, "kind", "O") in "biuf"


def _lengths(X: Any, y: Any) -> list[int]:
    """Return how many rows each partition has, from the targets if not known."""
    lengths = X.chunks[0]
    if not np.isnan(lengths).any():
        return [int(length) for length in lengths]
    known = _as_array(y)
    if not dask.is_dask_collection(known) or known.numblocks[0] != len(lengths):
        known = X
    counts = [dask.delayed(_count)(block) for block in _blocks(known)]
    return list(dask.compute(*counts))


def _count(block: Any) -> int:
    """Return the number of rows of a block."""
    return int(block.shape[0])


def _aligned(name: str, values: Any, lengths: list[int]) -> Any:
    """Return targets or weights with the partitions of X."""
    array, n = _as_array(values), sum(lengths)
    if not dask.is_dask_collection(array):
        array = da.from_array(np.asarray(array), chunks=-1)
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} must have one or two dimensions. Got {array.ndim}.")
    known = array.chunks[0]
    if np.isnan(known).any():
        return _of_unknown_lengths(name, array, lengths)
    if sum(known) != n:
        raise ValueError(
            f"{name} must have as many rows as X, which has {n}. Got {sum(known)}."
        )
    return array.rechunk((tuple(lengths), *(-1,) * (array.ndim - 1)))


def _of_unknown_lengths(name: str, array: Any, lengths: list[int]) -> Any:
    """Return an array whose partitions have to be as long as those of X."""
    counts = dask.compute(*(dask.delayed(_count)(block) for block in _blocks(array)))
    if list(counts) != lengths:
        raise ValueError(
            f"{name} must have the same partitions as X, of {_shown(lengths)} rows. "
            f"Got {_shown(list(counts))}. Make both from one frame, or repartition "
            "them."
        )
    return array.rechunk({1: -1}) if array.ndim == 2 else array


def _shown(lengths: list[int]) -> str:
    """Return lengths for a message, the first few of many."""
    some = ", ".join(map(str, lengths[:5]))
    return f"{some}, ..." if len(lengths) > 5 else some


def _blocks(array: Any) -> list[Any]:
    """Return the blocks of an array that has one column of them."""
    return list(array.to_delayed().ravel())
