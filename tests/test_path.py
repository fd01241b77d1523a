"""A path is the estimator's fit at every alpha, from fewer passes over the rows."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from oracles import CONVEX, KINKED
from pairwise import pairwise
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import QuantileRegressor, enet_path, lasso_path

import robustreg.paths.warm as warm
from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor, robust_path
from robustreg.certificate import duality_gap
from robustreg.losses import LOSSES, Huber, make_loss
from robustreg.objective import Objective
from robustreg.paths.switching import Goal, SwitchingFit, fit_next
from robustreg.penalties import make_penalty
from robustreg.rows import make_rows
from robustreg.solvers.quadratics.quadratic import minimize_l1_quadratic

PARABOLIC = [name for name in CONVEX if name in ("l2", "smooth_l1", "huber")]


def make_data(n=200, p=8, seed=0):
    """Return columns of different units and offsets and targets with outliers."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * np.linspace(0.5, 3, p) + np.arange(p)
    coef = np.zeros(p)
    coef[:3] = 1.0, -2.0, 0.5
    return X, X @ coef + rng.standard_t(1.5, size=n) + 4


def make_correlated(n, p, seed=0):
    """Return columns with a common factor, of which 20 count, and heavy tails."""
    rng = np.random.default_rng(seed)
    X = 0.5 * rng.normal(size=(n, 1)) + rng.normal(size=(n, p))
    coef = np.zeros(p)
    coef[:20] = rng.normal(size=20)
    return X, X @ coef + rng.standard_t(1.5, size=n) + 3


def objective(model, X, y, weight=None):
    """Return the estimator's objective at its own coefficients."""
    share = np.ones(len(y)) if weight is None else weight
    residual = (y - X @ model.coef_ - model.intercept_) / model.scale_
    loss = make_loss(model.loss, model.beta, model.quantile)
    penalty = make_penalty(model.penalty, model.alpha, model.l1_ratio, X.shape[1])
    mean = share @ loss.value(residual) / share.sum()
    return mean + penalty.value(model.coef_ / model.scale_)


def assert_same_as_fits(path, X, y, weight=None, **params):
    """Every column of the path reaches the objective of a single fit, and its zeros."""
    for place, alpha in enumerate(path.alphas):
        kept = params if alpha else params | {"penalty": None}
        single = SmoothL1Regressor(alpha=alpha, **kept).fit(X, y, weight)
        best = objective(single, X, y, weight)
        coef, intercept = single.coef_, single.intercept_
        single.coef_, single.intercept_ = path.coefs[:, place], path.intercepts[place]
        reached = objective(single, X, y, weight)
        assert reached <= best + 1e-9 * abs(best)
        assert path.dual_gaps[place] <= 1e-9 * best
        if place == 0 and not path.coefs[:, 0].any():
            # At alpha_max others may be as good.
            continue
        size = np.abs(coef).max() + 1
        np.testing.assert_allclose(path.coefs[:, place], coef, atol=1e-6 * size)
        np.testing.assert_allclose(path.intercepts[place], intercept, atol=1e-6 * size)


@pytest.mark.parametrize(
    ("loss", "penalty", "quantile", "fit_intercept"),
    pairwise(CONVEX, ("l1", "elasticnet"), (0.5, 0.3), (True, False)),
)
def test_equals_single_fits(loss, penalty, quantile, fit_intercept):
    X, y = make_data()
    weight = np.random.default_rng(1).integers(0, 3, len(y)).astype(float)
    params = {
        "loss": loss,
        "quantile": quantile,
        "penalty": penalty,
        "l1_ratio": 0.7,
        "scale": 2.0,
        "fit_intercept": fit_intercept,
    }
    path = robust_path(X, y, sample_weight=weight, n_alphas=5, **params)
    assert path.coefs.shape == (X.shape[1], 5)
    assert path.intercepts.shape == path.dual_gaps.shape == path.alphas.shape == (5,)
    assert_same_as_fits(path, X, y, weight, **params)


@pytest.mark.parametrize("loss", CONVEX)
def test_l2_penalty_on_a_given_grid(loss):
    X, y = make_data()
    path = robust_path(X, y, loss=loss, penalty="l2", alphas=[0.0, 0.1, 1.0])
    np.testing.assert_array_equal(path.alphas, [1.0, 0.1, 0.0])
    assert_same_as_fits(path, X, y, loss=loss, penalty="l2")


@pytest.mark.parametrize(
    "container",
    [
        np.asfortranarray,
        pd.DataFrame,
        sp.csr_array,
        sp.csc_array,
        lambda X: X.tolist(),
    ],
)
@pytest.mark.parametrize("loss", ["smooth_l1", "l1"])
def test_containers(container, loss):
    X, y = make_data()
    X[np.random.default_rng(2).random(X.shape) < 0.5] = 0.0
    expected = robust_path(X, y, loss=loss, n_alphas=6)
    path = robust_path(container(X), y, loss=loss, n_alphas=6)
    for ours, reference in zip(path, expected, strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-8, atol=1e-9)


def test_many_sparse_rows():
    rng = np.random.default_rng(0)
    # Not random_array: the name of its generator changed with SciPy 1.15.
    X = sp.csr_array(rng.random((12_000, 30)) * (rng.random((12_000, 30)) < 0.1))
    X.data += 1.0
    y = X @ rng.normal(size=30) + rng.standard_t(1.5, size=12_000)
    path = robust_path(X, y, n_alphas=8, eps=0.01)
    dense = robust_path(X.toarray(), y, n_alphas=8, eps=0.01)
    for ours, reference in zip(path, dense, strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-8, atol=1e-10)
    assert_same_as_fits(path, X, y, penalty="l1")


def test_float32_stays_float32():
    X, y = make_data()
    path = robust_path(X.astype(np.float32), y, n_alphas=4)
    assert path.coefs.dtype == path.intercepts.dtype == np.float32
    assert path.alphas.dtype == path.dual_gaps.dtype == np.float64
    assert_same_as_fits(path, X.astype(np.float32).astype(float), y, penalty="l1")


@pytest.mark.parametrize("loss", ["smooth_l1", "l1"])
def test_weights_count_rows(loss):
    X, y = make_data(80)
    count = np.random.default_rng(3).integers(0, 3, len(y))
    weighted = robust_path(X, y, sample_weight=count, loss=loss, n_alphas=6)
    repeated = robust_path(X.repeat(count, 0), y.repeat(count), loss=loss, n_alphas=6)
    for ours, reference in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-9, atol=1e-9)


def test_equals_lasso_path():
    X, y = make_data()
    X, y = X - X.mean(axis=0), y - y.mean()
    grid = np.geomspace(2.0, 0.01, 7)
    ours = robust_path(X, y, loss="l2", alphas=grid)
    _, peer, _ = lasso_path(X, y, alphas=grid, tol=1e-14)
    np.testing.assert_allclose(ours.coefs, peer, atol=1e-7)
    ours = robust_path(X, y, loss="l2", penalty="elasticnet", alphas=grid)
    _, peer, _ = enet_path(X, y, alphas=grid, l1_ratio=0.5, tol=1e-14)
    np.testing.assert_allclose(ours.coefs, peer, atol=1e-7)


def test_equals_quantile_regression():
    X, y = make_data()
    path = robust_path(X, y, loss="quantile", quantile=0.7, n_alphas=4, eps=0.05)
    for coef, alpha in list(zip(path.coefs.T, path.alphas, strict=True))[1:]:
        peer = QuantileRegressor(quantile=0.7, alpha=alpha).fit(X, y)
        np.testing.assert_allclose(coef, peer.coef_, atol=1e-6)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("loss", CONVEX)
def test_alpha_max_is_the_smallest_that_makes_all_coefficients_0(
    loss, discrete, fit_intercept
):
    X, y = make_data()
    y = np.round(y / 2) if discrete else y
    params = {"loss": loss, "quantile": 0.4, "fit_intercept": fit_intercept}
    path = robust_path(X, y, n_alphas=2, eps=0.999, **params)
    assert not path.coefs[:, 0].any()
    largest = path.alphas[0]
    for share, zeros in ((1 + 1e-6, True), (1 - 1e-4, False)):
        single = SmoothL1Regressor(penalty="l1", alpha=share * largest, **params)
        coef = single.fit(X, y).coef_
        assert np.all(np.abs(coef) <= 1e-9) == zeros
    assert path.coefs[:, 1].any()


def test_grid():
    X, y = make_data()
    path = robust_path(X, y, n_alphas=9, eps=0.01)
    np.testing.assert_allclose(path.alphas[-1], 0.01 * path.alphas[0])
    np.testing.assert_allclose(np.diff(np.log(path.alphas)), np.log(0.01) / 8)
    mixed = robust_path(X, y, penalty="elasticnet", l1_ratio=0.25, n_alphas=2)
    np.testing.assert_allclose(mixed.alphas[0], 4 * path.alphas[0])
    some = robust_path(X, y, alphas=path.alphas[[5, 2, 7]])
    np.testing.assert_allclose(some.coefs, path.coefs[:, [2, 5, 7]], atol=1e-9)
    one = robust_path(X, y, alphas=[path.alphas[5]])
    np.testing.assert_allclose(one.coefs[:, 0], path.coefs[:, 5], atol=1e-9)


def test_units_of_the_targets():
    X, y = make_data()
    path = robust_path(X, y, n_alphas=5)
    scaled = robust_path(X, 1e-9 * y, scale=1e-9, n_alphas=5)
    np.testing.assert_allclose(scaled.alphas, path.alphas)
    np.testing.assert_allclose(scaled.coefs, 1e-9 * path.coefs, atol=1e-18)


@pytest.mark.parametrize("loss", CONVEX)
def test_nothing_to_explain(loss):
    X, y = make_data()
    for data, target in ((np.ones_like(X), y), (X, np.full_like(y, 3.0))):
        path = robust_path(data, target, loss=loss, n_alphas=3)
        assert not path.coefs.any()
        assert np.isfinite(path.intercepts).all()


@pytest.mark.parametrize("center", [0.0, 5.3])
@pytest.mark.parametrize("params", [{"loss": "l1"}, {"quantile": 0.7}], ids=str)
def test_a_y_that_is_mostly_one_value_has_a_grid_of_the_right_size(params, center):
    """The fit without a penalty is that value, too, and any alpha is too large."""
    X, y = make_data()
    params = {"loss": "quantile", **params}
    y = center + y * (np.arange(len(y)) % 5 == 0)
    tied = np.count_nonzero(y == center)
    given = ", ".join(f"{name}={value!r}" for name, value in params.items())
    match = (
        f"all coefficients are 0 at every alpha, even.*y is {center:g} in {tied} of "
        f"{len(y)} rows and the fit by {given} is that constant"
    )
    with pytest.warns(UserWarning, match=match) as caught:
        path = robust_path(X, y, n_alphas=5, **params)
    assert [warning.filename for warning in caught] == [__file__]
    assert not path.coefs.any() and not L1Regressor(**params).fit(X, y).coef_.any()
    np.testing.assert_allclose(path.intercepts, center)
    # No y makes any alpha of this grid's beginning too small, nor much too large.
    widest = robust_path(X, X[:, -1], n_alphas=2, **params)
    assert 1 <= path.alphas[0] / widest.alphas[0] < 3


REDESCENDING = [name for name in LOSSES if not make_loss(name).facts.convex]


@pytest.mark.parametrize("grid", [{"n_alphas": 5}, {"alphas": [1.0, 0.0]}])
@pytest.mark.parametrize("loss", REDESCENDING)
def test_a_loss_that_rejects_all_rows_but_those_of_one_value_says_so(loss, grid):
    rng = np.random.default_rng(0)
    X, rare = rng.normal(size=(300, 3)), rng.random(300) < 0.03
    y = 2.0 + np.where(rare, 10.0 + X[:, 0], 0.0)
    tied, params = np.count_nonzero(~rare), {"loss": loss, "beta": 0.5, **grid}
    if loss == "cauchy":  # It rejects no row altogether; a warning would raise.
        assert robust_path(X, y, **params).coefs.any()
        return
    match = f"0 at every alpha, because y is 2 in {tied} of 300 rows.*by loss='{loss}'"
    with pytest.warns(UserWarning, match=f"{match} .*a convex loss, such as 'smooth"):
        assert np.abs(robust_path(X, y, **params).coefs).max() < 1e-12


@pytest.mark.parametrize("loss", REDESCENDING)
def test_a_penalty_that_is_too_large_is_no_value_of_y(loss):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 2)), rng.normal(size=50)
    assert not robust_path(X, y, loss=loss, alphas=[10.0]).coefs.any()


@pytest.mark.parametrize("loss", ["smooth_l1", "l1"])
def test_columns_that_explain_nothing_are_no_value_of_y(loss):
    """They balance by themselves, though the fit is a value of y in one row."""
    X = np.array([[-1.0], [1.0], [-1.0], [1.0], [0.0]])
    path = robust_path(X, np.array([1.0, 1.0, -1.0, -1.0, 0.0]), loss=loss)
    assert not path.coefs.any()


def test_constant_columns():
    X, y = make_data()
    X = np.column_stack([X, np.full(len(y), 7.0), np.zeros(len(y))])
    path = robust_path(X, y, n_alphas=5)
    assert not path.coefs[-2:].any()
    assert_same_as_fits(path, X, y, penalty="l1")


def test_duplicate_columns():
    X, y = make_data()
    path = robust_path(X, y, n_alphas=5)
    twice = robust_path(np.column_stack([X, X[:, 0]]), y, n_alphas=5)
    twice.coefs[0] += twice.coefs[-1]
    np.testing.assert_allclose(twice.coefs[:-1], path.coefs, atol=1e-9)
    assert twice.dual_gaps.max() <= 1e-10


@pytest.mark.parametrize("loss", PARABOLIC)
def test_more_columns_than_rows(loss):
    X, y = make_correlated(60, 150)
    path = robust_path(X, y, loss=loss, n_alphas=12, eps=0.05)
    for place in (3, 7, 11):
        single = SmoothL1Regressor(loss, penalty="l1", alpha=path.alphas[place])
        best = objective(single.fit(X, y), X, y)
        single.coef_, single.intercept_ = path.coefs[:, place], path.intercepts[place]
        assert abs(objective(single, X, y) - best) <= 1e-9 * best


@pytest.mark.parametrize("beta", [1e-3, 1e3])
def test_hard_breakpoints(beta):
    X, y = make_data()
    path = robust_path(X, y, beta=beta, n_alphas=8)
    assert_same_as_fits(path, X, y, beta=beta, penalty="l1")


def test_columns_that_only_rows_in_the_tails_have():
    rng = np.random.default_rng(0)
    X, y = np.zeros((40, 3)), np.zeros(40)
    X[:4] = rng.normal(size=(4, 3)) + 1
    y[:4] = 10.0
    path = robust_path(X, y, loss="huber", beta=0.1, n_alphas=6, fit_intercept=False)
    assert path.coefs[:, -1].any()
    params = {"loss": "huber", "beta": 0.1, "fit_intercept": False, "penalty": "l1"}
    assert_same_as_fits(path, X, y, **params)


def test_an_instance_of_a_loss():
    X, y = make_data()
    path = robust_path(X, y, loss=Huber(0.7), n_alphas=4)
    named = robust_path(X, y, loss="huber", beta=0.7, n_alphas=4)
    np.testing.assert_allclose(path.coefs, named.coefs, atol=1e-12)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"loss": "no"}, "smooth_l1"),
        ({"penalty": None}, "penalty"),
        ({"penalty": "l3"}, "elasticnet"),
        ({"penalty": "l2"}, "alphas"),
        ({"penalty": "elasticnet", "l1_ratio": 0.0}, "alphas"),
        ({"scale": "mad"}, "scale_"),
        ({"scale": 0.0}, "scale"),
        ({"scale": np.inf}, "inf"),
        ({"alphas": []}, r"at least one number, finite, at least 0.*Got \[\]"),
        ({"alphas": [[1.0]]}, "one-dimensional"),
        ({"alphas": 1.0}, r"alphas must be None or a one-dim.*Got 1\.0"),
        ({"alphas": [1.0, -1.0]}, "at least 0"),
        ({"alphas": [np.nan]}, r"alphas must be.*finite.*Got \[nan\]"),
        ({"alphas": ["a"]}, r"alphas must be.*numbers?.*Got \['a'\]"),
        ({"n_alphas": 0}, "n_alphas"),
        ({"eps": 1.0}, "eps"),
        ({"tol": 0.0}, "tol"),
        ({"max_iter": 0}, "max_iter"),
        ({"fit_intercept": "yes"}, "bool"),
        ({"sample_weight": np.zeros(200)}, "zero"),
    ],
)
def test_bad_parameters(params, words):
    X, y = make_data()
    with pytest.raises(ValueError, match=words):
        robust_path(X, y, **params)


def test_bad_data():
    X, y = make_data()
    with pytest.raises(ValueError, match="one target"):
        robust_path(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="NaN"):
        robust_path(np.where(X > 5, np.nan, X), y)
    with pytest.raises(ValueError, match="sparse"):
        robust_path(X, sp.csr_array(y[:, None]))


def test_one_warning_for_all_alphas():
    X, y = make_data()
    with pytest.warns(ConvergenceWarning) as caught:
        robust_path(X, y, loss="log_cosh", beta=1e-3, n_alphas=10, max_iter=1)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert "of 10 alphas" in str(caught[0].message)


def test_scale_of_another_fit():
    X, y = make_data()
    scale = RobustRegressor().fit(X, y).scale_
    path = robust_path(X, y, scale=scale, alphas=[1e-12])
    full = SmoothL1Regressor(scale=scale).fit(X, y)
    np.testing.assert_allclose(path.coefs[:, 0], full.coef_, atol=1e-8)


def counted(monkeypatch, X, y, **params):
    """Return the path, its rows and the fits that shared a Gram matrix, last first."""
    made, seen = [], []

    def remember(*args):
        made.append(SwitchingFit(*args))
        seen.append(args[0].rows)
        return made[-1]

    monkeypatch.setattr(warm, "SwitchingFit", remember)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = robust_path(X, y, **params)
    return path, seen[-1], made[-1]


def test_cost_of_many_rows(monkeypatch):
    X, y = make_correlated(40_000, 60)
    path, rows, shared = counted(monkeypatch, X, y, eps=0.05)
    assert path.dual_gaps.max() <= 1e-10
    # Two or three steps for each of 99 alphas.
    assert shared.steps <= 320
    # Rows cross a breakpoint once or twice as coefficients grow.
    assert shared.switches <= 1.5 * len(y)
    # A pass for the gradient, those of the switching rows, and little more.
    assert rows.passes <= 6
    # The working set holds the 20 true columns and few others.
    assert shared.working.size <= 40


def test_cost_of_many_columns(monkeypatch):
    X, y = make_correlated(200, 2_000)
    path, rows, shared = counted(monkeypatch, X, y, eps=0.05)
    assert path.dual_gaps.max() <= 1e-9
    assert shared.steps <= 700
    # One or two passes for each alpha tell which columns enter.
    assert rows.passes <= 260
    assert shared.working.size <= 0.3 * X.shape[1]


def test_gradient_that_is_kept_is_the_gradient(monkeypatch):
    X, y = make_correlated(20_000, 40)
    _, _, shared = counted(monkeypatch, X, y, eps=1e-3)
    exact = make_objective(X, y, 0.0).evaluate(shared.params)
    np.testing.assert_allclose(shared.gradient, exact.gradient, atol=1e-13)
    np.testing.assert_allclose(shared.residual(), exact.residual, atol=1e-11)


def make_objective(X, y, alpha):
    """Return the objective of a path with an l1 penalty, at its centre of y."""
    share = np.full(len(y), 1 / len(y))
    rows = make_rows(X, share, True)
    penalty = make_penalty("l1", alpha, 0.5, X.shape[1]).rescaled(rows.standard.unit)
    return Objective(rows, y - np.median(y), share, make_loss("smooth_l1"), penalty)


def test_gap_is_that_of_the_certificate():
    X, y = make_correlated(3000, 20)
    bare = make_objective(X, y, 0.0)
    shared = SwitchingFit(bare, bare.evaluate(np.zeros(21)), np.arange(0))
    for alpha in (0.3, 0.1):
        like = make_objective(X, y, alpha)
        gap = fit_next(shared, like.penalty, Goal(1e-11, 1.0, 1e-13))
        point = like.evaluate(shared.params)
        slopes = like.loss.gradient(point.residual)
        assert gap <= 1e-11
        assert duality_gap(like, point, slopes) <= 1e-11


@pytest.mark.parametrize("rank", [40, 25])
@pytest.mark.parametrize("seed", range(5))
def test_quadratic_plus_l1(seed, rank):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(rank, 40)) + rng.normal(size=(rank, 1))
    hessian, linear = root.T @ root, root.T @ rng.normal(size=rank)
    l1 = rng.uniform(0.1, 2, 40)
    l1[-1] = 0.0
    for start in (np.zeros(40), rng.normal(size=40)):
        x = minimize_l1_quadratic(hessian, linear, l1, start)
        slope = hessian @ x + linear
        off = np.where(
            x == 0, np.maximum(np.abs(slope) - l1, 0), slope + l1 * np.sign(x)
        )
        assert np.abs(off).max() <= 1e-9 * np.abs(linear).max()


@pytest.mark.parametrize("name", CONVEX)
@pytest.mark.parametrize("quantile", [0.5, 0.3])
def test_breakpoints_are_where_losses_bend(name, quantile):
    loss = make_loss(name, 0.7, quantile)
    ends = loss.facts.breakpoints
    if ends is None:
        assert name not in (*PARABOLIC, *KINKED)
        return
    ends = np.array(ends)
    assert (np.diff(ends) > 0).all()
    grid = np.setdiff1d(np.linspace(-3, 3, 61) + 1e-3, ends)
    piece = np.searchsorted(ends, grid)
    for each in np.unique(piece):
        assert np.ptp(loss.curvature(grid[piece == each])) <= 1e-12


def test_a_row_that_the_sample_missed_does_not_spoil_the_path():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50_000, 4))
    X[777, 0] = 1e12
    y = X[:, 1:].sum(axis=1) + rng.standard_t(2, size=50_000)
    path = robust_path(X, y, alphas=[0.1, 0.01])
    fit = SmoothL1Regressor(penalty="l1", alpha=0.01).fit(X, y)
    np.testing.assert_allclose(path.coefs[:, 1], fit.coef_, rtol=1e-6)


@pytest.mark.parametrize("alphas", [[0.0], [0.1, 0.0], 8])
@pytest.mark.parametrize("kind", ["gaussian", "binary", "repeated columns"])
def test_a_kinked_path_of_more_params_than_rows(kind, alphas):
    rng = np.random.default_rng(1)
    designs = {
        "gaussian": rng.normal(size=(14, 20)),
        "binary": rng.integers(0, 2, size=(14, 20)).astype(float),
        "repeated columns": np.tile(rng.normal(size=(14, 6)), (1, 4)),
    }
    X, y = designs[kind], rng.normal(size=14)
    grid = {"n_alphas": alphas} if alphas == 8 else {"alphas": alphas}
    path = robust_path(X, y, loss="l1", **grid)
    assert path.dual_gaps.max() <= 1e-10
