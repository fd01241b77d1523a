"""MMRegressor: equivariance, breakdown, efficiency, and hard but valid data."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from pairwise import pairwise
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from robustreg import L1Regressor, MMRegressor, ScaleCollapseWarning
from robustreg.breakdown import Search, s_estimate, tukey_for_breakdown
from robustreg.breakdown.search import PORTION
from robustreg.losses import Tukey
from robustreg.rows import make_rows

COEF = np.array([1.0, -2.0, 3.0])


def make_data(n=120, seed=0, share=0.2):
    """Return data with a share of outliers in y."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, COEF.size))
    y = X @ COEF + 4.0 + rng.normal(size=n)
    y[: int(share * n)] += 30.0
    return X, y


def params_of(model):
    """Return the coefficients and the intercept."""
    return np.append(model.coef_, model.intercept_)


def fit_collapsed(model, X, y, weight=None):
    """Fit, and expect to be told that the scale is 0."""
    with pytest.warns(ScaleCollapseWarning, match="S-scale"):
        return model.fit(X, y, weight)


def assert_same_fit(one, other, rtol=1e-7):
    assert_allclose(params_of(one), params_of(other), rtol=rtol, atol=rtol)
    assert_allclose(one.scale_, other.scale_, rtol=rtol)


# Equivariance.


@pytest.mark.parametrize("unit", [-2.0, 1e-150, 1e150])
def test_scale_equivariance(unit):
    X, y = make_data()
    plain, scaled = MMRegressor().fit(X, y), MMRegressor().fit(X, unit * y)
    assert_allclose(params_of(scaled) / unit, params_of(plain), rtol=1e-8)
    assert scaled.scale_ / abs(unit) == pytest.approx(plain.scale_, rel=1e-9)


def test_regression_equivariance():
    X, y = make_data()
    shift = np.array([5.0, -7.0, 100.0])
    plain, moved = MMRegressor().fit(X, y), MMRegressor().fit(X, y + X @ shift - 9.0)
    assert_allclose(params_of(moved) - [*shift, -9.0], params_of(plain), rtol=1e-8)
    assert moved.scale_ == pytest.approx(plain.scale_, rel=1e-9)


def test_affine_equivariance():
    X, y = make_data()
    A = np.array([[1.0, 2.0, 0.0], [0.0, 1e3, 1.0], [0.5, 0.0, 1e-3]])
    plain, turned = MMRegressor().fit(X, y), MMRegressor().fit(X @ A + 50.0, y)
    assert_allclose(A @ turned.coef_, plain.coef_, rtol=1e-7)
    assert turned.scale_ == pytest.approx(plain.scale_, rel=1e-9)


# Outliers.


@pytest.mark.parametrize("size", [1e2, 1e6, 1e12, 1e100])
def test_49_percent_wrong_in_y(size):
    X, y = make_data(200, share=0.0)
    clean = MMRegressor().fit(X, y)
    y[:96] = size
    fit = MMRegressor().fit(X, y)
    assert_allclose(params_of(fit), params_of(clean), atol=0.4)
    assert (fit.weights_[:96] == 0).all()


@pytest.mark.parametrize("size", [1e5, 1e8])
@pytest.mark.parametrize("spread", [1e-3, 1.0])
def test_49_percent_wrong_in_x_and_y(size, spread):
    rng = np.random.default_rng(1)
    X, y = make_data(200, share=0.0)
    clean = MMRegressor().fit(X, y)
    X[:96] = size * (1 + spread * rng.normal(size=(96, 3)))
    y[:96] = -100 * size * (1 + rng.random(96))
    fit = MMRegressor().fit(X, y)
    assert_allclose(params_of(fit), params_of(clean), atol=0.4)
    assert (fit.weights_[:96] == 0).all()


def test_leverage_that_owns_a_convex_fit():
    X, y = make_data(200, share=0.0)
    X[:60], y[:60] = 100.0 + X[:60], 2000.0
    assert_allclose(MMRegressor().fit(X, y).coef_, COEF, atol=0.4)
    assert np.abs(L1Regressor().fit(X, y).coef_ - COEF).max() > 1


@pytest.mark.parametrize("decades", [5, 20, 60])
@pytest.mark.parametrize("n", [200, 6000])
def test_columns_of_any_size_in_wrong_rows(decades, n):
    rng = np.random.default_rng(0)
    X, y = make_data(n, share=0.0)
    clean, n_wrong = MMRegressor(n_subsets=50).fit(X, y), int(0.4 * n)
    X[:n_wrong] = 10 ** rng.uniform(1, decades, (n_wrong, 3))
    y[:n_wrong] = 1e4 * rng.normal(size=n_wrong)
    fit = MMRegressor(n_subsets=50).fit(X, y)
    assert_allclose(params_of(fit), params_of(clean), atol=0.4)


@pytest.mark.parametrize(
    ("size", "container", "rows"),
    pairwise((1e6, 1e16, 1e100), (np.asarray, sparse.csr_array), ((200, 5), (5000, 1))),
)
def test_wrong_rows_of_any_size_where_a_column_is_mostly_zero(size, container, rows):
    n, seed = rows
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, 4)), rng.normal(size=n)
    X[:, 2:] *= rng.random((n, 2)) < 0.3
    y += X.sum(axis=1)
    clean = MMRegressor(n_subsets=50).fit(X[n // 3 :], y[n // 3 :])
    X[: n // 3] = size * rng.normal(size=(n // 3, 4))
    y[: n // 3] *= 1e5
    fit = MMRegressor(n_subsets=50).fit(container(X), y)
    assert_allclose(params_of(fit), params_of(clean), atol=0.3)
    assert fit.stationarity_ <= 1e-4


def test_light_rows_do_not_say_what_is_far():
    X, y = make_data(100, share=0.0)
    clean = MMRegressor().fit(X[60:], y[60:])
    X[:60], y[:60] = 1e18 + 1e12 * X[:60], 1e6
    count = np.where(np.arange(100) < 60, 1.0, 10.0)
    fit = MMRegressor().fit(X, y, count)
    assert_allclose(params_of(fit), params_of(clean), atol=0.2)


@pytest.mark.parametrize("size", [1e16, 1e60])
def test_far_rows_of_dependent_columns_are_fitted_or_said(size):
    # They have no digits left that tell in which columns they are dependent.
    for seed in range(3):
        X, y = make_data(200, seed=seed)
        X[:60], y[:60] = size * X[:60], 1e5 * y[:60]
        more = np.column_stack([X, X[:, 0], X[:, 1] - X[:, 2]])
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model = MMRegressor(n_subsets=50).fit(more, y)
        categories = {one.category for one in said}
        assert categories <= {ConvergenceWarning}
        assert categories or model.stationarity_ <= 1e-3


def test_efficiency_at_the_gaussian():
    # The same errors for least squares, so that the ratio has a small error.
    rng = np.random.default_rng(0)
    X, errors = rng.normal(size=(300, 6)), rng.normal(size=(300, 40))
    robust = MMRegressor(n_subsets=2).fit(X, errors).coef_
    design = np.column_stack([X, np.ones(300)])
    least_squares = np.linalg.lstsq(design, errors, rcond=None)[0][:6]
    ratio = (least_squares**2).mean() / (robust**2).mean()
    assert 0.88 < ratio < 0.99


def test_scale_is_the_standard_deviation_of_gaussian_errors():
    X, y = make_data(3000, share=0.0)
    assert MMRegressor().fit(X, y).scale_ == pytest.approx(1, abs=0.05)


def test_more_columns_than_any_subset_is_clean_for():
    # One subset in 70,000 has no wrong row.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 50)) + rng.normal(size=(1000, 1))
    coef = rng.normal(size=50)
    y = X @ coef + rng.normal(size=1000)
    y[:200] = 100.0
    X[:100] += 20.0
    model = MMRegressor(n_subsets=20).fit(X, y)
    assert_allclose(model.coef_, coef, atol=0.4)
    assert model.scale_ < 2


@pytest.mark.parametrize("breakdown", [0.1, 0.25])
def test_smaller_breakdown(breakdown):
    X, y = make_data(200, share=0.0)
    model = MMRegressor(breakdown=breakdown, efficiency=0.97)
    n_wrong = int((breakdown - 0.03) * 200)
    y[:n_wrong] = 1e6
    assert_allclose(model.fit(X, y).coef_, COEF, atol=0.3)
    y[: int((breakdown + 0.05) * 200)] = 1e6
    assert model.fit(X, y).scale_ > 1e4


# Weights, order, randomness.


@pytest.mark.parametrize("n", [60, 5000])
def test_weights_are_repeated_rows_in_any_order(n):
    rng = np.random.default_rng(0)
    X, y = make_data(n)
    count = rng.integers(0, 4, n)
    order = rng.permutation(n)
    weighted = MMRegressor(n_subsets=50).fit(X[order], y[order], count[order])
    repeated = MMRegressor(n_subsets=50).fit(X.repeat(count, 0), y.repeat(count))
    assert_same_fit(weighted, repeated, 1e-9)


def test_seed():
    X, y = make_data()
    for state in (0, 7):
        one = MMRegressor(random_state=state).fit(X, y)
        assert_array_equal(one.coef_, clone(one).fit(X, y).coef_)
    state = np.random.RandomState(0)
    assert_same_fit(MMRegressor(random_state=state).fit(X, y), one)
    assert_same_fit(MMRegressor(random_state=None).fit(X, y), one)


def test_targets_are_fitted_by_themselves():
    X, y = make_data()
    both = np.column_stack([y, -3 * y**2])
    model = MMRegressor().fit(X, both)
    assert model.coef_.shape == model.s_coef_.shape == (2, 3)
    assert model.intercept_.shape == model.scale_.shape == (2,)
    assert model.weights_.shape == (120, 2)
    for k in range(2):
        alone = MMRegressor().fit(X, both[:, k])
        assert_array_equal(model.coef_[k], alone.coef_)
        assert_array_equal(model.s_coef_[k], alone.s_coef_)
        assert model.scale_[k] == alone.scale_


# What a fit is.


def test_second_fit_is_stationary_at_the_s_scale():
    X, y = make_data()
    model = MMRegressor().fit(X, y)
    t = (y - model.predict(X)) / model.scale_
    slope = Tukey(model.beta_).gradient(t)
    assert_allclose(np.column_stack([X, np.ones(120)]).T @ slope, 0, atol=1e-8)
    assert_allclose(model.weights_, slope / t, rtol=1e-9, atol=1e-12)
    first = (y - X @ model.s_coef_ - model.s_intercept_) / model.scale_
    mean = 6 / model.s_beta_**2 * Tukey(model.s_beta_).value(first).sum()
    assert mean == pytest.approx(0.5 * (120 - 4), rel=1e-9)
    assert np.isnan(model.dual_gap_) and model.stationarity_ <= 1e-10


def test_first_fit_has_efficiency_of_its_own():
    X, y = make_data()
    least = MMRegressor(efficiency=0.28694)
    model = least.fit(X, y)
    assert model.beta_ == pytest.approx(model.s_beta_, rel=1e-3)
    assert_allclose(model.coef_, model.s_coef_, atol=1e-2)


def test_outliers_are_those_beyond_the_s_scale():
    X, y = make_data()
    model = MMRegressor(outlier_threshold=2.5).fit(X, y)
    assert model.residual_scale_ == model.scale_
    far = np.abs(y - model.predict(X)) > 2.5 * model.scale_
    assert_array_equal(model.outliers_, far)
    assert far[:24].all() and far.mean() < 0.3


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
def test_penalties(penalty):
    X, y = make_data()
    alpha = 0.2
    model = MMRegressor(penalty=penalty, alpha=alpha).fit(X, y)
    plain = MMRegressor().fit(X, y)
    assert model.scale_ == plain.scale_
    assert np.abs(model.coef_).sum() < np.abs(plain.coef_).sum()
    slope = Tukey(model.beta_).gradient((y - model.predict(X)) / model.scale_)
    pull, coef = X.T @ slope / 120, model.coef_ / model.scale_
    l1 = {"l2": 0, "l1": 1, "elasticnet": 0.5}[penalty]
    assert_allclose(pull, alpha * (l1 * np.sign(coef) + (1 - l1) * coef), atol=1e-7)
    assert slope.sum() == pytest.approx(0, abs=1e-7)


def test_l1_penalty_selects():
    rng = np.random.default_rng(0)
    X, y = make_data(200)
    X = np.column_stack([X, rng.normal(size=(200, 5))])
    model = MMRegressor(penalty="l1", alpha=0.2).fit(X, y)
    assert (model.coef_[:3] != 0).all() and (model.coef_[3:] == 0).sum() >= 4


# Hard but valid data.


def test_exact_fit_of_more_than_half():
    X, y = make_data(100, share=0.0)
    exact = X @ COEF + 4.0
    y[53:] = 10 * y[53:] + X[53:, 0] ** 2
    y[:53] = exact[:53]
    model = fit_collapsed(MMRegressor(), X, y)
    assert_allclose(params_of(model), [*COEF, 4.0], rtol=1e-12)
    assert model.scale_ < 1e-8
    assert_array_equal(model.weights_[:53] > 0.99, True)
    assert (model.weights_[53:] == 0).all()


def test_as_many_columns_as_rows():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(10, 30)), rng.normal(size=10)
    model = fit_collapsed(MMRegressor(), X, y)
    assert_allclose(model.predict(X), y, rtol=1e-9)
    with pytest.raises(ValueError, match=r"alpha > 0 .* Use alpha=0"):
        MMRegressor(penalty="l2", alpha=0.1).fit(X, y)


def test_of_exact_fits_the_one_of_most_rows():
    # Repeated rows: more of them than columns, but all can be fitted.
    rng = np.random.default_rng(0)
    X, y, count = rng.normal(size=(12, 9)), rng.normal(size=12), rng.integers(1, 5, 12)
    X = np.column_stack([X, rng.normal(size=(12, 6))])
    repeated = fit_collapsed(MMRegressor(), X.repeat(count, 0), y.repeat(count))
    assert_allclose(repeated.predict(X), y, rtol=1e-8)
    weighted = fit_collapsed(MMRegressor(), X, y, count)
    assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-8)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_array])
def test_dummies(container):
    rng = np.random.default_rng(0)
    X, y = make_data(200)
    level = np.minimum(rng.geometric(0.4, 200), 10) - 1
    level[:10] = np.arange(10)
    effect = rng.normal(size=10)
    y = y + effect[level]
    D = level[:, None] == np.arange(10)
    model = MMRegressor().fit(
        container(np.column_stack([X, D[:, 1:]]).astype(float)), y
    )
    assert_allclose(model.coef_[:3], COEF, atol=0.3)
    # A dummy for each level is one too many, and the predictions are the same.
    whole = np.column_stack([X, D]).astype(float)
    redundant = MMRegressor().fit(container(whole), y)
    assert_allclose(
        redundant.predict(whole),
        whole[:, [0, 1, 2, *range(4, 13)]] @ model.coef_ + model.intercept_,
        rtol=1e-6,
        atol=1e-6,
    )


def test_constant_and_dependent_columns():
    X, y = make_data()
    plain = MMRegressor().fit(X, y)
    more = np.column_stack([X, np.full(120, 7.0), X[:, 0], X[:, 1] - X[:, 2]])
    model = MMRegressor().fit(more, y)
    assert_allclose(model.predict(more), plain.predict(X), rtol=1e-7, atol=1e-7)
    assert model.coef_[3] == 0
    assert model.coef_[0] == pytest.approx(model.coef_[4], rel=1e-6)
    assert model.scale_ == pytest.approx(plain.scale_, rel=1e-9)


def test_offsets_and_units_of_columns():
    X, y = make_data()
    plain = MMRegressor().fit(X, y)
    far = MMRegressor().fit(X * [1e-8, 1.0, 1e8] + [0.0, 1e6, 0.0], y)
    assert_allclose(far.coef_ * [1e-8, 1.0, 1e8], plain.coef_, rtol=1e-6)


def test_float32():
    X, y = make_data()
    wide = MMRegressor().fit(X.astype(np.float32).astype(float), y)
    narrow = MMRegressor().fit(X.astype(np.float32), y)
    assert narrow.coef_.dtype == np.float32
    assert_allclose(narrow.coef_, wide.coef_, rtol=1e-6)
    assert narrow.predict(X.astype(np.float32)).dtype == np.float32


def test_without_intercept():
    X, y = make_data()
    model = MMRegressor(fit_intercept=False).fit(X, y - 4.0)
    assert model.intercept_ == 0 and model.s_intercept_ == 0
    assert_allclose(model.coef_, COEF, atol=0.4)


def test_many_rows_reach_the_scale_of_the_full_search():
    X, y = make_data(6000, share=0.3)
    weight = np.ones(6000)
    rows = make_rows(X, weight, True)
    search = Search(tukey_for_breakdown(0.5), 0.5, 20, 0)
    sampled, full = (
        s_estimate(rows, y, weight, replace(search, most_rows=most), 1e-12)
        for most in (4000, 10_000)
    )
    assert_allclose(sampled.scale, full.scale, rtol=1e-8)
    assert_allclose(sampled.params, full.params, rtol=1e-8)


def test_rare_dummies_among_many_rows():
    X, y = make_data(9000)
    D = np.zeros((9000, 2))
    D[5000, 0], D[6000:6030, 1] = 1.0, 1.0
    y = y + D @ [5.0, -6.0]
    model = MMRegressor(n_subsets=20).fit(np.column_stack([X, D]), y)
    assert_allclose(model.coef_, [*COEF, 5.0, -6.0], atol=3.0)
    assert_allclose(model.coef_[[0, 1, 2, 4]], [*COEF, -6.0], atol=0.6)


def test_no_warning_where_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MMRegressor().fit(*make_data())


def test_iterations_that_do_not_suffice_are_said():
    with pytest.warns(ConvergenceWarning, match="MMRegressor"):
        MMRegressor(tol=1e-30, max_iter=1, penalty="l1", alpha=0.3).fit(*make_data())


# Bad input.


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"efficiency": 1.0}, "efficiency"),
        ({"efficiency": 0.2}, r"efficiency must be at least 0\.2868.*breakdown=0\.5"),
        ({"breakdown": 0.1}, r"efficiency must be at least 0\.96"),
        ({"n_jobs": 0}, r"n_jobs.*-1\].*\[1, inf\).*None"),
        ({"breakdown": 0.0}, "breakdown"),
        ({"breakdown": 0.51}, "breakdown"),
        ({"n_subsets": -1}, "n_subsets"),
        ({"random_state": "now"}, "random_state"),
        ({"penalty": "l3"}, "penalty"),
        ({"alpha": -1.0}, "alpha"),
        ({"alpha": np.inf}, "alpha"),
        ({"solver": "newton"}, "majorised-newton"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        MMRegressor(**params).fit(*make_data())


def test_weights_that_count_no_rows():
    X, y = make_data()
    with pytest.raises(ValueError, match="sample_weight must count rows"):
        MMRegressor().fit(X, y, np.full(120, 1 / 120))


def test_too_many_columns():
    X = sparse.csr_array((3000, 2000))
    with pytest.raises(ValueError, match=r"2000 columns.*at most 1999"):
        MMRegressor().fit(X, np.arange(3000.0))


def test_whether_the_scale_collapses_is_no_matter_of_rounding():
    """The rows that no exact fit passes have the very weight that may be rejected."""
    X = np.array([0.8868638995543789, 0.17433847556174747, -0.19616039212093905])
    X = np.append(X, -1.2980863677141363)[:, None]
    y = np.array([0.6536030816165169, 0.4535255904083172, -0.7331467453943122])
    y, count = np.append(y, 4.761655853873639), np.array([3, 3, 1, 3])
    forms = [(X, y, count), (X.repeat(count, 0), y.repeat(count), None)]
    forms.append((7 * X, 3 * y, count))
    for X_form, y_form, weight in forms:
        with pytest.warns(ScaleCollapseWarning):
            MMRegressor().fit(X_form, y_form, sample_weight=weight)


def test_a_ridge_that_leaves_no_row_names_a_way_out_that_there_is():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    y = X.sum(axis=1) + 1e-3 * rng.normal(size=30)
    with pytest.warns(UserWarning, match="rejects nearly all rows.*Lower alpha"):
        MMRegressor(penalty="l2", alpha=1.0).fit(X, y)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_fit_does_not_depend_on_how_many_processors_make_it(n_jobs):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.standard_t(3, 60)
    # Portions of candidates are several.
    n_subsets = 3 * PORTION // 60
    alone = MMRegressor(n_subsets=n_subsets).fit(X, y)
    with parallel_config("threading", n_jobs=n_jobs):
        configured = MMRegressor(n_subsets=n_subsets).fit(X, y)
    shared = MMRegressor(n_subsets=n_subsets, n_jobs=n_jobs).fit(X, y)
    for other in (configured, shared):
        assert_array_equal(other.coef_, alone.coef_)
        assert other.scale_ == alone.scale_
