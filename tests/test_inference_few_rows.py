"""Standard errors where rows are fitted exactly, few, or dependent."""

import warnings

import numpy as np
import pandas as pd
import pytest

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor
from robustreg.inference import coef_covariance, coef_table

RNG = np.random.default_rng(20)


def exact_groups(seed):
    """Return four groups of ten rows, the first two without errors."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(4), 10)
    error = np.where(group < 2, 0.0, rng.standard_t(3, size=40))
    return np.eye(4)[group], group, group + 0.1 + error


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("cov_type", ["HC0", "HC1", "HC2", "HC3", "cluster"])
def test_coefficients_of_rows_without_errors_have_none(cov_type, intercept, seed):
    X, group, y = exact_groups(seed)
    X = X[:, 1:] if intercept else X
    model = SmoothL1Regressor(scale=1.0, fit_intercept=intercept).fit(X, y)
    options = {"groups": group} if cov_type == "cluster" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = coef_table(model, X, y, cov_type=cov_type, **options)
    np.testing.assert_allclose(table["std_err"].iloc[:1], 0, atol=1e-9)
    if cov_type == "cluster":
        # The slopes of each group sum to 0 at the fit.
        np.testing.assert_allclose(table["std_err"], 0, atol=1e-6)
    else:
        assert (table["std_err"].iloc[1:3].max()) > 0.05


@pytest.mark.parametrize("seed", range(5))
def test_clusters_that_balance_have_no_negative_variance(seed):
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(6), 8)
    X = np.eye(6)[group][:, 1:]
    y = group + rng.normal(size=48)
    covariance = coef_covariance(
        RobustRegressor("l2").fit(X, y), X, y, cov_type="cluster", groups=group
    )
    variance = np.diag(covariance)
    assert (variance >= 0).all()
    np.testing.assert_allclose(np.sqrt(variance), 0, atol=1e-12)


def test_too_few_rows_for_a_quantile_are_the_reason_given():
    X, y = RNG.normal(size=(20, 2)), RNG.normal(size=20)
    model = L1Regressor(quantile=0.95).fit(X, y)
    with pytest.raises(ValueError, match=r"20 rows are too few for quantile 0\.95"):
        coef_table(model, X, y, cov_type="nid")


def test_a_column_named_intercept_is_told_from_the_intercept():
    X = pd.DataFrame(RNG.normal(size=(60, 2)), columns=["intercept", "a"])
    y = X["intercept"] + RNG.normal(size=60) + 3
    table = coef_table(RobustRegressor().fit(X, y), X, y)
    assert list(table.index) == ["intercept", "a", "(intercept)"]
    X.columns = ["intercept", "(intercept)"]
    table = coef_table(RobustRegressor().fit(X, y), X, y)
    assert list(table.index)[-1] == "((intercept))"


@pytest.mark.parametrize("options", [{}, {"cov_type": "bootstrap", "n_bootstrap": 20}])
@pytest.mark.parametrize("quantile", [0.03, 0.97])
def test_a_quantile_that_few_rows_hold_is_said_once(quantile, options):
    X, y = RNG.normal(size=(100, 1)), RNG.normal(size=100)
    model = L1Regressor(quantile=quantile).fit(X, y)
    with pytest.warns(
        RuntimeWarning, match=f"About 3 of 100 rows .* {quantile}"
    ) as all_:
        coef_table(model, X, y, random_state=0, **options)
    assert len(all_) == 1
    assert all_[0].filename == __file__


@pytest.mark.parametrize(("quantile", "n"), [(0.05, 100), (0.95, 100), (0.5, 12)])
def test_a_quantile_that_enough_rows_hold_is_no_matter(quantile, n):
    X, y = RNG.normal(size=(n, 1)), RNG.normal(size=n)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coef_table(L1Regressor(quantile=quantile).fit(X, y), X, y)


@pytest.mark.parametrize("model", [SmoothL1Regressor(scale=1.0), L1Regressor()])
def test_dependent_columns_are_the_reason_though_rows_are_few(model):
    X, y = RNG.normal(size=(7, 2)), RNG.normal(size=7)
    thrice = np.hstack([X, X, X])
    with pytest.raises(ValueError, match="the columns depend on each other"):
        coef_covariance(model.fit(thrice, y), thrice, y)
