"""Outliers: which rows are flagged, and how new rows are scored."""

import itertools
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.exceptions import NotFittedError

from robustreg import L1Regressor, MMRegressor, RobustRegressor, SmoothL1Regressor
from robustreg.losses import LOSSES
from robustreg.scale import MAD_FACTOR, weighted_median
from robustreg.solvers import SOLVERS

LOSS_CLASSES = [SmoothL1Regressor, L1Regressor, RobustRegressor]
CLASSES = [*LOSS_CLASSES, MMRegressor]
TRUTH = np.array([1.0, -2.0, 0.5])
N_BAD = 15


def make_data(n=150, sigma=1.0, seed=0):
    """Return X and a y whose first rows are wrong."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, TRUTH.size))
    y = X @ TRUTH + 3 + sigma * rng.normal(size=n)
    y[:N_BAD] += rng.choice([-1, 1], size=N_BAD) * rng.uniform(5, 50, size=N_BAD)
    return X, y


def fit_quietly(model, X, y, weight=None):
    """Fit where the scale may collapse, which is not what is tested here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y, sample_weight=weight)


def assert_flags_are_scores(model, X, y):
    """Flags agree with the scores but for scores at the threshold, up to rounding."""
    score, threshold = model.outlier_score(X, y), model.outlier_threshold
    assert score.shape == model.outliers_.shape == np.shape(y)
    assert model.outliers_.dtype == bool
    clear = np.abs(score - threshold) > 1e-6 * threshold
    assert clear.mean() > 0.9
    assert_array_equal(model.outliers_[clear], (score > threshold)[clear])


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("cls", LOSS_CLASSES)
def test_flags_agree_with_scores(cls, loss):
    X, y = make_data()
    model = cls(loss).fit(X, y)
    assert_flags_are_scores(model, X, y)
    assert model.outliers_[:N_BAD].all()
    assert model.outliers_.sum() <= N_BAD + 5


@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
@pytest.mark.parametrize("loss", ["huber", "l1"])
def test_flags_agree_with_scores_for_every_solver(solver, loss):
    X, y = make_data()
    model = SmoothL1Regressor(loss, solver=solver)
    try:
        model.fit(X, y)
    except ValueError as error:
        assert "cannot minimise" in str(error)
    else:
        assert_flags_are_scores(model, X, y)


@pytest.mark.parametrize("n", [2_000, 60_000])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("cls", CLASSES)
def test_flags_agree_with_scores_for_many_rows(cls, container, n):
    X, y = make_data(n)
    model = cls().fit(container(X), y)
    assert_flags_are_scores(model, container(X), y)
    assert model.outliers_[:N_BAD].all()


@pytest.mark.parametrize("loss", ["huber", "l1"])
def test_flags_agree_with_scores_where_columns_outnumber_rows(loss):
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(60, 150)), rng.standard_t(1, size=60)
    model = RobustRegressor(loss, penalty="l2", alpha=3.0).fit(X, y)
    assert_flags_are_scores(model, X, y)


@pytest.mark.parametrize("cls", CLASSES)
def test_the_score_is_the_residual_in_robust_scales(cls):
    X, y = make_data()
    model = cls().fit(X, y)
    new, target = make_data(seed=1)
    expected = np.abs(target - model.predict(new)) / model.residual_scale_
    assert_allclose(model.outlier_score(new, target), expected, rtol=1e-14)


@pytest.mark.parametrize("cls", LOSS_CLASSES)
def test_the_robust_scale_is_the_median_of_the_residuals(cls):
    X, y = make_data()
    model = cls().fit(X, y)
    residual = y - model.predict(X)
    measured = MAD_FACTOR * np.median(np.abs(residual))
    assert model.residual_scale_ == pytest.approx(measured, rel=1e-8)


@pytest.mark.parametrize(
    "model",
    [RobustRegressor(scale="mad"), RobustRegressor(scale="proposal2"), MMRegressor()],
)
def test_an_estimated_scale_is_the_scale_of_the_residuals(model):
    model.fit(*make_data())
    assert model.residual_scale_ == model.scale_


@pytest.mark.parametrize("threshold", [1.0, 2.0, 3.0, 4.5])
@pytest.mark.parametrize("scale", [1.0, "mad"])
def test_the_share_of_clean_gaussian_rows(scale, threshold):
    rng = np.random.default_rng(7)
    n = 200_000
    X = rng.normal(size=(n, 2))
    y = X.sum(axis=1) + 10 * rng.normal(size=n)
    model = RobustRegressor(scale=scale, outlier_threshold=threshold).fit(X, y)
    share = 2 * norm.sf(threshold)
    # A binomial error, and that of the scale, whose relative one is 1.17 / sqrt(n).
    error = np.sqrt(share / n) + 2 * threshold * norm.pdf(threshold) * 1.17 / np.sqrt(n)
    assert np.mean(model.outliers_) == pytest.approx(share, abs=5 * error)


def test_the_share_that_the_documentation_states():
    assert round(100 * 2 * norm.sf(3.0), 2) == 0.27


@pytest.mark.parametrize("quantile", [0.5, 0.75, 0.9])
def test_the_share_of_clean_rows_around_a_quantile(quantile):
    rng = np.random.default_rng(3)
    n = 100_000
    model = L1Regressor(quantile=quantile, outlier_threshold=1.5)
    model.fit(rng.normal(size=(n, 1)), rng.normal(size=n))
    at = norm.ppf(quantile)
    grid = np.abs(norm.ppf((np.arange(10**5) + 0.5) / 10**5) - at)
    reach = 1.5 * MAD_FACTOR * np.median(grid)
    share = norm.sf(at + reach) + norm.cdf(at - reach)
    assert np.mean(model.outliers_) == pytest.approx(share, rel=0.06)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_higher_threshold_flags_fewer_rows(cls):
    X, y = make_data()
    flags = [
        cls(outlier_threshold=threshold).fit(X, y).outliers_
        for threshold in (1e-3, 0.5, 1.0, 3.0, 10.0, 1e3)
    ]
    for more, fewer in itertools.pairwise(flags):
        assert (more >= fewer).all()
        assert more.sum() > fewer.sum()


@pytest.mark.parametrize("cls", CLASSES)
def test_the_threshold_does_not_change_the_fit(cls):
    X, y = make_data()
    near, far = (cls(outlier_threshold=t).fit(X, y) for t in (1.0, 9.0))
    assert_array_equal(near.coef_, far.coef_)
    assert near.residual_scale_ == far.residual_scale_


@pytest.mark.parametrize("unit", [-1.0, 1e-12, 1e6, 1e100])
@pytest.mark.parametrize(
    "model", [RobustRegressor(), RobustRegressor("l1"), L1Regressor()]
)
def test_the_unit_of_y_changes_no_flag(model, unit):
    X, y = make_data()
    expected = model.fit(X, y).outliers_
    scale = model.residual_scale_
    assert_array_equal(model.fit(X, unit * y).outliers_, expected)
    assert model.residual_scale_ == pytest.approx(abs(unit) * scale, rel=1e-7)


@pytest.mark.parametrize("unit", [1e-200, 1e200])
@pytest.mark.parametrize("model", [RobustRegressor(), MMRegressor(n_subsets=50)])
def test_extreme_units_of_y_change_no_flag(model, unit):
    X, y = make_data()
    expected, scale = model.fit(X, y).outliers_, model.residual_scale_
    assert_array_equal(model.fit(X, unit * y).outliers_, expected)
    assert model.residual_scale_ == pytest.approx(unit * scale, rel=1e-7)


@pytest.mark.parametrize("cls", CLASSES)
def test_shifts_and_linear_changes_of_the_design_change_no_flag(cls):
    X, y = make_data()
    expected = cls().fit(X, y).outliers_
    mixed = X @ np.array([[2.0, 1, 0], [0, 1e3, 1], [1, 0, -3]]) + 1e4
    assert_array_equal(cls().fit(mixed, y + 100).outliers_, expected)
    assert_array_equal(cls().fit(X, y + X @ [7.0, 0, -9]).outliers_, expected)


@pytest.mark.parametrize("cls", CLASSES)
def test_rows_keep_their_flags_in_any_order(cls):
    X, y = make_data()
    order = np.random.default_rng(1).permutation(len(y))
    expected = cls().fit(X, y).outliers_[order]
    assert_array_equal(cls().fit(X[order], y[order]).outliers_, expected)


@pytest.mark.parametrize("cls", CLASSES)
def test_weights_are_repeated_rows(cls):
    X, y = make_data()
    count = np.random.default_rng(2).integers(0, 4, size=len(y))
    weighted = cls().fit(X, y, sample_weight=count)
    repeated = cls().fit(np.repeat(X, count, axis=0), np.repeat(y, count))
    assert weighted.residual_scale_ == pytest.approx(repeated.residual_scale_, rel=1e-7)
    assert_array_equal(np.repeat(weighted.outliers_, count), repeated.outliers_)
    halved = cls().fit(X, y, sample_weight=count / 2)
    assert_array_equal(halved.outliers_, weighted.outliers_)


@pytest.mark.parametrize("cls", CLASSES)
def test_rows_of_weight_0_are_flagged_by_the_fit_of_the_others(cls):
    X, y = make_data()
    weight = np.ones(len(y))
    weight[:5] = weight[100:105] = 0
    model = cls().fit(X, y, sample_weight=weight)
    assert model.outliers_[:5].all()
    assert not model.outliers_[100:105].any()
    y[:5] = 1e300
    assert model.fit(X, y, sample_weight=weight).outliers_[:5].all()


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("offset", [0.0, 1e5])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "model", [RobustRegressor(), RobustRegressor("log_cosh"), L1Regressor()]
)
def test_of_an_exact_fit_what_is_not_on_it_is_flagged(model, dtype, offset, unit):
    X, y = make_data(sigma=0.0)
    X = (X + offset).astype(dtype)
    clean = X.astype(np.float64) @ TRUTH
    y = unit * (clean + np.where(np.arange(len(y)) < N_BAD, 5.0, 0.0))
    fit_quietly(model, X, y)
    expected = np.arange(len(y)) < N_BAD
    assert_array_equal(model.outliers_, expected)
    score = model.outlier_score(X, y)
    assert np.isfinite(score).all()
    assert_array_equal(score > 3, expected)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("value", [0.0, 7.0, -1e9])
def test_a_constant_y_has_no_outliers_and_all_else_is_one(cls, value):
    X, y = make_data()
    model = fit_quietly(cls(), X, np.full(len(y), value))
    assert not model.outliers_.any()
    assert model.residual_scale_ > 0
    assert (model.outlier_score(X, np.full(len(y), value)) <= 3).all()
    assert (model.outlier_score(X, np.full(len(y), value + 1.0)) > 3).all()


@pytest.mark.parametrize("cls", LOSS_CLASSES)
@pytest.mark.parametrize("shape", [(3, 3), (5, 20), (1, 1), (2, 1)])
def test_interpolated_rows_are_no_outliers(cls, shape):
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=shape), rng.normal(size=shape[0])
    model = fit_quietly(cls("l1"), X, y)
    assert not model.outliers_.any()
    assert (model.outlier_score(X, y) <= 3).all()


@pytest.mark.parametrize("cls", CLASSES)
def test_each_target_has_flags_and_a_scale_of_its_own(cls):
    X, y = make_data()
    Y = np.column_stack([y, 1e3 * y[::-1]])
    model = cls().fit(X, Y)
    alone = [cls().fit(X, column) for column in Y.T]
    assert_array_equal(model.outliers_, np.column_stack([m.outliers_ for m in alone]))
    assert_array_equal(model.residual_scale_, [m.residual_scale_ for m in alone])
    assert_flags_are_scores(model, X, Y)


@pytest.mark.parametrize("cls", CLASSES)
def test_single_precision_flags_the_same_rows(cls):
    X, y = make_data()
    single = X.astype(np.float32)
    model = cls().fit(single, y)
    double = cls().fit(single.astype(np.float64), y)
    assert_array_equal(model.outliers_, double.outliers_)
    score = model.outlier_score(single, y)
    assert_allclose(score, double.outlier_score(single, y), rtol=1e-4, atol=1e-5)


def test_a_pickle_keeps_the_flags():
    X, y = make_data()
    model = RobustRegressor().fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    assert_array_equal(copy.outliers_, model.outliers_)
    assert_array_equal(copy.outlier_score(X, y), model.outlier_score(X, y))


@pytest.mark.parametrize(
    ("shape", "fitted"), [((150, 2), 1), ((149,), 1), ((150,), 2), ((150, 3), 2)]
)
def test_a_y_of_another_shape_is_refused(shape, fitted):
    X, y = make_data()
    model = RobustRegressor().fit(X, y if fitted == 1 else np.column_stack([y, y]))
    with pytest.raises(ValueError, match=r"y must have shape .*Got"):
        model.outlier_score(X, np.zeros(shape))


def test_a_score_needs_a_fit_and_finite_targets():
    X, y = make_data()
    with pytest.raises(NotFittedError):
        RobustRegressor().outlier_score(X, y)
    model = RobustRegressor().fit(X, y)
    with pytest.raises(ValueError, match="features"):
        model.outlier_score(X[:, :2], y)
    y[3] = np.nan
    with pytest.raises(ValueError, match="y contains NaN"):
        model.outlier_score(X, y)
    with pytest.raises(ValueError, match=r"y is sparse.*toarray"):
        model.outlier_score(X, sp.csr_array(X))


@pytest.mark.parametrize("n", [101, 2**14 + 3, 50_000])
def test_the_median_of_sizes_is_that_of_a_copy(n):
    rng = np.random.default_rng(n)
    values, weight = rng.normal(size=n), rng.integers(0, 3, size=n).astype(float)
    expected = np.median(np.repeat(np.abs(values), weight.astype(int)))
    assert weighted_median(values, weight, np.abs) == pytest.approx(expected, rel=1e-14)
