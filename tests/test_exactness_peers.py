"""Exact relations to other people's estimators, where the two problems are one."""

import numpy as np
import pytest
import statsmodels.api as sm
from oracles import Case, assert_same_fit
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    QuantileRegressor,
    Ridge,
)

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor

N = 80


def make_data(weighted=True):
    rng = np.random.default_rng(11)
    X = rng.normal(size=(N, 4)) * [1, 2, 0.5, 1] + 5
    y = X @ [1.0, -1, 0, 3] + 7 + rng.standard_t(3, size=N)
    return X, y, rng.uniform(0.2, 2, size=N) if weighted else None


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_least_squares_is_linear_regression(fit_intercept, weighted):
    X, y, weight = make_data(weighted)
    model = SmoothL1Regressor("l2", penalty=None, fit_intercept=fit_intercept)
    peer = LinearRegression(fit_intercept=fit_intercept).fit(X, y, weight)
    assert_same_fit(model.fit(X, y, weight), peer)


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_l2_of_l2_is_ridge_with_alpha_times_total_weight(alpha, fit_intercept):
    X, y, weight = make_data()
    params = {"fit_intercept": fit_intercept}
    model = SmoothL1Regressor("l2", penalty="l2", alpha=alpha, **params).fit(
        X, y, weight
    )
    peer = Ridge(alpha=alpha * weight.sum(), solver="svd", **params)
    assert_same_fit(model, peer.fit(X, y, weight))


@pytest.mark.parametrize("beta", [50.0, 1e3])
def test_smooth_l1_with_a_beta_beyond_all_residuals_is_ridge(beta):
    X, y, _ = make_data()
    model = SmoothL1Regressor(beta=beta, penalty="l2", alpha=0.02).fit(X, y)
    assert np.abs(y - model.predict(X)).max() < beta
    peer = Ridge(alpha=N * 0.02 * beta, solver="svd").fit(X, y)
    assert_same_fit(model, peer)


@pytest.mark.parametrize("alpha", [0.01, 0.3, 3.0])
def test_l2_with_l1_is_lasso(alpha):
    X, y, weight = make_data()
    model = SmoothL1Regressor("l2", penalty="l1", alpha=alpha).fit(X, y, weight)
    peer = Lasso(alpha=alpha, tol=1e-14, max_iter=100_000).fit(X, y, weight)
    # Coordinate descent stops at a gap of 1e-14 ||y||^2: a square root in the fit.
    assert_same_fit(model, peer, rtol=2e-6)
    assert ((model.coef_ == 0) == (peer.coef_ == 0)).all()


@pytest.mark.parametrize("l1_ratio", [0.1, 0.5, 0.9])
def test_l2_with_elasticnet_is_elastic_net(l1_ratio):
    X, y, weight = make_data()
    params = {"alpha": 0.2, "l1_ratio": l1_ratio}
    model = SmoothL1Regressor("l2", penalty="elasticnet", **params).fit(X, y, weight)
    peer = ElasticNet(tol=1e-14, max_iter=100_000, **params).fit(X, y, weight)
    assert_same_fit(model, peer, rtol=2e-6)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.75])
@pytest.mark.parametrize("alpha", [0.0, 0.05])
def test_quantile_with_l1_is_quantile_regressor(quantile, alpha):
    X, y, weight = make_data()
    params = {"quantile": quantile, "alpha": alpha}
    model = L1Regressor("quantile", penalty="l1" if alpha else None, **params).fit(
        X, y, weight
    )
    peer = QuantileRegressor(solver="highs", **params).fit(X, y, weight)
    assert_same_fit(model, peer)


@pytest.mark.parametrize("quantile", [0.25, 0.5])
def test_l1_is_quantile_regressor_with_half_the_alpha(quantile):
    X, y, weight = make_data()
    model = L1Regressor(quantile=quantile, penalty="l1", alpha=0.1).fit(X, y, weight)
    peer = QuantileRegressor(quantile=quantile, alpha=0.05, solver="highs")
    assert_same_fit(model, peer.fit(X, y, weight))


@pytest.mark.parametrize("quantile", [0.3, 0.5])
def test_l1_is_no_worse_than_statsmodels_quantreg(quantile):
    X, y, _ = make_data()
    case = Case(X, y, loss="quantile", quantile=quantile)
    peer = sm.QuantReg(y, sm.add_constant(X)).fit(q=quantile)
    theirs = case.objective(peer.params[1:], peer.params[0])
    # Its residuals are floored at 1e-6, so that it may be that much worse.
    assert theirs * (1 - 1e-5) <= case.reached(case.fit()) <= theirs * (1 + 1e-12)


@pytest.mark.parametrize(("t", "scale"), [(1.345, 1.0), (0.7, 2.0), (3.0, 0.4)])
def test_huber_at_a_fixed_scale_is_statsmodels_rlm(t, scale):
    X, y, _ = make_data()
    peer = sm.RLM(y, sm.add_constant(X), M=sm.robust.norms.HuberT(t)).fit(
        start_params=LinearRegression().fit(X, y).coef_[[0, 0, 1, 2, 3]],
        start_scale=scale,
        update_scale=False,
        tol=1e-13,
        maxiter=2000,
    )
    model = SmoothL1Regressor("huber", beta=t, scale=scale).fit(X, y)
    np.testing.assert_allclose(model.coef_, peer.params[1:], rtol=0, atol=1e-9)
    assert model.intercept_ == pytest.approx(peer.params[0], rel=1e-9)


def test_huber_with_a_mad_scale_is_statsmodels_rlm():
    X, y, _ = make_data()
    peer = sm.RLM(y, sm.add_constant(X), M=sm.robust.norms.HuberT(1.345)).fit(
        scale_est="mad", tol=1e-13, maxiter=5000
    )
    model = RobustRegressor("huber").fit(X, y)
    np.testing.assert_allclose(model.coef_, peer.params[1:], rtol=0, atol=1e-8)
    assert model.scale_ == pytest.approx(peer.scale, rel=1e-8)


def test_huber_with_proposal_2_is_the_root_of_its_two_equations():
    X, y, _ = make_data()
    model = RobustRegressor("huber", scale="proposal2").fit(X, y)
    t = (y - model.predict(X)) / model.scale_
    psi = np.clip(t, -1.345, 1.345)
    # E min(Z^2, k^2) = 0.7101645 at k = 1.345, and 5 of 80 degrees of freedom gone.
    assert psi @ psi / (N - 5) == pytest.approx(0.71016451, rel=1e-7)
    assert np.abs(np.column_stack([X, np.ones(N)]).T @ psi).max() <= 1e-9 * N


@pytest.mark.parametrize("beta", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("penalty", ["l1", "l2", "elasticnet"])
def test_huber_is_beta_times_smooth_l1(beta, penalty):
    X, y, weight = make_data()
    params = {"beta": beta, "penalty": penalty}
    smooth = SmoothL1Regressor(alpha=0.1, **params).fit(X, y, weight)
    huber = SmoothL1Regressor("huber", alpha=0.1 * beta, **params).fit(X, y, weight)
    assert_same_fit(huber, smooth)
    assert ((huber.coef_ == 0) == (smooth.coef_ == 0)).all()


def test_beta_0_is_l1():
    X, y, weight = make_data()
    smooth = SmoothL1Regressor(beta=0, penalty="l2", alpha=0.01).fit(X, y, weight)
    kinked = L1Regressor(penalty="l2", alpha=0.01).fit(X, y, weight)
    np.testing.assert_array_equal(smooth.coef_, kinked.coef_)


def test_a_tiny_beta_tends_to_l1():
    X, y, _ = make_data()
    smooth = SmoothL1Regressor(beta=1e-9).fit(X, y)
    # The two objectives differ by at most beta / 2.
    case = Case(X, y, loss="l1")
    assert case.reached(smooth) <= case.reached(case.fit()) + 1e-9
