"""Folders of small Parquet files, which dask reads several at a time."""

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
