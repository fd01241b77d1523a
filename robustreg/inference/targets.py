"""Tables of a fit, one below the other: of each of its targets, or quantiles."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from robustreg.estimators import L1Regressor, QuantilesRegressor
from robustreg.estimators.base import RobustLinearModel, loss_of
from robustreg.metrics import robust_r2_score
from robustreg.partitions import is_collection
from robustreg.pipelines import features_of, model_of

# What a fit has of each target and inference reads.
OF_EACH_TARGET = (
    "coef_",
    "intercept_",
    "scale_",
    "residual_scale_",
    "s_coef_",
    "s_intercept_",
)


@dataclass(frozen=True)
class Target:
    """One target of a fit, or one of its quantiles, by its place among several.

    The place is None if it is the only one. The name of a quantile is its level, and
    the kind ``"target"`` or ``"quantile"``.
    """

    name: Any
    place: int | None
    y: Any
    kind: str = "target"


def targets_of(model: Any, y: Any) -> list[Target]:
    """Return the targets, or quantiles, of a fitted model; refuse y that has others."""
    if isinstance(model, QuantilesRegressor):
        levels = np.asarray(model.quantiles, dtype=np.float64).tolist()
        return [Target(q, place, y, "quantile") for place, q in enumerate(levels)]
    if np.ndim(model.coef_) == 1:
        return [Target("y", None, y)]
    if is_collection(y):
        raise ValueError(
            "Several targets of a dask collection have no table together. Fit, and "
            "pass, one of them at a time: y[:, j]."
        )
    values, n_targets = np.asarray(y), len(model.coef_)
    if values.ndim != 2 or values.shape[1] != n_targets:
        raise ValueError(
            f"y must have shape (n_samples, {n_targets}), the targets of the fit. "
            f"Got shape {values.shape}."
        )
    names = labels_of(y, axis=1)
    return [
        Target(f"y{j}" if names is None else names[j], j, values[:, j])
        for j in range(n_targets)
    ]


def one_below_the_other(tables: list[Any], targets: list[Target], of: str) -> Any:
    """Return the table of the only target, or those of several as one.

    ``of`` names what a table has rows of.
    """
    from pandas import concat

    if targets[0].place is None:
        return tables[0]
    keys = [target.name for target in targets]
    return concat(tables, keys=keys, names=[targets[0].kind, of])


def frame_class(what: str) -> Any:
    """Return pandas' frame, without which nothing that is asked for can be shown."""
    try:
        from pandas import DataFrame
    except ImportError as error:
        raise ImportError(
            f"{what} needs pandas: pip install pandas. coef_covariance does without."
        ) from error
    return DataFrame


def labels_of(values: Any, axis: int) -> Any:
    """Return the labels of a frame's rows or columns, None of what has none."""
    from pandas import DataFrame

    return values.axes[axis] if isinstance(values, DataFrame) else None


def one_target(model: Any, place: int | None) -> Any:
    """Return the fit of one of several targets; a fit of one as it is."""
    if isinstance(model, QuantilesRegressor):
        return _one_quantile(model, place)
    if place is None:
        if np.ndim(model.coef_) != 1:
            raise ValueError(
                f"coef_ has shape {np.shape(model.coef_)}: a fit of several targets. "
                "Pass the fit of one: estimator.fit(X, y[:, j])."
            )
        return model
    one, known = copy.copy(model), vars(model)
    for name in OF_EACH_TARGET:
        if np.ndim(known.get(name, 0.0)):
            setattr(one, name, known[name][place])
    return one


def _one_quantile(model: QuantilesRegressor, place: int | None) -> L1Regressor:
    """Return one of several quantiles as the fit that it is by itself."""
    if place is None:
        raise ValueError(
            f"QuantilesRegressor has a fit for each of quantiles={model.quantiles!r}. "
            "Pass the fit of one: L1Regressor(quantile=q).fit(X, y)."
        )
    shared = model.get_params()
    del shared["quantiles"], shared["non_crossing"]
    one = L1Regressor(quantile=float(np.asarray(model.quantiles)[place]), **shared)
    one.coef_, one.intercept_ = model.coef_[place], model.intercept_[place]
    one.scale_, one.n_features_in_ = 1.0, model.n_features_in_
    if "feature_names_in_" in vars(model):
        one.feature_names_in_ = model.feature_names_in_
    return one


def size_and_r2(
    estimator: Any, X: Any, target: Target, sample_weight: Any
) -> tuple[float | None, float | None]:
    """Return ``residual_scale_`` and the robust R2 of a target at the fit's loss.

    None for quantiles and estimators of other libraries, and no R2 for losses with a
    kink, at which rows have no finite weight, or for rows that are elsewhere.
    """
    model = one_target(model_of(estimator), target.place)
    if not isinstance(model, RobustLinearModel) or target.kind == "quantile":
        return None, None
    loss, r2 = loss_of(model), None
    if loss.facts.smooth and not is_collection(X):
        found = robust_r2_score(
            np.asarray(target.y).ravel(),
            model.predict(features_of(estimator, X)),
            loss=loss,
            scale=float(model.scale_),
            centered=model.fit_intercept,
            sample_weight=sample_weight,
        )
        r2 = float(found)
    return float(model.residual_scale_), r2
