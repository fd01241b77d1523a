"""A fit of several targets is one fit for each of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from robustreg.inference.frames import columns_of
from robustreg.partitions import is_collection

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
    """One target of a fit.

    Parameters
    ----------
    name : object
        What it is called.
    place : int or None
        Its place among several; None if it is the only one.
    y : array-like of shape (n_samples,)
        Its values.
    """

    name: Any
    place: int | None
    y: Any


def targets_of(model: Any, y: Any) -> list[Target]:
    """Return the targets of a fitted model; refuse y that has others."""
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
    names = columns_of(y) or [f"y{j}" for j in range(n_targets)]
    return [Target(names[j], j, values[:, j]) for j in range(n_targets)]


def one_target(model: Any, place: int | None) -> Any:
    """Return the fit of one of several targets; a fit of one as it is."""
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
