"""What is brought up to date instead of made anew: Gram matrices, scales, held rows."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
from many_rows import data, uneven
from numpy.testing import assert_allclose, assert_array_equal

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor
from robustreg.estimators import arrays
from robustreg.fitting import estimated
from robustreg.linalg import Square, least_norm_solve
from robustreg.losses import Pinball, Tukey
from robustreg.objective import Objective
from robustreg.penalties import make_penalty
from robustreg.rows import DenseRows, make_rows, signed_gram, weighted_gram
from robustreg.rows.base import BLOCK_ENTRIES
from robustreg.scale import MAD_FACTOR, estimates, mad, mad_along, mad_beside
from robustreg.solvers import profiled
from robustreg.solvers.kinked.interior_point import equations, interior_point
from robustreg.solvers.results import Start
from robustreg.solvers.reweighted import Reweighting

FORMS = {
    "dense": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "sparse": scipy.sparse.csr_array,
}
CHANGES = {
    "none": lambda w, rng: w,
    "scaled": lambda w, rng: 1e-5 * w,
    "few": lambda w, rng: np.where(rng.random(w.size) < 0.1, 1.0, w),
    "few and scaled": lambda w, rng: 7 * np.where(rng.random(w.size) < 0.1, 0.0, w),
    "few below 0": lambda w, rng: np.where(rng.random(w.size) < 0.1, -0.1, w),
    "most": lambda w, rng: rng.random(w.size),
    "nearly all to 0": lambda w, rng: np.where(np.arange(w.size) < 30, w, 0.0),
    "all to 0": lambda w, rng: 0.0 * w,
    "from few to all": lambda w, rng: w + 1.0,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("form", FORMS)
def test_an_updated_gram_matrix_is_a_new_one(form, change):
    X, rng = data(900, 20)[0], np.random.default_rng(0)
    before = uneven(900)
    rows = make_rows(FORMS[form](X), before, True)
    last = weighted_gram(rows, before)
    after = CHANGES[change](before, rng)
    fresh = signed_gram(rows, after, np.arange(21))
    updated = weighted_gram(rows, after, last).matrix
    assert_allclose(updated, fresh, rtol=0, atol=1e-13 * np.abs(fresh).max() + 1e-300)


@pytest.mark.parametrize("change", ["none", "scaled", "few", "few and scaled"])
def test_an_update_costs_the_rows_that_changed(change):
    X, rng = data(900, 20)[0], np.random.default_rng(0)
    before = uneven(900)
    rows = make_rows(X, before, True)
    last, rows.passes = weighted_gram(rows, before), 0.0
    weighted_gram(rows, CHANGES[change](before, rng), last)
    assert rows.passes <= (0.15 if "few" in change else 0)


def test_rows_that_lose_nearly_all_weight_leave_no_rounding_errors():
    X = data(900, 20)[0]
    before = np.ones(900)
    before[:300] = 1e12
    rows = make_rows(X, np.ones(900), True)
    after = np.where(np.arange(900) < 300, 1e-6, before)
    updated = weighted_gram(rows, after, weighted_gram(rows, before)).matrix
    assert_array_equal(updated, signed_gram(rows, after, np.arange(21)))


def test_rounding_errors_of_updates_do_not_pile_up():
    X, weight = data(900, 20)[0], np.ones(900)
    # Each update leaves a third of the first column's square.
    X[:, 0], X[:40, 0] = 0.0, 3.0 ** np.arange(20, 0, -0.5)
    rows, every = make_rows(X, weight, False), np.arange(21)
    last = weighted_gram(rows, weight)
    for row in range(38):
        weight = weight.copy()
        weight[row] = 0.0
        last = weighted_gram(rows, weight, last)
    fresh = signed_gram(rows, weight, every)
    unit = 1 / np.sqrt(np.append(fresh.diagonal()[:-1], 1.0))
    assert np.abs(unit[:, None] * (last.matrix - fresh) * unit).max() <= 1e-13


@pytest.mark.parametrize("least", [0.0, 0.1])
@pytest.mark.parametrize("container", FORMS.values(), ids=FORMS)
def test_longer_weights_make_no_longer_matrices(container, least):
    """Extended precision has no BLAS, takes fifty times as long, and no LAPACK."""
    rows = make_rows(container(data(300, 20)[0]), np.ones(300), True)
    weight = least + uneven(300).astype(np.longdouble)
    gram = rows.gram(weight, np.arange(21))
    assert gram.dtype == np.float64
    blocks = rows.weighted(weight, np.arange(21))
    assert {block.dtype for block in blocks} == {np.dtype(np.float64)}
    short = rows.gram(weight.astype(np.float64), np.arange(21))
    assert_allclose(gram, short, rtol=1e-13, atol=1e-13)


@pytest.fixture
def gram_rows(monkeypatch):
    """Return how many rows each Gram matrix had."""
    seen, gram = [], DenseRows.gram

    def count(self, c, columns):
        seen.append(np.count_nonzero(c))
        return gram(self, c, columns)

    monkeypatch.setattr(DenseRows, "gram", count)
    return seen


def test_newton_steps_touch_the_rows_that_switch(gram_rows):
    X, y = data(9000, 50)
    model = SmoothL1Regressor(penalty="l2", alpha=1e-6).fit(X, y)
    assert model.dual_gap_ <= 1e-10
    # The last steps, before and after which few rows cross a breakpoint.
    assert min(gram_rows) <= 20
    assert sum(gram_rows) <= 4 * len(X)


def test_a_settled_fit_makes_the_gram_matrices_of_its_steps(gram_rows, monkeypatch):
    X, y = data()
    newton, steps = Reweighting._newton, []
    monkeypatch.setattr(
        Reweighting, "_newton", lambda *a: steps.append(1) or newton(*a)
    )
    assert RobustRegressor("tukey").fit(X, y).stationarity_ <= 1e-10
    # What is smaller is of a sample.
    most = [rows for rows in gram_rows if rows > len(X) // 5]
    assert sum(most) <= len(steps) * len(X)


def test_a_settling_scale_sorts_few_rows_and_a_curvature_sees_few_at_a_time(
    monkeypatch,
):
    X, y = data(150_000)
    median, curvature, sizes = estimates._sorted_median, Tukey.curvature, ([], [])

    def sort(values, *more):
        sizes[0].append(values.size)
        return median(values, *more)

    def curve(loss, residual):
        sizes[1].append(residual.size)
        return curvature(loss, residual)

    monkeypatch.setattr(estimates, "_sorted_median", sort)
    monkeypatch.setattr(Tukey, "curvature", curve)
    assert RobustRegressor("tukey").fit(X, y).stationarity_ <= 1e-10
    assert max(sizes[0]) <= len(X) / 10
    assert max(sizes[1]) <= BLOCK_ENTRIES < len(X)


@pytest.mark.parametrize("loss", ["smooth_l1", "huber", "pseudo_huber", "log_cosh"])
@pytest.mark.parametrize("form", ["plain", "weights", "penalty"])
def test_a_fit_with_its_scale_is_the_fit_at_that_scale(loss, form, monkeypatch):
    X, y = data(40_000)
    weight = uneven(y.size) if form == "weights" else None
    options = {"penalty": "l2", "alpha": 0.01} if form == "penalty" else {}
    rows, make = [], arrays.make_rows
    monkeypatch.setattr(
        arrays,
        "make_rows",
        lambda *args, **kw: rows.append(make(*args, **kw)) or rows[0],
    )
    model = RobustRegressor(loss, **options).fit(X, y, sample_weight=weight)
    # Half a pass, one and a half for each of about five steps, and a start.
    passes = rows[0].passes
    assert passes <= 10
    share = np.ones(y.size) if weight is None else weight
    measured = mad(y - model.predict(X), share, 11)
    assert measured == pytest.approx(model.scale_, rel=1e-12)
    alone = RobustRegressor(loss, **options, scale=model.scale_)
    alone.fit(X, y, sample_weight=weight)
    assert_allclose(model.coef_, alone.coef_, rtol=0, atol=1e-5)
    assert 0 <= model.dual_gap_ <= 1e-10
    # One scale after the other, each with its own fit, leads there in more passes.
    monkeypatch.setattr(estimated, "LINES", {})
    before = rows[0].passes
    slow = RobustRegressor(loss, **options).fit(X, y, sample_weight=weight)
    assert rows[0].passes - before > passes
    assert model.scale_ == pytest.approx(slow.scale_, rel=1e-5)
    assert_allclose(model.coef_, slow.coef_, rtol=0, atol=1e-5)


@pytest.fixture
def together(monkeypatch):
    """Return the results of fits made together with their scale."""
    seen, profiled_newton = [], estimated.profiled_newton

    def listed(*args):
        seen.append(profiled_newton(*args))
        return seen[-1]

    monkeypatch.setattr(estimated, "profiled_newton", listed)
    return seen


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("size", [0.0, 1000.0])
def test_large_coefficients_cost_a_scale_no_steps(size, intercept, together):
    X = data(20_000, 8)[0]
    y = X @ np.full(8, size) + np.random.default_rng(0).exponential(size=20_000) ** 2
    model = RobustRegressor("pseudo_huber", quantile=0.8, fit_intercept=intercept)
    model.fit(X, y)
    result, _ = together[-1]
    assert result.n_iter <= 4


@pytest.mark.parametrize("solver", ["auto", "newton", "newton-cg", "l-bfgs-b"])
def test_a_solver_by_name_finds_scale_and_fit_itself(solver, together):
    X, y = data(20_000, 5)
    model = RobustRegressor(solver=solver).fit(X, y)
    assert bool(together) == (solver in ("auto", "newton"))
    assert model.dual_gap_ <= 1e-10


def test_a_scale_that_is_not_known_within_its_reach_is_none():
    def line(residual, change, reach):
        return lambda t: np.exp(0.1 * t) if abs(t) > 1e-3 else float("nan")

    nothing = np.zeros(1)
    assert profiled._length(line, nothing, nothing, 1.0, 0.02) is None


@pytest.mark.parametrize("weighted", [False, True])
def test_the_mad_along_a_line_is_that_of_its_points(weighted):
    rng = np.random.default_rng(0)
    residual, change = rng.standard_cauchy(5001), rng.normal(size=5001)
    weight = uneven(5001) if weighted else np.ones(5001)
    along = mad_along(weight, residual, change, 0.5)
    for t in (-0.1, -1e-3, 0.0, 1e-6, 0.02, 0.1):
        assert along(t) == mad(residual + t * change, weight, 0)
    # Rows outside, which are not looked at, could be the median.
    assert np.isnan(along(100.0))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_mad_beside_others_is_that_of_all(weighted):
    rng = np.random.default_rng(0)
    residual = rng.standard_cauchy(5001)
    weight = uneven(5001) if weighted else np.ones(5001)
    middle = mad(residual, weight, 0) / MAD_FACTOR
    some = np.flatnonzero(np.abs(np.abs(residual) - middle) < 0.1)
    of = mad_beside(weight, residual, some)
    for size in (0.0, 1e-6, 0.01):
        moved = residual.copy()
        moved[some] += size * rng.normal(size=some.size)
        assert of(moved[some]) == mad(moved, weight, 0)
    # One of those that are not looked at is the median.
    size = np.abs(residual)
    above = np.flatnonzero((size > middle + 0.05) & (size < middle + 0.2))
    below = np.flatnonzero((size < middle - 0.05) & (size > middle - 0.2))
    for others in (some[:0], above, below):
        assert np.isnan(mad_beside(weight, residual, others)(residual[others]))


def test_the_mad_between_two_distant_rows_is_not_known_along_a_line():
    residual, weight = np.array([1.0, -1.0, 5.0, -5.0]), np.ones(4)
    assert mad(residual, weight, 0) == mad(np.array([3.0]), weight[:1], 0)
    assert np.isnan(mad_along(weight, residual, np.ones(4), 0.1)(0.0))
    wide = mad_along(weight, residual, np.ones(4), 2.0)
    assert wide(0.0) == mad(residual, weight, 0)
    assert np.isnan(mad_along(weight, np.zeros(4), np.ones(4), 2.0)(0.0))


@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_many_columns_hold_most_rows_at_their_side(quantile, monkeypatch):
    held, hold = [], Objective.linearise

    def count_held(self, point, active):
        held.append(active.size)
        return hold(self, point, active)

    monkeypatch.setattr(Objective, "linearise", count_held)
    X, y = data(8000, 150)
    model = L1Regressor(quantile=quantile).fit(X, y)
    assert model.dual_gap_ <= 1e-13
    assert held == [3000]


@pytest.mark.parametrize("shape", [(8000, 150, 500), (40_000, 10, 30)])
def test_many_rows_without_weight_are_absent(shape):
    n, p, n_live = shape
    X, y = data(n, p)
    live = np.random.default_rng(0).permutation(n)[:n_live]
    weight = np.zeros(n)
    weight[live] = 1.0
    model = L1Regressor().fit(X, y, sample_weight=weight)
    alone = L1Regressor().fit(X[live], y[live])
    assert_allclose(model.coef_, alone.coef_, rtol=0, atol=1e-9)


@pytest.mark.parametrize("penalty", ["l1", "l2", "elasticnet", None])
@pytest.mark.parametrize("slopes", [(-1.0, 1.0), (-0.1, 0.9)], ids=repr)
def test_rows_without_weight_are_no_loss_to_interior_points(
    slopes, penalty, monkeypatch
):
    X, y = data(900, 70)
    weight = uneven(900) / uneven(900).sum()
    rows = make_rows(X, weight, True)
    penalty = make_penalty(penalty, 0.01, 0.5, 70).rescaled(rows.standard.unit)
    objective = Objective(rows, y, weight, Pinball(*slopes), penalty)
    start, solved = np.zeros(71), []
    iterated = equations.conjugate_gradients
    monkeypatch.setattr(
        equations,
        "conjugate_gradients",
        lambda *args: solved.append(1) or iterated(*args),
    )
    few = interior_point(objective, Start(start, error=10.0), 1e-10, 100)
    assert solved
    monkeypatch.setattr(equations, "MANY_PARAMS", 1000)
    every = interior_point(objective, Start(start, error=10.0), 1e-10, 100)
    assert few.success
    assert abs(few.n_iter - every.n_iter) <= 2
    assert few.value == pytest.approx(every.value, rel=1e-12)
    assert_allclose(few.params, every.params, rtol=0, atol=1e-8)


@pytest.mark.parametrize("columns", ["of light rows", "dependent"])
def test_interior_points_leave_out_no_rows_that_hold_a_column(columns, monkeypatch):
    X, y = data(1500, 70)
    weight = np.ones(1500)
    if columns == "dependent":
        X[:, :40] = np.eye(40)[np.arange(1500) % 40]
        y = np.round(y)
    else:
        weight[:60], X[60:, :3] = 1e-7, 0.0
    weight /= weight.sum()
    rows = make_rows(X, weight, True)
    objective = Objective(
        rows, y, weight, Pinball(-1.0, 1.0), make_penalty(None, 0, 0, 70)
    )
    few = interior_point(objective, Start(np.zeros(71), error=10.0), 1e-10, 100)
    monkeypatch.setattr(equations, "MANY_PARAMS", 1000)
    every = interior_point(objective, Start(np.zeros(71), error=10.0), 1e-10, 100)
    assert few.success == every.success
    assert abs(few.n_iter - every.n_iter) <= 2
    assert few.value == pytest.approx(every.value, rel=1e-12)


def test_no_message_of_lapack_is_printed_of_a_fit_without_columns(capfd):
    y = np.random.default_rng(0).normal(size=50)
    model = L1Regressor(fit_intercept=False).fit(np.zeros((50, 3)), y)
    assert_array_equal(model.coef_, 0.0)
    assert "".join(capfd.readouterr()) == ""


def test_a_square_system_is_solved_by_its_rank():
    rng = np.random.default_rng(0)
    matrix, right = rng.normal(size=(30, 30)), rng.normal(size=30)
    solution, regular = least_norm_solve(matrix, right)
    assert regular
    assert_allclose(matrix @ solution, right, atol=1e-12)
    square = Square(matrix)
    transposed = square.solve(right, transposed=True)
    assert_allclose(matrix.T @ transposed, right, atol=1e-12)
    assert square.rcond == pytest.approx(1 / np.linalg.cond(matrix, 1), rel=0.5)
    matrix[:, 3] = matrix[:, 4]
    assert Square(matrix).rcond < 1e-15
    solution, regular = least_norm_solve(matrix, matrix @ right)
    assert not regular
    assert solution[3] == pytest.approx(solution[4])
    assert_allclose(matrix @ solution, matrix @ right, atol=1e-12)


def test_a_singular_system_is_solved_in_double_precision(monkeypatch):
    """SciPy 1.18 warns of longer numbers, and later versions refuse them."""
    seen, solve = [], scipy.linalg.lstsq

    def watched(matrix, right, **options):
        seen.append(right.dtype)
        return solve(matrix, right, **options)

    monkeypatch.setattr(scipy.linalg, "lstsq", watched)
    least_norm_solve(np.ones((2, 2)), np.ones(2, dtype=np.longdouble))
    assert seen == [np.dtype(np.float64)]
