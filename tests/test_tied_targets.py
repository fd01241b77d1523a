"""Targets of few values on many rows: counts, ratings, rare events."""

import sys
import warnings

import numpy as np
import pytest
from scipy.sparse import csc_array, csr_array
from sklearn.exceptions import ConvergenceWarning

from robustreg import L1Regressor, RobustRegressor, robust_path
from robustreg.rows import merged

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


@pytest.mark.parametrize("quantile", [0.9991, 0.9996, 0.9997, 0.9999])
@pytest.mark.parametrize("n_events", [10, 40])
def test_a_quantile_near_the_share_of_rare_events_is_found(quantile, n_events):
    X, y = rare_events(n_events, n=100_000, p=7)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = L1Regressor(quantile=quantile).fit(X, y)
    assert model.dual_gap_ <= 1e-10 * np.mean(np.abs(y - model.predict(X)))


def test_a_path_of_rare_events_is_zero():
    X, y = rare_events(5)
    with pytest.warns(UserWarning, match="y is 0 in 3995 of 4000 rows"):
        path = robust_path(X, y, loss="l1", alphas=[1e-2, 1e-4])
    assert (path.coefs == 0.0).all()


@pytest.mark.parametrize("n_events", [1, 40])
def test_rare_weights_are_rare_rows(n_events):
    X, y = rare_events(n_events)
    weight = np.random.default_rng(0).integers(0, 3, y.size)
    model = L1Regressor(quantile=0.8).fit(X, y, weight)
    assert (model.coef_ == 0.0).all()
    assert model.intercept_ == 0.0


@pytest.mark.parametrize(
    ("seed", "quantile", "n"), [(100, 0.25, 100_000), (109, 0.9, 400_000)]
)
def test_a_quantile_of_counts_is_optimal(seed, quantile, n):
    X, y = counts(seed, n)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = L1Regressor(quantile=quantile).fit(X, y)
    residual = y - model.predict(X)
    objective = np.mean(residual * (quantile - (residual < 0)))
    assert model.dual_gap_ <= 1e-9 * objective


def test_more_iterations_are_advised_only_where_they_were_used_up(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = X[:, 0] + rng.standard_t(2, size=60)
    model = L1Regressor(solver="augmented-lagrangian", max_iter=1)
    with pytest.warns(ConvergenceWarning, match=r"iteration limit.*Raise max_iter"):
        model.fit(X, y)
    module = "robustreg.solvers.kinked.augmented_lagrangian"
    monkeypatch.setattr(sys.modules[module], "MOST_MISSES", -1)
    with pytest.warns(
        ConvergenceWarning, match=r"no further decrease.*kept\. Raise tol"
    ):
        model.set_params(max_iter=10**5).fit(X, y)


def ratings(n, seed=0):
    """Return a few kinds of rows, in any order, and whole numbers from 1 to 5."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 2, (n, 4)).astype(float)
    y = np.clip(np.round(3 + X @ [1.0, -1, 0.5, 0] + rng.normal(size=n)), 1, 5)
    return X, y


def as_is(X):
    """Return the data as they are."""
    return X


@pytest.mark.parametrize("container", [as_is, csr_array, csc_array])
@pytest.mark.parametrize("n_targets", [1, 2])
def test_equal_rows_are_merged(container, n_targets):
    X, y = ratings(20_000)
    targets = np.column_stack([y, 6 - y])[:, :n_targets]
    weight = np.random.default_rng(1).integers(0, 3, len(y)).astype(float)
    few = merged(container(X), targets, weight)
    kinds, where = np.unique(np.column_stack([X, y]), axis=0, return_inverse=True)
    assert len(few.targets) == len(kinds)
    assert few.X.shape == (len(kinds), 4)
    assert few.weight.sum() == weight.sum()
    features = few.X if container is as_is else few.X.toarray()
    np.testing.assert_array_equal(few.of_all(features), X)
    np.testing.assert_array_equal(few.of_all(few.targets), targets)
    sums = np.bincount(where.ravel(), weight)
    np.testing.assert_array_equal(few.of_all(few.weight), sums[where.ravel()])


def test_rows_that_do_not_repeat_are_left_alone():
    rng = np.random.default_rng(0)
    X, y = ratings(20_000)
    for features, target in (
        (X, rng.normal(size=y.size)),
        (rng.normal(size=X.shape), y),
        (X[:100], y[:100]),
    ):
        weight = np.ones(target.size)
        few = merged(features, target[:, None], weight)
        assert few.X is features
        assert few.kind is None


def test_zero_and_minus_zero_are_equal():
    X, y = ratings(20_000)
    X[::2][X[::2] == 0] = -0.0
    assert len(merged(X, y[:, None], np.ones(y.size)).targets) <= 80


@pytest.mark.parametrize("loss", ["l1", "smooth_l1", "l2", "tukey"])
@pytest.mark.parametrize("scale", [1.0, "mad"])
def test_a_fit_of_merged_rows_is_that_of_all(loss, scale):
    X, y = ratings(20_000)
    weight = np.random.default_rng(1).integers(0, 3, y.size).astype(float)
    # As close as coefficients are compared: they are off by the root of the gap.
    options = {"loss": loss, "scale": scale, "tol": 1e-15}
    model = RobustRegressor(**options).fit(X, y, weight)
    # Another 10^-9 of a column's units makes all rows unlike.
    shaken = X.copy()
    shaken[:, 3] += 1e-9 * np.random.default_rng(2).random(y.size)
    other = RobustRegressor(**options).fit(shaken, y, weight)
    np.testing.assert_allclose(model.coef_, other.coef_, atol=1e-7)
    assert model.scale_ == pytest.approx(other.scale_, rel=1e-7)
    np.testing.assert_array_equal(model.outliers_, other.outliers_)
    if loss != "l1":
        np.testing.assert_allclose(model.weights_, other.weights_, atol=1e-6)


@pytest.mark.parametrize("seed", [1, 5, 9])
def test_a_sample_without_any_event_has_a_width(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30_000, 12)) + 10.0 ** rng.integers(0, 8, size=12)
    y = np.zeros(30_000)
    y[rng.integers(0, 30_000, 3)] = [1, 3, 2]
    model = L1Regressor(penalty=None).fit(csr_array(X), y)
    assert not model.coef_.any()
    assert model.intercept_ == 0
