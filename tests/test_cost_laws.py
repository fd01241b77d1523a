"""Laws behind cheap fits: samples, local certificates, interior points, formed rows."""

from dataclasses import replace

import numpy as np
import pytest
from many_rows import data, uneven

from robustreg.certificate import local_gap
from robustreg.linalg import factorise
from robustreg.losses import LOSSES, Pinball, make_loss
from robustreg.objective import Model, Objective
from robustreg.penalties import make_penalty
from robustreg.rows import (
    DenseRows,
    FormedRows,
    make_rows,
    representatives,
    strata,
    weighted_gram,
)
from robustreg.rows.dense import dense_standard
from robustreg.solvers import solve
from robustreg.solvers.kinked.interior_point import interior_point
from robustreg.solvers.results import Start
from robustreg.solvers.sampling import sample

SMOOTH = ("smooth_l1", "huber", "pseudo_huber", "log_cosh")
UNIMODAL = [name for name in LOSSES if make_loss(name).facts.unimodal]


def objective_of(loss, n=400, weight=None, penalty="l2", alpha=1e-3, intercept=True):
    """Return an objective of 4 columns."""
    X, y = data(n, 4)
    weight = np.ones(n) if weight is None else weight
    rows = make_rows(X, weight / weight.sum(), intercept)
    penalty = make_penalty(penalty, alpha, 0.5, 4).rescaled(rows.standard.unit)
    return Objective(rows, y, weight / weight.sum(), loss, penalty)


def solved(objective, solver, tol=1e-12):
    """Return a solver's result from zero."""
    return solve(objective, Start(np.zeros(objective.n_params)), solver, tol, 500)


@pytest.mark.parametrize("quantile", [0.5, 0.05, 0.9])
@pytest.mark.parametrize("beta", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("name", UNIMODAL)
def test_curvature_between_two_residuals_is_least_at_one(name, beta, quantile):
    loss = make_loss(name, beta, quantile)
    rng = np.random.default_rng(0)
    grid = rng.normal(size=300) * 10 ** rng.uniform(-3, 2, 300)
    grid = np.sort(np.append(grid, [0.0, *(loss.facts.breakpoints or ())]))
    curvature = loss.curvature(grid)
    from_left = np.minimum.accumulate(curvature)
    first, last = np.triu_indices(grid.size, 2)
    middle = rng.integers(first + 1, last)
    ends = np.minimum(curvature[first], curvature[last])
    assert (curvature[middle] >= ends * (1 - 1e-12)).all()
    assert (from_left[1:] <= from_left[:-1]).all()


def test_which_losses_are_unimodal():
    assert set(UNIMODAL) == {"l2", *SMOOTH}


def model_at(objective, point):
    """Return the Hessian at a point."""
    curvature = objective.curvature(point)
    hessian = objective.hessian(curvature, np.arange(objective.n_params))
    gram = weighted_gram(objective.rows, curvature)
    return Model(hessian, factorise(hessian), gram)


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("quantile", [0.5, 0.8])
@pytest.mark.parametrize("name", ["l2", *SMOOTH])
def test_a_local_gap_is_never_too_small(name, quantile, sampled):
    weight = np.random.default_rng(3).uniform(0.5, 2, 4000)
    objective = objective_of(make_loss(name, 1.0, quantile), 4000, weight, None)
    exact = solved(objective, "newton", 1e-14).point
    drawn = sample(objective, 1000) if sampled else None
    rng = np.random.default_rng(0)
    for distance in (1e-6, 1e-4, 1e-2, 0.1, 1.0, 10.0):
        direction = rng.normal(size=objective.n_params)
        point = objective.evaluate(exact.params + distance * direction)
        near, local, share = objective, point, 1.0
        if drawn is not None:
            near, share = drawn.objective, drawn.share
            local = replace(point, residual=point.residual[drawn.index])
        gap = local_gap(near, local, model_at(near, local), share)
        truth = point.value - exact.value
        assert gap >= truth - 1e-14 * point.value
        if distance <= 1e-6:
            assert gap <= 4 / share * truth + 1e-14 * point.value


@pytest.mark.parametrize("name", SMOOTH)
def test_a_local_gap_is_none_where_curvature_ends_before_the_optimum(name):
    """Two fifths of the rows hold a point that the others pull far away."""
    objective = objective_of(make_loss(name), 4000, penalty=None)
    rng = np.random.default_rng(4)
    objective.target = np.where(np.arange(4000) % 5 < 2, 0.0, 1e3)
    objective.target += 0.1 * rng.normal(size=4000)
    point = objective.evaluate(np.zeros(objective.n_params))
    truth = point.value - solved(objective, "newton").value
    assert truth > 100
    assert local_gap(objective, point, model_at(objective, point)) >= truth


def test_a_local_gap_by_a_sample_bears_that_other_rows_have_no_curvature():
    objective = objective_of(make_loss("smooth_l1"), 4000, penalty=None)
    index = sample(objective, 1000).index
    # All others lie far off, as many above as below the same predictions.
    X = objective.rows.dense(np.arange(4000))
    others = np.setdiff1d(np.arange(4000), index)
    X[others] = 0.0, 0.0, 0.0, 0.0, 1.0
    objective.rows = FormedRows(X, objective.rows.standard)
    objective.target[others] = 1e3 * (-1.0) ** np.arange(others.size)
    objective.target[index] = 0.1 * np.random.default_rng(5).normal(size=index.size)
    drawn = sample(objective, 1000)
    exact = solved(objective, "newton", 1e-14).point
    point = objective.evaluate(exact.params + 1e-4)
    local = replace(point, residual=point.residual[index])
    model = model_at(drawn.objective, local)
    gap = local_gap(drawn.objective, local, model, drawn.share)
    truth = (
        0.5 * 1e-8 * np.sum(drawn.share * drawn.objective.weight * X[index].sum(1) ** 2)
    )
    assert truth <= gap <= 2 * truth


@pytest.mark.parametrize("size", [100, 999, 5000])
def test_a_sample_stands_for_all_rows(size):
    n = 5 * size
    for weight in (np.ones(n), uneven(n)):
        objective = objective_of(make_loss("smooth_l1"), n, weight)
        drawn, again = sample(objective, size), sample(objective, size)
        np.testing.assert_array_equal(drawn.index, again.index)
        assert (np.diff(drawn.index) > 0).all()
        assert (weight[drawn.index] > 0).all()
        few = drawn.objective.weight
        assert few.sum() == pytest.approx(objective.weight.sum(), rel=1e-12)
        truth = objective.weight[drawn.index]
        assert 0 < drawn.share <= 1
        assert (truth >= drawn.share * few * (1 - 1e-12)).all()
        np.testing.assert_array_equal(
            drawn.objective.rows.dense(np.arange(few.size)),
            objective.rows.dense(drawn.index),
        )
    assert sample(objective, n // 2) is None


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_representatives_and_strata(size):
    for weight in (np.ones(1000), uneven(1000), np.eye(1000)[500]):
        index, share = representatives(weight, size)
        assert share.sum() == pytest.approx(weight.sum())
        assert (weight[index] > 0).all()
        assert (np.diff(index) >= 0).all()
        # A total of weights up to any row is right to one representative's.
        sums = np.bincount(index, share, 1000).cumsum() - weight.cumsum()
        assert np.abs(sums).max() <= share.max() * (1 + 1e-9)
    drawn = strata(1000, size)
    np.testing.assert_array_equal(drawn * size // 1000, np.arange(size))


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("penalty", ["l1", "l2", "elasticnet", None])
@pytest.mark.parametrize("slopes", [(-1.0, 1.0), (-0.1, 0.9)], ids=repr)
def test_interior_points_end_where_other_solvers_do(
    slopes, penalty, weighted, intercept
):
    weight = uneven(400) if weighted else None
    loss = Pinball(*slopes)
    objective = objective_of(loss, 400, weight, penalty, 0.05, intercept)
    start = np.zeros(objective.n_params)
    # So far the start is off.
    found = interior_point(objective, Start(start, error=10.0), 1e-10, 100)
    assert found.success
    assert found.n_iter <= 24
    l2 = penalty in ("l2", "elasticnet")
    slow = solved(objective, "augmented-lagrangian" if l2 else "linprog")
    assert found.value == pytest.approx(slow.value, rel=1e-9)
    assert found.value - found.gap <= slow.value * (1 + 1e-12)


@pytest.mark.parametrize("n_outliers", [0, 100])
def test_interior_points_fit_exactly_what_can_be(n_outliers):
    objective = objective_of(Pinball(-1.0, 1.0), alpha=0.0, penalty=None)
    truth = np.arange(1.0, objective.n_params + 1)
    objective.target = objective.rows.predict(truth)
    objective.target[:n_outliers] += 100.0
    found = interior_point(
        objective, Start(np.zeros(truth.size), error=1.0), 1e-10, 100
    )
    assert found.success
    np.testing.assert_allclose(found.params, truth, 1e-10)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_formed_rows_are_dense_rows(dtype, intercept):
    X = data(700, 6)[0].astype(dtype)
    X[:, 2], X[:, 4] = 5.0, X[:, 4] + 3e4
    weight = uneven(700)
    dense = DenseRows(X, dense_standard(X, weight / weight.sum(), intercept))
    formed = dense.formed()
    rng = np.random.default_rng(0)
    params, v = rng.normal(size=7), rng.normal(size=700)
    columns, index = np.array([0, 3, 6]), np.flatnonzero(weight)[::3]
    products = {
        "predict": lambda rows: rows.predict(params),
        "adjoint": lambda rows: rows.adjoint(v),
        "gram": lambda rows: rows.gram(weight, columns),
        "cross": lambda rows: np.column_stack(
            rows.cross(index, v[index], columns, v[index])
        ),
        "columns": lambda rows: rows.columns(columns).predict(params[:3]),
        "norms": lambda rows: rows.norms(),
        "diagonal": lambda rows: rows.gram_diagonal(weight),
        "root": lambda rows: rows.root(weight, columns).T @ rows.root(weight, columns),
        "design": lambda rows: rows.entries()[0],
        "few": lambda rows: rows.dense(index),
        "take": lambda rows: rows.take(index).predict(params),
        "extended": lambda rows: (
            rows.in_precision(np.longdouble).predict(params).astype(float)
        ),
        "blocks": lambda rows: rows.map_reduce(
            lambda place, block: (block.adjoint(v[place] * block.predict(params)),)
        )[0],
    }
    for name, product in products.items():
        wanted = product(dense)
        error = np.abs(product(formed) - wanted).max()
        assert error <= 1e-10 * np.abs(wanted).max(), name
