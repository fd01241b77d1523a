"""What penalised fits cost where many columns are in use, never by the clock."""

import numpy as np
import pytest
import scipy.linalg

from robustreg import RobustRegressor, SmoothL1Regressor, robust_path
from robustreg.solvers.quadratic import minimize_l1_quadratic


@pytest.fixture
def factors(monkeypatch):
    """Return a list to which each Cholesky factor adds its size."""
    sizes, factor = [], scipy.linalg.lapack.dpotrf

    def count(matrix, **options):
        sizes.append(len(matrix))
        return factor(matrix, **options)

    monkeypatch.setattr(scipy.linalg.lapack, "dpotrf", count)
    return sizes


def wide_data(n, p):
    """Return more columns than rows, ten of which count, and heavy tails."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p))
    return X, X[:, :10].sum(axis=1) + rng.standard_t(2, size=n)


def test_a_redescending_fit_needs_no_kinked_one_before(factors):
    """That would factor the Gram matrix of all columns, not of those in use."""
    X, y = wide_data(300, 600)
    RobustRegressor("tukey", scale=1.0, penalty="l1", alpha=0.03).fit(X, y)
    assert max(factors) < 600


@pytest.mark.parametrize("alpha", [0.1, 0.03, 0.01])
@pytest.mark.parametrize("n", [100, 200])
def test_a_fit_needs_no_more_factors_than_the_path_to_it(factors, n, alpha):
    """Near saturation, too, where nearly as many columns as rows are in use."""
    X, y = wide_data(n, 2 * n)
    path = robust_path(X, y, alphas=np.geomspace(1.0, alpha, 50))
    shared = len(factors)
    fit = SmoothL1Regressor(penalty="l1", alpha=alpha).fit(X, y)
    assert len(factors) - shared <= shared
    np.testing.assert_allclose(fit.coef_, path.coefs[:, -1], atol=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_signs_that_are_mostly_wrong_cost_few_factors(factors, seed):
    """A quadratic of rank 60 in 100 unknowns, of which about 55 are not 0."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(60, 100)) / np.sqrt(60)
    hessian, linear = root.T @ root, root.T @ rng.normal(size=60)
    start = rng.normal(size=100) * (rng.random(100) < 0.8)
    l1 = np.full(100, 0.05)
    x = minimize_l1_quadratic(hessian, linear, l1, start)
    assert len(factors) <= 60
    slope = hessian @ x + linear
    off = np.where(x == 0, np.maximum(np.abs(slope) - l1, 0), slope + l1 * np.sign(x))
    assert np.abs(off).max() <= 1e-13
