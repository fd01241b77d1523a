"""Columns that all but depend on each other, as those far from 0 without an intercept.

The truth is found in exactly other columns: the first, and each other one's difference
from it, which integers over a power of two have without rounding errors.
"""

from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse
from oracles import Case
from pairwise import pairwise
from scipy.optimize import linprog

from robustreg import L1Regressor, MMRegressor, RobustRegressor, SmoothL1Regressor
from robustreg.losses import L1
from robustreg.objective import Objective
from robustreg.penalties import make_penalty
from robustreg.rows import make_rows
from robustreg.solvers import orthogonal
from robustreg.solvers.kinked import exact
from robustreg.solvers.results import Result

SMOOTH = ("smooth_l1", "huber", "pseudo_huber", "log_cosh", "l2")
OFFSETS = (1e6, 1e7, 1e8)


class Exact:
    """Columns with an offset, and the same space of predictions by exact differences.

    Predictions of ``centre + turn @ u`` are those of centre plus ``columns @ u``.
    """

    def __init__(self, n=300, p=4, offset=1e8, seed=0):
        rng = np.random.default_rng(seed)
        grid = np.round(2**10 * rng.normal(size=(n, p))) / 2**10
        self.X = grid + offset
        self.columns = np.column_stack(
            [self.X[:, 0] / offset, grid[:, 1:] - grid[:, :1]]
        )
        self.turn = np.eye(p)
        self.turn[0] = -1.0
        self.turn[0, 0] = 1 / offset
        self.centre = rng.integers(-3, 4, size=p).astype(float)
        self.y = self.X @ self.centre + rng.standard_t(2, n)
        self.weight = rng.exponential(size=n)

    def residual(self, coef):
        """Return the residuals without cancellation."""
        wide = np.longdouble
        return np.asarray(self.y.astype(wide) - self.X.astype(wide) @ coef, dtype=float)


@dataclass(frozen=True)
class Far(Case):
    """A problem of such data."""

    data: Exact | None = None

    def value(self, coef):
        """Return the objective of coefficients."""
        loss = self.loss_parts(self.data.residual(coef))[0]
        return self.share @ loss + self.strengths[1] * coef @ coef / 2


def case_of(data, **options):
    """Return a problem of some data."""
    return Far(data.X, data.y, data=data, **options)


def minimum(case):
    """Return the minimum of the objective, in the exact columns."""
    data, target = case.data, case.data.residual(case.data.centre)
    if case.loss in ("l1", "quantile"):
        low, high = case.slopes
        share, n, p = case.share / case.scale, *data.columns.shape
        cost = np.concatenate([np.zeros(p), share * high, -share * low])
        eye = scipy.sparse.eye_array(n)
        system = scipy.sparse.hstack([scipy.sparse.csr_array(data.columns), eye, -eye])
        bounds = [(None, None)] * p + [(0, None)] * (2 * n)
        return linprog(cost, A_eq=system, b_eq=target, bounds=bounds).fun
    u, l2 = np.zeros(data.columns.shape[1]), case.strengths[1]

    def evaluate(u):
        return case.loss_parts(target - data.columns @ u), data.centre + data.turn @ u

    def total(u):
        (loss, _, _), coef = evaluate(u)
        return case.share @ loss + l2 * coef @ coef / 2

    for _ in range(200):
        (_, slope, _), coef = evaluate(u)
        # The parabola above every one of these losses touches it at 0.
        bend = case.loss_parts(np.zeros(1))[2].max()
        gradient = -data.columns.T @ (case.share * slope) + l2 * data.turn.T @ coef
        weight = case.share * np.maximum(evaluate(u)[0][2], 1e-2 * bend)
        hessian = data.columns.T @ (weight[:, None] * data.columns)
        step = np.linalg.solve(hessian + l2 * data.turn.T @ data.turn, -gradient)
        length, value = 1.0, total(u)
        while total(u + length * step) >= value and length > 1e-6:
            length /= 2
        if length <= 1e-6:
            return value
        u = u + length * step
    return total(u)


def assert_optimal(case, model, rel):
    """The fit is as good as the truth, and its gap says how good it is."""
    best, reached = minimum(case), case.value(model.coef_)
    assert reached <= best + model.dual_gap_ + 1e-9 * best
    assert model.dual_gap_ <= rel * best


@pytest.mark.parametrize(
    ("loss", "weighted", "offset"), pairwise(SMOOTH, (False, True), OFFSETS)
)
def test_smooth_fits_far_from_0(loss, weighted, offset):
    # A warning would be an error.
    data = Exact(offset=offset)
    weight = data.weight if weighted else None
    case = case_of(data, loss=loss, weight=weight)
    assert_optimal(case, case.fit(fit_intercept=False), 1e-9)


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("loss", "quantile"), [("l1", 0.5), ("quantile", 0.8)])
def test_kinked_fits_far_from_0(loss, quantile, weighted, offset):
    data = Exact(offset=offset)
    weight = data.weight if weighted else None
    case = case_of(data, loss=loss, quantile=quantile, weight=weight)
    assert_optimal(case, case.fit(fit_intercept=False), 1e-7)


@pytest.mark.parametrize("alpha", [1e-12, 1e-3, 1.0, 1e6])
@pytest.mark.parametrize("loss", SMOOTH)
def test_a_ridge(loss, alpha):
    case = case_of(Exact(), loss=loss, penalty="l2", alpha=alpha)
    assert_optimal(case, case.fit(fit_intercept=False), 1e-9)


@pytest.mark.parametrize("shape", [(300, 4), (5000, 10)])
@pytest.mark.parametrize("loss", ["smooth_l1", "huber", "l1"])
def test_the_scale_is_that_of_the_fit(loss, shape):
    data = Exact(*shape)
    model = RobustRegressor(loss, beta=1.0, fit_intercept=False).fit(data.X, data.y)
    residual = data.residual(model.coef_)
    mad = 1.482602218505602 * np.median(np.abs(residual))
    assert model.scale_ == pytest.approx(mad, rel=1e-7)
    case = case_of(data, loss=loss, scale=model.scale_)
    assert case.value(model.coef_) <= minimum(case) * (1 + 1e-8)


@pytest.mark.parametrize("make", [SmoothL1Regressor, L1Regressor])
def test_as_with_an_intercept(make):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)) @ [[1, 1, 1], [0, 1e-8, 0], [0, 0, 1e-8]]
    y = rng.standard_t(2, 200)
    for fit_intercept in (True, False):
        model = make(scale=1.0, fit_intercept=fit_intercept).fit(X, y)
        assert model.dual_gap_ <= 1e-7
        assert np.abs(model.coef_).max() > 1e5


def test_containers_and_targets_agree():
    data = Exact()
    model = RobustRegressor(fit_intercept=False).fit(data.X, data.y)
    sparse = RobustRegressor(fit_intercept=False)
    sparse.fit(scipy.sparse.csr_matrix(data.X), data.y)
    several = RobustRegressor(fit_intercept=False)
    several.fit(data.X, np.column_stack([data.y, -2 * data.y]))
    np.testing.assert_allclose(sparse.coef_, model.coef_, rtol=0, atol=1e-6)
    np.testing.assert_allclose(several.coef_[0], model.coef_, rtol=0, atol=1e-6)
    np.testing.assert_allclose(several.coef_[1], -2 * model.coef_, rtol=0, atol=1e-6)


@pytest.mark.parametrize("make", [SmoothL1Regressor, L1Regressor])
@pytest.mark.parametrize("far", [1e9, 1e12])
def test_a_row_far_out_in_all_columns(far, make):
    # The others are nearly parallel once the mean, which it moves, is subtracted.
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 4)), rng.standard_t(2, 300)
    X[7] = far
    model = make(scale=1.0).fit(X, y)
    # So far out it takes one param, and the mean of the coefficients is 0.
    rest = np.delete(np.arange(300), 7)
    moved = X[rest, 1:] - X[rest, :1]
    other = make(scale=1.0).fit(moved, y[rest])
    np.testing.assert_allclose(model.coef_[1:], other.coef_, atol=1e-6)
    assert abs(model.coef_.sum()) * far <= 10


def test_fewer_rows_than_columns():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 30)) + 1e8, rng.normal(size=20)
    model = L1Regressor(scale=1.0, fit_intercept=False).fit(X, y)
    assert np.abs(y - X.astype(np.longdouble) @ model.coef_).max() <= 1e-6


def test_a_fit_is_made_in_few_steps_at_all_scales(monkeypatch):
    made, by_values = [], orthogonal._in_basis

    def keep(*args):
        made.append(by_values(*args))
        return made[-1]

    def never(*args, **options):
        raise AssertionError("the interior-point method failed")

    monkeypatch.setattr(orthogonal, "_in_basis", keep)
    monkeypatch.setattr(exact, "augmented_lagrangian", never)
    data = Exact(5000, 10)
    model = RobustRegressor("l1", fit_intercept=False)
    model.fit(data.X, np.column_stack([data.y, 2 * data.y]))
    assert len(made) == 1
    # Measured: 145, as many as of the same columns around 0.
    assert made[0].rows.passes <= 200


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("kind", ["good", "duplicates", "rounded", "dummies"])
def test_a_gram_matrix_that_will_do_is_left_alone(kind, fit_intercept):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 6))
    if kind == "duplicates":
        X[:, 5] = X[:, 4]
    if kind == "rounded":
        X[:, 4] += 1e3
        X[:, 5] = X[:, 4] / 3
    if kind == "dummies":
        X = np.eye(6)[rng.integers(0, 6, 300)]
    rows = make_rows(X, np.ones(300), fit_intercept)
    penalty = make_penalty(None, 0.0, 0.5, 6)
    assert orthogonal.basis_for(rows, np.ones(300), penalty) is None


def test_a_penalty_that_holds_the_columns_apart_needs_no_basis():
    data = Exact()
    rows = make_rows(data.X, data.weight, False)
    for name, alpha, needed in (("l2", 1.0, True), ("l2", 1e17, False)):
        penalty = make_penalty(name, alpha, 0.5, 4).rescaled(rows.standard.unit)
        basis = orthogonal.basis_for(rows, data.weight, penalty)
        assert (basis is not None) is needed


@pytest.mark.parametrize("name", [None, "l2"])
def test_both_coordinates_have_the_same_predictions_and_penalty(name):
    data = Exact(offset=1e7)
    rows = make_rows(data.X, data.weight, False)
    penalty = make_penalty(name, 1e-3, 0.5, 4).rescaled(rows.standard.unit)
    inside = orthogonal.basis_for(rows, data.weight, penalty)
    basis = inside.basis
    z = np.append(np.random.default_rng(1).normal(size=4), 0.0)
    params = basis.lifted(z)
    size = np.abs(params).max()
    np.testing.assert_allclose(basis.lowered(params), z, rtol=0, atol=1e-14 * size)
    predicted = inside.rows.predict(z)
    np.testing.assert_allclose(rows.predict(params), predicted, atol=1e-14 * size)
    charge = penalty.value(params[:-1])
    assert basis.penalty.value(z[:-1]) == pytest.approx(charge, rel=1e-9)


@pytest.mark.parametrize("away", [0.0, 1e-3, 1.0])
def test_a_wrong_answer_is_not_certified(away):
    data = Exact()
    rows, weight = make_rows(data.X, np.ones(300), False), np.full(300, 1 / 300)
    penalty = make_penalty(None, 0.0, 0.5, 4)
    inside = orthogonal.basis_for(rows, np.ones(300), penalty)
    basis = inside.basis
    objective = Objective(rows, data.y, weight, L1(), penalty)
    reduced = Objective(inside.rows, data.y, weight, L1(), basis.penalty)
    z = basis.lowered(rows.standard.from_original(data.centre, 0.0))
    z[:-1] += away * np.random.default_rng(2).normal(size=4)
    point = reduced.evaluate(z)
    claim = Result(point, gap=0.0, n_iter=1, success=True)
    found = orthogonal.certified(objective, inside, claim, 1e-10)
    coef, _ = rows.standard.to_original(found.params)
    case = case_of(data, loss="l1")
    assert not found.success
    assert found.gap >= (case.value(coef) - minimum(case)) * (1 - 1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_a_second_step_of_columns_far_from_0(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(200, 3)) + 1e8
    y = X @ [1.0, -2.0, 1.5] + rng.normal(size=200)
    # The same columns' differences, whose fit is well posed.
    back = np.array([[1.0, 0.0, 0.0], [-1.0, 1.0, 0.0], [0.0, -1.0, 1e-8]])
    apart = np.column_stack([X[:, 0] - X[:, 1], X[:, 1] - X[:, 2], X[:, 2] / 1e8])
    model = MMRegressor(fit_intercept=False, random_state=0)
    coef = back @ model.fit(apart, y).coef_
    np.testing.assert_allclose(model.fit(X, y).coef_, coef, atol=1e-5)


@pytest.mark.parametrize("loss", ["l2", "huber", "log_cosh", "l1", "quantile"])
@pytest.mark.parametrize("seed", range(6))
def test_rows_that_nearly_depend_are_fitted_exactly_by_more_columns(loss, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(5, 8)) + 10.0 ** rng.integers(0, 9, size=8)
    y = 101.5 + rng.normal(size=5)
    params = {"penalty": None, "scale": 1.0, "fit_intercept": False}
    model = RobustRegressor(loss, **params).fit(X, y)
    coef = model.coef_.astype(np.longdouble)
    terms = np.abs(X) @ np.abs(coef) + np.abs(y)
    assert (np.abs(y - X @ coef) <= 2 * np.finfo(float).eps * terms).all()


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("how", ["a sum", "few kinds of rows"])
def test_rounding_errors_of_means_are_no_direction_of_their_own(offset, how):
    # A combination that is constant in all rows, which the intercept has already.
    rng = np.random.default_rng(3)
    if how == "a sum":
        X = offset + rng.integers(-5, 6, size=(20, 3))
        X = np.column_stack([X, X.sum(axis=1)])
    else:
        X = offset + rng.normal(size=(6, 6))
    y, weight = rng.normal(size=len(X)), np.tile([1, 3], len(X) // 2)
    fit = SmoothL1Regressor(scale=1.0).fit(X, y, sample_weight=weight)
    repeated = np.repeat(X, weight, axis=0), np.repeat(y, weight)
    again = SmoothL1Regressor(scale=1.0).fit(*repeated)
    np.testing.assert_allclose(again.coef_, fit.coef_, rtol=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_a_fit_of_half_of_the_rows_exactly_ends_where_nearly_equal_columns_round(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(24, 14)), rng.normal(size=24)
    X[:, -1] = X[:, 0] + 1e-5 * X[:, -1]
    # A warning would be an error: their typical residual is what predictions round by.
    model = L1Regressor(scale=1.0).fit(X, y)
    assert model.dual_gap_ <= 1e-10
