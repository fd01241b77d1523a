"""Fits of dask collections in threads, against fits of the same rows in memory."""

import pickle
import subprocess
import sys
import threading
from functools import cache

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from dask.callbacks import Callback
from numpy.testing import assert_allclose, assert_array_equal
from pairwise import pairwise
from scipy import sparse
from sklearn.base import clone

from robustreg import L1Regressor, MMRegressor, RobustRegressor, SmoothL1Regressor
from robustreg.losses import LOSSES, make_loss

# Fewer rows than two and a half samples are gathered, more are fitted by passes.
FEW, MANY = 3_000, 130_000
NAMES = ["age", "dose", "sex", "site"]
CONVEX = sorted(name for name in LOSSES if make_loss(name, None, 0.5).facts.convex)


@pytest.fixture(autouse=True)
def threads():
    with dask.config.set(scheduler="threads", num_workers=2):
        yield


@cache
def make_data(n):
    """Return features, a target with outliers and weights, 0 for a stretch of rows."""
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, 4))
    X[:, 1:] += 0.5 * X[:, :-1]
    X = X * [0.5, 1, 20, 1] + [0, 10, 50, -3]
    X[:, 3] = np.where(X[:, 3] < -3, 0.0, X[:, 3])
    y = X @ [1.0, -0.5, 0.01, 0.2] + 3 + rng.standard_t(1.5, size=n)
    weight = rng.integers(0, 4, n).astype(float)
    weight[n // 3 : n // 2] = 0
    return X, y, weight


def make_model(loss, tol=1e-16):
    """Return a regressor with the scale of its residuals, exact enough to compare."""
    return RobustRegressor(loss, tol=tol)


@cache
def in_memory(n, loss):
    """Return the fit of the rows in memory."""
    return make_model(loss).fit(*make_data(n))


def in_chunks(X, y, weight):
    """Return arrays of which no two have the same chunks."""
    n = len(y)
    lengths = (1, n // 2, 1, 0, n // 5, n - n // 2 - n // 5 - 2)
    return (
        da.from_array(X, chunks=(lengths, (1, 2, 1))),
        da.from_array(y, chunks=n // 3),
        da.from_array(weight, chunks=n // 7),
    )


def of_unknown_lengths(X, y, weight):
    """Return arrays whose chunks are of lengths that nobody knows yet."""
    chunks = len(y) // 4
    every = da.from_array(np.ones(len(y), dtype=bool), chunks=chunks)
    return (
        da.from_array(X, chunks=(chunks, 3))[every],
        da.from_array(y, chunks=chunks)[every],
        da.from_array(weight, chunks=chunks)[every],
    )


def as_frames(X, y, weight, npartitions=5):
    """Return columns of a frame."""
    rows = pd.DataFrame(X, columns=NAMES).assign(y=y, w=weight)
    frame = dd.from_pandas(rows, npartitions=npartitions)
    return frame[NAMES], frame["y"], frame["w"]


def filtered(X, y, weight):
    """Return columns of a frame of which whole partitions are left out."""
    n = len(y)
    rows = pd.DataFrame(X, columns=NAMES).assign(y=y, w=weight, kept=True)
    junk = rows[: n // 2].assign(y=1e9, kept=False)
    rows = pd.concat([rows[:1000], junk, rows[1000:]], ignore_index=True)
    frame = dd.from_pandas(rows, npartitions=12)
    frame = frame[frame["kept"]]
    assert 0 in list(frame.map_partitions(len).compute())
    return frame[NAMES], frame["y"], frame["w"]


def beside_numpy(X, y, weight):
    """Return features in chunks, targets and weights in memory."""
    return da.from_array(X, chunks=(len(y) // 3, 4)), y, list(weight)


def beside_known(X, y, weight):
    """Return a frame, and arrays whose chunks are known and others."""
    frame, _, _ = as_frames(X, y, weight)
    return frame, da.from_array(y, chunks=len(y) // 3), weight[:, None]


def one_column(X, y, weight):
    """Return a target that is a frame of one column."""
    frame, target, weight = as_frames(X, y, weight)
    return frame, target.to_frame(), weight


def sparse_chunks(container):
    """Return a function that makes chunks of sparse rows."""

    def make(X, y, weight):
        chunks = len(y) // 4
        X = da.from_array(X, chunks=(chunks, 2)).map_blocks(container)
        return X, da.from_array(y, chunks=chunks), weight

    return make


FORMS = {
    "chunks": in_chunks,
    "unknown lengths": of_unknown_lengths,
    "frames": as_frames,
    "filtered": filtered,
    "numpy targets": beside_numpy,
    "known targets": beside_known,
    "one column": one_column,
    "csr_array": sparse_chunks(sparse.csr_array),
    "csr_matrix": sparse_chunks(sparse.csr_matrix),
}


def assert_same(model, expected, rtol=1e-8):
    """Assert that two fits are the same."""
    size = np.abs(expected.coef_).max()
    assert model.coef_.shape == expected.coef_.shape
    assert_allclose(model.coef_, expected.coef_, rtol=0, atol=rtol * size)
    assert_allclose(model.intercept_, expected.intercept_, rtol=rtol)
    assert_allclose(model.scale_, expected.scale_, rtol=3 * rtol)
    assert_allclose(model.residual_scale_, expected.residual_scale_, rtol=1e-6)


@pytest.mark.parametrize(
    ("form", "n", "loss"), pairwise(FORMS, (FEW, MANY), ("smooth_l1", "l1"))
)
def test_every_collection_has_the_fit_of_its_rows(form, n, loss):
    data, expected = make_data(n), in_memory(n, loss)
    X, y, weight = FORMS[form](*data)
    model = make_model(loss).fit(X, y, weight)
    assert_same(model, expected)
    assert_array_equal(model.outliers_.compute(), expected.outliers_)
    assert ("weights_" in vars(model)) == ("weights_" in vars(expected))
    if loss == "smooth_l1":
        assert_allclose(model.weights_.compute(), expected.weights_, rtol=1e-6)
    assert model.n_features_in_ == 4
    for made, known in (
        (model.predict(X), expected.predict(data[0])),
        (model.outlier_score(X, y), expected.outlier_score(*data[:2])),
    ):
        assert isinstance(made, da.Array)
        assert made.dtype == made.compute().dtype
        assert_allclose(made.compute(), known, rtol=1e-6, atol=1e-6)
    assert_allclose(model.score(X, y), expected.score(*data[:2]), rtol=1e-7, atol=1e-7)
    assert_allclose(
        model.score(X, y, weight), expected.score(*data), rtol=1e-7, atol=1e-7
    )


@pytest.mark.parametrize("loss", CONVEX)
def test_the_default_tolerance(loss):
    X, y, _ = make_data(MANY)
    model = make_model(loss, 1e-10).fit(da.from_array(X, chunks=(50_000, 4)), y)
    assert_same(model, make_model(loss).fit(X, y), 2e-6)
    assert model.dual_gap_ >= 0
    assert model.n_iter_ <= 7


@pytest.mark.parametrize("n", [FEW, MANY], ids=["gathered", "passes"])
@pytest.mark.parametrize(
    "model",
    [RobustRegressor("tukey", tol=1e-14), MMRegressor(n_subsets=50, tol=1e-14)],
    ids=["tukey", "mm"],
)
def test_losses_that_are_not_convex(model, n):
    data = make_data(n)
    expected = clone(model).fit(*data)
    fitted = model.fit(*as_frames(*data))
    assert_same(fitted, expected, 1e-6)
    assert_allclose(fitted.weights_.compute(), expected.weights_, atol=1e-4)


@pytest.mark.parametrize("n", [FEW, MANY], ids=["gathered", "passes"])
def test_single_precision(n):
    X, y, _ = make_data(n)
    X = X.astype(np.float32)
    chunks = da.from_array(X, chunks=(n // 3, 4))
    model = make_model("smooth_l1").fit(chunks, y)
    assert_same(model, make_model("smooth_l1").fit(X.astype(float), y), 3e-7)
    assert model.predict(chunks).compute().dtype == model.predict(chunks).dtype


@pytest.mark.parametrize("n", [FEW, MANY], ids=["gathered", "passes"])
@pytest.mark.parametrize("make", [SmoothL1Regressor, L1Regressor])
def test_several_targets(make, n):
    X, y, weight = make_data(n)
    targets = np.column_stack([y, 2 * y - X[:, 0]])
    options = {"beta": 1.0} if make is SmoothL1Regressor else {}
    expected = make(tol=1e-16, **options).fit(X, targets, weight)
    rows = pd.DataFrame(X, columns=NAMES).assign(y=y, z=targets[:, 1], w=weight)
    frame = dd.from_pandas(rows, npartitions=4)
    of_frames = frame[NAMES], frame[["y", "z"]], frame["w"]
    of_arrays = (
        da.from_array(X, chunks=(n // 3, 1)),
        da.from_array(targets, chunks=(n // 5, 1)),
        da.from_array(weight, chunks=n // 4),
    )
    for given in (of_frames, of_arrays):
        model = make(tol=1e-16, **options).fit(*given)
        # To the root of the tolerance: the second target is twice as wide.
        assert_same(model, expected, 1e-7)
        assert model.outliers_.compute().shape == targets.shape
        scores = model.outlier_score(*given[:2]).compute()
        assert_allclose(
            scores, expected.outlier_score(X, targets), rtol=1e-5, atol=1e-5
        )
        assert_allclose(model.score(*given), expected.score(X, targets, weight))
        assert model.predict(given[0]).compute().shape == targets.shape


@pytest.mark.parametrize("loss", ["smooth_l1", "l1"])
def test_partitions_of_one_row_and_of_constant_columns(loss):
    X, y, weight = (values[:60] for values in make_data(FEW))
    X = X.copy()
    X[:, 3] = np.arange(60) // 15
    expected = make_model(loss).fit(X, y, weight + 1)
    for size in (1, 15):
        chunks = da.from_array(X, chunks=(size, 2))
        assert_same(make_model(loss).fit(chunks, y, weight + 1), expected)
    X, y, _ = make_data(MANY)
    X = X.copy()
    X[:, 3] = np.arange(MANY) // (MANY // 10)
    chunks = da.from_array(
        X, chunks=((1,) * 20 + (MANY // 10 - 20,) + (13_000,) * 9, 4)
    )
    assert_same(make_model(loss).fit(chunks, y), make_model(loss).fit(X, y))


def test_partitions_that_differ_a_thousandfold():
    X, y, _ = make_data(MANY)
    chunks = (125_000, *(100,) * 40, 1_000)
    model = make_model("smooth_l1").fit(da.from_array(X, chunks=(chunks, 4)), y)
    assert_same(model, make_model("smooth_l1").fit(X, y))


def test_each_pass_reads_each_partition_once():
    X, y, _ = make_data(MANY)
    reads, lock = [], threading.Lock()

    def read(block, block_info=None):
        with lock:
            reads.append(block_info[0]["chunk-location"][0])
        return block

    source = da.from_array(X, chunks=(13_000, 4))
    features = source.map_blocks(read, dtype=float, meta=np.empty((0, 0)))
    for loss in ("smooth_l1", "l1"):
        reads.clear()
        model = make_model(loss, 1e-10).fit(features, y)
        assert sorted(reads) == sorted(list(range(10)) * model.n_iter_)
    reads.clear()
    predicted = model.predict(features)
    score = model.outlier_score(features, y)
    assert not reads
    assert predicted.chunks == (source.chunks[0],)
    assert score.chunks == (source.chunks[0],)
    # The scheduler reads what two results need once.
    dask.compute(predicted, score, model.outliers_)
    assert sorted(reads) == list(range(10))
    reads.clear()
    model.score(features, y)
    assert sorted(reads) == list(range(10))


@pytest.mark.parametrize("kind", ["frame", "array"])
def test_columns_of_one_source_are_read_together(kind):
    X, y, weight = make_data(MANY)
    reads = []

    def read(part):
        reads.append(len(part))
        return part

    every = np.column_stack([X, y, weight])
    if kind == "frame":
        rows = pd.DataFrame(every, columns=[*NAMES, "y", "weight"])
        source = dd.from_pandas(rows, npartitions=10)
        source = source.map_partitions(read, meta=rows[:0])
        given = source[NAMES], source["y"], source["weight"]
        # Lengths that are not known are counted first.
        counted = 10
    else:
        source = da.from_array(every, chunks=(13_000, 6))
        source = source.map_blocks(read, dtype=float, meta=np.empty((0, 0)))
        given, counted = (source[:, :4], source[:, 4], source[:, 5]), 0
    model = make_model("smooth_l1", 1e-10).fit(*given)
    expected = make_model("smooth_l1", 1e-10).fit(X, y, weight)
    assert_allclose(model.coef_, expected.coef_, rtol=1e-3)
    assert len(reads) == 10 * model.n_iter_ + counted
    reads.clear()
    model.outliers_.compute()
    assert len(reads) == 10
    reads.clear()
    model.outlier_score(*given[:2]).compute()
    assert len(reads) == 10


def test_nothing_of_the_length_of_the_rows_comes_back():
    X, y, _ = make_data(MANY)
    sizes = {}

    class Sizes(Callback):
        def _posttask(self, key, result, dsk, state, worker_id):
            if str(key).startswith("('robustreg pass"):
                name = key[0].partition("-")[0]
                sizes[name] = max(sizes.get(name, 0), result.nbytes)

    chunks = da.from_array(X, chunks=(13_000, 4))
    with Sizes():
        model = make_model("smooth_l1", 1e-10).fit(chunks, y)
    assert len(sizes) == model.n_iter_
    assert list(sizes)[:2] == ["robustreg pass 1: sample", "robustreg pass 2: gradient"]
    _, *others = sizes.values()
    assert max(others) < 0.1 * X.nbytes
    assert isinstance(model.outliers_, da.Array)
    assert isinstance(model.weights_, da.Array)


def test_rows_belong_together_by_partition_whatever_their_index():
    X, y, weight = make_data(FEW)
    expected = in_memory(FEW, "smooth_l1")
    frame, _, _ = as_frames(X, y, weight)
    other = pd.Series(y, index=np.arange(FEW) + 10**6)
    target = dd.from_pandas(other, npartitions=5)
    model = make_model("smooth_l1").fit(frame, target, weight)
    assert_same(model, expected)


def test_names_and_a_fit_of_other_data_after():
    X, y, weight = make_data(FEW)
    frame, target, _ = as_frames(X, y, weight)
    model = make_model("smooth_l1").fit(frame, target)
    assert_array_equal(model.feature_names_in_, NAMES)
    assert_allclose(
        model.predict(pd.DataFrame(X, columns=NAMES)), model.predict(frame).compute()
    )
    model.fit(da.from_array(X[:, :3], chunks=1_000), y)
    assert model.n_features_in_ == 3
    assert "feature_names_in_" not in vars(model)
    model.fit(frame, target)
    model.fit(X, y)
    assert "feature_names_in_" not in vars(model)
    assert isinstance(model.outliers_, np.ndarray)


def test_a_pickle_holds_the_model_but_no_data():
    frame, y, _ = as_frames(*make_data(FEW))
    model = make_model("smooth_l1").fit(frame, y)
    pickled = pickle.dumps(model)
    # The rows are in the graph of what was fitted, and in that of its flags.
    assert len(pickle.dumps(model.outliers_)) > make_data(FEW)[0].nbytes
    assert len(pickled) < 4_000
    again = pickle.loads(pickled)
    assert_array_equal(again.predict(frame).compute(), model.predict(frame).compute())
    flags = again.outlier_score(frame, y) > again.outlier_threshold
    assert_array_equal(flags.compute(), model.outliers_.compute())
    lazy = {"outliers_", "weights_"}
    assert vars(model).keys() - vars(again).keys() == lazy
    model.fit(*make_data(FEW))
    assert lazy <= vars(pickle.loads(pickle.dumps(model))).keys()


def test_clone():
    frame, y, _ = as_frames(*make_data(FEW))
    model = make_model("smooth_l1").fit(frame, y)
    assert "coef_" not in vars(clone(model))
    refitted = clone(model).fit(frame, y)
    assert_array_equal(refitted.coef_, model.coef_)


def run(program):
    """Run a program by itself."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_data_in_memory_do_without_dask_and_an_error_says_what_to_install():
    run("""
import sys
import numpy as np
from robustreg import RobustRegressor
model = RobustRegressor().fit(np.eye(5), np.arange(5.0))
model.predict(np.eye(5))
assert "dask" not in sys.modules and "distributed" not in sys.modules

# Nor is it missed until a collection is fitted.
sys.modules["dask"] = None

class Collection:
    def __dask_graph__(self):
        return {}

try:
    RobustRegressor().fit(Collection(), np.arange(5.0))
except ImportError as error:
    assert 'pip install "dask[array,dataframe]' in str(error)
else:
    raise AssertionError
""")
