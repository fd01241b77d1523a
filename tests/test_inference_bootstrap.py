"""The bootstrap: what it agrees with, what it counts, what it refuses."""

import re
from itertools import product

import numpy as np
import pytest
import scipy.sparse as sp
from pairwise import pairwise
from sklearn.base import clone
from sklearn.linear_model import HuberRegressor

from robustreg import (
    L1Regressor,
    MMRegressor,
    RobustRegressor,
    ScaleCollapseWarning,
    SmoothL1Regressor,
)
from robustreg.estimators.base import RobustLinearModel
from robustreg.inference import coef_covariance, coef_table
from robustreg.inference.bootstrap import _share_below_0
from robustreg.inference.estimable import estimable
from robustreg.penalties import PENALTIES
from robustreg.scale import OF_EACH

RNG = np.random.default_rng(3)
N = 120
X = RNG.normal(size=(N, 3))
Y = 1 + X @ [1.0, 0.0, -2.0] + RNG.standard_t(3, size=N)
GROUPS = np.arange(N) % 10
SMOOTH, KINKED = RobustRegressor().fit(X, Y), L1Regressor().fit(X, Y)


def refused(message, model=SMOOTH, X=X, y=Y, **options):
    with pytest.raises(ValueError, match=re.escape(message)):
        coef_table(model, X, y, **{"cov_type": "bootstrap", **options})


def resampled(model, n_bootstrap, **options):
    return coef_table(
        model, X, Y, cov_type="bootstrap", n_bootstrap=n_bootstrap, **options
    )


LEAST_SQUARES = RobustRegressor("l2", scale=1.0).fit(X, Y)


def test_bootstrap_is_near_the_sandwich_and_repeatable():
    table = resampled(LEAST_SQUARES, 200, random_state=0)
    sandwich = coef_table(LEAST_SQUARES, X, Y)
    # The bootstrap's own error is one in sqrt(400).
    assert np.abs(table["std_err"] / sandwich["std_err"] - 1).max() < 0.2
    assert np.abs(table["lower"] - sandwich["lower"]).max() < 0.2
    assert table.equals(resampled(LEAST_SQUARES, 200, random_state=0))
    assert table.attrs["df"] == np.inf


def test_bootstrap_intervals_agree_with_their_p_values():
    draws = resampled(LEAST_SQUARES, 99, random_state=1)
    out = (draws["lower"] > 0) | (draws["upper"] < 0)
    np.testing.assert_array_equal(out, draws["p_value"] < 0.05)
    # A draw of 0, or two around it, are where intervals of a certain level end.
    for p_value in draws["p_value"][draws["p_value"].between(0.03, 0.99)]:
        ends = [
            resampled(LEAST_SQUARES, 99, random_state=1, level=1 - share * p_value)
            for share in (1 - 1e-9, 1, 1 + 1e-9)
        ]
        row = draws.index[draws["p_value"] == p_value][0]
        wide, at, narrow = ((t.loc[row, "lower"], t.loc[row, "upper"]) for t in ends)
        assert wide[0] < 0 < wide[1] and not narrow[0] < 0 < narrow[1]
        assert np.abs(at).min() < 1e-12
    normal = resampled(LEAST_SQUARES, 99, random_state=1, interval="normal")
    np.testing.assert_array_equal(normal["std_err"], draws["std_err"])
    middle = (normal["lower"] + normal["upper"]) / 2
    np.testing.assert_allclose(middle, normal["coef"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95, 0.98])
@pytest.mark.parametrize("n_bootstrap", [150, 200])
def test_bootstrap_p_values_tell_whether_0_is_outside(n_bootstrap, level):
    """Also of coefficients for which a draw more or less on one side decides."""
    rng = np.random.default_rng(8)
    rows = rng.normal(size=(40, 6))
    y = rows @ np.full(6, 0.33) + rng.normal(size=40)
    table = coef_table(
        L1Regressor().fit(rows, y),
        rows,
        y,
        cov_type="bootstrap",
        n_bootstrap=n_bootstrap,
        random_state=0,
        level=level,
    )
    outside = (table["lower"] > 0) | (table["upper"] < 0)
    np.testing.assert_array_equal(outside, table["p_value"] < 1 - level)


@pytest.mark.parametrize(
    ("draws", "share"),
    [
        ([1.0, 2.0, 3.0], 0.0),
        ([-1.0, -2.0, -3.0], 1.0),
        ([0.0, 0.0, 0.0], 1.0),
        ([2.0, -2.0, 2.0], 0.25),
        ([-3.0, 1.0, 5.0], 0.375),
        ([0.0, 1.0, -1.0], 0.5),
        ([-1e308, 1e308, 1e308], 0.25),
        ([-1e-320, 1e308, 1e308], 0.0),
    ],
)
def test_the_share_of_quantiles_that_are_not_positive(draws, share):
    assert _share_below_0(np.array(draws)[:, None]) == pytest.approx(share, abs=1e-15)


def test_bootstrap_takes_penalties_and_foreign_estimators():
    lasso = RobustRegressor(penalty="l1", alpha=0.2, scale=1.0).fit(X, Y)
    table = resampled(lasso, 40, random_state=0)
    assert table.loc["x1", "coef"] == 0 and table.loc["x1", "p_value"] > 0.5
    assert table.loc["x0", "p_value"] < 0.05
    foreign = resampled(HuberRegressor().fit(X, Y), 10, random_state=0)
    assert (foreign["std_err"] > 0).all()


def test_bootstrap_of_groups_keeps_groups_together():
    """Twice the same row is no more than once if both are always drawn together."""
    twice = np.repeat(np.arange(60), 2)
    model = RobustRegressor("l2", scale=1.0).fit(X[twice], Y[twice])
    together, apart = (
        np.sqrt(
            np.diag(
                coef_covariance(
                    model,
                    X[twice],
                    Y[twice],
                    cov_type="bootstrap",
                    groups=groups,
                    n_bootstrap=150,
                    random_state=0,
                )
            )
        )
        for groups in (twice, None)
    )
    np.testing.assert_allclose(together / apart, np.sqrt(2), rtol=0.25)


def test_bootstrap_counts_weights_as_rows():
    """Weights of 4 are four times the rows, and half of the standard error."""
    model = RobustRegressor("l2", scale=1.0).fit(X, Y)
    one, four = (
        np.sqrt(
            np.diag(
                coef_covariance(
                    model,
                    X,
                    Y,
                    np.full(N, weight),
                    cov_type="bootstrap",
                    n_bootstrap=400,
                    random_state=0,
                )
            )
        )
        for weight in (1.0, 4.0)
    )
    np.testing.assert_allclose(one / four, 2, rtol=0.25)


def test_bootstrap_says_which_columns_few_rows_have():
    rare = np.column_stack([X, np.arange(N) < 3])
    model = RobustRegressor("l2", scale=1.0).fit(rare, Y)
    with pytest.warns(RuntimeWarning, match=r"some of the columns x3 are constant"):
        coef_covariance(
            model, rare, Y, cov_type="bootstrap", n_bootstrap=100, random_state=0
        )
    single = np.column_stack([X] + [np.arange(N) == row for row in range(3)])
    model.fit(single, Y)
    with pytest.raises(ValueError, match="Drop these columns"):
        coef_covariance(
            model, single, Y, cov_type="bootstrap", n_bootstrap=50, random_state=0
        )


def test_bootstrap_keeps_coefficients_that_ties_make_zero():
    """Medians of whole numbers are equal in many resamples; a warning would raise."""
    treated = (np.arange(N) % 2).astype(float).reshape(-1, 1)
    noise = np.random.default_rng(3).normal(size=N)
    ratings = np.clip(np.round(3 + 0.7 * treated[:, 0] + noise), 1, 5)
    model = L1Regressor().fit(treated, ratings)
    assert abs(model.coef_[0]) > 0.5
    found = coef_covariance(
        model, treated, ratings, cov_type="bootstrap", n_bootstrap=60, random_state=0
    )
    random, share, draws = np.random.RandomState(0), np.full(N, 1 / N), []
    for _ in range(60):
        model.fit(treated, ratings, random.multinomial(N, share))
        draws.append([*model.coef_, model.intercept_])
    assert np.mean(np.array(draws)[:, 0] == 0) > 0.05
    np.testing.assert_allclose(found, np.cov(draws, rowvar=False), rtol=1e-12)


def test_bootstrap_refuses_data_of_another_fit():
    options = {"cov_type": "bootstrap", "n_bootstrap": 2}
    lasso = RobustRegressor("tukey", penalty="l1", alpha=0.1).fit(X, Y)
    for model in (SMOOTH, KINKED, lasso):
        refused("A fit of this X, y and", model, y=Y[::-1], **options)
        refused("A fit of this X, y and", model, X=X[:, ::-1], **options)
        coef_table(model, sp.csr_matrix(X), Y, **options)


def test_bootstrap_refuses_weights_that_count_no_rows():
    share = np.full(N, 1 / N)
    model = RobustRegressor().fit(X, Y, share)
    options = {"cov_type": "bootstrap", "n_bootstrap": 20, "random_state": 0}
    refused("Divide it by its mean", model, sample_weight=share, **options)
    coef_table(model, X, Y, sample_weight=share, groups=GROUPS, **options)


def test_bootstrap_says_how_many_fits_warned():
    with pytest.warns(match="tol"):
        short = SmoothL1Regressor(max_iter=1, tol=1e-14).fit(X, Y)
    with pytest.warns(RuntimeWarning, match=r"\d+ of 20 resampled fits warned"):
        resampled(short, 20, random_state=0)


def test_bootstrap_refuses_groups_of_another_shape():
    refused(f"shape ({N},)", cov_type="bootstrap", groups=GROUPS[:5])


def convex(loss, n=60, **params):
    """Return a model of one of the losses, its rows and the counts of 15 resamples."""
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(n, 2))
    y = 1 + rows @ [1.0, -0.2] + rng.standard_t(3, size=n)
    counts = np.random.RandomState(0).multinomial(n, np.full(n, 1 / n), size=15)
    return RobustRegressor(loss, **params).fit(rows, y), rows, y, counts


KINKS = ["l1", "quantile"]
CURVES = ["l2", "smooth_l1", "huber", "pseudo_huber", "log_cosh"]
BARE = {
    "plain": {},
    "tilted": {"quantile": 0.8},
    "no intercept": {"fit_intercept": False},
}
PENALISED = {name: {"penalty": name, "alpha": 0.15} for name in filter(None, PENALTIES)}
TERMS = BARE | PENALISED


@pytest.mark.parametrize(
    ("loss", "terms", "scale"),
    [
        *pairwise(KINKS, BARE, [1.0, *OF_EACH]),
        *pairwise(CURVES, TERMS, [1.0, *OF_EACH]),
    ],
)
def test_resamples_are_the_fits_of_their_counts(loss, terms, scale):
    model, rows, y, counts = convex(loss, scale=scale, **TERMS[terms])
    found = coef_covariance(
        model, rows, y, cov_type="bootstrap", n_bootstrap=15, random_state=0
    )
    fits = [clone(model).fit(rows, y, weight) for weight in counts]
    draws = np.array([[*fit.coef_, fit.intercept_] for fit in fits])
    if not model.fit_intercept:
        draws = draws[:, :-1]
    np.testing.assert_allclose(found, np.cov(draws, rowvar=False), rtol=1e-6)


def count_fits(monkeypatch):
    """Return a list that every fit lengthens."""
    fit, made = RobustLinearModel.fit, []

    def counted(self, *args, **kwargs):
        made.append(self)
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(RobustLinearModel, "fit", counted)
    return made


def counted_fits(monkeypatch, model, rows, y, **options):
    """Return how many fits a bootstrap makes one by one, and its table."""
    with monkeypatch.context() as patch:
        made = count_fits(patch)
        options = {"cov_type": "bootstrap", "random_state": 0, **options}
        table = coef_table(model, rows, y, **options)
    return len(made), table


@pytest.mark.parametrize(
    ("loss", "terms", "scale"),
    [
        *product(KINKS, ["plain"], OF_EACH),
        *pairwise(CURVES, ["plain", *PENALISED], OF_EACH),
    ],
)
def test_resamples_of_few_rows_are_fitted_together(monkeypatch, loss, terms, scale):
    """One by one only the fit that compares the data, and a few that do not settle."""
    model, rows, y, _ = convex(loss, n=200, scale=scale, **TERMS[terms])
    made, _ = counted_fits(monkeypatch, model, rows, y, n_bootstrap=200)
    assert 1 <= made <= 4


def test_resamples_that_leave_the_fit_open_are_fitted_one_by_one(monkeypatch):
    """Two groups' medians: even counts have many, of which one is documented."""
    rng = np.random.default_rng(0)
    group = np.repeat([[0.0], [1.0]], 15, axis=0)
    y = rng.normal(size=30) + group[:, 0]
    model = L1Regressor().fit(group, y)
    made, table = counted_fits(monkeypatch, model, group, y, n_bootstrap=100)
    assert 20 < made < 101
    counts = np.random.RandomState(0).multinomial(30, np.full(30, 1 / 30), size=100)
    medians = [np.median(np.repeat(y[15:], c[15:])) for c in counts]
    medians = medians - np.array([np.median(np.repeat(y[:15], c[:15])) for c in counts])
    np.testing.assert_allclose(table.loc["x0", "std_err"], np.std(medians, ddof=1))


def test_processes_change_nothing():
    for model, n in ((KINKED, 60), (RobustRegressor("tukey").fit(X, Y), 4)):
        one, two = (resampled(model, n, random_state=0, n_jobs=k) for k in (None, 2))
        np.testing.assert_array_equal(one, two)


def test_a_number_of_processes_is_none_or_whole():
    for n_jobs in (0, 1.5, "all"):
        refused("n_jobs must be None or a whole number", n_jobs=n_jobs)


@pytest.mark.filterwarnings("ignore::robustreg.ScaleCollapseWarning")
def test_resamples_whose_scale_collapses_are_counted():
    """Four rows of ten are not on the line, and many resamples hold fewer."""
    x = np.arange(10.0).reshape(-1, 1)
    y = x[:, 0] + np.where(np.arange(10) < 4, [3.0, -2, 5, -7, 0, 0, 0, 0, 0, 0], 0)
    for y_of in (y + 1e-3 * np.arange(10) ** 2 * (np.arange(10) == 9), np.zeros(10)):
        model = RobustRegressor().fit(x, y_of)
        match = r"(\d+) of 30 resampled fits warned: the scale of \1 collapsed, and 0"
        with pytest.warns(RuntimeWarning, match=match):
            coef_covariance(
                model, x, y_of, cov_type="bootstrap", n_bootstrap=30, random_state=0
            )


def few_and_wide(n, p):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, p))
    return rows, rows[:, 0] + rng.normal(size=n)


def test_resamples_whose_s_scale_is_bound_to_collapse_are_not_fitted(monkeypatch):
    """Of 60 rows a resample has about 38, and 27 coefficients fit most of them."""
    rows, y = few_and_wide(60, 26)
    model = MMRegressor(n_subsets=20).fit(rows, y)
    made = count_fits(monkeypatch)
    match = r"In 99 of 100 resamples the coefficients are so many.*avar1"
    options = {"cov_type": "bootstrap", "n_bootstrap": 100, "random_state": 0}
    with pytest.raises(ValueError, match=match):
        coef_covariance(model, rows, y, **options)
    # The one that compares the data.
    assert len(made) == 1


def test_a_collapse_that_is_foreseen_comes():
    rows, y = few_and_wide(40, 13)
    model = MMRegressor(n_subsets=200).fit(rows, y)
    counts = np.random.RandomState(0).multinomial(40, np.full(40, 1 / 40), size=30)
    whole = estimable(model, rows, np.ones(40))
    foreseen = whole.lacks(counts.astype(float), np.ones(30, dtype=bool)).collapsing
    assert 3 < foreseen.sum() < 27
    for weight in counts[foreseen]:
        with pytest.warns(ScaleCollapseWarning):
            clone(model).fit(rows, y, weight)


@pytest.mark.parametrize("alpha", [0.0, 0.05])
def test_resamples_whose_s_scale_is_bound_to_collapse_are_left_out(alpha):
    """Rows drawn often are fitted exactly, whatever the others say."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(12, 2))
    y = rows.sum(axis=1) + rng.normal(size=12)
    penalty = "l2" if alpha else None
    model = MMRegressor(n_subsets=50, penalty=penalty, alpha=alpha).fit(rows, y)
    counts = np.random.RandomState(0).multinomial(12, np.full(12, 1 / 12), size=30)
    # The scale is 0 where the three that are drawn most leave 4.5 of 12 or fewer.
    lost = np.sort(counts, axis=1)[:, :-3].sum(axis=1) <= 4.5
    assert 3 < lost.sum() < 15
    match = f"In {lost.sum()} of 30 resamples the coefficients.*left out.*avar1"
    options = {"cov_type": "bootstrap", "n_bootstrap": 30, "random_state": 0}
    with pytest.warns(RuntimeWarning, match=match) as said:
        found = coef_covariance(model, rows, y, **options)
    assert len(said) == 1
    fits = [clone(model).fit(rows, y, weight) for weight in counts[~lost]]
    draws = [[*fit.coef_, fit.intercept_] for fit in fits]
    np.testing.assert_allclose(found, np.cov(draws, rowvar=False), rtol=1e-9)


def test_resamples_whose_scale_is_0_by_the_errors_of_all_rows_are_counted():
    """18 of 40 rows have no error: many resamples hold more of them than others."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 1))
    y = rows[:, 0] + np.where(np.arange(40) < 22, rng.normal(size=40), 0)
    model = MMRegressor(n_subsets=20).fit(rows, y)
    match = r"(\d+) of 15 resampled fits warned: the scale of \1 collapsed, and 0"
    with pytest.warns(RuntimeWarning, match=match) as said:
        options = {"cov_type": "bootstrap", "n_bootstrap": 15, "random_state": 0}
        coef_covariance(model, rows, y, **options)
    assert len(said) == 1


def test_resamples_in_which_columns_depend_are_left_out():
    """A column differs from another in two rows, which some resamples all lack."""
    twin = np.column_stack([X, X[:, 0] + (np.arange(N) < 2)])
    model = RobustRegressor("tukey").fit(twin, Y)
    counts = np.random.RandomState(0).multinomial(N, np.full(N, 1 / N), size=30)
    lost = (counts[:, :2] == 0).all(axis=1)
    assert 0 < lost.sum() < 10
    match = f"In {lost.sum()} of 30 resamples columns depend on each other"
    options = {"cov_type": "bootstrap", "n_bootstrap": 30, "random_state": 0}
    with pytest.warns(RuntimeWarning, match=match):
        found = coef_covariance(model, twin, Y, **options)
    fits = [clone(model).fit(twin, Y, weight) for weight in counts[~lost]]
    draws = [[*fit.coef_, fit.intercept_] for fit in fits]
    np.testing.assert_allclose(found, np.cov(draws, rowvar=False), rtol=1e-9)


def test_lost_resamples_are_refused_before_any_is_fitted(monkeypatch):
    single = np.column_stack([X] + [np.arange(N) == row for row in range(3)])
    model = RobustRegressor("tukey").fit(single, Y)
    made = count_fits(monkeypatch)
    refused(
        "of 50 resamples some of the columns x3, x4, x5 are",
        model,
        single,
        n_bootstrap=50,
        random_state=0,
    )
    assert len(made) == 1
