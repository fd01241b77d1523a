"""The table of several targets is that of each of them."""

import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from robustreg import (
    L1Regressor,
    MMRegressor,
    QuantilesRegressor,
    RobustRegressor,
    SmoothL1Regressor,
)
from robustreg.inference import coef_covariance, coef_table, predict_table, wald_test

RNG = np.random.default_rng(0)
N = 120
X = RNG.normal(size=(N, 2))
Y = X @ [[1.0, 0.0, -2.0], [0.0, 3.0, 1.0]] + [0.0, 5.0, 1e3]
Y += [1.0, 10.0, 0.1] * RNG.standard_t(3, size=(N, 3))
MODELS = [
    RobustRegressor(),
    RobustRegressor(fit_intercept=False),
    SmoothL1Regressor(beta=0.5),
    L1Regressor(),
    MMRegressor(n_subsets=20),
]


@pytest.mark.parametrize("model", MODELS, ids=repr)
@pytest.mark.parametrize("weight", [None, RNG.integers(0, 3, N)])
def test_each_target_has_the_table_of_its_own_fit(model, weight):
    table = coef_table(model.fit(X, Y, weight), X, Y, weight, level=0.9)
    assert table.index.names == ["target", "coefficient"]
    for j in range(3):
        alone = coef_table(model.fit(X, Y[:, j], weight), X, Y[:, j], weight, level=0.9)
        own = table.loc[f"y{j}"]
        np.testing.assert_allclose(own, alone, rtol=1e-6, atol=1e-12)
        assert own.index.tolist() == alone.index.tolist()
        for name in ("residual_scale", "robust_r2"):
            each, one = table.attrs[name][j], alone.attrs[name]
            assert each == (None if one is None else pytest.approx(one, rel=1e-6))
        for name in ("cov_type", "level", "df"):
            assert table.attrs[name] == alone.attrs[name]


def test_targets_have_the_names_of_their_columns():
    y = pd.DataFrame(Y, columns=["price", "rent", "area"])
    piped = make_pipeline(StandardScaler(), RobustRegressor())
    table = coef_table(piped.fit(X, y), X, y)
    targets = table.index.get_level_values("target").tolist()
    assert targets == ["price"] * 3 + ["rent"] * 3 + ["area"] * 3
    np.testing.assert_allclose(table, coef_table(piped, X, Y), rtol=1e-12)


def test_one_target_has_one_level():
    model = RobustRegressor().fit(X, Y[:, :1])
    assert coef_table(model, X, Y[:, :1]).index.tolist() == ["x0", "x1", "intercept"]


@pytest.mark.parametrize("y", [Y[:, 0], Y[:, :2]])
def test_other_targets_are_refused(y):
    message = f"the targets of the fit. Got shape {y.shape}"
    with pytest.raises(ValueError, match=re.escape(message)):
        coef_table(RobustRegressor().fit(X, Y), X, y)


BOOTSTRAP = {"cov_type": "bootstrap", "n_bootstrap": 6, "random_state": 0}
TERMS = {"both": ["x0", "x1"], "first": "x0"}
NEW = np.array([[0.0, 1.0], [2.0, 3.0]])


def wald_of_terms(model, X, y, *weight, **options):
    return wald_test(model, X, y, TERMS, *weight, **options)


def prediction_of_new(model, X, y, *weight, **options):
    return predict_table(model, X, y, NEW, *weight, errors="residuals", **options)


# By what the second level of their index is called.
ASKED = {
    "coefficient": coef_table,
    "hypothesis": wald_of_terms,
    "row": prediction_of_new,
}


@pytest.mark.parametrize("model", [RobustRegressor(), LinearRegression()], ids=repr)
@pytest.mark.parametrize("level", ASKED)
def test_each_target_has_the_same_resamples(level, model):
    ask = partial(ASKED[level], **BOOTSTRAP)
    table = ask(model.fit(X, Y), X, Y)
    assert table.index.names == ["target", level]
    for j in range(3):
        alone = ask(model.fit(X, Y[:, j]), X, Y[:, j])
        np.testing.assert_allclose(table.loc[f"y{j}"], alone, rtol=1e-6, atol=1e-12)
        assert table.loc[f"y{j}"].index.tolist() == alone.index.tolist()


def test_a_covariance_takes_one_target():
    with pytest.raises(ValueError, match="fit of several targets"):
        coef_covariance(RobustRegressor().fit(X, Y), X, Y)


QUANTILES = (0.8, 0.25, 0.5)


@pytest.mark.parametrize("weight", [None, RNG.integers(0, 3, N)], ids=["", "weights"])
@pytest.mark.parametrize("level", ASKED)
def test_each_quantile_has_the_table_of_its_own_fit(level, weight):
    weights = [] if weight is None else [weight]
    model = QuantilesRegressor(QUANTILES).fit(X, Y[:, 0], *weights)
    table = ASKED[level](model, X, Y[:, 0], *weights)
    assert table.index.names == ["quantile", level]
    for q in QUANTILES:
        one = L1Regressor(quantile=q).fit(X, Y[:, 0], *weights)
        alone = ASKED[level](one, X, Y[:, 0], *weights)
        np.testing.assert_allclose(table.loc[q], alone, rtol=1e-6, atol=1e-9)
        assert table.loc[q].index.tolist() == alone.index.tolist()


def test_quantiles_of_a_frame_by_any_covariance():
    frame = pd.DataFrame(X, columns=["size", "age"])
    model = QuantilesRegressor(QUANTILES, fit_intercept=False).fit(frame, Y[:, 0])
    groups = np.arange(N) % 12
    for options in (BOOTSTRAP, {"groups": groups}, {"cov_type": "ker"}):
        table = coef_table(model, frame, Y[:, 0], **options)
        assert table.loc[0.5].index.tolist() == ["size", "age"]
        one = L1Regressor(quantile=0.25, fit_intercept=False).fit(frame, Y[:, 0])
        alone = coef_table(one, frame, Y[:, 0], **options)
        np.testing.assert_allclose(table.loc[0.25], alone, rtol=1e-6, atol=1e-9)
    assert table.attrs["residual_scale"] == table.attrs["robust_r2"] == [None] * 3
    one_level = QuantilesRegressor([0.5]).fit(X, Y[:, 0])
    assert coef_table(one_level, X, Y[:, 0]).index.nlevels == 2


def test_what_quantiles_have_not_is_refused():
    lasso = QuantilesRegressor(QUANTILES, penalty="l1", alpha=0.1).fit(X, Y[:, 0])
    model = QuantilesRegressor(QUANTILES).fit(X, Y[:, 0])
    for message, ask in (
        ("The fit is penalised", lambda: coef_table(lasso, X, Y[:, 0])),
        ("The fit is penalised", lambda: wald_test(lasso, X, Y[:, 0], "x0")),
        ("L1Regressor(quantile=q)", lambda: coef_covariance(model, X, Y[:, 0])),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            ask()
    with pytest.raises(TypeError, match=r"QuantilesRegressor does.*'residuals'"):
        predict_table(model, X, Y[:, 0], X)
    table = coef_table(lasso, X, Y[:, 0], **BOOTSTRAP)
    assert table.index.get_level_values("quantile").unique().tolist() == [*QUANTILES]
