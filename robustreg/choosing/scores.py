"""How a candidate's predictions of test rows are scored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.metrics import check_scoring, make_scorer, mean_pinball_loss

from robustreg.choosing.folds import Score
from robustreg.estimators.robust import RobustRegressor
from robustreg.metrics import neg_tau_scale
from robustreg.rows import Array


def default_score(
    model: RobustRegressor, X: Any, y: Array, sample_weight: Array | None = None
) -> float:
    """Return minus the tau-scale of residuals, of a tilted loss minus its pinball loss.

    Both are in units of y, whatever the loss of the model is.
    """
    scorer: Any = neg_tau_scale
    if model.quantile != 0.5:
        scorer = make_scorer(
            mean_pinball_loss, greater_is_better=False, alpha=model.quantile
        )
    return float(scorer(model, X, y, sample_weight=sample_weight))


def score_by(scoring: str | Callable[..., float] | None) -> Score:
    """Return the score of a name or a callable; None is `default_score`."""
    if scoring is None:
        return default_score
    scorer = check_scoring(RobustRegressor(), scoring=scoring)

    def score(
        model: RobustRegressor, X: Any, y: Array, sample_weight: Array | None
    ) -> float:
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(scorer(model, X, y, **weights))

    return score
