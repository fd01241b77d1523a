"""Containers of the data: the same fit from each, and none copied or changed."""

import gc
import tracemalloc
from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor
from robustreg.estimators import arrays
from robustreg.losses import SmoothL1
from robustreg.objective import Objective
from robustreg.partitions import Drawing
from robustreg.penalties import make_penalty
from robustreg.rows import BLOCK_ENTRIES, make_rows
from robustreg.tolerance import stationarity

NAMES = ["age", "rooms", "flag", "area"]
MODELS = {
    "smooth_l1": SmoothL1Regressor(),
    "l1": L1Regressor(),
    "mad": RobustRegressor(),
    "l2 penalty": SmoothL1Regressor(penalty="l2", alpha=0.1),
    "l1 penalty": SmoothL1Regressor(penalty="l1", alpha=0.1),
    "no intercept": SmoothL1Regressor(fit_intercept=False),
}


def make_data(n_samples=200):
    """Return X with zeros in it, y with outliers, and weights."""
    rng = np.random.default_rng(0)
    X = np.round(rng.normal(size=(n_samples, 4)) * [10, 2, 1, 0.5])
    X[:, 2] = X[:, 2] > 0
    y = X @ [0.5, -1.0, 2.0, 0.0] + 3.0 + 0.3 * rng.normal(size=n_samples)
    y[:20] += 100.0
    return X, y, rng.integers(0, 4, size=n_samples).astype(float)


def read_only(X):
    """Return a copy that cannot be written to."""
    X = X.copy()
    X.flags.writeable = False
    return X


def with_index_type(X, dtype):
    """Return a sparse matrix with 32-bit or 64-bit indices."""
    for name in {"indices", "indptr", "row", "col"} & set(dir(X)):
        setattr(X, name, getattr(X, name).astype(dtype))
    return X


def unsorted_with_duplicates(X):
    """Return a CSR matrix with each entry in two halves and in reverse order."""
    X = sparse.csr_array(X)
    halves = [np.repeat(X.data[a:b][::-1] / 2, 2) for a, b in pairwise(X.indptr)]
    places = [np.repeat(X.indices[a:b][::-1], 2) for a, b in pairwise(X.indptr)]
    parts = (np.concatenate(halves), np.concatenate(places), 2 * X.indptr)
    return sparse.csr_array(parts, shape=X.shape)


def nullable(X):
    """Return a frame of pandas's nullable types, without missing values."""
    frame = pd.DataFrame(X, columns=NAMES)
    types = ["Int64", "Float64", "boolean", "Float32"]
    return frame.astype(dict(zip(NAMES, types, strict=True)))


DENSE = {
    "Fortran order": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
    "reversed": lambda X: X[::-1].copy()[::-1],
    "read-only": read_only,
    "list of lists": np.ndarray.tolist,
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES),
    "nullable pandas": nullable,
    "polars": lambda X: pl.DataFrame(X, schema=NAMES),
}
SPARSE = {
    "CSR array": sparse.csr_array,
    "CSC array": sparse.csc_array,
    "COO array": sparse.coo_array,
    "CSR matrix": sparse.csr_matrix,
    "CSC matrix": sparse.csc_matrix,
    "COO matrix": sparse.coo_matrix,
    "64-bit CSR": lambda X: with_index_type(sparse.csr_array(X), np.int64),
    "64-bit CSC": lambda X: with_index_type(sparse.csc_matrix(X), np.int64),
    "64-bit COO": lambda X: with_index_type(sparse.coo_matrix(X), np.int64),
    "32-bit CSR": lambda X: with_index_type(sparse.csr_array(X), np.int32),
    "unsorted with duplicates": unsorted_with_duplicates,
    "explicit zeros": lambda X: sparse.csr_array(
        (X.ravel(), np.tile(range(4), len(X)), np.arange(0, X.size + 1, 4)), X.shape
    ),
}


def assert_same_fit(model, other):
    """Compare two fits of the same numbers up to rounding."""
    assert_allclose(other.coef_, model.coef_, rtol=1e-8, atol=1e-10)
    assert_allclose(other.intercept_, model.intercept_, rtol=1e-8, atol=1e-10)
    assert_allclose(other.scale_, model.scale_, rtol=1e-8)


@cache
def expected_of(name):
    """Return the fit of an array."""
    return clone(MODELS[name]).fit(*make_data())


@pytest.mark.parametrize("container", [*DENSE, *SPARSE])
@pytest.mark.parametrize("name", MODELS)
def test_every_container_gives_the_same_fit(name, container):
    X, y, weight = make_data()
    held, expected = (DENSE | SPARSE)[container](X), expected_of(name)
    other = clone(MODELS[name]).fit(held, y, weight)
    assert_same_fit(expected, other)
    assert_allclose(other.predict(held), expected.predict(X), rtol=1e-8, atol=1e-8)
    assert expected.coef_.any()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_memory_mapped_files(model, order, tmp_path):
    X, y, weight = make_data()
    np.save(tmp_path / "X.npy", np.asarray(X, order=order))
    np.save(tmp_path / "y.npy", y)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    target = np.load(tmp_path / "y.npy", mmap_mode="r")
    expected = type(model)(**model.get_params()).fit(X, y, weight)
    assert_same_fit(expected, model.fit(mapped, target, weight))
    assert type(model.coef_) is np.ndarray


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_large_file_is_read_part_by_part(model, tmp_path, monkeypatch):
    X, y, weight = make_data(3_000)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    expected = clone(model).fit(X, y, weight)
    monkeypatch.setattr(arrays, "LARGEST_MAPPED", 0)
    monkeypatch.setattr(arrays, "MOST_ENTRIES", 4_000)
    monkeypatch.setattr(arrays, "DRAWING", Drawing(most_rows=500, worthwhile=1.0))
    # In memory are the rows of the sample alone.
    monkeypatch.delattr(arrays, "fits_in_memory")
    found = clone(model).fit(mapped, y, weight)
    assert_allclose(found.coef_, expected.coef_, 1e-5, 1e-5)
    assert_allclose(found.intercept_, expected.intercept_, 1e-5)
    assert_array_equal(found.outliers_, expected.outliers_)
    assert ("weights_" in vars(found)) == ("weights_" in vars(expected))
    if "weights_" in vars(expected):
        assert_allclose(found.weights_, expected.weights_, 1e-4, 1e-5)


@pytest.mark.parametrize("convert", [list, pd.Series, pl.Series, read_only])
def test_containers_of_targets_and_weights(convert):
    X, y, weight = make_data()
    expected = RobustRegressor().fit(X, y, weight)
    other = RobustRegressor().fit(X, convert(y), convert(weight))
    assert_array_equal(other.coef_, expected.coef_)
    assert_array_equal(other.weights_, expected.weights_)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_targets_of_a_frame(frame):
    X, y, _ = make_data()
    Y = np.column_stack([y, -2 * y])
    columns = {"low": Y[:, 0], "high": Y[:, 1]}
    model = SmoothL1Regressor().fit(X, frame(columns))
    assert_array_equal(model.coef_, SmoothL1Regressor().fit(X, Y).coef_)


@pytest.mark.parametrize("frame", ["pandas", "polars", "nullable pandas"])
def test_feature_names(frame):
    X, y, _ = make_data()
    held = DENSE[frame](X)
    model = RobustRegressor().fit(held, y)
    assert_array_equal(model.feature_names_in_, NAMES)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(held[NAMES[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    assert not hasattr(model.fit(X, y), "feature_names_in_")


@pytest.mark.parametrize("order", ["C", "F", "CSR", "CSC"])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_data_are_not_modified(model, order):
    X, y, weight = make_data()
    X[:, 0] += 1e6  # Far from 0: columns are shifted before the products.
    kept = X.copy(), y.copy(), weight.copy()
    containers = {"CSR": sparse.csr_array, "CSC": sparse.csc_array}
    if order in containers:
        held = containers[order](X)
        indices = held.indices.copy()
        model.fit(held, y, weight)
        assert_array_equal(held.indices, indices)
        held = held.toarray()
    else:
        held = np.array(X, order=order)
        model.fit(held, y, weight)
    assert_array_equal(held, kept[0])
    assert_array_equal(y, kept[1])
    assert_array_equal(weight, kept[2])


def peak_bytes(function, *arguments):
    """Return by how much memory grew at most during a call, garbage included."""
    gc.collect()
    gc.disable()  # When it runs is chance.
    tracemalloc.start()
    try:
        function(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.enable()


def test_what_a_point_is_measured_by_takes_no_values_for_all_rows():
    X = np.random.default_rng(0).normal(size=(10 * BLOCK_ENTRIES, 1))
    weight = np.full(len(X), 1 / len(X))
    rows = make_rows(X, weight, True)
    penalty = make_penalty(None, 0.0, 0.0, 1)
    objective = Objective(rows, X[:, 0], weight, SmoothL1(0.5), penalty)
    point = objective.evaluate(rows.standard.from_original(np.ones(1), 0.0))
    # The least of several: threads of other tests may take memory meanwhile.
    assert min(peak_bytes(stationarity, objective, point) for _ in range(3)) < X.nbytes


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("smooth_l1", 0.5),
        ("mad", 0.5),
        ("l2 penalty", 0.5),
        ("l1 penalty", 0.5),
        ("l1", 1.0),  # Holds samples of 10,000 rows, which do not grow with X.
    ],
)
def test_large_dense_data_are_not_copied(name, most, order):
    rng = np.random.default_rng(0)
    X = np.asarray(rng.normal(size=(70_000, 50)), order=order)
    y = X[:, 0] - X[:, 1] + rng.standard_t(2, size=len(X))
    assert X.nbytes == 28_000_000
    assert peak_bytes(MODELS[name].fit, X, y) < most * X.nbytes
    assert_allclose(MODELS[name].coef_[:2], [1, -1], atol=0.25)


@pytest.mark.parametrize(("name", "most"), [("smooth_l1", 5.4), ("mad", 7.5)])
def test_a_smooth_fit_holds_few_values_of_each_row(name, most):
    """In units of y; a sample's design, and what one step had, are not among them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300_000, 5))
    y = X[:, 0] - X[:, 1] + rng.standard_t(2, size=len(X))
    assert peak_bytes(MODELS[name].fit, X, y) < most * y.nbytes


def one_hot(n_samples, levels):
    """Return the indicators of random categories and the effects of their levels."""
    rng = np.random.default_rng(0)
    codes = [rng.integers(k, size=n_samples) for k in levels]
    start = np.cumsum([0, *levels[:-1]])
    columns = np.stack([c + s for c, s in zip(codes, start, strict=True)], axis=1)
    row_ends = np.arange(0, columns.size + 1, len(levels))
    shape = (n_samples, sum(levels))
    X = sparse.csr_array((np.ones(columns.size), columns.ravel(), row_ends), shape)
    effect = rng.normal(size=X.shape[1])
    return X, X @ effect + 0.5 * rng.standard_t(2, size=n_samples)


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array])
@pytest.mark.parametrize("cls", [SmoothL1Regressor, RobustRegressor])
def test_large_sparse_data_are_never_densified(cls, container):
    X, y = one_hot(10_000, [4900, 90, 10])
    X = container(X)
    model = cls(penalty="l2", alpha=1e-4)
    # The dense matrix has 400 MB, and the Gram matrix of its columns 200 MB.
    assert peak_bytes(model.fit, X, y) < 50e6
    assert peak_bytes(model.predict, X) < 5e6
    assert np.median(np.abs(y - model.predict(X))) < 0.6


def test_dask_arrays():
    import dask.array as da

    X, y, weight = make_data()
    expected = RobustRegressor().fit(X, y, weight)
    blocks = [da.from_array(a, chunks=50) for a in (X, y, weight)]
    # Blocks of unknown lengths, as the values of a dask frame are.
    everything = blocks[1] == blocks[1]
    lazy = [a[everything] for a in blocks]
    assert np.isnan(lazy[0].shape[0])
    for given in (blocks, lazy):
        model = RobustRegressor().fit(*given)
        assert_array_equal(model.coef_, expected.coef_)
        assert_array_equal(model.predict(given[0]), expected.predict(X))


@pytest.mark.parametrize("targets", [1, 2])
def test_predictions_of_other_precision_make_no_copy(targets):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200_000, 20)).astype(np.float32)
    y = rng.normal(size=(200_000, targets)).squeeze()
    model = RobustRegressor("l2", scale=1.0).fit(X[:100].astype(float), y[:100])
    expected = X.astype(float) @ model.coef_.T + model.intercept_
    assert_allclose(model.predict(X), expected, rtol=1e-12, atol=1e-12)
    # The answer, its sum, and blocks; X in double precision takes 32 MB.
    assert peak_bytes(model.predict, X) < 4 * y.nbytes + 10e6
