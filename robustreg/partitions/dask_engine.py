"""Passes over the partitions of dask collections, on whichever scheduler is current."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, final

import dask
import numpy as np
from dask.system import CPU_COUNT

from robustreg.partitions.dask_arrays import (
    aligned,
    aligned_with,
    blocks_of,
    features_of,
    given_names,
    lengths_of,
    rowwise,
    side_by_side,
)
from robustreg.partitions.dask_tasks import computed, new_name
from robustreg.partitions.engine import Engine, Verb, of_part
from robustreg.partitions.loading import checked, part_of
from robustreg.partitions.part import Part, Tally, tallied

__all__ = [
    "DaskEngine",
    "aligned",
    "given_names",
    "rowwise",
    "side_by_side",
]

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
        self.X = features_of(X)
        self.given_names = given_names(X)
        lengths = cache(partial(lengths_of, self.X, y=y, sample_weight=weight))
        self.y = aligned_with("y", y, self.X, lengths)
        self.single = self.y.ndim == 1
        self.n_targets = 1 if self.single else self.y.shape[1]
        given, arrays = [X, y], [self.X, self.y]
        if weight is not None:
            given.append(weight)
            arrays.append(aligned_with("sample_weight", weight, self.X, lengths))
        self.n_rows, self.n_features = sum(lengths()), self.X.shape[1]
        if not self.n_rows:
            raise ValueError("X has no rows. At least one is needed.")
        self.names = self.given_names or tuple(map(str, range(self.n_features)))
        first = np.concatenate([[0], np.cumsum(lengths())[:-1]]).astype(int).tolist()
        self._every = side_by_side(given, arrays)
        self._blocks = list(zip(blocks_of(self._every), first, strict=True))
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
        name, names = new_name("robustreg rows"), self._shared(self.names)
        parts = [
            dask.delayed(part_of)(*block, names, i, dask_key_name=(name, i))
            for i, block in enumerate(self._blocks)
        ]
        self._held = list(dask.persist(*parts, optimize_graph=False))

    def _shared(self, values: Any) -> Any:
        """Return one node of a graph that all tasks share, hashed once."""
        return dask.delayed(values, new_name("robustreg asked"), traverse=False)

    def _tally(self, verb: Verb, args: tuple[Any, ...]) -> Tally | None:
        """Return the tally, merged by a tree of tasks."""
        name = new_name(f"robustreg {self._next_name(verb)}")
        asked, names = self._shared((args, verb)), self._shared(self.names)
        check = not self.passes
        leaves = [
            dask.delayed(of)(
                *part,
                (names, i) if check else None,
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
            return computed(leaves, [block for block, _ in self._blocks])[0]
        except BaseException:
            self._let_go(leaves)
            raise

    def _sources(self, names: Any) -> list[tuple[Callable[..., Any], tuple[Any, ...]]]:
        """Return how each part is come by: a function and its first arguments."""
        if self._held is not None:
            return [(_of_held, (part,)) for part in self._held]
        blocks = enumerate(self._blocks)
        return [(_of_blocks, (*each, names, i)) for i, each in blocks]

    def _let_go(self, tasks: list[Any]) -> None:
        """Cancel tasks and what they read, even if a traceback refers to it."""
        held, self._held = self._held or [], None
        client = _client()
        if client is not None and client.status == "running":
            from distributed import Future, futures_of

            # Interrupted inside of dask, they are known by their names only.
            asked = [Future(task.key, client) for task in tasks]
            client.cancel([*asked, *futures_of(held)])

    def rowwise(self, function: Callable[..., Any], dtype: Any, *args: Any) -> Any:
        """Return a lazy array of ``function(X, y, partition, *args)`` of each row."""
        return rowwise(function, self._every, self.y.shape[1:], dtype, *args)


def _of_blocks(
    values: tuple[Any, ...],
    first: int,
    names: tuple[str, ...],
    partition: int,
    check: tuple[tuple[str, ...], int] | None,
    asked: tuple[tuple[Any, ...], Verb],
) -> Tally | None:
    """Return what a verb makes of a partition."""
    part = part_of(values, first, names, partition)
    return _of_held(part, check, asked)


def _of_held(
    part: Part,
    check: tuple[tuple[str, ...], int] | None,
    asked: tuple[tuple[Any, ...], Verb],
) -> Tally | None:
    """Return what a verb makes of a part, which is checked first if that is asked."""
    args, verb = asked
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
