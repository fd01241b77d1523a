"""Rows of weight 0: absent from the fit, and judged by it when it is done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustreg.fitting.problem import Fit
from robustreg.linalg import LARGEST
from robustreg.losses import Loss, relative_weight
from robustreg.outliers import flag
from robustreg.rows import Array


def with_absent(
    fit: Fit,
    loss: Loss,
    X: Any,
    y: Array,
    live: NDArray[np.bool_] | None,
    threshold: float,
) -> Fit:
    """Return a fit with the flags and weights of all rows."""
    if live is None:
        return fit
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        residual = y[~live] - (X[~live] @ fit.coef + fit.intercept)
        # A residual that is no number is one of the largest.
        distance = np.nan_to_num(residual / fit.residual_scale, nan=LARGEST)
        relative = np.nan_to_num(residual / fit.scale, nan=LARGEST)
        outliers = np.empty(live.shape, dtype=bool)
        outliers[live], outliers[~live] = fit.outliers, flag(distance, threshold)
        if fit.weights is None:
            return replace(fit, outliers=outliers)
        weights = np.empty(live.shape)
        weights[live], weights[~live] = fit.weights, relative_weight(loss, relative)
    return replace(fit, outliers=outliers, weights=weights)
