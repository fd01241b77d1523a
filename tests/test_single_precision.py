"""What is stored after a fit of float32 features is what was certified."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.base import clone

from robustreg import (
    L1Regressor,
    MMRegressor,
    RobustRegressor,
    ScaleCollapseWarning,
    SmoothL1Regressor,
    robust_path,
)

MODELS = [
    L1Regressor(),
    MMRegressor(),
    RobustRegressor(),
    RobustRegressor("tukey"),
    SmoothL1Regressor("l2"),
]
CONTAINERS = [np.asarray, sp.csr_array, sp.csc_matrix]


def make_data(offset=0.0, n=200):
    rng = np.random.default_rng(24)
    X = (rng.normal(size=(n, 3)) + offset).astype(np.float32)
    clean = X.astype(float) @ [1.0, -2.0, 0.5]
    return X, clean + 0.01 * rng.standard_t(3, size=n)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_scale_and_flags_are_those_of_the_predictions(model, container):
    X, y = make_data(offset=2000.0)
    model.fit(container(X), y)
    wide = clone(model).fit(X.astype(float), y)
    assert_allclose(model.residual_scale_, wide.residual_scale_, rtol=1e-4)
    if not isinstance(model, MMRegressor):
        residual = y - X.astype(float) @ model.coef_.astype(float) - model.intercept_
        mad = np.median(np.abs(residual)) / norm.ppf(0.75)
        assert_allclose(model.residual_scale_, mad, rtol=1e-8)
    score = model.outlier_score(container(X), y)
    assert_array_equal(score > model.outlier_threshold, model.outliers_)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("loss", ["l1", "huber"])
def test_rounding_the_coefficients_for_a_far_row_costs_no_other(loss, container):
    X, y = make_data()
    X[0] *= 1e6
    y[0] = X[0].astype(float) @ [1.0, -2.0, 0.5]
    model = RobustRegressor(loss).fit(container(X), y)
    wide = RobustRegressor(loss).fit(X.astype(float), y)
    assert_allclose(model.intercept_, wide.intercept_, rtol=0, atol=1e-6)
    assert_allclose(model.residual_scale_, wide.residual_scale_, rtol=0.02)


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_gap_is_that_of_what_is_stored(container):
    X, y = make_data(offset=2000.0)
    wide = SmoothL1Regressor(beta=1e-3).fit(X.astype(float), y)
    model = SmoothL1Regressor(beta=1e-3).fit(container(X), y)

    def objective(fitted):
        size = np.abs(y - fitted.predict(X.astype(float)))
        return np.mean(np.where(size < 1e-3, size**2 / 2e-3, size - 5e-4))

    excess = objective(model) - objective(wide)
    assert excess <= model.dual_gap_ + 1e-10 * objective(wide)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("unit_y", [1e-50, 1.0, 1e45])
@pytest.mark.parametrize("unit_x", [2.0**-130, 1.0, 2.0**120])
def test_answers_beyond_float32_are_neither_infinite_nor_0(unit_x, unit_y, container):
    X, y = make_data()
    plain = RobustRegressor().fit(X, y)
    single = (X * unit_x).astype(np.float32)
    model = RobustRegressor().fit(container(single), y * unit_y)
    # Below 2^-126 float32 itself has fewer digits.
    assert_allclose(model.coef_ * (unit_x / unit_y), plain.coef_, rtol=1e-3)
    prediction = model.predict(container(single)) / unit_y
    assert_allclose(prediction, plain.predict(X), atol=1e-2)


def test_a_path_beyond_float32():
    X, y = make_data()
    plain = robust_path(X, y, n_alphas=4)
    path = robust_path(X, y * 1e45, n_alphas=4, scale=1e45)
    assert_allclose(path.coefs / 1e45, plain.coefs, rtol=1e-6, atol=1e-8)
    assert_allclose(path.intercepts / 1e45, plain.intercepts, atol=1e-8)


def test_the_gaps_of_a_path_are_those_of_what_is_stored():
    X, y = make_data(offset=2000.0)
    path = robust_path(X, y, n_alphas=4, eps=0.1)
    wide = robust_path(X.astype(float), y, alphas=path.alphas)
    assert path.coefs.dtype == path.intercepts.dtype == np.float32

    def objective(coef, intercept, alpha):
        size = np.abs(y - X.astype(float) @ coef.astype(float) - float(intercept))
        loss = np.where(size < 1, size**2 / 2, size - 0.5)
        return loss.mean() + alpha * np.abs(coef.astype(float)).sum()

    columns = zip(path.coefs.T, wide.coefs.T, strict=True)
    for k, (single, double) in enumerate(columns):
        found = objective(single, path.intercepts[k], path.alphas[k])
        least = objective(double, wide.intercepts[k], path.alphas[k])
        assert found - least <= path.dual_gaps[k] + 1e-12 * least


@pytest.mark.parametrize("loss", ["huber", "tukey", "andrews", "l1"])
def test_a_scale_that_single_precision_hides_has_collapsed(loss):
    rng = np.random.default_rng(0)
    x = rng.normal(size=80).astype(np.float32)
    y = 0.81 * x.astype(float) + 10.1 + 1e-8 * rng.normal(size=80)
    y[:20] += rng.normal(size=20)
    with pytest.warns(ScaleCollapseWarning):
        RobustRegressor(loss, penalty=None, scale="mad").fit(x[:, None], y)
    model = RobustRegressor(loss, penalty=None, scale="mad")
    assert 0 < model.fit(x[:, None].astype(float), y).scale_ < 1e-7
