"""The scale of the residuals: what it estimates, and what happens where it is 0."""

import warnings

import numpy as np
import pytest
from calls import calls_of
from oracles import CONVEX, PENALTIES, assert_same_fit
from pairwise import pairwise
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ParameterGrid

from robustreg import (
    MMRegressor,
    RobustRegressor,
    ScaleCollapseWarning,
    SmoothL1Regressor,
)
from robustreg.fitting.any_scale import AnyScale
from robustreg.fitting.in_turn import FitsInTurn
from robustreg.losses import SmoothL1
from robustreg.scale import FixedPoint

ROBUST = [loss for loss in CONVEX if loss != "l2"]
TRUTH = np.array([1.0, -2.0, 0.5])


def clean(n=50, sigma=1.0, seed=4):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, X @ TRUTH + 3 + sigma * rng.normal(size=n)


def fit_collapsed(model, X, y, weight=None):
    """Fit where the scale is 0, which must be said exactly once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, sample_weight=weight)
    assert [w.category for w in caught] == [ScaleCollapseWarning]
    assert model.scale_ > 0
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.intercept_)
    return model


@pytest.mark.parametrize("loss", CONVEX)
@pytest.mark.parametrize("scale", ["mad", "proposal2"])
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_an_exact_fit_collapses_and_is_found(loss, scale, unit):
    X, _ = clean()
    y = unit * (X @ TRUTH + 3)
    model = fit_collapsed(RobustRegressor(loss, scale=scale), X, y)
    np.testing.assert_allclose(model.coef_, unit * TRUTH, rtol=1e-9)
    assert model.scale_ <= 1e-9 * np.abs(y).mean()


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", ROBUST)
def test_three_fifths_exact_rows_are_fitted_exactly(loss, penalty):
    X, y = clean(200, sigma=0)
    y[:80] += np.random.default_rng(1).normal(size=80) * 20
    model = RobustRegressor(loss, penalty=penalty, alpha=1e-14 if penalty else 0.0)
    fit_collapsed(model, X, y)
    np.testing.assert_allclose(model.coef_, TRUTH, atol=1e-7)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", CONVEX)
@pytest.mark.parametrize("value", [0.0, 7.0, -1e9])
def test_a_constant_y_is_its_own_fit(loss, penalty, value):
    X, _ = clean()
    y = np.full(len(X), value)
    model = RobustRegressor(loss, penalty=penalty, alpha=0.1 if penalty else 0.0)
    fit_collapsed(model, X, y)
    assert np.abs(model.coef_).max() <= 1e-12 * abs(value)
    assert model.intercept_ == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("loss", CONVEX)
@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_constant_y_at_a_fixed_scale(loss, value):
    X, _ = clean()
    model = SmoothL1Regressor(loss).fit(X, np.full(len(X), value))
    assert np.abs(model.coef_).max() <= 1e-12
    assert model.intercept_ == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("loss", CONVEX)
@pytest.mark.parametrize("shape", [(4, 3), (3, 3), (5, 20), (1, 1), (1, 4), (2, 1)])
def test_no_more_rows_than_params_are_fitted_exactly(loss, shape):
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=shape), rng.normal(size=shape[0])
    model = fit_collapsed(RobustRegressor(loss), X, y)
    np.testing.assert_allclose(model.predict(X), y, rtol=0, atol=1e-9)


def mostly_zero(share, shift=0.0):
    """Return whole numbers of which all but a share are the same."""
    X, _ = clean(100)
    y = np.full(100, shift)
    n = round(100 * share)
    y[:n] += np.random.default_rng(3).integers(1, 5, size=n)
    return X, y


@pytest.mark.parametrize("shift", [0.0, 2.0])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.2, 0.3, 0.45])
@pytest.mark.parametrize("loss", CONVEX)
def test_a_y_of_which_most_are_tied_has_a_defined_scale(loss, share, shift):
    X, y = mostly_zero(share, shift)
    model = RobustRegressor(loss)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    measured = np.median(np.abs(y - model.predict(X))) / norm.ppf(0.75)
    if caught:
        assert [w.category for w in caught] == [ScaleCollapseWarning]
        assert measured <= model.scale_
    else:
        assert model.scale_ == pytest.approx(measured, rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 2.0])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("loss", ["l1", "quantile"])
def test_the_median_fit_of_tied_values_is_their_value(loss, share, shift):
    X, y = mostly_zero(share, shift)
    model = SmoothL1Regressor(loss).fit(X, y)
    assert np.abs(model.predict(X) - shift).max() <= 1e-12


@pytest.mark.parametrize("share", [0.02, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("loss", CONVEX)
def test_tied_values_at_a_fixed_scale(loss, share):
    X, y = mostly_zero(share)
    near = SmoothL1Regressor(loss).fit(X, y)
    far = SmoothL1Regressor(loss).fit(X, y + 2)
    np.testing.assert_allclose(far.coef_, near.coef_, rtol=0, atol=1e-11)
    assert far.intercept_ - near.intercept_ == pytest.approx(2, abs=1e-11)


@pytest.mark.parametrize("loss", CONVEX)
@pytest.mark.parametrize("scale", ["mad", "proposal2"])
def test_whole_numbers_have_a_scale(loss, scale):
    rng = np.random.default_rng(3)
    X = rng.integers(0, 4, size=(120, 3)).astype(float)
    y = X @ [1.0, 2, 0] + rng.integers(-3, 4, size=120)
    model = RobustRegressor(loss, scale=scale).fit(X, y)
    assert 1 < model.scale_ < 5


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("loss", CONVEX)
def test_mad_is_the_median_of_the_fits_own_residuals(loss, weighted):
    X, y = clean(51)
    weight = np.random.default_rng(0).integers(1, 4, size=51) if weighted else None
    model = RobustRegressor(loss).fit(X, y, weight)
    size = np.abs(y - model.predict(X))
    size = np.repeat(size, 1 if weight is None else weight)
    # A kinked fit jumps with the scale only if it is penalised.
    assert model.scale_ == pytest.approx(np.median(size) / norm.ppf(0.75), rel=1e-9)


@pytest.mark.parametrize("scale", ["mad", "proposal2"])
@pytest.mark.parametrize("sigma", [1e-6, 1.0, 1e6])
def test_scale_is_the_standard_deviation_of_gaussian_errors(scale, sigma):
    X, y = clean(50_000, sigma, seed=9)
    model = RobustRegressor(scale=scale).fit(X, y)
    # The standard error of the MAD is 1.17 / sqrt(n) = 0.0052; five of them.
    assert model.scale_ == pytest.approx(sigma, rel=0.026)
    flagged = np.mean(np.abs(y - model.predict(X)) > 1.345 * model.scale_)
    # Its own error is 0.0017, the scale's adds 0.43 * 0.0052; five of the sum.
    assert flagged == pytest.approx(2 * norm.sf(1.345), abs=0.02)
    # Rows within the breakpoint count fully: not even a rounding error less.
    assert np.mean(model.weights_ < 1) == pytest.approx(flagged, abs=1e-4)


def test_the_default_breakpoint_has_95_percent_efficiency():
    losses = ["smooth_l1", "pseudo_huber", "log_cosh"]
    errors = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(400, 20)), rng.normal(size=400)
        squares = np.linalg.lstsq(np.column_stack([X, np.ones(400)]), y)[0][:-1]
        robust = [RobustRegressor(loss).fit(X, y).coef_ for loss in losses]
        errors.append([squares, *robust])
    squares, *robust = np.mean(np.square(errors), axis=(0, 2))
    # 2400 estimates each, correlated by sqrt(0.95): the standard error of the ratio is
    # sqrt(4 * 0.05 / 2400) = 0.009. Four of them tell 0.95 from 0.889 and from 1.
    for loss, error in zip(losses, robust, strict=True):
        assert squares / error == pytest.approx(0.95, abs=0.036), loss


@pytest.mark.parametrize(
    ("loss", "penalty", "scale"), pairwise(CONVEX, PENALTIES, (1.0, "mad"))
)
def test_alpha_means_the_same_for_ten_times_the_rows_or_weights(loss, penalty, scale):
    X, y = clean()
    params = {"penalty": penalty, "alpha": 0.1 if penalty else 0.0, "scale": scale}
    once = RobustRegressor(loss, **params).fit(X, y)
    rows = RobustRegressor(loss, **params).fit(np.tile(X, (10, 1)), np.tile(y, 10))
    weights = RobustRegressor(loss, **params).fit(X, y, np.full(50, 10.0))
    for other in (rows, weights):
        assert_same_fit(other, once, rtol=1e-8)
        assert other.scale_ == pytest.approx(once.scale_, rel=1e-8)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_the_share_of_shrinkage_does_not_depend_on_the_units_of_y(unit):
    X, y = clean(200)
    plain = RobustRegressor().fit(X, y)
    shrunken = RobustRegressor(penalty="l2", alpha=0.3).fit(X, unit * y)
    share = shrunken.coef_ / unit / plain.coef_
    reference = RobustRegressor(penalty="l2", alpha=0.3).fit(X, y).coef_ / plain.coef_
    np.testing.assert_allclose(share, reference, rtol=1e-9)
    assert (share < 0.95).all()


# Samples of which this is so in any order of the rows, whose rounding errors differ.
@pytest.mark.parametrize("seed", [15, 21, 27])
def test_a_scale_of_rounding_errors_is_none(seed, monkeypatch):
    """A fit through rows of 1e9 leaves others residuals of 1e-7 that mean nothing."""
    rng = np.random.default_rng(seed)
    y = 100 + 0.01 * rng.normal(size=13)
    y[:5] = 1e9 * rng.standard_t(1, size=5)
    X = rng.normal(size=(13, 2))
    weight = np.array([2, 1, 0, 0, 0, 3, 0, 0, 1, 3, 2, 0, 1.0])
    fits = calls_of(monkeypatch, AnyScale, "fit")
    with pytest.warns(ScaleCollapseWarning):
        model = SmoothL1Regressor(scale="mad").fit(X, y, sample_weight=weight)
    assert len(fits) <= 10
    assert 1e-8 < model.scale_ < 1e-5


def test_a_row_far_off_in_x_is_no_rounding_error_of_others():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 2))
    X[0, 0] = 1e12
    y = X.sum(axis=1) + 1e-6 * rng.normal(size=3000)
    y[0] = 1e12
    y[1:900] += 1e-4
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = RobustRegressor("tukey").fit(X, y)
    # Rounding errors of the far row's column let fit and scale agree to 4 % only.
    assert all(w.category is ConvergenceWarning for w in caught)
    assert 1.4e-6 < model.scale_ < 1.8e-6
    assert model.residual_scale_ == model.scale_
    assert model.outliers_[1:900].all() and not model.outliers_[900:].mean() > 0.02


@pytest.mark.parametrize("n_targets", [1, 3])
@pytest.mark.parametrize("loss", ["l1", "l2", "huber", "tukey"])
def test_a_scale_below_what_offsets_leave_of_predictions_has_collapsed(loss, n_targets):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2)) + 1e8
    y = np.outer((X - 1e8).sum(axis=1), np.ones(n_targets))
    near, noise = y[:, 0] if n_targets == 1 else y, rng.normal(size=y.shape).squeeze()
    model = RobustRegressor(loss, scale="mad")
    # Predictions are sums of terms of 1e8, each known to 1e-8.
    with pytest.warns(ScaleCollapseWarning):
        model.fit(X, near + 1e-9 * noise)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, near + 1e-6 * noise)


def said_of_collapse(model, X, y, weight=None):
    with pytest.warns(ScaleCollapseWarning, match="collapsed") as caught:
        model.fit(X, y, sample_weight=weight)
    return str(caught[0].message)


@pytest.mark.parametrize("make", [RobustRegressor, MMRegressor])
def test_a_collapse_says_that_y_is_mostly_one_value(make):
    X, y = mostly_zero(0.1, 2.0)
    said = said_of_collapse(make(), X, y)
    assert "y is 2 in 90 of 100 rows" in said and "number as scale" in said
    assert "columns" not in said
    said = said_of_collapse(make(), X, y, 1.0 + (y == 2))
    assert "y is 2 in rows with 94.7% of the weight" in said


def test_a_collapse_says_that_columns_are_many():
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(20, 15)), rng.normal(size=20)
    said = said_of_collapse(RobustRegressor("l1"), X, y)
    assert "16 coefficients for 20 rows" in said and "Drop columns" in said
    said = said_of_collapse(RobustRegressor(), X[:, :2], X[:, 0])
    assert "because" not in said and "meant to be exact" in said


def test_a_collapse_looks_at_the_target_that_collapsed():
    X, y = mostly_zero(0.1)
    both = np.column_stack([X[:, 0] + np.arange(100) % 7, y])
    assert "y is 0 in 90 of 100 rows" in said_of_collapse(RobustRegressor(), X, both)


def test_warnings_of_a_search_tell_its_fits_apart():
    X, y = mostly_zero(0.1)
    grid = ParameterGrid({"loss": ["huber", "tukey"], "beta": [0.5, None, 2.0]})
    said = {said_of_collapse(RobustRegressor(**point), X, y) for point in grid}
    assert len(said) == len(grid)
    model = SmoothL1Regressor(
        "huber", beta=0.5, quantile=0.4, penalty="l2", alpha=np.float64(0.1)
    )
    model.set_params(max_iter=1, tol=1e-14)
    y = X.sum(axis=1) + np.arange(100) % 7
    with pytest.warns(
        ConvergenceWarning, match=r"loss='huber', beta=0\.5, q.*0\.4.*0\.1"
    ):
        model.fit(X, y)
    with pytest.warns(ScaleCollapseWarning, match=r"\(efficiency=0\.9, breakdown=0\.5"):
        MMRegressor(efficiency=0.9).fit(X, X[:, 0])


@pytest.mark.parametrize("loss", ["smooth_l1", "tukey"])
def test_a_scale_that_rounding_errors_hide_much_of_is_not_told(monkeypatch, loss):
    X, y = clean(100)
    off = 1.02 * RobustRegressor(loss).fit(X, y).scale_

    def torn(measure_at, *args, **kinds):
        measure_at(off)
        return FixedPoint(off, disagreement=-0.02)

    monkeypatch.setattr("robustreg.fitting.estimated.find_fixed_point", torn)
    monkeypatch.setattr("robustreg.fitting.in_turn.INNER_ITERATIONS", 1)
    monkeypatch.setattr(FitsInTurn, "hidden", lambda self: 0.05)
    with pytest.warns(ConvergenceWarning):
        RobustRegressor(loss).fit(X, y)


def test_a_scale_that_does_not_settle_is_that_of_its_fit(monkeypatch):
    def torn(measure_at, start, *args, **kinds):
        measure_at(start)
        measure_at(3 * start)
        # Which of two the search names, rounding may decide.
        return FixedPoint(3 * start, disagreement=0.5)

    monkeypatch.setattr("robustreg.fitting.estimated.find_fixed_point", torn)
    X, y = clean(100)
    with pytest.warns(ConvergenceWarning):
        model = SmoothL1Regressor(scale="mad").fit(X, y)
    slopes = SmoothL1(model.beta).gradient((y - model.predict(X)) / model.scale_)
    assert np.abs(X.T @ slopes).max() <= 1e-6 * np.abs(slopes).sum()
