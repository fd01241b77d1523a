"""The rank of designs, and that dependent columns change no scale."""

import numpy as np
import pytest
import scipy.sparse as sp

from robustreg import RobustRegressor
from robustreg.rows import design_rank, make_rows

FORMS = {
    "formed": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "csr": sp.csr_array,
}


def normal(n=200, p=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, p))


def dummies(n=200, seed=1):
    """Return a column for each of four groups: with an intercept, one too many."""
    return np.eye(4)[np.random.default_rng(seed).integers(0, 4, n)]


# Of each: the design, and its rank with an intercept and without.
DESIGNS = {
    "regular": (normal(), 5, 4),
    "twice": (np.tile(normal(), 2), 5, 4),
    "a sum": (np.column_stack([normal(), normal().sum(axis=1)]), 5, 4),
    "dummies": (dummies(), 4, 4),
    "two factors": (np.hstack([dummies(), dummies(seed=2)]), 7, 7),
    "a constant": (np.column_stack([normal(), np.full(200, 7.0)]), 5, 5),
    "zeros": (np.zeros((200, 3)), 1, 0),
    "wide": (normal(10, 30), 10, 10),
    "one row": (normal(1, 3), 1, 1),
    "equal rows": (np.tile(normal(1, 3), (50, 1)), 1, 1),
    "many rows": (np.tile(normal(30_000, 4), 2), 5, 4),
    "nearly": (normal() @ np.diag([1, 1e-7, 1e7, 1]) + 1e3, 5, 5),
}


# Rounded to float32, these columns are others.
DELICATE = ("a sum", "nearly")
CASES = [
    (name, form)
    for name in DESIGNS
    for form in FORMS
    if form != "float32" or name not in DELICATE
]


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(("name", "form"), CASES)
def test_the_rank_of_a_design(name, form, fit_intercept):
    X, with_intercept, without = DESIGNS[name]
    if name == "nearly" and not fit_intercept:
        X, without = X - X.mean(axis=0), 4
    weight = np.ones(X.shape[0])
    rows = make_rows(FORMS[form](X), weight, fit_intercept)
    assert design_rank(rows, weight) == (with_intercept if fit_intercept else without)


def test_columns_that_differ_in_a_few_rows_are_independent():
    X = normal(50_000, 3)
    X = np.column_stack([X, X[:, 0]])
    X[17, 3] += 1.0
    weight = np.ones(50_000)
    assert design_rank(make_rows(X, weight, True), weight) == 5
    weight[17] = 0.0
    assert design_rank(make_rows(X, weight, True), weight) == 4


def test_a_nearly_dependent_column_is_independent():
    X = normal()
    X = np.column_stack([X, X[:, 0] + 1e-8 * np.random.default_rng(3).normal(size=200)])
    assert design_rank(make_rows(X, np.ones(200), True), np.ones(200)) == 6


def test_weights_are_repeated_rows():
    X = np.hstack([dummies(30), dummies(30, seed=2)])
    count = np.random.default_rng(4).integers(0, 3, 30).astype(float)
    repeated = np.repeat(X, count.astype(int), axis=0)
    one = np.ones(len(repeated))
    assert design_rank(make_rows(X, count, True), count) == design_rank(
        make_rows(repeated, one, True), one
    )


@pytest.mark.parametrize("loss", ["huber", "l2", "tukey"])
def test_dependent_columns_change_no_scale(loss):
    rng = np.random.default_rng(5)
    X = np.column_stack([normal(60, 6), dummies(60)[:, 1:]])
    y = X.sum(axis=1) + rng.standard_t(3, size=60)
    model = RobustRegressor(loss, beta=None, scale="proposal2").fit(X, y)
    twice = RobustRegressor(loss, beta=None, scale="proposal2").fit(np.tile(X, 2), y)
    every = np.column_stack([X, 1 - X[:, 6:].sum(axis=1)])
    levels = RobustRegressor(loss, beta=None, scale="proposal2").fit(every, y)
    for other, design in ((twice, np.tile(X, 2)), (levels, every)):
        assert other.scale_ == pytest.approx(model.scale_, rel=1e-8)
        np.testing.assert_allclose(
            other.predict(design), model.predict(X), rtol=0, atol=1e-7
        )
