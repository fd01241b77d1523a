"""Targets of few values on many rows: counts, ratings, rare events."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from robustreg import L1Regressor, robust_path

EXACT = ["interior-point", "augmented-lagrangian"]


def rare_events(n_events, n=4_000, p=3, level=0.0):
    """Return normal columns and a target that is another than ``level`` in few rows."""
    rng = np.random.default_rng(n_events)
    y = np.full(n, level)
    y[rng.choice(n, n_events, replace=False)] += 1.0
    return rng.normal(size=(n, p)), y


def counts(seed, n):
    """Return binary columns and a normal one, and Poisson counts of means near 2."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.integers(0, 2, (n, 6)), rng.normal(size=n)])
    return X, rng.poisson(np.exp(0.5 + X @ rng.normal(size=7) * 0.2)).astype(float)


@pytest.mark.parametrize("solver", ["auto", *EXACT])
@pytest.mark.parametrize("n_events", [1, 5, 20, 55])
@pytest.mark.parametrize("level", [0.0, 3.0])
def test_rare_events_leave_a_quantile_alone(solver, n_events, level):
    X, y = rare_events(n_events, level=level)
    for quantile in (0.5, 0.9):
        model = L1Regressor(quantile=quantile, solver=solver).fit(X, y)
        assert (model.coef_ == 0.0).all()
        assert model.intercept_ == level
        assert model.n_iter_ == 1


@pytest.mark.parametrize("penalty", ["l1", "l2", "elasticnet"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_rare_events_leave_a_penalised_median_alone(penalty, fit_intercept):
    X, y = rare_events(5)
    model = L1Regressor(penalty=penalty, alpha=1e-3, fit_intercept=fit_intercept)
    model.fit(X, y)
    assert (model.coef_ == 0.0).all()
    assert model.intercept_ == 0.0


def test_a_path_of_rare_events_is_zero():
    X, y = rare_events(5)
    path = robust_path(X, y, loss="l1", alphas=[1e-2, 1e-4])
    assert (path.coefs == 0.0).all()


@pytest.mark.parametrize("n_events", [1, 40])
def test_rare_weights_are_rare_rows(n_events):
    X, y = rare_events(n_events)
    weight = np.random.default_rng(0).integers(0, 3, y.size)
    model = L1Regressor(quantile=0.8).fit(X, y, weight)
    assert (model.coef_ == 0.0).all()
    assert model.intercept_ == 0.0


@pytest.mark.parametrize(("seed", "quantile"), [(100, 0.25), (106, 0.5), (109, 0.9)])
def test_a_quantile_of_counts_is_optimal(seed, quantile):
    X, y = counts(seed, 100_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = L1Regressor(quantile=quantile).fit(X, y)
    residual = y - model.predict(X)
    objective = np.mean(residual * (quantile - (residual < 0)))
    assert model.dual_gap_ <= 1e-9 * objective
