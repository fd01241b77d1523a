"""What is said of a fit as a whole beside the table of its coefficients."""

from __future__ import annotations

from typing import Any

import numpy as np

from robustreg.estimators.base import RobustLinearModel, loss_of
from robustreg.inference.targets import Target, one_target
from robustreg.metrics import robust_r2_score
from robustreg.partitions import is_collection
from robustreg.pipelines import features_of, model_of


def robust_r2(
    estimator: Any, X: Any, target: Target, sample_weight: Any
) -> float | None:
    """Return the robust R2 of a target at the loss and the scale of the fit.

    None for losses with a kink, at which rows have no finite weight; for rows that are
    elsewhere; and for estimators of other libraries.
    """
    model = one_target(model_of(estimator), target.place)
    if not isinstance(model, RobustLinearModel) or is_collection(X):
        return None
    loss = loss_of(model)
    if not loss.facts.smooth:
        return None
    found = robust_r2_score(
        np.asarray(target.y).ravel(),
        model.predict(features_of(estimator, X)),
        loss=loss,
        scale=float(model.scale_),
        centered=model.fit_intercept,
        sample_weight=sample_weight,
    )
    return float(found)


def residual_scale(estimator: Any, target: Target) -> float | None:
    """Return ``residual_scale_``, None for estimators that have none."""
    model = one_target(model_of(estimator), target.place)
    if not isinstance(model, RobustLinearModel) or target.kind == "quantile":
        return None
    return float(model.residual_scale_)
