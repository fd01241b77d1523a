"""Small whole numbers: the optimum has many faces, kinks and zeros at once."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from oracles import KINKED, Case, optimum

from robustreg import L1Regressor

BLOCKS = range(0, 200, 25)
# Found among 10,000: centring an optimal fit must not carry a coefficient past 0.
HARD = [384, 566, 1159, 2227, 2311, 3304, 6052, 8895, 9113]


def draw(seed):
    """Return a problem of 1 to 24 rows with entries of a few values."""
    rng = np.random.default_rng(seed)
    n, p, k = rng.integers([1, 1, 2], [25, 5, 5])
    X = rng.integers(0, k, size=(n, p)).astype(float)
    y = rng.integers(-3, 4, size=n).astype(float)
    weight = rng.integers(0, 3, size=n).astype(float)
    weight = weight if weight.any() and rng.random() < 0.5 else None
    params = {
        "loss": str(rng.choice(KINKED)),
        "penalty": "l1" if rng.random() < 0.7 else None,
        "alpha": float(rng.choice([0.01, 0.1, 0.5])),
        "quantile": float(rng.choice([0.5, 0.25, 0.3])),
    }
    return Case(X, y, weight, **params)


def check(case):
    """Check the optimum, its bound, and that a 0 is exactly 0."""
    model, best = case.fit(), optimum(case)
    missing = case.reached(model) - best
    # Sums of at most 24 terms of size 1.
    assert missing <= 1e-9 * best + 1e-14
    assert model.dual_gap_ >= missing - 1e-14
    if case.penalty == "l1":
        size = np.abs(model.coef_)
        assert size[size > 0].min(initial=1) > 1e-9


@pytest.mark.parametrize("first", BLOCKS)
def test_the_optimum_of_tied_data(first):
    for seed in range(first, first + BLOCKS.step):
        check(draw(seed))


@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
@pytest.mark.parametrize("loss", ["smooth_l1", "huber"])
def test_the_optimum_of_tied_data_with_a_breakpoint(loss, penalty):
    for seed in range(40):
        check(replace(draw(seed), loss=loss, penalty=penalty))


@pytest.mark.parametrize("seed", HARD)
def test_the_optimum_of_hard_ties(seed):
    check(draw(seed))


def test_a_median_between_groups_with_a_penalty():
    # Slopes from -2 to 0 are optimal; past 0 the penalty grows.
    X = np.array([[0.0], [1], [0], [1], [0]])
    y = np.array([-1.0, 2, 1, -3, 0])
    case = Case(X, y, loss="quantile", penalty="l1", alpha=0.1, quantile=0.25)
    model = case.fit()
    assert case.reached(model) == pytest.approx(0.6, rel=1e-12)
    assert -2 <= model.coef_[0] <= 0


def test_a_vertex_is_found_where_no_row_is_active_yet():
    """SciPy 1.13 refuses the triangular system of no equations that leads there."""
    X, y = np.repeat(np.eye(2), 4, axis=0), np.array([0, 1, 2, 3, 4, 6, 7, 9.0])
    model = L1Regressor(fit_intercept=False).fit(X, y)
    assert_allclose(model.coef_, [1.5, 6.5], rtol=1e-12)
