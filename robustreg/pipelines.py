"""A fitted pipeline is its last step, fitted to what the steps before make of X."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def model_of(estimator: Any) -> Any:
    """Return the last step of a fitted pipeline, or the estimator that is none."""
    check_is_fitted(estimator)
    while isinstance(estimator, Pipeline):
        estimator = estimator[-1]
    return estimator


def features_of(estimator: Any, X: Any) -> Any:
    """Return X as the steps before the last leave it."""
    while isinstance(estimator, Pipeline):
        if len(estimator) > 1:
            X = estimator[:-1].transform(X)
        estimator = estimator[-1]
    return X


def feature_names_of(estimator: Any, count: int) -> list[str]:
    """Return the names of the features that the last step was fitted to.

    ``x0, x1, ...`` if neither it nor the steps before have any.
    """
    names = None
    while isinstance(estimator, Pipeline):
        if len(estimator) > 1:
            names = _names_out(estimator[:-1], names)
        estimator = estimator[-1]
    own = vars(estimator).get("feature_names_in_", names)
    return [f"x{j}" if own is None else str(own[j]) for j in range(count)]


def _names_out(steps: Pipeline, names: Any) -> Any:
    """Return what steps call their features, None if one of them has no names."""
    try:
        return steps.get_feature_names_out(names)
    except AttributeError:
        return None
