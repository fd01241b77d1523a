"""Fits of redescending losses: local minima in the valley of a convex fit."""

import numpy as np
import pytest
import scipy.sparse as sp
import statsmodels.api as sm
from oracles import PENALTIES, assert_same_fit
from pairwise import pairwise
from sklearn.exceptions import ConvergenceWarning

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor, robust_path
from robustreg.losses import LOSSES, Loss, LossFacts, Tukey, make_loss
from robustreg.objective import Objective
from robustreg.penalties import make_penalty
from robustreg.rows import make_rows
from robustreg.solvers import solve
from robustreg.solvers.direct import DIRECT
from robustreg.solvers.krylov import KRYLOV
from robustreg.solvers.majorised import beyond_saddle, convex_start, majorised_newton
from robustreg.solvers.proximal import PROXIMAL
from robustreg.solvers.results import Start
from robustreg.tolerance import stationarity

REDESCENDING = [name for name in LOSSES if not make_loss(name).facts.convex]
TRUTH = np.array([1.0, -2.0, 0.5])
every_loss = pytest.mark.parametrize("loss", REDESCENDING)
every_penalty = pytest.mark.parametrize("penalty", PENALTIES)


def contaminated(share=0.2, n=200, seed=0):
    """Return rows of which the first are gross outliers, and which are clean."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) * [1, 3, 0.2] + [0, 5, -20]
    y = X @ TRUTH + 3 + rng.normal(size=n)
    bad = np.arange(n) < share * n
    return X, np.where(bad, y + 40 + 10 * rng.random(n), y), ~bad


def value_of(model, X, y, coef, intercept):
    """Return the objective of some coefficients, in the terms of a fitted model."""
    loss = make_loss(model.loss, model.beta, model.quantile)
    penalty = make_penalty(model.penalty, model.alpha, model.l1_ratio, X.shape[1])
    residual = (y - X @ coef - intercept) / model.scale_
    return loss.value(residual).mean() + penalty.value(coef / model.scale_)


def make_objective(loss, penalty=None, sparse=False, quantile=0.5):
    """Return an objective in standardised coordinates."""
    X, y, _ = contaminated()
    weight = np.random.default_rng(1).integers(0, 3, y.size).astype(float)
    rows = make_rows(sp.csr_array(X) if sparse else X, weight, True)
    strength = make_penalty(penalty, 0.05, 0.5, X.shape[1])
    named = make_loss(loss, None, quantile)
    return Objective(rows, y - np.median(y), weight / weight.sum(), named, strength)


@pytest.mark.parametrize(
    ("loss", "penalty", "quantile"), pairwise(REDESCENDING, PENALTIES, (0.5, 0.6))
)
def test_no_fit_nearby_is_better(loss, penalty, quantile):
    X, y, _ = contaminated()
    params = {
        "beta": None,
        "penalty": penalty,
        "alpha": 0.05 if penalty else 0.0,
        "quantile": quantile,
    }
    model = SmoothL1Regressor(loss, **params).fit(X, y)
    assert np.isnan(model.dual_gap_) and model.stationarity_ <= 1e-10
    reached = value_of(model, X, y, model.coef_, model.intercept_)
    rng = np.random.default_rng(2)
    for size in (1e-1, 1e-2, 1e-4):
        for step in size * rng.normal(size=(50, 4)):
            # A constant is as well fitted by the third column as by the intercept.
            coef, intercept = model.coef_ + step[1:], model.intercept_ + step[0]
            near = value_of(model, X, y, coef, intercept + 20 * step[3])
            assert reached <= near + 1e-14


@pytest.mark.parametrize(
    ("loss", "penalty", "scale"), pairwise(REDESCENDING, PENALTIES, (1.0, "mad"))
)
def test_gross_outliers_are_as_good_as_absent(loss, penalty, scale):
    X, y, good = contaminated()
    params = {"beta": None, "penalty": penalty, "alpha": 0.01 if penalty else 0.0}
    model = SmoothL1Regressor(loss, scale=scale, **params).fit(X, y)
    # The same share of the rows, so that the penalty counts as much.
    params["alpha"] /= good.mean()
    clean = SmoothL1Regressor(loss, scale=model.scale_, **params).fit(X[good], y[good])
    if loss == "cauchy":
        # Its slope falls only as 1 / r: what is left is 5.7 / 40 a row.
        np.testing.assert_allclose(model.coef_, clean.coef_, atol=0.3)
        assert model.weights_[~good].max() < 0.02
        return
    # exp(-(40 / 2.985 / scale)^2) of welsch is less than any rounding error.
    assert_same_fit(model, clean, rtol=1e-9)
    assert model.weights_[~good].max() < 1e-12
    assert np.median(model.weights_[good]) > 0.8


@pytest.mark.parametrize(
    ("loss", "penalty", "quantile", "start"),
    pairwise(REDESCENDING, (None, "l2", "elasticnet"), (0.5, 0.3), (0.0, 1.0, 30.0)),
)
def test_no_step_goes_up(loss, penalty, quantile, start):
    objective = make_objective(loss, penalty, quantile=quantile)
    params = start * np.random.default_rng(3).normal(size=objective.n_params)
    rule = PROXIMAL if penalty == "elasticnet" else DIRECT
    values = [objective.evaluate(params).value]
    for limit in (1, 2, 3, 5, 8, 13, 200):
        result = majorised_newton(
            objective, Start(params), step_rule=rule, tol=1e-10, max_iter=limit
        )
        values.append(result.value)
    assert result.success and stationarity(objective, result.point) <= 1e-10
    assert (np.diff(values) <= 1e-13 * values[0]).all()


@every_loss
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("penalty", [None, "l2"])
def test_every_rule_of_steps_ends_in_the_same_minimum(loss, penalty, sparse):
    objective = make_objective(loss, penalty, sparse)
    convex = objective.with_loss(convex_start(objective.loss), objective.target)
    zero = Start(np.zeros(objective.n_params))
    start = Start(solve(convex, zero, "auto", 1e-8, 100).params)
    found = [
        majorised_newton(objective, start, step_rule=rule, tol=1e-11, max_iter=200)
        for rule in (DIRECT, KRYLOV, PROXIMAL)
    ]
    assert all(result.success for result in found)
    for other in found[1:]:
        np.testing.assert_allclose(other.params, found[0].params, rtol=0, atol=1e-8)


@every_loss
def test_near_the_minimum_it_is_newtons_method(loss):
    objective = make_objective(loss)
    far = solve(objective, Start(np.zeros(objective.n_params)), "auto", 1e-10, 100)
    start = far.params + 1e-3 * np.random.default_rng(4).normal(size=far.params.size)
    options = {"step_rule": DIRECT, "tol": 1e-12, "max_iter": 50}
    near = majorised_newton(objective, Start(start), **options)
    # 1e-3, 1e-6, 1e-12: quadratic, and a row that crosses the end of talwar's parabola.
    assert near.success and near.n_iter <= 4
    np.testing.assert_allclose(near.params, far.params, rtol=0, atol=1e-9)


# Rows in pairs, whose medians are maxima of most losses; talwar is flat there.
@pytest.mark.parametrize("loss", [name for name in REDESCENDING if name != "talwar"])
@pytest.mark.parametrize("penalty", [None, "l1", "l2"])
def test_no_fit_is_a_maximum_or_a_saddle(loss, penalty):
    X = np.random.default_rng(0).normal(size=(8, 2)).repeat(2, axis=0)
    y = np.tile([3.1, -3.1], 8) + X[:, 0]
    params = {
        "penalty": penalty,
        "alpha": 1e-3 if penalty else 0.0,
        "fit_intercept": False,
        "scale": 1.0,
    }
    model = RobustRegressor(loss, **params).fit(X, y)
    assert model.stationarity_ <= 1e-10
    reached = value_of(model, X, y, model.coef_, 0.0)
    for step in 1e-2 * np.random.default_rng(1).normal(size=(50, 2)):
        assert reached < value_of(model, X, y, model.coef_ + step, 0.0)


@every_loss
def test_a_previous_result_is_the_start_itself(loss):
    objective = make_objective(loss)
    first = solve(objective, Start(np.zeros(objective.n_params)), "auto", 1e-12, 100)
    again = solve(objective, first.as_start(), "auto", 1e-10, 100)
    assert again.n_iter == 0
    np.testing.assert_array_equal(again.params, first.params)


@pytest.mark.parametrize(
    ("loss", "penalty", "scale"),
    pairwise(REDESCENDING, (None, "l1"), (1.0, "mad", "proposal2")),
)
def test_weights_are_repeated_rows_in_any_order(loss, penalty, scale):
    X, y, _ = contaminated(n=60)
    rng = np.random.default_rng(5)
    count = rng.integers(0, 4, y.size)
    params = {
        "beta": None,
        "penalty": penalty,
        "alpha": 0.05 if penalty else 0.0,
        "scale": scale,
    }
    weighted = SmoothL1Regressor(loss, **params).fit(X, y, sample_weight=count)
    index = rng.permutation(np.repeat(np.arange(y.size), count))
    repeated = SmoothL1Regressor(loss, **params).fit(X[index], y[index])
    assert_same_fit(weighted, repeated, rtol=1e-8)
    assert weighted.scale_ == pytest.approx(repeated.scale_, rel=1e-8)


@pytest.mark.parametrize(
    ("offset", "scale", "n_columns"), [(120, 4, 5), (1000, 20, 10)]
)
def test_many_rows_in_any_order_where_few_of_them_count(offset, scale, n_columns):
    """A few rows make many valleys, and no sample may choose among these."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, n_columns))
    y = offset + 10 * rng.normal(size=20_000)
    order = rng.permutation(20_000)
    params = {"scale": scale, "penalty": None, "fit_intercept": False}
    model = RobustRegressor("hampel", **params).fit(X, y)
    again = RobustRegressor("hampel", **params).fit(X[order], y[order])
    assert model.weights_.mean() < 0.3
    np.testing.assert_allclose(again.coef_, model.coef_, rtol=0, atol=1e-9 * offset)


@every_loss
@pytest.mark.parametrize("scale", ["mad", "proposal2"])
def test_scaling_y_scales_the_fit(loss, scale):
    X, y, _ = contaminated()
    model = RobustRegressor(loss, penalty="l2", alpha=0.1, scale=scale).fit(X, y)
    other = RobustRegressor(loss, penalty="l2", alpha=0.1, scale=scale).fit(X, 1e7 * y)
    assert_same_fit(other, model, rtol=1e-9, factor=1e7)


STACKLOSS = sm.datasets.stackloss.load_pandas()
PEERS = {
    "tukey": sm.robust.norms.TukeyBiweight(4.685),
    "talwar": sm.robust.norms.TrimmedMean(2.795),
    "hampel": sm.robust.norms.Hampel(1.382, 2 * 1.382, 4 * 1.382),
    "andrews": sm.robust.norms.AndrewWave(1.339),
}


@pytest.mark.parametrize("data", ["stackloss", "contaminated"])
@pytest.mark.parametrize("loss", PEERS)
def test_mad_fit_is_a_fixed_point_of_statsmodels(loss, data):
    X, y = STACKLOSS.exog.to_numpy(), STACKLOSS.endog.to_numpy()
    if data == "contaminated":
        X, y, _ = contaminated()
    model = RobustRegressor(loss).fit(X, y)
    params = np.append(model.intercept_, model.coef_)
    peer = sm.RLM(y, sm.add_constant(X), M=PEERS[loss])
    other = peer.fit(scale_est="mad", start_params=params, maxiter=500, tol=1e-13)
    np.testing.assert_allclose(other.params, params, rtol=1e-7)
    assert other.scale == pytest.approx(model.scale_, rel=1e-8)


def test_agrees_with_rlm_of_mass():
    # Rscript -e 'library(MASS); f <- rlm(stack.loss ~ ., stackloss,
    #   psi = psi.bisquare, maxit = 2000, acc = 1e-14); print(c(coef(f), f$s), 15)'
    # with R 4 and MASS 7.3. Its MAD divides by 0.6745, so that beta is as much larger.
    X, y = STACKLOSS.exog.to_numpy(), STACKLOSS.endog.to_numpy()
    factor = 1.482602218505602 * 0.6745
    model = RobustRegressor("tukey", beta=4.685 / factor).fit(X, y)
    expected = [0.927558992802422, 0.650711198390210, -0.112333123035659]
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-9)
    assert model.intercept_ == pytest.approx(-42.2853215364912, rel=1e-9)
    assert model.scale_ / factor == pytest.approx(2.281853314566936, rel=1e-9)


@pytest.mark.parametrize(
    ("loss", "penalty", "fit_intercept"),
    pairwise(REDESCENDING, ("l1", "l2"), (True, False)),
)
def test_a_path_is_single_fits(loss, penalty, fit_intercept):
    X, y, _ = contaminated()
    params = {"loss": loss, "beta": None, "penalty": penalty, "scale": 2.0}
    params["fit_intercept"] = fit_intercept
    alphas = [0.5, 0.1, 0.0] if penalty == "l2" else None
    path = robust_path(X, y, n_alphas=5, alphas=alphas, **params)
    assert np.isnan(path.dual_gaps).all()
    assert penalty == "l2" or not path.coefs[:, 0].any()
    for place, alpha in enumerate(path.alphas):
        kept = params if alpha else params | {"penalty": None}
        single = SmoothL1Regressor(alpha=alpha, **kept).fit(X, y)
        np.testing.assert_allclose(path.coefs[:, place], single.coef_, atol=1e-6)
        np.testing.assert_allclose(path.intercepts[place], single.intercept_, atol=1e-5)


@every_loss
@pytest.mark.parametrize("make", [SmoothL1Regressor, L1Regressor, RobustRegressor])
def test_a_warm_start_ends_in_the_same_valley(make, loss):
    X, y, _ = contaminated()
    cold = make(loss, beta=None).fit(X, y)
    warm = make(loss, beta=None, warm_start=True).fit(X, -y[::-1]).fit(X, y)
    assert_same_fit(warm, cold, rtol=1e-8)


@every_loss
@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_more_columns_than_rows(loss, penalty):
    rng = np.random.default_rng(6)
    X = rng.normal(size=(40, 80))
    y = X[:, :3] @ TRUTH + 0.1 * rng.normal(size=40)
    y[:4] += 50
    model = SmoothL1Regressor(loss, beta=None, penalty=penalty, alpha=0.1).fit(X, y)
    assert model.stationarity_ <= 1e-10
    assert_same_fit(
        SmoothL1Regressor(loss, beta=None, penalty=penalty, alpha=0.1).fit(
            sp.csr_array(X), y
        ),
        model,
        rtol=1e-8,
    )


@every_loss
def test_an_exact_fit_is_stationary(loss):
    rng = np.random.default_rng(9)
    X, y = rng.normal(size=(20, 60)), rng.normal(size=20)
    model = SmoothL1Regressor(loss, beta=None).fit(X, y)
    assert model.stationarity_ == 0
    np.testing.assert_allclose(model.predict(X), y, rtol=0, atol=1e-9)


@every_loss
def test_dependent_columns_share_by_least_norm(loss):
    rng = np.random.default_rng(7)
    group = rng.integers(0, 4, 200)
    y = TRUTH.sum() * group + rng.standard_t(2, size=200)
    dummies = np.eye(4)[group]
    model = SmoothL1Regressor(loss, beta=None).fit(dummies, y)
    fewer = SmoothL1Regressor(loss, beta=None).fit(dummies[:, 1:], y)
    np.testing.assert_allclose(
        model.predict(dummies), fewer.predict(dummies[:, 1:]), rtol=0, atol=1e-8
    )


@pytest.mark.parametrize("make", [SmoothL1Regressor, L1Regressor, RobustRegressor])
def test_the_warning_speaks_of_stationarity(make):
    X, y, _ = contaminated()
    with pytest.warns(ConvergenceWarning, match=r"local minimum's .* condition is \d"):
        make("tukey", scale=1.0, max_iter=1, penalty="l2", alpha=1.0).fit(X, y)


def test_a_convex_solver_is_refused():
    X, y, _ = contaminated()
    message = "solver='newton' .* needs a convex loss. .*'majorised-newton'"
    with pytest.raises(ValueError, match=message):
        SmoothL1Regressor("tukey", solver="newton").fit(X, y)
    with pytest.raises(
        ValueError, match=r"'majorised-newton' .* needs a loss that is not convex"
    ):
        SmoothL1Regressor(solver="majorised-newton").fit(X, y)


def test_an_instance_of_a_users_own():
    class Geman(Loss):
        """``r^2 / (1 + r^2) / 2``."""

        facts = LossFacts(1.0, (-0.325, 0.325), convex=False, largest_value=0.5)

        def value(self, residual):
            return 0.5 * residual**2 / (1 + residual**2)

        def gradient(self, residual):
            return residual / (1 + residual**2) ** 2

        def curvature(self, residual):
            return (1 - 3 * residual**2) / (1 + residual**2) ** 3

        def conjugate(self, slope):
            return np.where(slope == 0, 0.0, np.inf)

    X, y, _ = contaminated()
    model = RobustRegressor(Geman()).fit(X, y)
    assert model.stationarity_ <= 1e-9
    np.testing.assert_allclose(model.coef_[:2], TRUTH[:2], atol=0.2)
    one, other = RobustRegressor(Tukey(4.685)), RobustRegressor("tukey")
    assert_same_fit(one.fit(X, y), other.fit(X, y))


@every_loss
def test_costs_a_few_times_the_convex_fit(loss):
    rng = np.random.default_rng(8)
    X = rng.normal(size=(30_000, 8))
    y = X.sum(axis=1) + rng.standard_t(1.5, size=30_000)
    rows = make_rows(X, np.ones(y.size), True)
    share = np.full(y.size, 1 / y.size)
    objective = Objective(
        rows, y, share, make_loss(loss, None), make_penalty(None, 0, 0, 8)
    )
    result = solve(objective, Start(np.zeros(9)), "auto", 1e-10, 100)
    # Four of them and a sample's are the convex fit's.
    assert result.success and rows.passes <= 40


def test_a_minimum_at_which_no_row_pulls_is_found():
    # At the intercept 1 all other targets lie exactly at the threshold.
    X = np.random.RandomState(0).random_sample((30, 3))
    y = np.arange(30.0) % 3
    model = SmoothL1Regressor("tukey", penalty="elasticnet", alpha=0.01).fit(X, y)
    assert model.stationarity_ == 0
    np.testing.assert_allclose(
        [*model.coef_, model.intercept_], [0, 0, 0, 1], atol=1e-12
    )


@every_loss
def test_an_exact_fit_is_no_saddle(loss):
    """Rounding errors give a Hessian of fewer rows than columns eigenvalues below 0."""
    X = np.random.default_rng(0).normal(size=(2, 48))
    weight = np.full(2, 0.5)
    rows = make_rows(X, weight, True)
    none = make_penalty(None, 0.0, 0.5, 48)
    for target in (np.zeros(2), np.array([1e-200, -1e-200])):
        objective = Objective(rows, target, weight, make_loss(loss), none)
        point = objective.evaluate(np.zeros(rows.n_params))
        assert beyond_saddle(objective, point) is None
    model = SmoothL1Regressor(loss).fit(X, [5.0, 5.0])
    assert model.n_iter_ == 1
    np.testing.assert_array_equal(model.coef_, 0.0)
