"""Least squares of many targets: the fits of each by itself, at the price of a few."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal
from pairwise import pairwise

from robustreg import RobustRegressor, ScaleCollapseWarning
from robustreg.estimators import arrays
from robustreg.fitting import targets, together
from robustreg.scale import median_of_each, weighted_median
from robustreg.solvers.many.targets import ManyTargets

N_ROWS, N_TARGETS, N_COLUMNS = 301, 12, 6
L2 = {"loss": "l2", "scale": 2.0}


def make_designs():
    """Return designs by name, of which the two last leave no target to the others."""
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(N_ROWS, N_COLUMNS))
    skewed = plain + 0.5 * plain[:, :1] * np.arange(N_COLUMNS)
    nearly = plain.copy()
    nearly[:, 5] = plain[:, 4] + 1e-5 * plain[:, 5]
    stored = plain * (rng.random(plain.shape) < 0.3)
    return {
        "plain": plain,
        "float32": plain.astype(np.float32),
        "far": plain + 1e4,
        "skewed": skewed * np.logspace(-3, 3, N_COLUMNS),
        "constant column": np.column_stack([plain, np.full(N_ROWS, 3.0)]),
        "sparse": scipy.sparse.csr_array(stored),
        "nearly dependent": nearly,
        "dependent": np.column_stack([plain, plain[:, 0]]),
    }


DESIGNS = make_designs()


def make_targets(X, rng):
    """Return targets of all sizes, with outliers, a constant and a column of X."""
    dense = (X.toarray() if scipy.sparse.issparse(X) else X).astype(np.float64)
    Y = dense @ rng.normal(size=(dense.shape[1], N_TARGETS))
    Y += rng.standard_t(2, size=Y.shape) + 7 * np.arange(N_TARGETS)
    Y[:3, 1] = 1e9
    Y[:, 2] = 4.5
    Y[:, 3] *= 1e12
    Y[:, 4] = dense[:, 0] + 2
    Y[:, 5] = np.round(Y[:, 5])
    Y[:, 6] *= 1e-9
    return Y


@pytest.fixture
def alone(monkeypatch):
    """Return a list to which each target that is fitted by itself is added."""
    seen, fit = [], targets.fit_in_basis

    def keep(problem, *args, **options):
        seen.append(problem.y)
        return fit(problem, *args, **options)

    monkeypatch.setattr(targets, "fit_in_basis", keep)
    return seen


@pytest.mark.parametrize(
    ("name", "fit_intercept", "alpha", "weighted"),
    pairwise(DESIGNS, (True, False), (0.0, 0.1), (False, True)),
)
def test_each_has_the_fit_of_its_own(monkeypatch, name, fit_intercept, alpha, weighted):
    rng, X, weight = np.random.default_rng(1), DESIGNS[name], None
    Y = make_targets(X, rng)
    if weighted:
        # In batches, of which the last is smaller.
        monkeypatch.setattr(together, "STRETCH", 1)
        weight = rng.integers(0, 3, N_ROWS) * rng.uniform(0.5, 2, N_ROWS)
    model = RobustRegressor(
        **L2, penalty="l2" if alpha else None, alpha=alpha, fit_intercept=fit_intercept
    )
    singles = [RobustRegressor(**model.get_params()).fit(X, y, weight) for y in Y.T]
    model.fit(X, Y, weight)
    assert model.n_iter_ == max(own.n_iter_ for own in singles)
    for j, own in enumerate(singles):
        assert model.coef_[j].dtype == own.coef_.dtype
        size = np.abs(own.coef_).max() + 1e-13 * np.abs(Y[:, j]).max()
        assert_allclose(model.coef_[j], own.coef_, rtol=1e-10, atol=1e-10 * size)
        edge = {"rtol": 1e-10, "atol": 1e-10 * size * np.abs(X).max()}
        assert_allclose(model.intercept_[j], own.intercept_, **edge)
        assert model.scale_[j] == own.scale_ == 2.0
        assert_allclose(model.residual_scale_[j], own.residual_scale_, rtol=1e-9)
        # What is left of the gap is rounding.
        rounding = 1e-14 * (Y[:, j] ** 2).mean()
        assert_allclose(model.dual_gap_[j], own.dual_gap_, atol=rounding)
        # Rounding errors of sums, which each machine orders in its own way.
        assert_allclose(model.stationarity_[j], own.stationarity_, atol=1e-12)
        assert_array_equal(model.outliers_[:, j], own.outliers_)
        assert_array_equal(model.weights_[:, j], own.weights_)


@pytest.mark.parametrize(
    ("name", "weighted", "scale"),
    pairwise(
        ("plain", "float32", "far", "sparse"), (False, True), ("mad", "proposal2")
    ),
)
@pytest.mark.filterwarnings("ignore::robustreg.ScaleCollapseWarning")
def test_each_has_the_scale_of_its_own(alone, name, weighted, scale):
    """No scale moves least squares, unless it is that of rounding errors."""
    rng, X, weight = np.random.default_rng(1), DESIGNS[name], None
    Y = make_targets(X, rng)
    if weighted:
        weight = rng.integers(0, 3, N_ROWS) * rng.uniform(0.5, 2, N_ROWS)
    model = RobustRegressor("l2", scale=scale).fit(X, Y, weight)
    # A constant and a column of X, and a target of outliers that say little.
    assert len(alone) <= 3
    for j, y in enumerate(Y.T):
        own = RobustRegressor("l2", scale=scale).fit(X, y, weight)
        size = np.abs(own.coef_).max() + 1e-13 * np.abs(y).max()
        assert model.coef_[j].dtype == own.coef_.dtype
        assert_allclose(model.coef_[j], own.coef_, rtol=1e-9, atol=1e-9 * size)
        assert_allclose(model.scale_[j], own.scale_, rtol=1e-9)
        assert_allclose(model.residual_scale_[j], own.residual_scale_, rtol=1e-6)
        mean_square = ((y - y.mean()) ** 2).mean() / own.scale_**2
        assert_allclose(model.dual_gap_[j], own.dual_gap_, atol=1e-12 * mean_square)
        assert_array_equal(model.outliers_[:, j], own.outliers_)
        assert_array_equal(model.weights_[:, j], own.weights_)


@pytest.mark.parametrize("scale", ["mad", "proposal2"])
def test_exact_fits_of_many_targets_collapse(alone, scale):
    X = DESIGNS["plain"]
    Y = X @ np.ones((N_COLUMNS, 2)) + np.arange(2)
    with pytest.warns(ScaleCollapseWarning):
        model = RobustRegressor("l2", scale=scale).fit(X, Y)
    assert len(alone) == 2
    assert_allclose(model.coef_, 1.0, rtol=1e-6)


@pytest.mark.parametrize("scale", ["mad", "proposal2"])
def test_the_scales_of_many_targets_cost_one_fit(monkeypatch, alone, scale):
    made, make = [], arrays.make_rows

    def keep_rows(*args, **options):
        made.append(make(*args, **options))
        return made[-1]

    monkeypatch.setattr(arrays, "make_rows", keep_rows)
    X = DESIGNS["plain"]
    Y = make_targets(X, np.random.default_rng(1))[:, 7:]
    RobustRegressor("l2", scale=scale).fit(X, Y)
    estimated = made.pop().passes
    RobustRegressor("l2", scale=2.0).fit(X, Y)
    assert not alone
    assert estimated == made.pop().passes


@pytest.mark.parametrize("size, batches", [(2**15, 1), (1, 2)])
@pytest.mark.parametrize("name", ["plain", "far", "float32", "sparse"])
def test_what_many_targets_cost(monkeypatch, alone, name, size, batches):
    """One Gram matrix and factor, a pass and a half for a step, no target by itself."""
    monkeypatch.setattr(together, "STRETCH", size)
    made, factors = [], []
    make, factor = arrays.make_rows, scipy.linalg.lapack.dpotrf

    def keep_rows(*args, **options):
        made.append(make(*args, **options))
        return made[-1]

    def keep_factor(*args, **options):
        factors.append(args)
        return factor(*args, **options)

    monkeypatch.setattr(arrays, "make_rows", keep_rows)
    monkeypatch.setattr(scipy.linalg.lapack, "dpotrf", keep_factor)
    X = DESIGNS[name]
    model = RobustRegressor(**L2).fit(X, make_targets(X, np.random.default_rng(1)))
    (rows,) = made
    # Rounded answers are evaluated once more.
    products = 1.5 + (model.n_iter_ - 1) + (name == "float32")
    assert rows.passes <= 1 + batches * products
    assert len(factors) == 1
    assert not alone


@pytest.mark.parametrize("name", ["nearly dependent", "dependent"])
def test_who_needs_a_look_is_fitted_alone(alone, name):
    X = DESIGNS[name]
    RobustRegressor(**L2).fit(X, make_targets(X, np.random.default_rng(1)))
    assert len(alone) == N_TARGETS


def test_what_is_not_certified_is_fitted_alone(alone, monkeypatch):
    """From where it starts, and with the factor that is known."""
    X, rng = DESIGNS["plain"], np.random.default_rng(1)
    Y = make_targets(X, rng)
    expected = RobustRegressor(**L2).fit(X, Y)
    assert not alone
    fit = ManyTargets.fit

    def unsure(self, max_iter):
        found = fit(self, max_iter)
        found.done[::5] = False
        return found

    monkeypatch.setattr(ManyTargets, "fit", unsure)
    found = RobustRegressor(**L2).fit(X, Y)
    assert_array_equal(np.array(alone), Y.T[::5])
    assert_allclose(found.coef_, expected.coef_, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "options",
    [
        {"solver": "newton-cg"},
        {"penalty": "l1", "alpha": 0.1},
        {"scale": "mad", "penalty": "l2", "alpha": 0.1},
        {"loss": "huber"},
        {"quantile": 0.3},
    ],
    ids=repr,
)
def test_other_problems_are_fitted_alone(alone, options):
    X = DESIGNS["plain"]
    Y = make_targets(X, np.random.default_rng(1))[:, 7:]
    RobustRegressor(**{**L2, **options}).fit(X, Y)
    assert len(alone) >= Y.shape[1]


@pytest.mark.parametrize("n", [1, 2, 7, 8])
@pytest.mark.parametrize("weighted", [False, True])
def test_medians_of_each(n, weighted):
    rng = np.random.default_rng(n)
    values = rng.integers(0, 4, (50, n)).astype(float)
    weight = rng.integers(0, 3, n) + (np.arange(n) == 0) if weighted else np.ones(n)
    expected = [weighted_median(row, weight) for row in values]
    assert_array_equal(median_of_each(values, weight), expected)
