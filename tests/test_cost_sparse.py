"""Sparse data with many params: the same optimum as the direct road, at a fixed cost.

Costs are passes over the rows and products of conjugate gradients, never the clock.
"""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from calls import calls_of

from robustreg.certificate import duality_gap
from robustreg.hessian import HessianOperator
from robustreg.linalg import conjugate_gradients
from robustreg.losses import L1, Pinball, SmoothL1
from robustreg.objective import Objective
from robustreg.penalties import make_penalty
from robustreg.rows import make_rows
from robustreg.solvers import SOLVERS, solve
from robustreg.solvers.descent import descend
from robustreg.solvers.kinked.interior_point import (
    crossover,
    equations,
    interior_point,
)
from robustreg.solvers.krylov import KRYLOV, preconditioner
from robustreg.solvers.newton import stationary_to
from robustreg.solvers.results import Start

CATEGORIES = (5, 40, 400, 7, 12)
N_ROWS = 8000
# For the direct road, whose cost grows with the square of columns.
SMALL = (2000, (5, 30, 80, 7))


def one_hot(n=N_ROWS, categories=CATEGORIES):
    """Return Zipf-distributed categories, one-hot, and a heavy-tailed target."""
    rng = np.random.default_rng(0)
    ends = np.cumsum((0, *categories))
    columns = [
        rng.zipf(1.3, n) % c + end for c, end in zip(categories, ends[:-1], strict=True)
    ]
    index = np.stack(columns, 1).astype(np.int32)
    parts = (np.ones(index.size), index.ravel(), np.arange(n + 1) * len(categories))
    X = scipy.sparse.csr_matrix(parts, shape=(n, ends[-1]))
    return X, X @ rng.normal(size=X.shape[1]) + rng.standard_t(1.5, n)


def objective_of(loss, alpha=1e-4, data=None):
    """Return the objective of a loss with an l2 penalty."""
    X, y = one_hot() if data is None else data
    weight = np.full(y.size, 1 / y.size)
    rows = make_rows(X, weight, True)
    penalty = make_penalty("l2", alpha, 0.5, X.shape[1])
    penalty = penalty.rescaled(rows.standard.unit)
    return Objective(rows, y - np.median(y), weight, loss, penalty)


def solved(objective, solver, tol=1e-10):
    """Return a solver's result and the passes that it took."""
    before = objective.rows.passes
    result = solve(objective, Start(np.zeros(objective.n_params)), solver, tol, 200)
    return result, objective.rows.passes - before


@pytest.mark.parametrize("alpha", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize(
    ("loss", "solver"),
    [
        (SmoothL1(1.0), "newton-cg"),
        (SmoothL1(0.01), "newton-cg"),
        (L1(), "augmented-lagrangian-cg"),
        (Pinball(-0.1, 0.9), "augmented-lagrangian-cg"),
    ],
    ids=repr,
)
def test_the_krylov_road_ends_where_the_direct_one_does(loss, solver, alpha):
    objective = objective_of(loss, alpha, one_hot(*SMALL))
    found, _ = solved(objective, solver)
    exact, _ = solved(objective, solver.removesuffix("-cg"))
    assert found.success
    assert found.value == pytest.approx(exact.value, rel=1e-9)
    # The bound holds, whichever of the two is nearer.
    assert found.value - found.gap <= exact.value + 1e-15
    assert found.gap <= 1e-9 * found.value


def test_kinked_losses_without_a_penalty():
    objective = objective_of(L1(), 0.0, one_hot(*SMALL))
    found, _ = solved(objective, "augmented-lagrangian-cg", 1e-8)
    exact, _ = solved(objective, "augmented-lagrangian")
    assert found.value == pytest.approx(exact.value, rel=1e-7)


def scattered(n=1500, p=300, share=0.05):
    """Return columns that share rows at random, and a heavy-tailed target."""
    rng = np.random.default_rng(3)
    X = scipy.sparse.random(n, p, share, format="csr", random_state=rng)
    return X, X @ rng.normal(size=p) + rng.standard_t(2, n)


def kinked_objective(X, y, loss):
    weight = np.full(y.size, 1 / y.size)
    rows = make_rows(X, weight, True)
    penalty = make_penalty(None, 0.0, 0.5, X.shape[1]).rescaled(rows.standard.unit)
    return Objective(rows, y - np.median(y), weight, loss, penalty)


@pytest.mark.parametrize("loss", [L1(), Pinball(-0.2, 0.8)], ids=repr)
@pytest.mark.parametrize("container", ["sparse", "dense"])
def test_columns_that_meet_at_random_cost_few_products_and_factors(
    monkeypatch, container, loss
):
    """The rows at the kink are nearly dependent: products alone are thousands."""
    X, y = scattered()
    objective = kinked_objective(X.toarray() if container == "dense" else X, y, loss)
    exact, _ = solved(objective, "interior-point")
    monkeypatch.setattr("robustreg.solvers.facts.MOST_DIRECT_PARAMS", 100)
    products = calls_of(monkeypatch, HessianOperator, "product")
    factors = calls_of(monkeypatch, equations, "factorise")
    found, _ = solved(objective, "auto")
    assert found.success
    assert found.value == pytest.approx(exact.value, rel=1e-12)
    assert len(products) <= 150
    assert len(factors) <= 20


@pytest.mark.parametrize("loss", [L1(), Pinball(-0.2, 0.8)], ids=repr)
def test_correctors_save_factors_of_thousands_of_columns(monkeypatch, loss):
    objective = kinked_objective(*scattered(), loss)
    start = Start(np.zeros(objective.n_params), error=1.0)
    factors = calls_of(monkeypatch, equations, "factorise")
    plain = interior_point(objective, start, 1e-10, 100)
    before = len(factors)
    monkeypatch.setattr(f"{interior_point.__module__}.FEW_CORRECTED", 0)
    found = interior_point(objective, start, 1e-10, 100)
    assert plain.success
    assert found.success
    assert found.value == pytest.approx(plain.value, rel=1e-12)
    assert len(factors) - before <= 0.85 * before


def both_ways(monkeypatch, objective):
    """Return the fit without and with crossing over, and the large factors of each."""
    sizes, inner = [], equations.factorise
    record = lambda matrix: sizes.append(len(matrix)) or inner(matrix)  # noqa: E731
    monkeypatch.setattr(equations, "factorise", record)
    start, ends = Start(np.zeros(objective.n_params), error=1.0), []
    for few in (np.inf, objective.n_params):
        monkeypatch.setattr(crossover, "FEW_CROSSED", few)
        sizes.clear()
        found = interior_point(objective, start, 1e-10, 100)
        ends.append((found, sizes.count(objective.n_params)))
    return ends


@pytest.mark.parametrize("loss", [L1(), Pinball(-0.1, 0.9)], ids=repr)
@pytest.mark.parametrize("share", [0.02, 0.05, 1.0])
def test_crossing_over_saves_factors(monkeypatch, loss, share):
    """Of 2 % filled columns what looks active is dependent, so others complete it."""
    X, y = scattered(share=share)
    X = X.toarray() if share == 1 else X
    ends = both_ways(monkeypatch, kinked_objective(X, y, loss))
    (plain, before), (found, after) = ends
    assert plain.success
    assert found.success
    assert found.unique == plain.unique
    assert found.value == pytest.approx(plain.value, rel=1e-13)
    np.testing.assert_allclose(found.params, plain.params, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.slopes, plain.slopes, rtol=0, atol=1e-9)
    assert after <= 0.75 * before


def test_ties_are_no_vertex_to_cross_to(monkeypatch):
    """As many kinks are active as there are equal rows, more than params."""
    X, y = scattered(300, 60, 0.2)
    X, y = scipy.sparse.vstack([X, X, X], "csr"), np.round(np.tile(y, 3))
    (plain, _), (found, _) = both_ways(monkeypatch, kinked_objective(X, y, L1()))
    assert plain.success
    assert found.success
    assert found.value == pytest.approx(plain.value, rel=1e-13)


def test_products_do_it_where_no_factor_fits(monkeypatch):
    def never(*args):
        raise AssertionError(args)

    module = "robustreg.solvers.kinked.lagrangian_cg"
    monkeypatch.setattr(f"{module}.MOST_FACTORISED", 0)
    monkeypatch.setattr(f"{module}.interior_point", never)
    objective = objective_of(L1())
    found, passes = solved(objective, "augmented-lagrangian-cg", 1e-6)
    assert found.success
    assert passes <= 150


def test_interior_points_that_fail_leave_the_rest_to_products(monkeypatch):
    calls = []

    def failing(*args):
        calls.append(args)
        return replace(interior_point(*args[:3], 1), success=False)

    module = "robustreg.solvers.kinked.lagrangian_cg"
    monkeypatch.setattr(f"{module}.interior_point", failing)
    objective = kinked_objective(*scattered(400, 60), L1())
    found, _ = solved(objective, "augmented-lagrangian-cg", 1e-6)
    assert len(calls) == 2
    assert found.success
    exact, _ = solved(objective, "interior-point")
    assert found.value == pytest.approx(exact.value, rel=2e-6)


def test_passes_of_a_smooth_fit():
    objective = objective_of(SmoothL1(1.0))
    result, passes = solved(objective, "newton-cg")
    assert result.n_iter <= 8
    # 43 here.
    assert passes <= 50


def test_passes_of_a_kinked_fit():
    objective = objective_of(L1())
    result, passes = solved(objective, "augmented-lagrangian-cg", 1e-6)
    assert result.n_iter <= 15
    # Passes over the rows near the kink are not passes over all of them.
    assert passes <= 150


def test_products_that_the_block_of_full_columns_saves():
    objective = objective_of(SmoothL1(1.0), 1e-6)
    point = objective.evaluate(np.zeros(objective.n_params))
    curvature = objective.curvature(point)

    def products(block):
        hessian = objective.hessian_operator(curvature)
        diagonal = hessian.diagonal()
        diagonal[diagonal == 0] = 1.0
        calls = []

        def product(v):
            calls.append(v)
            return hessian.product(v)

        solve = preconditioner(hessian, diagonal) if block else None
        conjugate_gradients(product, point.gradient, diagonal, 1e-6, 500, solve)
        return len(calls)

    assert products(block=True) <= 0.6 * products(block=False)


def test_the_preconditioner_is_close_to_the_hessian():
    objective = objective_of(SmoothL1(1.0), 1e-3)
    curvature = objective.weight.copy()
    hessian = objective.hessian_operator(curvature)
    diagonal = hessian.diagonal()
    dense = objective.hessian(curvature, np.arange(objective.n_params))
    np.testing.assert_allclose(diagonal, dense.diagonal(), 1e-10)
    assert (diagonal > 0).sum() == np.count_nonzero(objective.rows.varies)
    diagonal[diagonal == 0] = 1.0
    block = np.flatnonzero(objective.rows.varies)[:40]
    sampled = hessian.sampled_block(block, 10 * N_ROWS, diagonal)
    np.testing.assert_allclose(sampled, dense[np.ix_(block, block)], 0, 1e-12)
    solve = preconditioner(hessian, diagonal)
    inverse = np.array([solve(e) for e in np.eye(objective.n_params)])
    live = np.flatnonzero(objective.rows.varies)
    size = np.linalg.eigvals((inverse @ dense)[np.ix_(live, live)]).real
    assert 0.05 < size.min() <= size.max() < 3


def test_a_gap_charges_penalised_params_by_the_square():
    """Rounding of a gradient is nothing beside what an l2 penalty pays for it."""
    objective = objective_of(SmoothL1(1.0), 1e-2)
    start = np.zeros(objective.n_params)
    options = {"step": KRYLOV.step, "until": stationary_to(1e-9), "max_iter": 20}
    point = descend(objective, Start(start), **options).point
    gap = duality_gap(objective, point, objective.loss.gradient(point.residual))
    assert gap <= 1e-13 * point.value


def test_dependent_one_hot_columns_leave_pivots_of_rounding_size():
    X, _ = one_hot(60_000)
    weight = np.full(X.shape[0], 1 / X.shape[0])
    rows = make_rows(X, weight, True)
    size = np.linalg.eigvalsh(rows.gram(weight, np.arange(rows.n_params)))
    n_dependent = len(CATEGORIES)
    assert np.abs(size[:n_dependent]).max() <= 1e-13 * size[-1]
    assert size[n_dependent] >= 1e-3 * size[-1]


@pytest.mark.parametrize("name", ["newton-cg", "augmented-lagrangian-cg"])
def test_dense_and_sparse_take_the_same_steps(name):
    loss = SmoothL1(1.0) if name == "newton-cg" else L1()
    X, y = one_hot()
    dense = objective_of(loss, 1e-3, (X.toarray(), y))
    sparse = objective_of(loss, 1e-3)
    values = [solved(o, name)[0].value for o in (dense, sparse)]
    assert values[0] == pytest.approx(values[1], rel=1e-10)


def test_many_params_take_the_krylov_road(monkeypatch):
    monkeypatch.setattr("robustreg.solvers.facts.MOST_DIRECT_PARAMS", 100)
    for loss, name in ((SmoothL1(1.0), "newton-cg"), (L1(), "augmented-lagrangian-cg")):
        objective = objective_of(loss, 1e-3)
        by_name, _ = solved(objective, name)
        chosen, _ = solved(objective, "auto")
        assert name in SOLVERS
        np.testing.assert_array_equal(chosen.params, by_name.params)
