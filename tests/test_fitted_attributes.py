"""What a fit leaves behind: names, types, shapes, and one target or several."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from robustreg import (
    L1Regressor,
    MMRegressor,
    RobustRegressor,
    SmoothL1Regressor,
    robust_path,
)
from robustreg.inference import coef_covariance
from robustreg.losses import LOSSES, make_loss

CLASSES = [SmoothL1Regressor, L1Regressor, RobustRegressor]
KINKED = {"l1", "quantile"}
COEF = np.array([3.0, 0.0, -2.0])


def make_data(n_samples=120):
    """Return X of small integers, which every dtype holds, and a y with outliers."""
    rng = np.random.default_rng(0)
    X = rng.integers(-4, 5, size=(n_samples, COEF.size)).astype(float)
    y = X @ COEF + 5.0 + 0.3 * rng.normal(size=n_samples)
    y[: n_samples // 10] += 100.0
    return X, y


def make_boxes():
    """Return X and the four coordinates of boxes, a few of them mislabelled."""
    X, _ = make_data()
    rng = np.random.default_rng(1)
    coef = rng.normal(size=(4, COEF.size))
    boxes = X @ coef.T + [10.0, 20.0, 300.0, 4000.0]
    boxes += rng.normal(size=boxes.shape) * [0.1, 0.2, 3.0, 40.0]
    boxes[:6] = 0.0
    return X, boxes, coef


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("cls", CLASSES)
def test_types_and_shapes_for_one_target(cls, loss):
    X, y = make_data()
    model = cls(loss).fit(X, y)
    assert model.coef_.shape == (COEF.size,)
    assert model.coef_.dtype == np.float64
    for name in ("intercept_", "scale_", "dual_gap_", "stationarity_"):
        assert isinstance(vars(model)[name], np.float64), name
    assert model.scale_ > 0
    assert isinstance(model.n_iter_, int)
    assert model.n_iter_ >= 1
    assert model.n_features_in_ == COEF.size
    assert not hasattr(model, "feature_names_in_")
    assert model.predict(X).shape == y.shape


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("cls", CLASSES)
def test_gap_bounds_the_distance_to_other_fits(cls, loss):
    X, y = make_data()
    model = cls(loss, penalty="l2", alpha=0.1).fit(X, y)

    def objective(coef, intercept):
        residual = (y - X @ coef - intercept) / model.scale_
        value = make_loss(model.loss, model.beta, model.quantile).value(residual)
        return value.mean() + 0.05 * np.sum((coef / model.scale_) ** 2)

    reached = objective(model.coef_, model.intercept_)
    convex = make_loss(loss).facts.convex
    assert np.isnan(model.dual_gap_) != convex
    gap = model.dual_gap_ if convex else 0.0
    assert 0 <= gap <= 1e-9 * reached
    rng = np.random.default_rng(2)
    for step in rng.normal(size=(100, COEF.size + 1)) * 1e-4:
        near = objective(model.coef_ + step[1:], model.intercept_ + step[0])
        assert reached - near <= gap + 1e-14 * reached


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_stationarity_is_the_violation_of_the_optimality_condition(loss, penalty):
    X, y = make_data()
    model = SmoothL1Regressor(loss, penalty=penalty, alpha=0.1).fit(X, y)
    if loss in KINKED:
        assert np.isnan(model.stationarity_)
        return
    slopes = make_loss(loss).gradient(y - model.predict(X)) / y.size
    l1, l2 = {"l2": (0, 0.1), "l1": (0.1, 0), "elasticnet": (0.05, 0.05)}[penalty]
    # In the standardised columns, in which the terms of all params are of one size.
    spread = X.std(axis=0)
    pull = ((X - X.mean(axis=0)).T @ slopes - l2 * model.coef_) / spread
    at_zero = np.maximum(np.abs(pull) - l1 / spread, 0.0)
    away = np.abs(pull - np.sign(model.coef_) * l1 / spread)
    violation = np.where(model.coef_ == 0, at_zero, away).max()
    terms = np.abs(slopes).sum()
    assert model.stationarity_ <= 1e-4
    assert max(violation, abs(slopes.sum())) / terms <= model.stationarity_ + 1e-10


@pytest.mark.parametrize("loss", sorted(set(LOSSES) - KINKED))
@pytest.mark.parametrize("cls", CLASSES)
def test_weights_are_the_slope_over_the_residual(cls, loss):
    X, y = make_data()
    model = cls(loss).fit(X, y)
    residual = (y - model.predict(X)) / model.scale_
    own = make_loss(model.loss, model.beta)
    ratio = own.gradient(residual) / residual / own.curvature(np.zeros(1))
    assert_allclose(model.weights_, ratio, rtol=1e-7)
    assert model.weights_.min() >= 0
    assert model.weights_.max() <= 1


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize(
    "kinked", [{"loss": "l1"}, {"loss": "quantile"}, {"loss": "smooth_l1", "beta": 0.0}]
)
def test_weights_are_absent_for_a_kinked_loss(cls, kinked):
    X, y = make_data()
    model = cls("huber").fit(X, y)
    assert hasattr(model, "weights_")
    assert not hasattr(model.set_params(**kinked).fit(X, y), "weights_")


def test_outliers_have_small_weights():
    X, y = make_data()
    weights = RobustRegressor().fit(X, y).weights_
    assert weights[:12].max() < 0.01
    assert np.median(weights[12:]) > 1 - 1e-12


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("cls", CLASSES)
def test_refit_is_idempotent(cls, loss):
    X, y = make_data()
    model = cls(loss).fit(X, y)
    first = {name: np.copy(value) for name, value in vars(model).items()}
    model.fit(X, y)
    assert set(vars(model)) == set(first)
    for name in vars(model):
        assert_array_equal(vars(model)[name], first[name])


@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("cls", CLASSES)
def test_each_target_is_its_own_fit(cls, loss):
    X, Y, _ = make_boxes()
    model = cls(loss).fit(X, Y)
    assert model.coef_.shape == (4, COEF.size)
    for name in ("intercept_", "scale_", "dual_gap_", "stationarity_"):
        assert vars(model)[name].shape == (4,), name
    assert model.predict(X).shape == Y.shape
    alone = [cls(loss).fit(X, y) for y in Y.T]
    # Least squares of several targets sum in another order.
    rtol = 1e-13 if loss == "l2" else 0.0
    assert_allclose(model.coef_, [one.coef_ for one in alone], rtol=rtol)
    assert_allclose(model.intercept_, [one.intercept_ for one in alone], rtol=rtol)
    assert_allclose(model.scale_, [one.scale_ for one in alone], rtol=rtol)
    assert model.n_iter_ == max(one.n_iter_ for one in alone)
    if loss not in KINKED:
        weights = np.column_stack([one.weights_ for one in alone])
        assert_array_equal(model.weights_, weights)


def test_box_coordinates_have_scales_of_their_own():
    X, boxes, coef = make_boxes()
    model = RobustRegressor().fit(X, boxes)
    assert_allclose(model.scale_, [0.1, 0.2, 3.0, 40.0], rtol=0.25)
    error = np.abs(model.coef_ - coef) / model.scale_[:, None]
    assert error.max() < 0.15
    assert model.weights_[:6].max() < 0.1


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("column_of", [lambda y: y[:, None], pd.DataFrame])
def test_one_column_of_targets_is_one_target(cls, column_of):
    X, y = make_data()
    flat, column = cls().fit(X, y), cls().fit(X, column_of(y))
    for name, value in vars(flat).items():
        assert np.shape(vars(column)[name]) == np.shape(value), name
        assert_array_equal(vars(column)[name], value)
    assert_array_equal(column.predict(X), flat.predict(X))
    assert_array_equal(column.outlier_score(X, column_of(y)), flat.outlier_score(X, y))


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_matrix])
@pytest.mark.parametrize("targets", [1, 4])
@pytest.mark.parametrize("cls", CLASSES)
def test_float32_stays_float32(cls, targets, container):
    X, Y, _ = make_boxes()
    y = Y[:, 0] if targets == 1 else Y
    single = container(X.astype(np.float32))
    model = cls().fit(single, y)
    assert model.coef_.dtype == np.float32
    assert model.intercept_.dtype == np.float32
    assert model.predict(single).dtype == np.float32
    double = cls().fit(container(X), y)
    assert double.predict(container(X)).dtype == np.float64
    # X and y hold the same numbers: only the answer is rounded.
    assert_allclose(model.coef_, double.coef_, rtol=1e-6)
    assert_allclose(model.intercept_, double.intercept_, rtol=1e-6)


class Tensor:
    """What numpy and scikit-learn see of a tensor of PyTorch in memory.

    An array with a dtype that is not one of numpy's, in its own words.
    """

    def __init__(self, array):
        self._array = np.asarray(array)

    @property
    def dtype(self):
        """Return a dtype of another library."""
        return f"torch.{self._array.dtype}"

    @property
    def shape(self):
        """Return the shape."""
        return self._array.shape

    @property
    def ndim(self):
        """Return the number of axes."""
        return self._array.ndim

    def __len__(self):
        return len(self._array)

    def __array__(self, dtype=None, copy=None):
        return np.array(self._array, dtype=dtype, copy=copy)


@pytest.mark.parametrize("cls", [*CLASSES, MMRegressor])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_of_other_libraries_keep_their_precision(cls, dtype):
    X, y = make_data()
    X, y, weight = X.astype(dtype), y.astype(dtype), np.arange(len(X)) % 3
    model = cls().fit(X, y, weight)
    other = cls().fit(Tensor(X), Tensor(y), Tensor(weight))
    assert other.coef_.dtype == dtype
    assert_array_equal(other.coef_, model.coef_)
    assert other.predict(Tensor(X)).dtype == model.predict(X).dtype
    assert_array_equal(other.predict(Tensor(X)), model.predict(X))
    assert_array_equal(
        other.outlier_score(Tensor(X), Tensor(y)), model.outlier_score(X, y)
    )
    assert other.score(Tensor(X), Tensor(y), Tensor(weight)) == model.score(
        X, y, weight
    )
    assert_array_equal(
        coef_covariance(other, Tensor(X), Tensor(y), Tensor(weight)),
        coef_covariance(model, X, y, weight),
    )


def test_a_path_of_arrays_of_other_libraries():
    X, y = make_data()
    X = X.astype(np.float32)
    path, other = (robust_path(rows, y, n_alphas=3) for rows in (X, Tensor(X)))
    assert other.coefs.dtype == np.float32
    assert_array_equal(other.coefs, path.coefs)


@pytest.mark.parametrize("cls", [*CLASSES, MMRegressor])
def test_a_fit_without_what_it_says_of_its_rows_does_the_same(cls):
    """What the guide says of saving a model."""
    X, y = make_data()
    model = cls().fit(X, y)
    whole = len(pickle.dumps(model))
    slim = pickle.loads(pickle.dumps(model))
    del slim.outliers_
    if "weights_" in vars(slim):
        del slim.weights_
    slim = pickle.loads(pickle.dumps(slim))
    n_bytes = 9 if "weights_" in vars(model) else 1
    assert whole - len(pickle.dumps(slim)) >= n_bytes * len(X)
    assert all(np.size(value) <= X.shape[1] for value in vars(slim).values())
    assert_array_equal(slim.predict(X), model.predict(X))
    assert_array_equal(slim.outlier_score(X, y), model.outlier_score(X, y))
    assert slim.score(X, y) == model.score(X, y)
    line = slim.to_linear_regression()
    assert_array_equal(line.coef_, model.coef_)
    given = {"cov_type": "nid"} if cls is L1Regressor else {}
    assert_array_equal(
        coef_covariance(slim, X, y, **given), coef_covariance(model, X, y, **given)
    )
    assert_array_equal(slim.fit(X, y).outliers_, model.outliers_)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize(
    "convert", [np.int8, np.int64, np.float16, np.longdouble, object, "list", "tuple"]
)
def test_other_numbers_are_float64(cls, convert):
    X, y = make_data()
    if convert == "list":
        other, target = X.tolist(), y.tolist()
    elif convert == "tuple":
        other, target = tuple(map(tuple, X)), tuple(y)
    else:
        other, target = X.astype(convert), y
    model = cls().fit(other, target)
    assert model.coef_.dtype == np.float64
    assert_array_equal(model.coef_, cls().fit(X, y).coef_)


@pytest.mark.parametrize("cls", CLASSES)
def test_booleans_and_integers_as_features_and_targets(cls):
    X, y = make_data()
    flags, counts = X > 0, np.round(y).astype(np.int32)
    model = cls().fit(flags, counts)
    expected = cls().fit(flags.astype(float), counts.astype(float))
    assert_array_equal(model.coef_, expected.coef_)
    assert_array_equal(model.predict(flags), expected.predict(flags.astype(float)))
    answers = cls().fit(X, y > 5)
    assert_array_equal(answers.coef_, cls().fit(X, (y > 5).astype(float)).coef_)
