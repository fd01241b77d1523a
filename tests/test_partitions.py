"""Fits by passes over parts that are never joined, against fits of all rows."""

from dataclasses import replace
from functools import partial
from itertools import pairwise, product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pairwise import covering
from scipy import sparse

from robustreg import MMRegressor, RobustRegressor
from robustreg.breakdown import Search, fit_mm_whole, tukey_for_breakdown
from robustreg.fitting import Problem
from robustreg.losses import LOSSES, Tukey, make_loss
from robustreg.partitions import (
    Drawing,
    InTurn,
    Part,
    draw,
    fit_partitions,
    fit_whole,
)
from robustreg.partitions.drawing import drawn
from robustreg.partitions.part import moments_of, products_of
from robustreg.penalties import PENALTIES, make_penalty
from robustreg.scale import mad

CONVEX = sorted(name for name in LOSSES if make_loss(name, None, 0.5).facts.convex)
SCALES = (2.0, "mad", "proposal2")
# A sample of so few rows is a tenth of all: parts matter.
DRAWING = Drawing(most_rows=1_500, worthwhile=1.0)
TOL = 1e-17


def make_data(n=12_000, seed=0, heavy=1.5):
    """Return correlated columns of many units, and a target with outliers."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    X[:, 1:] += 0.5 * X[:, :-1]
    X = X * [0.5, 1, 5, 20, 1] + [0, 10, 0, 50, -3]
    y = X @ [1.0, -0.5, 0.2, 0.01, 0.0] + 3 + rng.standard_t(heavy, size=n)
    return X, y


def parts_of(X, y, weight, edges):
    """Return parts between the edges, each read when it is asked for."""
    y = y if y.ndim == 2 else y[:, None]
    weight = np.ones(len(y)) if weight is None else weight

    def reader(low, high):
        rows = slice(low, high)
        number = np.arange(low, high)
        return lambda: Part(X[rows], y[rows], weight[rows], number)

    return [reader(*ends) for ends in pairwise(edges)]


def fit_parts(
    X,
    y,
    weight=None,
    *,
    edges=None,
    loss="smooth_l1",
    quantile=0.5,
    drawing=DRAWING,
    fit_intercept=True,
    fit=fit_whole,
    typical=False,
    **options,
):
    """Return the fit of each target and the passes made, two halves unless told."""
    n, p = X.shape
    edges = [0, n // 2, n] if edges is None else edges
    engine = InTurn(
        parts_of(X, y, weight, edges), n, p, 1 if y.ndim == 1 else y.shape[1]
    )
    given = {"penalty": "l2", "alpha": 0.0, "scale": 1.0, "tol": TOL, **options}

    def ask(rows, target, counted):
        return Problem(
            rows=rows,
            y=np.ascontiguousarray(target),
            weight=counted,
            loss=make_loss(loss, None, quantile),
            penalty=make_penalty(given["penalty"], given["alpha"], 0.5, p),
            scale=given["scale"],
            solver="auto",
            tol=given["tol"],
            max_iter=500,
            outlier_threshold=3.0,
            eps=np.finfo(float).eps,
        )

    squares = make_loss(loss, None, quantile).facts.breakpoints == ()
    some = draw(engine, fit_intercept, drawing, squares)
    rows = some.rows(fit_intercept)
    fits = fit_partitions(engine, some, rows, ask, fit, typical=typical)
    return fits, engine.passes


def assert_same(fit, model, rtol=1e-8):
    """Assert that a fit by parts is that of all rows."""
    assert fit.success
    size = np.abs(model.coef_).max()
    assert_allclose(fit.coef, model.coef_, rtol=0, atol=rtol * size)
    assert_allclose(fit.intercept, model.intercept_, rtol=rtol, atol=rtol)
    assert_allclose(fit.scale, model.scale_, rtol=3 * rtol)
    assert_allclose(fit.residual_scale, model.residual_scale_, rtol=3e-7)


@pytest.mark.parametrize(
    ("loss", "penalty", "scale"), covering(product(CONVEX, PENALTIES, SCALES))
)
def test_halves_have_the_fit_of_the_whole(loss, penalty, scale):
    X, y = make_data()
    options = {
        "loss": loss,
        "penalty": penalty,
        "alpha": 0.05 if penalty else 0.0,
        "scale": scale,
        "quantile": 0.7 if loss == "l1" else 0.5,
    }
    (fit,), _ = fit_parts(X, y, **options)
    # Under an l1 penalty a fit of all rows is certified to this.
    tol, rtol = (1e-14, 1e-7) if penalty in ("l1", "elasticnet") else (TOL, 1e-8)
    assert_same(fit, RobustRegressor(**options, tol=tol).fit(X, y), rtol)


@pytest.mark.parametrize(
    ("loss", "penalty", "scale"),
    covering(product(sorted({*LOSSES} - {*CONVEX, "talwar"}), (None, "l1"), SCALES)),
)
def test_halves_lead_to_the_same_valley(loss, penalty, scale):
    X, y = make_data()
    y[::5] += 40
    alpha = 0.05 if penalty else 0.0
    options = {"loss": loss, "penalty": penalty, "alpha": alpha, "scale": scale}
    (fit,), _ = fit_parts(X, y, **options, tol=1e-10)
    model = RobustRegressor(**options).fit(X, y)
    assert fit.success
    assert np.isnan(fit.dual_gap)
    assert fit.stationarity <= 1e-10
    size = np.abs(model.coef_).max()
    assert_allclose(fit.coef, model.coef_, rtol=0, atol=1e-8 * size)
    assert_allclose(fit.scale, model.scale_, rtol=1e-8)


def test_a_loss_that_jumps_ends_at_a_minimum():
    X, y = make_data()
    y[::5] += 40
    (fit,), _ = fit_parts(X, y, loss="talwar", tol=1e-10)
    assert fit.success
    assert fit.stationarity <= 1e-10
    # It has one for each set of rows that it rejects: near each other.
    model = RobustRegressor("talwar", scale=1.0).fit(X, y)
    assert_allclose(fit.objective, fit_value(model, X, y), rtol=1e-4)


def fit_value(model, X, y):
    """Return the objective of a model at scale 1, without a penalty."""
    loss = make_loss(model.loss, None, model.quantile)
    return float(loss.value(y - model.predict(X)).mean())


@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_mm_estimates_of_halves(penalty):
    X, y = make_data()
    bad = np.arange(len(y)) % 10 < 3
    X[bad] += 100
    y[bad] -= 1_000
    search = Search(tukey_for_breakdown(0.5), 0.5, 500, 0)
    fit = partial(fit_mm_whole, search=search)
    model = MMRegressor(penalty=penalty, alpha=0.1).fit(X, y)
    options = {"penalty": penalty, "alpha": 0.1, "loss": Tukey(model.beta_)}
    (fit,), _ = fit_parts(X, y, **options, tol=1e-10, fit=fit)
    assert_same(fit, model, 1e-7)
    assert_allclose(fit.s_estimate.coef, model.s_coef_, atol=1e-7)
    assert_allclose(fit.s_estimate.intercept, model.s_intercept_, rtol=1e-7)


@pytest.mark.parametrize("loss", ["smooth_l1", "l1"])
def test_any_division_has_the_same_fit(loss):
    X, y = make_data()
    n, rng = len(y), np.random.default_rng(1)
    weight = rng.integers(0, 4, n).astype(float)
    weight[5_000:9_000] = 0
    (expected,), _ = fit_parts(X, y, weight, loss=loss, scale="mad")
    cuts = [
        [0, n],
        [0, 1, 2, 2, 3, n],
        [0, 5_000, 9_000, n],
        [0, *np.sort(rng.integers(0, n, 60)), n],
    ]
    for edges in cuts:
        (fit,), _ = fit_parts(X, y, weight, edges=edges, loss=loss, scale="mad")
        assert_allclose(fit.coef, expected.coef, rtol=1e-9)
        assert_allclose(fit.scale, expected.scale, rtol=1e-9)
    every = np.repeat(np.arange(n), weight.astype(int))
    model = RobustRegressor(loss, tol=TOL).fit(X[every], y[every])
    assert_same(expected, model)


@pytest.mark.parametrize("loss", ["smooth_l1", "l1"])
def test_sparse_parts_and_several_targets(loss):
    X, y = make_data()
    X = np.where(np.abs(X) < 1, 0.0, X)
    targets = np.column_stack([y, X[:, 0] - 2 * y])
    fits, _ = fit_parts(sparse.csr_array(X), targets, loss=loss)
    # To the root of the tolerance: the second target is twice as wide as the loss.
    for fit, target in zip(fits, targets.T, strict=True):
        model = RobustRegressor(loss, scale=1.0, tol=TOL).fit(X, target)
        assert_same(fit, model, 3e-8)


@pytest.mark.parametrize("loss", ["smooth_l1", "l1", "l2"])
def test_without_an_intercept(loss):
    X, y = make_data(heavy=5)
    (fit,), _ = fit_parts(X, y, loss=loss, fit_intercept=False)
    model = RobustRegressor(loss, scale=1.0, fit_intercept=False, tol=TOL).fit(X, y)
    assert fit.intercept == 0
    assert_same(fit, model)


@pytest.mark.parametrize("loss", ["smooth_l1", "l1", "log_cosh"])
def test_a_column_that_the_sample_does_not_show(loss):
    X, y = make_data()
    X = np.column_stack([X, np.zeros(len(y))])
    rare = np.setdiff1d(np.arange(len(y)), drawn(0, len(y), len(y), 1_500))[::850]
    X[rare, -1] = 1
    y[rare] += 10
    (fit,), _ = fit_parts(X, y, loss=loss, tol=1e-10)
    model = RobustRegressor(loss, scale=1.0, tol=TOL).fit(X, y)
    assert_allclose(fit.coef, model.coef_, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"scale": 1.0}, 5),
        ({"scale": "mad"}, 6),
        ({"scale": 1.0, "penalty": "l1", "alpha": 0.05}, 5),
        ({"scale": 1.0, "loss": "l1"}, 6),
        ({"scale": 1.0, "loss": "l1", "quantile": 0.9}, 6),
        ({"scale": "mad", "loss": "l1", "penalty": "l2", "alpha": 0.05}, 6),
        ({"scale": "mad", "loss": "l1", "penalty": "l1", "alpha": 0.3}, 6),
        ({"scale": "proposal2", "loss": "l1", "penalty": "l1", "alpha": 0.05}, 7),
        ({"scale": 1.0, "loss": "l2"}, 2),
        ({"scale": 1.0, "loss": "l2", "alpha": 0.1}, 2),
        ({"scale": 1.0, "loss": "l2", "penalty": "l1", "alpha": 0.05}, 2),
        ({"scale": "mad", "loss": "l2"}, 4),
    ],
)
def test_passes(options, most):
    X, y = make_data(200_000)
    _, passes = fit_parts(X, y, drawing=Drawing(), tol=1e-10, **options)
    assert len(passes) <= most
    # Nothing of the size of the rows travels.
    assert sum(each.nbytes for each in passes[1:]) < 0.5 * X.nbytes


def test_a_step_keeps_the_median_in_its_window():
    X, y = make_data(200_000, seed=10)
    _, passes = fit_parts(X, y, drawing=Drawing(), tol=1e-10)
    # A window that missed would be widened, and more rows come back.
    assert (np.diff([each.nbytes for each in passes]) < 0).all()


@pytest.mark.parametrize("loss", ["smooth_l1", "l1", "tukey"])
@pytest.mark.parametrize("scale", [1.0, "mad"])
def test_few_rows_tell_the_median_of_any_number(loss, scale):
    X, y = make_data(100_000)
    options = {"loss": loss, "scale": scale, "tol": 1e-13}
    (expected,), passes = fit_parts(X, y, **options)
    drawing = replace(DRAWING, most_near=1_500 * (X.shape[1] + 1))
    (fit,), fewer = fit_parts(X, y, drawing=drawing, **options)
    assert fit.success
    assert_allclose(fit.coef, expected.coef, rtol=0, atol=1e-6)
    assert_allclose(fit.residual_scale, expected.residual_scale, rtol=1e-6)
    # The last windows hold fewer, and are seen whole.
    assert len(fewer) <= len(passes) + 3
    of_windows = [each.nbytes for each in fewer if each.verb == "gradient"]
    assert max(of_windows) < 2 * 1_500 * (X[:1].nbytes + 24)


def test_near_rows_of_many_columns_are_fewer_and_cost_no_pass():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60_000, 40))
    y = X.sum(axis=1) + rng.standard_t(3, len(X))
    options = {"scale": "mad", "tol": 1e-10}
    whole = Drawing(most_rows=8_000, worthwhile=1.0)
    drawing = replace(whole, most_near=2**16)
    _, passes = fit_parts(X, y, drawing=whole, **options)
    (fit,), fewer = fit_parts(X, y, drawing=drawing, **options)
    assert fit.success
    assert len(fewer) <= len(passes)
    assert max(each.nbytes for each in fewer[1:]) < 1.2 * 8 * drawing.most_near


def test_the_pass_that_holds_rows_narrows_the_window_of_the_next():
    X, y = make_data(200_000)
    options = {"loss": "l1", "quantile": 0.9, "tol": 1e-10}
    drawing = Drawing(most_near=4_000 * (X.shape[1] + 1))
    (fit,), passes = fit_parts(X, y, drawing=drawing, **options)
    assert fit.success
    assert len(passes) <= 6
    residual = y - X @ fit.coef - fit.intercept
    assert_allclose(fit.residual_scale, mad(residual, np.ones(len(y)), 0), rtol=1e-12)


def test_a_row_is_drawn_by_its_number_alone():
    n, m = 10_000, 700
    every = drawn(0, n, n, m)
    assert every.size == m
    edges = [0, 1, 17, 17, 4_000, 9_999, n]
    parts = [low + drawn(low, high - low, n, m) for low, high in pairwise(edges)]
    assert_array_equal(np.concatenate(parts), every)
    # One of each stratum, anywhere in it.
    place = (every + 0.5) * m / n - np.arange(m)
    assert (np.abs(place - 0.5) <= 0.5 + m / n).all()
    assert 0.45 < place.mean() < 0.55


def test_equal_rows_are_fitted_in_memory():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, (20_000, 3)).astype(float)
    y = rng.poisson(2 + X.sum(axis=1)).astype(float)
    n, p = X.shape
    engine = InTurn(parts_of(X, y, None, [0, n // 2, n]), n, p, 1)
    some = draw(engine, True, Drawing(most_rows=5_000, worthwhile=1.0))
    assert some.everything
    assert [each.verb for each in engine.passes] == ["sample", "distinct"]
    rows = np.column_stack([some.part.X, some.part.y])
    kinds, counts = np.unique(np.column_stack([X, y]), axis=0, return_counts=True)
    found, which = np.unique(rows, axis=0, return_inverse=True)
    assert_array_equal(found, kinds)
    assert_array_equal(np.bincount(which.ravel(), some.part.weight), counts)
    # Each half has its own.
    assert len(rows) <= 2 * len(kinds)


@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_a_target_that_is_mostly_one_value(quantile):
    X, _ = make_data()
    y = np.where(np.arange(len(X)) % 7, 0.0, 1 + X[:, 0])
    (fit,), passes = fit_parts(X, y, loss="l1", quantile=quantile)
    model = RobustRegressor("l1", quantile=quantile, scale=1.0).fit(X, y)
    assert fit.success
    assert_allclose(fit.coef, model.coef_, atol=1e-12)
    assert_allclose(fit.objective, fit_value(model, X, y), rtol=1e-12)
    # At 0.9 the fit crosses the tied rows: another round gathers those that it passed.
    assert len(passes) <= 7


def test_too_many_tied_rows_are_refused():
    X, _ = make_data()
    drawing = replace(DRAWING, most_gathered=1_000)
    with pytest.raises(ValueError, match="Use a smooth loss"):
        fit_parts(X, np.zeros(len(X)), loss="l1", drawing=drawing)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("loss", ["smooth_l1", "l1"])
def test_a_factor_with_many_rare_levels(loss, container):
    rng = np.random.default_rng(3)
    n = 12_000
    # Three in four levels are in no more than a handful of rows of a sample.
    level = np.minimum(rng.geometric(0.1, n) - 1, 60)
    X = np.column_stack([rng.normal(size=n), level[:, None] == np.arange(1, 61)])
    X = X[:, np.append(True, X[:, 1:].sum(axis=0) > 0)]
    y = X[:, 0] + np.sqrt(level) + rng.standard_t(3, size=n)
    (fit,), passes = fit_parts(container(X), y, loss=loss, tol=1e-10)
    model = RobustRegressor(loss, scale=1.0, tol=1e-14).fit(X, y)
    assert fit.success
    assert len(passes) <= 10
    assert fit.objective - fit_value(model, X, y) <= 1e-9


def test_more_columns_than_the_client_holds_are_refused():
    with pytest.raises(ValueError, match="X has 5000 columns"):
        Drawing().size(10**6, 5_001)


def test_rows_that_are_fitted_exactly_have_no_scale():
    X, y = make_data()
    y = X @ np.arange(1.0, 6.0)
    y[::5] += 100
    for loss in ("smooth_l1", "l1"):
        (fit,), _ = fit_parts(X, y, loss=loss, scale="mad")
        assert fit.collapsed
        assert_allclose(fit.coef, np.arange(1.0, 6.0), rtol=1e-6)


def test_no_row_with_weight():
    X, y = make_data(3_000)
    with pytest.raises(ValueError, match="weights are all zero"):
        fit_parts(X, y, np.zeros(len(y)))


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_products_of_parts_are_those_of_all_rows(container, fit_intercept):
    X, y = make_data()
    X = np.column_stack([X, np.full(len(y), 7.0), X[:, 0] * 1e-3 + 1e3])
    weight = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    targets = np.column_stack([y, y**2])
    parts = [
        Part(container(X[i]), targets[i], weight[i], np.arange(len(y))[i]).live()
        for i in (slice(0, 1), slice(1, 700), slice(700, None))
    ]
    moments = [moments_of(part, fit_intercept) for part in parts]
    each = [
        products_of(part, m, fit_intercept)
        for part, m in zip(parts, moments, strict=True)
    ]
    found = each[0] + each[1] + each[2]
    center = fit_intercept * np.average(X, axis=0, weights=weight)
    middle = fit_intercept * np.average(targets, axis=0, weights=weight)
    deviation = X - center
    deviation[:, -2] *= not fit_intercept
    other = np.column_stack([deviation, targets - middle])
    expected = (deviation * weight[:, None]).T @ other
    size = np.sqrt(np.outer(np.diag(expected), (other**2).T @ weight)) + 1e-300
    assert_allclose(found.mean, np.append(center, middle), rtol=1e-12)
    assert_allclose(found.product / size, expected / size, rtol=0, atol=1e-7)


def test_squares_of_rows_that_are_far_out_take_more_passes():
    X, y = make_data(200_000)
    X[:3] *= 1e6
    (fit,), passes = fit_parts(X, y, drawing=Drawing(), loss="l2", tol=1e-10)
    model = RobustRegressor("l2", scale=1.0, tol=1e-12).fit(X, y)
    assert_allclose(fit.coef, model.coef_, rtol=1e-6, atol=1e-6)
    assert len(passes) <= 6
