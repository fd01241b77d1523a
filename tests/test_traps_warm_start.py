"""A warm start reaches where a cold one does, whatever was fitted before."""

import numpy as np
import pytest
import scipy.sparse as sp
from oracles import CONVEX, PENALTIES, assert_same_fit
from pairwise import pairwise
from sklearn.base import clone

from robustreg import RobustRegressor, SmoothL1Regressor
from robustreg.losses import make_loss
from robustreg.objective import Objective
from robustreg.penalties import make_penalty
from robustreg.rows import make_rows
from robustreg.solvers import solve
from robustreg.solvers.results import Start


def make_data(n=60, p=3, seed=21):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) + 2
    return X, X.sum(axis=1) + 5 + rng.standard_t(2, size=n)


def assert_warm_is_cold(model, X, y):
    """Fit a fitted estimator again, beside one that was never fitted."""
    cold = clone(model).set_params(warm_start=False).fit(X, y)
    model.fit(X, y)
    assert_same_fit(model, cold, rtol=1e-7)
    assert model.scale_ == pytest.approx(cold.scale_, rel=1e-7)
    assert model.coef_.shape == cold.coef_.shape


@pytest.mark.parametrize(
    ("loss", "first", "second", "scale"),
    pairwise(CONVEX, (True, False), (True, False), (1.0, "mad")),
)
def test_a_toggled_intercept(loss, first, second, scale):
    X, y = make_data()
    model = RobustRegressor(loss, scale=scale, warm_start=True)
    model.set_params(fit_intercept=first).fit(X, y)
    assert_warm_is_cold(model.set_params(fit_intercept=second), X, y)
    if not second:
        assert model.intercept_ == 0


@pytest.mark.parametrize(
    ("loss", "penalty", "fit_intercept"), pairwise(CONVEX, PENALTIES, (True, False))
)
def test_a_refit_changes_nothing(loss, penalty, fit_intercept):
    X, y = make_data()
    model = SmoothL1Regressor(
        loss, penalty=penalty, alpha=0.1 if penalty else 0.0, warm_start=True
    )
    model.set_params(fit_intercept=fit_intercept).fit(X, y)
    for _ in range(2):
        assert_warm_is_cold(model, X, y)


@pytest.mark.parametrize("loss", CONVEX)
def test_other_numbers_of_features_and_rows(loss):
    model = RobustRegressor(loss, warm_start=True)
    for n, p in [(60, 3), (50, 5), (70, 1), (60, 3)]:
        assert_warm_is_cold(model, *make_data(n, p))


@pytest.mark.parametrize("loss", CONVEX)
def test_other_data_far_away(loss):
    X, y = make_data()
    model = SmoothL1Regressor(loss, warm_start=True).fit(1e6 * X - 1e9, 1e9 - 1e6 * y)
    assert_warm_is_cold(model, X, y)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", CONVEX)
def test_another_alpha(loss, penalty):
    X, y = make_data()
    model = SmoothL1Regressor(loss, penalty=penalty, warm_start=True)
    for alpha in (10.0, 0.1, 0.0, 1.0) if penalty else (0.0,):
        model.set_params(alpha=alpha, penalty=penalty if alpha else None)
        assert_warm_is_cold(model, X, y)


@pytest.mark.parametrize("loss", CONVEX)
def test_dense_after_sparse_and_another_loss(loss):
    X, y = make_data()
    X = np.where(X > 2, X, 0)
    model = RobustRegressor("l2", warm_start=True).fit(sp.csr_array(X), y)
    assert_warm_is_cold(model.set_params(loss=loss), X, y)
    assert_warm_is_cold(model, sp.csc_array(X), y)


@pytest.mark.parametrize("loss", CONVEX)
def test_another_number_of_targets(loss):
    X, y = make_data()
    model = RobustRegressor(loss, warm_start=True)
    for target in (y, np.column_stack([y, -y]), y[:, None], y):
        assert_warm_is_cold(model, X, target)


@pytest.mark.parametrize("loss", CONVEX)
def test_float32_after_float64(loss):
    X, y = make_data()
    model = SmoothL1Regressor(loss, warm_start=True).fit(X, y)
    model.fit(X.astype(np.float32), y)
    assert model.coef_.dtype == np.float32
    cold = SmoothL1Regressor(loss).fit(X.astype(np.float32), y)
    assert_same_fit(model, cold, rtol=1e-6)


def test_a_warm_start_after_a_collapse():
    X, y = make_data()
    model = RobustRegressor(warm_start=True)
    with pytest.warns(match="collapsed"):
        model.fit(X, np.full(60, 4.0))
    assert_warm_is_cold(model, X, y)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("far", [300.0, 360.0, 370.0])
def test_curvature_too_faint_for_a_step(penalty, far):
    # That of log cosh falls as exp(-2 r), and its inverse overflows.
    X, y = make_data()
    rows, share = make_rows(X, np.ones(60), True), np.full(60, 1 / 60)
    loss, zero = make_loss("log_cosh", None), np.zeros(4)
    strength = make_penalty(penalty, 1e-14, 0.5, 3)
    objective = Objective(rows, y - np.median(y) + far, share, loss, strength)
    warm = solve(objective, Start(zero, is_near=True), "auto", 1e-10, 200)
    cold = solve(objective, Start(zero), "auto", 1e-10, 200)
    assert warm.success
    np.testing.assert_allclose(warm.params, cold.params, rtol=1e-7)
