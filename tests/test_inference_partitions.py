"""Standard errors of rows that are elsewhere, against those of all rows in memory."""

import pickle
from itertools import pairwise
from typing import final

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from robustreg import MMRegressor, RobustRegressor
from robustreg.inference import coef_covariance, coef_table, families
from robustreg.inference.checks import checked_names
from robustreg.inference.collected import at_fit
from robustreg.losses import LOSSES, make_loss
from robustreg.partitions import Engine, InTurn, Part

BY_SUMS = sorted(name for name, one in families.SMOOTH.items() if one.by_sums)
SMOOTH = sorted(
    name
    for name in LOSSES
    if np.isfinite(make_loss(name, None, 0.5).facts.largest_curvature)
    and name != "talwar"
)


def make_data(n=2_000, seed=0):
    """Return correlated columns of many units, a target and weights, some of them 0."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    X[:, 1:] += 0.5 * X[:, :-1]
    X = X * [0.5, 1, 5, 200] + [0, 10, 0, 5_000]
    spread = 1 + np.abs(X[:, 0])
    y = X @ [1.0, -0.5, 0.2, 0.01] + 3 + spread * rng.standard_t(3, size=n)
    weight = rng.integers(0, 4, size=n).astype(float)
    weight[100:160] = 0.0
    return X, y, weight


def collected(X, y, weight, chunks):
    """Return the data as dask arrays of some chunks."""
    return [da.from_array(each, chunks=(chunks, *each.shape[1:])) for each in (X, y)], (
        None if weight is None else da.from_array(weight, chunks=(chunks,))
    )


def check_table(model, data, counted, rows, rtol, cov_type):
    """Assert that a table is that of the fit of rows in memory."""
    table = coef_table(model, *data, counted, cov_type=cov_type)
    expected = coef_table(*rows, cov_type=cov_type)
    assert_allclose(table["std_err"], expected["std_err"], rtol=rtol)
    assert_allclose(table, expected, rtol=rtol, atol=1e-12)
    assert table.attrs.pop("robust_r2") is None
    del expected.attrs["robust_r2"]
    size = expected.attrs.pop("residual_scale")
    assert_allclose(table.attrs.pop("residual_scale"), size, rtol=1e-4)
    assert table.attrs == expected.attrs
    assert list(table.index) == list(expected.index)


# Each covariance with one loss, and each loss with two.
ALL = [("smooth_l1", BY_SUMS)]
ALL += [(loss, (BY_SUMS * 9)[i : i + 2]) for i, loss in enumerate(SMOOTH)]


@pytest.mark.parametrize(("loss", "cov_types"), ALL, ids=str)
def test_the_table_is_that_of_rows_in_memory(loss, cov_types):
    X, y, weight = make_data()
    model = RobustRegressor(loss=loss, beta=None).fit(X, y, weight)
    data, counted = collected(X, y, weight, (700, 1_250, 1, 0, 49))
    for cov_type in cov_types:
        check_table(model, data, counted, (model, X, y, weight), 1e-9, cov_type)


@pytest.mark.parametrize("chunks", [2_000, (1_999, 1), (37,) * 54 + (2,)])
def test_the_table_does_not_depend_on_chunks(chunks):
    X, y, weight = make_data()
    model = RobustRegressor().fit(X, y, weight)
    data, counted = collected(X, y, weight, chunks)
    for cov_type in ("HC1", "HC3"):
        check_table(model, data, counted, (model, X, y, weight), 1e-9, cov_type)
    data, _ = collected(X, y, weight, chunks)
    check_table(model, data, weight, (model, X, y, weight), 1e-9, None)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_table_of_a_fit_by_passes(weighted):
    X, y, weight = make_data(n=140_000)
    weight = weight if weighted else None
    data, counted = collected(X, y, weight, 33_000)
    model = RobustRegressor(tol=1e-17).fit(*data, counted)
    memory = RobustRegressor(tol=1e-17).fit(X, y, weight)
    assert model.n_iter_ > 1
    for cov_type in ("HC0", "HC1", "HC3", "H1"):
        check_table(model, data, counted, (memory, X, y, weight), 1e-6, cov_type)


@pytest.mark.parametrize("options", [{"fit_intercept": False}, {"quantile": 0.8}])
def test_without_an_intercept_and_tilted(options):
    X, y, _ = make_data()
    model = RobustRegressor(**options).fit(X, y)
    data, _ = collected(X, y, None, 300)
    for cov_type in BY_SUMS:
        covariance = coef_covariance(model, *data, cov_type=cov_type)
        expected = coef_covariance(model, X, y, cov_type=cov_type)
        assert_allclose(covariance, expected, rtol=1e-9, atol=1e-9 * expected.max())


def test_frames_have_names_and_unknown_lengths():
    X, y, weight = make_data()
    rows = pd.DataFrame(X, columns=list("abcd")).assign(y=y, w=weight)
    frame = dd.from_pandas(rows, npartitions=5)
    frame = frame[frame["a"] > -0.5]
    rows = rows[rows["a"] > -0.5]
    names = list("abcd")
    model = RobustRegressor().fit(frame[names], frame["y"], frame["w"])
    memory = RobustRegressor().fit(rows[names], rows["y"], rows["w"])
    table = coef_table(model, frame[names], frame["y"], frame["w"])
    expected = coef_table(memory, rows[names], rows["y"], rows["w"])
    assert list(table.index) == [*names, "intercept"]
    assert_allclose(table, expected, rtol=1e-6)
    with pytest.raises(ValueError, match="columns of X must be those of the fit"):
        coef_table(model, frame[names[::-1]], frame["y"], frame["w"])


def test_float32_and_sparse_blocks():
    X, y, _ = make_data()
    single = X.astype(np.float32)
    model = RobustRegressor().fit(single, y)
    data, _ = collected(single, y, None, 512)
    expected = coef_covariance(model, single, y)
    assert_allclose(coef_covariance(model, *data), expected, rtol=1e-6)
    X[np.abs(X) < 1] = 0.0
    model = RobustRegressor().fit(sparse.csr_matrix(X), y)
    blocks = da.from_array(X, chunks=(512, 4)).map_blocks(sparse.csr_matrix)
    found = coef_covariance(model, blocks, da.from_array(y, chunks=512))
    assert_allclose(found, coef_covariance(model, X, y), rtol=1e-9)


def test_an_mm_estimate_has_the_covariances_of_smooth_losses():
    X, y, _ = make_data()
    model = MMRegressor(random_state=0).fit(X, y)
    data, _ = collected(X, y, None, 512)
    expected = coef_covariance(model, X, y, cov_type="HC1")
    found = coef_covariance(model, *data, cov_type="HC1")
    assert_allclose(found, expected, rtol=1e-9)


def in_turn(X, y, edges):
    """Return an engine of parts between edges."""

    def reader(low, high):
        rows = slice(low, high)
        ones = np.ones(high - low)
        return lambda: Part(X[rows], y[rows, None], ones, np.arange(low, high))

    return InTurn([reader(*ends) for ends in pairwise(edges)], *X.shape, 1)


@pytest.mark.parametrize("cov_type", ["HC0", "HC1", "HC3", "H1", "H2", "H3", "XtX"])
def test_columns_that_all_but_depend_on_each_other(cov_type):
    X, y, _ = make_data()
    X[:, 1] = X[:, 0] + 1e-6 * X[:, 1]
    model = RobustRegressor(loss="pseudo_huber").fit(X, y)
    data, _ = collected(X, y, None, 300)
    found = coef_covariance(model, *data, cov_type=cov_type)
    expected = coef_covariance(model, X, y, cov_type=cov_type)
    assert_allclose(np.diag(found), np.diag(expected), rtol=1e-6)


@pytest.mark.parametrize(
    ("cov_type", "passes"), [("HC1", 2), ("H1", 2), ("HC3", 3), ("XtWX", 3)]
)
def test_passes(cov_type, passes):
    X, y, _ = make_data()
    model = RobustRegressor().fit(X, y)
    engine = in_turn(X, y, [0, 500, 2_000])
    loss = make_loss(model.loss, model.beta, 0.5)
    families.SMOOTH[cov_type].compute(at_fit(engine, model, checked_names(model), loss))
    assert len(engine.passes) == passes
    assert max(each.nbytes for each in engine.passes[1:]) < 1_000


def refused(message, *args, error=ValueError, **options):
    """Assert that a table is refused, before anything is read."""

    def never(block):
        raise AssertionError("was read")

    model, X, y = args
    data = [
        da.from_array(each, chunks=500).map_blocks(never, dtype=float, meta=each[:0])
        for each in (X, y)
    ]
    with pytest.raises(error, match=message):
        coef_table(model, *data, **options)


@pytest.mark.parametrize(
    ("loss", "cov_type", "named"),
    [
        ("huber", "bootstrap", "bootstrap"),
        ("huber", "cluster", "cluster"),
        ("talwar", None, "HC1"),
        ("talwar", "HC0", "HC0"),
        ("l1", None, "powell"),
        ("l1", "nid", "nid"),
        ("mm", None, "avar1"),
    ],
)
def test_what_does_not_take_collections_is_refused_by_name(loss, cov_type, named):
    X, y, _ = make_data(300)
    given = RobustRegressor(loss=loss, beta=None, scale=1.5)
    model = MMRegressor(random_state=0) if loss == "mm" else given
    groups = np.arange(300) if cov_type == "cluster" else None
    message = rf"cov_type='{named}' does not take dask collections.*X\.compute\(\)"
    refused(message, model.fit(X, y), X, y, cov_type=cov_type, groups=groups)


def test_the_way_out_names_what_takes_collections():
    X, y, _ = make_data(300)
    model = MMRegressor(random_state=0).fit(X, y)
    refused("Use one of .*'HC1'", model, X, y)


def test_what_has_no_standard_errors_is_refused_as_in_memory():
    X, y, _ = make_data()
    data, _ = collected(X, y, None, 300)

    def check(message, model, X, y):
        with pytest.raises(ValueError, match=message):
            coef_table(model, X, y)

    model = RobustRegressor().fit(X, y)
    check("do not minimise the loss", model, data[0], data[1][::-1])
    check("one target", model, data[0], da.stack([data[1]] * 2, axis=1))
    check("4 columns", model, data[0][:, :3], data[1])
    doubled = np.column_stack([X, X[:, 0] + X[:, 1]])
    blocks = da.from_array(doubled, chunks=(300, 5))
    model = RobustRegressor().fit(doubled, y)
    check("x0, x1, x4 do not exist", model, blocks, data[1])
    constant = np.column_stack([X, np.ones(len(X))])
    model = RobustRegressor().fit(constant, y)
    check("constant in x4", model, da.from_array(constant, chunks=(300, 5)), data[1])
    few = da.from_array(X[:5], chunks=(2, 4)), da.from_array(y[:5], chunks=2)
    model = RobustRegressor(loss="l2", scale=1.0).fit(X[:5], y[:5])
    check("more rows than coefficients. Got 5 rows", model, *few)
    exact = X @ [1.0, 2.0, 3.0, 4.0]
    with pytest.warns(UserWarning):
        model = RobustRegressor().fit(X, exact)
    check("collapsed", model, data[0], da.from_array(exact, chunks=300))


def test_a_row_that_decides_its_own_prediction_is_named():
    X, y, _ = make_data()
    X[:, 1] = 0.0
    X[1_234, 1] = 1.0
    model = RobustRegressor().fit(X, y)
    data, _ = collected(X, y, None, 300)
    assert coef_covariance(model, *data).shape == (5, 5)
    with pytest.raises(ValueError, match="Row 1234 decides its own") as refused:
        coef_covariance(model, *data, cov_type="HC3")
    assert not hasattr(refused.value, "__notes__"), "the partition was looked for"


@final
class Posted(Engine):
    """Sends what is asked of a part as bytes, and its tally back, as to processes."""

    def __init__(self, engine):
        super().__init__()
        self.engine = engine
        self.n_rows, self.n_features = engine.n_rows, engine.n_features
        self.n_targets = engine.n_targets

    def _tally(self, verb, args):
        verb, args = pickle.loads(pickle.dumps((verb, args)))
        return pickle.loads(pickle.dumps(self.engine.run(verb, *args)))


@pytest.mark.parametrize("cov_type", BY_SUMS)
def test_whatever_is_asked_travels(cov_type):
    X, y, _ = make_data()
    X[:, 1] = X[:, 0] + 1e-6 * X[:, 1]
    model, compute = RobustRegressor().fit(X, y), families.SMOOTH[cov_type].compute
    loss = make_loss(model.loss, model.beta, 0.5)
    names = checked_names(model)
    here, there = in_turn(X, y, [0, 500, 2_000]), in_turn(X, y, [0, 500, 2_000])
    found = compute(at_fit(Posted(there), model, names, loss))
    assert_array_equal(found, compute(at_fit(here, model, names, loss)))
