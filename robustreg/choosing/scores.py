"""How candidates' predictions of test rows are scored."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring, mean_pinball_loss

from robustreg.choosing.folds import Scores
from robustreg.estimators.robust import RobustRegressor
from robustreg.metrics import tau_scale
from robustreg.metrics.scorers import SCORERS
from robustreg.rows import Array, product, stretches
from robustreg.rows.base import MOST_ENTRIES


def default_scores(
    models: list[RobustRegressor], X: Any, y: Array, sample_weight: Array | None = None
) -> Array:
    """Return minus the tau-scale of residuals, of a tilted loss minus its pinball loss.

    Both are in units of y, whatever the loss of the models is. All predict at once,
    and the predictions of many are checked as one.
    """
    scores, quantiles = np.empty(len(models)), [model.quantile for model in models]
    for quantile in set(quantiles):
        same = [i for i, each in enumerate(quantiles) if each == quantile]
        for place in stretches(len(same), max(MOST_ENTRIES // y.size, 1)):
            some = same[place]
            each = _predicted([models[i] for i in some], X)
            scores[some] = -_errors(quantile, y, each, sample_weight)
    return scores


def _predicted(models: list[RobustRegressor], X: Any) -> Array:
    """Return predictions of shape (n_rows, n_models * n_targets), model by model."""
    coef = np.array([model.coef_ for model in models])
    intercept = np.array([model.intercept_ for model in models])
    predicted = product(X, coef.reshape(-1, coef.shape[-1])) + intercept.ravel()
    # What is measured of each are all of its rows.
    return np.asfortranarray(predicted)


def _errors(
    quantile: float, y: Array, predicted: Array, sample_weight: Array | None
) -> Array:
    """Return the error of each model that the default score is minus."""
    targets = y.reshape(len(y), -1)
    n_models = predicted.shape[1] // targets.shape[1]
    true = np.tile(targets.T, (n_models, 1)).T
    error: Callable[..., Any] = tau_scale
    if quantile != 0.5:
        error = partial(mean_pinball_loss, alpha=quantile)
    errors = error(
        true, predicted, sample_weight=sample_weight, multioutput="raw_values"
    )
    return np.asarray(errors).reshape(n_models, -1).mean(axis=1)


def scores_by(scoring: str | Callable[..., float] | None) -> Scores:
    """Return the scores of a name or a callable; None is `default_scores`."""
    if scoring is None:
        return default_scores
    _refuse_ours_by_name(scoring)
    scorer = check_scoring(RobustRegressor(), scoring=scoring)

    def scores(
        models: list[RobustRegressor], X: Any, y: Array, sample_weight: Array | None
    ) -> Array:
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return np.array([float(scorer(model, X, y, **weights)) for model in models])

    return scores


def _refuse_ours_by_name(scoring: str | Callable[..., float]) -> None:
    """Refuse names of this package, which scikit-learn does not know, and metrics."""
    for metric, name in SCORERS.items():
        if scoring in (metric, metric.__name__, name):
            got = (
                repr(scoring)
                if isinstance(scoring, str)
                else f"the metric {metric.__name__}"
            )
            raise ValueError(
                "scoring must be None, one of sklearn.metrics.get_scorer_names(), or a "
                f"scorer. Got {got}. Pass the scorer itself, scoring={name}, after "
                f"from robustreg.metrics import {name}."
            )
