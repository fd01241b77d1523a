"""One strength after the other at a scale that goes along: each is the fit alone."""

import numpy as np
import pytest
from pairwise import pairwise
from test_mean_curvature import data, problems_of, with_rare_column

from robustreg import RobustRegressor
from robustreg.fitting import at_once, fit_at_once
from robustreg.scale import mad
from robustreg.solvers.many import switching, walk

ALPHAS = np.geomspace(0.5, 5e-4, 12)


def models_of(loss="smooth_l1", penalty="l1", alphas=ALPHAS, **settings):
    """Return a model for each strength, in no order."""
    order = np.random.default_rng(0).permutation(len(alphas))
    return [
        RobustRegressor(loss, penalty=penalty, alpha=alpha, **settings)
        for alpha in np.asarray(alphas)[order]
    ]


@pytest.fixture
def walked(monkeypatch):
    """Return a list to which every walk adds how many fits it found."""
    found, walk = [], at_once.fit_by_switching

    def counted(*args):
        result = walk(*args)
        found.append(int(result[1].sum()))
        return result

    monkeypatch.setattr(at_once, "fit_by_switching", counted)
    return found


@pytest.mark.parametrize(
    ("loss", "penalty", "scale", "quantile", "fit_intercept"),
    pairwise(
        ("smooth_l1", "huber"),
        ("l1", "l2", "elasticnet"),
        (2.0, "mad"),
        (0.5, 0.3),
        (True, False),
    ),
)
def test_fits_are_those_one_by_one(
    walked, loss, penalty, scale, quantile, fit_intercept
):
    X, y, weight = data()
    settings = {"scale": scale, "quantile": quantile, "fit_intercept": fit_intercept}
    models = models_of(loss, penalty, tol=1e-14, **settings)
    found = fit_at_once(problems_of(X, y, weight, models))
    if (loss, scale, fit_intercept) == ("huber", 2.0, False):
        # Far from 0 the first fit is for others to find, and all are.
        assert walked == [0] and found == [None] * len(models)
        return
    assert walked[-1] == len(models)
    for model, fit in zip(models, found, strict=True):
        model.fit(X, y, weight)
        np.testing.assert_allclose(fit.coef, model.coef_, rtol=1e-9, atol=1e-10)
        assert fit.intercept == pytest.approx(model.intercept_, rel=1e-9, abs=1e-10)
        assert fit.scale == pytest.approx(model.scale_, rel=1e-9)
        np.testing.assert_array_equal(fit.coef == 0, model.coef_ == 0)


def test_a_walk_costs_few_passes_and_the_rows_that_cross(monkeypatch):
    """Costs are products with the design, and the rows that cross, never the clock."""
    steps, passes, crossed = [], [], []
    counts = {"_move": steps, "moved": passes, "settle": passes}
    for name, calls in counts.items():
        method = getattr(walk.Walk, name)
        monkeypatch.setattr(
            walk.Walk,
            name,
            lambda *args, calls=calls, method=method: calls.append(1) or method(*args),
        )
    cross = walk.Walk._cross
    monkeypatch.setattr(
        walk.Walk,
        "_cross",
        lambda walk, rows, residual: (
            crossed.append(rows.size) or cross(walk, rows, residual)
        ),
    )
    X, y, _ = data(8000)
    models = models_of(alphas=np.geomspace(2.0, 2e-3, 60))
    assert None not in fit_at_once(problems_of(X, y, np.ones(8000), models))
    assert len(steps) <= 3 * len(models)
    # Several strengths look at the rows that may cross, and then at all at once.
    assert len(passes) <= 0.75 * len(models)
    # Over the whole path a row crosses about once.
    assert sum(crossed) <= 8000


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scale", [2.0, "mad"])
def test_rows_that_may_cross_stand_for_all(walked, scale, weighted):
    X, y, weight = data(8000)
    weight = weight if weighted else np.ones(8000)
    alphas = np.geomspace(2.0, 2e-3, 30)
    models = models_of(alphas=alphas, scale=scale, tol=1e-14)
    found = fit_at_once(problems_of(X, y, weight, models))
    assert walked == [len(models)]
    for model, fit in list(zip(models, found, strict=True))[::4]:
        model.fit(X, y, weight)
        np.testing.assert_allclose(fit.coef, model.coef_, rtol=1e-9, atol=1e-10)
        assert fit.scale == pytest.approx(model.scale_, rel=1e-9)


@pytest.mark.parametrize("scale", [2.0, "mad"])
def test_fits_that_all_rows_contradict_are_made_anew(walked, monkeypatch, scale):
    X, y, _ = data(8000)
    models = models_of(alphas=np.geomspace(2.0, 2e-3, 30), scale=scale, tol=1e-14)
    problems = problems_of(X, y, np.ones(8000), models)
    expected, near = fit_at_once(problems), switching.near_ways
    confirmed, confirm = [], switching._confirmed

    def counted(walk, reached):
        confirmed.append((confirm(walk, reached), len(reached)))
        return confirmed[-1][0]

    monkeypatch.setattr(switching, "_confirmed", counted)
    # Every other row is missed that may cross.
    monkeypatch.setattr(switching, "near_ways", lambda *args: near(*args)[::2])
    found = fit_at_once(problems)
    assert walked == [len(models)] * 2
    assert any(some < every for some, every in confirmed)
    for fit, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(fit.coef, other.coef, rtol=1e-9, atol=1e-10)
        assert fit.scale == pytest.approx(other.scale, rel=1e-9)


def test_the_scale_may_fall_far_on_the_way(walked):
    """What the rounding errors of the first residuals leave does not stay."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 4))
    y = X @ [2.0, 0.0, 5.0, 1.0] + rng.standard_t(3, size=500)
    models = models_of(alphas=np.geomspace(1.0, 1e-6, 60), tol=1e-14)
    found = fit_at_once(problems_of(X, y, np.ones(500), models))
    assert walked == [len(models)]
    scales = [fit.scale for fit in found]
    assert min(scales) < 0.3 * max(scales)
    for model, fit in zip(models, found, strict=True):
        np.testing.assert_allclose(fit.coef, model.fit(X, y).coef_, rtol=1e-9)


@pytest.mark.parametrize(
    "settings",
    [{"alphas": ALPHAS[:4]}, {"scale": "proposal2"}, {"loss": "log_cosh"}],
    ids=["few", "proposal2", "log_cosh"],
)
def test_what_it_is_not_for_is_left_to_others(walked, settings):
    X, y, weight = data()
    fit_at_once(problems_of(X, y, weight, models_of(**settings)))
    assert walked == []


def test_where_it_does_not_lead_others_do(walked, monkeypatch):
    X, y, weight = data()
    models = models_of()
    expected = fit_at_once(problems_of(X, y, weight, models))
    monkeypatch.setattr(walk, "MOST_STEPS", 1)
    found = fit_at_once(problems_of(X, y, weight, models))
    assert walked[1] < walked[0] == len(models)
    for fit, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(fit.coef, other.coef, rtol=1e-7, atol=1e-8)


def test_a_column_where_the_loss_has_no_curvature_is_left_alone():
    X, y = with_rare_column()
    models = models_of(penalty="l2", alphas=np.geomspace(1e-12, 1e-14, 9), scale=1.0)
    assert fit_at_once(problems_of(X, y, np.ones(len(y)), models)) == [None] * 9


def test_rows_that_come_near_the_median_unseen_are_seen_in_the_end():
    """The scale of a fit was off by a hundredth on these rows."""
    rng = np.random.default_rng(2868)
    n = int(rng.integers(40, 400)) | 1
    X = rng.standard_t(3, size=(n, int(rng.integers(1, 4))))
    y = X @ rng.normal(size=X.shape[1]) * 3 + rng.standard_t(2, size=n)
    weight = rng.integers(1, 4, size=n).astype(float)
    count, first = int(rng.integers(8, 20)), rng.uniform(0.5, 5)
    models = models_of("huber", alphas=np.geomspace(first, 1e-3, count))
    for fit in fit_at_once(problems_of(X, y, weight, models)):
        residual = y - X @ fit.coef - fit.intercept
        assert mad(residual, weight, 0) == pytest.approx(fit.scale, rel=1e-9)


def dummies(n=600):
    """Return rows of all levels of categories, some rare, with outliers in y."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, (2, 2, 5, 30), size=(n, 4)) // [1, 1, 1, 2]
    levels = [code[:, None] == np.unique(code) for code in codes.T]
    X = np.hstack([*levels, rng.normal(size=(n, 30))]).astype(float)
    y = X[:, ::3] @ rng.normal(size=X[:, ::3].shape[1]) + rng.standard_t(1.5, size=n)
    return X, y


@pytest.mark.parametrize("loss", ["smooth_l1", "l2"])
@pytest.mark.parametrize("penalty", ["l1", "l2", "elasticnet"])
def test_columns_that_depend_on_each_other_are_walked_along(walked, loss, penalty):
    """Rows are few for their columns, too: no other way leads to all fits at once."""
    X, y = dummies()
    largest = 0.3 if loss == "smooth_l1" else 1.5
    alphas = largest * np.geomspace(1.0, 1e-2, 6)
    models = models_of(loss, penalty, alphas, tol=1e-14)
    found = fit_at_once(problems_of(X, y, np.ones(len(y)), models))
    assert walked == [len(models)]
    for model, fit in zip(models, found, strict=True):
        line = model.fit(X, y).predict(X)
        np.testing.assert_allclose(X @ fit.coef + fit.intercept, line, atol=1e-8)
        assert fit.scale == pytest.approx(model.scale_, rel=1e-9)
        np.testing.assert_array_equal(fit.coef == 0, model.coef_ == 0)
