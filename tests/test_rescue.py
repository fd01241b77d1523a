"""Where the solver of choice fails, one of another kind is asked."""

import warnings

import numpy as np
import pytest
from fuzz_checks import Around, improvement
from fuzz_problems import Problem
from sklearn.exceptions import ConvergenceWarning

from robustreg import (
    L1Regressor,
    RobustRegressor,
    ScaleCollapseWarning,
    SmoothL1Regressor,
)
from robustreg.solvers import SOLVERS


def fitted(model, X, y, weight=None):
    """Return a fit, which may warn that it is not as close as it should be."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y, sample_weight=weight)


def excess(model, X, y, weight=None):
    """Return by how much the objective of a fit can be lowered, and what it is."""
    params = model.get_params()
    around = Around(Problem(0, X, y, weight, type(model), params), model)
    return improvement(around), around.value(0 * around.start)


def nearly_dependent(seed):
    """Return columns of which one is the sum of others but for rounding to float32."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, 12))
    X[:, -1] = X[:, :-1].sum(axis=1)
    X = X.astype(np.float32).astype(float)
    y = np.ones(60)
    y[rng.integers(0, 60, 4)] += rng.integers(1, 3, 4)
    return X, y


@pytest.mark.parametrize("seed", range(8))
def test_a_smooth_fit_of_nearly_dependent_columns(seed):
    X, y = nearly_dependent(seed)
    model = fitted(SmoothL1Regressor(scale=0.01), X, y)
    higher, value = excess(model, X, y)
    assert higher <= model.dual_gap_ + 1e-6 * value
    assert model.dual_gap_ <= 1e-3 * value


@pytest.mark.parametrize("seed", range(8))
def test_a_kinked_fit_of_weights_of_all_sizes(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(22, 3))
    X[:, 2] = X[:, 1]
    y = 1e3 + X @ [1.0, 2.0, 0.0] + rng.normal(size=22)
    y[:2] += 1e11 * rng.standard_t(1, 2)
    weight = 10.0 ** rng.uniform(-6, 6, 22)
    model = fitted(L1Regressor(), X, y, weight)
    assert model.dual_gap_ <= 1e-5 * excess(model, X, y, weight)[1]


@pytest.mark.parametrize("n_events", [3, 5, 8])
def test_proposal_2_of_few_events_collapses(n_events):
    X = np.random.default_rng(n_events).normal(size=(42, 5))
    y = np.zeros(42)
    y[:n_events] = 1.0
    for make in (L1Regressor, RobustRegressor):
        with pytest.warns(ScaleCollapseWarning):
            make("l1", scale="proposal2").fit(X, y)


def test_a_rescue_is_of_another_kind():
    rescuers = [name for name, entry in SOLVERS.items() if entry.rescues]
    assert rescuers == ["proximal-newton", "linprog"]
