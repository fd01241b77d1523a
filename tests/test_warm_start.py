"""A warm start changes how long a fit takes, never what it finds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pairwise import pairwise
from scipy import sparse

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor

MODELS = {
    "smooth_l1": SmoothL1Regressor(),
    "huber": SmoothL1Regressor("huber", penalty="l2", alpha=0.1),
    "log_cosh": SmoothL1Regressor("log_cosh"),
    "l2": SmoothL1Regressor("l2"),
    "l1": L1Regressor(),
    "quantile": L1Regressor(quantile=0.8, penalty="l2", alpha=0.01),
    "mad": RobustRegressor(),
    "proposal2": RobustRegressor(scale="proposal2"),
    "l1 penalty": SmoothL1Regressor(penalty="l1", alpha=0.2),
    "newton-cg": SmoothL1Regressor(penalty="l2", alpha=0.1, solver="newton-cg"),
    "l-bfgs-b": SmoothL1Regressor(penalty="l2", alpha=0.1, solver="l-bfgs-b"),
    "linprog": L1Regressor(solver="linprog", penalty=None),
}


def make_data(seed=0, n_targets=None, shape=(150, 4)):
    """Return X and y with outliers."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=shape) + 3.0
    effect = np.outer(np.arange(shape[1]) - 1.0, [1.0, -2.0])
    Y = X @ effect + 5.0 + 0.3 * rng.normal(size=(shape[0], 2))
    Y[:15] += 100.0
    return X, Y[:, 0] if n_targets is None else Y[:, :n_targets]


def renewed(model, **settings):
    """Return an unfitted estimator of the same and some other parameters."""
    return type(model)(**(model.get_params() | settings))


def assert_same_fit(warm, cold):
    """Compare a fit with the one from a cold start."""
    assert_allclose(warm.coef_, cold.coef_, rtol=1e-6, atol=1e-8)
    assert_allclose(warm.intercept_, cold.intercept_, rtol=1e-6, atol=1e-8)
    assert_allclose(warm.scale_, cold.scale_, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "single", "targets", "fit_intercept"),
    pairwise(MODELS, (False, True), (None, 2), (True, False)),
)
def test_warm_is_cold(name, single, targets, fit_intercept):
    model = MODELS[name]
    dtype = np.float32 if single else np.float64
    X, y = make_data(0, targets)
    new_X, new_y = make_data(1, targets)
    warm = renewed(model, warm_start=True, fit_intercept=fit_intercept)
    warm.fit(X.astype(dtype), y)
    cold = renewed(model, fit_intercept=fit_intercept)
    for container in (np.asarray, sparse.csr_array):
        held = container(new_X.astype(dtype))
        assert_same_fit(warm.fit(held, new_y), cold.fit(held, new_y))


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_warm_start_along_changed_parameters(model):
    X, y = make_data()
    warm = renewed(model, warm_start=True)
    other = "l1" if model.solver == "linprog" else "l2"
    for settings in (
        {"alpha": 0.0, "penalty": None},
        {"alpha": 0.3, "penalty": model.penalty or other},
        {"fit_intercept": False},
        {"fit_intercept": True, "quantile": 0.3},
        {"scale": 20.0},
        {"quantile": 0.5, "alpha": 0.0, "penalty": None},
    ):
        warm.set_params(**settings).fit(X, y)
        cold = renewed(warm, warm_start=False).fit(X, y)
        assert_same_fit(warm, cold)


@pytest.mark.parametrize("name", ["smooth_l1", "log_cosh", "newton-cg", "l-bfgs-b"])
def test_warm_start_takes_fewer_iterations(name):
    X, y = make_data()
    warm = renewed(MODELS[name], warm_start=True).fit(X, y)
    first = warm.n_iter_
    assert 1 <= warm.fit(X, y).n_iter_ < first


def test_a_cold_start_forgets_the_last_fit():
    X, y = make_data()
    model = SmoothL1Regressor("log_cosh").fit(X, y)
    first = model.n_iter_
    assert model.fit(X, y).n_iter_ == first


@pytest.mark.parametrize("name", ["smooth_l1", "l1", "mad"])
def test_a_last_fit_of_another_shape_is_no_start(name):
    model = renewed(MODELS[name], warm_start=True).fit(*make_data())
    for data in (
        make_data(1, shape=(150, 3)),
        make_data(1, n_targets=2),
        make_data(1, n_targets=1),
        make_data(1),
    ):
        assert_same_fit(model.fit(*data), renewed(MODELS[name]).fit(*data))


def test_warm_start_survives_a_constant_column():
    X, y = make_data()
    X[:, 2] = 7.0
    warm = SmoothL1Regressor(warm_start=True).fit(*make_data())
    assert_same_fit(warm.fit(X, y), SmoothL1Regressor().fit(X, y))
