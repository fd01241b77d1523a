"""What fits cost on fixed data, never by the clock, and that every road ends alike.

Costs are passes over the rows, rows held near the kink, Gram matrices and steps.
"""

import weakref
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import scipy.sparse
from fuzz_checks import run
from fuzz_problems import draw
from many_rows import data, uneven
from numpy.testing import assert_allclose
from oracles import Case, assert_same_fit, optimum

from robustreg import (
    L1Regressor,
    RobustRegressor,
    ScaleCollapseWarning,
    SmoothL1Regressor,
)
from robustreg.estimators import arrays
from robustreg.fitting import any_scale
from robustreg.objective import Objective
from robustreg.rows import DenseRows, make_rows
from robustreg.solvers import near_start, table
from robustreg.solvers.kinked import active_rows, exact
from robustreg.solvers.sampling import Sampling
from robustreg.solvers.table import SOLVERS

SMOOTH = ("smooth_l1", "huber", "pseudo_huber", "log_cosh")
SMALL = (60, 5), (400, 5), (2000, 20)


@pytest.fixture
def spent(monkeypatch):
    """Return lists of all rows made, of sizes held and of rows in Gram matrices."""
    seen = {"rows": [], "held": [], "gram": []}
    make, hold, gram = arrays.make_rows, Objective.linearise, DenseRows.gram

    def keep(*args, **options):
        seen["rows"].append(make(*args, **options))
        return seen["rows"][-1]

    def count_held(self, point, active):
        seen["held"].append(active.size)
        return hold(self, point, active)

    def count_gram(self, c, columns):
        seen["gram"].append(np.count_nonzero(c))
        return gram(self, c, columns)

    monkeypatch.setattr(arrays, "make_rows", keep)
    monkeypatch.setattr(Objective, "linearise", count_held)
    monkeypatch.setattr(DenseRows, "gram", count_gram)
    return seen


def tell(monkeypatch, sampling):
    """Let solvers have another policy of samples than theirs."""
    smooth, kinked = partial(near_start, sampling=sampling), SOLVERS["interior-point"]
    other = replace(kinked, run=partial(kinked.run, sampling=sampling))
    monkeypatch.setattr(table, "near_start", smooth)
    monkeypatch.setitem(SOLVERS, "interior-point", other)


@pytest.fixture
def unsampled(monkeypatch):
    """Return a function after whose call no sample is worth its cost."""
    return lambda: tell(monkeypatch, Sampling(worthwhile=np.inf))


def test_kinked_fits_at_other_scales_look_at_few_rows(spent):
    X, y = data(20_000)
    fit = RobustRegressor(loss="l1", penalty="l2", alpha=0.01).fit(X, y)
    first, *others = spent["held"]
    assert len(others) >= 2
    # The last fit is so near that ten rows a param do.
    assert max(others) <= 10 * (X.shape[1] + 1) < first
    alone = L1Regressor(penalty="l2", alpha=0.01, scale=fit.scale_).fit(X, y)
    assert_allclose(fit.coef_, alone.coef_, rtol=1e-9)


def test_kinked_fits_at_scales_far_apart_look_at_few_rows(spent):
    # A ridge leaves most of this signal in the residuals.
    X, y = data(20_000)
    y = y + 100 * X.sum(axis=1)
    RobustRegressor("l1", quantile=0.9, penalty="l2", alpha=0.1).fit(X, y)
    # A sample's fit leaves fewer than that of another scale.
    assert max(spent["held"]) <= 3_000


@pytest.mark.parametrize("options", [{}, {"penalty": "l1", "alpha": 0.01}])
@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_kinked_fits_that_no_scale_moves_are_made_once(options, quantile, spent):
    X, y = data(20_000)
    fit = RobustRegressor("l1", quantile=quantile, **options).fit(X, y)
    held = len(spent["held"])
    alone = L1Regressor(quantile=quantile, scale=fit.scale_, **options).fit(X, y)
    assert held <= len(spent["held"]) - held
    assert_allclose(fit.coef_, alone.coef_, rtol=1e-9)


# Measured: 8.5 passes.
@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.999])
def test_a_kinked_scale_collapses_in_a_few_passes(
    penalty, quantile, spent, monkeypatch
):
    rng = np.random.default_rng(40)
    X, y = rng.normal(size=(100_000, 7)), np.zeros(100_000)
    y[rng.choice(y.size, 40, replace=False)] = 1.0
    searched = []
    monkeypatch.setattr(exact, "interior_point", lambda *given: searched.append(given))
    model = RobustRegressor("l1", quantile=quantile, penalty=penalty, alpha=0.01)
    with pytest.warns(ScaleCollapseWarning):
        model.fit(X, y)
    assert (model.coef_ == 0).all() and not searched
    assert spent["rows"][0].passes <= 9


def test_a_model_that_promises_nothing_is_the_last():
    """A faint ridge hides in rounding errors. Once 95 more such steps were made."""
    model = run(draw(3044)).model
    assert model.n_iter_ <= 12
    assert model.dual_gap_ <= 1e-19


# Measured: 4, 7 to 8.5, 5.1 and 6.1 passes.
COSTS = [
    (SmoothL1Regressor(penalty="l2", alpha=1e-6, tol=1e-8), 5),
    (RobustRegressor(), 9),
    (L1Regressor(), 6),
    (L1Regressor(loss="quantile", quantile=0.9), 7),
]


@pytest.mark.parametrize("form", ["C", "F", "float32", "weights"])
@pytest.mark.parametrize(("model", "most"), COSTS, ids=repr)
def test_passes_over_many_rows(model, most, form, spent):
    X, y = data()
    weight = uneven(y.size) if form == "weights" else None
    forms = {"F": np.asfortranarray(X), "float32": X.astype(np.float32)}
    model.fit(forms.get(form, X), y, sample_weight=weight)
    (rows,) = spent["rows"]
    # One more pass certifies what is stored in single precision.
    assert 2 <= rows.passes <= most + (form == "float32")
    # No Gram matrix has all rows: those of a smooth fit are a sample's.
    if isinstance(model, L1Regressor):
        assert len(spent["held"]) == 1
        assert max(spent["held"]) <= 4000
        assert max(spent["gram"]) <= 6000
        assert model.n_iter_ <= 16
    else:
        assert spent["gram"] == spent["held"] == []
        assert model.n_iter_ <= 4


def test_first_passes_over_float32_rows_are_in_single_precision(spent, monkeypatch):
    X, y = data()
    single = []
    evaluate = Objective.evaluate_roughly

    def seen(self, params):
        point = evaluate(self, params)
        single.append(point.residual.dtype == np.float32)
        return point

    monkeypatch.setattr(Objective, "evaluate_roughly", seen)
    model = SmoothL1Regressor(penalty="l2", alpha=1e-6, tol=1e-8).fit(
        X.astype(np.float32), y
    )
    assert single == [True, True]
    case = Case(X, y, None, "smooth_l1", "l2", alpha=1e-6)
    exact = case.fit()
    assert case.reached(model) - case.reached(exact) <= 1e-8 * case.reached(exact)
    assert spent["rows"][0].passes <= 5


def test_rough_passes_that_overflow_are_repeated():
    X, y = data()
    wide, high = (1e20 * X).astype(np.float32), 1e42 * y
    model = SmoothL1Regressor(beta=1e42, fit_intercept=False, tol=1e-8)
    narrow = model.fit(wide, high).coef_
    exact = model.fit(wide.astype(np.float64), high).coef_
    np.testing.assert_allclose(narrow, exact, rtol=1e-6)


def test_samples_are_given_back_before_all_rows_are_looked_at(monkeypatch):
    drawn, kept = [], []
    draw, fit = Sampling.draw_kinked, active_rows._smooth_fit

    def drawing(self, objective):
        found = draw(self, objective)
        drawn.append(weakref.ref(found.objective))
        return found

    def counted(objective, *near):
        if objective.rows.n_rows == 60_000:
            kept.append(sum(each() is not None for each in drawn))
        return fit(objective, *near)

    monkeypatch.setattr(Sampling, "draw_kinked", drawing)
    monkeypatch.setattr(active_rows, "_smooth_fit", counted)
    L1Regressor().fit(*data())
    assert drawn
    assert kept == [0]


def test_coordinates_of_many_rows_are_those_of_a_sample():
    rows = make_rows(data(16_000, 3)[0], np.ones(16_000), True)
    assert not rows.standard.exact


def test_fits_at_many_scales_look_once_at_typical_rows(monkeypatch):
    looks, original = [], any_scale.typical_design

    def counted(rows, weight):
        looks.append(rows.n_rows)
        return original(rows, weight)

    monkeypatch.setattr(any_scale, "typical_design", counted)
    RobustRegressor().fit(*data(500, 10))
    assert looks == [500]


def test_a_fit_without_a_sample_needs_gram_matrices_of_all_rows(spent, unsampled):
    """So that the counts above can fail."""
    unsampled()
    SmoothL1Regressor(penalty="l2", alpha=1e-6, tol=1e-8).fit(*data())
    assert max(spent["gram"]) > 20_000


@pytest.mark.parametrize("shape", SMALL, ids=repr)
@pytest.mark.parametrize(("quantile", "most"), [(0.5, 23), (0.9, 35)])
def test_iterations_of_small_kinked_fits(shape, quantile, most, spent):
    """At most 20 and 31: a quantile in so heavy a tail is far from where it starts."""
    model = L1Regressor(quantile=quantile).fit(*data(*shape))
    assert model.n_iter_ <= most
    assert spent["held"] == []
    # Interior-point iterations take about 6 products each.
    assert spent["rows"][0].passes <= 12 * (model.n_iter_ + 1)


@pytest.mark.parametrize("shape", SMALL, ids=repr)
@pytest.mark.parametrize("loss", SMOOTH)
def test_steps_of_small_smooth_fits(shape, loss, spent):
    model = SmoothL1Regressor(loss, penalty="l2", alpha=1e-3).fit(*data(*shape))
    assert model.n_iter_ <= 8
    assert spent["rows"][0].passes <= 60


def assert_same_optimum(case, models, rtol=1e-4):
    """All fits reach the same objective, and the same coefficients to a tolerance."""
    values = np.array([case.reached(model) for model in models])
    np.testing.assert_allclose(values, values[0], rtol=1e-9)
    for model in models[1:]:
        assert_same_fit(model, models[0], rtol)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("quantile", [0.5, 0.8])
@pytest.mark.parametrize("loss", SMOOTH)
def test_smooth_roads_end_alike(loss, quantile, weighted, unsampled):
    X, y = data(30_000, 6)
    weight = uneven(y.size) if weighted else None
    case = Case(X, y, weight, loss, "l2", alpha=1e-3, quantile=quantile)
    models = [case.fit(), case.fit(solver="l-bfgs-b")]
    unsampled()
    assert_same_optimum(case, [case.fit(), *models])


@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_kinked_roads_end_alike_on_small_data(quantile):
    case = Case(*data(300, 5), loss="l1", quantile=quantile)
    names = ("interior-point", "augmented-lagrangian", "linprog")
    models = [case.fit(solver=name) for name in names]
    assert_same_optimum(case, models, 1e-7)
    assert case.reached(models[0]) == pytest.approx(optimum(case), rel=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("quantile", [0.5, 0.95])
def test_reduced_kinked_fits_end_where_others_do(quantile, weighted, unsampled):
    X, y = data(20_000, 5)
    weight = uneven(y.size) if weighted else None
    case = Case(X, y, weight, "l1", quantile=quantile)
    reduced = case.fit()
    unsampled()
    assert_same_optimum(case, [case.fit(), reduced], 1e-8)


def test_rows_that_change_sides_enter(monkeypatch):
    """A start further off than it says holds too few rows, some on the wrong side."""
    X, y = data(20_000, 5)
    cases = [Case(X, y, loss="l1", quantile=q) for q in (0.5, 0.95)]
    exact = [case.fit() for case in cases]
    near, changed, wrong = active_rows.near_kinked, active_rows._changed_sides, []

    def count(*args):
        wrong.append(changed(*args))
        return wrong[-1]

    monkeypatch.setattr(active_rows, "_changed_sides", count)
    tell(monkeypatch, Sampling(few=300))
    for error in (0.015, 0.018, 0.04):

        def off(objective, *args, error=error):
            point, told = near(objective, *args)
            return objective.evaluate(point.params + error), told

        monkeypatch.setattr(active_rows, "near_kinked", off)
        for case, model in zip(cases, exact, strict=True):
            assert_same_optimum(case, [model, case.fit()], 1e-8)
            assert wrong[-1] == 0
    assert max(wrong) > 0


@pytest.mark.parametrize("loss", ["smooth_l1", "l1"])
def test_containers_warm_starts_and_repeated_rows_end_alike(loss):
    X, y = data(50_000, 5)
    count = np.random.default_rng(2).integers(0, 4, y.size)
    case = Case(X, y, count, loss, "l2", alpha=1e-4)
    model = case.fit()
    repeated = replace(case, X=X.repeat(count, 0), y=y.repeat(count), weight=None)
    models = [model, repeated.fit(), replace(case, X=scipy.sparse.csr_matrix(X)).fit()]
    model.set_params(warm_start=True)
    again = case.fit(warm_start=True).fit(X, y, sample_weight=count)
    assert_same_optimum(case, [*models, again])
    narrow = replace(case, X=X.astype(np.float32)).fit()
    assert narrow.coef_.dtype == np.float32
    assert_same_fit(narrow, model, 1e-4)
