"""What displays are made of: one target of a fitted regressor, and medians of rows."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any, final

import numpy as np

from robustreg.choosing import chosen_by
from robustreg.estimators.base import loss_of
from robustreg.estimators.predictor import LinearPredictor
from robustreg.losses import Tilted
from robustreg.losses.base import BreakpointLoss
from robustreg.pipelines import features_of, model_of
from robustreg.rows import Array, present, taken
from robustreg.scale import weighted_median
from robustreg.validation import (
    check_predict_data,
    check_score_data,
    refuse_collections,
)

# Groups of rows whose medians make a line, and the rows that each needs.
MOST_GROUPS, ROWS_A_GROUP = 12, 8


@final
@dataclass(frozen=True)
class Measured:
    """One target of the rows that have weight, and what a fit says of it.

    Parameters
    ----------
    model : LinearPredictor
        The fit.
    X : array-like or sparse matrix of shape (n_samples, n_features)
        The rows as the fit sees them.
    fitted : ndarray of shape (n_samples,)
        Predictions.
    residual : ndarray of shape (n_samples,)
        ``y - fitted`` in units of ``residual_scale``.
    scale, residual_scale : float
        ``scale_`` and ``residual_scale_`` of the target.
    weight : ndarray of shape (n_samples,)
        Weights, 1 for each row if none are given.
    row : ndarray of int of shape (n_samples,)
        The numbers of the rows among those that were passed, from 0.
    """

    model: LinearPredictor
    X: Any
    fitted: Array
    residual: Array
    scale: float
    residual_scale: float
    weight: Array
    row: Array


def last_of(
    estimator: Any, kind: type, otherwise: str = "", what: str | None = None
) -> Any:
    """Return the fitted model that a pipeline ends in; refuse another kind."""
    model = model_of(estimator)
    if not isinstance(model, kind):
        raise TypeError(
            f"estimator must be a fitted {what or kind.__name__}, or a pipeline that "
            f"ends in one. Got {type(model).__name__}.{otherwise}"
        )
    return model


def breakpoint_of(model: LinearPredictor) -> float | None:
    """Return the residual, in scales, at which a fit's loss bends; None if none is.

    The first one of a loss of lines and parabolas, beta of others.
    """
    loss = loss_of(chosen_by(model))
    ends = [end for end in loss.facts.breakpoints or () if end > 0]
    if ends:
        return float(min(ends))
    base = loss.base if isinstance(loss, Tilted) else loss
    return float(base.beta) if isinstance(base, BreakpointLoss) else None


def measured(
    estimator: Any, X: Any, y: Any, sample_weight: Any, target: int | None
) -> Measured:
    """Return what a fit says of one target of the rows that have weight."""
    otherwise = (
        " Of a search pass its best_estimator_, of a TransformedTargetRegressor its "
        "regressor_, with y as that one saw it; QuantilesDisplay draws a "
        "QuantilesRegressor."
    )
    what = "regressor of robustreg"
    model: LinearPredictor = last_of(estimator, LinearPredictor, otherwise, what)
    refuse_collections("robustreg.plotting", X=X, y=y, sample_weight=sample_weight)
    place = place_of(target, model)
    X = features_of(estimator, X)
    values, weight = check_score_data(X, y, np.shape(model.coef_), sample_weight)
    score, predicted = model.outlier_score(X, y), model.predict(X)
    live = present(weight)
    rows = X if live is None else check_predict_data(model, X)[live]
    fitted = _column(predicted, place)
    residual = np.copysign(_column(score, place), _column(values, place) - fitted)
    fitted, residual, weight, row = taken(
        live, fitted, residual, weight, np.arange(len(score))
    )
    return Measured(
        model=model,
        X=rows,
        fitted=fitted,
        residual=residual,
        scale=float(np.ravel(model.scale_)[place]),
        residual_scale=float(np.ravel(model.residual_scale_)[place]),
        weight=weight,
        row=row,
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


def medians_along(x: Array, values: Array, weight: Array) -> Array:
    """Return the medians of groups of rows in the order of x, equally large."""
    count = min(max(x.size // ROWS_A_GROUP, 1), MOST_GROUPS)
    groups = np.array_split(np.argsort(x, kind="stable"), count)
    return np.array([weighted_median(values[rows], weight[rows]) for rows in groups])
