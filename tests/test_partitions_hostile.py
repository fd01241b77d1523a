"""Fits by passes where the sample drawn first says little of all rows."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from test_partitions import TOL, assert_same, fit_parts, make_data, parts_of

from robustreg import MMRegressor, RobustRegressor
from robustreg.breakdown import Search, fit_mm_whole, tukey_for_breakdown
from robustreg.estimators import arrays
from robustreg.estimators.arrays import fits_by_passes
from robustreg.losses import Tukey
from robustreg.partitions import Drawing, InTurn, draw
from robustreg.partitions.dependent import dependence
from robustreg.penalties import ElasticNet

N = 12_000


def weight_of(kind):
    """Return weights of which a uniform sample shows little."""
    weight = np.ones(N)
    if kind == "in one part":
        weight[:] = 0
        weight[3_000:4_000] = 1
    elif kind == "of few rows":
        weight[3_000:3_100] = 1e6
    elif kind == "of one row":
        weight[3_001] = N / 4
    else:
        weight = np.exp(3 * np.random.default_rng(1).normal(size=N))
    return weight


@pytest.mark.parametrize("loss", ["smooth_l1", "l1"])
@pytest.mark.parametrize("kind", ["in one part", "of few rows", "of one row", "any"])
def test_weights_of_any_kind(kind, loss):
    X, y = make_data(N)
    weight = weight_of(kind)
    edges = [0, 3_000, 4_000, N]
    options = {"loss": loss, "scale": "mad"}
    (fit,), passes = fit_parts(X, y, weight, edges=edges, **options, tol=1e-16)
    model = RobustRegressor(**options, tol=1e-16).fit(X, y, weight)
    assert_same(fit, model, 1e-7)
    assert fit.n_iter == len(passes) <= 10


@pytest.mark.parametrize(("loss", "tol"), [("smooth_l1", 1e-16), ("tukey", 1e-12)])
def test_few_rows_far_out(loss, tol):
    X, y = make_data(N)
    X[::1_000] *= 1e6
    options = {"loss": loss, "scale": "mad", "tol": tol}
    (fit,), passes = fit_parts(X, y, **options)
    assert_same(fit, RobustRegressor(**options).fit(X, y), 1e-7)
    assert len(passes) <= 16


def test_rows_that_matter_are_drawn_at_most_twice_as_many():
    X, y = make_data(N)
    X[::1_000] *= 1e6
    engine = InTurn(parts_of(X, y, None, [0, 1, 5_000, N]), *X.shape, 1)
    drawing = Drawing(most_rows=1_000, worthwhile=1.0)
    some = draw(engine, True, drawing)
    assert [each.verb for each in engine.passes] == ["sample", "important"]
    assert some.part.number.size < 2.2 * drawing.most_rows
    assert np.isin(np.arange(0, N, 1_000), some.part.number).all()
    assert_allclose(some.part.weight.sum(), N)
    # No row stands for more than its share allows.
    assert (some.share * some.part.weight <= 1 + 1e-12).all()


def with_dependent_columns(X):
    """Return the columns, one of them again, a sum of two and dummies of all levels."""
    level = np.arange(len(X)) % 3
    return np.column_stack([X, X[:, 1], 2 * X[:, 0] - X[:, 3], np.eye(3)[level]])


@pytest.mark.parametrize("loss", ["smooth_l1", "l1"])
def test_columns_that_depend_on_others(loss):
    X, y = make_data(N, heavy=4)
    X = with_dependent_columns(X)
    options = {"loss": loss, "scale": 1.0, "tol": 1e-14}
    targets = np.column_stack([y, y + X[:, 0]])
    fits, passes = fit_parts(X, targets, **options)
    for fit, target in zip(fits, targets.T, strict=True):
        assert_same(fit, RobustRegressor(**options).fit(X, target), 1e-6)
    assert sum(each.verb == "root" for each in passes) == 1


def all_but_dependent(X, how):
    """Return columns whose Gram matrix has no digit left that tells them apart."""
    if how == "a row far out":
        X = X.copy()
        X[1_234] *= 1e10
        return X
    noise = np.random.default_rng(5).normal(size=len(X))
    X = np.column_stack([X, X[:, 0] + 1e-8 * noise])
    return np.column_stack([X, X[:, 1]]) if how == "also dependent" else X


@pytest.mark.parametrize("loss", ["smooth_l1", "l1", "l2", "tukey"])
@pytest.mark.parametrize("how", ["nearly", "a row far out", "also dependent", "ridged"])
def test_columns_that_all_but_depend_on_others(loss, how):
    X, y = make_data(N)
    X = all_but_dependent(X, how)
    options = {"loss": loss, "scale": "mad" if loss == "tukey" else 1.0, "tol": 1e-12}
    if how == "ridged":
        options |= {"penalty": "l2", "alpha": 1e-14}
    (fit,), passes = fit_parts(X, y, **options)
    model = RobustRegressor(**options).fit(X, y)
    assert fit.success
    # Which of the fits with these predictions has least norm depends on units.
    predicted = X @ fit.coef + fit.intercept
    assert_allclose(predicted, model.predict(X), rtol=1e-6, atol=1e-6)
    assert_allclose(fit.scale, model.scale_, rtol=1e-7)
    assert len(passes) <= (20 if loss == "tukey" else 9)


@pytest.mark.parametrize("how", ["nearly", "a row far out"])
@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
def test_columns_that_all_but_depend_on_others_under_an_l1_penalty(penalty, how):
    X, y = make_data(N)
    X = all_but_dependent(X, how)
    options = {"loss": "smooth_l1", "scale": 1.0, "penalty": penalty, "alpha": 1e-3}
    (fit,), passes = fit_parts(X, y, **options, tol=1e-10)
    model = RobustRegressor(**options, tol=1e-12).fit(X, y)
    assert fit.success
    assert_allclose(fit.coef, model.coef_, rtol=0, atol=1e-5)
    assert len(passes) <= 10


@pytest.mark.parametrize("loss", ["l2", "log_cosh", "pseudo_huber", "tukey"])
def test_a_row_far_out_under_an_l1_penalty(loss):
    X, y = make_data(N)
    X = all_but_dependent(X, "a row far out")
    options = {"loss": loss, "scale": 1.0, "penalty": "l1", "alpha": 1e-3}
    (fit,), passes = fit_parts(X, y, **options, tol=1e-8)
    model = RobustRegressor(**options, tol=1e-10).fit(X, y)
    assert fit.success
    assert_allclose(fit.coef, model.coef_, rtol=0, atol=1e-3)
    assert len(passes) <= (20 if loss == "tukey" else 10)


def test_a_kinked_fit_whose_sample_has_lost_its_digits_ends():
    X, y = make_data(N)
    X = all_but_dependent(X, "a row far out")
    options = {"loss": "l1", "scale": 1.0, "penalty": "l1", "alpha": 1e-3}
    (fit,), passes = fit_parts(X, y, **options, tol=1e-8)
    model = RobustRegressor(**options, tol=1e-8).fit(X, y)
    assert_allclose(fit.coef, model.coef_, rtol=0, atol=1e-3)
    assert len(passes) <= 20


@pytest.mark.parametrize("nearly", [False, True])
def test_mm_estimates_of_columns_that_a_row_makes_look_dependent(nearly, monkeypatch):
    monkeypatch.setattr(arrays, "DRAWING", Drawing(most_rows=1_500, worthwhile=1.0))
    X, y = make_data(N)
    X = all_but_dependent(X, "nearly") if nearly else X
    X = all_but_dependent(X, "a row far out")
    engine = InTurn(parts_of(X, y, None, [0, 5_000, N]), *X.shape, 1)
    model = MMRegressor(n_subsets=50, tol=1e-12)
    (fit,), _ = fits_by_passes(model, model._checked_loss(), engine)
    model.fit(X, y)
    assert fit.success
    # No fit among nearly dependent columns is known to have the least S-scale.
    rtol = 1e-3 if nearly else 1e-8
    assert_allclose(fit.scale, model.scale_, rtol=rtol)
    predicted = X @ fit.coef + fit.intercept
    assert_allclose(predicted, model.predict(X), rtol=rtol, atol=0.1 * rtol)
    # A row that may be rejected does not make a basis.
    assert any(each.verb == "root" for each in engine.passes) == nearly


def test_sparse_parts_are_not_made_dense_for_a_basis():
    X, y = make_data(N)
    X = all_but_dependent(X, "nearly")
    rows = sparse.csr_array(np.where(np.abs(X) < 1, 0.0, X))
    engine = InTurn(parts_of(rows, y, None, [0, N]), *X.shape, 1)
    some = draw(engine, True, Drawing(most_rows=1_500, worthwhile=1.0))
    none = np.zeros(X.shape[1])
    depends = dependence(engine, some, some.rows(True), ElasticNet(none, none), False)
    assert depends is None


def test_mm_estimates_of_columns_that_depend_on_others():
    X, y = make_data(N)
    X = with_dependent_columns(X)
    model = MMRegressor(n_subsets=50, tol=1e-12).fit(X, y)
    search = Search(tukey_for_breakdown(0.5), 0.5, 50, 0)
    fit = partial(fit_mm_whole, search=search)
    (fit,), _ = fit_parts(X, y, loss=Tukey(model.beta_), tol=1e-12, fit=fit)
    # Which of the fits with these predictions has least norm depends on units.
    for part, coef, intercept in (
        (fit, model.coef_, model.intercept_),
        (fit.s_estimate, model.s_coef_, model.s_intercept_),
    ):
        predicted = X @ part.coef + part.intercept
        assert_allclose(predicted, X @ coef + intercept, rtol=1e-6, atol=1e-6)


def test_columns_that_depend_in_all_rows_but_few_are_kept():
    X, y = make_data(N, heavy=4)
    X = np.column_stack([X, X[:, 0]])
    X[[77, 5_005, 9_999], -1] += 5
    (fit,), _ = fit_parts(X, y, tol=1e-12)
    model = RobustRegressor(scale=1.0, tol=1e-14).fit(X, y)
    assert_allclose(fit.coef, model.coef_, atol=1e-5)


def test_targets_are_searched_with_the_same_random_numbers(monkeypatch):
    monkeypatch.setattr(arrays, "DRAWING", Drawing(most_rows=1_000, worthwhile=1.0))
    X, y = make_data(3_000)
    targets = np.column_stack([y, y])
    engine = InTurn(parts_of(X, targets, None, [0, 1_000, 3_000]), *X.shape, 2)
    model = MMRegressor(n_subsets=10, random_state=np.random.RandomState(0))
    (first, second), _ = fits_by_passes(model, model._checked_loss(), engine)
    assert_array_equal(first.coef, second.coef)


@pytest.mark.parametrize("alpha", [0.0, 0.05])
def test_the_scale_of_rows_of_which_many_are_fitted_exactly(alpha):
    X, y = make_data(N, heavy=2)
    exact = np.random.default_rng(1).random(N) < 0.3
    y = np.where(exact, X @ [1.0, -0.5, 0.2, 0.01, 0.0] + 3, y)
    options = {"loss": "l1", "scale": "mad", "alpha": alpha}
    options["penalty"] = "l2" if alpha else None
    (fit,), _ = fit_parts(X, y, **options)
    assert_same(fit, RobustRegressor(**options, tol=TOL).fit(X, y))
