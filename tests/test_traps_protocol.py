"""scikit-learn's protocol, where peers fail it."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from oracles import CONVEX, assert_same_fit
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor

ESTIMATORS = [L1Regressor, RobustRegressor, SmoothL1Regressor]


def make_data(n=60, p=3):
    rng = np.random.default_rng(23)
    X = rng.normal(size=(n, p))
    return X, X.sum(axis=1) + 2 + rng.standard_t(2, size=n)


@pytest.mark.parametrize("make", ESTIMATORS)
def test_clone_pickle_and_set_params(make):
    X, y = make_data()
    model = make(alpha=0.1, penalty="l1").set_params(loss="log_cosh")
    assert clone(model).get_params() == model.get_params()
    model.fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_a_grid_over_losses_breakpoints_and_penalties_in_two_processes():
    X, y = make_data()
    grid = {"loss": CONVEX, "beta": [0.5, None], "penalty": ["l1", "l2"]}
    search = GridSearchCV(RobustRegressor(alpha=0.1), grid, cv=2, n_jobs=2)
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ > 0


def test_a_search_over_a_step_of_a_pipeline():
    X, y = make_data()
    pipeline = make_pipeline(StandardScaler(), RobustRegressor())
    grid = {"robustregressor__penalty": ["l2"], "robustregressor__alpha": [0.01, 10.0]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    assert search.best_params_["robustregressor__alpha"] == 0.01


@pytest.mark.parametrize("make", ESTIMATORS)
def test_names_of_frames_are_kept(make):
    X, y = make_data()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = make().fit(frame, pd.Series(y))
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert_same_fit(model, make().fit(X, y), rtol=1e-12)


@pytest.mark.parametrize("loss", CONVEX)
@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.uint16])
def test_columns_that_are_not_floats(loss, dtype):
    X, y = make_data()
    X = (3 * X > 1).astype(dtype)
    model = SmoothL1Regressor(loss).fit(X, y)
    wide = SmoothL1Regressor(loss).fit(X.astype(float), y)
    assert_same_fit(model, wide, rtol=1e-12)
    whole = y.round().astype(int)
    assert_same_fit(model.fit(X, whole), clone(model).fit(X, whole.astype(float)))


@pytest.mark.parametrize("loss", CONVEX)
def test_data_are_read_only_and_unchanged(loss, tmp_path):
    X, y = make_data()
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    y.flags.writeable = False
    weight = np.ones(len(y))
    weight.flags.writeable = False
    model = RobustRegressor(loss).fit(mapped, y, weight)
    assert_same_fit(model, RobustRegressor(loss).fit(X, y), rtol=1e-12)


@pytest.mark.parametrize("loss", CONVEX)
@pytest.mark.parametrize("convert", [np.asarray, sp.csr_array, sp.csc_matrix])
def test_float32_in_and_out(loss, convert):
    X, y = make_data()
    X = X.astype(np.float32)
    model = RobustRegressor(loss).fit(convert(X), y)
    assert model.coef_.dtype == np.float32
    assert model.predict(convert(X)).dtype == np.float32
    wide = RobustRegressor(loss).fit(X.astype(float), y)
    assert_same_fit(model, wide, rtol=1e-6)


@pytest.mark.parametrize("loss", CONVEX)
def test_layouts_of_memory_do_not_matter(loss):
    X, y = make_data(61)
    straight = SmoothL1Regressor(loss).fit(X, y)
    wide = np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)
    for same in (np.asfortranarray(X), wide[::2, ::2], X[::-1].copy()[::-1]):
        model = SmoothL1Regressor(loss).fit(same, y)
        assert_same_fit(model, straight, rtol=1e-10)


@pytest.mark.parametrize("loss", CONVEX)
def test_each_target_is_fitted_by_itself(loss):
    X, y = make_data()
    Y = np.column_stack([y, 100 * y[::-1], np.sign(y) + y])
    model = RobustRegressor(loss, penalty="l1", alpha=0.05).fit(X, Y)
    assert model.coef_.shape == (3, 3)
    assert model.predict(X).shape == Y.shape
    for k, target in enumerate(Y.T):
        alone = clone(model).fit(X, target)
        np.testing.assert_allclose(model.coef_[k], alone.coef_, rtol=1e-9)
        assert model.scale_[k] == pytest.approx(alone.scale_, rel=1e-9)
