"""What the benchmarks share: one thread, a clock, a time limit, tables and files."""

from __future__ import annotations

import csv
import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from robustreg import __version__

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parents[1] / "README.md"
THREADS = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
PACKAGES = ("numpy", "scipy", "scikit-learn")


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long a call took, and what it returned.

    The processor's time: with one thread the same as the wall clock's on an idle
    machine, and all but the same on a busy one.
    """
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


class Limited:
    """Calls in a process of its own that is ended when a call takes too long.

    The process has one thread for everybody, or as many as each library likes: they
    read the variables once, when they are imported.
    """

    def __init__(self, limit: float, one_thread: bool = True) -> None:
        self.limit = limit
        self._one_thread = one_thread
        self._context = multiprocessing.get_context("spawn")
        self._pool: Any = None

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return ``function(*arguments)``; raise TimeoutError past the limit."""
        try:
            return self._start(function, arguments).get(self.limit)
        except multiprocessing.TimeoutError:
            self.close()
            raise TimeoutError(f"more than {self.limit:g} s") from None

    def patiently(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return ``function(*arguments)``, however long it takes."""
        return self._start(function, arguments).get()

    def _start(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Start a call, in a new process if there is none."""
        if self._pool is None:
            for name in THREADS:
                os.environ.pop(name, None)
                if self._one_thread:
                    os.environ[name] = "1"
            self._pool = self._context.Pool(1)
        return self._pool.apply_async(function, arguments)

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool.join()
            self._pool = None


def machine() -> str:
    """Return what the figures were made on, in a line."""
    found = ", ".join(f"{name} {installed(name)}" for name in PACKAGES)
    python = platform.python_version()
    return f"robustreg {__version__}, Python {python}, {found}, {processor()}"


def processor() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.machine()


def installed(package: str) -> str | None:
    """Return a package's version, None if it is absent."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as a table in Markdown."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([r[c] for c in columns] for r in rows)]
    return "\n".join(f"| {' | '.join(map(shown, line))} |" for line in lines) + "\n"


def shown(cell: Any) -> str:
    """Return a cell of a table as text; figures have three digits."""
    if isinstance(cell, float):
        return "" if cell != cell else f"{cell:.3g}"
    return "" if cell is None else str(cell).replace("|", "\\|")


def write(name: str, text: str) -> None:
    """Write a file among the results."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(text, encoding="utf-8")


def splice(name: str, text: str) -> None:
    """Write a table into the README, between two comments with its name."""
    page = README.read_text(encoding="utf-8")
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    README.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def write_csv(name: str, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as a file of comma-separated values among the results."""
    rows = list(rows)
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {
                k: f"{v:.6g}" if isinstance(v, float) else shown(v)
                for k, v in row.items()
            }
            for row in rows
        )
