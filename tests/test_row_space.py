"""Many more columns than rows with an l2 penalty: solved with a param per row."""

import numpy as np
import pytest
import scipy.sparse
from pairwise import pairwise

from robustreg.losses import L1, Huber, LogCosh, Pinball, SmoothL1
from robustreg.objective import Objective
from robustreg.penalties import make_penalty
from robustreg.rows import make_rows
from robustreg.solvers import solve
from robustreg.solvers.results import Start
from robustreg.solvers.row_space import row_space

N_ROWS, N_COLUMNS = 40, 150


def wide(sparse=False, constant=True):
    """Return more columns than rows, one of them constant and one far from 0."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, N_COLUMNS)) * rng.exponential(1.0, N_COLUMNS)
    X[rng.random(X.shape) < 0.5] = 0.0
    X[:, 3], X[:, 4] = 1.0, 1e4 + X[:, 4]
    X[7] = X[8]
    y = X[:, :3].sum(1) + rng.standard_t(1.5, N_ROWS)
    return (scipy.sparse.csr_matrix(X) if sparse else X), y


def objective_of(loss, alpha, sparse=False, intercept=True):
    """Return an objective with weights, one of them 0."""
    X, y = wide(sparse)
    weight = np.random.default_rng(1).exponential(size=N_ROWS)
    weight[5] = 0.0
    rows = make_rows(X, weight, intercept)
    penalty = make_penalty("l2", alpha, 0.5, N_COLUMNS).rescaled(rows.standard.unit)
    return Objective(rows, y, weight / weight.sum(), loss, penalty)


def solved(objective, solver):
    """Return a solver's result from zero."""
    return solve(objective, Start(np.zeros(objective.n_params)), solver, 1e-12, 200)


LOSSES = (SmoothL1(1.0), Huber(0.3), LogCosh(1.0), L1(), Pinball(-0.2, 0.8))


@pytest.mark.parametrize(
    ("loss", "alpha", "sparse", "intercept"),
    pairwise(LOSSES, (1.0, 1e-3, 1e-6), (True, False), (True, False)),
    ids=repr,
)
def test_it_ends_where_all_params_do(loss, alpha, sparse, intercept):
    objective = objective_of(loss, alpha, sparse, intercept)
    kinked = loss.facts.piecewise_linear
    other = solved(objective, "augmented-lagrangian" if kinked else "newton")
    found = solved(objective, "row-space")
    assert found.success
    assert found.value == pytest.approx(other.value, rel=1e-9)
    # Strongly convex: coefficients agree to the root of the gaps.
    unit = np.sqrt(objective.l2[:-1])
    change = unit * (found.params - other.params)[:-1]
    assert 0.5 * change @ change <= 4 * (found.gap + other.gap) + 1e-12 * other.value


@pytest.mark.parametrize("sparse", [True, False])
def test_reduced_params_stand_for_the_same_fit(sparse):
    objective = objective_of(SmoothL1(1.0), 0.1, sparse)
    space = row_space(objective)
    assert space.objective.n_params <= N_ROWS + 1
    small = np.random.default_rng(2).normal(size=space.objective.n_params)
    params = space.restored(small)
    here, there = space.objective.evaluate(small), objective.evaluate(params)
    np.testing.assert_allclose(here.residual, there.residual, 0, 1e-7)
    assert here.value == pytest.approx(there.value, rel=1e-9)
    back = space.objective.evaluate(space.reduced(objective, params))
    np.testing.assert_allclose(back.residual, there.residual, 0, 1e-7)


def test_it_is_chosen_and_costs_few_passes():
    objective = objective_of(SmoothL1(1.0), 1e-2)
    before = objective.rows.passes
    chosen = solved(objective, "auto")
    np.testing.assert_array_equal(chosen.params, solved(objective, "row-space").params)
    assert objective.rows.passes - before <= 10


@pytest.mark.parametrize(("loss", "most"), [(L1(), 5), (SmoothL1(0.1), 1)])
def test_it_starts_at_the_fit_of_a_like_problem(loss, most):
    objective = objective_of(loss, 1.0)
    found = solved(objective, "row-space")
    again = solve(objective, found.as_start(), "row-space", 1e-12, 200)
    assert again.n_iter <= most
    np.testing.assert_allclose(again.value, found.value, rtol=1e-9)
