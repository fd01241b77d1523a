"""Units and offsets: of columns, of y and of weights."""

import numpy as np
import pytest
from oracles import CONVEX, KINKED, PENALTIES, assert_same_fit
from pairwise import pairwise

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor

OFFSETS = [10.0**k for k in range(14)]
UNITS = [1e-12, 1e-5, 1e12]
TRUTH = np.array([1.0, -2.0, 0.5])


def whole_numbers(n=60):
    """Return columns of whole numbers, which any offset here leaves exact."""
    rng = np.random.default_rng(5)
    X = rng.integers(0, 1000, size=(n, 3)).astype(float)
    return X, X @ TRUTH + 3, rng.standard_t(2, size=n)


def ordinary(n=50):
    rng = np.random.default_rng(6)
    X = rng.normal(size=(n, 3))
    return X, X @ TRUTH + 3 + rng.standard_t(2, size=n)


@pytest.mark.parametrize("loss", CONVEX)
@pytest.mark.parametrize("offset", OFFSETS)
def test_an_exact_line_is_found_at_any_feature_offset(loss, offset):
    X, line, _ = whole_numbers()
    model = SmoothL1Regressor(loss).fit(X + offset, line)
    # Slopes times columns of size 1000, from y of size 1000.
    np.testing.assert_allclose(model.coef_, TRUTH, rtol=0, atol=1e-11)
    # The intercept is of the size of the offset and carries its rounding.
    error = np.abs(model.predict(X + offset) - line).max()
    assert error <= 1e-9 + 1e-15 * offset * np.abs(TRUTH).sum()


@pytest.mark.parametrize("loss", CONVEX)
@pytest.mark.parametrize("offset", OFFSETS)
def test_a_noisy_fit_does_not_see_the_feature_offset(loss, offset):
    X, line, noise = whole_numbers()
    near = SmoothL1Regressor(loss).fit(X, line + noise)
    far = SmoothL1Regressor(loss).fit(X + offset, line + noise)
    np.testing.assert_allclose(far.coef_, near.coef_, rtol=1e-9)
    assert far.dual_gap_ <= 1e-9


@pytest.mark.parametrize("loss", CONVEX)
@pytest.mark.parametrize("make", [SmoothL1Regressor, RobustRegressor])
def test_millisecond_timestamps(make, loss):
    rng = np.random.default_rng(8)
    X = 1.7e12 + 1000.0 * np.arange(200)[:, None]
    y = 0.002 * (X[:, 0] - 1.7e12) + 5 + 0.1 * rng.normal(size=200)
    model = make(loss).fit(X, y)
    # The standard error of the slope is 0.1 / sqrt(200) / 58,000 = 1.2e-7.
    assert model.coef_[0] == pytest.approx(0.002, abs=8e-7)
    assert model.score(X, y) > 0.9999


@pytest.mark.parametrize(
    ("loss", "scale", "fit_intercept"),
    pairwise(CONVEX, (1.0, "mad", "proposal2"), (True, False)),
)
def test_column_scales_are_equivariant(loss, scale, fit_intercept):
    X, y = ordinary()
    units = np.array([1e-8, 1.0, 1e8])
    params = {"scale": scale, "fit_intercept": fit_intercept}
    plain = RobustRegressor(loss, **params).fit(X, y)
    for order in (units, units[::-1]):
        scaled = RobustRegressor(loss, **params).fit(X * order, y)
        np.testing.assert_allclose(scaled.coef_ * order, plain.coef_, rtol=1e-9)
        assert scaled.scale_ == pytest.approx(plain.scale_, rel=1e-9)


@pytest.mark.parametrize("power", [-10, -8, -3, 3, 8])
@pytest.mark.parametrize("loss", KINKED)
def test_tiny_and_huge_columns_of_a_kinked_loss(loss, power):
    X, y = ordinary()
    plain = L1Regressor(loss).fit(X, y)
    scaled = L1Regressor(loss).fit(X * 10.0**power, y)
    np.testing.assert_allclose(scaled.coef_ * 10.0**power, plain.coef_, rtol=1e-11)


@pytest.mark.parametrize(
    ("loss", "penalty", "unit"), pairwise(CONVEX, PENALTIES, UNITS)
)
def test_units_of_y_do_not_matter_with_a_robust_scale(loss, penalty, unit):
    X, y = ordinary()
    for scale in ("mad", "proposal2"):
        params = {"penalty": penalty, "alpha": 0.05 if penalty else 0.0, "scale": scale}
        plain = RobustRegressor(loss, **params).fit(X, y)
        model = RobustRegressor(loss, **params).fit(X, unit * y)
        assert_same_fit(model, plain, factor=unit)
        assert model.scale_ == pytest.approx(unit * plain.scale_, rel=1e-9)
        np.testing.assert_array_equal(model.coef_ == 0, plain.coef_ == 0)


@pytest.mark.parametrize(
    ("loss", "penalty", "unit"), pairwise(CONVEX, PENALTIES, UNITS)
)
def test_scaling_y_and_scale_scales_the_fit(loss, penalty, unit):
    X, y = ordinary()
    params = {"loss": loss, "penalty": penalty, "alpha": 0.05 if penalty else 0.0}
    plain = SmoothL1Regressor(scale=1.5, **params).fit(X, y)
    model = SmoothL1Regressor(scale=1.5 * unit, **params).fit(X, unit * y)
    assert_same_fit(model, plain, factor=unit)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("penalty", ["l1", None])
def test_scaling_y_and_beta_scales_smooth_l1_with_the_same_alpha(penalty, unit):
    X, y = ordinary()
    params = {"penalty": penalty, "alpha": 0.1 if penalty else 0.0}
    plain = SmoothL1Regressor(beta=1.0, **params).fit(X, y)
    model = SmoothL1Regressor(beta=unit, **params).fit(X, unit * y)
    assert_same_fit(model, plain, factor=unit)


@pytest.mark.parametrize(
    ("loss", "penalty", "solver", "unit"),
    pairwise(KINKED, ("l1", None), ("augmented-lagrangian", "linprog"), UNITS),
)
def test_kinked_losses_follow_y_with_the_same_alpha(loss, penalty, unit, solver):
    X, y = ordinary()
    params = {"penalty": penalty, "alpha": 0.1 if penalty else 0.0}
    plain = L1Regressor(loss, **params).fit(X, y)
    model = L1Regressor(loss, solver=solver, **params).fit(X, unit * y)
    assert_same_fit(model, plain, factor=unit)


@pytest.mark.parametrize(
    ("loss", "penalty", "unit"), pairwise(CONVEX, PENALTIES, (1e-200, 1e-12, 1e200))
)
def test_units_of_weights_do_not_matter(loss, penalty, unit):
    X, y = ordinary()
    weight = np.random.default_rng(1).uniform(0.1, 3, size=len(y))
    params = {"loss": loss, "penalty": penalty, "alpha": 0.05 if penalty else 0.0}
    for scale in (1.0, "mad"):
        plain = SmoothL1Regressor(scale=scale, **params).fit(X, y, weight)
        model = SmoothL1Regressor(scale=scale, **params).fit(X, y, unit * weight)
        assert_same_fit(model, plain)
        assert model.dual_gap_ <= 1e-9


@pytest.mark.parametrize(
    ("loss", "penalty", "shift"), pairwise(CONVEX, PENALTIES, (1e6, 1e8, -1e8))
)
def test_a_shift_of_y_moves_the_intercept_alone(loss, penalty, shift):
    X, y = ordinary()
    y = np.round(y * 2**16) / 2**16  # so that the shift is exact
    for scale in (1.0, "mad"):
        params = {"penalty": penalty, "alpha": 0.05 if penalty else 0.0, "scale": scale}
        near = SmoothL1Regressor(loss, **params).fit(X, y)
        far = SmoothL1Regressor(loss, **params).fit(X, y + shift)
        np.testing.assert_allclose(far.coef_, near.coef_, rtol=1e-7, atol=1e-9)
        moved = far.intercept_ - near.intercept_
        # A number of 1e8 has digits down to 1.5e-8.
        assert moved == pytest.approx(shift, abs=1e-7)
        np.testing.assert_array_equal(far.coef_ == 0, near.coef_ == 0)


@pytest.mark.parametrize("penalty", ["l1", "l2", "elasticnet"])
@pytest.mark.parametrize("loss", CONVEX)
def test_the_intercept_is_not_shrunken(loss, penalty):
    X, y = ordinary()
    model = SmoothL1Regressor(loss, penalty=penalty, alpha=1e-3).fit(X, y + 500)
    assert np.abs(model.coef_ - TRUTH).max() < 1
    assert abs(model.intercept_ - 503) < 1


@pytest.mark.parametrize("loss", CONVEX)
def test_unscaled_data_of_mixed_size(loss):
    X, y = ordinary(300)
    X = np.column_stack([X[:, 0] * 1e-3, X[:, 1] + 1e4, X[:, 2] * 1e3])
    model = SmoothL1Regressor(loss).fit(X, y)
    found = model.coef_ * [1e-3, 1, 1e3]
    # Standard errors are about 0.1, and 0.2 for least squares with t(2) errors.
    np.testing.assert_allclose(found, TRUTH, atol=0.6)


def test_three_rows_that_others_raise_on():
    model = SmoothL1Regressor().fit([[15.0], [75.0], [150.0]], [1.0, 2.0, 3.0])
    assert np.isfinite(model.coef_).all()
    assert model.dual_gap_ <= 1e-12
