"""How the benchmarks measure time: a clock, one thread, a limit."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

THREADS = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long a call took, and what it returned.

    The processor's time: with one thread the same as the wall clock's on an idle
    machine, and all but the same on a busy one.
    """
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


class Limited:
    """Calls in processes of their own that are ended when a call takes too long.

    A process has one thread for everybody, or as many as each library likes: they
    read the variables once, when they are imported.
    """

    def __init__(
        self, limit: float, one_thread: bool = True, processes: int = 1
    ) -> None:
        self.limit = limit
        self._one_thread = one_thread
        self._processes = processes
        self._context = multiprocessing.get_context("spawn")
        self._pool: Any = None

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return ``function(*arguments)``; raise TimeoutError past the limit."""
        return self._within_limit(self._started().apply_async(function, arguments))

    def each(
        self, function: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]
    ) -> list[Any]:
        """Return ``function(*task)`` of all tasks, by all processes."""
        return self._within_limit(self._started().starmap_async(function, tasks, 1))

    def patiently(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return ``function(*arguments)``, however long it takes."""
        return self._started().apply(function, arguments)

    def _within_limit(self, result: Any) -> Any:
        """Return what a call comes to; end it past the limit."""
        try:
            return result.get(self.limit)
        except multiprocessing.TimeoutError:
            self.close()
            raise TimeoutError(f"more than {self.limit:g} s") from None

    def _started(self) -> Any:
        """Return the processes, new ones if there are none."""
        if self._pool is None:
            for name in THREADS:
                os.environ.pop(name, None)
                if self._one_thread:
                    os.environ[name] = "1"
            self._pool = self._context.Pool(self._processes)
        return self._pool

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool.join()
            self._pool = None
