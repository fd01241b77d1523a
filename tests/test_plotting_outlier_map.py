"""The outlier map: kinds of rows on classic data, hard designs, and the picture."""

import json
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import statsmodels.datasets
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chi2
from sklearn.covariance import MinCovDet
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from robustreg import L1Regressor, MMRegressor, RobustRegressor, leverage
from robustreg.leverage import robust_distance
from robustreg.plotting import OutlierMapDisplay, outlier_category
from robustreg.plotting.outlier_map import STYLES

DATA = Path(__file__).parent / "data"
CLASSIC = json.loads((DATA / "lmrob.json").read_text())["sets"]


def load(name):
    """Return X and y of a stored data set."""
    data = np.loadtxt(DATA / f"{name}.csv", delimiter=",", skiprows=3)
    return data[:, :-1], data[:, -1]


@pytest.fixture(autouse=True)
def figures():
    """Draw without a screen, and close every figure."""
    import matplotlib.pyplot as plt

    with matplotlib.rc_context({"backend": "Agg"}):
        yield plt
        plt.close("all")


def make_data(n=200, p=3, seed=0):
    """Return rows: 0-9 vertical outliers, 10-14 good leverage, 15-19 bad, the rest."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    X[10:20, 0] += 30
    y = X @ np.arange(1.0, p + 1) + 0.5 * rng.normal(size=n)
    y[:10] += 40
    y[15:20] -= 200
    weight = np.ones(n)
    weight[15:20] = 0
    return RobustRegressor().fit(X, y, sample_weight=weight), X, y


def rows_of(category, kind):
    """Return the rows of a kind, counted from 1 as papers do."""
    return (np.flatnonzero(category == kind) + 1).tolist()


def far_rows(X, **params):
    far = robust_distance(X, **params)
    return (np.flatnonzero(far.distance > far.cutoff) + 1).tolist()


def test_made_data_is_told_apart():
    category = outlier_category(*make_data())
    expected = np.repeat(["vertical outlier", "good leverage", "bad leverage"], 10)
    expected = np.delete(expected, np.r_[10:15, 20:25])
    assert_array_equal(category[:20], expected)
    assert np.mean(category[20:] == "regular") > 0.93


def test_hawkins_bradu_kass():
    # Rows 1-10 are bad leverage points and 11-14 good ones by construction. The fit is
    # made without the bad ones: they would own any that does not resist leverage.
    X, y = load("hbk")
    assert far_rows(X) == list(range(1, 15))
    model = RobustRegressor().fit(X, y, sample_weight=np.arange(75) >= 10)
    category = outlier_category(model, X, y)
    assert rows_of(category, "bad leverage") == list(range(1, 11))
    assert rows_of(category, "good leverage") == [11, 12, 13, 14]
    assert rows_of(category, "vertical outlier") == []


def test_a_fit_that_leverage_owns_shows_it_as_good():
    X, y = load("hbk")
    category = outlier_category(RobustRegressor().fit(X, y), X, y)
    assert rows_of(category, "good leverage") == list(range(1, 11))


def classic(name):
    """Return X and y of a classic data set."""
    each = CLASSIC[name]
    return np.array(each["X"], dtype=float), np.array(each["y"], dtype=float)


@pytest.mark.parametrize(
    ("name", "bad", "good", "vertical"),
    [
        # By construction.
        ("hbk", range(1, 11), range(11, 15), []),
        # The giant stars of Rousseeuw and Leroy (1987).
        ("starsCYG", [11, 20, 30, 34], [7, 14], []),
        # The rows that they moved.
        ("wood", [4, 6, 8, 19], [11], []),
        # Of Rousseeuw and van Zomeren's (1990) bad ones, 1, 3 and 21, a fit of high
        # efficiency comes near to 1 and 3: lmrob's residuals of them are 2 scales, too.
        ("stackloss", [21], [1, 2, 3, 17], [4]),
    ],
)
def test_mm_estimates_tell_bad_leverage_from_good(name, bad, good, vertical):
    """No row is left out by hand: the fit resists leverage by itself."""
    X, y = classic(name)
    category = outlier_category(MMRegressor().fit(X, y), X, y)
    assert rows_of(category, "bad leverage") == list(bad)
    assert rows_of(category, "good leverage") == list(good)
    assert rows_of(category, "vertical outlier") == list(vertical)


def test_stackloss():
    # Rousseeuw and van Zomeren (1990): 1, 3 and 21 are bad leverage points, 2 is a good
    # one, and 4 is a vertical outlier.
    data = statsmodels.datasets.stackloss.load_pandas()
    X, y = data.exog.to_numpy(), data.endog.to_numpy()
    near = np.setdiff1d(np.arange(1, 22), far_rows(X))
    weight = np.isin(np.arange(1, 22), near)
    category = outlier_category(RobustRegressor().fit(X, y, weight), X, y)
    assert rows_of(category, "bad leverage") == [1, 3, 21]
    assert rows_of(category, "vertical outlier") == [4]
    assert 2 in rows_of(category, "good leverage")


def test_stars():
    # Rousseeuw and Leroy (1987): the giants 11, 20, 30 and 34 are bad leverage points.
    X, y = load("starsCYG")
    giants = {11, 20, 30, 34}
    assert giants <= set(far_rows(X))
    weight = ~np.isin(np.arange(1, 48), far_rows(X))
    category = outlier_category(RobustRegressor().fit(X, y, weight), X, y)
    assert giants <= set(rows_of(category, "bad leverage"))
    assert rows_of(category, "vertical outlier") == []


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_distances_have_no_units(unit):
    X = make_data()[1]
    expected = robust_distance(X)
    moved = robust_distance(X * [unit, 1.0, -7.0] + [3 * unit, 1e4, 0.0])
    assert_allclose(moved.distance, expected.distance, rtol=1e-6)
    assert moved.n_directions == 3
    assert moved.cutoff == pytest.approx(np.sqrt(chi2.ppf(0.975, 3)))


def test_distances_are_those_of_the_minimum_covariance_determinant():
    X = np.random.default_rng(1).normal(size=(300, 3))
    peer = MinCovDet(random_state=0).fit(X).mahalanobis(X)
    # Both find the same half of the rows, in other coordinates.
    assert_allclose(robust_distance(X).distance ** 2, peer, rtol=1e-6)


def test_clean_gaussian_rows_are_within_the_cutoff(monkeypatch):
    most = 500
    monkeypatch.setattr(leverage, "MOST_ROWS", most)
    X = np.random.default_rng(2).normal(size=(4 * most, 4))
    far = robust_distance(X)
    assert far.distance.shape == (4 * most,)
    # The binomial error is 0.0035, that of the scatter of 500 rows a little more.
    assert np.mean(far.distance > far.cutoff) == pytest.approx(0.025, abs=0.012)
    # Outliers do not hide among many rows.
    X[:most] += 8
    far = robust_distance(X)
    assert (far.distance[:most] > far.cutoff).all()
    assert np.mean(far.distance[most:] > far.cutoff) < 0.06


BASE = np.random.default_rng(4).normal(size=(150, 2))
DUMMY = (np.arange(150) % 5 < 2).astype(float)
HALF = np.where(np.arange(150) % 2 == 0, "a", "b") == "a"
OTHERS = {
    "constant": np.full(150, 3.0),
    "constant up to rounding": 0.1 + 0.2 + np.spacing(0.3) * (np.arange(150) % 3),
    "zero": np.zeros(150),
    "dummy": DUMMY,
    "half": HALF.astype(float),
    "dummy times column": DUMMY * BASE[:, 0],
    "other dummy times column": (1 - DUMMY) * BASE[:, 0],
    "same column": 1e3 * BASE[:, 0] + 5,
    "sum": BASE.sum(axis=1),
}


@pytest.mark.parametrize("name", OTHERS)
def test_columns_in_which_most_rows_do_not_vary_change_nothing(name):
    expected = robust_distance(BASE)
    more = robust_distance(np.column_stack([BASE, OTHERS[name]]))
    assert more.n_directions == 2
    assert_allclose(more.distance, expected.distance, rtol=0.35)
    assert np.mean(more.distance > more.cutoff) < 0.1


def test_a_sum_of_columns_in_most_rows_adds_no_direction():
    off = np.arange(150) < 40
    far = robust_distance(np.column_stack([BASE, BASE.sum(axis=1) + 9 * off]))
    assert far.n_directions == 2
    assert np.mean(far.distance[~off] > far.cutoff) < 0.1


@pytest.mark.parametrize("shape", [(10, 1), (12, 6), (20, 19), (30, 100), (60, 11)])
def test_few_rows_are_measured_in_few_directions(shape):
    X = np.random.default_rng(3).normal(size=shape)
    X[0] += 50
    far = robust_distance(X)
    assert far.n_directions == min(shape[1], shape[0] // 5)
    assert np.isfinite(far.distance).all()
    assert np.argmax(far.distance) == 0


def test_one_gross_row_changes_no_other_category():
    model, X, y = make_data()
    expected = outlier_category(model, X, y)
    X[100] = 1e12
    category = outlier_category(model, X, y)
    assert category[100] == "bad leverage"
    assert np.mean(np.delete(category == expected, 100)) > 0.98


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (sp.csr_array(np.eye(9)), r"X is sparse.*toarray"),
        (np.eye(12), "varies in most rows.*outlier_score"),
        (np.ones((12, 2)), "varies in most rows.*outlier_score"),
        (BASE[:9], "9 rows.*at least 10.*outlier_score"),
        (np.full((12, 1), np.nan), "X contains NaN"),
    ],
)
def test_rows_without_a_distance_are_refused(X, match):
    with pytest.raises(ValueError, match=match):
        robust_distance(X)


def test_one_target_of_several():
    _, X, y = make_data()
    model = RobustRegressor().fit(X, np.column_stack([y, X.sum(axis=1) + y[::-1]]))
    targets = np.column_stack([y, X.sum(axis=1) + y[::-1]])
    for target in (0, 1):
        alone = RobustRegressor().fit(X, targets[:, target])
        assert_array_equal(
            outlier_category(model, X, targets, target=target),
            outlier_category(alone, X, targets[:, target]),
        )
    for target in (None, 2, -1, 0.5):
        with pytest.raises(ValueError, match=rf"target must be .*0, 1.*{target}"):
            outlier_category(model, X, targets, target=target)
    with pytest.raises(ValueError, match="Got 1"):
        outlier_category(alone, X, y, target=1)


def test_pipelines_are_taken_and_other_estimators_refused():
    _, X, y = make_data()
    with pytest.raises(TypeError, match="Got LinearRegression"):
        outlier_category(make_pipeline(LinearRegression()).fit(X, y), X, y)
    pipeline = make_pipeline(StandardScaler(), RobustRegressor()).fit(X, y)
    category = outlier_category(pipeline, X, y)
    assert_array_equal(category, outlier_category(RobustRegressor().fit(X, y), X, y))


def test_numbers_as_objects_are_numbers():
    model, X, y = make_data()
    category = outlier_category(model, X, y.astype(object))
    assert_array_equal(category, outlier_category(model, X, y))


def test_labels_are_above_all_points(figures):
    display = OutlierMapDisplay.from_estimator(*make_data())
    points = max(dots.get_zorder() for dots in display.points_.values())
    assert min(text.get_zorder() for text in display.texts_) > points


def test_the_picture(figures):
    model, X, y = make_data()
    display = OutlierMapDisplay.from_estimator(model, X, y, n_labels=4)
    assert display.figure_ is display.ax_.figure
    assert_array_equal(display.category, outlier_category(model, X, y))
    assert_allclose(np.abs(display.residual), model.outlier_score(X, y), rtol=1e-12)
    assert_array_equal(np.sign(display.residual), np.sign(y - model.predict(X)))
    drawn = {kind: len(dots.get_offsets()) for kind, dots in display.points_.items()}
    kinds, counts = np.unique(display.category, return_counts=True)
    assert drawn == dict(zip(kinds.tolist(), counts.tolist(), strict=True))
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == [f"{kind} ({drawn[kind]})" for kind in STYLES]
    levels = [line.get_ydata()[0] for line in display.lines_[:2]]
    assert levels == [-3.0, 3.0]
    assert display.lines_[2].get_xdata()[0] == display.distance_cutoff
    assert len(display.texts_) == 4
    named = [int(text.get_text()) for text in display.texts_]
    assert (display.category[named] != "regular").all()
    display.figure_.canvas.draw()


def test_the_picture_goes_where_it_is_told(figures):
    model, X, y = make_data()
    _, ax = figures.subplots()
    display = OutlierMapDisplay.from_estimator(
        model,
        pd.DataFrame(X),
        pd.Series(y),
        ax=ax,
        n_labels=0,
        scatter_kwargs={"s": 77, "alpha": None},
        line_kwargs={"color": "red"},
    )
    assert display.ax_ is ax
    assert display.texts_ == []
    assert {dots.get_sizes()[0] for dots in display.points_.values()} == {77}
    assert {line.get_color() for line in display.lines_} == {"red"}
    again = display.plot()
    assert again is display
    assert display.ax_ is not ax


@pytest.mark.parametrize("largest", [1e4, 1e300, np.inf])
def test_gross_rows_leave_the_others_visible(figures, largest):
    display = OutlierMapDisplay(
        residual=[0.0, 1.0, -largest, 4.0],
        distance=[1.0, 2.0, 1.0, 1e6],
        outlier_threshold=3.0,
        distance_cutoff=2.7,
    ).plot()
    display.figure_.canvas.draw()
    heights = display.ax_.transAxes.inverted().transform(
        display.ax_.transData.transform([(1.0, -3.0), (2.7, 3.0)])
    )
    # The cut-offs are apart, in both directions, although one point is far away.
    assert np.diff(heights, axis=0).min() > 0.002
    assert display.ax_.get_xscale() == display.ax_.get_yscale() == "symlog"


def test_rows_without_a_cutoff_passed_are_not_labelled(figures):
    model, X, y = make_data()
    display = OutlierMapDisplay.from_estimator(model, X[50:100], y[50:100], n_labels=99)
    assert len(display.texts_) <= np.count_nonzero(display.category != "regular")


def test_an_exact_fit_has_a_picture(figures):
    X = BASE
    y = X @ [1.0, 2.0]
    y[:3] += 1.0
    model = L1Regressor().fit(X, y)
    display = OutlierMapDisplay.from_estimator(model, X, y)
    assert np.isfinite(display.residual).all()
    vertical = np.abs(display.residual) > display.outlier_threshold
    assert_array_equal(np.flatnonzero(vertical), [0, 1, 2])
    display.figure_.canvas.draw()


@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame])
def test_one_column_of_targets_is_one_target(container):
    _, X, y = make_data()
    model, column = RobustRegressor().fit(X, y), container(y[:, None])
    alone = RobustRegressor().fit(X, column)
    expected = outlier_category(model, X, y)
    assert_array_equal(outlier_category(alone, X, column), expected)
    assert_array_equal(outlier_category(alone, X, column, target=0), expected)
    display = OutlierMapDisplay.from_estimator(alone, X, column)
    assert_array_equal(display.category, expected)
