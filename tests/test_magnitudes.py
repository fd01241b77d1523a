"""Of any size the right answer, or an error that names what is too large or small."""

import re
import warnings
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose
from oracles import assert_same_fit
from pairwise import pairwise
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from robustreg import (
    L1Regressor,
    MMRegressor,
    RobustRegressor,
    ScaleCollapseWarning,
    SmoothL1Regressor,
    robust_path,
)
from robustreg.inference import coef_covariance
from robustreg.losses import LOSSES, make_loss
from robustreg.validation import SIZES

N = 40
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3))
Y = X @ [1.0, -2.0, 0.5] + RNG.standard_t(2, size=N)
HUGE = 1.79e308


def spoiled(value, count=3):
    y = Y.copy()
    y[:count] = value
    return y


SETTINGS = (LOSSES, ("mad", "proposal2", 1.0), (None, "l1", "l2"))


def model_of(loss, scale, penalty):
    alpha = 0.0 if penalty is None else 0.01
    return RobustRegressor(loss, scale=scale, penalty=penalty, alpha=alpha)


def models(losses=tuple(LOSSES)):
    """Return models in which any two of loss, scale and penalty meet, and another."""
    robust = [model_of(*each) for each in pairwise(losses, *SETTINGS[1:])]
    return [*robust, MMRegressor(n_subsets=20)]


def models_and(values):
    """Return models with values, in which any two of what there is meet."""
    robust = pairwise(*SETTINGS, values)
    cases = [(model_of(*settings), value) for *settings, value in robust]
    return [*cases, *((MMRegressor(n_subsets=20), value) for value in values)]


TARGETS = {
    "nodata": spoiled(-HUGE),
    "one of the largest": spoiled(HUGE, 1),
    "1e300": spoiled(1e300),
    "1e6": spoiled(1e6),
    "both ends": np.append([HUGE, -HUGE], Y[2:]),
    "half": spoiled(1.5e308, N // 2),
    "most": spoiled(1.5e308, 30),
    "all, either sign": np.where(Y > 0, HUGE, -HUGE),
    "all the same": np.full(N, 1e308),
    "far away": 1e290 * Y + 1e300,
    "0": 0 * Y,
    **{f"times {c:g}": c * Y for c in (1e170, 1e200, 1e300, 1e-170, 1e-300, 1e-320)},
}
FEATURES = {f"times {c:g}": c * X for c in (1e150, 1e200, 1e-150, 1e-200, 1e-310)} | {
    "a row of 1e300": np.vstack([1e300 * X[:1], X[1:]]),
    "a row of 1e150": np.vstack([1e150 * X[:1], X[1:]]),
    "units": X * [1e-140, 1.0, 1e140],
}
WEIGHTS = {f"{w:g}": np.full(N, w) for w in (1.7e308, 1e-308, 1e-320)} | {
    "one": np.append([1.7e308], np.ones(N - 1)),
    "from 1e-300 to 1e300": np.append([1e-300], np.full(N - 1, 1e300)),
}
DATA = {f"y: {name}": (X, y, None) for name, y in TARGETS.items()}
DATA |= {f"X: {name}": (values, Y, None) for name, values in FEATURES.items()}
DATA |= {f"weights: {name}": (X, Y, weight) for name, weight in WEIGHTS.items()}


def fitted(model, X, y, weight=None):
    """Return a fit or the sentence of its refusal; nothing else may be heard."""
    model = clone(model)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        for ours in (ConvergenceWarning, ScaleCollapseWarning):
            warnings.simplefilter("ignore", ours)
        try:
            model.fit(X, y, sample_weight=weight)
        except ValueError as error:
            return str(error)
        model.predict(X)
        model.outlier_score(X, y)
    return model


@pytest.mark.parametrize(("model", "what"), models_and(DATA), ids=str)
def test_a_fit_is_finite_or_refused_by_name(model, what):
    found = fitted(model, *DATA[what])
    if isinstance(found, str):
        named = {"X": "X has", "y": "y (has|is)", "w": "sample_weight must count"}
        assert re.match(named[what[0]], found), found
    else:
        for name in ("coef_", "intercept_", "scale_", "residual_scale_"):
            assert np.isfinite(vars(found)[name]).all(), name


BOUNDED = models([loss for loss in LOSSES if loss != "l2"])


@pytest.mark.parametrize("model", BOUNDED, ids=str)
def test_how_far_away_an_outlier_is_does_not_matter(model):
    far, farther = spoiled(-1e90), spoiled(-HUGE)
    near, found = (fitted(model, X, y) for y in (far, farther))
    assert_same_fit(found, near, rtol=1e-8)
    assert found.outliers_[:3].all()
    assert_allclose(found.scale_, near.scale_, rtol=1e-8)


def test_least_squares_of_an_outlier_that_large_has_no_value():
    for scale in ("mad", 1.0):
        found = fitted(RobustRegressor("l2", scale=scale), X, spoiled(HUGE))
        assert re.search(r"y has values .* rows \[0, 1, 2\].*limit.*smooth_l1", found)


@pytest.mark.parametrize(
    ("model", "power"), models_and([-900, -300, 300, 900]), ids=str
)
def test_a_unit_of_y_is_a_factor(model, power):
    factor = 2.0**power
    own = clone(model)
    if not isinstance(own.get_params().get("scale", "s"), str):
        own.set_params(scale=factor)
    assert_same_fit(fitted(own, X, factor * Y), fitted(model, X, Y), 1e-12, factor)


@pytest.mark.parametrize(
    ("model", "factor"), models_and([2.0**1019, 2.0**-1060, 2.0**-1000]), ids=str
)
def test_weights_have_no_unit(model, factor):
    if "proposal2" in str(model) or "MM" in str(model):
        return
    weight = np.arange(1.0, N + 1) % 4 + 1
    plain, other = (fitted(model, X, Y, w) for w in (weight, factor * weight))
    assert_same_fit(other, plain, 1e-12)


@pytest.mark.parametrize("scale", [1e-165, 1e165, 1e-299])
@pytest.mark.parametrize("model", models(), ids=str)
def test_a_scale_is_a_measure_of_the_targets_or_refused(model, scale):
    if "scale" not in model.get_params():
        return
    found = fitted(clone(model).set_params(scale=scale), X, Y)
    assert re.match(r"y has a typical distance of .* scale=.*'mad'", found)


TOO_LARGE = [10**400, Fraction(10) ** 400, 1e300, np.longdouble("1e4000")]
PARAMETERS = ["beta", "alpha", "scale", "tol", "outlier_threshold"]


@pytest.mark.parametrize("value", TOO_LARGE, ids=lambda value: str(value)[:12])
@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_that_no_fit_can_use(name, value):
    model = RobustRegressor("tukey", penalty="l2", alpha=1.0)
    found = fitted(model.set_params(**{name: value}), X, Y)
    assert name in found or (name == "scale" and value == 1e300)
    if name != "scale":
        assert re.search(r"range \[.*1e\+100\]|finite", found), found


@pytest.mark.parametrize("name", SIZES)
def test_parameters_that_are_too_small(name):
    low, high = SIZES[name]
    match = re.escape(f"{name} must be in the range [{low:g}, {high:.13g}]")
    with pytest.raises(ValueError, match=match):
        RobustRegressor("huber").set_params(**{name: low / 2}).fit(X, Y)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("beta", [1e-15, 1e-12, 1e-6, 1e6, 1e100])
def test_a_beta_of_any_size_is_a_fit_with_a_certificate(loss, beta):
    model = fitted(RobustRegressor(loss, beta=beta, scale=1.0), X, Y)
    if make_loss(loss).facts.convex:
        parts = np.abs(make_loss(loss, beta).value(Y - model.predict(X)))
        assert model.dual_gap_ <= 1e-9 * parts.mean()


@pytest.mark.parametrize("breakdown", [1e-300, 1e-6, 0.0099])
def test_a_breakdown_too_small_to_tell(breakdown):
    with pytest.raises(ValueError, match=r"breakdown.*0\.01.*0\.5"):
        MMRegressor(breakdown=breakdown).fit(X, Y)
    least = MMRegressor(breakdown=0.01, efficiency=0.9999, n_subsets=20)
    assert np.isfinite(least.fit(X, Y).coef_).all()


def test_numbers_of_more_digits_than_double_precision():
    y = Y.astype(np.longdouble)
    assert_same_fit(fitted(RobustRegressor(), X, y), fitted(RobustRegressor(), X, Y))
    if np.finfo(np.longdouble).max > np.finfo(np.float64).max:
        found = fitted(RobustRegressor(), X, y * np.longdouble("1e4000"))
        assert re.match(r"y has values beyond 1\.8e\+308", found)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_callers_error_state_is_not_ours(loss):
    y = spoiled(1e6)
    model = RobustRegressor(loss).fit(X, y)
    assert_same_fit(fitted(RobustRegressor(loss), X, y), model, rtol=1e-12)
    with np.errstate(all="raise"):
        path = robust_path(X, y, loss=loss, beta=None, n_alphas=4)
        coef_covariance(model, X, y)
    plain = robust_path(X, y, loss=loss, beta=None, n_alphas=4)
    assert_allclose(path.coefs, plain.coefs)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("y", [spoiled(HUGE), spoiled(-1e300), 1e170 * Y, 1e-320 * Y])
def test_paths_are_fits_or_refused_as_they_are(loss, y):
    with np.errstate(all="raise"):
        try:
            path = robust_path(X, y, loss=loss, beta=None, alphas=[0.1, 0.01])
        except ValueError as error:
            assert re.match("y (has|is)", str(error))
            return
    single = fitted(SmoothL1Regressor(loss, beta=None, penalty="l1", alpha=0.1), X, y)
    assert_allclose(path.coefs[:, 0], single.coef_, atol=1e-6)


@pytest.mark.parametrize("penalty", [None, "l1"])
@pytest.mark.parametrize("loss", ["huber", "smooth_l1", "pseudo_huber", "log_cosh"])
@pytest.mark.parametrize("unit", [1e-100, 1.0, 1e100])
def test_a_scale_below_the_rounding_errors_of_y_is_refused(unit, loss, penalty):
    model = RobustRegressor(
        loss, penalty=penalty, alpha=1e-3 if penalty else 0.0, scale=1e-20 * unit
    )
    with pytest.raises(ValueError, match=r"scale=1e\S+ .* the limit is \d"):
        model.fit(X, unit * Y)
    model.set_params(scale=1e-14 * unit, penalty=None, alpha=0.0).fit(X, unit * Y)
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("model", BOUNDED, ids=str)
def test_answers_that_are_no_numbers_are_refused(model):
    y = 1e-200 * Y
    if not isinstance(model.get_params().get("scale", "s"), str):
        model = clone(model).set_params(scale=1e-200)
    found = fitted(model, X * [1.0, 1e150, 1.0], y)
    penalised = model.get_params()["penalty"] is not None
    assert penalised or re.match(r"X and y .* columns \[1\].*power of ten", found)
    constant = np.column_stack([np.full(N, 3.0), X])
    assert fitted(model, constant, y).coef_[0] == 0


def test_paths_of_extremes():
    with pytest.raises(ValueError, match=r"alphas must be .* finite.* at most 1e"):
        robust_path(X, Y, alphas=[10**400])
    path = robust_path(X, np.full(N, 1e308), alphas=[0.1], scale=1e300)
    assert not path.coefs.any() and path.intercepts[0] == 1e308


def test_weights_that_count_more_rows_than_there_can_be():
    model = L1Regressor().fit(X, Y, sample_weight=np.full(N, 2.0**200))
    with pytest.raises(ValueError, match="sample_weight must count rows"):
        coef_covariance(model, X, Y, np.full(N, 2.0**200), cov_type="nid")


@pytest.mark.parametrize("loss", ["talwar", "andrews"])
@pytest.mark.parametrize("value", [1e37, 7e58, 6e102])
def test_no_denormal_leaves_a_fit(loss, value):
    y = np.zeros(200)
    y[0] = value
    for seed in range(5):
        x = np.random.default_rng(seed).normal(size=(200, 1))
        model = RobustRegressor(loss, scale=1.0).fit(x, y)
        params = np.abs(np.append(model.coef_, model.intercept_))
        assert (params[params > 0] >= np.finfo(float).tiny).all()


@pytest.mark.parametrize("quantile", [0.1, 0.5])
@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
def test_an_excess_whose_square_overflows_is_no_error(penalty, quantile):
    model = RobustRegressor(
        "pseudo_huber",
        quantile=quantile,
        scale=1.0,
        penalty=penalty,
        alpha=1e-3,
        fit_intercept=False,
    )
    model.fit(np.ones((1, 1)), np.array([-3.6e248]))
    assert np.isfinite(model.coef_).all()
