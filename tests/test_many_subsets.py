"""However many subsets are asked for, the search holds few candidates at once."""

from math import comb

import numpy as np
import pytest
from numpy.testing import assert_allclose

from robustreg import MMRegressor
from robustreg.breakdown.m_scale import SCriterion


def make_data(n, p):
    """Return rows of which a third is wrong."""
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, p))
    y = X.sum(axis=1) + rng.normal(size=n)
    y[: n // 3] += 50.0
    return X, y


@pytest.fixture
def searched(monkeypatch):
    """Return the shapes of residuals whose scales the search measured."""
    shapes, scales = [], SCriterion.scales

    def recorded(self, residual, weight, rtol):
        shapes.append(residual.shape)
        return scales(self, residual, weight, rtol)

    monkeypatch.setattr(SCriterion, "scales", recorded)
    return shapes


def test_many_subsets_need_no_more_memory(searched):
    X, y = make_data(300, 4)
    few = MMRegressor(n_subsets=2000).fit(X, y)
    searched.clear()
    many = MMRegressor(n_subsets=15_000).fit(X, y)
    assert_allclose(many.coef_, few.coef_, rtol=1e-8)
    # 8 MiB, and the winners so far.
    assert max(n * k for k, n in searched) <= 2**20 + 100 * 300


def test_most_candidates_are_ranked_without_their_scale(searched):
    # Each needs one scale, for its step; a second one is that of a likely winner.
    X, y = make_data(300, 4)
    n_subsets = 15_000
    MMRegressor(n_subsets=n_subsets).fit(X, y)
    assert sum(k for k, _ in searched) <= 1.4 * n_subsets


def test_a_subset_is_fitted_once_however_often_it_is_drawn(searched):
    X, y = make_data(9, 1)
    MMRegressor(n_subsets=50_000).fit(X, y)
    # With those that won before, and the halves.
    assert max(k for k, _ in searched) <= 2 * comb(9, 2)


def test_more_subsets_than_anyone_waits_for_are_an_error():
    with pytest.raises(ValueError, match=r"n_subsets.*10000000.*Got 10000001"):
        MMRegressor(n_subsets=10_000_001).fit(*make_data(20, 1))
