"""Scale estimates: their equations, their consistency, and the fits that use them."""

import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from calls import calls_of
from scipy.integrate import quad
from scipy.optimize import brentq, root
from scipy.stats import norm

from robustreg import RobustRegressor, SmoothL1Regressor
from robustreg.fitting.any_scale import AnyScale
from robustreg.scale import (
    MAD_FACTOR,
    PROPOSAL2_CLIP,
    SCALES,
    find_fixed_point,
    mad,
    proposal2,
    scale_floor,
    weighted_median,
)

EPS = np.finfo(float).eps
every_scale = pytest.mark.parametrize("name", SCALES)
# The expectation of min(z^2, k^2) at the Gaussian.
GAMMA = quad(
    lambda z: min(z * z, PROPOSAL2_CLIP**2) * norm.pdf(z),
    -12,
    12,
    points=[-PROPOSAL2_CLIP, PROPOSAL2_CLIP],
    epsabs=1e-13,
)[0]


def outlying(seed, n=101):
    """Return heavy-tailed residuals, and counts of them, some 0."""
    rng = np.random.default_rng(seed)
    return rng.standard_t(1.5, n), rng.integers(0, 4, n)


@pytest.mark.parametrize("n", [1, 2, 5, 6, 100])
def test_equal_weights_give_the_median(n):
    for seed in range(20):
        values, _ = outlying(seed, n)
        for weight in (1.0, 0.1, 3e-9):
            median = weighted_median(values, np.full(n, weight))
            # numpy averages the middle two, which may round once more.
            atol = EPS * np.abs(values).max()
            assert median == pytest.approx(np.median(values), rel=0, abs=atol)


@pytest.mark.parametrize("n", [1, 2, 5, 6, 100])
def test_weights_are_repeated_values(n):
    for seed in range(20):
        values, count = outlying(seed, n)
        # Ties among the values, and half the weight on either side of a gap.
        values, count[0] = values.round(), max(count[0], 1)
        expected = np.median(np.repeat(values, count))
        for unit in (1.0, 0.1, 1 / 3):
            assert weighted_median(values, unit * count) == expected


def test_median_halves_the_weight():
    for seed in range(20):
        values, _ = outlying(seed)
        weight = np.random.default_rng(seed).exponential(size=values.size)
        median = weighted_median(values, weight)
        half = weight.sum() / 2
        assert weight[values < median].sum() <= half
        assert weight[values > median].sum() <= half


@every_scale
def test_weights_are_repeated_residuals(name):
    for seed in range(10):
        residual, count = outlying(seed)
        repeated = np.repeat(residual, count)
        expected = SCALES[name](repeated, np.ones(repeated.size), 4)
        found = SCALES[name](residual, count.astype(float), 4)
        # The root is found to 1e-14 on a log scale.
        assert found == pytest.approx(expected, rel=1e-13)


@every_scale
@pytest.mark.parametrize("factor", [1e-150, 3.0, 1e150])
def test_scale_has_the_units_of_the_residuals(name, factor):
    residual, count = outlying(0)
    expected = factor * SCALES[name](residual, count.astype(float), 4)
    found = SCALES[name](-factor * residual, count.astype(float), 4)
    assert found == pytest.approx(expected, rel=1e-13, abs=0)


def test_mad_has_half_of_the_rows_within_its_quartile():
    residual, _ = outlying(1)
    scale = mad(residual, np.ones(residual.size), 4)
    assert norm.cdf(1 / MAD_FACTOR) == pytest.approx(0.75, rel=4 * EPS)
    assert scale == pytest.approx(np.median(np.abs(residual)) / norm.ppf(0.75))
    assert np.count_nonzero(np.abs(residual) < scale * norm.ppf(0.75)) == 50


@pytest.mark.parametrize("n_params", [0, 1, 40])
def test_proposal2_solves_its_equation(n_params):
    residual, count = outlying(2)
    scale = proposal2(residual, count.astype(float), n_params)
    clipped = np.minimum(np.abs(residual) / scale, PROPOSAL2_CLIP)
    found = count @ clipped**2 / (count.sum() - n_params)
    assert found == pytest.approx(GAMMA, rel=1e-12)


@pytest.mark.parametrize("total", [4.0, 1.0, 1e-3])
def test_weights_that_count_no_more_rows_than_coefficients_are_refused(total):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 3)), rng.normal(size=120)
    model, weight = RobustRegressor(scale="proposal2"), np.full(120, total / 120)
    said = f"120 rows have a total weight of {total:.4g}, for 4 coefficients. Divide it"
    with pytest.raises(ValueError, match=said):
        model.fit(X, y, weight)
    scale = model.fit(X, y, weight / weight.mean()).scale_
    assert scale == pytest.approx(model.fit(X, y).scale_, rel=1e-9)
    RobustRegressor(scale="mad").fit(X, y, weight)
    # Fewer rows than coefficients are no matter of the weights.
    wide = rng.normal(size=(20, 30))
    model.set_params(penalty="l2", alpha=0.1).fit(wide, y[:20], np.full(20, total / 20))


@pytest.mark.parametrize("weighted", [False, True])
def test_proposal2_of_many_rows_looks_for_that_of_a_sample(weighted, monkeypatch):
    rng = np.random.default_rng(0)
    residual = rng.standard_t(1, size=100_000)
    weight = rng.integers(0, 4, 100_000) if weighted else np.ones(100_000)
    seen = []
    monkeypatch.setattr(
        "robustreg.scale.clipped.brentq",
        lambda f, *ends, **to: seen.append(f) or brentq(f, *ends, **to),
    )
    scale = proposal2(residual, weight.astype(float), 5)
    clipped = np.minimum(np.abs(residual) / scale, PROPOSAL2_CLIP)
    found = weight @ clipped**2 / (weight.sum() - 5)
    assert found == pytest.approx(GAMMA, rel=1e-12)
    assert len(seen) == 1


@pytest.mark.parametrize("far", [1.0, 1e200])
def test_proposal2_of_many_rows_may_be_far_from_that_of_a_sample(far):
    residual = np.full(100_000, far)
    residual[::3] = 0.0
    scale = proposal2(residual, np.ones(100_000), 0)
    clipped = np.minimum(residual / scale, PROPOSAL2_CLIP)
    assert np.mean(clipped**2) == pytest.approx(GAMMA, rel=1e-12)
    assert proposal2(np.arange(100_000.0) > 70_000, np.ones(100_000), 0) == 0


def test_proposal2_with_more_params_than_half_of_the_rows():
    residual, one = outlying(3)[0], np.ones(101)
    assert proposal2(residual, one, 60) == proposal2(residual, one, 500)
    assert proposal2(residual, one, 60) > proposal2(residual, one, 40)


@every_scale
def test_no_scale_is_left_of_an_exact_fit(name):
    residual, one = np.zeros(10), np.ones(10)
    residual[:3] = [1.0, -5.0, 1e6]
    assert SCALES[name](residual, one, 1) == 0
    assert SCALES[name](np.zeros(10), one, 1) == 0


def standard_error(clip, power):
    """Return n^(1/2) times the standard error of an M-estimate of a scale of 1.

    The root of ``E chi(z / s) = 0``: ``sd(chi) / E z chi'(z)`` (Huber 1981, 5.2).
    """
    if power == 0:
        density = norm.pdf(clip)
        return 0.5 / (2 * clip * density)
    inside = quad(lambda z: z**4 * norm.pdf(z), -clip, clip)[0]
    variance = inside + clip**4 * 2 * norm.sf(clip) - GAMMA**2
    slope = quad(lambda z: 2 * z**2 * norm.pdf(z), -clip, clip)[0]
    return np.sqrt(variance) / slope


@every_scale
def test_consistent_at_the_gaussian(name):
    n = 200_000
    residual = 3.0 * np.random.default_rng(4).normal(size=n)
    scale = SCALES[name](residual, np.ones(n), 0)
    clip, power = {"mad": (norm.ppf(0.75), 0), "proposal2": (PROPOSAL2_CLIP, 2)}[name]
    assert abs(scale / 3 - 1) <= 4 * standard_error(clip, power) / np.sqrt(n)


def test_floor_is_far_below_the_data_and_above_its_rounding():
    y = np.random.default_rng(5).normal(size=100)
    one = np.ones(100)
    for factor in (1e-200, 1.0, 1e200):
        floor = scale_floor(factor * y, one)
        assert 1e-11 * factor < floor < 1e-9 * factor
    assert scale_floor(y + 1e10, one) >= EPS * 1e10
    assert scale_floor(np.zeros(3), np.ones(3)) == 1
    y[7] = 1e300
    assert scale_floor(y, np.where(np.arange(100) == 7, 0.0, 1.0)) < 1e-9


@pytest.mark.parametrize("power", [-0.9, 0.0, 0.5, 0.9])
@pytest.mark.parametrize("start", [1e-6, 1.0, 1e6])
def test_fixed_point_of_a_power(power, start):
    found = find_fixed_point(lambda s: 7.0 * (s / 7.0) ** power, start, 1e-12)
    assert found.converged and not found.collapsed
    assert found.scale == pytest.approx(7.0, rel=1e-9)


def test_fixed_point_at_the_floor_and_none():
    found = find_fixed_point(lambda s: 0.1 * s if s > 1e-3 else 0.0, 1.0, 1e-6)
    assert found.collapsed and found.converged and found.scale == pytest.approx(1e-6)
    # The secant of a scale that falls and falls leads far below the floor.
    tried = []
    found = find_fixed_point(lambda s: tried.append(s) or 0.6 * s, 50.0, 1e-10)
    assert found.collapsed and min(tried) == pytest.approx(1e-10, rel=1e-12)
    # A jump over the diagonal has no fixed point to find.
    assert not find_fixed_point(lambda s: 4.0 if s < 2 else 1.0, 1.0, 1e-6).converged


def heavy_tailed(n=300):
    """Return a regression with outliers, and with offsets and units of its own."""
    rng = np.random.default_rng(6)
    X = rng.normal([0, 5, -100], [1, 0.1, 30], (n, 3))
    return X, 1e3 * (X @ [1.0, -2.0, 0.02] + rng.standard_t(1.5, n))


STACKLOSS = sm.datasets.stackloss.load_pandas()
DATA = {
    "stackloss": (STACKLOSS.exog.to_numpy(), STACKLOSS.endog.to_numpy()),
    "heavy tailed": heavy_tailed(),
}
every_data = pytest.mark.parametrize("X, y", DATA.values(), ids=DATA)


@every_data
def test_mad_fit_agrees_with_statsmodels(X, y):
    model = RobustRegressor(loss="huber", beta=1.345, scale="mad").fit(X, y)
    design, peer = sm.add_constant(X), sm.robust.norms.HuberT(1.345)
    # Its iterations contract by a tenth or more: 500 leave only rounding.
    other = sm.RLM(y, design, M=peer).fit(scale_est="mad", maxiter=500, tol=1e-13)
    np.testing.assert_allclose(model.coef_, other.params[1:], 1e-6)
    np.testing.assert_allclose(model.intercept_, other.params[0], 1e-6)
    np.testing.assert_allclose(model.scale_, other.scale, 1e-6)


@every_data
@pytest.mark.parametrize("loss", ["huber", "smooth_l1", "pseudo_huber", "l1"])
def test_mad_fit_is_a_fixed_point(X, y, loss):
    model = RobustRegressor(loss=loss, scale="mad").fit(X, y)
    residual = y - model.predict(X)
    again = RobustRegressor(loss=loss, scale=model.scale_).fit(X, y)
    assert model.scale_ == pytest.approx(mad(residual, np.ones(y.size), 4), rel=1e-9)
    np.testing.assert_allclose(model.coef_, again.coef_, 1e-9)


@pytest.mark.parametrize("alpha", [6e-3, 0.03])
@pytest.mark.parametrize("seed", [26, 49, 58])
def test_a_kinked_loss_with_a_ridge_always_has_a_scale(seed, alpha):
    # Its only optimum moves continuously, though now and then a hundred times as fast.
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 5))
    y = 50 * X @ rng.normal(size=5) + rng.standard_t(2, 40)
    model = RobustRegressor("l1", penalty="l2", alpha=alpha).fit(X, y)
    scale = mad(y - model.predict(X), np.ones(40), 6)
    assert model.scale_ == pytest.approx(scale, rel=1e-8)


def psi(t):
    """Return Huber's clipped residuals."""
    return np.clip(t, -PROPOSAL2_CLIP, PROPOSAL2_CLIP)


@every_data
@pytest.mark.parametrize("repeats", [False, True])
def test_proposal2_fit_solves_hubers_two_equations(X, y, repeats):
    count = np.random.default_rng(7).integers(1, 4, y.size) if repeats else None
    weight = np.ones(y.size) if count is None else count
    model = RobustRegressor(beta=PROPOSAL2_CLIP, scale="proposal2")
    model.fit(X, y, sample_weight=count)
    # Standardised by hand, so that one tolerance serves all equations.
    unit = y.std()
    design = np.column_stack([np.ones(y.size), (X - X.mean(axis=0)) / X.std(axis=0)])

    def equations(unknown):
        t = (y / unit - design @ unknown[:-1]) * np.exp(-unknown[-1])
        normal = design.T @ (weight * psi(t))
        divisor = weight.sum() - design.shape[1]
        return np.append(normal, weight @ psi(t) ** 2 - GAMMA * divisor)

    start = np.linalg.lstsq(design, y / unit, rcond=None)[0]
    solution = root(equations, np.append(start, -1.0), tol=1e-13, method="hybr")
    assert np.abs(equations(solution.x)).max() <= 1e-9 * weight.sum()
    coef = unit * solution.x[1:-1] / X.std(axis=0)
    np.testing.assert_allclose(model.coef_, coef, 1e-6)
    np.testing.assert_allclose(model.scale_, unit * np.exp(solution.x[-1]), 1e-6)
    intercept = unit * solution.x[0] - X.mean(axis=0) @ coef
    np.testing.assert_allclose(model.intercept_, intercept, 1e-6)


@pytest.mark.parametrize("loss", ["l1", "smooth_l1"])
@pytest.mark.parametrize("seed", range(6))
def test_a_scale_agrees_as_well_as_rounding_errors_of_y_let_it(loss, seed):
    # A warning would be an error.
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(200, 3))
    y = 1e8 * X @ rng.normal(size=3) + rng.standard_t(2, 200)
    model = RobustRegressor(loss).fit(X, y)
    residual = (y.astype(np.longdouble) - X @ model.coef_.astype(np.longdouble)).astype(
        float
    ) - model.intercept_
    assert model.scale_ == pytest.approx(mad(residual, np.ones(200), 0), rel=1e-6)


def test_a_search_ends_where_rounding_errors_hide_the_rest():
    tried = []

    def measure_at(scale):
        tried.append(scale)
        return 7.0 * (scale / 7.0) ** 0.5 * (1 + 1e-7 * (-1.0) ** len(tried))

    known = {"tells_side": lambda: True, "continuous": True}
    found = find_fixed_point(measure_at, 1.0, 1e-12, hidden=lambda: 2e-7, **known)
    assert found.converged and len(tried) <= 8
    assert found.scale == pytest.approx(7.0, rel=1e-6)
    assert not find_fixed_point(measure_at, 1.0, 1e-12, **known).converged
    # What they hide much of is not told.
    found = find_fixed_point(measure_at, 1.0, 1e-12, hidden=lambda: 1e-3, **known)
    assert not found.converged


@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
@pytest.mark.parametrize("alpha", [1e-6, 1e-8])
@pytest.mark.parametrize("seed", range(5))
def test_a_tiny_penalty_takes_few_fits_to_its_scale(penalty, alpha, seed, monkeypatch):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(11, 32)), rng.normal(size=11)
    fits = calls_of(monkeypatch, AnyScale, "fit")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SmoothL1Regressor(scale="mad", penalty=penalty, alpha=alpha).fit(X, y)
    assert len(fits) <= 18
    assert mad(y - model.predict(X), np.ones(11), 0) == pytest.approx(
        model.scale_, rel=1e-4
    )


@pytest.mark.parametrize("loss", ["huber", "smooth_l1"])
@pytest.mark.parametrize("sizes", [(1, 2), (2, 3), (3, 4)])
@pytest.mark.parametrize("seed", range(4))
def test_the_scale_is_that_of_the_one_optimum_that_is_returned(loss, sizes, seed):
    # The median of an even group is open, and the MAD depends on it.
    X, y = np.repeat(np.eye(2), sizes, axis=0), np.zeros(sum(sizes))
    y += np.random.default_rng(seed).normal(size=y.size)
    options = {"beta": 0.1, "penalty": None, "fit_intercept": False}
    model = RobustRegressor(loss, scale="mad", **options).fit(X, y)
    assert model.scale_ == pytest.approx(mad(y - model.predict(X), y**0, 0), rel=1e-6)
    given = RobustRegressor(loss, scale=model.scale_, **options).fit(X, y)
    np.testing.assert_allclose(model.coef_, given.coef_)
