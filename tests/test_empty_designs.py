"""Designs that say nothing: no column varies, one row, one row many times."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pairwise import pairwise
from scipy import sparse

from robustreg import (
    L1Regressor,
    MMRegressor,
    RobustRegressor,
    ScaleCollapseWarning,
    robust_path,
)
from robustreg.inference import coef_table
from robustreg.losses import LOSSES, make_loss

Y = np.array([1.0, 2.0, 4.0, 3.0, 5.0, 9.0, 2.0, 7.0, -20.0])
ROW = np.array([1.0, 2.0])
EMPTY = {
    "zeros": np.zeros((9, 2)),
    "sparse zeros": sparse.csr_array((9, 2)),
    "more zeros than rows": np.zeros((9, 30)),
}
PENALTIES = [(None, 0.0), ("l2", 0.1), ("l1", 0.1)]
every_empty = pytest.mark.parametrize("name", EMPTY)
every_loss = pytest.mark.parametrize("loss", sorted(LOSSES))
every_penalty = pytest.mark.parametrize(("penalty", "alpha"), PENALTIES)


def located(loss, scale=1.0):
    """Return the fit of an intercept alone."""
    return RobustRegressor(loss, scale=scale).fit(np.zeros((9, 1)), Y)


def mean_loss(loss, center):
    return make_loss(loss, None, 0.5).value(Y - center).mean()


@pytest.mark.parametrize(
    ("loss", "penalty", "name"), pairwise(LOSSES, PENALTIES, EMPTY), ids=str
)
def test_no_column_and_an_intercept_are_a_location(loss, penalty, name):
    model = RobustRegressor(loss, penalty=penalty[0], alpha=penalty[1], scale=1.0)
    model.fit(EMPTY[name], Y)
    assert_array_equal(model.coef_, 0.0)
    near = model.intercept_ + np.linspace(-0.5, 0.5, 101)
    least = mean_loss(loss, model.intercept_)
    assert least <= min(mean_loss(loss, center) for center in near) + 1e-12


@pytest.mark.parametrize(
    ("loss", "scale", "penalty", "name"),
    pairwise(LOSSES, ("mad", "proposal2", 1.0), PENALTIES, EMPTY),
    ids=str,
)
def test_no_column_and_no_intercept_are_nothing(loss, scale, penalty, name):
    params = {"penalty": penalty[0], "alpha": penalty[1], "scale": scale}
    model = RobustRegressor(loss, fit_intercept=False, **params).fit(EMPTY[name], Y)
    assert_array_equal(model.coef_, 0.0)
    assert model.intercept_ == 0.0
    if scale == "mad":
        assert_allclose(model.scale_, 1.482602218505602 * np.median(np.abs(Y)))


@every_empty
@every_penalty
@pytest.mark.parametrize("n_subsets", [500, 0])
def test_mm_without_anything_to_estimate(n_subsets, penalty, alpha, name):
    params = {"penalty": penalty, "alpha": alpha, "n_subsets": n_subsets}
    model = MMRegressor(fit_intercept=False, **params).fit(EMPTY[name], Y)
    for coef in (model.coef_, model.s_coef_):
        assert_array_equal(coef, 0.0)
    assert model.intercept_ == model.s_intercept_ == 0.0
    # No rank is taken off the rows.
    t = np.minimum(np.abs(Y / model.scale_) / model.s_beta_, 1.0)
    assert_allclose((1 - (1 - t**2) ** 3).mean(), 0.5, rtol=1e-12)
    u = np.minimum(np.abs(Y / model.scale_) / model.beta_, 1.0)
    assert_allclose(model.weights_, (1 - u**2) ** 2, rtol=1e-12)


def test_mm_without_anything_to_estimate_counts_rows_by_weight():
    weight = np.arange(9.0)
    model = MMRegressor(fit_intercept=False).fit(EMPTY["zeros"], Y, weight)
    repeated = np.repeat(Y, np.arange(9))
    again = MMRegressor(fit_intercept=False).fit(np.zeros((36, 2)), repeated)
    assert model.scale_ == pytest.approx(again.scale_, rel=1e-13)


def test_mm_without_anything_to_estimate_and_no_scale():
    with pytest.warns(ScaleCollapseWarning, match="S-scale"):
        MMRegressor(fit_intercept=False).fit(np.zeros((9, 2)), np.arange(9) == 8)


@pytest.mark.parametrize("make", [RobustRegressor, MMRegressor])
def test_one_row_is_fitted_exactly(make):
    for fit_intercept in (True, False):
        model = make(fit_intercept=fit_intercept)
        with pytest.warns(ScaleCollapseWarning):
            model.fit(ROW[None], [3.0])
        assert_allclose(model.predict(ROW[None]), 3.0, rtol=1e-14)
        # Of all exact fits that of least norm, in units of the columns.
        assert_allclose(model.coef_, 0.0 if fit_intercept else 1.5 / ROW)


@every_loss
def test_one_row_many_times_is_a_location(loss):
    design = np.tile(ROW, (9, 1))
    for scale in ("mad", 1.0):
        model = RobustRegressor(loss, fit_intercept=False, scale=scale).fit(design, Y)
        assert_allclose(model.predict(ROW[None]), located(loss, scale).intercept_)
        # The columns share it alike, in their own units.
        assert model.coef_[0] == pytest.approx(2 * model.coef_[1])


def test_one_row_many_times_is_a_location_of_the_s_scale():
    model = MMRegressor(fit_intercept=False).fit(np.tile(ROW, (9, 1)), Y)
    location = MMRegressor().fit(np.zeros((9, 1)), Y)
    assert_allclose(model.predict(ROW[None]), location.intercept_)
    assert model.scale_ == pytest.approx(location.scale_, rel=1e-12)


@every_empty
@pytest.mark.parametrize("fit_intercept", [True, False])
@every_loss
def test_paths_of_no_column(loss, fit_intercept, name):
    options = {"loss": loss, "fit_intercept": fit_intercept}
    path = robust_path(EMPTY[name], Y, n_alphas=3, **options)
    assert_array_equal(path.coefs, 0.0)
    assert_allclose(path.intercepts, path.intercepts[0])
    assert fit_intercept or not path.intercepts.any()
    ridge = robust_path(EMPTY[name], Y, penalty="l2", alphas=[1.0], **options)
    assert_allclose(ridge.intercepts, path.intercepts[0])


@pytest.mark.parametrize("make", [RobustRegressor, L1Regressor, MMRegressor])
def test_standard_errors_of_empty_columns_are_refused_by_name(make):
    model = make(fit_intercept=False).fit(EMPTY["zeros"], Y)
    with pytest.raises(ValueError, match=r"X is 0 in x0, x1, which .* Drop"):
        coef_table(model, EMPTY["zeros"], Y)
    model = make().fit(EMPTY["zeros"], Y)
    with pytest.raises(ValueError, match=r"X is constant in x0, x1, .*intercept"):
        coef_table(model, EMPTY["zeros"], Y)
