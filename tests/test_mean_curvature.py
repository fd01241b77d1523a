"""Many smooth fits by one Gram matrix: what is found is the fit, the rest is left."""

from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
from oracles import CONVEX, KINKED, PENALTIES
from pairwise import pairwise

from robustreg import RobustRegressor
from robustreg.estimators.arrays import problem_on
from robustreg.fitting import fit_at_once
from robustreg.fitting.at_once import between
from robustreg.losses import make_loss
from robustreg.rows import make_rows
from robustreg.scale import mad, mad_along
from robustreg.solvers.many import mean_curvature
from robustreg.solvers.many.scale_moves import Measure, move_of

SMOOTH = [name for name in CONVEX if name not in KINKED]
BETAS, ALPHAS = [0.6, 2.0], [0.3, 0.03, 0.0]


def data(n=400, seed=0):
    """Return rows with outliers in y, and weights that count them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4)) * [1, 3, 0.3, 1] + [0, 5, -20, 0]
    y = X @ [2.0, 0.0, 0.0, 1.0] + 3 + rng.standard_t(2, size=n)
    return X, y, rng.integers(0, 3, n).astype(float) + 0.5


def with_rare_column():
    """Return rows with a column of two, far out on either side: any value fits them."""
    X, y, _ = data()
    rare = np.zeros(len(y))
    rare[:2] = 1.0
    y[:2] = 1e3, -1e3
    return np.column_stack([X, rare]), y


def problems_of(X, y, weight, models):
    """Return what models minimise on rows that they share."""
    rows = make_rows(X, weight, models[0].fit_intercept)
    return [
        problem_on(m, rows, y, weight, make_loss(m.loss, m.beta, m.quantile), 2e-16)
        for m in models
    ]


def models_of(losses, penalty, scale, **settings):
    """Return a model for each loss, breakpoint and strength."""
    return [
        RobustRegressor(
            loss, beta=beta, penalty=penalty, alpha=alpha, scale=scale, **settings
        )
        for loss in losses
        for beta in BETAS
        for alpha in (ALPHAS if penalty else [0.0])
    ]


@pytest.mark.filterwarnings("ignore::robustreg.NoEffectWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("penalty", "scale", "quantile"),
    pairwise(PENALTIES, (2.0, "mad", "proposal2"), (0.5, 0.3)),
)
def test_fits_are_those_one_by_one(penalty, scale, quantile):
    X, y, weight = data()
    settings = {"tol": 1e-14, "quantile": quantile}
    models = models_of(SMOOTH, penalty, scale, **settings)
    found = fit_at_once(problems_of(X, y, weight, models))
    assert sum(fit is not None for fit in found) >= 0.8 * len(models)
    for model, fit in zip(models, found, strict=True):
        if fit is not None:
            model.fit(X, y, weight)
            np.testing.assert_allclose(fit.coef, model.coef_, rtol=1e-7, atol=1e-8)
            assert fit.scale == pytest.approx(model.scale_, rel=1e-8)
            np.testing.assert_array_equal(fit.coef == 0, model.coef_ == 0)


def left_alone(X, models, y=None):
    """Return how many fits are left to others."""
    _, target, _ = data(X.shape[0])
    y = target if y is None else y
    found = fit_at_once(problems_of(X, y, np.ones(len(y)), models))
    return sum(fit is None for fit in found)


def test_what_it_is_not_for_is_left_alone():
    X, _, _ = data()
    smooth, others = (
        models_of(["huber"], "l2", 2.0),
        models_of(["l1", "tukey"], "l2", 2.0),
    )
    assert left_alone(X, smooth) == 0
    assert left_alone(X, others) == len(others)
    assert left_alone(sp.csr_array(X), smooth) == len(smooth)
    # Nor what is not unique, nor a lone strength for which the Gram matrix is no guide.
    free = [model for model in smooth if model.alpha == 0]
    assert left_alone(np.column_stack([X, X[:, 0]]), free) == len(free)
    assert left_alone(X[:40], smooth[:1]) == 1
    assert left_alone(X[:3], smooth) == len(smooth)


def test_a_column_where_the_loss_has_no_curvature_is_left_alone():
    X, y = with_rare_column()
    models = [RobustRegressor("huber", beta=1.0, scale=1.0)]
    assert left_alone(X[:, :-1], models, y) == 0
    assert left_alone(X, models, y) == 1


def test_exact_fits_have_no_scale():
    X, _, _ = data()
    y = X @ [1.0, 2.0, 3.0, 4.0]
    models = models_of(["huber"], None, "mad")
    assert left_alone(X, models, y) == len(models)


def test_curvature_that_goes_with_x_takes_more_steps_or_others():
    rng = np.random.default_rng(0)
    X = rng.standard_t(2, size=(2000, 3))
    y = X @ [1.0, 2.0, 3.0] + np.abs(X[:, 0]) * rng.standard_t(2, size=2000)
    models = models_of(SMOOTH, "l2", 0.3, tol=1e-14)
    found = fit_at_once(problems_of(X, y, np.ones(2000), models))
    for model, fit in zip(models, found, strict=True):
        if fit is not None:
            expected = model.set_params(penalty=None if model.alpha == 0 else "l2")
            np.testing.assert_allclose(fit.coef, expected.fit(X, y).coef_, rtol=1e-6)


@pytest.mark.parametrize("n", [1000, 1001])
def test_a_scale_moves_to_where_its_residuals_have_it_however_near(n):
    """Of an even number of rows two hold the median, with a gap between them."""
    rng = np.random.default_rng(0)
    residual, change = rng.normal(size=(2, n))
    measure = Measure(lambda r: mad(r, np.ones(n), 0), partial(mad_along, np.ones(n)))
    for away in (1e-3, 1e-6, 1e-9):
        scale = mad(residual, np.ones(n), 0) * (1 - away)
        move = move_of(measure, scale, residual, 0.4 * change)
        there = mad(residual - move * 0.4 * change, np.ones(n), 0)
        assert abs(np.log(there / scale) - move) <= 0.02 * away


def test_passes_do_not_grow_with_the_fits(monkeypatch):
    """All take their steps together; the Gram matrix is made once."""
    calls = []
    steps = mean_curvature.steps_of
    monkeypatch.setattr(
        mean_curvature,
        "steps_of",
        lambda *args: calls.append(len(args[1])) or steps(*args),
    )
    X, y, weight = data(2000)
    models = models_of(SMOOTH, "l2", 2.0)
    problems = problems_of(X, y, weight, models)
    before = problems[0].rows.passes
    assert None not in fit_at_once(problems)
    # Three groups, each of at most a dozen steps, and the price of a Gram matrix.
    assert len(calls) <= 30
    assert problems[0].rows.passes - before <= 3


def test_strengths_between_others_are_places_on_their_line():
    others = np.array([[4.0, 0.0], [1.0, 0.0], [2.0, 2.0]])
    assert between(np.array([2.0, 0.0]), others) == (1, 0, pytest.approx(1 / 3))
    assert between(np.array([5.0, 0.0]), others) == (0, 0, 0.0)
    assert between(np.array([3.0, 1.0]), others)[:2] in {(0, 2), (2, 0)}


def test_many_alphas_cost_few_passes_each():
    """Costs are steps: a few alphas find their way, all others start between them."""
    X, y, _ = data(2000)
    alphas = np.geomspace(1.0, 1e-3, 33)
    settings = {"loss": "log_cosh", "penalty": "l1"}
    models = [RobustRegressor(alpha=alpha, **settings) for alpha in alphas]
    counted = []
    steps = mean_curvature.steps_of
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            mean_curvature,
            "steps_of",
            lambda *args: counted.append(len(args[1])) or steps(*args),
        )
        found = fit_at_once(problems_of(X, y, np.ones(2000), models))
    assert None not in found
    assert sum(counted) <= 7 * len(models)
