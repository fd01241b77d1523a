"""Least squares with an l1 part where a Gram matrix has no digits left."""

import tracemalloc
import warnings

import numpy as np
import pytest
from calls import calls_of
from fuzz_problems import draw
from pairwise import pairwise
from sklearn.exceptions import ConvergenceWarning

from robustreg import RobustRegressor
from robustreg.solvers.quadratics import active_set
from robustreg.solvers.quadratics.active_set import RootQuadratic
from robustreg.solvers.quadratics.quadratic import minimize_l1_quadratic


def violation(problem, x, u):
    """Return by how much each coefficient fails the optimality condition."""
    slope = problem.design.T @ u + problem.shift - problem.l2 * x
    return np.where(
        x == 0,
        np.maximum(np.abs(slope) - problem.l1, 0.0),
        np.abs(slope - problem.l1 * np.sign(x)),
    )


def make_problem(rng, n, p, kind):
    design = rng.normal(size=(n, p))
    l1, l2 = rng.uniform(0, 0.5, p), np.zeros(p)
    shift = 0.1 * rng.normal(size=p)
    if kind == "dependent":
        design[:, -1] = design[:, 0]
    elif kind == "ridge":
        l2 = rng.uniform(0, 1e-6, p)
    elif kind == "free":
        l1[0] = shift[0] = 0.0
    shift = np.clip(shift, -0.9 * l1, 0.9 * l1)
    return RootQuadratic(design, rng.normal(size=n), shift, l1, l2)


@pytest.mark.parametrize("kind", ["plain", "dependent", "ridge", "free"])
@pytest.mark.parametrize(("n", "p"), [(30, 6), (6, 30), (8, 8), (1, 5)])
@pytest.mark.parametrize("started", ["at zero", "anywhere"])
def test_the_minimum_meets_the_optimality_condition(kind, n, p, started):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        problem = make_problem(rng, n, p, kind)
        start = np.zeros(p) if started == "at zero" else rng.normal(size=p)
        x, u = problem.minimum(start)
        np.testing.assert_allclose(u, problem.target - problem.design @ x, atol=1e-12)
        assert violation(problem, x, u).max() < 1e-12


@pytest.mark.parametrize(("n", "p"), [(30, 6), (20, 60)])
def test_columns_that_do_not_depend_take_no_singular_values(n, p, monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("singular values")

    monkeypatch.setattr("scipy.linalg.svd", refuse)
    for seed in range(8):
        problem = make_problem(np.random.default_rng(seed), n, p, "plain")
        x, u = problem.minimum(np.zeros(p))
        assert violation(problem, x, u).max() < 1e-12


@pytest.mark.parametrize("kind", ["plain", "dependent", "ridge"])
def test_columns_enter_together(monkeypatch, kind):
    steps = calls_of(monkeypatch, active_set._Search, "_step")
    for seed in range(8):
        problem = make_problem(np.random.default_rng(seed), 90, 60, kind)
        x, _ = problem.minimum(np.zeros(60))
        assert np.count_nonzero(x) > 30
    # One after the other took as many steps as there are columns in use.
    assert len(steps) <= 8 * 25


@pytest.mark.parametrize("number", [47491, 47729])
def test_a_step_starts_from_the_signs_of_the_last_one(monkeypatch, number):
    steps = calls_of(monkeypatch, active_set._Search, "_step")
    runs = calls_of(monkeypatch, active_set._Search, "run")
    problem = draw(number, 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem.model().fit(problem.contained(), problem.y, problem.weight)
    # From those of a Gram matrix without digits it took 15, and 28.
    assert runs and len(steps) <= 6 * len(runs)


def test_it_agrees_with_the_method_of_gram_matrices():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        problem = make_problem(rng, 30, 6, "plain")
        x, _ = problem.minimum(np.zeros(6))
        other = minimize_l1_quadratic(
            problem.design.T @ problem.design,
            -problem.design.T @ problem.target - problem.shift,
            problem.l1,
            np.zeros(6),
        )
        np.testing.assert_allclose(x, other, atol=1e-13)


def test_columns_that_are_the_same_but_for_a_part_in_1e7_are_told_apart():
    rng = np.random.default_rng(0)
    same = rng.normal(size=40)
    design = np.column_stack([same, same + 1e-7 * rng.normal(size=40)])
    truth = np.array([2.0, 3.0])
    problem = RootQuadratic(
        design, design @ truth, np.zeros(2), np.full(2, 1e-18), np.zeros(2)
    )
    x, _ = problem.minimum(np.zeros(2))
    np.testing.assert_allclose(x, truth, rtol=1e-6)


def test_what_falls_for_ever_has_no_minimum():
    problem = RootQuadratic(
        np.ones((3, 2)), np.ones(3), np.array([0.0, 1.0]), np.zeros(2), np.zeros(2)
    )
    assert problem.minimum(np.zeros(2)) is None


def test_a_column_that_no_row_sees_is_for_its_penalty_to_hold():
    design = np.column_stack([np.ones(4), np.zeros(4)])
    start = np.array([0.0, 3.0])
    shift, l1 = np.array([0.0, 1.0]), np.full(2, 0.1)
    held = RootQuadratic(design, np.arange(4.0), 0 * shift, l1, np.zeros(2))
    assert held.minimum(start)[0][1] == 0.0
    ridged = RootQuadratic(design, np.arange(4.0), shift, l1, np.full(2, 0.5))
    assert ridged.minimum(0 * start)[0][1] == pytest.approx(0.9 / 0.5)
    falling = RootQuadratic(design, np.arange(4.0), shift, l1, np.zeros(2))
    assert falling.minimum(0 * start) is None


def offset_data(seed, n, p):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) + 10.0 ** rng.integers(0, 8, size=p)
    return X, rng.standard_t(1.5, size=n) + 5


@pytest.mark.parametrize(
    ("loss", "penalty", "size", "alpha"),
    pairwise(
        ("smooth_l1", "l2", "l1"),
        ("l1", "elasticnet"),
        ((10, 20), (119, 12)),
        (1e-3, 1e-6),
    ),
)
def test_an_l1_part_on_columns_far_from_zero_without_an_intercept(
    loss, penalty, size, alpha
):
    for seed in range(4):
        X, y = offset_data(seed, *size)
        model = RobustRegressor(
            loss, penalty=penalty, alpha=alpha, scale=1.0, fit_intercept=False
        )
        with warnings.catch_warnings():
            # The last digits of a vertex at an offset of 1e7.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)
        assert model.dual_gap_ < 1e-8 * np.abs(y).mean()


@pytest.mark.parametrize("loss", ["smooth_l1", "l2"])
def test_it_says_nothing_there_of_a_smooth_loss(loss):
    for seed in range(4):
        X, y = offset_data(seed, 60, 8)
        RobustRegressor(
            loss, penalty="l1", alpha=1e-6, scale=1.0, fit_intercept=False
        ).fit(X, y)


def test_it_takes_the_memory_of_a_few_copies_of_the_data():
    rng = np.random.default_rng(0)
    design = rng.normal(size=(100_000, 3))
    problem = RootQuadratic(
        design, design.sum(axis=1), np.zeros(3), np.ones(3), np.zeros(3)
    )
    tracemalloc.start()
    x, u = problem.minimum(np.zeros(3))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert violation(problem, x, u).max() < 1e-9
    # Measured: 2.0.
    assert most < 2.5 * design.nbytes


@pytest.mark.parametrize("seed", range(4))
def test_an_l1_part_that_rounding_errors_of_the_gradient_hide(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(4, 47)), 100 + rng.normal(size=4)
    y[3] = -1e5
    RobustRegressor("l2", penalty="l1", alpha=4.1e-8, scale=4.9e-4).fit(X, y)
