"""The half of the rows that is central in X, and MM-estimates that start from it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from robustreg import MMRegressor
from robustreg.breakdown import Search, s_estimate, tukey_for_breakdown
from robustreg.breakdown.central import central_halves, spanning
from robustreg.breakdown.m_scale import SCriterion
from robustreg.rows import make_rows

COEF = np.array([1.0, -2.0, 3.0])


def columns(n=200, p=4, seed=0):
    """Return correlated columns in different units, with offsets."""
    rng = np.random.default_rng(seed)
    turned = rng.normal(size=(n, p)) @ rng.normal(size=(p, p))
    return turned * 10.0 ** np.arange(-1, p - 1) + 7.0


def make_data(n=200, seed=0, share=0.3):
    """Return data with a share of rows that are wrong in X and in y."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, COEF.size))
    y = X @ COEF + 4.0 + rng.normal(size=n)
    n_wrong = int(share * n)
    X[:n_wrong] += 15.0
    y[:n_wrong] += 100.0
    return X, y


def fit_central(X, y, weight=None, **params):
    """Return the fit that starts from central rows only."""
    return MMRegressor(n_subsets=0, **params).fit(X, y, weight)


def assert_same_fit(one, other, rtol=1e-8):
    assert_allclose(one.coef_, other.coef_, rtol=rtol, atol=rtol)
    assert_allclose(one.intercept_, other.intercept_, rtol=rtol, atol=rtol)
    assert_allclose(one.scale_, other.scale_, rtol=rtol)


# The rows.


def test_halves_have_half_of_the_weight():
    weight = np.random.default_rng(1).uniform(0.1, 3.0, 200)
    halves = central_halves(columns(), weight)
    assert halves.shape == (2, 200)
    held = halves @ weight / weight.sum()
    assert (held >= 0.5).all() and (held <= 0.5 + 3.0 / weight.sum()).all()


def test_of_one_column_the_half_around_the_median():
    x = np.random.default_rng(0).standard_t(2, 101)
    distance = np.abs(x - np.median(x))
    expected = distance <= np.median(distance)
    assert_array_equal(central_halves(x[:, None], np.ones(101)), [expected] * 2)


@pytest.mark.parametrize("size", [30.0, 1e6, 1e100, 1e200])
def test_far_rows_are_not_central(size):
    X = columns() - 7.0
    X[:80] *= size
    halves = central_halves(X, np.ones(200))
    # Of the far ones those near 0 only.
    assert halves[:, :80].sum() <= (20 if size < 100 else 0)


def test_rows_across_correlated_columns_are_not_central():
    # No column shows them: they are far in the difference only.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4)) * 0.1 + rng.normal(size=(200, 1))
    X[:30] += [0.6, 0.6, -0.6, -0.6]
    by_column, by_axis = central_halves(X, np.ones(200))
    assert by_column[:30].any() and not by_axis[:30].any()


def test_halves_of_weights_are_those_of_repeated_rows():
    # Also where correlations are 0 but for rounding, so that any axes are principal.
    levels = np.array(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3)).reshape(3, -1).T
    for X in (columns(60), levels):
        count = np.random.default_rng(1).integers(1, 4, len(X))
        weighted = central_halves(X, count / count.sum())
        repeated = central_halves(X.repeat(count, 0), np.ones(count.sum()))
        assert_array_equal(weighted.repeat(count, 1), repeated)


def test_halves_do_not_depend_on_units_offsets_and_order_of_columns():
    X, weight = columns(), np.ones(200)
    moved = X[:, [2, 0, 3, 1]] * [-1.0, 1e6, 1e-6, 3.0] + [5.0, 0.0, 1.0, -1e3]
    assert_array_equal(central_halves(moved, weight), central_halves(X, weight))


def test_dummies_have_no_say():
    X, weight = columns(), np.ones(200)
    dummies = np.random.default_rng(0).random((200, 3)) < [0.01, 0.3, 0.5]
    plain = central_halves(X, weight)
    more = np.column_stack([dummies, X]).astype(float)
    assert_array_equal(central_halves(more, weight), plain)
    assert central_halves(dummies.astype(float), weight).all()
    assert central_halves(np.ones((200, 1)), weight).all()


def test_columns_that_are_mostly_zero_and_dependent_ones():
    X, weight = columns(), np.ones(200)
    X[:, 1] *= np.arange(200) % 3 == 0
    more = np.column_stack([X, X[:, 0], X[:, 2] - X[:, 3]])
    more[:40] += 1e4 * np.arange(1.0, 7.0)
    halves = central_halves(more, weight)
    assert not halves[:, :40].any()
    assert (halves.sum(axis=1) <= 102).all()


# The fit.


def test_no_chance():
    X, y = make_data()
    one = fit_central(X, y, random_state=1)
    for state in (2, None):
        assert_array_equal(one.coef_, fit_central(X, y, random_state=state).coef_)


@pytest.mark.parametrize("n", [80, 6000])
def test_s_estimate_is_a_local_minimum(n):
    X, y = make_data(n)
    weight = np.ones(n)
    rows, constant = make_rows(X, weight, True), tukey_for_breakdown(0.5)
    rng = np.random.default_rng(0)
    found = s_estimate(rows, y, weight, Search(constant, 0.5, 0, 0), 1e-12)
    criterion = SCriterion(constant, 0.5 * (1 - 4 / n), 1e-12)
    for _ in range(50):
        residual = y - rows.predict(found.params + 1e-3 * rng.normal(size=4))
        assert criterion.scale(residual, weight / n) >= found.scale


def test_equivariance():
    X, y = make_data()
    plain = fit_central(X, y)
    turned = fit_central(X, -3.0 * y + X @ [5.0, -7.0, 100.0] + 9.0)
    assert_allclose(turned.coef_, -3.0 * plain.coef_ + [5.0, -7.0, 100.0], rtol=1e-8)
    assert turned.scale_ == pytest.approx(3.0 * plain.scale_, rel=1e-9)
    unit = np.array([1e-6, -1.0, 1e6])
    scaled = fit_central(X * unit + [0.0, 1e3, 0.0], y)
    assert_allclose(scaled.coef_ * unit, plain.coef_, rtol=1e-7)
    assert scaled.scale_ == pytest.approx(plain.scale_, rel=1e-9)


@pytest.mark.parametrize("n", [60, 5000])
def test_weights_are_repeated_rows_in_any_order(n):
    rng = np.random.default_rng(0)
    X, y = make_data(n)
    count, order = rng.integers(0, 4, n), rng.permutation(n)
    weighted = fit_central(X[order], y[order], count[order])
    assert_same_fit(weighted, fit_central(X.repeat(count, 0), y.repeat(count)))


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array])
def test_sparse_and_dummies(container):
    X, y = make_data()
    level = np.random.default_rng(0).integers(0, 5, 200)
    whole = np.column_stack([X, level[:, None] == np.arange(1, 5)]).astype(float)
    dense = fit_central(whole, y)
    assert_same_fit(fit_central(container(whole), y), dense)
    assert_allclose(dense.coef_, [*COEF, 0, 0, 0, 0], atol=0.7)
    only = fit_central(whole[:, 3:], y)
    assert only.scale_ == pytest.approx(MMRegressor().fit(whole[:, 3:], y).scale_)


@pytest.mark.parametrize("size", [15.0, 1e6, 1e100])
@pytest.mark.parametrize("n", [200, 6000])
def test_far_rows_that_are_wrong(size, n):
    X, y = make_data(n, share=0.0)
    clean, n_wrong = fit_central(X, y), int(0.35 * n)
    X[:n_wrong] = size * (1 + 0.3 * X[:n_wrong])
    y[:n_wrong] = -100.0 * size
    fit = fit_central(X, y)
    assert_allclose(fit.coef_, clean.coef_, atol=0.4)
    assert (fit.weights_[:n_wrong] == 0).all()


def test_far_rows_that_the_smallest_scale_follows():
    # The slopes explain so little that to lose them costs little.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = 0.5 * X.sum(axis=1) + rng.normal(size=300)
    X[:105] += rng.uniform(10, 30, (105, 1))
    smallest, central = MMRegressor().fit(X, y), fit_central(X, y)
    assert smallest.scale_ < 0.8 * central.scale_
    assert abs(smallest.coef_.mean()) < 0.1
    assert_allclose(central.coef_, 0.5, atol=0.2)


def test_price_is_rows_that_no_column_shows():
    # What the guide says. Random subsets, which have no centre, find the others.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1)) + 0.3 * rng.normal(size=(200, 5))
    y = X.sum(axis=1) + rng.normal(size=200)
    X[:60] = np.array([0.4, -1.5, 0.9, 0.9, -0.7]) + 0.03 * X[:60]
    y[:60] = 1e4
    survives, broken = MMRegressor().fit(X, y), fit_central(X, y)
    assert_allclose(survives.coef_, 1.0, atol=1.0)
    assert np.abs(broken.coef_).max() > 1e3
    assert broken.scale_ > 10 * survives.scale_


@pytest.mark.parametrize("seed", [0, 1])
def test_central_rows_help_the_search_where_subsets_are_not_clean(seed):
    # One subset in 3,500 has no wrong row, and the coordinates of the cloud, which
    # heed directions only, take wrong rows for near.
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(300, 15))
    y = X.sum(axis=1) + rng.normal(size=300)
    X[:120] += rng.uniform(2.5, 8.0, (120, 1))
    y[:120] -= rng.uniform(10, 100, 120)
    model = MMRegressor(n_subsets=20).fit(X, y)
    assert_allclose(model.coef_, 1.0, atol=0.4)
    assert model.scale_ < 4


def test_rows_that_a_half_leaves_open_are_added_the_nearest_first():
    rng = np.random.default_rng(0)
    design = np.column_stack([rng.normal(size=(20, 2)), np.zeros((20, 2))])
    part = np.arange(20) < 10
    assert_array_equal(spanning(part, design[:, :2]), part)
    design[[12, 14, 16], 2], design[[17, 18], 3] = [5.0, 2.0, 3.0], [100.0, 50.0]
    added = np.flatnonzero(spanning(part, design) & ~part)
    size = np.linalg.norm(design, axis=1)
    nearest = [
        min(rows, key=lambda row: size[row]) for rows in ([12, 14, 16], [17, 18])
    ]
    assert_array_equal(added, nearest)


@pytest.mark.parametrize(("n", "off"), [(30, 0.0), (30, 1e6), (100, 3.0), (100, 30.0)])
def test_a_row_that_alone_has_a_column_is_fitted_though_it_is_not_central(n, off):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        X = np.column_stack([rng.normal(size=n), np.arange(n) < 1])
        y = X[:, 0] + rng.normal(size=n) + off * X[:, 1]
        model, others = fit_central(X, y), fit_central(X[1:, :1], y[1:])
        assert model.predict(X)[0] == pytest.approx(y[0], abs=1e-9 * (1 + off))
        # The half has one row more or less.
        assert model.scale_ == pytest.approx(others.scale_, rel=0.02)
        assert model.intercept_ == pytest.approx(others.intercept_, abs=0.2)
