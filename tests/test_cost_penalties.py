"""What penalised fits and fits of many targets cost, never by the clock."""

import importlib

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor, robust_path
from robustreg.paths import warm
from robustreg.paths.vertices import Vertex
from robustreg.solvers.kinked import exact
from robustreg.solvers.kinked.interior_point import interior_point
from robustreg.solvers.quadratics.quadratic import minimize_l1_quadratic

path_room = importlib.import_module("robustreg.paths.grid")


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


@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
@pytest.mark.parametrize("quantile", [0.5, 0.8])
@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_array])
def test_a_kinked_fit_factors_the_columns_that_it_needs(
    factors, container, quantile, penalty
):
    """Not those of all columns, of which six in seven are clearly 0."""
    X, y = wide_data(200, 700)
    shape = {"quantile": quantile, "penalty": penalty, "alpha": 0.15}
    fit = L1Regressor(**shape, l1_ratio=0.9).fit(container(X), y)
    used = np.count_nonzero(fit.coef_)
    assert 10 <= used <= 100
    assert max(factors) <= 2 * used + 64
    assert len(factors) <= 60
    assert fit.dual_gap_ <= 1e-13
    other = L1Regressor(**shape, l1_ratio=0.9, solver="augmented-lagrangian")
    np.testing.assert_allclose(fit.coef_, other.fit(X, y).coef_, atol=1e-8)


@pytest.mark.parametrize("quantile", [0.5, 0.8])
def test_a_kinked_fit_near_saturation_follows_another_at_the_price_of_one(
    factors, quantile
):
    """The other one fits most rows exactly, which is no start for interior points."""
    X, y = wide_data(150, 300)
    alphas = [0.022, 0.01]
    path = robust_path(X, y, loss="l1", quantile=quantile, alphas=alphas)
    both = sum(size**3 for size in factors)
    assert np.count_nonzero(path.coefs[:, 0]) > 100
    factors.clear()
    for alpha in alphas:
        L1Regressor(penalty="l1", alpha=alpha, quantile=quantile).fit(X, y)
    assert both <= 1.2 * sum(size**3 for size in factors)
    assert path.dual_gaps.max() <= 1e-13


@pytest.mark.parametrize("difference", [1e-6, 1e-7])
@pytest.mark.parametrize("twins", [1, 2, 20])
@pytest.mark.parametrize("quantile", [0.5, 0.8])
def test_edges_that_are_nearly_flat_are_followed_to_their_end(
    factors, monkeypatch, quantile, twins, difference
):
    """Nearly equal columns are as good in any mixture: interior points see no end."""

    def never(*given):
        raise AssertionError(given)

    monkeypatch.setattr(exact, "augmented_lagrangian", never)
    X, y = wide_data(100, 100)
    noise = difference * np.random.default_rng(1).normal(size=(100, twins))
    X = np.hstack([X, X[:, :twins] + noise])
    fit = L1Regressor(penalty="l1", alpha=0.05, quantile=quantile).fit(X, y)
    assert len(factors) <= 30
    assert fit.dual_gap_ <= 1e-13
    mixed = fit.coef_[:twins] * fit.coef_[100:]
    assert not mixed.any()


@pytest.mark.parametrize("quantile", [0.5, 0.8])
@pytest.mark.parametrize("alpha", [0.01, 0.003])
def test_correctors_save_factors_of_dense_columns(
    factors, monkeypatch, alpha, quantile
):
    """Where few rows are light a direction is cheap beside the factor that it takes."""
    X, y = wide_data(200, 400)
    model, counts = L1Regressor(penalty="l1", alpha=alpha, quantile=quantile), []
    for few in (1000, 0):
        monkeypatch.setattr(f"{interior_point.__module__}.FEW_CORRECTED", few)
        factors.clear()
        assert model.fit(X, y).dual_gap_ <= 1e-12
        counts.append(len(factors))
    assert counts[1] <= 0.9 * counts[0]


@pytest.mark.parametrize("alpha", [0.2, 0.003])
def test_many_params_leave_a_kinked_fit_as_small_as_its_rows(factors, alpha):
    """In use are no more than there are rows, or another method takes over."""
    X, y = wide_data(60, 2500)
    fit = L1Regressor(penalty="l1", alpha=alpha).fit(X, y)
    assert max(factors) <= 4 * 60
    assert fit.dual_gap_ <= 1e-10
    residual, slopes = y - X @ fit.coef_ - fit.intercept_, alpha * np.sign(fit.coef_)
    assert np.mean(np.abs(residual)) + slopes @ fit.coef_ <= np.mean(np.abs(y))


def test_columns_that_the_first_ones_do_not_name_enter_later(monkeypatch):
    """Started with two of them, and with all, the fit is the same."""
    X, y = wide_data(150, 300)
    shape = {"penalty": "l1", "alpha": 0.05}
    few = L1Regressor(**shape).fit(X, y)
    module = "robustreg.solvers.kinked.interior_point.working"
    for first in (1, 300):
        monkeypatch.setattr(f"{module}.FEWEST", first)
        monkeypatch.setattr(f"{module}.FIRST", 0)
        fit = L1Regressor(**shape).fit(X, y)
        np.testing.assert_allclose(fit.coef_, few.coef_, atol=1e-12)
        assert fit.dual_gap_ <= 1e-13


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


@pytest.mark.parametrize("alpha", [0.03, 0.01])
@pytest.mark.parametrize("loss", ["smooth_l1", "huber", "tukey"])
def test_a_model_has_no_more_params_than_rows_see_curvature(factors, loss, alpha):
    """More would make it singular: several times as many factors, and larger ones."""
    X, y = wide_data(150, 450)
    model = RobustRegressor(loss, scale=1.0, penalty="l1", alpha=alpha).fit(X, y)
    assert np.count_nonzero(model.coef_) >= 70
    assert max(factors) <= 1.2 * 150
    assert model.stationarity_ <= 1e-9


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


@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_array])
@pytest.mark.parametrize("penalty", [None, "l2"])
@pytest.mark.parametrize("p", [5, 30])
def test_least_squares_of_many_targets_make_one_factor(factors, p, penalty, container):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(300, p)), 10 * rng.normal(size=(300, 7)) ** 3 + 5
    alpha = 0.1 if penalty else 0.0
    model = RobustRegressor("l2", scale=1.0, penalty=penalty, alpha=alpha)
    model.fit(container(X), Y)
    assert factors == [p + 1]
    design = np.column_stack([X, np.ones(300)])
    ridge = np.diag(np.append(np.full(p, 300 * alpha), 0.0))
    params = np.linalg.solve(design.T @ design + ridge, design.T @ Y)
    np.testing.assert_allclose(model.coef_, params[:-1].T, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(model.intercept_, params[-1], rtol=1e-10)
    assert (model.dual_gap_ <= 1e-10 * (Y**2).mean(axis=0)).all()


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("quantile", [0.5, 0.2])
def test_a_kinked_path_goes_along_edges(monkeypatch, quantile, fit_intercept):
    """Without an intercept another solver starts it. Some rows weigh nothing."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 8)) * np.linspace(0.5, 3, 8) + np.arange(8)
    y = X[:, :3].sum(axis=1) + rng.standard_t(2, size=200)
    weight = rng.integers(0, 3, 200) * rng.uniform(0.5, 1.5, 200)
    calls, solve = [], warm.solve

    def count(*args):
        calls.append(args)
        return solve(*args)

    monkeypatch.setattr(warm, "solve", count)
    shape = {"quantile": quantile, "fit_intercept": fit_intercept}
    path = robust_path(X, y, sample_weight=weight, loss="l1", n_alphas=40, **shape)
    assert len(calls) == (0 if fit_intercept else 1)
    for place in (10, 25, 39):
        single = L1Regressor(penalty="l1", alpha=path.alphas[place], **shape)
        single.fit(X, y, weight)
        np.testing.assert_allclose(path.coefs[:, place], single.coef_, atol=1e-9)
        np.testing.assert_allclose(path.intercepts[place], single.intercept_, atol=1e-9)
    assert path.dual_gaps.max() <= 1e-12


def test_a_kinked_path_goes_along_edges_of_larger_designs(monkeypatch):
    """Each of its fits by another solver would take ten times as long."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(3000, 100))
    y = X[:, :5].sum(axis=1) + rng.standard_t(2, size=3000)
    calls, solve = [], warm.solve
    monkeypatch.setattr(warm, "solve", lambda *args: calls.append(1) or solve(*args))
    path = robust_path(X, y, loss="l1", n_alphas=40)
    assert len(calls) <= 4
    assert path.dual_gaps.max() <= 1e-12


@pytest.fixture
def walks(monkeypatch):
    """Return a list to which each fit by edges adds how many it followed."""
    edges, fit = [], Vertex.fit

    def count(self, l1, most_edges):
        found = fit(self, l1, most_edges)
        edges.append(self.edges)
        return found

    monkeypatch.setattr(Vertex, "fit", count)
    return edges


def test_fits_along_edges_are_certified_together(monkeypatch, walks):
    """In a pass for many; an edge or two from one penalty to the next."""
    made, make = [], path_room.make_rows

    def keep(*args, **options):
        made.append(make(*args, **options))
        return made[-1]

    monkeypatch.setattr(path_room, "make_rows", keep)
    X, y = wide_data(400, 10)
    path = robust_path(X, y, loss="l1", quantile=0.9)
    (rows,) = made
    assert len(walks) == 99
    assert sum(walks) <= 300
    assert rows.passes <= 10
    assert path.dual_gaps.max() <= 1e-12


def test_edges_are_followed_while_they_are_few(monkeypatch, walks):
    """From one penalty of a coarse grid to the next others find the way sooner."""
    X, y = wide_data(400, 50)
    fine = robust_path(X, y, loss="l1", n_alphas=40, eps=0.01)
    assert len(walks) == 39
    few = sum(walks)
    walks.clear()
    monkeypatch.setattr(warm, "MOST_EDGES", 1)
    coarse = robust_path(X, y, loss="l1", alphas=fine.alphas[::13])
    assert sum(walks) <= 25 * len(walks) < few
    assert len(walks) < 3
    np.testing.assert_allclose(coarse.coefs, fine.coefs[:, ::13], atol=1e-9)
    assert coarse.dual_gaps.max() <= 1e-10
