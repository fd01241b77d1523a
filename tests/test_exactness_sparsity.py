"""The l1 part gives exact zeros, and the least alpha that empties a model is known."""

from dataclasses import replace

import numpy as np
import pytest
from oracles import CONVEX, KINKED, Case
from scipy.optimize import brentq, linprog

SIZES = {"odd": 41, "even": 40}


def make_case(loss, size="odd", weighted=False, **params):
    rng = np.random.default_rng(3)
    n = SIZES[size]
    X = rng.normal(size=(n, 5)) * [1, 2, 0.5, 1, 1] + 3
    y = X @ [2.0, 0, 0, -1, 0] + rng.standard_t(2, size=n)
    weight = rng.uniform(0.2, 2, size=n) if weighted else None
    return Case(X, y, weight, loss, "l1", **params)


def location(case):
    """Return the location of y alone: the middle of the minimisers."""
    if case.loss in KINKED:
        return weighted_quantile(case.y, case.share, case.quantile)

    def slope(b):
        return case.share @ case.loss_parts(case.y - b)[1]

    return brentq(slope, case.y.min(), case.y.max(), xtol=1e-15, rtol=1e-15)


def weighted_quantile(y, share, level):
    """Return the midpoint of the values whose cumulative share passes the level."""
    order = np.argsort(y)
    sums = np.cumsum(share[order])
    first = np.searchsorted(sums, level - 1e-12)
    last = np.searchsorted(sums, level + 1e-12)
    return (y[order[first]] + y[order[last]]) / 2


def smallest_emptying_alpha(case):
    """Return the least alpha whose fit has no coefficient but 0.

    Over the slopes of rows at a kink, which are free, by a linear program: minimise
    t with ``abs(share d x_j) <= t`` for all j and ``share d = 0``.
    """
    residual = case.y - location(case)
    slopes = case.share * case.loss_parts(residual)[1] * case.scale
    free = np.flatnonzero((residual == 0) & (case.loss in KINKED))
    pull, ones = case.X.T @ slopes, np.ones((case.X.shape[1], 1))
    A = (case.X[free] * case.share[free, None]).T
    result = linprog(
        np.append(np.zeros(free.size), 1.0),
        A_ub=np.vstack([np.hstack([A, -ones]), np.hstack([-A, -ones])]),
        b_ub=np.concatenate([-pull, pull]),
        A_eq=np.append(case.share[free], 0.0)[None, :],
        b_eq=[-slopes.sum() * (free.size > 0)],
        bounds=[case.slopes] * free.size + [(0, None)],
    )
    return result.fun


@pytest.mark.parametrize("loss", CONVEX)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("quantile", [0.5, 0.3])
def test_alpha_max_empties_the_model(loss, size, weighted, quantile):
    case = make_case(loss, size, weighted, quantile=quantile, scale=0.8)
    edge = smallest_emptying_alpha(case)
    for alpha in (edge * (1 + 1e-7), 2 * edge, 1e6 * edge):
        model = replace(case, alpha=alpha).fit()
        assert (model.coef_ == 0).all()
        assert model.intercept_ == pytest.approx(location(case), rel=1e-9)
    below = replace(case, alpha=edge * (1 - 1e-4)).fit()
    assert np.count_nonzero(below.coef_) >= 1


@pytest.mark.parametrize("loss", CONVEX)
@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
def test_zeros_are_exact(loss, penalty):
    case = replace(make_case(loss), penalty=penalty, alpha=0.3)
    coef = case.fit().coef_
    assert 0 < np.count_nonzero(coef) < coef.size
    assert np.abs(coef[coef != 0]).min() > 1e-6


@pytest.mark.parametrize("loss", CONVEX)
def test_an_l2_penalty_never_gives_a_zero(loss):
    case = replace(make_case(loss), penalty="l2", alpha=0.3)
    assert (case.fit().coef_ != 0).all()


@pytest.mark.filterwarnings("ignore::robustreg.NoEffectWarning")
@pytest.mark.parametrize("loss", CONVEX)
@pytest.mark.parametrize("penalty", ["l1", "l2", "elasticnet"])
def test_an_alpha_of_0_is_no_penalty(loss, penalty):
    case = replace(make_case(loss), penalty=penalty, alpha=0.0)
    plain = replace(case, penalty=None)
    np.testing.assert_allclose(case.fit().coef_, plain.fit().coef_, rtol=1e-9)


@pytest.mark.parametrize("loss", CONVEX)
@pytest.mark.parametrize(("l1_ratio", "penalty"), [(0.0, "l2"), (1.0, "l1")])
def test_the_ends_of_the_elastic_net(loss, l1_ratio, penalty):
    net = replace(make_case(loss), penalty="elasticnet", l1_ratio=l1_ratio)
    end = replace(net, penalty=penalty)
    np.testing.assert_allclose(net.fit().coef_, end.fit().coef_, rtol=1e-9)


@pytest.mark.parametrize("loss", CONVEX)
def test_a_huge_l2_penalty_leaves_the_location(loss):
    case = replace(make_case(loss), penalty="l2", alpha=1e12)
    model = case.fit()
    # Coefficients of at most 1e-12 in slopes times columns of size 10.
    assert np.abs(model.coef_).max() <= 1e-10
    assert model.intercept_ == pytest.approx(location(case), abs=1e-8)
