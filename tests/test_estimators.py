"""The estimators as scikit-learn's tools use them."""

import inspect
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import StackingRegressor
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.metrics import d2_pinball_score, get_scorer, make_scorer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import estimator_html_repr

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor
from robustreg.losses import Loss, LossFacts, numerical_conjugate

CLASSES = [SmoothL1Regressor, L1Regressor, RobustRegressor]
COEF = np.array([3.0, 0.0, -2.0, 0.0, 1.0])
SHARED_DEFAULTS = {
    "quantile": 0.5,
    "penalty": None,
    "alpha": 0.0,
    "l1_ratio": 0.5,
    "fit_intercept": True,
    "solver": "auto",
    "tol": 1e-10,
    "max_iter": 500,
    "warm_start": False,
    "outlier_threshold": 3.0,
}
OWN_DEFAULTS = {
    SmoothL1Regressor: {"loss": "smooth_l1", "beta": 1.0, "scale": 1.0},
    L1Regressor: {"loss": "l1", "beta": 1.0, "scale": 1.0},
    RobustRegressor: {"loss": "smooth_l1", "beta": None, "scale": "mad"},
}


@dataclass(frozen=True)
class Fair(Loss):
    """Fair's loss, written by a user."""

    beta: float

    @property
    def facts(self):
        return LossFacts(1.0, slopes=(-self.beta, self.beta))

    def value(self, residual):
        t = np.abs(residual) / self.beta
        return self.beta**2 * (t - np.log1p(t))

    def gradient(self, residual):
        return residual / (1 + np.abs(residual) / self.beta)

    def curvature(self, residual):
        return (1 + np.abs(residual) / self.beta) ** -2

    def conjugate(self, slope):
        return numerical_conjugate(self, slope)


def make_data(seed=0, n_samples=150):
    """Return X and a y of which a tenth is far too large."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, COEF.size))
    y = X @ COEF + 5.0 + 0.3 * rng.normal(size=n_samples)
    y[: n_samples // 10] += 100.0
    return X, y


def make_targets():
    """Return X and four targets of very different units, as a box's corners."""
    X, y = make_data()
    rng = np.random.default_rng(1)
    Y = np.column_stack([y, 1e3 * y, X @ COEF[::-1], -1e-3 * y])
    return X, Y + rng.normal(size=Y.shape) * [0.1, 100.0, 0.1, 1e-4]


@pytest.mark.parametrize("cls", CLASSES)
def test_parameters_and_defaults(cls):
    defaults = cls().get_params()
    assert defaults == SHARED_DEFAULTS | OWN_DEFAULTS[cls]
    assert list(inspect.signature(cls).parameters) == list(
        inspect.signature(RobustRegressor).parameters
    )


@pytest.mark.parametrize("cls", CLASSES)
def test_clone_keeps_parameters_and_drops_the_fit(cls):
    model = cls(Fair(1.4), alpha=0.1, penalty="l1").fit(*make_data())
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert not [name for name in vars(copy) if name.endswith("_")]


@pytest.mark.parametrize("cls", CLASSES)
def test_set_params_is_the_same_as_the_constructor(cls):
    X, y = make_data()
    settings = {"loss": "huber", "beta": 0.7, "penalty": "l1", "alpha": 0.05}
    changed = cls().fit(X, y).set_params(**settings).fit(X, y)
    assert_array_equal(changed.coef_, cls(**settings).fit(X, y).coef_)
    with pytest.raises(ValueError, match="Invalid parameter"):
        cls().set_params(delta=1.0)


@pytest.mark.parametrize("cls", CLASSES)
def test_pickle_and_joblib_keep_the_fit(cls, tmp_path):
    X, y = make_data()
    model = cls(Fair(2.0)).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert isinstance(mapped.coef_, np.memmap)
    for copy in (pickle.loads(pickle.dumps(model)), mapped):
        assert_array_equal(copy.predict(X), model.predict(X))
        assert_array_equal(copy.weights_, model.weights_)
        assert copy.get_params() == model.get_params()


@pytest.mark.parametrize("cls", CLASSES)
def test_representations(cls):
    model = cls(penalty="l2", alpha=0.25)
    assert repr(model) == f"{cls.__name__}(alpha=0.25, penalty='l2')"
    for shown in (model, clone(model).fit(*make_data())):
        for html in (estimator_html_repr(shown), shown._repr_html_()):
            assert cls.__name__ in html
            # No site is published, so there is nothing to link to.
            assert "readthedocs" not in html


@pytest.mark.filterwarnings("ignore::robustreg.NoEffectWarning")
def test_metadata_routing_brings_weights_to_the_fit_and_the_score():
    X, y = make_data()
    weight = np.random.default_rng(2).integers(0, 3, size=y.size).astype(float)
    with config_context(enable_metadata_routing=True):
        model = RobustRegressor().set_fit_request(sample_weight=True)
        scorer = get_scorer("neg_median_absolute_error")
        scorer = scorer.set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, model)
        grid = {"robustregressor__alpha": [0.0, 10.0]}
        pipeline.set_params(robustregressor__penalty="l2")
        search = GridSearchCV(pipeline, grid, scoring=scorer, cv=3)
        search.fit(X, y, sample_weight=weight)
    own = RobustRegressor().fit(StandardScaler().fit_transform(X), y, weight)
    assert search.best_params_ == {"robustregressor__alpha": 0.0}
    assert_array_equal(search.best_estimator_[-1].coef_, own.coef_)
    assert np.abs(own.coef_ - own.fit(X, y).coef_).max() > 1e-3


def test_grid_search_over_losses_in_processes():
    X, y = make_data()
    grid = {
        "loss": ["l2", "l1", "smooth_l1", "log_cosh"],
        "beta": [0.5, None],
        "penalty": ["l1", "l2"],
        "alpha": [0.01, 0.1],
    }
    search = GridSearchCV(
        RobustRegressor(), grid, scoring="neg_median_absolute_error", n_jobs=2, cv=2
    )
    search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    losses = np.asarray(search.cv_results_["param_loss"])
    assert scores.shape == (32,)
    assert np.isfinite(scores).all()
    assert scores[losses == "l2"].max() < scores[losses != "l2"].min()
    assert_allclose(search.best_estimator_.coef_, COEF, atol=0.15)


def test_grid_search_over_a_loss_of_the_user():
    X, y = make_data()
    losses = ["l2", Fair(0.5), Fair(50.0)]
    search = GridSearchCV(
        RobustRegressor(), {"loss": losses}, scoring="neg_median_absolute_error"
    )
    search.fit(X, y)
    assert search.best_params_ == {"loss": Fair(0.5)}
    assert search.best_estimator_.weights_[:15].max() < 0.02


def test_cross_validation_with_robust_scorers():
    scorers = {
        "median": "neg_median_absolute_error",
        "mean": "neg_mean_absolute_error",
        "d2": "d2_absolute_error_score",
        "pinball": make_scorer(d2_pinball_score, alpha=0.25),
    }
    X, y = make_data()
    order = np.random.default_rng(3).permutation(y.size)
    robust, least_squares = (
        cross_validate(model, X[order], y[order], scoring=scorers)
        for model in (RobustRegressor(), LinearRegression())
    )
    for name in scorers:
        key = f"test_{name}"
        assert robust[key].mean() > least_squares[key].mean()


def test_column_transformer_in_a_pipeline():
    X, y = make_data()
    names = [f"x{j}" for j in range(COEF.size)]
    frame = pd.DataFrame(X, columns=names)
    frame["kind"] = np.array(["a", "b", "c"])[np.arange(y.size) % 3]
    y = y + 4.0 * (frame["kind"] == "b").to_numpy()
    columns = make_column_transformer(
        (OneHotEncoder(drop="first"), ["kind"]),
        (StandardScaler(), names),
        sparse_threshold=1.0,
    )
    model = make_pipeline(columns, RobustRegressor()).fit(frame, y)
    design = model[0].transform(frame)
    assert scipy.sparse.issparse(design)
    dense = RobustRegressor().fit(design.toarray(), y)
    assert_allclose(model[-1].coef_, dense.coef_, rtol=1e-8)
    assert_allclose(model[-1].coef_[:2], [4.0, 0.0], atol=0.3)


def test_transformed_target_is_the_same_fit():
    X, y = make_data()
    model = TransformedTargetRegressor(RobustRegressor(), transformer=StandardScaler())
    own = RobustRegressor().fit(X, y)
    assert_allclose(model.fit(X, y).predict(X), own.predict(X), rtol=1e-8, atol=1e-8)


def test_stacking():
    X, y = make_data()
    members = [
        ("robust", RobustRegressor()),
        ("first", L1Regressor(penalty="l2", alpha=0.5)),
    ]
    model = StackingRegressor(members, final_estimator=SmoothL1Regressor()).fit(X, y)
    assert model.final_estimator_.coef_.shape == (2,)
    assert np.median(np.abs(model.predict(X) - X @ COEF - 5.0)) < 0.2


@pytest.mark.parametrize("cls", CLASSES)
def test_multi_output_regressor_equals_own_multi_output(cls):
    X, Y = make_targets()
    wrapped, own = MultiOutputRegressor(cls()).fit(X, Y), cls().fit(X, Y)
    assert_array_equal([one.coef_ for one in wrapped.estimators_], own.coef_)
    assert_allclose(wrapped.predict(X), own.predict(X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("selector", [RFE, SelectFromModel])
def test_feature_selection_by_coefficients(selector):
    X, y = make_data()
    model = RobustRegressor(penalty="l1", alpha=0.1)
    amount = "n_features_to_select" if selector is RFE else "max_features"
    chosen = selector(model, **{amount: 3}).fit(X, y).get_support()
    assert_array_equal(chosen, COEF != 0)


def test_permutation_importance():
    X, y = make_data()
    model = RobustRegressor().fit(X, y)
    result = permutation_importance(
        model, X, y, scoring="neg_median_absolute_error", random_state=0
    )
    order = np.argsort(result.importances_mean)[::-1]
    assert_array_equal(order[:3], [0, 2, 4])


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("targets", [1, 4])
def test_to_linear_regression_predicts_the_same(cls, targets, fit_intercept):
    X, Y = make_targets()
    frame = pd.DataFrame(X, columns=list("abcde"))
    y = Y[:, 0] if targets == 1 else Y
    model = cls(fit_intercept=fit_intercept).fit(frame, y)
    linear = model.to_linear_regression()
    assert type(linear) is LinearRegression
    assert_array_equal(linear.predict(frame), model.predict(frame))
    assert_array_equal(linear.feature_names_in_, list("abcde"))
    assert linear.n_features_in_ == COEF.size
    if targets == 1:
        assert isinstance(model.intercept_, np.floating)
        assert isinstance(linear.intercept_, np.floating)
    before = model.coef_.copy()
    linear.coef_ += 1.0
    assert_array_equal(model.coef_, before)


def test_fits_in_threads_are_identical():
    X, y = make_data(n_samples=2000)
    models = [SmoothL1Regressor(), L1Regressor(), RobustRegressor()]
    models.append(SmoothL1Regressor(penalty="l1", alpha=0.05))
    alone = [clone(model).fit(X, y) for model in models]
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(clone(models[i % 4]).fit, X, y) for i in range(16)]
    for i, job in enumerate(jobs):
        assert_array_equal(job.result().coef_, alone[i % 4].coef_)
        assert job.result().intercept_ == alone[i % 4].intercept_
