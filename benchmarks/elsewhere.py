"""Rows that are elsewhere, for the benchmarks of passes: files, and who reads them."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dask
import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster, default_client
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from robustreg.estimators import arrays
from robustreg.partitions import Engine, InTurn, Part
from robustreg.partitions.dask_engine import DaskEngine
from robustreg.partitions.engine import of_part
from robustreg.partitions.part import tallied

Array = NDArray[Any]

# Rows that are made at a time.
BLOCK_ROWS = 100_000
WORKERS = 2
MEMORY, IN_TURN, THREADS = "in memory", "parts in turn", "dask, 2 threads"
PROCESSES, MALLOC = "dask, 2 processes", "dask, 2 processes, malloc set"
BY_PASSES = (IN_TURN, THREADS, PROCESSES, MALLOC)
# With these glibc keeps the memory that a task gives back.
MALLOC_SET = {
    "MALLOC_TRIM_THRESHOLD_": 268435456,
    "MALLOC_MMAP_THRESHOLD_": 33554432,
}


def block(seed: int, rows: int, columns: int) -> tuple[Array, Array]:
    """Return correlated columns of many units, and targets with t(1.5) noise."""
    rng = np.random.default_rng([12, seed])
    X = rng.standard_normal((rows, columns), dtype=np.float32)
    X[:, 1:] += np.float32(0.5) * X[:, :-1]
    unit = np.geomspace(0.5, 20, columns).astype(np.float32)
    X = X * unit + np.linspace(0, 50, columns, dtype=np.float32)
    coef = np.resize([1.0, -0.5, 0.2], columns) / unit
    return X, X @ coef + 3 + rng.standard_t(1.5, rows)


@dataclass(frozen=True)
class Files:
    """A file of features, float32, and one of targets; they go with this object."""

    folder: tempfile.TemporaryDirectory[str]

    @property
    def X(self) -> Path:
        """The features."""
        return Path(self.folder.name) / "X.npy"

    @property
    def y(self) -> Path:
        """The targets."""
        return Path(self.folder.name) / "y.npy"

    def mapped(self) -> tuple[Array, Array]:
        """Return features and targets, of which nothing is read yet."""
        return np.load(self.X, mmap_mode="r"), np.load(self.y, mmap_mode="r")

    def loaded(self) -> tuple[Array, Array]:
        """Return features and targets in memory."""
        return np.load(self.X), np.load(self.y)

    def collections(self, entries: int | None = None) -> tuple[Any, Any]:
        """Return features and targets as dask arrays, whose tasks read the files."""
        X, _ = self.mapped()
        edges = places(*X.shape, entries)
        return tuple(
            da.concatenate([_lazy(file, place) for place in edges])
            for file in (self.X, self.y)
        )


@lru_cache(4)
def files(rows: int, columns: int) -> Files:
    """Write files of rows, and return them."""
    made = Files(tempfile.TemporaryDirectory(prefix="robustreg-"))
    X = open_memmap(made.X, "w+", np.float32, (rows, columns))
    y = open_memmap(made.y, "w+", np.float64, (rows,))
    for seed, low in enumerate(range(0, rows, BLOCK_ROWS)):
        place = slice(low, min(low + BLOCK_ROWS, rows))
        X[place], y[place] = block(seed, place.stop - low, columns)
    return made


def places(rows: int, columns: int, entries: int | None = None) -> list[slice]:
    """Return parts of so many entries, or those that the package makes of a file."""
    size = (entries or arrays.MOST_ENTRIES) // columns
    return [slice(low, min(low + size, rows)) for low in range(0, rows, size)]


def _read(file: Path, place: slice) -> Array:
    """Return some rows of a file."""
    return np.load(file, mmap_mode="r")[place]


def _lazy(file: Path, place: slice) -> Any:
    """Return some rows of a file as a dask array."""
    every = np.load(file, mmap_mode="r")
    shape = (place.stop - place.start, *every.shape[1:])
    return da.from_delayed(dask.delayed(_read)(file, place), shape, every.dtype)


def in_chunks(X: Array, y: Array, rows: int) -> tuple[Any, Any]:
    """Return arrays in memory as dask arrays."""
    return da.from_array(X, chunks=(rows, -1)), da.from_array(y, chunks=rows)


def part_at(X: Array, y: Array, place: slice) -> Part:
    """Return some rows as a part."""
    number = np.arange(place.start, place.stop)
    weight = np.broadcast_to(1.0, number.shape)
    return Part(X[place], y[place, None], weight, number)


class InThreads(Engine):
    """Parts of arrays, as many at a time as there are threads."""

    def __init__(self, X: Array, y: Array, threads: int = WORKERS) -> None:
        super().__init__()
        self.n_rows, self.n_features = X.shape
        self.n_targets = 1
        self._data, self._threads = (X, y), ThreadPoolExecutor(threads)

    def _tally(self, verb: Any, args: tuple[Any, ...]) -> Any:
        def of(place: slice) -> Any:
            return of_part(part_at(*self._data, place), verb, args)

        return tallied(list(self._threads.map(of, places(*self._data[0].shape))))


def in_turn(X: Array, y: Array) -> InTurn:
    """Return an engine of parts of arrays."""
    readers = [lambda place=place: part_at(X, y, place) for place in places(*X.shape)]
    return InTurn(readers, *X.shape, 1)


@cache
def cluster(malloc: bool) -> LocalCluster:
    """Return a cluster of processes, which lives as long as this program."""
    extra = MALLOC_SET if malloc else {}
    # Nannies prefer this process's variables to dask's, and leave theirs in it.
    with patch.dict(os.environ, {name: str(size) for name, size in extra.items()}):
        return LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        )


@contextmanager
def scheduler(name: str) -> Iterator[None]:
    """Let dask run where the name of a contender says."""
    if name in (PROCESSES, MALLOC):
        with Client(cluster(name == MALLOC)):
            yield
    else:
        with dask.config.set(scheduler="threads", num_workers=WORKERS):
            yield


def data_for(name: str, rows: Files) -> tuple[Any, Any]:
    """Return features and targets as a contender takes them."""
    if name == MEMORY:
        return rows.loaded()
    return rows.mapped() if name == IN_TURN else rows.collections()


def engine_for(name: str, rows: Files) -> Engine:
    """Return the engine of a contender, as a fit makes it."""
    X, y = data_for(name, rows)
    return in_turn(X, y) if name == IN_TURN else holding(X, y)


def holding(X: Any, y: Any) -> DaskEngine:
    """Return the engine of collections, whose workers keep what they have room for."""
    engine = DaskEngine(X, y, None)
    engine.hold()
    return engine


@dataclass(frozen=True)
class Seen:
    """A pass that was watched."""

    verb: str
    nbytes: int
    seconds: float


def clock() -> float:
    """Return the processor's seconds so far, of this process and the current workers'.

    A busy machine changes them little.
    """
    try:
        workers = sum(default_client().run(time.process_time).values())
    except ValueError:
        workers = 0.0
    return time.process_time() + workers


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a call takes by the clock, and what it returns."""
    begin = clock()
    result = call()
    return clock() - begin, result


@contextmanager
def watched() -> Iterator[list[Seen]]:
    """Give the passes that are made meanwhile."""
    passes: list[Seen] = []
    run = Engine.run

    def watch(self: Engine, verb: Any, *args: Any) -> Any:
        seconds, tally = timed(partial(run, self, verb, *args))
        passes.append(Seen(verb.__name__, tally.nbytes, seconds))
        return tally

    Engine.run = watch  # type: ignore[method-assign]
    try:
        yield passes
    finally:
        Engine.run = run  # type: ignore[method-assign]


@contextmanager
def any_size() -> Iterator[None]:
    """Let mapped files of any size be read part by part."""
    largest, arrays.LARGEST_MAPPED = arrays.LARGEST_MAPPED, 0
    try:
        yield
    finally:
        arrays.LARGEST_MAPPED = largest
