"""Rows of weight 0 are absent, whatever is in them, and judged in the end."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from pairwise import pairwise

from robustreg import (
    L1Regressor,
    MMRegressor,
    QuantilesRegressor,
    RobustRegressor,
    SmoothL1Regressor,
    robust_path,
)
from robustreg.inference import coef_covariance
from robustreg.losses import LOSSES

N, P, ABSENT = 60, 3, 12
RNG = np.random.default_rng(3)
X = RNG.normal(size=(N, P))
Y = X @ [1.0, -2.0, 0.5] + RNG.standard_t(2, size=N)
WEIGHT = RNG.integers(1, 4, size=N).astype(float)
WEIGHT[:ABSENT] = 0.0
LIVE = WEIGHT > 0
CONTAINERS = [np.asarray, sp.csr_array, sp.csc_matrix]
MODELS = [SmoothL1Regressor(), L1Regressor(), MMRegressor(n_subsets=50)]
MODELS += [RobustRegressor(loss, beta=None) for loss in LOSSES]
# What an absent row holds in X and in y.
JUNK = [(1.0, 1e300), (1e200, 1.0), (-1e308, 1e308), (1e-320, -1.7e308)]


def spoiled(of_X, of_y):
    """Return the data with other values in rows of weight 0."""
    X_spoiled, y_spoiled = X.copy(), Y.copy()
    X_spoiled[:ABSENT] *= of_X
    y_spoiled[:ABSENT] = of_y
    return X_spoiled, y_spoiled


@pytest.mark.parametrize(
    ("model", "junk", "container"),
    pairwise([*MODELS, QuantilesRegressor()], JUNK, CONTAINERS),
    ids=str,
)
def test_the_fit_is_that_of_the_other_rows(model, junk, container):
    with np.errstate(over="ignore"):
        X_spoiled, y_spoiled = spoiled(*junk)
    X_spoiled = np.clip(X_spoiled, -1e308, 1e308)
    model.fit(container(X_spoiled), y_spoiled, sample_weight=WEIGHT)
    found = dict(vars(model))
    model.fit(container(X[LIVE]), Y[LIVE], sample_weight=WEIGHT[LIVE])
    for name, value in vars(model).items():
        all_rows = name in ("outliers_", "weights_")
        assert_array_equal(found[name][LIVE] if all_rows else found[name], value)


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_absent_rows_are_judged_by_the_fit(model, targets):
    y = Y if targets == 1 else np.column_stack([Y, -3 * Y])
    model.fit(X, y, sample_weight=WEIGHT)
    score = model.outlier_score(X, y)
    assert_array_equal(model.outliers_, score > model.outlier_threshold)
    if "weights_" in vars(model):
        # A weight is a function of the distance from the fit.
        order = np.argsort(score.reshape(N, -1), axis=0)
        weights = np.take_along_axis(model.weights_.reshape(N, -1), order, axis=0)
        assert (np.diff(weights, axis=0) <= 1e-12).all()


@pytest.mark.parametrize("junk", JUNK, ids=str)
def test_an_absent_row_far_away_is_an_outlier_without_weight(junk):
    with np.errstate(over="ignore"):
        X_spoiled, y_spoiled = spoiled(*junk)
    X_spoiled = np.clip(X_spoiled, -1e308, 1e308)
    model = RobustRegressor().fit(X_spoiled, y_spoiled, sample_weight=WEIGHT)
    far = np.abs(y_spoiled[:ABSENT]) > 1e300
    assert model.outliers_[:ABSENT][far].all()
    assert (model.weights_[:ABSENT][far] < 1e-100).all()


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("cov_type", ["HC1", "cluster", "bootstrap"])
def test_standard_errors_are_those_of_the_other_rows(cov_type, container):
    X_spoiled, y_spoiled = spoiled(1e200, 1e250)
    groups = np.arange(N) // 4
    model = RobustRegressor().fit(container(X_spoiled), y_spoiled, WEIGHT)
    options = {"cov_type": cov_type, "n_bootstrap": 5, "random_state": 0}
    every = groups if cov_type == "cluster" else None
    some = groups[LIVE] if cov_type == "cluster" else None
    spoilt = coef_covariance(
        model, container(X_spoiled), y_spoiled, WEIGHT, groups=every, **options
    )
    clean = coef_covariance(
        model, container(X[LIVE]), Y[LIVE], WEIGHT[LIVE], groups=some, **options
    )
    assert_array_equal(spoilt, clean)


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_path_is_that_of_the_other_rows(container):
    X_spoiled, y_spoiled = spoiled(1e200, 1e250)
    spoilt = robust_path(
        container(X_spoiled), y_spoiled, sample_weight=WEIGHT, n_alphas=5
    )
    clean = robust_path(
        container(X[LIVE]), Y[LIVE], sample_weight=WEIGHT[LIVE], n_alphas=5
    )
    for found, expected in zip(spoilt, clean, strict=True):
        assert_array_equal(found, expected)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("junk", JUNK, ids=str)
def test_a_score_is_that_of_the_other_rows(junk, container):
    with np.errstate(over="ignore"):
        X_spoiled, y_spoiled = spoiled(*junk)
    X_spoiled = np.clip(X_spoiled, -1e308, 1e308)
    model = RobustRegressor().fit(X, Y, WEIGHT)
    expected = model.score(container(X[LIVE]), Y[LIVE], WEIGHT[LIVE])
    assert model.score(container(X_spoiled), y_spoiled, WEIGHT) == expected
