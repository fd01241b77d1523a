"""Whom a fit tells of its steps: a report, which may stop it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from robustreg import MMRegressor, RobustRegressor, SmoothL1Regressor
from robustreg.breakdown import Search, fit_mm
from robustreg.breakdown.search import LEAST_AT_ONCE
from robustreg.estimators.arrays import problem_of, problem_on, rows_of
from robustreg.fitting import fit_problem
from robustreg.solvers import SOLVERS

# Of each solver a loss and a penalty that it can do.
SETTINGS = {
    "row-space": ("smooth_l1", "l2"),
    "newton": ("smooth_l1", "l2"),
    "newton-cg": ("log_cosh", "l2"),
    "proximal-newton": ("smooth_l1", "l1"),
    "l-bfgs-b": ("l2", None),
    "interior-point": ("l1", None),
    "augmented-lagrangian": ("l1", "elasticnet"),
    "augmented-lagrangian-cg": ("l1", "l2"),
    "majorised-newton": ("tukey", None),
    "linprog": ("quantile", None),
}


class Recorder:
    """Takes note of each step, and asks to stop from one of them on."""

    def __init__(self, most=np.inf):
        self.steps, self.params, self._most = [], [], most

    def __call__(self, step, params):
        self.steps.append(step)
        self.params.append(params)
        return len(self.steps) >= self._most


def make_data(n=60, p=3, scale=1.0):
    rng = np.random.default_rng(3)
    X = 5 + rng.normal(size=(n, p)) * [1, 10, *[0.1] * (p - 2)]
    return X, X @ np.ones(p) + scale * rng.standard_t(2, size=n) + 20


def make_problem(model, X, y, report):
    return replace(problem_of(model, X, y, np.ones(len(y))), report=report)


def original(problem, params):
    return problem.rows.standard.to_original(params)


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_tells_of_its_passes_and_ends_at_the_last(solver):
    loss, penalty = SETTINGS[solver]
    alpha = 0.1 if penalty else 0.0
    options = {"loss": loss, "penalty": penalty, "alpha": alpha, "solver": solver}
    X, y = make_data(p=150 if solver == "row-space" else 3)
    report = Recorder()
    problem = make_problem(SmoothL1Regressor(**options), X, y, report)
    fit = fit_problem(problem)
    assert set(report.steps) == {"pass"}
    coef, intercept = original(problem, report.params[-1])
    assert_allclose(coef, fit.coef, rtol=1e-6, atol=1e-8)
    assert_allclose(intercept, fit.intercept, rtol=1e-6)


@pytest.mark.parametrize("scale", ["mad", "proposal2", 2.0])
@pytest.mark.parametrize("loss", ["l2", "smooth_l1", "l1", "tukey"])
def test_being_watched_changes_nothing_and_takes_no_pass(loss, scale):
    X, y = make_data()
    model, found = RobustRegressor(loss, scale=scale), []
    for report in (None, Recorder()):
        problem = make_problem(model, X, y, report)
        fit = fit_problem(problem)
        found.append((fit.coef, fit.intercept, fit.n_iter, problem.rows.passes))
    for alone, watched in zip(*found, strict=True):
        assert_array_equal(alone, watched)


@pytest.mark.parametrize("most", [1, 4])
@pytest.mark.parametrize("scale", ["mad", 2.0])
@pytest.mark.parametrize("loss", ["smooth_l1", "l1", "tukey"])
def test_a_stop_ends_a_fit_at_the_best_that_it_told_of(loss, scale, most):
    X, y = make_data()
    report = Recorder(most)
    problem = make_problem(RobustRegressor(loss, scale=scale), X, y, report)
    fit = fit_problem(problem)
    assert fit.stopped and not fit.success and fit.will_do
    assert len(report.steps) == fit.n_iter == most
    coef, intercept = original(problem, report.params[-1])
    assert_allclose(fit.coef, coef, rtol=1e-12)
    assert_allclose(fit.intercept, intercept, rtol=1e-12)
    if scale == "mad":
        size = np.abs(y - X @ fit.coef - fit.intercept)
        assert_allclose(fit.scale, 1.4826 * np.median(size), rtol=1e-2)


def test_the_best_is_no_worse_than_any_before_it():
    X, y = make_data()
    report = Recorder()
    options = {"penalty": "l2", "alpha": 0.1, "solver": "l-bfgs-b"}
    model = SmoothL1Regressor("huber", beta=0.1, **options)
    problem = make_problem(model, X, y, report)
    fit_problem(problem)
    values = []
    for params in report.params:
        coef, intercept = original(problem, params)
        r = np.abs(y - X @ coef - intercept)
        loss = np.where(r < 0.1, r**2 / 2, 0.1 * (r - 0.05)).mean()
        values.append(loss + 0.1 * (coef**2).sum() / 2)
    assert_array_equal(values, np.minimum.accumulate(values))


def test_a_stop_at_a_fit_that_is_certified_is_a_success():
    X, y = make_data()
    report = Recorder()
    model = SmoothL1Regressor()
    fit_problem(make_problem(model, X, y, report))
    last = Recorder(len(report.steps))
    fit = fit_problem(make_problem(model, X, y, last))
    assert fit.stopped and fit.success and fit.dual_gap <= 1e-9


def test_columns_that_all_but_depend_on_each_other_are_told_of_in_their_own_terms():
    X, y = make_data()
    X = np.column_stack([X, X[:, 0] + 1e-9 * np.random.default_rng(4).normal(size=60)])
    report = Recorder()
    problem = make_problem(SmoothL1Regressor(), X, y, report)
    fit = fit_problem(problem)
    coef, intercept = original(problem, report.params[-1])
    told, answer = X @ coef + intercept, X @ fit.coef + fit.intercept
    assert_allclose(told, answer, rtol=1e-6)


def test_passes_over_a_sample_are_not_told_of():
    X, y = make_data(n=30_000)
    report = Recorder()
    fit_problem(make_problem(RobustRegressor(), X, y, report))
    assert 1 <= len(report.steps) <= 6


@pytest.mark.parametrize("most", [1, np.inf])
def test_mm_tells_of_shares_of_its_subsets_and_may_search_no_more(most):
    X, y = make_data(n=2100)
    model = MMRegressor()
    report = Recorder(most)
    weight = np.ones(len(y))
    rows = rows_of(model, X, weight)
    model.s_beta_, model.beta_ = 1.548, 4.685
    loss = model._checked_loss()
    problem = problem_on(model, rows, y, weight, loss, 1e-16, report)
    fit = fit_mm(problem, Search(model.s_beta_, 0.5, LEAST_AT_ONCE + 1, 0))
    # Two shares of the subsets, and the starts that are not random.
    n_shares = min(most, 3)
    assert report.steps[:n_shares] == ["subsets"] * n_shares
    assert set(report.steps[n_shares:]) == {"pass"}
    assert (fit.stopped, fit.success) == (most == 1, most > 1)
    assert_allclose(fit.coef, np.ones(3), atol=0.5)
