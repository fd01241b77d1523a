"""Predictions with intervals: laws, statsmodels as the oracle, and coverage."""

import re

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import sparse
from scipy.stats import t
from sklearn.linear_model import LinearRegression, PoissonRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from robustreg import L1Regressor, MMRegressor, RobustRegressor
from robustreg.inference import coef_table, predict_table

RNG = np.random.default_rng(0)
N = 150
X = RNG.normal([0.0, 5.0], size=(N, 2))
Y = X @ [1.0, 2.0] + 3 + RNG.standard_t(3, size=N)
NEW = RNG.normal([0.0, 5.0], 3.0, size=(20, 2))
COLUMNS = ["prediction", "std_err", "lower", "upper", "obs_lower", "obs_upper"]
MODEL = RobustRegressor().fit(X, Y)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_least_squares_has_the_table_of_statsmodels(level):
    model = RobustRegressor("l2", scale=1.0).fit(X, Y)
    own = predict_table(model, X, Y, NEW, cov_type="H1", level=level)
    fit = sm.OLS(Y, sm.add_constant(X)).fit()
    peer = fit.get_prediction(sm.add_constant(NEW)).summary_frame(alpha=1 - level)
    names = ["mean", "mean_se", "mean_ci_lower", "mean_ci_upper"]
    np.testing.assert_allclose(own[COLUMNS[:4]], peer[names], rtol=1e-9)
    # The interval of a new row differs by the scale of the errors only.
    reach = t(N - 3).ppf((1 + level) / 2)
    ours, theirs = (
        (frame.iloc[:, -1] - frame.iloc[:, -2]).to_numpy() / 2 / reach
        for frame in (own, peer)
    )
    difference = model.residual_scale_**2 - fit.scale
    np.testing.assert_allclose(ours**2 - theirs**2, difference, rtol=1e-7)


@pytest.mark.parametrize("make", [RobustRegressor, L1Regressor, MMRegressor])
@pytest.mark.parametrize("exact", [True, False])
def test_the_prediction_at_0_is_the_intercept(make, exact):
    model = make().fit(X, Y)
    options = {"use_t": exact, "level": 0.9}
    own = predict_table(model, X, Y, np.zeros((1, 2)), **options)
    table = coef_table(model, X, Y, **options)
    expected = table.loc["intercept", ["coef", "std_err", "lower", "upper"]]
    np.testing.assert_allclose(own.iloc[0, :4], expected, rtol=1e-9)
    assert own.columns.tolist() == COLUMNS
    said = {name: table.attrs[name] for name in ("cov_type", "level", "df")}
    assert own.attrs == {**said, "errors": "normal"}


@pytest.mark.parametrize("errors", ["normal", "residuals"])
def test_weights_are_repeated_rows(errors):
    count = RNG.integers(0, 3, N)
    repeated = np.repeat(np.arange(N), count)
    tables = []
    for rows, weight in ((np.arange(N), 1.0 * count), (repeated, None)):
        model = RobustRegressor().fit(X[rows], Y[rows], weight)
        tables.append(
            predict_table(model, X[rows], Y[rows], NEW, weight, errors=errors)
        )
    np.testing.assert_allclose(*tables, rtol=1e-6)


@pytest.mark.parametrize("errors", ["normal", "residuals"])
def test_units_and_centres_do_not_matter(errors):
    plain = predict_table(MODEL, X, Y, NEW, errors=errors)
    far, y = 10.0 * X + 1000.0, 100.0 * Y + 7.0
    model = RobustRegressor().fit(far, y)
    moved = predict_table(model, far, y, 10.0 * NEW + 1000.0, errors=errors)
    moved["std_err"] += 7.0
    np.testing.assert_allclose((moved - 7.0) / 100.0, plain, rtol=1e-6)


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_rows(container):
    own = predict_table(MODEL, X, Y, container(NEW))
    np.testing.assert_allclose(own, predict_table(MODEL, X, Y, NEW), rtol=1e-12)


def test_labels_and_pipelines():
    frame = pd.DataFrame(X, columns=["a", "b"])
    new = pd.DataFrame(NEW, columns=["a", "b"], index=[f"row {i}" for i in range(20)])
    steps = StandardScaler(), PolynomialFeatures(2, include_bias=False)
    piped = make_pipeline(*steps, RobustRegressor()).fit(frame, Y)
    own = predict_table(piped, frame, Y, new, errors="residuals")
    before, last = piped[:-1].transform, piped[-1]
    expected = predict_table(last, before(frame), Y, before(new), errors="residuals")
    np.testing.assert_array_equal(own, expected)
    np.testing.assert_allclose(own["prediction"], piped.predict(new), rtol=1e-12)
    assert own.index.tolist() == new.index.tolist()


@pytest.mark.parametrize(
    ("model", "errors", "low", "high"),
    [
        (RobustRegressor(), "residuals", 0.88, 0.96),
        (MMRegressor(n_subsets=20), "residuals", 0.88, 0.96),
        (L1Regressor("quantile", quantile=0.8), "residuals", 0.88, 0.96),
        (RobustRegressor(), "normal", 0.83, 0.93),
    ],
)
def test_new_rows_are_where_they_are_said_to_be(model, errors, low, high):
    """Errors have heavy tails: normal ones miss a few more."""
    rng, inside = np.random.default_rng(1), []
    for _ in range(25):
        rows = rng.normal(size=(260, 3))
        y = rows.sum(axis=1) + rng.standard_t(3, size=260)
        model.fit(rows[:60], y[:60])
        table = predict_table(
            model, rows[:60], y[:60], rows[60:], errors=errors, level=0.9
        )
        inside.append((table["obs_lower"] <= y[60:]) & (y[60:] <= table["obs_upper"]))
    assert low < np.mean(inside) < high


def test_skewed_errors_have_skewed_intervals():
    y = X @ [1.0, 2.0] + RNG.exponential(size=N)
    model = L1Regressor().fit(X, y)
    table = predict_table(model, X, y, NEW[:3] / 10, errors="residuals")
    below = table["prediction"] - table["obs_lower"]
    above = table["obs_upper"] - table["prediction"]
    assert (above > 2 * below).all()


def test_intervals_of_an_extreme_quantile_may_not_hold_it():
    model = L1Regressor("quantile", quantile=0.9).fit(X, Y)
    table = predict_table(model, X, Y, NEW, errors="residuals", level=0.5)
    near = table["std_err"].idxmin()
    assert table.loc[near, "obs_upper"] < table.loc[near, "prediction"]
    assert (table["obs_lower"] < table["obs_upper"]).all()


def test_the_bootstrap_takes_other_linear_models():
    options = {"cov_type": "bootstrap", "n_bootstrap": 40, "random_state": 0}
    model = LinearRegression().fit(X, Y)
    own = predict_table(model, X, Y, NEW, errors="residuals", **options)
    table = coef_table(model, X, Y, interval="normal", **options)
    at_0 = predict_table(model, X, Y, [[0, 0]], errors="residuals", **options)
    np.testing.assert_allclose(at_0["std_err"], table.loc["intercept", "std_err"])
    np.testing.assert_allclose(own["prediction"], model.predict(NEW))
    with pytest.raises(TypeError, match="Use errors='residuals'"):
        predict_table(model, X, Y, NEW, **options)
    counts = PoissonRegressor().fit(X, np.round(np.abs(Y)))
    with pytest.raises(TypeError, match="not linear"):
        predict_table(counts, X, np.abs(Y), NEW, errors="residuals", **options)


def test_a_perfect_fit_has_no_errors():
    y = X @ [1.0, 2.0]
    model = RobustRegressor("l2", scale=1.0).fit(X, y)
    table = predict_table(model, X, y, NEW)
    for name in COLUMNS[2:]:
        np.testing.assert_allclose(table[name], NEW @ [1.0, 2.0], atol=1e-9)


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("errors must be one of ['normal', 'residuals']. Got 't'", {"errors": "t"}),
        ("level must be a number in (0, 1). Got 1.0", {"level": 1.0}),
        ("X has 3 features", {"X_new": np.zeros((1, 3))}),
        ("NaN", {"X_new": [[np.nan, 0.0]]}),
    ],
)
def test_bad_input_is_refused_before_any_work(message, options):
    with pytest.raises(ValueError, match=re.escape(message)):
        predict_table(MODEL, None, None, **{"X_new": NEW, **options})


def test_normal_errors_have_a_centre():
    for model in (L1Regressor("quantile", quantile=0.8), RobustRegressor(quantile=0.3)):
        with pytest.raises(ValueError, match="not symmetric"):
            predict_table(model.fit(X, Y), X, Y, NEW)


def test_rows_far_from_0_that_have_no_digits_are_refused():
    far = X + 1e9
    model = RobustRegressor().fit(far, Y)
    with pytest.raises(ValueError, match="no digits left"):
        predict_table(model, far, Y, NEW + 1e9)
    piped = make_pipeline(StandardScaler(), RobustRegressor()).fit(far, Y)
    own = predict_table(piped, far, Y, NEW + 1e9)
    np.testing.assert_allclose(own, predict_table(MODEL, X, Y, NEW), rtol=1e-5)
