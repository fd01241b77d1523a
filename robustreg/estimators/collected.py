"""Fits and predictions of dask collections, lazy wherever there is a value a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from robustreg.estimators.arrays import fits_by_passes
from robustreg.fitting import Fit
from robustreg.losses import Loss, relative_weight
from robustreg.outliers import flag
from robustreg.partitions import (
    collections,
    features_of,
)
from robustreg.rows import Array
from robustreg.validation import check_collection_params, check_column_names

if TYPE_CHECKING:
    from robustreg.estimators.base import RobustLinearModel


def fit_collection(
    model: RobustLinearModel, loss: Loss, X: Any, y: Any, sample_weight: Any
) -> tuple[list[Fit], Array, Array]:
    """Fit a model to a collection; return its fits, and a sample's targets and weights.

    Rows that are few enough are taken to the client, and fitted there.

    Raises
    ------
    ValueError
        For what only data in memory can be fitted with.
    """
    check_collection_params(model)
    engine = collections().DaskEngine(X, y, sample_weight)
    check_column_names(model, engine.given_names, engine.n_features, reset=True)
    fits, part = fits_by_passes(model, loss, engine)
    model._store(fits, engine.single)
    model.outliers_ = engine.rowwise(
        _flags,
        bool,
        model.coef_,
        model.intercept_,
        model.outlier_threshold * model.residual_scale_,
    )
    if "weights_" in vars(model):
        del model.weights_
    if np.isfinite(loss.facts.largest_curvature):
        answer = model.coef_, model.intercept_, model.scale_
        model.weights_ = engine.rowwise(_weights, float, *answer, loss)
    return fits, part.y, part.weight


def predict_collection(model: RobustLinearModel, X: Any) -> Any:
    """Return predictions of a collection, lazily."""
    features, _ = _checked(model, X, None)
    return collections().predictions(
        _predictions,
        features,
        np.shape(model.coef_)[:-1],
        model.coef_,
        model.intercept_,
    )


def score_collection(model: RobustLinearModel, X: Any, y: Any) -> Any:
    """Return the outlier scores of a collection, lazily."""
    features, target = _checked(model, X, y)
    answer = model.coef_, model.intercept_, model.residual_scale_
    return collections().rowwise(_scores, features, target, float, *answer)


def r2_of_collection(
    model: RobustLinearModel, X: Any, y: Any, sample_weight: Any
) -> float:
    """Return the coefficient of determination of a collection; takes two passes."""
    features, target = _checked(model, X, y)
    answer = model.coef_, model.intercept_
    residual = collections().rowwise(_residuals, features, target, float, *answer)
    return collections().r2(residual, target, sample_weight)


def _checked(model: RobustLinearModel, X: Any, y: Any) -> tuple[Any, Any]:
    """Return features, and targets if any, as arrays with the same partitions."""
    features, target = collections().aligned(X, y)
    names = collections().given_names(X)
    check_column_names(model, names, features.shape[1])
    if target is not None and target.ndim != np.ndim(model.coef_):
        raise ValueError(
            f"y must have {np.ndim(model.coef_)} dimensions, as that of the fit. Got "
            f"{target.ndim}."
        )
    return features, target


def _predictions(X: Any, coef: Array, intercept: Any) -> Array:
    """Return the predictions of some rows."""
    return np.asarray(features_of(X) @ coef.T + intercept)


def _residuals(X: Any, y: Array, coef: Array, intercept: Any) -> Array:
    """Return the residuals of some rows."""
    return np.asarray(y, dtype=np.float64) - _predictions(X, coef, intercept)


def _scores(X: Any, y: Array, coef: Array, intercept: Any, scale: Any) -> Array:
    """Return the absolute residuals of some rows in units of a scale."""
    return np.abs(_residuals(X, y, coef, intercept)) / scale


def _flags(X: Any, y: Array, coef: Array, intercept: Any, cut: Any) -> Array:
    """Return which of some rows are far from the fit."""
    return flag(_residuals(X, y, coef, intercept), cut)


def _weights(
    X: Any, y: Array, coef: Array, intercept: Any, scale: Any, loss: Loss
) -> Array:
    """Return how much each of some rows counts."""
    residual = _residuals(X, y, coef, intercept) / scale
    return relative_weight(loss, residual.ravel()).reshape(residual.shape)
