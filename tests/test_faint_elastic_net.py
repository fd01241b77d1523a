"""An elastic net far below the loss, of more columns than rows: exact, certified."""

import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from calls import calls_of
from fuzz_problems import draw
from pairwise import pairwise
from sklearn.exceptions import ConvergenceWarning

from robustreg import (
    L1Regressor,
    RobustRegressor,
    ScaleCollapseWarning,
    SmoothL1Regressor,
)
from robustreg.losses import SmoothL1
from robustreg.objective import Objective
from robustreg.penalties import make_penalty
from robustreg.rows import make_rows
from robustreg.solvers import newton, proximal
from robustreg.solvers.kinked import exact
from robustreg.solvers.quadratics import quadratic
from robustreg.solvers.quadratics.quadratic import minimize_l1_quadratic
from robustreg.solvers.quadratics.rows_quadratic import RowsQuadratic
from robustreg.solvers.results import Start


def refused(*args):
    raise AssertionError("multipliers")


def interpolated(seed):
    """Return more columns than rows, and targets of ten columns or of none."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 60))
    p = int(rng.integers(n + 1, 4 * n))
    X = rng.normal(size=(n, p))
    y = rng.normal(size=n)
    if seed % 2:
        y = X[:, :10] @ rng.uniform(1, 90, min(p, 10)) + 10
    return X, y, 10 ** rng.uniform(-12, -10.6)


def primal(model, X, y, beta):
    """Return the objective where all rows are in the quadratic middle."""
    coef, l1 = model.coef_.astype(np.longdouble), model.alpha * model.l1_ratio
    residual = y - X.astype(np.longdouble) @ coef - model.intercept_
    ridge = model.alpha * (1 - model.l1_ratio)
    value = (residual**2).mean() / (2 * beta) + l1 * np.abs(coef).sum()
    return float(value + ridge * coef @ coef / 2)


def dual(model, X, y, beta):
    """Return a lower bound of it: the dual at slopes for the signs of the fit."""
    n, (l1, l2) = len(y), (model.alpha * np.array([model.l1_ratio, 1 - model.l1_ratio]))
    used = np.flatnonzero(model.coef_)
    sign = np.sign(model.coef_[used])
    system = np.ones((n + 1, n + 1))
    system[:n, :n] = X[:, used] @ X[:, used].T + n * beta * l2 * np.eye(n)
    system[n, n] = 0.0
    right = np.append(l2 * y + l1 * X[:, used] @ sign, 0.0)
    v = np.linalg.solve(system, right)[:n]
    v -= v.mean()
    over = np.maximum(np.abs(X.T @ v) - l1, 0.0)
    return v @ y - n * beta * v @ v / 2 - over @ over / (2 * l2)


@pytest.mark.parametrize("seed", range(28))
def test_fits_are_those_of_the_dual(seed):
    make = (SmoothL1Regressor, RobustRegressor)[seed // 2 % 2]
    # A warning would be an error.
    X, y, alpha = interpolated(seed)
    model = make("huber", beta=1.0, penalty="elasticnet", alpha=alpha)
    model.set_params(scale=1.0).fit(X, y)
    reached = primal(model, X, y, 1.0)
    assert reached - dual(model, X, y, 1.0) <= 1e-9 * reached
    assert model.dual_gap_ <= 1e-10 * reached
    assert model.n_iter_ <= 20


@pytest.mark.parametrize(
    ("loss", "seed", "fit_intercept"),
    pairwise(("smooth_l1", "pseudo_huber", "log_cosh", "l2"), range(3), (True, False)),
)
def test_losses_weights_and_constant_columns(loss, seed, fit_intercept):
    X, y, alpha = interpolated(seed)
    X[:, 2] = 3.0
    weight = np.random.default_rng(seed).integers(0, 3, len(y)) + (y == y.max())
    model = RobustRegressor(loss, penalty="elasticnet", alpha=alpha, scale=1.0)
    model.set_params(fit_intercept=fit_intercept).fit(X, y, sample_weight=weight)
    twice = model.__class__(**model.get_params())
    rows = np.repeat(np.arange(len(y)), weight)
    twice.fit(X[rows], y[rows])
    size = np.abs(model.coef_).max()
    np.testing.assert_allclose(model.coef_, twice.coef_, rtol=0, atol=1e-4 * size)


@pytest.mark.parametrize("outliers", [0, 3])
def test_rows_beyond_the_quadratic_middle_keep_their_slope(outliers):
    X, y, _ = interpolated(3)
    y[:outliers] += 1e6
    model = SmoothL1Regressor(penalty="elasticnet", alpha=1e-11).fit(X, y)
    assert model.dual_gap_ <= 1e-10 * primal(model, X, y, 1.0)


def test_stronger_penalties_take_the_other_road(monkeypatch):
    def never(*args):
        raise AssertionError("a Gram matrix has digits enough")

    monkeypatch.setattr(proximal, "_step_by_rows", never)
    X, y, _ = interpolated(1)
    for alpha in (1e-6, 1e-3):
        SmoothL1Regressor(penalty="elasticnet", alpha=alpha).fit(X, y)


def example(seed, ridge):
    """Return a quadratic of 20 rows and 50 columns."""
    rng = np.random.default_rng(seed)
    design = rng.normal(size=(20, 50))
    free, target = rng.exponential(size=20), 5 * rng.normal(size=20)
    l1 = np.where(rng.random(50) < 0.2, 0.0, 0.3)
    shift = 0.1 * rng.normal(size=50)
    return RowsQuadratic(design, free, target, shift, 0.7, l1, np.full(50, ridge))


@pytest.mark.parametrize("ridge", [1.0, 1e-2])
@pytest.mark.parametrize("seed", range(5))
def test_the_dual_finds_what_the_primal_does(seed, ridge):
    quadratic = example(seed, ridge)
    x, b, u = quadratic.minimum(np.zeros(50))
    whole = np.column_stack([quadratic.design, quadratic.free])
    hessian = whole.T @ whole + np.diag(np.append(quadratic.l2, 0.0))
    # The multiplier's constraint is a linear part of the free column.
    linear = -np.append(quadratic.shift, -quadratic.total) - whole.T @ quadratic.target
    l1 = np.append(quadratic.l1, 0.0)
    other = minimize_l1_quadratic(hessian, linear, l1, np.ones(51))
    np.testing.assert_allclose(np.append(x, b), other, rtol=0, atol=1e-10)
    residual = quadratic.target - whole @ np.append(x, b)
    np.testing.assert_allclose(u, residual, rtol=0, atol=1e-11)


@pytest.mark.parametrize("seed", range(5))
def test_the_dual_without_a_free_column_and_from_wrong_signs(seed):
    quadratic = replace(example(seed, 1e-9), free=np.zeros(20), total=0.0)
    quadratic = replace(quadratic, l1=1e-9 * quadratic.l1, shift=0 * quadratic.shift)
    found = quadratic.minimum(np.zeros(50))
    wrong = quadratic.minimum(-found[0])
    np.testing.assert_allclose(wrong[0], found[0], rtol=1e-7)
    assert found[1] == 0.0


@pytest.mark.parametrize("solver", ["auto", "augmented-lagrangian"])
def test_a_kinked_loss_reaches_outliers_that_it_can_fit(solver):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(20, 50)), 1000 + rng.normal(size=20)
        y[:2] = -7e10, -2e9
        model = L1Regressor(
            quantile=0.02, penalty="elasticnet", alpha=1.6e-5, solver=solver
        )
        model.fit(X, y)
        assert model.dual_gap_ < 1e-10 * np.abs(model.coef_).sum()
        np.testing.assert_allclose(model.predict(X[:1]), y[:1], rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_a_search_that_rounding_errors_stop_ends_there(monkeypatch, seed):
    rng, solved = np.random.default_rng(seed), []
    X = rng.normal(size=(4, 38)) + 10.0 ** rng.integers(0, 9, size=38)
    y = 100 + rng.normal(size=4)
    given, minimum = RowsQuadratic._given, RowsQuadratic.minimum

    def counted(self, sign):
        solved[-1] += 1
        return given(self, sign)

    def searched(self, start):
        solved.append(0)
        return minimum(self, start)

    monkeypatch.setattr(RowsQuadratic, "_given", counted)
    monkeypatch.setattr(RowsQuadratic, "minimum", searched)
    model = L1Regressor(penalty="elasticnet", alpha=4e-9, l1_ratio=0.1, scale=1.0)
    model.set_params(fit_intercept=False, solver="augmented-lagrangian")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    # All 100 steps of a search that stays where it is would find the same.
    assert solved and max(solved) <= 50


@pytest.mark.parametrize("quantile", [0.1, 0.5])
@pytest.mark.parametrize(("n", "p"), [(3, 6), (7, 22), (10, 47), (12, 60)])
def test_interior_points_of_a_kinked_loss_end_where_it_is_nothing(
    monkeypatch, n, p, quantile
):
    monkeypatch.setattr(exact, "augmented_lagrangian", refused)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(n, p)), rng.normal(size=n)
        model = L1Regressor(quantile=quantile, penalty="elasticnet", alpha=3e-9)
        # A warning would be an error.
        model.set_params(l1_ratio=0.3, scale=1.0).fit(X, y)
        assert model.n_iter_ <= 20
        assert model.dual_gap_ <= 1e-15
        np.testing.assert_allclose(model.predict(X), y, rtol=0, atol=1e-13)


@pytest.mark.parametrize("offset", [1e6, 1e7, 1e8])
def test_interior_points_end_where_columns_far_from_0_all_but_depend(
    monkeypatch, offset
):
    monkeypatch.setattr(exact, "augmented_lagrangian", refused)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(60, 12)) + offset, rng.normal(size=60)
        model = L1Regressor(penalty="l1", alpha=1e-4, fit_intercept=False, scale=1.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)
        # What rounding errors of predictions of the size of 1e8 leave.
        assert model.dual_gap_ <= 1e-8
        assert model.n_iter_ <= 20


@pytest.mark.parametrize("seed", range(4))
def test_interior_points_end_where_no_last_step_comes_nearer(seed):
    noise = np.random.default_rng(seed).normal(size=(2, 2))
    X, y = np.column_stack([np.full(2, 1e6), 1e7 + noise[0]]), noise[1]
    model = L1Regressor(penalty="l2", alpha=6e-8, fit_intercept=False, scale=3.7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    # Rounding errors of predictions of the size of 1e7: they do not end as y is met.
    assert 0 < model.dual_gap_ <= 1e-9
    assert model.n_iter_ <= 30


@pytest.mark.parametrize("shape", [(3, 6), (10, 47)])
def test_a_fit_whose_penalty_no_slopes_balance_is_not_near(monkeypatch, shape):
    monkeypatch.setattr(exact, "augmented_lagrangian", refused)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=shape), rng.normal(size=shape[0])
        model = L1Regressor(penalty="elasticnet", alpha=2e-9, scale="mad")
        with pytest.warns(ScaleCollapseWarning):
            model.fit(X, y)


@pytest.mark.parametrize("scale", [1.0, 1.79, 2.93])
def test_signs_that_had_their_minimum_end_a_descent(monkeypatch, scale):
    counts = Counter()

    def count(name):
        method = getattr(quadratic, name)

        def counted(*args):
            counts[name] += 1
            return method(*args)

        monkeypatch.setattr(quadratic, name, counted)

    count("_descent")
    count("_orthant_minimum")
    problem = draw(32973, 1000)
    model = problem.model(loss="l1", scale=scale, solver="augmented-lagrangian")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(problem.contained(), problem.y, sample_weight=problem.weight)
    assert counts["_descent"]
    # Signs that came again and again took 150.
    assert counts["_orthant_minimum"] <= 10 * counts["_descent"]


def faint(seed):
    """Return an objective of residuals far above the scale, and a faint penalty."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(11, 32)), 1e6 * rng.normal(size=11)
    penalty = make_penalty("elasticnet", 1e-6, 0.5, 32)
    rows, weight = make_rows(X, np.ones(11), True), np.full(11, 1 / 11)
    return Objective(rows, y, weight, SmoothL1(0.1), penalty)


def by_proximal_steps(objective, max_iter):
    start = Start(np.zeros(objective.n_params))
    options = {"step_rule": proximal.PROXIMAL, "tol": 1e-10, "max_iter": max_iter}
    return newton.newton(objective, start, **options)


@pytest.mark.parametrize("seed", range(4))
def test_slopes_that_rows_rule_out_are_not_projected(monkeypatch, seed):
    gaps = calls_of(monkeypatch, newton, "duality_gap")
    result = by_proximal_steps(faint(seed), 200)
    assert result.success and result.n_iter >= 10
    # One of a step, or two at the end.
    assert len(gaps) <= 2


@pytest.mark.parametrize("max_iter", [1, 2, 4, 6])
@pytest.mark.parametrize("seed", range(3))
def test_a_fit_that_ends_early_is_the_best_of_its_steps(monkeypatch, seed, max_iter):
    gap = by_proximal_steps(faint(seed), max_iter).gap
    # Every step asks for its certificate.
    monkeypatch.setattr(newton, "HOPELESS", np.inf)
    best = by_proximal_steps(faint(seed), max_iter)
    assert not best.success and gap == pytest.approx(best.gap, rel=1e-9)


def test_a_fit_without_a_bound_is_that_of_the_last_step():
    # Down along this pull without end.
    objective = faint(0).tilted(np.r_[np.zeros(32), 2.0])
    start = objective.evaluate(np.zeros(33))
    result = by_proximal_steps(objective, 10)
    assert result.gap == np.inf and result.value < start.value
