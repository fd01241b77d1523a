"""Scales that vanish: seen in a few fits, and said in one warning."""

import warnings

import numpy as np
import pytest
from fuzz_checks import run
from fuzz_problems import draw

from robustreg import L1Regressor, RobustRegressor, ScaleCollapseWarning
from robustreg.fitting.any_scale import AnyScale
from robustreg.losses import make_loss
from robustreg.objective import Objective
from robustreg.penalties import make_penalty
from robustreg.rows import make_rows
from robustreg.scale import proposal2
from robustreg.solvers import Start, solve
from robustreg.solvers.profiled import tangent_at

SMOOTH = "smooth_l1", "huber", "pseudo_huber", "log_cosh"
REDESCENDING = "tukey", "welsch", "cauchy", "hampel", "andrews", "talwar"


@pytest.fixture
def scales(monkeypatch):
    """Return a list to which each fit adds its scale."""
    seen, fit = [], AnyScale.fit

    def count(self, scale, *args, **options):
        seen.append(scale)
        return fit(self, scale, *args, **options)

    monkeypatch.setattr(AnyScale, "fit", count)
    return seen


def wide_data(n=100, p=250, seed=0):
    """Return more columns than rows, and heavy tails."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return X, X[:, :10].sum(axis=1) + rng.standard_t(2, size=n)


@pytest.mark.parametrize("scale", ["mad", "proposal2"])
@pytest.mark.parametrize("loss", SMOOTH)
def test_a_scale_that_vanishes_is_seen_in_a_few_fits(loss, scale, scales, factors):
    """Params in use are as many as rows at any small scale. Once it took 17 fits."""
    X, y = wide_data()
    model = RobustRegressor(loss, penalty="l1", alpha=0.02, scale=scale)
    with pytest.warns(ScaleCollapseWarning, match="because there are 251") as caught:
        model.fit(X, y)
    assert len(caught) == 1 and len(scales) <= 6
    assert min(scales) == model.scale_ < 1e-9
    # Nearly all are of the first three scales.
    assert len(factors) <= 1500
    kinked = L1Regressor(penalty="l1", alpha=0.02).fit(X, y)
    np.testing.assert_allclose(model.coef_, kinked.coef_, atol=1e-7)


@pytest.mark.parametrize("scale", [0.02, 1e-3, 1e-5])
@pytest.mark.parametrize("loss", SMOOTH)
def test_a_middle_that_holds_few_rows_costs_no_more_than_a_kink(loss, scale, factors):
    """At the smallest of these scales it took ten times as many factors."""
    X, y = wide_data()
    model = RobustRegressor(loss, penalty="l1", alpha=0.02, scale=scale).fit(X, y)
    assert len(factors) <= 350
    assert model.dual_gap_ * scale <= 1e-9
    kinked = L1Regressor(penalty="l1", alpha=0.02).fit(X, y)
    np.testing.assert_allclose(model.coef_, kinked.coef_, atol=scale)


@pytest.mark.parametrize("alpha", [1e-4, 0.01])
@pytest.mark.parametrize("loss", REDESCENDING)
def test_exact_rows_have_no_scale(loss, alpha, scales):
    """However small it is, the penalty moves all residuals by a share of it."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 5))
    y = X @ np.arange(1.0, 6.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = RobustRegressor(loss, penalty="l1", alpha=alpha).fit(X, y)
    assert [one.category for one in caught] == [ScaleCollapseWarning]
    np.testing.assert_allclose(model.coef_, np.arange(1.0, 6.0), rtol=1e-8)
    # The fits that start it are two.
    assert len(scales) <= 8


@pytest.mark.parametrize("penalty", ["l1", "l2", "elasticnet"])
@pytest.mark.parametrize("loss", ["huber", "pseudo_huber", "tukey"])
def test_a_fit_moves_with_its_scale_along_the_tangent(loss, penalty):
    X, y = wide_data(80, 12)
    weight = np.full(80, 1 / 80)
    rows = make_rows(X, weight, True)
    strength = make_penalty(penalty, 0.05, 0.5, 12).rescaled(rows.standard.unit)

    def fit_at(scale, start):
        objective = Objective(rows, y / scale, weight, make_loss(loss), strength)
        near = Start(start / scale, is_near=True)
        return solve(objective, near, "auto", 1e-14, 500).point

    here = fit_at(1.0, np.zeros(13))
    step = 1e-5
    before, after = (s * fit_at(s, here.params).params for s in (1 - step, 1 + step))
    slope = (after - before) / (2 * step)
    np.testing.assert_allclose(tangent_at(here), slope, atol=1e-4 * np.abs(slope).max())


def test_what_a_rough_fit_says_that_does_not_gain_is_asked_again():
    """Near a scale of 0 it was off by a factor of 50, and the end by a quarter."""
    problem = draw(1994)
    model = run(problem).model
    residual = problem.y - model.predict(problem.contained())
    scale = proposal2(residual, np.ones(14), 14)
    assert scale == pytest.approx(model.scale_, rel=1e-3)
