"""Where many fits are optimal: medians, wide data, equal and constant columns."""

import numpy as np
import pytest
from oracles import CONVEX, KINKED, Case, assert_same_fit, optimum

from robustreg import L1Regressor, SmoothL1Regressor


@pytest.mark.parametrize("n", [1, 2, 3, 4, 10, 11])
@pytest.mark.parametrize("loss", KINKED)
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_a_median_of_values_is_numpys(n, loss, shift):
    y = np.random.default_rng(n).normal(size=n).round(2) + shift
    model = L1Regressor(loss).fit(np.zeros((n, 1)), y)
    assert model.intercept_ == pytest.approx(np.median(y), rel=1e-13, abs=1e-13)
    assert model.coef_[0] == 0


@pytest.mark.parametrize("sizes", [(4, 6), (3, 6), (2, 2), (8, 5)])
@pytest.mark.parametrize("loss", KINKED)
def test_medians_of_groups_are_numpys(sizes, loss):
    X = np.repeat([0.0, 1.0], sizes)[:, None]
    y = np.random.default_rng(2).exponential(size=sum(sizes))
    model = L1Regressor(loss).fit(X, y)
    first, second = np.median(y[: sizes[0]]), np.median(y[sizes[0] :])
    assert model.intercept_ == pytest.approx(first, rel=1e-12)
    assert model.coef_[0] == pytest.approx(second - first, rel=1e-12)


@pytest.mark.parametrize(
    ("n", "quantile"), [(4, 0.25), (10, 0.3), (8, 0.75), (20, 0.9)]
)
@pytest.mark.parametrize("loss", KINKED)
def test_an_open_quantile_is_the_midpoint(n, quantile, loss):
    y = np.sort(np.random.default_rng(n).normal(size=n))
    k = round(n * quantile)
    model = L1Regressor(loss, quantile=quantile).fit(np.zeros((n, 1)), y)
    assert model.intercept_ == pytest.approx((y[k - 1] + y[k]) / 2, rel=1e-12)


def test_an_open_huber_location_is_the_midpoint():
    # Any value between 1 + beta and 9 - beta is optimal.
    y = np.array([0.0, 1, 9, 10])
    model = SmoothL1Regressor(beta=1.0).fit(np.zeros((4, 1)), y)
    assert model.intercept_ == pytest.approx(5, rel=1e-12)


@pytest.mark.parametrize("loss", CONVEX)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_equal_columns_share_a_coefficient(loss, fit_intercept):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    y = X @ [1.0, 2] + rng.standard_t(2, size=40)
    model = SmoothL1Regressor(loss, fit_intercept=fit_intercept)
    alone = model.fit(X, y).coef_
    model.fit(X[:, [0, 1, 1]], y)
    np.testing.assert_allclose(model.coef_[1], model.coef_[2], rtol=1e-9)
    np.testing.assert_allclose(model.coef_[1:].sum(), alone[1], rtol=1e-9)
    assert model.coef_[0] == pytest.approx(alone[0], rel=1e-9)


@pytest.mark.parametrize("penalty", ["l1", "l2", "elasticnet"])
@pytest.mark.parametrize("loss", CONVEX)
def test_equal_columns_with_a_penalty_reach_the_optimum(loss, penalty):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    y = X @ [1.0, 2] + rng.standard_t(2, size=40)
    case = Case(X[:, [0, 1, 1]], y, loss=loss, penalty=penalty, alpha=0.1)
    model = case.fit()
    assert case.reached(model) == pytest.approx(optimum(case), rel=1e-9)
    if penalty != "l1":
        assert model.coef_[1] == pytest.approx(model.coef_[2], rel=1e-4)


@pytest.mark.parametrize("penalty", ["l1", "l2", None])
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e8])
@pytest.mark.parametrize("loss", CONVEX)
def test_a_constant_column_has_coefficient_0(loss, penalty, constant):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 2))
    y = X @ [1.0, 2] + rng.standard_t(2, size=40)
    params = {"penalty": penalty, "alpha": 0.05 if penalty else 0.0}
    alone = SmoothL1Regressor(loss, **params).fit(X, y)
    wider = np.column_stack([X, np.full(40, constant)])
    model = SmoothL1Regressor(loss, **params).fit(wider, y)
    assert model.coef_[2] == 0
    np.testing.assert_allclose(model.coef_[:2], alone.coef_, rtol=1e-9)
    assert model.intercept_ == pytest.approx(alone.intercept_, rel=1e-9)


@pytest.mark.parametrize("loss", CONVEX)
def test_only_constant_columns_leave_the_location(loss):
    y = np.random.default_rng(1).normal(size=21)
    flat = SmoothL1Regressor(loss).fit(np.full((21, 3), 7.0), y)
    empty = SmoothL1Regressor(loss).fit(np.zeros((21, 1)), y)
    assert (flat.coef_ == 0).all()
    assert flat.intercept_ == pytest.approx(empty.intercept_, rel=1e-12)


@pytest.mark.parametrize("loss", CONVEX)
@pytest.mark.parametrize("shape", [(10, 30), (20, 21), (1, 5), (40, 400)])
def test_wide_data_have_the_fit_of_least_standardised_norm(loss, shape):
    rng = np.random.default_rng(3)
    X = rng.normal(size=shape) * rng.uniform(0.5, 2, size=shape[1])
    y = rng.normal(size=shape[0])
    model = SmoothL1Regressor(loss).fit(X, y)
    spread = X.std(axis=0)
    unit = np.where(spread > 0, spread, 1)
    Z = (X - X.mean(axis=0)) / unit
    least = np.linalg.pinv(Z, rcond=1e-10) @ (y - y.mean())
    np.testing.assert_allclose(model.coef_ * unit, least, rtol=0, atol=1e-9)
    np.testing.assert_allclose(model.predict(X), y, rtol=0, atol=1e-11)


@pytest.mark.parametrize("penalty", ["l1", "l2", "elasticnet", None])
@pytest.mark.parametrize("loss", CONVEX)
def test_one_row(loss, penalty):
    params = {"penalty": penalty, "alpha": 0.1 if penalty else 0.0}
    model = SmoothL1Regressor(loss, **params).fit([[2.0, 3.0]], [7.0])
    np.testing.assert_array_equal(model.coef_, 0)
    assert model.intercept_ == pytest.approx(7, rel=1e-14)


@pytest.mark.parametrize("loss", CONVEX)
def test_the_answer_is_the_same_each_time(loss):
    rng = np.random.default_rng(4)
    X = rng.integers(0, 3, size=(30, 3)).astype(float)
    y = rng.integers(0, 4, size=30).astype(float)
    first = SmoothL1Regressor(loss).fit(X, y)
    second = SmoothL1Regressor(loss).fit(X, y)
    assert_same_fit(second, first, rtol=0)
