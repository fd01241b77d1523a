"""Fits and predictions of dask collections, lazy wherever there is a value a row."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from robustreg.estimators.arrays import fits_by_passes
from robustreg.fitting import Fit
from robustreg.losses import Loss, relative_weight
from robustreg.outliers import flag
from robustreg.partitions import collections, new_rows, r2
from robustreg.rows import Array
from robustreg.validation import (
    Callbacks,
    check_collection_params,
    check_column_names,
    note_columns,
    refuse_no_numbers,
)

if TYPE_CHECKING:
    from robustreg.estimators.base import RobustLinearModel
    from robustreg.estimators.predictor import LinearPredictor


def fit_collection(
    model: RobustLinearModel,
    loss: Loss,
    X: Any,
    y: Any,
    sample_weight: Any,
    callbacks: Callbacks | None,
) -> tuple[list[Fit], Array, Array]:
    """Fit a model to a collection; return its fits, and a sample's targets and weights.

    Rows that are few enough are taken to the client, and fitted there.

    Raises
    ------
    ValueError
        For what only data in memory can be fitted with.
    """
    check_collection_params(model)
    refuse_no_numbers(X=X, y=y, sample_weight=sample_weight)
    engine = collections().DaskEngine(X, y, sample_weight)
    note_columns(model, engine.given_names, engine.n_features)
    engine.hold()
    fits, part = fits_by_passes(model, loss, engine, callbacks)
    model._store(fits, engine.single)
    coef, intercept = _answer(model)
    cut = model.outlier_threshold * model.residual_scale_
    flags = partial(_of_residuals, names=engine.names, make=flag)
    model.outliers_ = engine.rowwise(flags, bool, coef, intercept, cut)
    if "weights_" in vars(model):
        del model.weights_
    if loss.facts.smooth:
        make = partial(_weights, loss=loss)
        weights = partial(_of_residuals, names=engine.names, make=make)
        model.weights_ = engine.rowwise(weights, float, coef, intercept, model.scale_)
    return fits, part.y, part.weight


def predict_collection(model: LinearPredictor, X: Any) -> Any:
    """Return predictions of a collection, lazily."""
    features, _, names = _checked(model, X, None)
    every = collections().side_by_side([X], [features])
    coef, intercept = _answer(model)
    function = partial(_predictions, names=names)
    targets = coef.shape[:-1]
    return collections().rowwise(function, every, targets, float, coef, intercept)


def score_collection(model: LinearPredictor, X: Any, y: Any) -> Any:
    """Return the outlier scores of a collection, lazily."""
    features, target, names = _checked(model, X, y)
    every = collections().side_by_side([X, y], [features, target])
    answer = *_answer(model), model.residual_scale_
    function = partial(_of_residuals, names=names, make=_scores)
    return collections().rowwise(function, every, target.shape[1:], float, *answer)


def r2_of_collection(
    model: LinearPredictor, X: Any, y: Any, sample_weight: Any
) -> float:
    """Return the coefficient of determination of a collection; takes a pass."""
    refuse_no_numbers(X=X, y=y, sample_weight=sample_weight)
    engine = collections().DaskEngine(X, y, sample_weight)
    check_column_names(model, engine.given_names, engine.n_features)
    _check_targets(model, engine.y)
    coef, intercept = _answer(model)
    return r2(engine, np.atleast_2d(coef), np.atleast_1d(intercept))


def _checked(
    model: LinearPredictor, X: Any, y: Any
) -> tuple[Any, Any, tuple[str, ...]]:
    """Return features, targets if any with the same partitions, and column names."""
    refuse_no_numbers(X=X, y=y)
    features, target = collections().aligned(X, y)
    names = collections().given_names(X)
    check_column_names(model, names, features.shape[1])
    if target is not None:
        _check_targets(model, target)
    return features, target, names or tuple(map(str, range(features.shape[1])))


def _check_targets(model: LinearPredictor, y: Any) -> None:
    """Refuse other targets than those of the fit."""
    expected = np.shape(model.coef_)[:-1]
    if y.shape[1:] != expected:
        raise ValueError(
            f"y must have the targets of the fit, of shape (n_samples, "
            f"{', '.join(map(str, expected))}). Got shape {y.shape}."
        )


def _answer(model: LinearPredictor) -> tuple[Array, Array]:
    """Return coefficients and intercepts in double precision, whatever X is in."""
    return np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)


def _predictions(
    X: Any, partition: Array, coef: Array, intercept: Array, names: tuple[str, ...]
) -> Array:
    """Return the predictions of some rows."""
    rows = new_rows(X, None, names, int(partition[0]))
    return np.asarray(rows.X @ coef.T + intercept)


def _of_residuals(
    X: Any,
    y: Array,
    partition: Array,
    coef: Array,
    intercept: Array,
    unit: Any,
    names: tuple[str, ...],
    make: Callable[[Array, Any], Array],
) -> Array:
    """Return what is made of the residuals of some rows and a unit of each target."""
    rows = new_rows(X, y, names, int(partition[0]))
    return make(rows.y.reshape(y.shape) - (rows.X @ coef.T + intercept), unit)


def _scores(residual: Array, scale: Any) -> Array:
    """Return absolute residuals in units of a scale."""
    return np.asarray(np.abs(residual) / scale)


def _weights(residual: Array, scale: Any, loss: Loss) -> Array:
    """Return how much each row counts."""
    return relative_weight(loss, (residual / scale).ravel()).reshape(residual.shape)
