"""The scale of a redescending loss: it agrees with its fit, or a warning says so."""

import warnings

import numpy as np
import pytest
from calls import calls_of
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from robustreg import L1Regressor, RobustRegressor, ScaleCollapseWarning
from robustreg.fitting.any_scale import AnyScale
from robustreg.losses import make_loss, relative_weight
from robustreg.rows import FormedRows
from robustreg.scale import MAD_FACTOR, find_fixed_point
from robustreg.solvers.majorised import step_down

LOSSES = "tukey", "welsch", "cauchy"
REDESCENDING = *LOSSES, "hampel", "andrews", "talwar"
ALPHAS = 5e-5, 1e-4, 1e-3, 1e-2, 0.1


def far_rows(seed=0):
    """Return little noise, two rows for a param, and a tenth of the rows wrong in X."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(50, 20))
    y = X @ rng.normal(0, 50, 20) + 0.05 * rng.normal(size=50)
    X[rng.choice(50, 5, replace=False)] = 2 * rng.normal(size=(5, 20))
    return X, y


def heavy_tails(n, p, seed, df=2.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return X, X.sum(axis=1) + rng.standard_t(df, size=n)


def mad_of(model, X, y):
    return MAD_FACTOR * np.median(np.abs(y - model.predict(X)))


def reweighted(X, y, loss, alpha, most=5000):
    """Return the scale at which fit and scale settle by turns, from the L1 fit.

    And by how much the last turn changed the fit.
    """
    start = L1Regressor().fit(X, y)
    params = np.append(start.coef_, start.intercept_)
    design = np.column_stack([X, np.ones(len(y))])
    ridge = np.sqrt(alpha) * np.eye(design.shape[1])
    ridge[-1, -1] = 0.0
    for _ in range(most):
        residual = y - design @ params
        scale = MAD_FACTOR * np.median(np.abs(residual))
        root = np.sqrt(
            relative_weight(make_loss(loss, None), residual / scale) / len(y)
        )
        rows = np.vstack([root[:, None] * design, ridge])
        last, target = params, np.append(root * y, 0 * params)
        params = np.linalg.lstsq(rows, target, rcond=None)[0]
        moved = np.abs(design @ (params - last)).max() / scale
        if moved < 1e-10:
            break
    return scale, moved


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("alpha", ALPHAS)
def test_a_good_fit_is_not_lost_on_the_way_to_its_scale(loss, alpha):
    X, y = far_rows(1)
    model = RobustRegressor(loss, penalty="l2", alpha=alpha).fit(X, y)
    assert mad_of(model, X, y) == pytest.approx(model.scale_, rel=1e-7)
    assert np.linalg.norm(model.coef_) > 100 and model.outliers_.sum() < 25
    scale, moved = reweighted(X, y, loss, alpha)
    assert moved > 1e-6 or model.scale_ == pytest.approx(scale, rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(40, 16), (60, 20)])
def test_few_rows_a_param_settle_where_reweighting_does(loss, shape):
    same = 0
    for seed in range(12):
        X, y = heavy_tails(*shape, seed)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = RobustRegressor(loss).fit(X, y)
        agrees = mad_of(model, X, y) == pytest.approx(model.scale_, rel=1e-7)
        assert agrees or caught
        scale, moved = reweighted(X, y, loss, 0.0, most=1000)
        same += moved > 1e-8 or model.scale_ == pytest.approx(scale, rel=1e-6)
    # Of two fixed points as near as each other, Newton's method may take the other.
    assert same >= 11


# Samples whose fit jumps where its scale would agree.
JUMPS = [(21, "welsch", 0.3), (18, "welsch", 0.5), (52, "tukey", 0.5)]


@pytest.mark.parametrize(("seed", "loss", "beta"), JUMPS)
def test_a_scale_that_does_not_exist_costs_a_few_fits(seed, loss, beta, monkeypatch):
    X, y = heavy_tails(200, 10, seed, df=1.5)
    fits, fit = [], AnyScale.fit

    def counted(self, *args, **options):
        fits.append(self.problem.loss)
        return fit(self, *args, **options)

    monkeypatch.setattr(AnyScale, "fit", counted)
    model = RobustRegressor(loss, beta=beta, penalty="l2", alpha=0.01)
    with pytest.warns(ConvergenceWarning, match=r"no scale .* near s = \d") as caught:
        model.fit(X, y)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert f"the scale {mad_of(model, X, y):.4g}"[:-1] in message
    for way_out in ("a number as scale", "a larger beta", "a convex and smooth loss"):
        assert way_out in message
    redescending = [one for one in fits if not one.facts.convex]
    assert len(redescending) <= 16
    assert abs(mad_of(model, X, y) / model.scale_ - 1) < 0.15
    assert model.outliers_.mean() < 0.5


@pytest.mark.parametrize("loss", LOSSES)
def test_few_rows_a_param_cost_few_gram_matrices(loss, monkeypatch):
    grams = calls_of(monkeypatch, FormedRows, "gram")
    for seed in range(4):
        X, y = heavy_tails(300, 120, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            RobustRegressor(loss, scale=0.5).fit(X, y)
    # A Hessian of rows of either sign is the difference of two.
    assert len(grams) <= 4 * 120


def test_where_no_step_goes_down_none_is_tried_again(monkeypatch):
    tried = []

    def stuck(objective, point, step_rule, level):
        tried.append(level)
        return point, None, level

    monkeypatch.setattr("robustreg.solvers.reweighted.step_down", stuck)
    X, y = heavy_tails(30, 3, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        RobustRegressor("tukey").fit(X, y)
    assert len(tried) == 1


def test_newton_ends_what_parabolas_do_not_halve(monkeypatch):
    """On a plateau it is tried from farther; once these took 95 steps of parabolas."""
    steps = []
    monkeypatch.setattr(
        "robustreg.solvers.reweighted.step_down",
        lambda *args: steps.append(1) or step_down(*args),
    )
    for seed, n in [(0, 300), (4, 1000), (7, 1000)]:
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(n, 2)), 3 * rng.standard_t(1, size=n)
        model = RobustRegressor("welsch", beta=0.12).fit(X, y)
        assert mad_of(model, X, y) == pytest.approx(model.scale_, rel=1e-9)
    assert len(steps) <= 85


@pytest.mark.parametrize("scale", ["mad", "proposal2", 10.0])
@pytest.mark.parametrize("loss", ["andrews", "tukey", "welsch"])
def test_rounding_errors_above_the_tolerance_end_a_fit(scale, loss, monkeypatch):
    """Of far columns without an intercept; once 500 to 900 steps were made."""
    steps = []
    for name in ("reweighted", "majorised"):
        monkeypatch.setattr(
            f"robustreg.solvers.{name}.step_down",
            lambda *args: steps.append(1) or step_down(*args),
        )
    rng = np.random.default_rng(0)
    far = 10.0 ** np.array([7, 7, 7, 7, 7, 5, 5, 1])
    X, y = far + rng.normal(size=(300, 8)), 100 + 10 * rng.standard_t(3, size=300)
    options = {"fit_intercept": False, "penalty": "elasticnet", "l1_ratio": 0.1}
    with pytest.warns(ConvergenceWarning) as caught:
        model = RobustRegressor(loss, alpha=1e-6, scale=scale, **options).fit(X, y)
    assert len(caught) == 1 and model.stationarity_ <= 1e-8
    assert len(steps) <= 200


@pytest.mark.parametrize("below", [1.01, 1.3, 5.0])
@pytest.mark.parametrize("above", [0.99, 0.6])
@pytest.mark.parametrize("start", [0.2, 3.0])
@pytest.mark.parametrize("n_rough", [0, 3])
def test_a_jump_is_noticed(below, above, start, n_rough):
    seen = []

    def measure_at(scale):
        seen.append(scale)
        return scale * (below if scale < 1 else above)

    def tells_side():
        return len(seen) > n_rough

    found = find_fixed_point(measure_at, start, 1e-9, tells_side=tells_side)
    assert not found.converged and len(seen) <= 40
    # The side that agrees better.
    off = below if found.scale < 1 else above
    assert found.disagreement == pytest.approx(np.log(off))
    assert abs(found.disagreement) <= min(np.log(below), -np.log(above)) + 1e-12
    assert found.scale in seen


@pytest.mark.parametrize("rate", [0.9, 0.2, -3.0, -30.0])
def test_a_continuous_scale_is_found(rate):
    def measure_at(scale):
        return scale**rate * 2.0 ** (1 - rate)

    found = find_fixed_point(measure_at, 3.0, 1e-9, tells_side=lambda: True)
    assert found.converged and found.scale == pytest.approx(2.0, rel=1e-10)


@pytest.mark.parametrize("loss", ["tukey", "welsch", "talwar", "hampel"])
def test_a_fit_that_rejects_all_rows_warns(loss):
    X, y = heavy_tails(100, 3, 0)
    model = RobustRegressor(loss, scale=1e-3, penalty="l2", alpha=0.1)
    with pytest.warns(UserWarning, match="rejects nearly all rows: .* mean of") as seen:
        model.fit(X, y)
    assert len(seen) == 1 and model.weights_.mean() < 0.01


@pytest.mark.parametrize("loss", LOSSES)
def test_few_rows_a_column_take_few_gram_matrices(loss, monkeypatch):
    X, y = heavy_tails(300, 90, 1)
    made, gram = [], FormedRows.gram
    monkeypatch.setattr(
        FormedRows, "gram", lambda self, *a: made.append(1) or gram(self, *a)
    )
    RobustRegressor("smooth_l1").fit(X, y)
    convex = len(made)
    RobustRegressor(loss).fit(X, y)
    assert len(made) - convex <= 4 * convex


def test_curvature_that_fades_away_is_none():
    """At a scale that is much too small all rows but exact ones have numbers of 1e-320.

    On this data the scale is 0, and an l1 part goes by the Gram matrix.
    """
    rng = np.random.default_rng(40)
    X = rng.normal(size=(70, 3))
    y, wrong = X @ [1, 2, 3], rng.random(70) < 0.4
    y[wrong] += rng.normal(size=wrong.sum()) * 10 ** rng.uniform(-8, 4)
    with pytest.warns(ScaleCollapseWarning, match="rows are fitted exactly"):
        model = RobustRegressor("welsch", penalty="l1", alpha=0.01).fit(X, y)
    np.testing.assert_allclose(model.coef_, [1, 2, 3], rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "p, options",
    [(60, {}), (200, {"penalty": "l1", "alpha": 0.06})],
    ids=["unpenalised", "l1"],
)
def test_params_that_fit_half_of_the_rows_leave_a_start(loss, p, options, monkeypatch):
    """No convex fit narrows until its scale vanishes; one starts, and a scale is found.

    On this data reweighting from there finds residuals of a size that is no rounding.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, p))
    y = X[:, :5].sum(axis=1) + rng.standard_t(2, size=100)
    starts, fit = [], AnyScale.fit

    def count(self, *args, **options):
        starts.append(self.problem.loss.facts.convex)
        return fit(self, *args, **options)

    monkeypatch.setattr(AnyScale, "fit", count)
    with warnings.catch_warnings():
        # That no scale agrees with its fit may be so.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = RobustRegressor(loss, **options).fit(X, y)
    # The L1 fit and the convex one, or this one alone.
    assert sum(starts) <= 2
    assert mad_of(model, X, y) > 1e-3


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("p", [600, 2100])
def test_an_l1_part_settles_with_its_scale(loss, p, monkeypatch):
    """Newton's method on both keeps its signs: a whole fit is left to do, and a start.

    Once fits at seven scales were made, and for many columns five convex ones before.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, p))
    y = X[:, :5].sum(axis=1) + rng.standard_t(2, size=300)
    starts, fit = [], AnyScale.fit

    def count(self, *args, **options):
        starts.append(self.problem.loss.facts.convex)
        return fit(self, *args, **options)

    monkeypatch.setattr(AnyScale, "fit", count)
    model = RobustRegressor(loss, penalty="l1", alpha=0.12).fit(X, y)
    assert starts == [True, False] and model.n_iter_ == 1
    assert mad_of(model, X, y) == pytest.approx(model.scale_, rel=1e-9)
    assert model.stationarity_ <= 1e-10


@pytest.mark.parametrize("loss", REDESCENDING)
@pytest.mark.parametrize("shape", [(150, 300), (300, 350), (400, 800)])
def test_a_scale_that_falls_on_and_on_is_noticed_in_one_fit(loss, shape, monkeypatch):
    """No scale agrees with its fit where the params in use fit half of the rows.

    The scale falls on and on, which a few steps show; once fits at a dozen scales did,
    or one at a scale of 0, of a hundred steps and thousands of factors.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=shape)
    y = 3 * X[:, :10].sum(axis=1) + rng.standard_t(2, size=shape[0])
    starts, steps, fit = [], [], AnyScale.fit

    def count(self, *args, **options):
        starts.append(self.problem.loss.facts.convex)
        return fit(self, *args, **options)

    monkeypatch.setattr(AnyScale, "fit", count)
    monkeypatch.setattr(
        "robustreg.solvers.reweighted.step_down",
        lambda *args: steps.append(1) or step_down(*args),
    )
    with pytest.warns(ConvergenceWarning, match="no scale that agrees"):
        model = RobustRegressor(loss, penalty="l1", alpha=0.01).fit(X, y)
    assert sum(starts) <= 2 and len(starts) == sum(starts) + 1
    assert len(steps) <= 40
    # Not at a scale near 0, where every row but those fitted exactly is an outlier.
    assert model.scale_ > 0.01 and model.stationarity_ <= 1e-10


@pytest.mark.parametrize(
    "same",
    [
        lambda X, y, count: (X.repeat(count, 0), y.repeat(count), None),
        lambda X, y, count: (np.hstack([X, np.ones((y.size, 40))]), y, count),
        lambda X, y, count: (np.vstack([X, X]), [*y, *y], [*count / 2, *count / 2]),
    ],
    ids=["repeated", "constant columns", "halves"],
)
@pytest.mark.parametrize("n_columns", [98, 101])
def test_that_no_scale_agrees_is_so_in_other_words(same, n_columns):
    """Params account for rows whatever these weigh, and columns without effect none."""
    rng = np.random.default_rng(1)
    X, count = rng.normal(size=(100, n_columns)), rng.integers(1, 4, 100)
    y = 2 * X[:, 0] + rng.standard_t(2, size=100)
    model = RobustRegressor("tukey", penalty="l1", alpha=0.01)
    fits = []
    for data in [(X, y, count), same(X, y, count)]:
        with pytest.warns(ConvergenceWarning, match="no scale that agrees"):
            fits.append(clone(model).fit(*data))
    one, other = fits
    assert other.scale_ == pytest.approx(one.scale_, rel=1e-6)
    np.testing.assert_allclose(other.coef_[:n_columns], one.coef_, atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_exact_data_of_many_columns_have_a_scale_of_0(loss):
    """Also where columns are more than rows, as long as few are in use."""
    rng = np.random.default_rng(0)
    X, coef = rng.normal(size=(200, 220)), np.zeros(220)
    coef[:5] = 1 + rng.random(5)
    y = X @ coef
    y[:10] += 10 * rng.normal(size=10)
    with pytest.warns(ScaleCollapseWarning, match="rows are fitted exactly"):
        model = RobustRegressor(loss, penalty="l1", alpha=0.05).fit(X, y)
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-6, atol=1e-9)
