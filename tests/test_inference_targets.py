"""The table of several targets is that of each of them."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from robustreg import L1Regressor, MMRegressor, RobustRegressor, SmoothL1Regressor
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


@pytest.mark.parametrize("model", [RobustRegressor(), LinearRegression()], ids=repr)
def test_each_target_has_the_same_resamples(model):
    options = {"cov_type": "bootstrap", "n_bootstrap": 20, "random_state": 0}
    table = coef_table(model.fit(X, Y), X, Y, **options)
    for j in range(3):
        alone = coef_table(model.fit(X, Y[:, j]), X, Y[:, j], **options)
        np.testing.assert_allclose(table.loc[f"y{j}"], alone, rtol=1e-6)


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


def test_other_functions_take_one_target():
    model = RobustRegressor().fit(X, Y)
    for ask in (
        lambda: coef_covariance(model, X, Y),
        lambda: wald_test(model, X, Y, "x0"),
        lambda: predict_table(model, X, Y, X),
    ):
        with pytest.raises(ValueError, match="fit of several targets"):
            ask()
