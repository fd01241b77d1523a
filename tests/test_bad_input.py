"""What is wrong is said before any work is done, with the way out."""

import re
import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from oracles import CONVEX
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.utils.estimator_checks import check_estimators_nan_inf

from robustreg import (
    L1Regressor,
    MMRegressor,
    NoEffectWarning,
    QuantilesRegressor,
    RobustRegressor,
    RobustRegressorCV,
    SmoothL1Regressor,
    robust_path,
)
from robustreg.inference import coef_covariance
from robustreg.losses import LOSSES, Pinball, make_loss
from robustreg.solvers import SOLVERS

NAN, INF = float("nan"), float("inf")
ESTIMATORS = [L1Regressor, RobustRegressor, SmoothL1Regressor]


def make_data(n=30, p=3):
    rng = np.random.default_rng(17)
    X = rng.normal(size=(n, p))
    return X, X.sum(axis=1) + rng.standard_t(2, size=n)


def assert_refused(model, *data, match, **fit_params):
    """Fit raises a ValueError that says all of ``match``, and sets no attribute."""
    before = dict(vars(model))
    with pytest.raises(ValueError) as caught:
        model.fit(*data, **fit_params)
    for words in match:
        assert re.search(words, str(caught.value)), (words, str(caught.value))
    fitted = {name for name in vars(model).keys() - before.keys() if name[-1] == "_"}
    assert not fitted


# Parameter, a value it may not have, and what the message says is allowed.
PARAMETERS = [
    ("loss", "no_such_loss", "smooth_l1"),
    ("loss", None, "smooth_l1"),
    ("loss", 3, "smooth_l1"),
    ("loss", Pinball, "Loss"),
    ("penalty", "l3", "elasticnet"),
    ("penalty", 2, "elasticnet"),
    ("beta", -1.0, r"\[0(\.0)?, inf\)"),
    ("beta", NAN, "inf|finite|nan"),
    ("beta", INF, "finite|inf"),
    ("beta", "wide", r"\[0(\.0)?, inf\)"),
    ("alpha", -1e-300, r"\[0(\.0)?, inf\)"),
    ("alpha", NAN, "inf|finite"),
    ("alpha", INF, "finite|inf"),
    ("alpha", None, r"\[0(\.0)?, inf\)"),
    ("quantile", 0.0, r"\(0(\.0)?, 1(\.0)?\)"),
    ("quantile", 1.0, r"\(0(\.0)?, 1(\.0)?\)"),
    ("quantile", 90, r"\(0(\.0)?, 1(\.0)?\)"),
    ("quantile", NAN, r"\(0(\.0)?, 1(\.0)?\)"),
    ("l1_ratio", -0.1, r"\[0(\.0)?, 1(\.0)?\]"),
    ("l1_ratio", 1.1, r"\[0(\.0)?, 1(\.0)?\]"),
    ("l1_ratio", NAN, r"\[0(\.0)?, 1(\.0)?\]"),
    ("scale", 0.0, "mad"),
    ("scale", -1.0, "mad"),
    ("scale", NAN, "mad|finite"),
    ("scale", INF, "finite|inf"),
    ("scale", "std", "proposal2"),
    ("scale", None, "proposal2"),
    ("fit_intercept", "yes", "bool"),
    ("solver", "adam", "newton-cg"),
    ("solver", None, "newton-cg"),
    ("tol", 0.0, r"\(0(\.0)?, inf\)"),
    ("tol", -1e-4, r"\(0(\.0)?, inf\)"),
    ("tol", NAN, "inf|finite"),
    ("tol", INF, "finite|inf"),
    ("max_iter", 0, r"\[1, inf\)"),
    ("max_iter", -5, r"\[1, inf\)"),
    ("max_iter", 10.5, "int"),
    ("max_iter", NAN, "int"),
    ("warm_start", 2, "bool"),
    ("outlier_threshold", 0.0, r"\(0(\.0)?, inf\)"),
    ("outlier_threshold", -3.0, r"\(0(\.0)?, inf\)"),
    ("outlier_threshold", NAN, "inf|finite"),
    ("outlier_threshold", INF, "finite|inf"),
    ("outlier_threshold", None, r"\(0(\.0)?, inf\)"),
]


@pytest.mark.parametrize("make", ESTIMATORS)
@pytest.mark.parametrize(("name", "value", "allowed"), PARAMETERS)
def test_a_parameter_out_of_range(make, name, value, allowed):
    got = re.escape(repr(value))
    model = make().set_params(**{name: value})
    assert_refused(model, *make_data(), match=[name, f"[Gg]ot {got}", allowed])


@pytest.mark.parametrize("loss", [k for k, v in LOSSES.items() if not v.zero_beta])
def test_a_beta_of_0_where_the_loss_has_none(loss):
    model = SmoothL1Regressor(loss, beta=0)
    match = [f"loss='{loss}'", "beta > 0", "Got beta=0", "loss='l1'"]
    assert_refused(model, *make_data(), match=match)


def test_a_tilt_of_an_asymmetric_instance():
    model = SmoothL1Regressor(Pinball(-0.2, 0.8), quantile=0.3)
    match = ["quantile=0.3", "symmetric", r"quantile=0\.5"]
    assert_refused(model, *make_data(), match=match)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_solver_that_cannot_do_the_job(solver):
    kinked = {"interior-point", "augmented-lagrangian"}
    kinked |= {"augmented-lagrangian-cg", "linprog"}
    loss = "pseudo_huber" if solver in kinked else "l1"
    fact = "piecewise linear" if solver in kinked else "smooth"
    fact = "half as many rows" if solver == "row-space" else fact
    model = RobustRegressor(loss, solver=solver)
    match = [f"solver='{solver}' cannot", f"needs .*{fact}", "one of .*'"]
    assert_refused(model, *make_data(), match=match)


@pytest.mark.parametrize(
    ("solver", "loss", "penalty", "fact"),
    [
        ("newton", "huber", "l1", "no l1 part"),
        ("newton-cg", "huber", "elasticnet", "no l1 part"),
        ("l-bfgs-b", "huber", "l1", "no l1 part"),
        ("augmented-lagrangian-cg", "l1", "l1", "no l1 part"),
        ("linprog", "l1", "l2", "no l2 part"),
    ],
)
def test_a_solver_that_cannot_do_the_penalty(solver, loss, penalty, fact):
    model = SmoothL1Regressor(loss, penalty=penalty, alpha=0.1, solver=solver)
    assert_refused(model, *make_data(), match=[f"solver='{solver}' cannot", fact])


def changed(array, value, place=(3,)):
    array = np.array(array, dtype=np.result_type(array, type(value)))
    array[place] = value
    return array


X, Y = make_data()
ROWS = 30
DATA = {
    "X has nan": (changed(X, NAN, (2, 1)), Y, "NaN"),
    "X has inf": (changed(X, INF, (2, 1)), Y, "infinity"),
    "y has nan": (X, changed(Y, NAN), "NaN"),
    "y has -inf": (X, changed(Y, -INF), "infinity"),
    "sparse X has nan": (sp.csr_array(changed(X, NAN, (2, 1))), Y, "NaN"),
    "complex X": (X + 1j, Y, "[Cc]omplex"),
    "complex y": (X, Y + 1j, "[Cc]omplex"),
    "X of words": (np.full((ROWS, 2), "word"), Y, "convert|numeric"),
    "y of words": (X, np.full(ROWS, "word"), "convert|numeric|real numbers"),
    "y of objects": (X, np.full(ROWS, "word", dtype=object), "convert|real"),
    "X of objects": (np.full((ROWS, 2), "word", dtype=object), Y, "convert"),
    "y of dates": (X, np.full(ROWS, np.datetime64("2020-01-01")), "real numbers|conv"),
    "sparse y": (X, sp.csr_array(Y[:, None]), "sparse"),
    "X of one dimension": (Y, Y, "2D array"),
    "X of three dimensions": (X[:, :, None], Y, "dim 3|3D|ndim|dimensions"),
    "y of three dimensions": (X, Y[:, None, None], "dim 3|3D|ndim|dimensions"),
    "too short a y": (X, Y[:-1], r"\[30, 29\]"),
    "no rows": (X[:0], Y[:0], "0 sample"),
    "no columns": (X[:, :0], Y, "0 feature"),
    "no y": (X, None, "requires y to be .* None. Pass one target for each row of X"),
    "y of no columns": (X, np.empty((ROWS, 0)), "0 feature|target"),
}


@pytest.mark.parametrize("make", ESTIMATORS)
@pytest.mark.parametrize("what", DATA)
def test_data_that_cannot_be_fitted(make, what):
    X_bad, y_bad, words = DATA[what]
    assert_refused(make(), X_bad, y_bad, match=[words])


WEIGHTS = {
    "negative": (changed(np.ones(ROWS), -1.0), "[Nn]egative"),
    "all zero": (np.zeros(ROWS), "all zero|non-zero"),
    "nan": (changed(np.ones(ROWS), NAN), "NaN"),
    "inf": (changed(np.ones(ROWS), INF), "infinity"),
    "too few": (np.ones(ROWS - 1), "shape"),
    "a matrix": (np.ones((ROWS, 2)), r"one-dim.*\(30, 2\)\. Pass one column"),
    "a column": (np.ones((ROWS, 1)), r"\(30, 1\)\. Pass np\.ravel\(sample_weight\)"),
    "a frame": (pd.DataFrame({"w": np.ones(ROWS)}), r"Pass np\.ravel\(sample_weight\)"),
    "complex": (np.ones(ROWS) + 1j, "[Cc]omplex"),
    "words": (np.full(ROWS, "word"), "convert|numeric"),
}


@pytest.mark.parametrize("make", ESTIMATORS)
@pytest.mark.parametrize("what", WEIGHTS)
def test_weights_that_cannot_be(make, what):
    weight, words = WEIGHTS[what]
    assert_refused(make(), X, Y, sample_weight=weight, match=[words])


@pytest.mark.parametrize("make", ESTIMATORS)
def test_a_failed_fit_keeps_the_last_one(make):
    model = make().fit(X, Y)
    coef = model.coef_.copy()
    with pytest.raises(ValueError):
        model.set_params(alpha=-1).fit(2 * X, Y)
    np.testing.assert_array_equal(model.coef_, coef)


@pytest.mark.parametrize("make", [*ESTIMATORS, MMRegressor])
def test_a_fit_that_fails_after_its_checks_keeps_the_last_one_whole(make):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = make().fit(frame, Y)
    before = dict(vars(model))
    other = X[:, :2] * [1.0, 1e-200]
    with pytest.raises(ValueError, match=r"columns \[1\]"):
        model.fit(other, Y)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    assert model.predict(frame).shape == Y.shape


OTHER_NAMES = {
    "mae": "l1",
    "absolute_error": "l1",
    "mse": "l2",
    "squared_error": "l2",
    "bisquare": "tukey",
    "pinball": "quantile",
    "logcosh": "log_cosh",
    "pseudohuber": "pseudo_huber",
    "lad": "l1",
    "OLS": "l2",
    "MAE": "l1",
    "L1": "l1",
    "Tukey": "tukey",
    "bisquare ": "tukey",
    "Smooth-L1": "smooth_l1",
    "SmoothL1": "smooth_l1",
    " pseudo huber": "pseudo_huber",
    "SmoothL1Loss": "smooth_l1",
    "HuberLoss": "huber",
    "L1Loss": "l1",
    "MSELoss": "l2",
    "huber_loss": "huber",
}


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_the_names_of_other_packages_point_to_ours(name):
    match = rf"Got '{name}'.* loss='{OTHER_NAMES[name]}'"
    for fit in (RobustRegressor(name).fit, partial(robust_path, loss=name)):
        with pytest.raises(ValueError, match=match):
            fit(X, Y)
    with pytest.raises(ValueError, match=match):
        make_loss(name)


@pytest.mark.parametrize("name", ["loss", "penalty", "scale", "solver"])
def test_names_are_listed_in_the_order_of_the_alphabet(name):
    with pytest.raises(ValueError) as caught:
        RobustRegressor().set_params(**{name: "no such name"}).fit(X, Y)
    listed = re.findall(r"'(\w[\w-]*)'", str(caught.value).partition("Got")[0])
    listed = [word for word in listed if word != name]
    assert len(listed) > 1 and listed == sorted(listed)


MASKED = np.ma.masked_less(np.arange(30.0), 2.0)
MASKED_DATA = {
    "X": (np.ma.masked_greater(X, 1.0), Y, None),
    "y": (X, MASKED, None),
    "sample_weight": (X, Y, MASKED),
}


@pytest.mark.parametrize("name", MASKED_DATA)
@pytest.mark.parametrize("make", [*ESTIMATORS, MMRegressor])
def test_masked_values_are_not_fitted(make, name):
    *data, weight = MASKED_DATA[name]
    match = [f"^{name} is a masked array", "Drop", rf"{name}\.filled"]
    assert_refused(make(), *data, sample_weight=weight, match=match)


COLUMNS = {
    "number": np.arange(6.0),
    "gap": [NAN, 1.0, NAN, 2.0, 3.0, 4.0],
    "word": ["a", "b"] * 3,
    "gap in words": ["a", None] * 3,
    "day": pd.date_range("2020-01-01", periods=6),
    "level": pd.Categorical(["u", "v"] * 3),
    "gap in integers": pd.array([1, None] * 3, dtype="Int64"),
}


@pytest.mark.parametrize(
    "model", [RobustRegressor(), QuantilesRegressor(), RobustRegressorCV(cv=2)]
)
def test_columns_that_are_no_numbers_are_named_with_the_way_out(model):
    said = [
        r"'word', 'gap in words', 'day', 'level'\].* OneHotEncoder",
        r"'gap' \(2\), 'gap in integers' \(3\)\. Impute",
    ]
    assert_refused(model, pd.DataFrame(COLUMNS), np.arange(6.0), match=said)


@pytest.mark.parametrize("name", ["gap", "word"])
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_columns_at_fault_are_named_alone(frame, name):
    data = frame({"number": COLUMNS["number"], name: COLUMNS[name]})
    for fit in (RobustRegressor().fit, partial(robust_path, scale=1.0)):
        with pytest.raises(ValueError, match=f"{name!r}") as caught:
            fit(data, np.arange(6.0))
        assert "'number'" not in str(caught.value)


def test_columns_are_not_blamed_for_targets():
    frame = pd.DataFrame(X)
    assert_refused(RobustRegressor(), frame, Y * NAN, match=["^Input y contains NaN"])


@pytest.mark.parametrize("masked", [1, 2])
def test_masked_values_are_counted(masked):
    values = np.ma.masked_less(np.arange(30.0), masked)
    said = f"with {masked} masked value{'s' * (masked > 1)}, and .* is no data"
    assert_refused(RobustRegressor(), X, values, match=[said])
    with pytest.raises(ValueError, match=said):
        RobustRegressor().fit(X, Y).score(X, values)


DATES = pd.date_range("2020-01-01", periods=30, freq="D")
TIMES = {
    "index": DATES,
    "series": pd.Series(DATES),
    "frame": pd.DataFrame({"day": DATES}),
    "array": DATES.to_numpy(),
    "list": list(DATES.to_numpy()),
    "of a zone": pd.Series(DATES.tz_localize("Europe/Berlin")),
    "durations": DATES - DATES[0],
    "words": np.arange(30).astype(str),
    "list of words": [str(number) for number in range(30)],
}


@pytest.mark.parametrize("y", TIMES.values(), ids=TIMES)
def test_the_way_out_for_targets_that_are_no_numbers_works(y):
    with pytest.raises(ValueError, match="y must hold real numbers") as caught:
        RobustRegressor(scale=1.0).fit(X, y)
    way_out = re.search(
        r"Convert it with (.*?)(, which are days.*)?\.$", str(caught.value)
    )
    days = eval(way_out[1], {"np": np, "y": y})
    assert_array_equal(np.diff(np.ravel(days)), 1.0)
    RobustRegressor(scale=1.0).fit(X, days)


@pytest.mark.parametrize("name", MASKED_DATA)
def test_masked_values_are_refused_everywhere(name):
    X_masked, y, weight = MASKED_DATA[name]
    model = RobustRegressor().fit(X, Y)
    match = f"^{name} is a masked array"
    with pytest.raises(ValueError, match=match):
        robust_path(X_masked, y, sample_weight=weight)
    with pytest.raises(ValueError, match=match):
        coef_covariance(model, X_masked, y, weight)
    with pytest.raises(ValueError, match=match):
        model.score(X_masked, y, weight)
    if name != "sample_weight":
        with pytest.raises(ValueError, match=match):
            model.outlier_score(X_masked, y)
    if name == "X":
        with pytest.raises(ValueError, match=match):
            model.predict(X_masked)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (-1, 2)])
def test_a_score_is_that_of_scikit_learn(shape):
    y = np.column_stack([Y, Y**2])[:, : max(shape[-1], 1)].reshape(shape)
    model, weight = RobustRegressor().fit(X, y), np.arange(len(X)) % 3
    for given in (None, weight):
        expected = r2_score(y, model.predict(X), sample_weight=given)
        assert model.score(X.tolist(), y.tolist(), given) == pytest.approx(expected)


@pytest.mark.parametrize(
    "y, weight, match",
    [
        (Y[:-1], None, "y must have shape"),
        (np.column_stack([Y, Y]), None, "y must have shape"),
        (Y + 1j, None, "Complex data"),
        (None, None, "A score requires y to be passed"),
        (sp.csr_matrix(Y), None, "y is sparse"),
        (Y, -np.ones(len(Y)), "Negative"),
        (Y, np.zeros(len(Y)), "Sample weights"),
    ],
)
def test_a_score_refuses_what_a_fit_does(y, weight, match):
    model = RobustRegressor().fit(X, Y)
    with pytest.raises(ValueError, match=match):
        model.score(X, y, sample_weight=weight)


def test_a_mask_that_hides_nothing_is_none():
    model = RobustRegressor().fit(np.ma.asarray(X), np.ma.asarray(Y))
    np.testing.assert_array_equal(model.coef_, RobustRegressor().fit(X, Y).coef_)


def test_no_targets_are_refused_everywhere():
    model = RobustRegressor().fit(X, Y)
    for refuses in (partial(coef_covariance, model), robust_path, model.outlier_score):
        with pytest.raises(ValueError, match=r"requires y .*Pass one target for each"):
            refuses(X, None)
    with pytest.raises(ValueError, match="RobustRegressor requires y"):
        RobustRegressor().fit(X)


@pytest.mark.parametrize("column_of", [lambda y: y[:, None], pd.DataFrame])
def test_a_column_is_a_target_for_paths_and_standard_errors_too(column_of):
    model = RobustRegressor().fit(X, column_of(Y))
    covariance = coef_covariance(model, X, column_of(Y))
    np.testing.assert_array_equal(covariance, coef_covariance(model, X, Y))
    path = robust_path(X, column_of(Y), n_alphas=3)
    np.testing.assert_array_equal(path.coefs, robust_path(X, Y, n_alphas=3).coefs)
    for refuses in (partial(coef_covariance, model), robust_path):
        with pytest.raises(ValueError, match=r"one target.*y\[:, j\]"):
            refuses(X, np.column_stack([Y, Y]))


@pytest.mark.parametrize("make", ESTIMATORS)
def test_predict_refuses_other_columns_and_nan(make):
    model = make().fit(X, Y)
    with pytest.raises(ValueError, match=r"2 features, but .* 3 features"):
        model.predict(X[:, :2])
    check_estimators_nan_inf(make.__name__, make())


@pytest.mark.parametrize("penalty", ["l1", "l2", "elasticnet"])
@pytest.mark.parametrize("loss", [loss for loss in CONVEX if loss != "l2"])
def test_one_iteration_warns_once_and_keeps_a_finite_fit(loss, penalty):
    X_hard, y_hard = make_data(300, 8)
    X_hard[:, 1] += X_hard[:, 0] * 1e3
    params = {"penalty": penalty, "alpha": 1e-3, "beta": 0.02, "tol": 1e-13}
    model = SmoothL1Regressor(loss, max_iter=1, **params)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X_hard, y_hard)
    (warning,) = caught
    assert warning.category is ConvergenceWarning
    for words in ("tol=1e-13", r"may be [\d.]+|may be inf", "Raise max_iter or tol"):
        assert re.search(words, str(warning.message))
    assert warning.filename == __file__
    assert model.n_iter_ == 1
    assert np.isfinite(model.coef_).all()
    assert np.isfinite(model.intercept_)


# Of penalty and alpha one is set; what is said of it, and the way out.
NO_EFFECT = [
    (
        {"penalty": "l1"},
        "penalty='l1' has no effect with alpha=0.*Set alpha.*path.* None",
    ),
    ({"penalty": "l2", "alpha": -0.0}, "penalty='l2' has no effect with alpha=0"),
    ({"alpha": 0.5}, "alpha=0.5 has no effect with penalty=None.*'elasticnet'.* to 0"),
]


@pytest.mark.parametrize("make", [*ESTIMATORS, MMRegressor])
@pytest.mark.parametrize(("params", "said"), NO_EFFECT)
def test_half_a_penalty_is_none_and_says_so_once(make, params, said):
    plain = make().fit(X, Y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = make(**params).fit(X, np.column_stack([Y, Y]))
    (warning,) = caught
    assert warning.category is NoEffectWarning and issubclass(
        NoEffectWarning, UserWarning
    )
    assert re.search(f"^{make.__name__}: {said}", str(warning.message))
    assert warning.filename == __file__
    np.testing.assert_allclose(model.coef_, [plain.coef_] * 2, rtol=1e-9)
    make(penalty="l1", alpha=0.1).fit(X, Y)


def test_half_a_penalty_says_nothing_of_resamples():
    with pytest.warns(NoEffectWarning):
        model = SmoothL1Regressor("cauchy", penalty="l2").fit(X, Y)
    coef_covariance(model, X, Y, cov_type="bootstrap", n_bootstrap=20, random_state=0)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("size", [1e160, 1e-200])
def test_columns_whose_squares_are_no_numbers(size, container):
    X = np.random.default_rng(0).normal(size=(30, 3)) + 1.0
    X[:, 1] *= size
    with pytest.raises(ValueError, match=r"columns \[1\].*power of ten"):
        SmoothL1Regressor().fit(container(X), X[:, 0])


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_rows_of_weight_0_may_hold_anything_finite(container):
    X = np.random.default_rng(0).normal(size=(30, 3))
    weight, junk = np.ones(30), X.copy()
    weight[:5], junk[:5] = 0.0, 1e200
    model = SmoothL1Regressor().fit(container(junk), X[:, 0], sample_weight=weight)
    clean = SmoothL1Regressor().fit(X[5:], X[5:, 0])
    np.testing.assert_allclose(model.coef_, clean.coef_, atol=1e-12)
