"""Several quantiles together: the fits one by one, at less cost, and sorted."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from many_rows import data, uneven
from numpy.testing import assert_allclose, assert_array_equal
from pairwise import pairwise
from sklearn.base import is_regressor
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import d2_pinball_score
from sklearn.model_selection import GridSearchCV

from robustreg import L1Regressor, NoEffectWarning, QuantilesRegressor
from robustreg.losses import make_loss
from robustreg.objective import Objective
from robustreg.penalties import make_penalty
from robustreg.rows import make_rows
from robustreg.solvers.many.kinks import OwnRows, SharedRows
from robustreg.solvers.many.quantiles import many_quantiles

LEVELS = (0.9, 0.05, 0.5, 0.3)
X, Y = load_diabetes(return_X_y=True)
X_NEW = np.random.default_rng(1).normal(scale=0.2, size=(300, X.shape[1]))


def few_kinds(n):
    """Return dummy columns that depend on each other, and counts."""
    rng = np.random.default_rng(2)
    kind = rng.integers(0, 4, n)
    return np.eye(4)[kind], rng.poisson(1.0 + kind).astype(float)


def with_outliers(n):
    rng = np.random.default_rng(3)
    X, y = data(n, 4)
    y[rng.random(n) < 0.04] = 1e9
    X[rng.random(n) < 0.02] *= 1e4
    return X, y


def fewer_rows_than_columns():
    rng = np.random.default_rng(4)
    return rng.normal(size=(5, 9)), rng.normal(size=5)


PROBLEMS = {
    "diabetes": (X, Y),
    "six rows": (X[:6, :2], Y[:6]),
    "many rows": data(9000, 5),
    "far from 0": (X + 1e4, Y + 1e6),
    "another unit": (1e-30 * X, 1e60 * Y),
    "outliers": with_outliers(5000),
    "ties": few_kinds(500),
    "columns that depend": (np.column_stack([X, X[:, 0] - X[:, 1]]), Y),
    "a constant column": (np.column_stack([X, np.full(len(X), 3.0)]), Y),
    "no column": (np.zeros((len(X), 1)), Y),
    "a constant target": (X, np.full(len(X), 7.0)),
    "an exact fit": (X, X @ np.arange(10.0) + 1),
    "fewer rows than columns": fewer_rows_than_columns(),
}
every_problem = pytest.mark.parametrize("name", PROBLEMS)


def assert_one_by_one(model, X, y, weight=None, **params):
    """The fits are those of `L1Regressor`, quantile by quantile."""
    for i, level in enumerate(model.quantiles):
        single = L1Regressor(quantile=level, **params).fit(X, y, sample_weight=weight)
        size = np.abs(single.coef_).max() + np.finfo(float).tiny
        assert_allclose(model.coef_[i], single.coef_, rtol=1e-8, atol=1e-8 * size)
        assert_allclose(model.intercept_[i], single.intercept_, rtol=1e-8)


@pytest.mark.parametrize(
    ("name", "weighted", "fit_intercept"),
    pairwise(PROBLEMS, (False, True), (True, False)),
)
def test_fits_are_those_one_by_one(name, weighted, fit_intercept):
    X, y = PROBLEMS[name]
    weight = uneven(len(y)) if weighted else None
    model = QuantilesRegressor(LEVELS, fit_intercept=fit_intercept)
    model.fit(X, y, sample_weight=weight)
    assert_one_by_one(model, X, y, weight, fit_intercept=fit_intercept)
    assert model.dual_gap_.shape == (len(LEVELS),)
    scale = np.abs(y).max()
    assert (model.dual_gap_ <= 1e-9 * scale).all()


@pytest.mark.parametrize("penalty", ["l1", "l2", "elasticnet"])
def test_penalised_fits_are_those_one_by_one(penalty):
    params = {"penalty": penalty, "alpha": 0.01}
    model = QuantilesRegressor(LEVELS, **params).fit(X, Y)
    assert_one_by_one(model, X, Y, **params)
    assert (
        QuantilesRegressor(LEVELS, penalty="l1", alpha=1e3).fit(X, Y).coef_.any() == 0
    )


def solved_together(n_rows, levels):
    """Return rows and what is found of quantiles of many rows."""
    X, y = data(n_rows)
    weight = np.full(n_rows, 1 / n_rows)
    rows = make_rows(X, weight, True)
    none = make_penalty(None, 0.0, 0.5, X.shape[1])
    objective = Objective(rows, y, weight, make_loss("l1"), none)
    return rows, many_quantiles(objective, levels, 1e-10, 500)


@pytest.mark.parametrize("k", [2, 9])
@pytest.mark.parametrize(
    ("n_rows", "passes"), [(442, 3.0), (10_000, 4.5), (60_000, 4.0)]
)
def test_the_number_of_quantiles_costs_no_pass(n_rows, passes, k):
    levels = np.arange(1, k + 1) / (k + 1)
    rows, found = solved_together(n_rows, levels)
    assert found.done.all()
    assert rows.passes <= passes
    assert found.n_iter <= 25


def test_generic_fits_need_no_fit_of_their_own(monkeypatch):
    def refuse(problems, starts):
        assert not list(problems)
        return []

    monkeypatch.setattr("robustreg.fitting.quantiles.fit_targets", refuse)
    for name in ("diabetes", "many rows", "far from 0", "another unit"):
        QuantilesRegressor(LEVELS).fit(*PROBLEMS[name])
    rng = np.random.default_rng(0)
    QuantilesRegressor(LEVELS).fit(rng.normal(size=(2000, 100)), rng.normal(size=2000))


@pytest.mark.parametrize("X_new", [X, X_NEW], ids=["of the fit", "new"])
def test_no_prediction_crosses(X_new):
    model = QuantilesRegressor(LEVELS).fit(X, Y)
    sorted_ = QuantilesRegressor(sorted(LEVELS)).fit(X, Y).predict(X_new)
    assert (np.diff(sorted_, axis=1) >= 0).all()
    # Columns follow the order in which the quantiles are given.
    assert_array_equal(model.predict(X_new), sorted_[:, np.argsort(np.argsort(LEVELS))])


def test_a_row_that_does_not_cross_keeps_its_lines_and_the_others_are_counted():
    model = QuantilesRegressor((0.05, 0.25, 0.5, 0.75, 0.95)).fit(X, Y)
    lines = X @ model.coef_.T + model.intercept_
    crosses = (np.diff(lines, axis=1) < 0).any(axis=1)
    assert 0 < crosses.sum() < 30
    assert_allclose(model.predict(X)[~crosses], lines[~crosses], rtol=1e-12)
    assert_allclose(model.predict(X)[crosses], np.sort(lines[crosses]), rtol=1e-12)
    assert_allclose(model.crossing_share_, crosses.mean(), rtol=1e-12)
    as_fitted = model.set_params(non_crossing=False).predict(X)
    assert_allclose(as_fitted, lines, rtol=1e-12)


def test_rounding_errors_are_no_crossing():
    for name in ("an exact fit", "a constant target"):
        assert QuantilesRegressor(LEVELS).fit(*PROBLEMS[name]).crossing_share_ == 0


def test_weights_are_repeated_rows_in_fit_share_and_score():
    weight = np.random.default_rng(5).integers(0, 4, len(Y))
    X_rep, y_rep = np.repeat(X, weight, axis=0), np.repeat(Y, weight)
    model = QuantilesRegressor(LEVELS).fit(X, Y, sample_weight=weight)
    other = QuantilesRegressor(LEVELS).fit(X_rep, y_rep)
    assert_allclose(model.coef_, other.coef_, rtol=1e-8)
    assert_allclose(model.crossing_share_, other.crossing_share_, rtol=1e-12)
    score = model.score(X, Y, sample_weight=weight)
    assert_allclose(score, model.score(X_rep, y_rep), rtol=1e-12)


CONTAINERS = {
    "list": np.ndarray.tolist,
    "fortran": np.asfortranarray,
    "frame": lambda X: pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])]),
    "csr": sp.csr_array,
    "csc": sp.csc_matrix,
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_has_the_same_fit(container):
    given = CONTAINERS[container](X)
    model, dense = QuantilesRegressor(LEVELS).fit(given, Y), QuantilesRegressor(LEVELS)
    assert_allclose(model.coef_, dense.fit(X, Y).coef_, rtol=1e-8)
    assert_allclose(model.predict(given), dense.predict(X), rtol=1e-8)
    assert_allclose(model.score(given, Y), dense.score(X, Y), rtol=1e-8)
    assert ("feature_names_in_" in vars(model)) == (container == "frame")


def test_single_precision_stays_single():
    X32 = X.astype(np.float32)
    model = QuantilesRegressor(LEVELS).fit(X32, Y)
    double = QuantilesRegressor(LEVELS).fit(X32.astype(float), Y)
    assert model.coef_.dtype == model.predict(X32).dtype == np.float32
    assert_allclose(model.coef_, double.coef_, rtol=1e-5)
    # The gap is that of the rounded coefficients.
    assert (model.dual_gap_ >= double.dual_gap_).all()


def test_units_and_the_order_of_rows_change_nothing_else():
    model, order = QuantilesRegressor(LEVELS).fit(X, Y), np.argsort(Y)
    unit = 10.0 ** np.arange(X.shape[1])
    other = QuantilesRegressor(LEVELS).fit(X[order] * unit, 1e3 * Y[order])
    assert_allclose(other.coef_ * unit, 1e3 * model.coef_, rtol=1e-8)


def test_columns_may_have_units_as_far_from_each_other_as_their_squares_allow():
    X, y = data(300_000, 3)
    unit = np.array([1e-160, 1e152, 1.0])
    far = QuantilesRegressor().fit(X * unit, y)
    assert_allclose(far.coef_ * unit, QuantilesRegressor().fit(X, y).coef_, rtol=1e-8)


def test_the_score_is_the_mean_of_the_pinball_scores():
    model = QuantilesRegressor(LEVELS).fit(X, Y)
    one = np.ones(len(Y))
    each = [
        d2_pinball_score(Y, column, alpha=level, sample_weight=one)
        for level, column in zip(LEVELS, model.predict(X).T, strict=True)
    ]
    assert_allclose(model.score(X, Y), np.mean(each), rtol=1e-12)
    assert 0.2 < model.score(X, Y) < 0.4


def test_a_search_over_penalties_scores_it():
    model = QuantilesRegressor((0.1, 0.9), penalty="l1")
    search = GridSearchCV(model, {"alpha": [0.001, 10.0]}, cv=3).fit(X[:100], Y[:100])
    assert search.best_params_ == {"alpha": 0.001}


def test_it_does_not_say_that_it_predicts_what_y_is():
    assert not is_regressor(QuantilesRegressor())


def test_one_warning_tells_which_fits_did_not_converge():
    with pytest.warns(ConvergenceWarning) as caught:
        model = QuantilesRegressor(max_iter=1).fit(X, Y)
    assert len(caught) == 1
    said = str(caught[0].message)
    assert "max_iter" in said and "[0.05, 0.5, 0.95]" in said
    assert np.isfinite(model.predict(X)).all()


REFUSED = [
    ({"quantiles": ()}, r"at least one number.*\(0, 1\)"),
    ({"quantiles": 0.5}, r"sequence.*0\.5.*\(0\.5,\)"),
    ({"quantiles": (0.5, 0.5)}, r"differ"),
    ({"quantiles": (0.0, 0.5)}, r"\(0, 1\).*0\.0"),
    ({"quantiles": (0.5, 1.0)}, r"\(0, 1\)"),
    ({"quantiles": (0.5, float("nan"))}, r"\(0, 1\).*nan"),
    ({"quantiles": ("low", "high")}, r"\(0, 1\).*low"),
    ({"quantiles": [[0.1, 0.9]]}, r"\(0, 1\)"),
    ({"quantiles": "0.5"}, r"quantiles"),
    ({"penalty": "l3"}, r"penalty.*elasticnet"),
    ({"alpha": -1.0}, r"alpha"),
    ({"non_crossing": "yes"}, r"non_crossing"),
    ({"tol": 0.0}, r"tol"),
]


@pytest.mark.parametrize(("params", "match"), REFUSED, ids=str)
def test_parameters_out_of_range_are_refused(params, match):
    model = QuantilesRegressor(**params)
    with pytest.raises(ValueError) as caught:
        model.fit(X, Y)
    assert re.search(match, str(caught.value)), str(caught.value)
    assert "coef_" not in vars(model)


@pytest.mark.parametrize("params", [{"penalty": "l1"}, {"alpha": 0.1}], ids=str)
def test_what_has_no_effect_is_said(params):
    with pytest.warns(NoEffectWarning, match=r"QuantilesRegressor.*no effect"):
        QuantilesRegressor(**params).fit(X, Y)


def test_several_targets_are_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"one target.*y\[:, j\]"):
        QuantilesRegressor().fit(X, np.column_stack([Y, Y]))


def test_collections_are_refused_by_name():
    arrays = pytest.importorskip("dask.array")
    given = arrays.from_array(X, chunks=100)
    model = QuantilesRegressor()
    with pytest.raises(ValueError, match=r"QuantilesRegressor.*X\.compute\(\)"):
        model.fit(given, Y)
    model.fit(X, Y)
    for use in (model.predict, lambda X: model.score(X, Y)):
        with pytest.raises(ValueError, match=r"QuantilesRegressor.*X\.compute\(\)"):
            use(given)


def test_rows_of_their_own_do_what_shared_ones_do():
    rng = np.random.default_rng(6)
    design, target = rng.normal(size=(12, 3)), rng.normal(size=12)
    shared = SharedRows(design, target)
    own = OwnRows(np.tile(design, (2, 1, 1)), np.tile(target, (2, 1)))
    params, c = rng.normal(size=(2, 3)), rng.random((2, 12))
    basis = rng.integers(0, 12, (2, 3))
    assert_array_equal(own.of(1), shared.of(1))
    for name, given in [
        ("block", basis),
        ("targets", basis),
        ("along", params),
        ("residual", params),
        ("adjoint", c),
        ("grams", c),
    ]:
        assert_allclose(getattr(own, name)(given), getattr(shared, name)(given))
    kept = np.array([False, True])
    assert_array_equal(own.kept(kept).along(params[1:]), own.along(params)[1:])


def test_a_file_that_is_mapped_is_fitted(tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, X)
    mapped = np.load(path, mmap_mode="r")
    model = QuantilesRegressor(LEVELS).fit(mapped, Y)
    assert_array_equal(model.coef_, QuantilesRegressor(LEVELS).fit(X, Y).coef_)
