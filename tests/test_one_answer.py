"""One answer for every order of the rows, and for rows that are repeated or weighted.

Samples of a few small whole numbers, where most optima are not the only one.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from robustreg import (
    L1Regressor,
    RobustRegressor,
    ScaleCollapseWarning,
    SmoothL1Regressor,
)
from robustreg.fitting.any_scale import AnyScale
from robustreg.solvers import ties

BLOCKS = range(0, 120, 20)
# Each for a reason of its own: rounding errors that pass for a rank,
# coefficients that only an l1 penalty holds, kinks of equal rows under a ridge, and a
# ridge fit whose gap was small before its kinks were right.
HARD = [122, 123, 377, 461, 551, 561, 573, 679, 700, 1036, 1118, 1433]


def draw(seed):
    """Return a sample, counts of its rows, parameters and a generator."""
    rng = np.random.default_rng(seed)
    n, p = rng.integers(3, 12), rng.integers(1, 4)
    X = rng.integers(0, rng.integers(2, 6), (n, p)).astype(float)
    y = rng.integers(0, rng.integers(2, 8), n).astype(float)
    count = rng.integers(1, 4, n)
    params = {"quantile": [0.5, 0.5, 0.25, 0.9, 1 / 3][rng.integers(5)]}
    none, weak = (None, 0.0), ("l1", 0.05)
    others = [("l1", 0.25), ("l2", 0.1), ("elasticnet", 0.1)]
    kind = [none, none, weak, *others][rng.integers(6)]
    params |= {"penalty": kind[0], "alpha": kind[1]}
    return X, y, count, params | {"fit_intercept": bool(rng.integers(4))}, rng


def answer(X, y, count, params):
    """Return the params of a fit that is free of warnings, as all must be."""
    model = L1Regressor(**params).fit(X, y, count)
    return np.append(model.coef_, model.intercept_)


def check_one_answer(X, y, count, params, rng):
    weighted = answer(X, y, count, params)
    order = rng.permutation(count.sum())
    repeated = answer(X.repeat(count, 0)[order], y.repeat(count)[order], None, params)
    assert_allclose(repeated, weighted, rtol=0, atol=1e-7)
    order = rng.permutation(y.size)
    permuted = answer(X[order], y[order], count[order], params)
    assert_allclose(permuted, weighted, rtol=0, atol=1e-7)


@pytest.mark.parametrize("first", BLOCKS)
def test_samples_of_whole_numbers(first):
    for seed in range(first, first + BLOCKS.step):
        check_one_answer(*draw(seed))


@pytest.mark.parametrize("seed", HARD)
def test_hard_samples_of_whole_numbers(seed):
    check_one_answer(*draw(seed))


def test_rows_that_leave_an_edge_of_fits_open():
    X = [[1, 3], [1, 3], [1, 1], [1, 1], [3, 1], [1, 0], [2, 0], [1, 1]]
    y, count = [3, 0, 3, 6, 4, 3, 6, 4], [2, 1, 3, 2, 1, 3, 2, 2]
    for seed in range(5):
        rng = np.random.default_rng(seed)
        for params in ({}, {"quantile": 0.25}, {"penalty": "l1", "alpha": 0.05}):
            data = (np.array(values, dtype=float) for values in (X, y))
            check_one_answer(*data, np.array(count), params, rng)


def test_dependent_columns_share_a_coefficient_under_an_l1_penalty():
    # Either column would do, and any mixture; half of each has the least norm.
    flag = np.array([0.0, 1.0, 1.0, 1.0, 0.0, 1.0])
    y = 3 * flag + np.array([0.0, 0.0, 1.0, -1.0, 0.0, 0.0])
    model = L1Regressor(penalty="l1", alpha=0.01).fit(
        np.column_stack([flag, 1 - flag]), y
    )
    assert model.coef_[0] == pytest.approx(-model.coef_[1], rel=1e-7)


def test_the_least_norm_of_exact_fits_keeps_their_digits():
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(4, 7)) * 10.0 ** rng.integers(-8, 7, size=7)
        y, weight = rng.integers(0, 5, 4) + 0.5, 10.0 ** rng.uniform(-6, 0, 4)
        model = SmoothL1Regressor(beta=0.059, penalty=None, scale=0.017)
        model.fit(X, y, sample_weight=weight)
        np.testing.assert_allclose(model.predict(X), y, rtol=0, atol=4e-15)


def dummies(rng, n, levels):
    """Return a column for each level of each of some categories."""
    codes = [rng.integers(0, k, n)[:, None] == np.arange(k) for k in levels]
    return np.hstack(codes).astype(float)


def test_dummies_under_an_l1_penalty_have_least_norm_without_another_fit(monkeypatch):
    solves = []
    run = ties._least_ridge
    monkeypatch.setattr(ties, "_least_ridge", lambda *a: solves.append(a) or run(*a))
    rng = np.random.default_rng(0)
    X = np.hstack([dummies(rng, 400, (2, 2, 4, 5)), rng.normal(size=(400, 3))])
    y = X @ rng.normal(size=X.shape[1]) + rng.standard_t(3, size=400)
    for alpha in (0.03, 0.01, 0.001):
        model = L1Regressor(penalty="l1", alpha=alpha).fit(X, y)
        # A little of both dummies of two categories for the intercept is no gain.
        assert model.coef_[0] == pytest.approx(-model.coef_[1], rel=1e-9)
        assert model.coef_[2] == pytest.approx(-model.coef_[3], rel=1e-9)
    assert not solves


def test_only_fits_near_the_scale_ask_whether_they_are_the_only_ones(monkeypatch):
    asked, fits = [], []
    ask, fit = ties._is_unique, AnyScale.fit
    monkeypatch.setattr(ties, "_is_unique", lambda *a: asked.append(a) or ask(*a))

    def count(self, scale, *args, **options):
        fits.append(scale)
        return fit(self, scale, *args, **options)

    monkeypatch.setattr(AnyScale, "fit", count)
    rng = np.random.default_rng(0)
    X = np.hstack([dummies(rng, 400, (2, 2, 4, 5)), rng.normal(size=(400, 3))])
    y = X @ rng.normal(size=X.shape[1]) + rng.standard_t(3, size=400)
    RobustRegressor().fit(X, y)
    assert 0 < len(asked) <= len(fits) // 2


@pytest.mark.parametrize("alpha", [1e-3, 1e-6])
def test_equal_columns_that_nothing_limits_share_their_coefficient(alpha):
    """An exact fit may move without limits, which SciPy's nnls can not be told."""
    x = np.random.default_rng(0).normal(size=40)
    model = RobustRegressor("l1", penalty="l1", alpha=alpha, scale="mad")
    with pytest.warns(ScaleCollapseWarning):
        model.fit(np.column_stack([x, x]), 2 * x)
    assert_allclose(model.coef_, [1.0, 1.0], rtol=1e-12)
