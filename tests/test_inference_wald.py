"""Wald tests: laws, statsmodels as the oracle, and what is refused."""

import re

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import f
from sklearn.linear_model import LinearRegression

from robustreg import L1Regressor, MMRegressor, RobustRegressor
from robustreg.inference import coef_covariance, coef_table, wald_test

RNG = np.random.default_rng(0)
N = 160
LEVELS = RNG.integers(0, 4, N)
X = np.column_stack(
    [RNG.normal(5.0, 2.0, N), *(1.0 * (k == LEVELS) for k in (1, 2, 3))]
)
Y = X @ [1.0, 0.3, -0.2, 0.0] + 3 + RNG.standard_t(3, size=N)
DESIGN = np.column_stack([X, np.ones(N)])
GROUPS = RNG.integers(0, 3, N)
FACTOR = ["x1", "x2", "x3"]
MODEL = RobustRegressor().fit(X, Y)
MATRIX = np.array([[0.0, 1.0, -1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 2.0, 0.5]])


@pytest.mark.parametrize("cov_type", ["H1", "H2", "H3"])
@pytest.mark.parametrize("use_f", [True, False])
def test_tests_are_those_of_rlm(cov_type, use_f):
    norm = sm.robust.norms.HuberT(1.345)
    peer = sm.RLM(Y, DESIGN, M=norm).fit(tol=1e-14, maxiter=1000, cov=cov_type)
    asked = {"factor": np.eye(5)[1:4], "line": MATRIX}
    table = wald_test(MODEL, X, Y, asked, cov_type=cov_type, use_f=use_f)
    for name, matrix in asked.items():
        own, theirs = table.loc[name], peer.wald_test(matrix, use_f=use_f, scalar=True)
        np.testing.assert_allclose(own["statistic"], theirs.statistic, rtol=1e-7)
        np.testing.assert_allclose(own["p_value"], theirs.pvalue, rtol=1e-7)
        assert own["df"] == len(matrix)
    assert (table["df_resid"] == (N - 5 if use_f else np.inf)).all()


@pytest.mark.parametrize("use_f", [True, False])
def test_factors_are_those_of_wald_test_terms(use_f):
    frame = pd.DataFrame({"y": Y, "number": X[:, 0], "level": LEVELS})
    formula = "y ~ number + C(level)"
    model = sm.RLM.from_formula(formula, frame, M=sm.robust.norms.HuberT(1.345))
    fit = model.fit(tol=1e-14, maxiter=1000)
    theirs = fit.wald_test_terms(scalar=True)
    terms = {"C(level)": FACTOR, "number": "x0", "Intercept": ["intercept"]}
    own = wald_test(MODEL, X, Y, terms, cov_type="H1", use_f=False)
    peer = theirs.table.loc[own.index]
    np.testing.assert_allclose(own["statistic"], peer["statistic"], rtol=1e-7)
    np.testing.assert_allclose(own["p_value"], peer["pvalue"], rtol=1e-6)
    np.testing.assert_array_equal(own["df"], peer["df_constraint"])


def test_least_squares_has_the_f_test_of_nested_models():
    model = RobustRegressor("l2", scale=1.0).fit(X, Y)
    own = wald_test(model, X, Y, FACTOR, cov_type="H1").iloc[0]
    large, small = (
        np.sum((Y - LinearRegression().fit(some, Y).predict(some)) ** 2)
        for some in (X, X[:, :1])
    )
    expected = (small - large) / 3 / (large / (N - 5))
    np.testing.assert_allclose(own["statistic"], expected, rtol=1e-9)
    np.testing.assert_allclose(own["p_value"], f.sf(expected, 3, N - 5), rtol=1e-8)


@pytest.mark.parametrize("make", [RobustRegressor, L1Regressor, MMRegressor])
@pytest.mark.parametrize("exact", [True, False])
def test_one_coefficient_has_the_test_of_its_table(make, exact):
    model = make().fit(X, Y)
    table = coef_table(model, X, Y, use_t=exact)
    own = wald_test(model, X, Y, {name: name for name in table.index}, use_f=exact)
    np.testing.assert_allclose(own["statistic"], table["statistic"] ** 2, rtol=1e-9)
    np.testing.assert_allclose(own["p_value"], table["p_value"], rtol=1e-7)
    assert own.index.equals(table.index)
    assert own.attrs == {
        "cov_type": table.attrs["cov_type"],
        "distribution": "F" if exact else "chi2",
    }


def test_mm_has_the_wald_test_of_lmrob_by_its_formula():
    model = MMRegressor().fit(X, Y)
    part = np.ix_([1, 2, 3], [1, 2, 3])
    covariance = coef_covariance(model, X, Y, cov_type="avar1")[part]
    coef = model.coef_[1:]
    own = wald_test(model, X, Y, FACTOR, use_f=False)
    expected = coef @ np.linalg.solve(covariance, coef)
    np.testing.assert_allclose(own["statistic"], expected, rtol=1e-8)


@pytest.mark.parametrize("unit", [1e-100, 1.0, 1e100])
def test_neither_units_nor_combinations_of_restrictions_matter(unit):
    turn = np.array([[2.0, -1.0], [1e6, 3.0]])
    values = np.array([0.4, 1.0])
    plain = wald_test(MODEL, X, Y, MATRIX, values=values)
    scaled = RobustRegressor().fit(X, unit * Y)
    turned = wald_test(
        scaled, X, unit * Y, turn @ MATRIX, values=unit * (turn @ values)
    )
    np.testing.assert_allclose(turned, plain, rtol=1e-7)


def test_true_values_are_tested_against():
    at_fit = MATRIX @ np.append(MODEL.coef_, MODEL.intercept_)
    own = wald_test(MODEL, X, Y, MATRIX, values=at_fit).iloc[0]
    assert own["statistic"] < 1e-20 and own["p_value"] > 1 - 1e-12


def test_a_bootstrap_has_the_covariance_of_its_resamples():
    options = {"cov_type": "bootstrap", "n_bootstrap": 60, "random_state": 0}
    own = wald_test(MODEL, X, Y, FACTOR, **options).iloc[0]
    covariance = coef_covariance(MODEL, X, Y, **options)[1:4, 1:4]
    expected = MODEL.coef_[1:] @ np.linalg.solve(covariance, MODEL.coef_[1:]) / 3
    np.testing.assert_allclose(own["statistic"], expected, rtol=1e-8)
    assert own["df_resid"] == np.inf


def test_names_are_those_of_a_frame():
    frame = pd.DataFrame(X, columns=["age", "b", "c", "d"])
    model = RobustRegressor().fit(frame, Y)
    own = wald_test(model, frame, Y, ["b", "c", "d"])
    assert own.index.tolist() == ["b, c, d"]
    np.testing.assert_allclose(own, wald_test(MODEL, X, Y, FACTOR), rtol=1e-7)


@pytest.mark.parametrize(
    ("asked", "message", "error"),
    [
        ("x9", "There is no coefficient 'x9'", ValueError),
        ({"a": ["x0", "x0"]}, "'x0' is named more than once", ValueError),
        ({}, "hypotheses is empty", ValueError),
        ([], "A hypothesis names no coefficient", ValueError),
        ([0.0, 1.0, 0.0, 0.0, 0.0], "shape (n_restrictions, 5)", ValueError),
        ([[0.0, 1.0]], "Got shape (1, 2)", ValueError),
        ([[np.nan] * 5], "finite", ValueError),
        ([[0.0] * 5], "depend on each other", ValueError),
        (np.vstack([MATRIX, MATRIX[:1]]), "depend on each other", ValueError),
        ([object()], "A hypothesis is a name", TypeError),
        (None, "Got shape ()", ValueError),
    ],
)
def test_what_is_no_hypothesis_is_refused_before_any_work(asked, message, error):
    with pytest.raises(error, match=re.escape(message)):
        wald_test(MODEL, None, None, asked)


def test_values_are_those_of_one_matrix():
    with pytest.raises(ValueError, match="2 finite numbers"):
        wald_test(MODEL, X, Y, MATRIX, values=[1.0])
    with pytest.raises(ValueError, match="values are those of one matrix"):
        wald_test(MODEL, X, Y, {"a": MATRIX}, values=[1.0, 1.0])


def test_fewer_groups_than_restrictions_are_refused():
    with pytest.raises(ValueError, match="covariance of the 3 restrictions"):
        wald_test(MODEL, X, Y, FACTOR, groups=GROUPS)


def test_a_penalised_fit_is_no_test():
    model = RobustRegressor(penalty="l2", alpha=0.1).fit(X, Y)
    with pytest.raises(ValueError, match="Refit with penalty=None"):
        wald_test(model, X, Y, FACTOR, cov_type="bootstrap")
