"""The objective's derivatives, its passes over the rows, and the bound on its gap."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse
from oracles import Fair
from pairwise import pairwise

from robustreg.certificate import duality_gap
from robustreg.losses import (
    L1,
    L2,
    LOSSES,
    Huber,
    SmoothL1,
    Tukey,
    make_loss,
)
from robustreg.objective import Objective, Point
from robustreg.penalties import PENALTIES, ElasticNet, make_penalty
from robustreg.rows import make_rows
from robustreg.solvers import solve
from robustreg.solvers.results import Start
from robustreg.tolerance import stationarity

EPS = np.finfo(float).eps
N_ROWS, N_FEATURES = 60, 4
ALPHA = 0.05


def build(loss, penalty="elasticnet", seed=0, fit_intercept=True, sparse=False):
    """Return an objective with outliers, zero weights and a constant column."""
    rng = np.random.default_rng(seed)
    X = rng.normal(1.0, 2.0, (N_ROWS, N_FEATURES))
    X[:, 2] = 3.0
    target = X @ [1.0, 0.0, 0.0, -0.5] + rng.standard_t(1.5, N_ROWS)
    weight = rng.exponential(size=N_ROWS) * (rng.random(N_ROWS) < 0.9)
    weight /= weight.sum()
    rows = make_rows(scipy.sparse.csr_matrix(X) if sparse else X, weight, fit_intercept)
    strength = make_penalty(penalty, ALPHA, 0.5, N_FEATURES)
    return Objective(rows, target, weight, loss, strength)


def random_params(seed=1):
    """Return params, one of them 0."""
    params = np.random.default_rng(seed).normal(size=N_FEATURES + 1)
    params[1] = 0.0
    return params


@dataclass(frozen=True)
class EndlessFair(Fair):
    """A loss whose conjugate is infinite at the ends of its slopes."""

    def conjugate(self, slope):
        t = np.abs(slope) / self.beta
        inside = np.where(t < 1, t, 0.0)
        value = -(self.beta**2) * (np.log1p(-inside) + inside)
        return np.where(t < 1, value, np.inf)


LOSS_CASES = [
    make_loss(name, beta=0.8, quantile=quantile)
    for name, quantile in itertools.product(LOSSES, (0.5, 0.2))
]
CONVEX = [loss for loss in LOSS_CASES if loss.facts.convex]
SMOOTH = [loss for loss in LOSS_CASES if np.isfinite(loss.facts.largest_curvature)]
every_loss = pytest.mark.parametrize("loss", LOSS_CASES, ids=repr)
every_convex = pytest.mark.parametrize("loss", CONVEX, ids=repr)
every_smooth = pytest.mark.parametrize("loss", SMOOTH, ids=repr)
every_penalty = pytest.mark.parametrize("penalty", PENALTIES)
every_container = pytest.mark.parametrize("sparse", [False, True])
STEP = 1e-6


@every_loss
@every_penalty
def test_value_is_the_weighted_mean_loss_plus_the_penalty(loss, penalty):
    objective, params = build(loss, penalty), random_params()
    point = objective.evaluate(params)
    coef, intercept = objective.rows.standard.to_original(params)
    X = np.random.default_rng(0).normal(1.0, 2.0, (N_ROWS, N_FEATURES))
    X[:, 2] = 3.0
    residual = objective.target - X @ coef - intercept
    np.testing.assert_allclose(point.residual, residual, 0, 1e-13 * np.ptp(residual))
    l1, l2 = np.abs(params[:-1]).sum(), 0.5 * (params[:-1] ** 2).sum()
    added = {"l1": l1, "l2": l2, "elasticnet": (l1 + l2) / 2, None: 0.0}[penalty]
    value = objective.weight @ loss.value(residual) + ALPHA * added
    np.testing.assert_allclose(point.value, value, 1e-13)


@every_loss
@every_penalty
@every_container
def test_gradient_against_differences(loss, penalty, sparse):
    objective, params = build(loss, penalty, sparse=sparse), random_params()

    def smooth(params):
        kinked = objective.l1 @ np.abs(params)
        return objective.evaluate(params).value - kinked

    steps = STEP * np.eye(params.size)
    expected = [(smooth(params + e) - smooth(params - e)) / (2 * STEP) for e in steps]
    point = objective.evaluate(params)
    # Rounding: eps * value / step = 2e-10 * value; truncation: 1e-12.
    np.testing.assert_allclose(point.gradient, expected, 0, 1e-9 * (1 + point.value))


@every_smooth
@every_penalty
@every_container
def test_hessian_against_differences(loss, penalty, sparse):
    objective, params = build(loss, penalty, sparse=sparse), random_params()

    def gradient(params):
        return objective.evaluate(params).gradient

    steps = STEP * np.eye(params.size)
    expected = [(gradient(params + e) - gradient(params - e)) / STEP for e in steps]
    expected = np.array(expected) / 2
    curvature = objective.curvature(objective.evaluate(params))
    products = [
        objective.hessian_operator(curvature).product(e) for e in np.eye(params.size)
    ]
    # No residual here is within a step of a breakpoint; rounding as above.
    np.testing.assert_allclose(products, expected, 0, 1e-8)
    for columns in (np.arange(params.size), np.array([3, 0]), np.array([4])):
        part = np.array(products)[np.ix_(columns, columns)]
        hessian = objective.hessian(curvature, columns)
        np.testing.assert_allclose(hessian, part, 0, 1e-13)
        # Only a convex loss has a real root of its Hessian.
        upward = np.maximum(curvature, 0.0)
        root = objective.hessian_root(upward, columns)
        part = objective.hessian(upward, columns)
        np.testing.assert_allclose(root.T @ root, part, 0, 1e-13)


@pytest.mark.parametrize(
    "loss", [loss for loss in SMOOTH if loss.facts.symmetric], ids=repr
)
def test_majorising_parabolas_of_a_symmetric_loss_lie_above(loss):
    objective, here = build(loss, None), random_params()
    point = objective.evaluate(here)
    curvature = objective.curvature(point, majorised=1.0)
    assert (curvature >= objective.curvature(point) - 4 * EPS).all()
    for seed in range(20):
        change = random_params(seed) - here
        bend = change @ objective.hessian_operator(curvature).product(change) / 2
        parabola = point.value + point.gradient @ change + bend
        assert objective.evaluate(here + change).value <= parabola + 1e-12


@every_loss
@every_penalty
def test_slopes_along_a_direction(loss, penalty):
    objective, params = build(loss, penalty), random_params()
    direction, point = random_params(2), objective.evaluate(params)
    direction[1] = 0.7

    def value(t):
        return objective.evaluate(params + t * direction).value

    after = (value(STEP) - value(0)) / STEP
    before = (value(0) - value(-STEP)) / STEP
    # One-sided differences: truncation of step * curvature = 1e-5.
    assert objective.slope(point, direction, before=False) == pytest.approx(
        after, 0, 1e-5
    )
    assert objective.slope(point, direction, before=True) == pytest.approx(
        before, 0, 1e-5
    )
    along = objective.line_slope(point, direction)
    for t in (0.3, 1.0, -2.0):
        there = objective.evaluate(params + t * direction)
        expected = objective.slope(there, direction, before=False)
        assert along(t) == pytest.approx(expected, rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("loss", [SmoothL1(1.0), L1()], ids=repr)
@every_container
def test_passes_over_the_rows(loss, sparse):
    objective, params = build(loss, sparse=sparse), random_params()

    def passes_of(function, *arguments):
        before = objective.rows.passes
        function(*arguments)
        return objective.rows.passes - before

    assert passes_of(objective.evaluate, params) == 1
    point = objective.evaluate(params)
    assert passes_of(objective.slope, point, params, True) == 0
    slope = objective.line_slope(point, params)
    assert passes_of(objective.line_slope, point, params) == 1
    assert passes_of(slope, 0.5) == 0
    assert passes_of(objective.adjoint, point.residual) == 1
    curvature = np.where(np.arange(N_ROWS) < 15, 1.0, 0.0)
    assert passes_of(objective.hessian_operator(curvature).product, params) == (
        0.25 if sparse else 1
    )
    assert passes_of(objective.hessian, curvature, np.arange(5)) == 0.25


def test_take_is_the_objective_of_the_rows_alone():
    objective, index = build(Huber(1.0)), np.array([3, 3, 8, 20, 40])
    weight = objective.weight[index]
    taken = objective.take(index, weight / weight.sum())
    point, params = taken.evaluate(random_params()), random_params()
    every = objective.evaluate(params)
    share = objective.weight[index] / objective.weight[index].sum()
    mean = share @ Huber(1.0).value(every.residual[index])
    np.testing.assert_allclose(point.residual, every.residual[index], 1e-13)
    assert point.value == pytest.approx(mean + objective.penalty.value(params[:-1]))


def test_held_rows_keep_value_and_gradient_while_they_keep_their_side():
    objective, params = build(make_loss("l1", quantile=0.2)), random_params()
    point = objective.evaluate(params)
    held = objective.linearise(point, np.argsort(np.abs(point.residual))[:20])
    assert held.rows.n_rows == 20
    constant = point.value - held.evaluate(params).value
    for seed in range(5):
        near = params + 1e-3 * random_params(seed)
        expected, found = objective.evaluate(near), held.evaluate(near)
        np.testing.assert_allclose(found.gradient, expected.gradient, 0, 1e-13)
        np.testing.assert_allclose(found.value + constant, expected.value, 1e-13)


def subgradient_distances(objective, point):
    """Return the distance of 0 to each component's interval of subgradients."""
    side = np.where(point.params == 0, [[-1.0], [1.0]], np.sign(point.params))
    low, high = point.gradient + side * objective.l1
    return np.maximum(np.maximum(low, -high), 0.0)


@every_penalty
def test_violation_is_the_distance_to_optimality(penalty):
    objective = build(SmoothL1(1.0), penalty)
    for seed in range(10):
        point = objective.evaluate(random_params(seed))
        expected = subgradient_distances(objective, point)
        np.testing.assert_allclose(objective.violation(point), expected, 1e-13)


def optimum(objective):
    """Return a fit to all digits."""
    start = np.zeros(objective.n_params)
    result = solve(objective, Start(start), "auto", 1e-13, 1000)
    assert result.success
    return result


def guesses(objective, point, best, rng):
    """Return slopes from which a bound may start: good, noisy and arbitrary ones."""
    own = objective.loss.gradient(point.residual)
    noise = rng.normal(size=N_ROWS)
    return [best.optimal_slopes, own, 0 * own, own + 0.1 * noise, noise]


@pytest.mark.parametrize(
    ("loss", "penalty", "fit_intercept"),
    pairwise([*CONVEX, EndlessFair(0.8)], PENALTIES, (True, False)),
    ids=repr,
)
def test_gap_is_an_upper_bound_anywhere(loss, penalty, fit_intercept):
    objective = build(loss, penalty, fit_intercept=fit_intercept)
    best, rng, bounded = optimum(objective), np.random.default_rng(3), 0
    for distance in (1e-9, 1e-6, 1e-3, 0.1, 3.0):
        change = distance * rng.normal(size=objective.n_params)
        for params in (best.params + change, best.params + change * (best.params != 0)):
            point = objective.evaluate(params)
            for slopes in guesses(objective, point, best, rng):
                gap = duality_gap(objective, point, slopes)
                # The difference of two values has their rounding errors.
                assert gap >= point.value - best.value - 8 * EPS * point.value
                bounded += np.isfinite(gap)
    assert bounded >= 4


@every_convex
@every_penalty
@every_container
def test_gap_closes_at_the_optimum(loss, penalty, sparse):
    objective = build(loss, penalty, sparse=sparse)
    best = optimum(objective)
    gap = duality_gap(objective, best.point, best.optimal_slopes)
    assert 0 <= gap <= 1e-13 * best.value
    assert best.gap <= 1e-13 * best.value
    distance = subgradient_distances(objective, best.point)
    if np.isfinite(loss.facts.largest_curvature):
        assert distance.max() <= 1e-9


@every_convex
def test_gap_from_optimal_slopes_is_the_excess(loss):
    objective = build(loss, None)
    best, change = optimum(objective), random_params()
    for distance in (1e-3, 1e-1, 10.0):
        point = objective.evaluate(best.params + distance * change)
        gap = duality_gap(objective, point, best.optimal_slopes)
        # Strong duality: without a penalty the slopes stay feasible as params move,
        # and the fit they come from is optimal to 1e-13.
        assert gap == pytest.approx(point.value - best.value, 1e-9, 2e-13 * point.value)


def test_gap_of_least_squares_in_closed_form():
    objective = build(L2(), None)
    columns = np.arange(objective.n_params)
    gram = objective.rows.gram(objective.weight, columns)
    right = objective.rows.adjoint(objective.weight * objective.target)
    params = np.linalg.lstsq(gram, right, rcond=1e-12)[0]
    lowest = objective.evaluate(params).value
    for seed in range(5):
        point = objective.evaluate(random_params(seed))
        gap = duality_gap(objective, point, point.residual)
        assert gap == pytest.approx(point.value - lowest, rel=1e-10)


def test_a_point_is_what_it_was_evaluated_at():
    objective, params = build(L1()), random_params()
    point = objective.evaluate(params)
    again = objective.with_loss(L1(), objective.target).evaluate(params)
    assert isinstance(point, Point)
    np.testing.assert_array_equal(point.params, params)
    np.testing.assert_array_equal(point.residual, again.residual)
    assert point.value == again.value


@pytest.mark.parametrize(("off", "violation"), [(0.0, 0.0), (1e6, np.inf)])
def test_a_small_violation_is_one_where_no_row_has_curvature(off, violation):
    rows = make_rows(np.ones((2, 1)), np.ones(2), False)
    penalty = ElasticNet(np.full(1, 1e-9), np.zeros(1))
    target, weight = np.full(2, 1e9), np.full(2, 0.5)
    objective = Objective(rows, target, weight, Tukey(4.685), penalty)
    # Rounding errors of residuals, 1e-7, hide 1e-9 unless all are rejected.
    point = objective.evaluate(np.array([target[0] - off, 0.0]))
    assert stationarity(objective, point) == violation
