"""Standard errors against statsmodels, where it computes the same thing."""

import numpy as np
import pytest
import statsmodels.api as sm

from robustreg import L1Regressor, RobustRegressor
from robustreg.inference import coef_covariance, coef_table
from robustreg.inference.density import KERNELS

RNG = np.random.default_rng(0)
N = 150
X = RNG.normal([0.0, 5.0, 0.0], size=(N, 3))
Y = X @ [1.0, 2.0, 0.0] + 3 + RNG.standard_t(3, size=N) * (1 + 0.5 * np.abs(X[:, 0]))
DESIGN = np.column_stack([X, np.ones(N)])
GROUPS = RNG.integers(0, 12, N)

SHORT = dict(zip(("gau", "epa", "biw", "cos", "par"), KERNELS, strict=True))
BANDWIDTHS = {"hsheather": "hall-sheather", "bofinger": "bofinger"}
BANDWIDTHS["chamberlain"] = "chamberlain"


def least_squares():
    return RobustRegressor("l2", scale=1.0).fit(X, Y)


def test_h1_of_l2_is_least_squares():
    table = coef_table(least_squares(), X, Y, cov_type="H1", level=0.9)
    peer = sm.OLS(Y, DESIGN).fit()
    np.testing.assert_allclose(table["coef"], peer.params, rtol=1e-10)
    np.testing.assert_allclose(table["std_err"], peer.bse, rtol=1e-10)
    np.testing.assert_allclose(table["statistic"], peer.tvalues, rtol=1e-9)
    np.testing.assert_allclose(table["p_value"], peer.pvalues, rtol=1e-8)
    bounds = table[["lower", "upper"]]
    np.testing.assert_allclose(bounds, peer.conf_int(0.1), rtol=1e-9)


@pytest.mark.parametrize("cov_type", ["HC0", "HC1", "HC2", "HC3"])
def test_sandwich_of_l2_is_that_of_least_squares(cov_type):
    own = coef_covariance(least_squares(), X, Y, cov_type=cov_type)
    peer = sm.OLS(Y, DESIGN).fit(cov_type=cov_type)
    np.testing.assert_allclose(own, peer.cov_params(), rtol=1e-9)


def test_clusters_of_l2_are_those_of_least_squares():
    table = coef_table(least_squares(), X, Y, groups=GROUPS.astype(str))
    peer = sm.OLS(Y, DESIGN).fit(
        cov_type="cluster", cov_kwds={"groups": GROUPS}, use_t=True
    )
    np.testing.assert_allclose(table["std_err"], peer.bse, rtol=1e-10)
    np.testing.assert_allclose(table["p_value"], peer.pvalues, rtol=1e-8)
    assert table.attrs["df"] == 11


@pytest.mark.parametrize("cov_type", ["H1", "H2", "H3"])
def test_huber_is_that_of_rlm(cov_type):
    norm = sm.robust.norms.HuberT(1.345)
    peer = sm.RLM(Y, DESIGN, M=norm).fit(tol=1e-14, maxiter=1000, cov=cov_type)
    model = RobustRegressor().fit(X, Y)
    table = coef_table(model, X, Y, cov_type=cov_type, use_t=False)
    np.testing.assert_allclose(table["std_err"], peer.bse, rtol=1e-9)
    np.testing.assert_allclose(table["p_value"], peer.pvalues, rtol=1e-7)
    assert table.attrs["df"] == np.inf


def quantile_regression(**options):
    return sm.QuantReg(Y, DESIGN).fit(p_tol=1e-12, max_iter=3000, **options)


@pytest.mark.parametrize("vcov", ["iid", "robust"])
@pytest.mark.parametrize(
    ("kernel", "bandwidth"),
    [(k, "hsheather") for k in SHORT] + [("epa", b) for b in BANDWIDTHS],
)
def test_median_is_that_of_quantreg(vcov, kernel, bandwidth):
    peer = quantile_regression(q=0.5, vcov=vcov, kernel=kernel, bandwidth=bandwidth)
    model = L1Regressor().fit(X, Y)
    own = coef_covariance(
        model,
        X,
        Y,
        cov_type=f"kernel-{vcov}",
        kernel=SHORT[kernel],
        bandwidth=BANDWIDTHS[bandwidth],
    )
    # QuantReg's coefficients have six digits.
    errors = np.sqrt(np.diag(own))
    np.testing.assert_allclose(errors, peer.bse, rtol=3e-6)


@pytest.mark.parametrize("kernel", SHORT)
def test_quartile_is_that_of_quantreg(kernel):
    peer = quantile_regression(q=0.25, vcov="iid", kernel=kernel)
    model = L1Regressor("quantile", quantile=0.25).fit(X, Y)
    own = coef_covariance(model, X, Y, cov_type="kernel-iid", kernel=SHORT[kernel])
    np.testing.assert_allclose(np.sqrt(np.diag(own)), peer.bse, rtol=3e-6)


def test_robust_quartile_is_quantregs_formula_but_for_rows_on_the_fit():
    """QuantReg leaves their side to rounding errors; here it is the lower one."""
    peer = quantile_regression(q=0.25, vcov="iid")
    model = L1Regressor("quantile", quantile=0.25).fit(X, Y)
    above = Y - model.predict(X) > 1e-9
    side = np.where(above, 0.25, 0.75) * peer.sparsity
    bread = np.linalg.inv(DESIGN.T @ DESIGN)
    meat = DESIGN.T @ (side[:, None] ** 2 * DESIGN)
    own = coef_covariance(model, X, Y, cov_type="kernel-robust")
    np.testing.assert_allclose(own, bread @ meat @ bread, rtol=1e-5)


@pytest.mark.parametrize("cov_type", ["H1", "H2", "H3"])
def test_tukey_is_that_of_rlm(cov_type):
    norm = sm.robust.norms.TukeyBiweight(4.685)
    peer = sm.RLM(Y, DESIGN, M=norm).fit(tol=1e-14, maxiter=2000, cov=cov_type)
    model = RobustRegressor("tukey").fit(X, Y)
    table = coef_table(model, X, Y, cov_type=cov_type, use_t=False)
    np.testing.assert_allclose(table["coef"], peer.params, rtol=1e-8)
    np.testing.assert_allclose(table["std_err"], peer.bse, rtol=1e-8)
