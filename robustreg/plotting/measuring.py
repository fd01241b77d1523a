"""What displays of residuals are made of: one target of a fitted regressor."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from robustreg.estimators.predictor import LinearPredictor
from robustreg.pipelines import features_of, model_of
from robustreg.validation import check_score_data, refuse_collections

Array = NDArray[Any]


@final
@dataclass(frozen=True)
class Measured:
    """One target of some rows, and what a fit says of it.

    Parameters
    ----------
    model : LinearPredictor
        The fit.
    X : array-like or sparse matrix of shape (n_samples, n_features)
        The rows as the fit sees them.
    fitted : ndarray of shape (n_samples,)
        Predictions.
    residual : ndarray of shape (n_samples,)
        ``y - fitted`` in units of ``scale``.
    scale : float
        ``residual_scale_``.
    weight : ndarray of shape (n_samples,)
        Weights, 1 for each row if none are given.
    """

    model: LinearPredictor
    X: Any
    fitted: Array
    residual: Array
    scale: float
    weight: Array


def regressor_of(estimator: Any) -> LinearPredictor:
    """Return the fitted regressor that a pipeline ends in; refuse another kind."""
    model = model_of(estimator)
    if not isinstance(model, LinearPredictor):
        raise TypeError(
            "estimator must be a fitted regressor of robustreg, or a pipeline that "
            f"ends in one. Got {type(model).__name__}. Of a search pass its "
            "best_estimator_; QuantilesDisplay draws a QuantilesRegressor."
        )
    return model


def measured(
    estimator: Any, X: Any, y: Any, sample_weight: Any, target: int | None
) -> Measured:
    """Return what a fit says of one target of some rows."""
    model = regressor_of(estimator)
    refuse_collections("A picture", X=X, y=y, sample_weight=sample_weight)
    place = place_of(target, model)
    X = features_of(estimator, X)
    values, weight = check_score_data(X, y, np.shape(model.coef_), sample_weight)
    score, predicted = model.outlier_score(X, y), model.predict(X)
    scale = float(np.ravel(model.residual_scale_)[place])
    signed = np.copysign(score, values - predicted)
    return Measured(
        model=model,
        X=X,
        fitted=_column(predicted, place),
        residual=_column(signed, place),
        scale=scale,
        weight=np.ones(len(score)) if weight is None else weight,
    )


def place_of(target: int | None, model: LinearPredictor) -> int:
    """Return the place of a target among those of the fit."""
    n_targets = 1 if np.ndim(model.coef_) == 1 else len(model.coef_)
    if target is None and np.ndim(model.coef_) == 1:
        return 0
    if not isinstance(target, Integral) or not 0 <= target < n_targets:
        raise ValueError(
            "target must be the column of y to draw, of those of the fit: "
            f"{', '.join(map(str, range(n_targets)))}. Got {target!r}."
        )
    return int(target)


def _column(values: Array, place: int) -> Array:
    """Return the values of one target, in double precision."""
    return np.asarray(values.reshape(len(values), -1)[:, place], dtype=np.float64)
