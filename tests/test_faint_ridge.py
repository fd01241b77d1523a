"""A ridge far below the loss: it picks the fit, and its certificate says so."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose

from robustreg import RobustRegressor, SmoothL1Regressor
from robustreg.certificate import duality_gap
from robustreg.linalg import EPS
from robustreg.losses import L2, Huber, SmoothL1
from robustreg.objective import Objective
from robustreg.penalties import make_penalty
from robustreg.rows import make_rows
from robustreg.solvers import solve
from robustreg.solvers.results import Start


def exact_ridge(X, y, alpha):
    """Return ``X.T @ (X @ X.T + n alpha)^-1 @ y`` in rational numbers."""
    rows = [[Fraction(x) for x in row] for row in X.tolist()]
    n = len(rows)
    system = [
        [sum(map(lambda s, t: s * t, one, other)) for other in rows] + [Fraction(t)]
        for one, t in zip(rows, y.tolist(), strict=True)
    ]
    for i in range(n):
        system[i][i] += n * Fraction(alpha)
    for i in range(n):
        system[i] = [entry / system[i][i] for entry in system[i]]
        for k in set(range(n)) - {i}:
            factor = system[k][i]
            system[k] = [
                s - factor * t for s, t in zip(system[k], system[i], strict=True)
            ]
    u = [row[-1] for row in system]
    return np.array(
        [
            float(sum(map(lambda s, t: s * t, column, u)))
            for column in zip(*rows, strict=True)
        ]
    )


def least_norm(X, y):
    """Return coefficients of least norm, and the intercept, of the exact fit."""
    n = len(y)
    ones = np.ones((n, 1))
    system = np.block([[X @ X.T, ones], [ones.T, np.zeros((1, 1))]])
    solution = np.linalg.solve(system, np.append(y, 0.0))
    return X.T @ solution[:n], solution[n]


def objective_of(model):
    """Return the penalty, which is all of the objective where the fit is exact."""
    return 0.5 * model.alpha * float(model.coef_ @ model.coef_) / model.scale_**2


@pytest.mark.parametrize("solver", ["auto", "newton"])
def test_it_picks_the_least_norm_of_exact_fits(solver):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 100))
    y = X[:, :10] @ rng.uniform(10, 90, 10) + 10
    model = SmoothL1Regressor("l2", penalty="l2", alpha=1e-13, solver=solver).fit(X, y)
    coef, intercept = least_norm(X, y)
    assert_allclose(model.coef_, coef, rtol=0, atol=1e-9 * np.abs(coef).max())
    assert model.intercept_ == pytest.approx(intercept, rel=1e-9)
    assert model.dual_gap_ <= 1e-10 * objective_of(model)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("alpha", [1e-12, 1e-10, 1e-6])
def test_coefficients_and_gap_beside_rational_arithmetic(alpha, seed):
    rng = np.random.default_rng(seed)
    n, p = rng.integers(1, 7), rng.integers(7, 40)
    X, y = rng.normal(size=(n, p)), rng.normal(size=n)
    model = RobustRegressor("l2", penalty="l2", alpha=alpha, scale=1.0)
    model.set_params(fit_intercept=False).fit(X, y)
    exact = exact_ridge(X, y, alpha)
    assert_allclose(model.coef_, exact, rtol=0, atol=1e-10 * np.abs(exact).max())
    assert model.dual_gap_ <= 1e-10 * objective_of(model)


@pytest.mark.parametrize("loss", ["huber", "log_cosh", "smooth_l1", "l1"])
@pytest.mark.parametrize("seed", range(8))
def test_few_rows_and_many_columns_are_certified(loss, seed):
    # A warning would be an error.
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 11)
    X, y = rng.normal(size=(n, 30)), rng.normal(size=n)
    scale = 10 ** rng.uniform(-3, 1)
    model = RobustRegressor(loss, penalty="l2", alpha=2e-12, scale=scale).fit(X, y)
    coef, _ = least_norm(X, y)
    assert_allclose(model.coef_, coef, rtol=0, atol=1e-6 * np.abs(coef).max())


@pytest.mark.parametrize("alpha", [1e-20, 1e-30])
@pytest.mark.parametrize("loss", ["l1", "huber"])
def test_a_ridge_that_rounding_hides_is_certified_as_none(loss, alpha):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3))
    y = X @ [1.0, 2.0, 3.0] + rng.normal(size=100)
    model = RobustRegressor(loss, penalty="l2", alpha=alpha, scale=1.0).fit(X, y)
    plain = RobustRegressor(loss, penalty=None, scale=1.0).fit(X, y)
    assert_allclose(model.coef_, plain.coef_, rtol=1e-9)
    assert model.dual_gap_ <= 1e-12


@pytest.mark.parametrize("loss", [L2(), Huber(1.0), SmoothL1(1.0)], ids=repr)
@pytest.mark.parametrize("alpha", [1e-30, 1e-20, 1e-12])
@pytest.mark.parametrize("shape", [(60, 4), (5, 20)])
@pytest.mark.parametrize("far", [1e-6, 1e-3, 1.0])
def test_the_gap_is_never_less_than_what_is_left_to_gain(loss, alpha, shape, far):
    rng = np.random.default_rng(1)
    X, y, weight = rng.normal(size=shape), rng.normal(size=shape[0]), np.ones(shape[0])
    rows = make_rows(X, weight, True)
    penalty = make_penalty("l2", alpha, 0.5, shape[1])
    objective = Objective(rows, y, weight / weight.sum(), loss, penalty)
    best = solve(objective, Start(np.zeros(rows.n_params)), "auto", 1e-12, 200)
    for _ in range(5):
        params = best.params + far * rng.normal(size=best.params.size) * rows.varies
        point = objective.evaluate(params)
        gap = duality_gap(objective, point, loss.gradient(point.residual))
        # Values carry rounding errors, their difference all of both.
        assert gap >= point.value - best.value - 4 * EPS * point.value


@pytest.mark.parametrize("seed", [1, 2, 4, 6])
def test_slopes_that_a_faint_ridge_pays_for_are_projected(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(300, 6))
    y = X @ rng.normal(size=6)
    model = RobustRegressor(
        "l1", penalty="l2", alpha=8.5e-8, scale=1.7, fit_intercept=False
    )
    model.fit(X, y)
    assert model.n_iter_ == 1
    assert model.dual_gap_ < 1e-13
