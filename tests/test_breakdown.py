"""S-estimates from below: constants, M-scales, subsets and the search."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_array
from scipy.stats import norm

from robustreg import MMRegressor
from robustreg.breakdown import (
    Search,
    efficiency_of,
    s_estimate,
    subsets,
    tukey_for_breakdown,
    tukey_for_efficiency,
)
from robustreg.breakdown import cloud as clouds
from robustreg.breakdown.cloud import make_cloud
from robustreg.breakdown.m_scale import SCriterion
from robustreg.breakdown.polish import polished
from robustreg.breakdown.subsets import nonsingular_subsets
from robustreg.breakdown.typical import near_rows
from robustreg.losses import Tukey
from robustreg.rows import FormedRows, make_rows

BREAKDOWNS = [0.05, 0.1, 0.25, 0.5]


def rho(t):
    """Return Tukey's loss with supremum 1, by the package's other formula."""
    return Tukey(1.0).value(np.asarray(t, dtype=float)) * 6


def at_gaussian(function, c):
    """Return the expectation of a function that is constant beyond c."""
    inner = quad(lambda z: function(z) * norm.pdf(z), 0, c, epsabs=1e-14)[0]
    return 2 * inner + 2 * norm.sf(c) * float(function(2 * c))


@pytest.mark.parametrize("breakdown", BREAKDOWNS)
def test_constant_makes_the_scale_consistent(breakdown):
    c = tukey_for_breakdown(breakdown)
    assert at_gaussian(lambda z: rho(z / c), c) == pytest.approx(breakdown, abs=1e-12)


@pytest.mark.parametrize("efficiency", [0.3, 0.5, 0.85, 0.95, 0.99])
def test_constant_has_the_efficiency(efficiency):
    c = tukey_for_efficiency(efficiency)
    loss = Tukey(c)
    slope = at_gaussian(lambda z: loss.curvature(np.array(z)), c)
    square = at_gaussian(lambda z: loss.gradient(np.array(z)) ** 2, c)
    assert slope**2 / square == pytest.approx(efficiency, rel=1e-10)


def test_published_constants():
    # Rousseeuw, Yohai (1984), table; Yohai (1987); lmrob.control() of robustbase.
    assert tukey_for_breakdown(0.5) == pytest.approx(1.54764, abs=1e-5)
    assert tukey_for_breakdown(0.25) == pytest.approx(2.937, abs=1e-3)
    assert tukey_for_efficiency(0.95) == pytest.approx(4.685061, abs=1e-5)
    assert efficiency_of(tukey_for_breakdown(0.5)) == pytest.approx(0.287, abs=1e-3)


@pytest.mark.parametrize("breakdown", BREAKDOWNS)
@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
def test_scale_solves_its_equation(breakdown, unit):
    rng = np.random.default_rng(0)
    c = tukey_for_breakdown(breakdown)
    for _ in range(20):
        residual = rng.standard_t(1, 50) * 10 ** rng.uniform(-3, 3, 50)
        weight = rng.integers(1, 9, 50) / 1.0
        weight /= weight.sum()
        scale = SCriterion(c, breakdown, 0.0).scale(residual * unit, weight) / unit
        assert weight @ rho(residual / scale / c) == pytest.approx(breakdown, rel=1e-9)


def test_scales_side_by_side_are_those_one_by_one():
    rng = np.random.default_rng(0)
    residual = rng.normal(size=(700, 200)) * 10 ** rng.uniform(-9, 9, (700, 1))
    weight = np.full(200, 1 / 200)
    criterion = SCriterion(1.5, 0.5, 0.0)
    together = criterion.scales(residual, weight, 1e-14)
    alone = [criterion.scale(one, weight) for one in residual]
    assert_allclose(together, alone, rtol=1e-12)


def test_scale_is_consistent_at_the_gaussian():
    residual = 3.0 * norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    weight = np.full(residual.size, 1 / residual.size)
    for breakdown in BREAKDOWNS:
        c = tukey_for_breakdown(breakdown)
        assert SCriterion(c, breakdown, 0.0).scale(residual, weight) == pytest.approx(
            3.0, rel=1e-4
        )


def test_scale_breaks_down_beyond_the_share_and_not_before():
    residual, weight = np.ones(100), np.full(100, 0.01)
    scale = SCriterion(tukey_for_breakdown(0.5), 0.5, 0.0).scale
    residual[:49] = 1e12
    assert scale(residual, weight) < 100
    residual[:51] = 1e12
    assert scale(residual, weight) > 1e10
    residual[:] = 1.0
    residual[:49] = 0.0
    assert scale(residual, weight) > 0.01
    residual[:51] = 0.0
    assert scale(residual, weight) == 0


def dummies(n, n_levels, seed=0):
    """Return one number and the dummies of levels, some of them rare."""
    rng = np.random.default_rng(seed)
    level = np.minimum(rng.geometric(0.4, n), n_levels) - 1
    level[:n_levels] = np.arange(n_levels)
    return np.column_stack([rng.normal(size=n), level[:, None] == np.arange(n_levels)])


def test_subsets_have_full_rank_in_spite_of_dummies():
    rows = dummies(300, 14)
    directions = rows / np.linalg.norm(rows, axis=1)[:, None]
    rng = np.random.default_rng(0)
    subsets = nonsingular_subsets(directions, np.ones(300), 200, rng)
    assert subsets.shape == (200, 15)
    ranks = np.linalg.matrix_rank(directions[subsets])
    assert (ranks == 15).all()
    # Every level is in every subset, however rare.
    assert (rows[:, 1:] > 0).sum(axis=0).min() < 3
    assert (directions[subsets][:, :, 1:] > 0).any(axis=1).all()


def test_subsets_of_weights_are_those_of_repeated_rows():
    rows = dummies(60, 5)
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    count = np.random.default_rng(1).integers(1, 4, 60)
    of_weights = nonsingular_subsets(
        rows, count.astype(float), 50, np.random.default_rng(0)
    )
    repeated = np.repeat(np.arange(60), count)
    of_rows = nonsingular_subsets(
        rows[repeated], np.ones(repeated.size), 50, np.random.default_rng(0)
    )
    assert_array_equal(repeated[of_rows], of_weights)


def test_subsets_draw_in_proportion_to_weights():
    directions, weight = np.ones((4, 1)), np.array([1.0, 2.0, 3.0, 4.0])
    drawn = nonsingular_subsets(directions, weight, 20_000, np.random.default_rng(0))
    assert_allclose(np.bincount(drawn[:, 0]) / 20_000, weight / 10, atol=0.015)


def test_all_rows_are_looked_at_once_for_a_subset_at_most(monkeypatch):
    calls, asked, completed = [], [], subsets._completed

    def recorded(kinds, bases, places):
        calls.append(len(bases))
        asked.extend([bases.shape[1] + places.shape[2]] * len(bases))
        return completed(kinds, bases, places)

    monkeypatch.setattr(subsets, "_completed", recorded)
    rows = dummies(2000, 30)
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    nonsingular_subsets(rows, np.ones(2000), 40, np.random.default_rng(0))
    assert asked == [31] * 40
    # And together for those that have as many rows by then.
    assert len(calls) < 20


@pytest.mark.parametrize("first", [3, 8])
def test_rare_rows_are_drawn_in_proportion_to_weights(first):
    # A level whose rows are equal, and one whose rows are not.
    rows = np.zeros((10_000, 3))
    rows[:, 0], rows[:5, 1], rows[5:10, 2] = 1.0, 1.0, np.arange(1, 6)
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    weight = np.where(np.arange(10_000) == first, 4.0, 1.0)
    drawn = nonsingular_subsets(rows, weight, 4000, np.random.default_rng(0))
    counts = np.bincount(drawn.ravel(), minlength=10_000)[:10] / 4000
    expected = np.array([0.2] * 10)
    own = slice(0, 5) if first < 5 else slice(5, 10)
    expected[own] = weight[own] / 8
    assert_allclose(counts, expected, atol=0.025)


@pytest.mark.parametrize("most", [2**22, 0])
@pytest.mark.parametrize("n_candidates", [1, 8, 9, 40])
def test_gram_matrices_of_candidates(monkeypatch, most, n_candidates):
    monkeypatch.setattr(clouds, "MOST_ENTRIES", most)
    monkeypatch.setattr(clouds, "HELD_ENTRIES", 100)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(70, 4))
    weight = np.ones(70)
    cloud = make_cloud(make_rows(X, weight, True), X[:, 0].copy(), weight, 4000)
    pull = rng.random((n_candidates, 70))
    expected = [cloud.design.T @ (w[:, None] * cloud.design) for w in pull]
    for _ in range(2):
        assert_allclose(cloud.grams(pull), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("far", [1.0, 1e4, 1e8])
def test_coordinates_of_typical_rows_are_alike(far):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 3)) + 100.0
    X[:90] += far
    weight = np.ones(200)
    rows = make_rows(X, weight, True)
    cloud = make_cloud(rows, X[:, 0].copy(), weight, 4000)
    assert cloud.complete and cloud.design.shape == (200, 4)
    good = np.linalg.norm(cloud.design, axis=1) < 20
    assert good.sum() >= 110
    assert np.linalg.cond(cloud.design[good]) < 300


def criterion_for(n, rank, breakdown=0.5):
    """Return the criterion of a fit to n rows."""
    share = breakdown * (1 - rank / n)
    return SCriterion(tukey_for_breakdown(breakdown), share, 1e-12)


def estimate(X, y):
    """Return the rows and the S-estimate."""
    search = Search(tukey_for_breakdown(0.5), 0.5, 200, 0)
    weight = np.ones(len(y))
    rows = make_rows(X, weight, True)
    return rows, s_estimate(rows, y, weight, search, 1e-12)


def test_location_is_the_global_minimum():
    # With an intercept alone, a fine grid finds it too.
    for seed in range(4):
        y = np.random.default_rng(seed).standard_t(1, 30)
        _, found = estimate(np.zeros((30, 1)), y)
        criterion, weight = criterion_for(30, 1), np.full(30, 1 / 30)

        def scale(b, y=y, criterion=criterion, weight=weight):
            return criterion.scale(y - b, weight)

        grid = np.linspace(*np.quantile(y, [0.1, 0.9]), 501)
        start = grid[np.argmin([scale(b) for b in grid])]
        width = 2 * (grid[1] - grid[0])
        best = minimize_scalar(scale, bounds=(start - width, start + width)).fun
        assert found.scale <= best * (1 + 1e-9)
        assert found.scale == pytest.approx(scale(found.params[-1]), rel=1e-12)


@pytest.mark.parametrize("n", [60, 6000])
def test_no_nearby_fit_has_a_smaller_scale(n):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    y = X.sum(axis=1) + rng.standard_t(2, n)
    rows, found = estimate(X, y)
    criterion, weight = criterion_for(n, 4), np.full(n, 1 / n)
    assert not found.collapsed
    for _ in range(50):
        params = found.params + 1e-3 * rng.normal(size=4)
        assert criterion.scale(y - rows.predict(params), weight) >= found.scale


def test_refinement_never_goes_up():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    y = X.sum(axis=1) + rng.standard_t(1, 80)
    weight = np.full(80, 1 / 80)
    rows, criterion = make_rows(X, np.ones(80), True), criterion_for(80, 5)
    for _ in range(20):
        start = 10 * rng.normal(size=5)
        before = criterion.scale(y - rows.predict(start), weight)
        assert polished(rows, y, weight, criterion, start).scale <= before


def test_refinement_leaves_directions_that_only_rejected_rows_have():
    """The third coordinate is that of a far row, but for rounding errors."""
    rng = np.random.default_rng(0)
    design = np.column_stack([rng.normal(size=(40, 2)), np.zeros(40)])
    design[0] = [0.0, 0.0, 1.0]
    design = design @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    for seed in range(20):
        target = np.random.default_rng(seed).normal(size=40)
        target[0] = 1e3
        rows = FormedRows(design, make_rows(design, np.ones(40), False).standard)
        weight = np.full(40, 1 / 40)
        end = polished(rows, target, weight, criterion_for(40, 3), np.zeros(3))
        assert np.abs(end.params).max() < 1


def test_sample_of_many_rows_spans_rare_directions():
    rng = np.random.default_rng(0)
    n = 20_000
    X = np.column_stack([rng.normal(size=(n, 2)), np.zeros((n, 2))])
    X[17, 2], X[100:120, 3] = 1.0, 1.0
    weight = np.ones(n)
    cloud = make_cloud(make_rows(X, weight, True), X[:, 0].copy(), weight, 4000)
    assert not cloud.complete
    assert cloud.design.shape[1] == 5
    assert cloud.weight.min() > 0 and cloud.weight.sum() == pytest.approx(1)


# Minima that tie.


def tied_groups(n_groups):
    """Return rows of a line, and groups of which any one row can be fitted exactly.

    Two rows of each are near enough to each other for the efficient fit alone.
    """
    rng = np.random.default_rng(1)
    group = np.append(np.zeros(28), np.repeat(np.arange(1.0, n_groups + 1), 3))
    x = rng.normal(size=group.size)
    y = 2 * x + 10 * group + rng.normal(size=group.size)
    y[28:] = 2 * x[28:] + 10 * group[28:] + np.tile([0.0, 60.0, 63.6], n_groups)
    dummies = group[:, None] == np.arange(1, n_groups + 1)
    return np.column_stack([x, dummies]).astype(float), y


@pytest.mark.parametrize("n_groups", [1, 2, 3, 4])
def test_of_tied_minima_the_one_of_the_lowest_second_step(n_groups):
    X, y = tied_groups(n_groups)
    fits = [MMRegressor(random_state=seed).fit(X, y) for seed in range(3)]
    for model in fits:
        # A group's two rows that can be fitted together are.
        near = np.tile([False, True, True], n_groups)
        assert_array_equal(model.weights_[28:] > 0.5, near)
        assert model.scale_ == pytest.approx(fits[0].scale_, rel=1e-12)
        assert_allclose(model.coef_, fits[0].coef_, rtol=1e-8)


def test_every_exchange_that_leaves_the_scale_is_found():
    X, y = tied_groups(2)
    rows, found = estimate(X, y)
    every = np.array([found.params, *found.tied])
    exact = [np.isclose(rows.predict(params), y, atol=1e-9)[28:] for params in every]
    assert len(every) == len({tuple(each) for each in exact}) == 9
    assert (np.array(exact).reshape(9, 2, 3).sum(axis=2) == 1).all()


def test_tied_minima_of_repeated_rows_are_those_of_weights():
    X, y = tied_groups(2)
    count = np.append(np.arange(28) % 3, [1, 2, 1, 2, 2, 2]).astype(int)
    weighted = MMRegressor().fit(X, y, count)
    repeated = MMRegressor().fit(X.repeat(count, 0), y.repeat(count))
    assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-9)
    assert_allclose(weighted.s_coef_, repeated.s_coef_, rtol=1e-9)


def test_ties_that_are_followed_are_bounded(monkeypatch):
    """Each of a group's thousand rows can be fitted alone, and 64 of them are tried."""
    tied = []

    def counted(*args, **options):
        found = s_estimate(*args, **options)
        tied.append(len(found.tied))
        return found

    monkeypatch.setattr("robustreg.breakdown.mm.s_estimate", counted)
    rng = np.random.default_rng(0)
    x, group = rng.normal(size=900), np.arange(900) >= 600
    y = x + 0.1 * rng.normal(size=900)
    y[group] += 50 * np.arange(300)
    MMRegressor(n_subsets=50).fit(np.column_stack([x, group]), y)
    assert 1 < tied[0] <= 64


def with_a_dummy(seed, n=30):
    """Return rows of a line with a column that the first row alone has."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.normal(size=n), np.arange(n) < 1])
    return X, X[:, 0] + rng.normal(size=n)


@pytest.mark.parametrize(
    ("seed", "n", "params"),
    [
        # No row is rejected.
        (0, 30, {"breakdown": 0.25}),
        (38, 30, {}),
        # The rows that are rejected extend in the direction by rounding errors only.
        (20, 30, {}),
        (2, 100, {}),
        (27, 200, {}),
        (49, 30, {"n_subsets": 0}),
    ],
)
def test_a_row_that_alone_has_a_column_is_fitted_and_changes_nothing(seed, n, params):
    X, y = with_a_dummy(seed, n)
    model = MMRegressor(**params).fit(X, y)
    others = MMRegressor(**params).fit(X[1:, :1], y[1:])
    assert model.predict(X)[0] == pytest.approx(y[0], abs=1e-12)
    assert_allclose(model.coef_[:1], others.coef_, rtol=1e-9)
    assert model.intercept_ == pytest.approx(others.intercept_, abs=1e-9)
    assert model.scale_ == pytest.approx(others.scale_, rel=1e-12)


def test_far_rows_are_the_same_in_every_container_and_for_repeated_rows():
    rng = np.random.default_rng(3)
    for density in (0.1, 0.5, 0.9, 1.0):
        for offset in (0.0, 1e5):
            X = rng.standard_t(1, (200, 4)) * (rng.random((200, 4)) < density) + offset
            count = rng.integers(0, 4, 200)
            near = near_rows(X, count.astype(float), 5.0)
            assert 0 < near.sum() < 200
            of_sparse = near_rows(csr_array(X), count.astype(float), 5.0)
            assert_array_equal(of_sparse, near)
            repeated = X.repeat(count, axis=0)
            of_repeated = near_rows(repeated, np.ones(len(repeated)), 5.0)
            assert_array_equal(of_repeated, near.repeat(count))
