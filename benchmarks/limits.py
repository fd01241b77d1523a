"""Fits in a process of their own that may use no more than some memory.

``python benchmarks/limits.py mapped FOLDER smooth_l1 1e9`` fits the files of a folder
and prints what it took.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

# Bytes of anonymous memory: files that are mapped do not count, but what is set aside
# does, used or not: by Arrow's own pool, and by an arena of malloc for each thread.
LIMIT = 10**9
ENVIRONMENT = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1"}
FILE_ROWS = 100_000
FITS = ("smooth_l1", "smooth_l1, MAD", "l1")


def write_parquet(folder: Path, rows: int, columns: int) -> None:
    """Write a folder of Parquet files, one after the other."""
    import pandas as pd
    from elsewhere import block

    names = [f"x{j}" for j in range(columns)]
    for i, low in enumerate(range(0, rows, FILE_ROWS)):
        X, y = block(i, min(FILE_ROWS, rows - low), columns)
        frame = pd.DataFrame(X, columns=names).assign(y=y)
        frame.to_parquet(folder / f"{i:04}.parquet", index=False)


def of_parquet(rows: int, columns: int, fits: Sequence[str]) -> list[dict[str, Any]]:
    """Return fits of a folder of Parquet files within the limit."""
    with TemporaryDirectory(prefix="robustreg-") as name:
        folder = Path(name)
        write_parquet(folder, rows, columns)
        size = sum(file.stat().st_size for file in folder.iterdir())
        found = [within_limit("parquet", folder, fit, LIMIT) for fit in fits]
    return [row("Parquet", rows, columns, size, one) for one in found]


def of_mapped(rows: int, columns: int) -> list[dict[str, Any]]:
    """Return fits of a mapped file within the limit, and Ridge's without."""
    from elsewhere import files

    made = files(rows, columns)
    folder, size = made.X.parent, made.X.stat().st_size
    found = [within_limit("mapped", folder, fit, LIMIT) for fit in FITS]
    found.append(within_limit("mapped", folder, "Ridge", None))
    return [row("mapped file", rows, columns, size, one) for one in found]


def row(
    kind: str, rows: int, columns: int, size: int, one: dict[str, Any]
) -> dict[str, Any]:
    """Return a row of the table."""
    what = {"kind": "Memory", "data": kind, "rows": rows, "columns": columns}
    return what | {"GB": size / 1e9} | one


def within_limit(
    kind: str, folder: Path, fit: str, limit: float | None
) -> dict[str, Any]:
    """Return what a fit took, in a process with a limit."""
    asked = [kind, str(folder), fit, str(limit or 0)]
    command, environment = [sys.executable, __file__, *asked], os.environ | ENVIRONMENT
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment
    ) as child:
        peak = 0.0
        while child.poll() is None:
            peak = max(peak, anonymous(child.pid))
            time.sleep(0.005)
        text = child.stdout.read() if child.stdout else ""
    if child.returncode:
        raise MemoryError(f"{fit} of {kind}: the process ended with {child.returncode}")
    told = json.loads(text)
    return {
        "fit": fit,
        "limit, GB": None if limit is None else limit / 1e9,
        "passes": told["passes"],
        "seconds": told["seconds"],
        "MB before": told["before"] / 1e6,
        "MB more at most": (peak - told["before"]) / 1e6,
    }


def anonymous(process: int | str) -> float:
    """Return how many bytes of anonymous memory a process has, 0 if it has ended."""
    try:
        text = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = [line.split()[1] for line in text.splitlines() if "RssAnon" in line]
    return 1024.0 * float(found[0]) if found else 0.0


def data(kind: str, folder: Path) -> tuple[Any, Any]:
    """Return features and targets of a folder."""
    if kind == "mapped":
        return tuple(np.load(folder / f"{name}.npy", mmap_mode="r") for name in "Xy")
    import dask.dataframe as dd

    frame = dd.read_parquet(folder)
    return frame[[name for name in frame.columns if name != "y"]], frame["y"]


def model(fit: str) -> Any:
    """Return an estimator by name."""
    from sklearn.linear_model import Ridge

    from robustreg import RobustRegressor

    return {
        "smooth_l1": RobustRegressor(scale=1.0),
        "smooth_l1, MAD": RobustRegressor(),
        "l1": RobustRegressor("l1", scale=1.0),
        "Ridge": Ridge(solver="cholesky"),
    }[fit]


def main(kind: str, folder: str, fit: str, limit: str) -> None:
    """Fit within a limit; print what it took."""
    from threadpoolctl import threadpool_limits

    if most := int(float(limit)):
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    estimator, (X, y) = model(fit), data(kind, Path(folder))
    before, start = anonymous("self"), time.process_time()
    with threadpool_limits(1):
        estimator.fit(X, y)
    seconds = time.process_time() - start
    passes = None if fit == "Ridge" else estimator.n_iter_
    told = {"seconds": seconds, "passes": passes, "before": before}
    print(json.dumps(told | {"coef": np.asarray(estimator.coef_).tolist()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
