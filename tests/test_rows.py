"""Every container and every product against the explicitly standardised design."""

import tempfile
import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from calls import calls_of

from robustreg.losses import SmoothL1
from robustreg.objective import Objective
from robustreg.penalties import make_penalty
from robustreg.rows import BLOCK_ENTRIES, dense, make_rows

EPS = np.finfo(float).eps
N_ROWS = 700


def plain_data():
    """Return columns near 0, half of them zeros, and three that do not vary."""
    rng = np.random.default_rng(0)
    X = rng.normal(1.0, [1.0, 10.0, 0.1, 1.0, 1e-6, 1.0, 1.0], (N_ROWS, 7))
    X[rng.random(X.shape) < 0.5] = 0.0
    X[:, 3], X[:, 5], X[:, 6] = 0.0, 0.1, -17.3
    # All of it fits float32, so that every container holds the same numbers.
    return X.astype(np.float32).astype(np.float64)


def far_data():
    """Return columns far from 0, in units of their spread, and some near it."""
    rng = np.random.default_rng(1)
    offset = np.array([1e8, 1.7e12, 0.0, -4e5, 300.0])
    X = offset + rng.normal(size=(N_ROWS, 5))
    return np.column_stack([X, np.full(N_ROWS, 1e8 + 0.1)])


def far_data32():
    """Return columns far from 0 that float32 resolves."""
    X = np.random.default_rng(2).normal([0.0, 5e5], [1.0, 30.0], (N_ROWS, 2))
    return X.astype(np.float32).astype(np.float64)


def strided(X):
    """Return every second row and column of a larger array."""
    wide = np.full((2 * X.shape[0], 2 * X.shape[1]), np.nan)
    wide[::2, ::2] = X
    return wide[::2, ::2]


def frozen(X):
    """Return an array or a CSR matrix of which no part can be written to."""
    X = X.copy()
    for part in parts_of(X):
        part.setflags(write=False)
    return X


def memory_mapped(X):
    """Return an array whose numbers lie in a file."""
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, X.dtype, "w+", shape=X.shape)
    mapped[:] = X
    return mapped


def int64_indices(X):
    """Return a CSR matrix whose indices have 64 bits."""
    X = scipy.sparse.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def duplicates(X):
    """Return a CSR matrix that stores entries in two halves and out of order."""
    X = scipy.sparse.csr_matrix(X)
    row = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    row, column = np.append(row[::-1], row), np.append(X.indices[::-1], X.indices)
    data = np.append(X.data[::-1], X.data) / 2
    order = np.argsort(row, kind="stable")
    parts = (data[order], column[order], 2 * X.indptr)
    return scipy.sparse.csr_matrix(parts, shape=X.shape)


def parts_of(X):
    """Return the arrays that a container consists of."""
    if scipy.sparse.issparse(X):
        names = ("row", "col") if X.format == "coo" else ("indices", "indptr")
        return [X.data, *(getattr(X, name) for name in names)]
    return [X]


DOUBLE = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": strided,
    "frozen": frozen,
    "memory-mapped": memory_mapped,
    "csr": scipy.sparse.csr_matrix,
    "csc": scipy.sparse.csc_array,
    "coo": scipy.sparse.coo_array,
    "int64": int64_indices,
    "duplicates": duplicates,
    "frozen csr": lambda X: frozen(scipy.sparse.csr_matrix(X)),
}
SINGLE = {
    "float32": lambda X: X.astype(np.float32),
    "Fortran32": lambda X: np.asfortranarray(X, dtype=np.float32),
    "csr32": lambda X: scipy.sparse.csr_array(X.astype(np.float32)),
}


def not_formed(X, weight, fit_intercept):
    """Return the rows of an array as if they were many."""
    return dense.DenseRows(X, make_rows(X, weight, fit_intercept).standard)


# The design of the few rows of an array is formed, but not that of many.
MAKE = {"made": make_rows, "not formed": not_formed}
CONTAINERS = [
    *((plain_data, name, f) for name, f in {**DOUBLE, **SINGLE}.items()),
    *((far_data, name, f) for name, f in DOUBLE.items()),
    *((far_data32, name, f) for name, f in SINGLE.items()),
]
CASES = {
    f"{data.__name__}-{name}-{how}": (data, container, make)
    for data, name, container in CONTAINERS
    for how, make in MAKE.items()
    if how == "made" or isinstance(container(np.eye(2)), np.ndarray)
}
every_case = pytest.mark.parametrize("data, container, make", CASES.values(), ids=CASES)
with_or_without_intercept = pytest.mark.parametrize("fit_intercept", [True, False])
dense_and_sparse = pytest.mark.parametrize(
    "container", [np.ascontiguousarray, scipy.sparse.csr_matrix]
)


def some_weight():
    """Return weights, some of them 0."""
    rng = np.random.default_rng(3)
    return rng.exponential(size=N_ROWS) * (rng.random(N_ROWS) < 0.8)


@pytest.fixture
def three_blocks(monkeypatch):
    """Run with the data in three blocks."""
    monkeypatch.setattr(dense, "BLOCK_ENTRIES", 1)


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request, three_blocks):
    """Return a function that makes rows, and the numbers that they hold."""
    data, container, make = request.param
    X = data()
    return lambda intercept: make(container(X), some_weight(), intercept), X


def explicit(rows, X):
    """Return the design, and how large the terms are that cancel in its entries.

    Columns near 0 may be shifted after a product, which costs digits; far ones not.
    """
    s = rows.standard
    design = (X.astype(np.longdouble) - s.shift) * s.unit
    offset = np.abs(s.shift) * s.unit
    size = np.abs(design) + np.where(offset <= 1e3, offset, 0.0)
    edge = np.full((X.shape[0], 1), s.constant)
    return np.hstack([design, edge]), np.hstack([size, edge])


def assert_close(found, expected, size, dtype=np.float64):
    """Compare a product with one whose terms have absolute sums of some size."""
    assert np.shape(found) == expected.shape
    # Sums of 700 terms: at worst 700 rounding errors, here seldom more than 30.
    assert (np.abs(found - expected) <= 64 * np.finfo(dtype).eps * size).all()


@with_or_without_intercept
def test_predict_and_adjoint(case, fit_intercept):
    make, X = case
    rows = make(fit_intercept)
    design, size = explicit(rows, X)
    rng = np.random.default_rng(4)
    params, v = rng.normal(size=rows.n_params), rng.normal(size=N_ROWS)
    assert (rows.n_rows, rows.n_params) == (N_ROWS, X.shape[1] + 1)
    assert_close(rows.predict(params), design @ params, size @ np.abs(params))
    assert_close(rows.adjoint(v), design.T @ v, size.T @ np.abs(v))


@with_or_without_intercept
@pytest.mark.parametrize("count", [0, 1, 3])
def test_products_with_several_vectors(case, fit_intercept, count):
    make, X = case
    rows = make(fit_intercept)
    design, size = explicit(rows, X)
    rng = np.random.default_rng(4)
    params = rng.normal(size=(count, rows.n_params))
    v = rng.normal(size=(count, N_ROWS))
    predicted, bound = params @ design.T, np.abs(params) @ size.T
    assert_close(rows.predict_each(params), predicted, bound)
    assert_close(rows.adjoint_each(v), v @ design, np.abs(v) @ size)


@with_or_without_intercept
def test_gram_and_root_on_any_columns(case, fit_intercept):
    make, X = case
    rows = make(fit_intercept)
    design, size = explicit(rows, X)
    last, c = rows.n_params - 1, some_weight()
    every = range(rows.n_params)
    for columns in (every, every[:-1], every[::-1], [last], [1, 0], [last, 0, 1], []):
        columns = np.array(columns, dtype=np.intp)
        part, largest = design[:, columns], size[:, columns]
        gram, bound = part.T * c @ part, largest.T * c @ largest
        root = rows.root(c, columns)
        assert_close(rows.gram(c, columns), gram, bound)
        assert_close(root.T @ root, gram, bound)
        assert root.shape[0] <= columns.size
        assert not rows.gram(0 * c, columns).any()
        assert not rows.root(0 * c, columns).any()


@with_or_without_intercept
def test_cross_of_some_rows_with_some_columns(case, fit_intercept):
    make, X = case
    rows = make(fit_intercept)
    rng = np.random.default_rng(8)
    last = rows.n_params - 1
    for count in (0, 1, 400):
        index = np.sort(rng.choice(N_ROWS, count, replace=False))
        design, size = (part[index] for part in explicit(rows, X))
        c, v = rng.normal(size=(2, count))
        for columns in ([0, 1, last], [last], [1], []):
            columns = np.array(columns, dtype=np.intp)
            product, adjoint = rows.cross(index, c, columns, v)
            expected = design.T * c @ design[:, columns]
            bound = size.T * np.abs(c) @ size[:, columns]
            assert_close(product, expected, bound)
            assert_close(adjoint, design.T @ v, size.T @ np.abs(v))


@with_or_without_intercept
def test_some_columns_and_norms(case, fit_intercept):
    make, X = case
    rows = make(fit_intercept)
    params, v = np.random.default_rng(9).normal(size=(2, N_ROWS))
    design, size = explicit(rows, X)
    for index in ([0, 1, rows.n_params - 1], [rows.n_params - 1]):
        index = np.array(index)
        few, part, largest = rows.columns(index), design[:, index], size[:, index]
        some = params[: index.size]
        assert_close(few.predict(some), part @ some, largest @ np.abs(some))
        assert_close(few.adjoint(v), part.T @ v, largest.T @ np.abs(v))
        norms = np.sqrt((part**2).sum(axis=1)).astype(float)
        assert (few.norms() >= norms * (1 - 1e-9) - 1e-9).all()
        assert (few.norms() <= 2 * np.sqrt((largest**2).sum(axis=1)) + 1).all()


@with_or_without_intercept
def test_design(case, fit_intercept):
    make, X = case
    rows = make(fit_intercept)
    expected, size = explicit(rows, X)
    matrix, offset = rows.entries()
    matrix = matrix.toarray() if scipy.sparse.issparse(matrix) else matrix
    assert_close(matrix - np.append(offset, 0.0), expected, size)


@with_or_without_intercept
@pytest.mark.parametrize("count", [0, 1, 300])
def test_take(case, fit_intercept, count):
    make, X = case
    rows = make(fit_intercept)
    index = np.random.default_rng(5).integers(N_ROWS, size=count)
    taken, one = rows.take(index), np.ones(count)
    design, size = (part[index] for part in explicit(rows, X))
    params, columns = np.ones(rows.n_params), np.arange(rows.n_params)
    assert (taken.n_rows, taken.passes) == (count, 0)
    assert taken.standard is rows.standard
    assert_close(rows.dense(index), design, size)
    assert_close(taken.predict(params), design @ params, size.sum(axis=1))
    assert_close(taken.adjoint(one), design.sum(axis=0), size.sum(axis=0))
    assert_close(taken.gram(one, columns), design.T @ design, size.T @ size)


@with_or_without_intercept
def test_map_reduce_sums_over_blocks_that_cover_the_rows_once(case, fit_intercept):
    make, X = case
    rows = make(fit_intercept)
    design, size = explicit(rows, X)
    v, params, seen = np.linspace(-1, 2, N_ROWS), np.ones(rows.n_params), []

    def terms(place, block):
        seen.extend(np.column_stack([range(N_ROWS)[place], block.predict(params)]))
        return block.adjoint(v[place]), float(len(range(N_ROWS)[place]))

    adjoint, count = rows.map_reduce(terms)
    order, predicted = np.array(seen).T
    np.testing.assert_array_equal(order, np.arange(N_ROWS))
    assert count == N_ROWS
    assert_close(predicted, design @ params, size.sum(axis=1))
    assert_close(adjoint, design.T @ v, size.T @ np.abs(v))


@with_or_without_intercept
def test_extended_products_round_later(case, fit_intercept):
    make, X = case
    rows = make(fit_intercept).in_precision(np.longdouble)
    design, size = explicit(rows, X)
    rng = np.random.default_rng(10)
    params = rng.normal(size=rows.n_params).astype(np.longdouble)
    v = rng.normal(size=N_ROWS).astype(np.longdouble)
    predict, adjoint = design @ params, design.T @ v
    assert_close(rows.predict(params), predict, size @ np.abs(params), np.longdouble)
    assert_close(rows.adjoint(v), adjoint, size.T @ np.abs(v), np.longdouble)
    assert rows.n_rows == N_ROWS


def test_columns_have_mean_0_and_deviation_1(case):
    make, X = case
    weight = some_weight().astype(np.longdouble) / some_weight().sum()
    mean = weight @ X
    deviation, root = np.sqrt(weight @ (X - mean) ** 2), np.sqrt(weight @ X**2)
    s, varies = make(True).standard, X.min(axis=0) < X.max(axis=0)
    # The deviation is from a mean that has rounding errors of its own.
    slip = 32 * EPS * (np.abs(mean) + deviation)
    assert (np.abs(s.shift - mean) <= slip).all()
    np.testing.assert_array_equal(s.unit > 0, varies)
    error = np.abs(1 / s.unit[varies] - deviation[varies])
    assert (error <= slip[varies] + 64 * EPS * deviation[varies]).all()
    assert s.constant == 1
    s = make(False).standard
    np.testing.assert_allclose((s.unit * root)[root > 0], 1, 64 * EPS)
    assert not s.unit[root == 0].any() and not s.shift.any() and s.constant == 0


@dense_and_sparse
@pytest.mark.parametrize("n_rows", [10, 1_000, 50_000])
def test_a_constant_column_is_known_however_its_mean_is_rounded(container, n_rows):
    X = np.full((n_rows, 5), [0.1, -17.3, 1e8 + 0.1, 1 / 3, 3.3e5])
    for weight in (np.ones(n_rows), np.random.default_rng(9).random(n_rows)):
        assert not make_rows(container(X), weight, True).standard.unit.any()


@with_or_without_intercept
@dense_and_sparse
@pytest.mark.parametrize("data", [plain_data, far_data])
def test_weights_are_repeated_rows_in_any_unit(data, container, fit_intercept):
    X, count = data(), np.random.default_rng(6).integers(0, 4, N_ROWS)
    again = np.repeat(X, count, axis=0)
    repeated = make_rows(container(again), np.ones(len(again)), fit_intercept).standard
    offset = np.abs(repeated.shift * repeated.unit)
    for unit in (1.0, 1e-200, 1e200):
        s = make_rows(container(X), unit * count, fit_intercept).standard
        np.testing.assert_allclose(s.shift, repeated.shift, 64 * EPS, 64 * EPS)
        # Sums of a thousand equal squares round one way.
        rtol = 256 * EPS * (1 + offset)
        assert (np.abs(s.unit - repeated.unit) <= rtol * s.unit).all()


@with_or_without_intercept
def test_params_go_to_original_columns_and_back(case, fit_intercept):
    s = case[0](fit_intercept).standard
    params = np.where(np.append(s.unit > 0, fit_intercept), 1.5, 0.0)
    back = s.from_original(*s.to_original(params))
    np.testing.assert_allclose(back[:-1], params[:-1], 8 * EPS)
    # The intercept is a difference of terms as large as the offsets.
    atol = 8 * EPS * (1 + 1.5 * np.abs(s.shift * s.unit).sum())
    np.testing.assert_allclose(back[-1], params[-1], 0, atol)


@every_case
def test_nothing_writes_to_the_data(data, container, make):
    X, c = container(data()), some_weight()
    before = [part.copy() for part in parts_of(X)]
    rows = make(X, c, True)
    columns, params = np.arange(rows.n_params), np.ones(rows.n_params)
    rows.predict(params), rows.adjoint(c), rows.gram(c, columns), rows.root(c, columns)
    rows.entries(), rows.take(columns).predict(params)
    rows.map_reduce(lambda place, block: (block.predict(params).sum(),))
    for part, old in zip(parts_of(X), before, strict=True):
        np.testing.assert_array_equal(part, old, strict=True)


def evaluate(rows, c):
    """Evaluate an objective at 0."""
    penalty = make_penalty("l2", 1.0, 0.5, rows.n_params - 1)
    return Objective(rows, c, c, SmoothL1(1.0), penalty).evaluate(
        np.zeros(rows.n_params)
    )


FEW = np.arange(50)
PRODUCTS = {
    "standardise": lambda rows, X, c: make_rows(X, c, True),
    "evaluate": lambda rows, X, c: evaluate(rows, c),
    "predict": lambda rows, X, c: rows.predict(np.ones(rows.n_params)),
    "adjoint": lambda rows, X, c: rows.adjoint(c),
    "gram": lambda rows, X, c: rows.gram(c, FEW),
    "root": lambda rows, X, c: rows.root(c * (c > 0.9), FEW),
}


def peak_of(product, X, c):
    """Return the most memory that a product held, in bytes."""
    rows = make_rows(X, c, True)
    tracemalloc.start()
    try:
        PRODUCTS[product](rows, X, c)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def large():
    """Return 50 MB of numbers, in rows of 50, and weights."""
    rng = np.random.default_rng(7)
    return rng.random((125_000, 50)), rng.random(125_000)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("kind", ["C", "Fortran", "float32", "far"])
def test_dense_data_is_not_copied(large, kind, product):
    X, c = large
    X = {"Fortran": np.asfortranarray, "float32": np.float32}.get(kind, np.asarray)(X)
    X = X + 1e8 if kind == "far" else X
    assert peak_of(product, X, c) < 0.2 * X.nbytes


@pytest.mark.parametrize("product", PRODUCTS)
def test_sparse_data_is_not_densified(product):
    rng, n = np.random.default_rng(8), 50_000
    # Each row has one value far from 0, in column 0, and two anywhere.
    column = np.column_stack([np.zeros(n), rng.integers(1, 2_000, (n, 2))])
    value = np.column_stack([1e6 + rng.random(n), rng.random((n, 2))])
    parts = (value.ravel(), column.ravel().astype(int), 3 * np.arange(n + 1))
    X = scipy.sparse.csr_matrix(parts, shape=(n, 2_000))
    X.sum_duplicates()
    # Dense it would be 800 MB; 256 rows of it are 4 MB, its entries 2 MB.
    assert peak_of(product, X, rng.random(n)) < 40e6


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("container", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
def test_a_large_sparse_matrix_is_dense_where_that_takes_less(container, dtype, share):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(30_000, 10)) * (rng.random((30_000, 10)) < share)
    X, weight = X.astype(dtype), rng.random(len(X))
    rows = make_rows(container(X), weight, True, exactly=True)
    assert (rows.stored is None) == (share > 0.5)
    params, expected = rng.normal(size=11), make_rows(X, weight, True, exactly=True)
    np.testing.assert_allclose(rows.predict(params), expected.predict(params), 0, 1e-5)


@dense_and_sparse
def test_passes_count_the_share_of_rows(container):
    rows, c = make_rows(container(plain_data()), some_weight(), True), np.zeros(N_ROWS)
    rows.map_reduce(lambda place, block: (1.0,))
    assert rows.passes == 1
    c[: N_ROWS // 4] = 1.0
    rows.gram(c, FEW[:2])
    rows.root(c, FEW[:2])
    assert rows.passes == 1.5
    rows.gram_diagonal(c)
    rows.cross(np.flatnonzero(c), c[c > 0], FEW[:2], c[c > 0])
    assert rows.passes == 2
    # What these cost is for the caller to count.
    rows.predict(np.ones(rows.n_params))
    rows.adjoint(c)
    rows.predict_each(np.ones((2, rows.n_params)))
    rows.adjoint_each(np.vstack([c, c]))
    rows.norms(), rows.entries(), rows.dense(FEW[:2])
    assert rows.passes == 2


@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_array])
def test_the_root_of_no_columns_takes_no_memory(container):
    X = np.random.default_rng(0).normal(size=(100_000, 3))
    weight = np.full(len(X), 1e-5)
    rows = make_rows(container(X), weight, True)
    assert rows.root(weight, np.arange(0)).shape == (0, 0)


def test_the_root_of_a_narrow_sparse_design_takes_few_blocks():
    X = np.random.default_rng(0).normal(size=(100_000, 2))
    rows = make_rows(scipy.sparse.csc_array(X * (X > 1.5)), np.ones(100_000), True)
    sizes = [block.size for block in rows.weighted(np.ones(100_000), np.arange(3))]
    assert len(sizes) <= 4
    assert max(sizes) <= BLOCK_ENTRIES


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("columns", [np.arange(8), np.array([0, 3, 4, 7])])
def test_few_sparse_entries_are_made_dense_once(monkeypatch, fit_intercept, columns):
    rng = np.random.default_rng(0)
    X = scipy.sparse.csr_array(rng.normal(size=(40, 7)) * (rng.random((40, 7)) < 0.3))
    made = calls_of(monkeypatch, scipy.sparse.csr_array, "toarray")
    c = np.where(rng.random(40) < 0.7, rng.random(40), 0.0)
    few = make_rows(X, np.ones(40), fit_intercept)
    grams = [few.gram(weight, columns) for weight in (np.ones(40), c)]
    assert len(made) == 1
    monkeypatch.setattr("robustreg.rows.sparse.FEW_SPARSE_ENTRIES", 0)
    many = make_rows(X, np.ones(40), fit_intercept)
    for gram, weight in zip(grams, (np.ones(40), c), strict=True):
        expected = many.gram(weight, columns)
        np.testing.assert_allclose(gram, expected, rtol=0, atol=1e-14 * weight.sum())


def test_sparse_rows_are_transposed_once(monkeypatch):
    rows = make_rows(scipy.sparse.csr_array(np.eye(9)), np.ones(9), True)
    made = calls_of(monkeypatch, scipy.sparse.csr_array, "transpose")
    first, second = (rows.adjoint(np.ones(9)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert len(made) == 1
