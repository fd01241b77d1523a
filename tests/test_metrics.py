"""Metrics: their values, the laws that all share, and what they survive."""

import inspect
import json
import pickle
import re
from functools import partial
from itertools import pairwise
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.stats import norm
from sklearn import config_context
from sklearn.linear_model import LinearRegression
from sklearn.metrics import (
    make_scorer,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
)
from sklearn.model_selection import GridSearchCV, cross_val_score

from robustreg import MMRegressor, RobustRegressor, metrics
from robustreg.losses import L1, Huber, Tukey, make_loss, relative_weight
from robustreg.metrics.determination import gaussian_correction
from robustreg.metrics.scorers import SCORERS as SCORER_OF
from robustreg.scale import TAU_SQUARE, tau, trimmed_mean

FILE = Path(__file__).parent / "data" / "lmrob.json"
LARGEST = np.finfo(float).max
# PyTorch 2.5, documentation of SmoothL1Loss and HuberLoss; the others by definition.
LOSSES = {
    "smooth_l1": lambda x, beta: (
        0.5 * x * x / beta if x < beta else x - np.longdouble(0.5) * beta
    ),
    "huber": lambda x, beta: (
        0.5 * x * x if x <= beta else beta * (x - np.longdouble(0.5) * beta)
    ),
    "pseudo_huber": lambda x, beta: beta * beta * (np.sqrt(1 + (x / beta) ** 2) - 1),
    "log_cosh": lambda x, beta: beta * np.log(np.cosh(x / beta)),
}
METRICS = {
    **{name: getattr(metrics, f"{name}_loss") for name in LOSSES},
    "narrow": partial(metrics.smooth_l1_loss, beta=0.1),
    "trimmed": metrics.trimmed_mean_absolute_error,
    "half trimmed": partial(metrics.trimmed_mean_absolute_error, trim=0.5),
    "tau": metrics.tau_scale,
    "r2": metrics.robust_r2_score,
    "r2 huber": partial(metrics.robust_r2_score, loss="huber", scale=0.7),
    "r2 of 0": partial(metrics.robust_r2_score, centered=False),
}
SCORERS = {
    **{f"neg_{name}_loss": (METRICS[name], -1) for name in LOSSES},
    "neg_trimmed_mean_absolute_error": (METRICS["trimmed"], -1),
    "neg_tau_scale": (METRICS["tau"], -1),
    "robust_r2": (METRICS["r2"], 1),
}
every_metric = pytest.mark.parametrize("name", METRICS)


def predictions(n=200, k=None, seed=0):
    """Return targets, and predictions with errors of heavy tails."""
    rng = np.random.default_rng(seed)
    shape = n if k is None else (n, k)
    predicted = 3 * rng.normal(size=shape)
    return predicted + rng.standard_t(2, size=shape), predicted


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("beta", [0.05, 0.7, 1, 20.0])
def test_a_loss_is_the_mean_of_its_formula(name, beta):
    true, predicted = predictions()
    sizes = np.abs(true.astype(np.longdouble) - predicted)
    expected = np.mean([LOSSES[name](x, np.longdouble(beta)) for x in sizes])
    value = METRICS[name](true, predicted, beta=beta)
    assert value == pytest.approx(float(expected), rel=1e-12)


def test_limits_are_metrics_of_scikit_learn():
    given = predictions()
    absolute = pytest.approx(mean_absolute_error(*given), rel=1e-12)
    assert metrics.smooth_l1_loss(*given, beta=0) == absolute
    assert metrics.trimmed_mean_absolute_error(*given, trim=0) == absolute
    square = pytest.approx(mean_squared_error(*given) / 2, rel=1e-12)
    assert metrics.huber_loss(*given, beta=1e6) == square


@every_metric
@pytest.mark.parametrize("k", [None, 3])
def test_weights_are_repeated_rows_in_any_order(name, k):
    metric = METRICS[name]
    true, predicted = predictions(61, k)
    rng = np.random.default_rng(1)
    count = rng.integers(0, 4, 61)
    rows = rng.permutation(np.repeat(np.arange(61), count))
    each = metric(true, predicted, sample_weight=count, multioutput="raw_values")
    repeated = metric(true[rows], predicted[rows], multioutput="raw_values")
    assert each.shape == ((1,) if k is None else (k,))
    assert_allclose(each, repeated, rtol=1e-12)
    for factor in (1e-300, 0.3, 1e300):
        scaled = metric(true, predicted, sample_weight=factor * count)
        assert scaled == pytest.approx(each.mean(), rel=1e-11)


@every_metric
def test_a_row_of_weight_0_is_no_row(name):
    true, predicted = predictions()
    weight = np.r_[np.zeros(3), np.linspace(0.5, 2, 197)]
    alone = METRICS[name](true[3:], predicted[3:], sample_weight=weight[3:])
    true[:3], predicted[1] = [1e300, -LARGEST, 4.0], LARGEST
    assert METRICS[name](true, predicted, sample_weight=weight) == alone


@every_metric
def test_outputs_are_averaged_as_scikit_learn_does(name):
    true, predicted = predictions(50, 3)
    metric, weight = METRICS[name], [1.0, 0.0, 3.0]
    each = [metric(a, b) for a, b in zip(true.T, predicted.T, strict=True)]
    assert_allclose(metric(true, predicted, multioutput="raw_values"), each)
    assert metric(true, predicted) == pytest.approx(np.mean(each))
    average = metric(true, predicted, multioutput=weight)
    assert average == pytest.approx(np.average(each, weights=weight))
    assert type(average) is float


@every_metric
def test_containers_do_not_matter(name):
    true, predicted = predictions()
    metric, value = METRICS[name], METRICS[name](true, predicted)
    pairs = [
        (true.tolist(), pd.Series(predicted, index=np.arange(200)[::-1])),
        (true[:, None], predicted),
        (pd.DataFrame({"y": true}), predicted[:, None]),
        (np.repeat(true, 2)[::2], np.asfortranarray(predicted)),
    ]
    for pair in pairs:
        assert metric(*pair) == value
    single = true.astype(np.float32), predicted.astype(np.float32)
    wide = [part.astype(np.float64) for part in single]
    assert metric(*single) == metric(*wide)
    whole = (100 * true).astype(int), (100 * predicted).astype(np.int16)
    assert metric(*whole) == metric(*(part.astype(float) for part in whole))


@pytest.mark.parametrize("name", ["trimmed", "half trimmed", "tau", "r2", "r2 of 0"])
@pytest.mark.parametrize("unit", [1e-280, 1e-20, 1e20, 1e280])
def test_units_of_y_are_those_of_an_error_and_none_of_a_share(name, unit):
    true, predicted = predictions()
    expected = METRICS[name](true, predicted) * (1 if "r2" in name else unit)
    value = METRICS[name](unit * true, unit * predicted)
    assert value == pytest.approx(expected, rel=1e-11, abs=0)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("beta", [1e-10, 0.1, 1.0])
@pytest.mark.parametrize("size", [1e160, 1e300, LARGEST])
def test_losses_of_huge_residuals_are_lines(name, beta, size):
    slope = beta if "huber" in name else 1.0
    value = METRICS[name]([size, 0.0], [0.0, -size], beta=beta)
    assert value == pytest.approx(slope * size, rel=1e-12)


@every_metric
def test_residuals_beyond_the_largest_number_are_no_nan(name):
    true, predicted = predictions()
    true[0], predicted[0] = LARGEST, -LARGEST
    assert np.isfinite(METRICS[name](true, predicted))


@pytest.mark.parametrize("name", LOSSES)
def test_one_outlier_moves_a_mean_loss_in_proportion(name):
    true, predicted = predictions()
    values = []
    for size in (1e6, 1e7):
        true[0] = size
        values.append(METRICS[name](true, predicted))
    assert values[1] == pytest.approx(10 * values[0], rel=1e-2)


@pytest.mark.parametrize(
    ("name", "share"),
    [("trimmed", 0.25), ("half trimmed", 0.5), ("tau", 0.49), ("r2", 0.49)],
)
def test_outliers_up_to_the_breakdown_point_are_survived(name, share):
    true, predicted = predictions()
    bad, values = int(share * 200), []
    for size in (1e4, 1e8, 1e300):
        spoiled = true.copy()
        spoiled[:bad] = size
        values.append(METRICS[name](spoiled, predicted))
    assert_allclose(values, values[0], rtol=1e-12)
    if name != "r2":
        assert values[0] < 20 * METRICS[name](true, predicted)
        spoiled[: bad + 3] = 1e300
        assert METRICS[name](spoiled, predicted) > 1e100


@pytest.mark.parametrize("n", range(2, 40))
def test_no_rounding_lets_a_trimmed_row_in(n):
    for bad in range(1, n):
        size = np.r_[np.ones(n - bad), np.full(bad, 1e300)]
        for weight in (np.ones(n), np.full(n, 0.1), np.r_[0.3, np.full(n - 1, 0.3)]):
            assert trimmed_mean(size, weight, bad / n) == pytest.approx(1.0)
            weight = weight * np.r_[1 + 1e-13, np.ones(n - 1)]
            assert trimmed_mean(size, weight, bad / n) == pytest.approx(1.0)


def test_the_last_row_of_a_trimmed_mean_counts_in_part():
    size = np.array([1.0, 2.0, 4.0, 100.0])
    # Of 2.6 rows the third is 0.6.
    expected = (1 + 2 + 0.6 * 4) / 2.6
    assert trimmed_mean(size, np.ones(4), 0.35) == pytest.approx(expected)
    assert trimmed_mean(size, np.array([2.0, 1.0, 1.0, 1.0]), 0.6) == 1.0
    tiny = trimmed_mean(size, np.ones(4), 1 - 1e-12)
    assert tiny == pytest.approx(1.0)


def test_tau_is_that_of_scale_tau_2():
    # robustbase's scaleTau2 with mu0 = 0, c1 = 0: Erho(3 qnorm(3/4)).
    b = 3 * norm.ppf(0.75)
    c = 2 * ((1 - b * b) * norm.cdf(b) - b * norm.pdf(b) + b * b) - 1
    assert pytest.approx(c, rel=1e-12) == TAU_SQUARE
    square = quad(lambda z: z * z * norm.pdf(z), -b, b)[0] + 2 * b * b * norm.sf(b)
    assert pytest.approx(square, rel=1e-9) == TAU_SQUARE
    for n in (1, 2, 7, 100):
        true, predicted = predictions(n)
        r = true - predicted
        median = np.median(np.abs(r))
        rho = np.minimum((r / median) ** 2, 9.0)
        expected = median * np.sqrt(rho.sum() / (n * c))
        assert metrics.tau_scale(true, predicted) == pytest.approx(expected, rel=1e-13)
    assert metrics.tau_scale([1.0, 2.0, 9.0], [1.0, 2.0, 3.0]) == 0.0


def test_tau_has_the_efficiency_that_its_docstring_says():
    rng = np.random.default_rng(0)
    r = rng.normal(size=(3000, 200))
    ones, scales = np.ones(200), np.sqrt(np.mean(r * r, axis=1))
    taus = np.array([tau(row, ones) for row in r])
    mads = np.median(np.abs(r), axis=1)
    spread = [np.var(s) / np.mean(s) ** 2 for s in (scales, taus, mads)]
    assert spread[0] / spread[1] == pytest.approx(0.82, abs=0.03)
    assert spread[0] / spread[2] == pytest.approx(0.37, abs=0.03)
    assert np.mean(taus) == pytest.approx(1.0, abs=0.01)


# Multiple R-squared in the output of robustbase's own tests.
@pytest.mark.parametrize(
    ("name", "intercept", "expected"),
    [
        ("stackloss", True, 0.9593),
        ("coleman", True, 0.9814),
        ("coleman", False, 0.9987),
    ],
)
def test_robust_r2_is_that_of_lmrob(name, intercept, expected):
    data = json.loads(FILE.read_text())["sets"][name]
    X, y = np.array(data["X"]), np.array(data["y"])
    model = MMRegressor(fit_intercept=intercept).fit(X, y)
    given = {"scale": model.scale_, "centered": intercept}
    value = metrics.robust_r2_score(y, model.predict(X), **given)
    assert value == pytest.approx(expected, abs=6e-5)
    # The same from the weights of the fit, and the factor of summary.lmrob.
    w, r = model.weights_, y - model.predict(X)
    deviation = y - (w @ y / w.sum() if intercept else 0.0)
    total, rest = w @ deviation**2, w @ r**2
    by_hand = (total - rest) / (total + rest * (1.207617 - 1))
    assert value == pytest.approx(by_hand, abs=1e-5)


def test_the_factors_of_lmrob():
    # Of psi = "bisquare", "welsh" and "hampel" in robustbase's lmrob.R.
    assert gaussian_correction(Tukey(4.685061)) == pytest.approx(1.207617, abs=1e-6)
    welsch = make_loss("welsch", 2.11 * np.sqrt(2))
    assert gaussian_correction(welsch) == pytest.approx(1.224617, abs=1e-4)


@pytest.mark.parametrize(
    "name", ["smooth_l1", "log_cosh", "cauchy", "talwar", "hampel", "andrews"]
)
def test_the_factor_is_a_ratio_of_expectations(name):
    loss = make_loss(name, None)
    edges = [x for x in loss.facts.breakpoints or () if abs(x) < 8]

    def expected(power):
        def integrand(z):
            weight = relative_weight(loss, np.array([z]))[0]
            return weight * abs(z) ** power * norm.pdf(z)

        kinks = {"andrews": np.pi * 1.339}
        ends = sorted({-12.0, *edges, kinks.get(name, 1.0), 12.0})
        pieces = pairwise(ends)
        return sum(quad(integrand, *piece, epsabs=1e-13)[0] for piece in pieces)

    ratio = expected(0) / expected(2)
    assert gaussian_correction(loss) == pytest.approx(ratio, rel=1e-8)


@pytest.mark.parametrize("k", [None, 3])
def test_r2_of_squares_is_that_of_scikit_learn(k):
    true, predicted = predictions(50, k)
    weight = np.arange(50) % 4
    for given in ({}, {"sample_weight": weight}):
        value = metrics.robust_r2_score(true, predicted, loss="l2", **given)
        assert value == pytest.approx(r2_score(true, predicted, **given))
    worse = metrics.robust_r2_score(true, -predicted, loss="l2")
    assert worse == pytest.approx(r2_score(true, -predicted))


def test_r2_where_nothing_is_left_to_explain():
    score = metrics.robust_r2_score
    assert score([1.0, 2.0, 9.0], [1.0, 2.0, 3.0]) == 1.0
    assert score([0.1] * 7, [0.1] * 7) == 1.0
    assert score([0.1] * 7, np.linspace(0, 1, 7), loss="l2") == 0.0
    with pytest.raises(ValueError, match=r"No row counts at scale=0\.01.*scale of the"):
        score([1.0, 2.0, 9.0], [0.0, 1.0, 3.0], scale=0.01)
    with pytest.raises(ValueError, match=r"at least two rows.*Got 1"):
        score([1.0, 2.0], [0.0, 1.0], sample_weight=[0, 1])


def test_r2_takes_the_scale_of_each_output():
    X = np.random.default_rng(0).normal(size=(80, 2))
    y = X @ [[1.0, 200.0], [3.0, -100.0]]
    y += np.random.default_rng(1).standard_t(2, size=(80, 2)) * [1.0, 50.0]
    model = RobustRegressor("tukey").fit(X, y)
    given = y, model.predict(X)
    each = metrics.robust_r2_score(*given, scale=model.scale_, multioutput="raw_values")
    for j in (0, 1):
        column = y[:, j], model.predict(X)[:, j]
        alone = metrics.robust_r2_score(*column, scale=model.scale_[j])
        assert alone == pytest.approx(each[j], rel=1e-12)
        # The scale of the fit is that of its residuals.
        assert metrics.robust_r2_score(*column) == pytest.approx(alone, rel=1e-7)


@pytest.mark.parametrize("name", SCORERS)
def test_scorers_are_the_metrics(name):
    scorer, (metric, sign) = getattr(metrics, name), SCORERS[name]
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = X @ [1.0, 2.0] + np.random.default_rng(1).standard_t(2, size=60)
    model = LinearRegression().fit(X, y)
    assert scorer(model, X, y) == sign * metric(y, model.predict(X))
    weight = np.arange(60) % 3
    weighted = scorer(model, X, y, sample_weight=weight)
    assert weighted == sign * metric(y, model.predict(X), sample_weight=weight)
    copied = pickle.loads(pickle.dumps(scorer))
    assert copied(model, X, y) == scorer(model, X, y)
    assert cross_val_score(model, X, y, scoring=scorer, cv=3).shape == (3,)


def test_every_scorer_and_metric_is_tested():
    names = set(metrics.__all__)
    functions = {name for name in names if inspect.isfunction(vars(metrics)[name])}
    assert names - functions == set(SCORERS)
    assert len(functions) == len(SCORERS)
    assert {metric.__name__ for metric in SCORER_OF} == functions
    assert set(SCORER_OF.values()) == set(SCORERS)
    for metric, name in SCORER_OF.items():
        assert name.removeprefix("neg_") == metric.__name__.removesuffix("_score")


def test_a_search_by_a_scorer_with_weights():
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = X @ [1.0, 2.0] + np.random.default_rng(1).standard_t(1, size=60)
    with config_context(enable_metadata_routing=True):
        scorer = make_scorer(metrics.tau_scale, greater_is_better=False)
        search = GridSearchCV(
            RobustRegressor().set_fit_request(sample_weight=True),
            {"loss": ["l2", "huber"]},
            scoring=scorer.set_score_request(sample_weight=True),
        )
        search.fit(X, y, sample_weight=np.arange(60) % 3)
    assert search.best_params_ == {"loss": "huber"}


Y, P = predictions(30)
PARAMETERS = [
    (metrics.smooth_l1_loss, "beta", -1.0, r"\[0(\.0)?, inf\)"),
    (metrics.smooth_l1_loss, "beta", np.nan, "finite"),
    (metrics.smooth_l1_loss, "beta", "wide", r"\[0(\.0)?, inf\)"),
    (metrics.smooth_l1_loss, "beta", None, r"\[0(\.0)?, inf\)"),
    (metrics.huber_loss, "beta", 0, "beta > 0.*mean_absolute_error"),
    (metrics.log_cosh_loss, "beta", np.inf, "finite"),
    (metrics.trimmed_mean_absolute_error, "trim", 1.0, r"\[0(\.0)?, 1(\.0)?\)"),
    (metrics.trimmed_mean_absolute_error, "trim", -0.1, r"\[0(\.0)?, 1(\.0)?\)"),
    (metrics.trimmed_mean_absolute_error, "trim", np.nan, r"\[0(\.0)?, 1(\.0)?\)"),
    (metrics.trimmed_mean_absolute_error, "trim", "half", r"\[0(\.0)?, 1(\.0)?\)"),
    (metrics.robust_r2_score, "loss", "l1", "kink.*smooth_l1.*tukey"),
    (metrics.robust_r2_score, "loss", L1(), "kink.*smooth_l1.*tukey"),
    (metrics.robust_r2_score, "loss", "bisquare", "loss='tukey'"),
    (metrics.robust_r2_score, "loss", 3, "tukey"),
    (metrics.robust_r2_score, "beta", -2, r"\[0(\.0)?, inf\)"),
    (metrics.robust_r2_score, "scale", 0, "positive.*scale_"),
    (metrics.robust_r2_score, "scale", "mad", "positive.*scale_"),
    (metrics.robust_r2_score, "scale", [1.0, 2.0], "positive.*scale_"),
    (metrics.robust_r2_score, "scale", np.nan, "positive.*scale_"),
    (metrics.robust_r2_score, "centered", 1.5, "bool"),
    (metrics.tau_scale, "multioutput", "variance", "raw_values', 'uniform_av"),
    (metrics.tau_scale, "multioutput", [1.0, 2.0], "raw_values.*1 weights"),
    (metrics.tau_scale, "multioutput", [-1.0], "raw_values"),
    (metrics.tau_scale, "multioutput", [0.0], "raw_values"),
    (metrics.tau_scale, "multioutput", None, "raw_values"),
]


@pytest.mark.parametrize(("metric", "name", "value", "allowed"), PARAMETERS)
def test_a_parameter_out_of_range(metric, name, value, allowed):
    with pytest.raises(ValueError) as caught:
        metric(Y, P, **{name: value})
    said = str(caught.value)
    for words in (name, "[Gg]ot", allowed):
        assert re.search(words, said), said


DATA = {
    "lengths": (Y[:-1], P, {}, r"shape of y_true, \(29,\)\. Got \(30,\)"),
    "outputs": (Y, np.column_stack([P, P]), {}, "shape of y_true"),
    "nan": (Y, np.r_[np.nan, P[1:]], {}, "y_pred contains NaN"),
    "inf": (np.r_[np.inf, Y[1:]], P, {}, "y_true contains infinity"),
    "complex": (Y + 1j, P, {}, "[Cc]omplex"),
    "words": (Y, np.full(30, "word"), {}, "y_pred must hold real|numeric|convert"),
    "none": (None, P, {}, "y_true must be an array of targets. Got None"),
    "sparse": (sp.csr_array(Y[:, None]), P, {}, r"y_true is sparse.*y_true\.toarray"),
    "masked": (Y, np.ma.masked_less(P, 0), {}, r"y_pred is a masked.*y_pred\.filled"),
    "three dimensions": (Y[:, None, None], P, {}, "dim 3|3D|dimensions"),
    "no rows": (Y[:0], P[:0], {}, "0 sample"),
    "negative weights": (Y, P, {"sample_weight": -np.ones(30)}, "Negative"),
    "no weight": (Y, P, {"sample_weight": np.zeros(30)}, "all zero|non-zero"),
    "too few weights": (Y, P, {"sample_weight": np.ones(29)}, "shape"),
}


@every_metric
@pytest.mark.parametrize("what", DATA)
def test_what_cannot_be_compared_is_refused(name, what):
    true, predicted, params, words = DATA[what]
    with pytest.raises(ValueError, match=words):
        METRICS[name](true, predicted, **params)


@every_metric
@pytest.mark.parametrize("which", ["y_true", "y_pred", "sample_weight"])
def test_collections_are_refused_with_the_way_out(name, which):
    given = {"y_true": Y, "y_pred": P, "sample_weight": np.ones(30)}
    given[which] = da.from_array(given[which], chunks=10)
    match = rf"does not take dask collections: pass {which}\.compute\(\)"
    with pytest.raises(ValueError, match=match):
        METRICS[name](**given)


def test_an_instance_keeps_its_own_breakpoint():
    by_name = metrics.robust_r2_score(Y, P, loss="huber", beta=0.5)
    assert metrics.robust_r2_score(Y, P, loss=Huber(0.5), beta=9.0) == by_name
    assert_array_equal(by_name < 1, True)
