"""A fitted pipeline is taken wherever an estimator is."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)

from robustreg import L1Regressor, MMRegressor, RobustRegressor, RobustRegressorCV
from robustreg.inference import (
    coef_covariance,
    coef_table,
    predict_table,
    wald_test,
)

RNG = np.random.default_rng(0)
N = 150
FRAME = pd.DataFrame(
    {"age": RNG.normal(40, 9, N), "city": RNG.choice(["Bonn", "Rome", "Oslo"], N)}
)
Y = 0.1 * FRAME["age"].to_numpy() + RNG.standard_t(3, N)


def pipeline(model, **options):
    """Return numbers standardised, levels as dummies, and a model."""
    columns = make_column_transformer(
        (StandardScaler(), ["age"]),
        (OneHotEncoder(drop="first", **options), ["city"]),
        verbose_feature_names_out=False,
    )
    return make_pipeline(columns, model)


@pytest.mark.parametrize("model", [RobustRegressor(), L1Regressor(), MMRegressor()])
def test_a_pipeline_has_the_table_of_its_last_step(model):
    piped = pipeline(model).fit(FRAME, Y)
    table = coef_table(piped, FRAME, Y)
    last = coef_table(piped[-1], piped[:-1].transform(FRAME), Y)
    np.testing.assert_array_equal(table, last)
    assert table.index.tolist() == ["age", "city_Oslo", "city_Rome", "intercept"]
    covariance = coef_covariance(piped, FRAME, Y)
    np.testing.assert_allclose(covariance.diagonal(), table["std_err"] ** 2, rtol=1e-12)


def test_factors_of_a_pipeline_are_tested_by_name():
    piped = pipeline(RobustRegressor()).fit(FRAME, Y)
    own = wald_test(piped, FRAME, Y, {"city": ["city_Oslo", "city_Rome"]})
    rows = piped[:-1].transform(FRAME)
    last = wald_test(piped[-1], rows, Y, {"city": ["x1", "x2"]})
    np.testing.assert_array_equal(own, last)


def test_pipelines_in_pipelines_and_without_steps():
    X = RNG.normal(size=(N, 2))
    inner = make_pipeline(PolynomialFeatures(2, include_bias=False), RobustRegressor())
    outer = make_pipeline(StandardScaler(), inner).fit(X, Y)
    names = ["x0", "x1", "x0^2", "x0 x1", "x1^2", "intercept"]
    assert coef_table(outer, X, Y).index.tolist() == names
    alone = make_pipeline(RobustRegressor()).fit(X, Y)
    np.testing.assert_array_equal(coef_table(alone, X, Y), coef_table(alone[-1], X, Y))


def test_steps_without_names_leave_numbers():
    X = RNG.normal(size=(N, 2))
    piped = make_pipeline(FunctionTransformer(np.tanh), RobustRegressor()).fit(X, Y)
    assert coef_table(piped, X, Y).index.tolist() == ["x0", "x1", "intercept"]


def test_errors_name_the_columns_of_the_steps():
    piped = make_pipeline(*[step for _, step in pipeline(RobustRegressor()).steps])
    piped[0].transformers[1][1].set_params(drop=None)
    piped.fit(FRAME, Y)
    for options in ({}, {"cov_type": "bootstrap", "n_bootstrap": 5}):
        with pytest.raises(ValueError, match="city_Bonn, city_Oslo, city_Rome"):
            coef_table(piped, FRAME, Y, **options)


def test_the_bootstrap_refits_the_last_step():
    piped = pipeline(RobustRegressor(), sparse_output=False).fit(FRAME, Y)
    options = {"cov_type": "bootstrap", "n_bootstrap": 20, "random_state": 0}
    own = coef_table(piped, FRAME, Y, **options)
    last = coef_table(piped[-1], piped[:-1].transform(FRAME), Y, **options)
    np.testing.assert_array_equal(own, last)


def test_a_pipeline_that_is_not_fitted():
    with pytest.raises(NotFittedError):
        coef_table(pipeline(RobustRegressor()), FRAME, Y)


@pytest.mark.parametrize("errors", ["normal", "residuals"])
def test_a_choice_counts_as_what_was_chosen(errors):
    choice = RobustRegressorCV(["l2", "smooth_l1"], penalty=None, cv=3)
    piped = pipeline(choice).fit(FRAME, Y)
    chosen = pipeline(RobustRegressor(piped[-1].loss_)).fit(FRAME, Y)
    tests = {"city": ["city_Oslo", "city_Rome"]}
    for ask in (
        lambda model: coef_table(model, FRAME, Y),
        lambda model: coef_covariance(model, FRAME, Y),
        lambda model: wald_test(model, FRAME, Y, tests),
        lambda model: predict_table(model, FRAME, Y, FRAME[:5], errors=errors),
    ):
        np.testing.assert_allclose(ask(piped), ask(chosen), rtol=1e-8)


def test_the_bootstrap_chooses_again():
    choice = RobustRegressorCV(["l2", "l1"], penalty=None, cv=3)
    X = RNG.normal(size=(N, 1))
    plan = {"cov_type": "bootstrap", "n_bootstrap": 20, "random_state": 0}
    table = coef_table(choice.fit(X, Y), X, Y, **plan)
    fixed = coef_table(choice.best_estimator_, X, Y, **plan)
    assert not np.allclose(table["std_err"], fixed["std_err"], rtol=1e-3)
