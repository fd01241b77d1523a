"""Displays: laws that all of them keep, and that each draws what the fit says."""

import ast
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import robustreg
from robustreg import (
    L1Regressor,
    MMRegressor,
    QuantilesRegressor,
    RobustRegressor,
    RobustRegressorCV,
    robust_path,
)
from robustreg.losses import LOSSES, PseudoHuber, SmoothL1, make_loss
from robustreg.plotting import (
    CVDisplay,
    LossDisplay,
    OutlierMapDisplay,
    PathDisplay,
    QuantilesDisplay,
    ResidualsDisplay,
    outlier_category,
)

RNG = np.random.default_rng(0)
N = 80
X = RNG.normal(10, 3, size=(N, 3))
Y = X @ [1.0, -2.0, 0.0] + RNG.standard_t(3, N)
Y[:3] += 40
WEIGHT = (np.arange(N) % 4).astype(float)
FRAME = pd.DataFrame(X, columns=["age", "dose", "noise"])


def piped(model):
    return make_pipeline(StandardScaler(), model).fit(FRAME, Y)


# Of least squares the fits of an envelope are made at once.
FIT = RobustRegressor("l2").fit(X, Y)
CHOICE = piped(RobustRegressorCV(["l2", "tukey"], penalty=["l1", None], alphas=4, cv=3))
LEVELS = (0.9, 0.1, 0.5)
QUANTILES = piped(QuantilesRegressor(LEVELS))
PATH = robust_path(X, Y, n_alphas=5)

# A display of each kind, drawn in given axes, and how many it takes.
DISPLAYS = {
    "losses": (lambda ax: LossDisplay.from_losses([*LOSSES], ax=ax), 3),
    "path": (lambda ax: PathDisplay.from_path(PATH, alpha=PATH.alphas[2], ax=ax), 1),
    "scores": (lambda ax: CVDisplay.from_estimator(CHOICE, ax=ax), 1),
    "outlier map": (lambda ax: OutlierMapDisplay.from_estimator(FIT, X, Y, ax=ax), 1),
    "residuals": (
        lambda ax: ResidualsDisplay.from_estimator(FIT, X, Y, ax=ax),
        4,
    ),
    "quantiles": (
        lambda ax: QuantilesDisplay.from_estimator(QUANTILES, FRAME, Y, ax=ax),
        1,
    ),
    "quantiles of a feature": (
        lambda ax: QuantilesDisplay.from_estimator(
            QUANTILES, FRAME, Y, feature="dose", ax=ax
        ),
        1,
    ),
}
every_display = pytest.mark.parametrize(
    ("draw", "count"), DISPLAYS.values(), ids=DISPLAYS
)


@pytest.fixture(autouse=True)
def figures(monkeypatch):
    """Draw without a screen, never show, and close all figures, also those of pages."""
    import matplotlib.pyplot as plt

    with matplotlib.rc_context({"backend": "Agg"}):
        plt.figure()
        monkeypatch.setattr(plt, "show", None)
        plt.close("all")
        yield plt
        plt.close("all")


def axes_of(display):
    """Return all axes of a display."""
    return list(vars(display).get("axes_", [vars(display).get("ax_")]))


@every_display
def test_given_axes_are_used_and_have_labels(draw, count, figures):
    figure, axes = figures.subplots(1, count)
    display = draw(axes)
    assert axes_of(display) == list(np.ravel(axes))
    assert display.figure_ is figure
    assert len(figures.get_fignums()) == 1
    for ax in axes_of(display):
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        assert ax.has_data()
    if count > 1:
        with pytest.raises(ValueError, match=rf"array of {count} axes.*Got 2"):
            draw(axes[:2])


@every_display
def test_displays_draw_again_in_a_narrow_figure_of_their_own(draw, count, figures):
    _, (given, other) = figures.subplots(1, 2)
    display = draw(given)
    # One axes for several panels is divided.
    assert len(axes_of(display)) == count
    assert not other.has_data()
    with matplotlib.rc_context({"figure.figsize": (3.5, 2.8)}):
        assert display.plot() is display
    assert display.figure_ is not given.figure
    display.figure_.draw_without_rendering()
    width = display.figure_.get_window_extent().width
    for ax in axes_of(display):
        box = ax.get_tightbbox()
        assert box.x0 > -2
        assert box.x1 < width + 2
        lines = ax.get_legend_handles_labels()[0]
        told = [(x.get_color(), x.get_linestyle()) for x in lines if is_line(x)]
        # Lines differ by more than their colour, but for two quantiles alike.
        assert len(set(told)) >= len(told) - 1
    for legend in display.figure_.legends:
        box = legend.get_window_extent()
        assert box.x0 > -2
        assert box.x1 < width + 2


def is_line(artist):
    return isinstance(artist, matplotlib.lines.Line2D)


def test_without_matplotlib_rooms_are_imported_and_displays_say_what_to_install(
    monkeypatch,
):
    for path in Path(robustreg.plotting.__file__).parent.glob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            assert "matplotlib" not in getattr(node, "module", "")
            assert not isinstance(node, ast.Import) or "mat" not in ast.unparse(node)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for draw, _ in DISPLAYS.values():
        with pytest.raises(ImportError, match=r"Display draws.*pip install matplotlib"):
            draw(None)
    assert outlier_category(FIT, X, Y).shape == (N,)


def test_losses_are_drawn_as_they_are():
    names = [*LOSSES]
    display = LossDisplay.from_losses(names, beta=1.5, quantile=0.8)
    r = display.residual
    for i, name in enumerate(names):
        loss = make_loss(name, 1.5, 0.8)
        assert_array_equal(display.value[i], loss.value(r))
        assert_array_equal(display.lines_["gradient"][i].get_ydata(), loss.gradient(r))
        # Weights have the largest one, 1, at 0, and none where the loss has a kink.
        smooth = np.isfinite(loss.facts.largest_curvature)
        assert display.weight[i].max() == 1.0 if smooth else r[r > 0][0] ** -1 > 1e6
        assert_allclose(
            display.weight[i] * (loss.facts.largest_curvature if smooth else 1.0),
            loss.gradient(r) / r,
            rtol=1e-9,
            atol=1e-12,
        )


def test_losses_are_named_by_what_made_them(figures):
    losses = ["l1", "huber", SmoothL1(0.5)]
    names = LossDisplay.from_losses(losses).names
    assert names == ["l1", "huber, beta=1.345", "SmoothL1(beta=0.5)"]
    _, ax = figures.subplots()
    tilted = LossDisplay.from_losses(
        ["l2"], quantile=0.9, residual_range=(-1, 2), quantities=["weight"], ax=ax
    )
    assert tilted.names == ["l2, quantile=0.9"]
    assert tilted.axes_[0] is ax
    assert tilted.residual[[0, -1]].tolist() == [-1.0, 2.0]


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"losses": "l2"}, r"losses must be a list.*Got 'l2'"),
        ({"losses": []}, r"losses must be a list.*Got \[\]"),
        ({"losses": ["mse"]}, "called 'l2' here"),
        (
            {"losses": ["l2"], "quantities": ["slope"]},
            "quantities must be a list of some of",
        ),
        ({"losses": ["l2"], "residual_range": (1, 0)}, "smaller one first"),
    ],
)
def test_losses_that_are_none_are_refused(given, match, figures):
    with pytest.raises(ValueError, match=match):
        LossDisplay.from_losses(**given)
    assert not figures.get_fignums()


def test_a_path_is_drawn_as_it_is():
    display = PathDisplay.from_path(PATH, feature_names=FRAME.columns, n_labels=2)
    for line, coefs in zip(display.lines_, PATH.coefs, strict=True):
        assert_array_equal(line.get_xdata(), PATH.alphas)
        assert_array_equal(line.get_ydata(), coefs)
    assert {text.get_text() for text in display.texts_} == {"age", "dose"}
    assert display.chosen_ is None
    left, right = display.ax_.get_xlim()
    assert left > PATH.alphas[0] > PATH.alphas[-1] > right
    with pytest.raises(ValueError, match=r"each of 3 features. Got 2"):
        PathDisplay.from_path(PATH, feature_names=["a", "b"])


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_the_path_of_a_choice_goes_through_it(weight):
    alphas = [0.0, 0.1, 0.01]
    model = RobustRegressorCV(alphas=alphas, penalty="l1", cv=3).fit(X, Y, weight)
    display = PathDisplay.from_estimator(model, X, Y, sample_weight=weight)
    assert display.alphas.tolist() == [0.1, 0.01, 0.0]
    assert display.chosen_.get_xdata()[0] == model.alpha_
    at = display.alphas.tolist().index(model.alpha_)
    assert_allclose(display.coefs[:, at], model.coef_, rtol=1e-6)
    first = RobustRegressor(penalty="l1", alpha=0.1).fit(X, Y, weight)
    assert_allclose(display.coefs[:, 0], first.coef_, rtol=1e-6)
    with pytest.raises(ValueError, match="other coefficients on this X"):
        PathDisplay.from_estimator(model, X, np.roll(Y, 1), sample_weight=weight)


def test_a_choice_in_a_pipeline_has_the_names_of_its_steps():
    display = PathDisplay.from_estimator(CHOICE, FRAME, Y)
    assert display.feature_names == ["age", "dose", "noise"]
    own = PathDisplay.from_estimator(CHOICE[-1], CHOICE[:-1].transform(FRAME), Y)
    assert_array_equal(display.coefs, own.coefs)


def test_scores_are_drawn_with_the_best_and_the_simplest():
    display, model = CVDisplay.from_estimator(CHOICE), CHOICE[-1]
    results = model.cv_results_
    assert_array_equal(display.mean, results["mean_test_score"])
    assert_allclose(display.error, results["std_test_score"] / np.sqrt(2))
    for name, index in (("best", model.best_index_), ("1se", model.index_1se_)):
        place = display.marks_[name].get_offsets()[0]
        expected = results["params"][index]["alpha"], display.mean[index]
        assert tuple(place) == expected
    # Of two losses with an l1 penalty lines, and without one levels.
    points = [line.get_xdata() for line in display.lines_]
    assert sorted(len(x) for x in points) == [2, 2, 4, 4]
    labels = display.figure_.legends[0].get_texts()
    assert labels[0].get_text().startswith(model.loss_)


@pytest.mark.parametrize("scoring", [None, "r2", lambda model, X, y: 0.0])
def test_candidates_without_a_penalty_are_dots(scoring):
    splits = ShuffleSplit(1, random_state=0)
    model = RobustRegressorCV(
        ["l2", "huber"], beta=[1.0, 2.0], penalty=None, scoring=scoring, cv=splits
    ).fit(X, Y)
    display = CVDisplay.from_estimator(model, n_labels=3)
    shown = display.lines_[0].get_xdata()
    assert_array_equal(shown, np.sort(display.mean)[:0:-1])
    assert np.isnan(display.error).all()
    names = [tick.get_text() for tick in display.ax_.get_yticklabels()]
    assert {name.partition(",")[0] for name in names} <= {"l2", "huber"}
    assert "1 worse" in display.ax_.get_ylabel()


@pytest.mark.parametrize(
    ("model", "bend"),
    [
        (RobustRegressor(), 1.345),
        (RobustRegressor(PseudoHuber(2.0), scale=3.0), 2.0),
        (RobustRegressor("welsch", quantile=0.4), 2.985),
        (RobustRegressor("l2"), None),
        (L1Regressor(), None),
        (MMRegressor(), 4.685),
        (RobustRegressorCV("huber", beta=1.5, penalty=None, cv=3), 1.5),
    ],
)
def test_residuals_are_drawn_as_they_are(model, bend):
    model.fit(X, Y)
    panels = ["fitted", "qq", "scale"]
    display = ResidualsDisplay.from_estimator(
        model, X, Y, n_simulations=0, panels=panels
    )
    residual = Y - model.predict(X)
    drawn = np.concatenate([p.get_offsets() for p in display.points_["fitted"]])
    expected = np.column_stack([model.predict(X), residual])
    assert_allclose(np.sort(drawn, axis=0), np.sort(expected, axis=0), rtol=1e-9)
    far = len(display.points_["fitted"][1].get_offsets())
    assert far == np.count_nonzero(model.outliers_)
    if bend is None:
        assert display.half_width is None
    else:
        assert display.half_width == pytest.approx(bend * model.scale_, rel=1e-3)
    quantiles = np.concatenate([p.get_offsets() for p in display.points_["qq"]])
    expected = norm.ppf((np.arange(N) + 0.5) / N)
    assert_allclose(np.sort(quantiles[:, 0]), expected)
    scores = np.sort(model.outlier_score(X, Y))
    roots = np.concatenate([p.get_offsets() for p in display.points_["scale"]])
    assert_allclose(np.sort(roots[:, 1]), np.sqrt(scores))


def test_rows_of_weight_0_are_not_drawn_and_keep_numbers():
    model, live = RobustRegressor("l2").fit(X, Y, WEIGHT), WEIGHT > 0
    display = ResidualsDisplay.from_estimator(
        model, X, Y, sample_weight=WEIGHT, panels=["qq", "map"]
    )
    less = ResidualsDisplay.from_estimator(
        model, X[live], Y[live], sample_weight=WEIGHT[live], panels=["qq"]
    )
    assert_array_equal(display.row, np.flatnonzero(live))
    for name in ("residual", "fitted", "envelope"):
        assert_allclose(getattr(display, name), getattr(less, name))
    assert display.outlier_map.row is display.row
    with pytest.raises(ValueError, match="one-dimensional"):
        ResidualsDisplay.from_estimator(model, X, Y, sample_weight=np.ones((N, 2)))


@pytest.mark.parametrize("model", [RobustRegressor("l2"), L1Regressor(quantile=0.7)])
def test_gaussian_errors_are_in_the_envelope(model):
    rng, shares = np.random.default_rng(1), []
    for seed in range(2):
        y = X @ [1.0, 2.0, 3.0] + 5 * rng.normal(size=N)
        display = ResidualsDisplay.from_estimator(
            model.fit(X, y), X, y, panels=["qq"], random_state=seed
        )
        low, high = display.envelope
        ordered = np.sort(display.residual)
        shares.append(np.mean((low <= ordered) & (ordered <= high)))
    # Neighbouring ranks leave it together, so that shares of one picture vary.
    assert np.mean(shares) > 0.85
    ordered[-3:] += 5
    assert (ordered[-3:] > high[-3:]).all()


@pytest.mark.parametrize(
    ("model", "n"), [(RobustRegressor(), 6000), (MMRegressor(), 501)]
)
def test_the_envelope_of_many_rows_is_that_of_scaled_errors(model, n, monkeypatch):
    rng = np.random.default_rng(0)
    many, y = rng.normal(size=(n, 1)), rng.normal(size=n)
    model.fit(many, y)
    # No fit is made, which takes seconds where it is a search.
    monkeypatch.setattr(type(model), "fit", None)
    options = {"panels": ["qq"]}
    low, high = ResidualsDisplay.from_estimator(model, many, y, **options).envelope
    middle = norm.ppf((np.arange(n) + 0.5) / n)
    inner = np.abs(middle) < 1
    assert (low < high).all()
    assert_allclose((low + high)[inner] / 2, middle[inner], atol=0.05)
    assert (high - low)[inner].max() < 20 / n**0.5


def test_one_of_several_targets_is_drawn_by_its_number():
    targets = np.column_stack([Y, np.roll(Y, 1)])
    both = RobustRegressorCV(alphas=3, cv=3).fit(X, targets)
    single = RobustRegressor(**both.best_params_).fit(X, targets[:, 1])
    options = {"panels": ["fitted"]}
    one = ResidualsDisplay.from_estimator(both, X, targets, target=1, **options)
    alone = ResidualsDisplay.from_estimator(single, X, targets[:, 1], **options)
    assert_allclose(one.residual, alone.residual, rtol=1e-6)
    path = PathDisplay.from_estimator(both, X, targets, target=1)
    at = path.alphas.tolist().index(both.alpha_)
    assert_allclose(path.coefs[:, at], both.coef_[1], rtol=1e-6)
    for display in (ResidualsDisplay, PathDisplay):
        with pytest.raises(ValueError, match=r"target must be.*0, 1. Got None"):
            display.from_estimator(both, X, targets)


def test_sparse_rows_have_all_pictures_but_those_that_need_their_entries():
    few = sp.csr_array(X)
    panels = ["fitted", "qq", "scale"]
    options = {"panels": panels}
    sparse = ResidualsDisplay.from_estimator(FIT, few, Y, **options)
    dense = ResidualsDisplay.from_estimator(FIT, X, Y, **options)
    assert_allclose(sparse.envelope, dense.envelope, rtol=1e-6, atol=1e-9)
    with pytest.raises(ValueError, match=r"sparse.*leave the map out: panels="):
        ResidualsDisplay.from_estimator(FIT, few, Y)
    model = QUANTILES[-1]
    rows = sp.csr_array(QUANTILES[:-1].transform(FRAME))
    QuantilesDisplay.from_estimator(model, rows, Y)
    with pytest.raises(ValueError, match=r"sparse.*leave feature None"):
        QuantilesDisplay.from_estimator(model, rows, Y, feature=0)


def test_quantiles_are_drawn_as_they_are():
    rows, model = QUANTILES[:-1].transform(FRAME), QUANTILES[-1]
    predicted = QUANTILES.predict(FRAME)
    display = QuantilesDisplay.from_estimator(QUANTILES, FRAME, Y, feature="dose")
    assert "dose" in display.ax_.get_xlabel()
    assert_array_equal(display.x, rows[:, 1])
    at = np.tile(np.median(rows, axis=0), (display.line_x.size, 1))
    at[:, 1] = display.line_x
    assert_allclose(display.line_y, model.predict(at), rtol=1e-12)
    for line, column in zip(display.lines_, display.line_y.T, strict=True):
        assert_array_equal(line.get_ydata(), column)
    strict = np.mean(Y[:, None] < predicted - 1e-9, axis=0)
    loose = np.mean(Y[:, None] < predicted + 1e-9, axis=0)
    assert_allclose(display.share_below, (strict + loose) / 2)
    assert len(display.bands_) == 1
    along = QuantilesDisplay.from_estimator(QUANTILES, FRAME, Y)
    assert_array_equal(along.x, predicted[:, 2])
    assert (np.diff(along.line_y[:, [1, 2, 0]], axis=1) >= 0).all()


def test_weights_count_in_shares_and_medians():
    model, twice = QUANTILES[-1], WEIGHT.astype(int)
    rows = QUANTILES[:-1].transform(FRAME)
    one = QuantilesDisplay.from_estimator(
        model, rows, Y, feature=0, sample_weight=WEIGHT
    )
    more = QuantilesDisplay.from_estimator(
        model, np.repeat(rows, twice, axis=0), np.repeat(Y, twice), feature="x0"
    )
    assert one.x.size == np.count_nonzero(WEIGHT)
    assert_allclose(one.share_below, more.share_below)
    assert_allclose(one.line_y, more.line_y)


@pytest.mark.parametrize("feature", ["weight", 3, -1, 0.5])
def test_features_that_are_none_are_refused(feature):
    with pytest.raises(ValueError, match=r"feature must be.*'age', 'dose'.*Got"):
        QuantilesDisplay.from_estimator(QUANTILES, FRAME, Y, feature=feature)


@pytest.mark.parametrize(
    ("display", "match"),
    [
        (ResidualsDisplay, "regressor of robustreg"),
        (PathDisplay, "from_path"),
        (QuantilesDisplay, "fitted QuantilesRegressor"),
    ],
)
def test_other_estimators_are_refused(display, match):
    with pytest.raises(TypeError, match=f"{match}"):
        display.from_estimator(LinearRegression().fit(X, Y), X, Y)
    with pytest.raises(NotFittedError):
        display.from_estimator(make_pipeline(RobustRegressorCV()), X, Y)


def test_the_regressor_inside_a_transformed_target_is_named():
    around = TransformedTargetRegressor(RobustRegressor()).fit(X, Y)
    with pytest.raises(TypeError, match="TransformedTargetRegressor its regressor_"):
        ResidualsDisplay.from_estimator(around, X, Y)


def test_parameters_out_of_range_are_refused():
    draw = ResidualsDisplay.from_estimator
    with pytest.raises(ValueError, match=r"n_simulations must be 0.*at least 39.*7"):
        draw(FIT, X, Y, n_simulations=7)
    for panels in ("qq", [], ["leverage"]):
        with pytest.raises(ValueError, match="panels must be a list of some of"):
            draw(FIT, X, Y, panels=panels)
    with pytest.raises(ValueError, match="no outlier_map"):
        draw(FIT, X, Y, panels=["fitted"]).plot()
    with pytest.raises(TypeError, match=r"RobustRegressorCV.*Got RobustRegressor"):
        CVDisplay.from_estimator(FIT)
    plain = RobustRegressorCV(["l2", "huber"], penalty=None, cv=3).fit(X, Y)
    with pytest.raises(ValueError, match=r"no penalty.*from_path"):
        PathDisplay.from_estimator(plain, X, Y)
