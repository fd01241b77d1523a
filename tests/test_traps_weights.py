"""A weight counts how often a row is there, and the order of rows does not count."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sp
from oracles import CONVEX, PENALTIES, assert_same_fit
from pairwise import pairwise

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor


@dataclass(frozen=True)
class Data:
    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray

    def fit(self, loss, penalty, scale):
        # A gap of 1e-13 leaves the fit itself open by less than 1e-8 on these data.
        params = {
            "penalty": penalty,
            "alpha": 0.05 if penalty else 0.0,
            "scale": scale,
            "tol": 1e-13,
        }
        return RobustRegressor(loss, **params).fit(self.X, self.y, self.weight)

    def rows(self, index):
        """Return some rows, each once."""
        return Data(self.X[index], self.y[index], np.ones(len(index)))


def continuous():
    rng = np.random.default_rng(12)
    X = rng.normal(size=(40, 3)) + 4
    y = X @ [1.0, -2, 0] + rng.standard_t(2, size=40)
    return Data(X, y, rng.integers(0, 4, size=40).astype(float))


def tied():
    """Whole numbers: many optimal fits, many rows at a kink."""
    rng = np.random.default_rng(13)
    X = rng.integers(0, 3, size=(36, 2)).astype(float)
    y = X @ [1.0, 2] + rng.integers(-2, 3, size=36)
    return Data(X, y, rng.integers(0, 3, size=36).astype(float))


def groups():
    """Two groups of even size: an interval of medians in each."""
    X = np.repeat([0.0, 1.0], [4, 6])[:, None]
    y = np.array([1.0, 2, 5, 9, 0, 1, 3, 7, 8, 20])
    return Data(X, y, np.array([1.0, 1, 1, 1, 2, 0, 1, 1, 2, 0]))


MAKERS = [continuous, tied, groups]


def every_choice(*scales):
    """Parametrise a law over all data, penalties, losses and some scales."""
    names = ("make", "penalty", "loss", "scale")
    return pytest.mark.parametrize(names, pairwise(MAKERS, PENALTIES, CONVEX, scales))


def assert_same(model, other):
    """Both fits are the same, ties or not."""
    assert_same_fit(model, other, rtol=1e-8)
    assert model.scale_ == pytest.approx(other.scale_, rel=1e-8)
    if model.penalty in ("l1", "elasticnet"):
        np.testing.assert_array_equal(model.coef_ == 0, other.coef_ == 0)


@every_choice(1.0, "mad", "proposal2")
def test_a_weight_of_2_is_the_row_twice(make, penalty, loss, scale):
    data = make()
    index = np.repeat(np.arange(len(data.y)), data.weight.astype(int))
    repeated = data.rows(index).fit(loss, penalty, scale)
    assert_same(data.fit(loss, penalty, scale), repeated)


@every_choice(1.0, "proposal2")
def test_a_weight_of_0_is_no_row(make, penalty, loss, scale):
    data = make()
    data = replace(data, weight=np.minimum(data.weight, 1))
    y = np.where(data.weight == 0, 1e9, data.y)
    live = data.rows(np.flatnonzero(data.weight))
    with_absent = replace(data, y=y).fit(loss, penalty, scale)
    assert_same(with_absent, live.fit(loss, penalty, scale))


@every_choice(1.0, "mad")
def test_any_order_of_the_rows(make, penalty, loss, scale):
    data = make()
    order = np.random.default_rng(0).permutation(len(data.y))
    moved = Data(data.X[order], data.y[order], data.weight[order])
    assert_same(moved.fit(loss, penalty, scale), data.fit(loss, penalty, scale))


@pytest.mark.parametrize(
    ("make", "penalty", "loss"), pairwise(MAKERS, PENALTIES, CONVEX)
)
def test_any_order_of_the_columns_and_any_container(make, penalty, loss):
    data = make()
    straight = data.fit(loss, penalty, "mad")
    turned = replace(data, X=data.X[:, ::-1]).fit(loss, penalty, "mad")
    np.testing.assert_allclose(turned.coef_[::-1], straight.coef_, rtol=0, atol=1e-8)
    sparse = replace(data, X=sp.csr_array(data.X)).fit(loss, penalty, "mad")
    assert_same(sparse, straight)


@pytest.mark.parametrize("loss", CONVEX)
def test_absent_rows_may_be_far_away_in_x_too(loss):
    data = continuous()
    weight = np.minimum(data.weight, 1)
    X = np.where(weight[:, None] == 0, 1e12, data.X)
    live = data.rows(np.flatnonzero(weight)).fit(loss, "l2", "mad")
    assert_same(Data(X, data.y, weight).fit(loss, "l2", "mad"), live)


@pytest.mark.parametrize("loss", CONVEX)
def test_one_live_row(loss):
    data = continuous()
    weight = np.zeros(40)
    weight[5] = 3.0
    model = SmoothL1Regressor(loss).fit(data.X, data.y, weight)
    assert model.predict(data.X[[5]])[0] == pytest.approx(data.y[5], rel=1e-12)


def test_robustness_weights_have_one_value_a_row():
    data = continuous()
    model = data.fit("smooth_l1", "l2", "mad")
    assert model.weights_.shape == data.y.shape
    t = np.abs(data.y - model.predict(data.X)) / model.scale_
    np.testing.assert_allclose(model.weights_, np.minimum(1, 1.345 / t), rtol=1e-9)


@pytest.mark.parametrize("weight", [-1.0, -1e-300])
def test_a_negative_weight_is_an_error(weight):
    data = continuous()
    data.weight[3] = weight
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        data.fit("smooth_l1", "l2", 1.0)


@pytest.mark.parametrize("quantile", [0.02, 0.5])
@pytest.mark.parametrize("seed", range(6))
def test_rows_that_count_very_differently_are_fitted_without_search(quantile, seed):
    rng = np.random.default_rng(seed)
    X, weight = rng.normal(size=(14, 26)), 10.0 ** rng.uniform(-6, 5, size=14)
    # More columns than rows, of whose targets most are tied.
    y = (np.arange(14) == 9).astype(float)
    weight[9] = 1.0
    model = L1Regressor(quantile=quantile).fit(X, y, sample_weight=weight)
    assert model.n_iter_ == 1
    np.testing.assert_allclose(model.predict(X), y, rtol=0, atol=1e-7)
