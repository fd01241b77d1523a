"""Folders of small Parquet files, which dask reads several at a time."""

import json
import subprocess
import sys

import dask.dataframe as dd
import numpy as np
import pandas as pd
from numpy.testing import assert_allclose, assert_array_equal

from robustreg import RobustRegressor


def test_columns_of_one_folder_have_the_same_partitions(tmp_path):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(1_600, 5)), columns=list("abcyw"))
    rows["w"] = rows["w"].abs()
    for i in range(8):
        rows[200 * i : 200 * (i + 1)].to_parquet(tmp_path / f"{i}.parquet")
    frame = dd.read_parquet(tmp_path)
    X, y, weight = frame[["a", "b", "c"]], frame["y"], frame["w"]
    model = RobustRegressor().fit(X, y, weight)
    expected = RobustRegressor().fit(rows[["a", "b", "c"]], rows["y"], rows["w"])
    assert_allclose(model.coef_, expected.coef_, rtol=1e-12)
    assert_array_equal(model.outliers_.compute(), expected.outliers_)
    beside = frame.assign(expected=model.predict(X), score=model.outlier_score(X, y))
    assert_allclose(
        beside["expected"].compute(), expected.predict(rows[["a", "b", "c"]])
    )
    score = expected.outlier_score(rows[["a", "b", "c"]], rows["y"])
    assert_allclose(beside["score"].compute(), score)
    assert model.predict(X).numblocks == (8,)


# The first fit starts what a process keeps: threads, buffers, modules.
LIMITED = """
import json, resource, sys
import dask, dask.dataframe as dd
import pyarrow
from robustreg import RobustRegressor

folder, headroom = sys.argv[1], int(sys.argv[2])
pyarrow.set_cpu_count(1)
pyarrow.set_io_thread_count(1)
dask.config.set(scheduler="synchronous")

def fit(path, rows):
    frame = dd.read_parquet(path)
    columns = [name for name in frame.columns if name != "y"]
    model = RobustRegressor(tol=1e-16)
    return model.fit(frame[columns].partitions[:rows], frame["y"].partitions[:rows])

fit(folder, 2)
with open("/proc/self/status") as status:
    (used,) = (int(line.split()[1]) for line in status if line.startswith("VmData"))
limit = used * 1024 + headroom
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
model = fit(folder, None)
try:
    dd.read_parquet(folder).compute()
except (MemoryError, pyarrow.ArrowException):
    print(json.dumps([*model.coef_, model.intercept_, model.scale_]))
"""


def test_a_folder_that_is_larger_than_what_a_process_may_use(tmp_path):
    rng = np.random.default_rng(0)
    names, every = [f"x{j}" for j in range(10)], []
    for i in range(20):
        rows = pd.DataFrame(rng.normal(size=(60_000, 10)) + i / 9, columns=names)
        rows["y"] = rows @ np.arange(10.0) + rng.standard_t(2, 60_000)
        rows.to_parquet(tmp_path / f"{i:02}.parquet", compression=None)
        every.append(rows)
    every = pd.concat(every, ignore_index=True)
    headroom = 72 * 2**20
    assert every.memory_usage(index=False).sum() > 1.3 * headroom
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), str(headroom)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = RobustRegressor(tol=1e-16).fit(every[names], every["y"])
    answer = [*expected.coef_, expected.intercept_, expected.scale_]
    assert_allclose(json.loads(done.stdout), answer, rtol=1e-7, atol=1e-8)
