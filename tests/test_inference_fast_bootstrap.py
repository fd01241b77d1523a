"""The fast and robust bootstrap: a linear step to what an MM-fit of a resample is."""

import re

import numpy as np
import pytest
import scipy.sparse as sp

from robustreg import L1Regressor, MMRegressor, RobustRegressor
from robustreg.inference import coef_covariance, coef_table, predict_table, wald_test
from robustreg.inference.checks import check_analytic, check_fit
from robustreg.inference.fast_bootstrap import steps_from

FAST = "fast-robust-bootstrap"
RNG = np.random.default_rng(5)
N = 60
X = RNG.normal(size=(N, 2))
Y = 1 + X @ [1.0, -2.0] + RNG.standard_t(3, size=N)
X[:4] += 9.0
Y[:4] += 90.0
MODEL = MMRegressor(n_subsets=30).fit(X, Y)
OPTIONS = {"cov_type": FAST, "n_bootstrap": 100, "random_state": 0}


def step_of(model, X, y, weight):
    names = [f"x{j}" for j in range(X.shape[1])] + ["intercept"][: model.fit_intercept]
    loss = check_analytic(model, FAST)
    return steps_from(check_fit(model, names, loss, X, y, weight))


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("design", [np.asarray, sp.csr_matrix], ids=["dense", "sparse"])
def test_the_step_is_the_derivative_of_the_fit(design, fit_intercept):
    """By weights: as many rows in all, a little more of some and less of others."""
    rows = design(X)
    model = MMRegressor(n_subsets=30, fit_intercept=fit_intercept, tol=1e-14)
    step_to = step_of(model.fit(rows, Y), rows, Y, np.ones(N))
    change = RNG.normal(size=N)
    change -= change.mean()
    ends, moved = [], []
    for little in (1e-4, -1e-4):
        weight = 1 + little * change
        model.fit(rows, Y, weight)
        ends.append(np.append(model.coef_, model.intercept_)[: 2 + fit_intercept])
        moved.append(step_to(weight))
    np.testing.assert_allclose(ends[0] - ends[1], moved[0] - moved[1], rtol=1e-4)


def test_the_step_counts_rows_and_has_units():
    counts = RNG.multinomial(N, np.full(N, 1 / N)).astype(float)
    moved = step_of(MODEL, X, Y, np.ones(N))(counts)
    twice, y = np.tile(X, (2, 1)), np.tile(Y, 2)
    model = MMRegressor(n_subsets=30).fit(twice, y)
    own = step_of(model, twice, y, np.ones(2 * N))
    weighted = MMRegressor(n_subsets=30).fit(X, Y, np.full(N, 2.0))
    by_weights = step_of(weighted, X, Y, np.full(N, 2.0))(2 * counts)
    np.testing.assert_allclose(own(np.tile(counts, 2)), by_weights, rtol=1e-6)
    units = X * [10.0, 1e-3] + [5.0, 0.0]
    other = MMRegressor(n_subsets=30).fit(units, 1e3 * Y)
    changed = step_of(other, units, 1e3 * Y, np.ones(N))(counts)
    np.testing.assert_allclose(changed[:2], 1e3 * moved[:2] / [10.0, 1e-3], rtol=1e-6)


def test_standard_errors_are_near_those_of_fits_of_the_same_resamples():
    model = MMRegressor(n_subsets=10).fit(X, Y)
    fast, slow = (
        coef_table(model, X, Y, cov_type=name, n_bootstrap=40, random_state=0)
        for name in (FAST, "bootstrap")
    )
    assert (fast["std_err"] / slow["std_err"]).between(0.8, 1.25).all()
    many = coef_table(MODEL, X, Y, **{**OPTIONS, "n_bootstrap": 2000})
    by_formula = coef_table(MODEL, X, Y)
    assert (many["std_err"] / by_formula["std_err"]).between(0.9, 1.35).all()
    assert (many["lower"] / by_formula["lower"]).between(0.8, 1.2).all()


def test_resamples_with_too_many_bad_rows_do_no_harm():
    """With 24 of 60 rows bad one resample in twenty or so has more than half."""
    bad = np.arange(N) < 24
    y = np.where(bad, 1e6, Y)
    model = MMRegressor(n_subsets=100).fit(X, y)
    assert (model.weights_[bad] == 0).all()
    table = coef_table(model, X, y, **OPTIONS)
    assert table["std_err"].max() < 1


def test_groups_are_drawn_together():
    twice, y = np.repeat(X, 2, axis=0), np.repeat(Y, 2)
    model = MMRegressor(n_subsets=30).fit(twice, y)
    alone, together = (
        coef_table(model, twice, y, **OPTIONS, groups=groups)["std_err"]
        for groups in (None, np.repeat(np.arange(N), 2))
    )
    assert (together / alone).between(1.1, 1.8).all()


def test_other_functions_take_it():
    table = coef_table(MODEL, X, Y, **OPTIONS, interval="normal")
    assert table.attrs["df"] == np.inf and table.attrs["cov_type"] == FAST
    variance = np.diag(coef_covariance(MODEL, X, Y, **OPTIONS))
    np.testing.assert_allclose(variance, table["std_err"] ** 2)
    tested = wald_test(MODEL, X, Y, "x0", **OPTIONS)
    np.testing.assert_allclose(tested["statistic"], table.loc["x0", "statistic"] ** 2)
    predicted = predict_table(MODEL, X, Y, [[0.0, 0.0]], **OPTIONS)
    np.testing.assert_allclose(predicted["std_err"], table["std_err"].iloc[-1])


def test_resamples_that_leave_coefficients_open_are_left_out():
    rare = np.column_stack([X, np.isin(np.arange(N), [10, 20])])
    model = MMRegressor(n_subsets=30).fit(rare, Y)
    counts = np.random.RandomState(0).multinomial(N, np.full(N, 1 / N), size=100)
    assert (model.weights_[[10, 20]] > 0).all()
    n_lost = (counts[:, [10, 20]] == 0).all(axis=1).sum()
    match = f"In {n_lost} of 100 resamples columns depend on each other"
    with pytest.warns(RuntimeWarning, match=match):
        coef_table(model, rare, Y, **OPTIONS)


@pytest.mark.parametrize(
    ("message", "model", "options"),
    [
        ("is not for a smooth loss", RobustRegressor(), {}),
        ("is not for an absolute loss", L1Regressor(), {}),
        ("The fit is penalised", MMRegressor(penalty="l2", alpha=0.1), {}),
        ("has no use for kernel", MMRegressor(), {"kernel": "gaussian"}),
    ],
)
def test_other_fits_are_refused(message, model, options):
    with pytest.raises(ValueError, match=re.escape(message)):
        coef_table(model.fit(X, Y), X, Y, **OPTIONS, **options)


def test_data_of_another_fit_are_refused():
    with pytest.raises(ValueError, match="do not minimise the loss on this X"):
        coef_table(MODEL, X, Y[::-1], **OPTIONS)
