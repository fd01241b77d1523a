"""Checks of what metrics compare."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import check_array

# Private, but what scikit-learn's own contributors' template relies on.
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

from robustreg.linalg import LARGEST
from robustreg.losses import LOSSES, Loss, make_loss, refuse_other_names
from robustreg.rows import Array, present
from robustreg.validation.data import (
    QUIETLY,
    checked_targets,
    checked_weight,
    refuse_collections,
    refuse_no_numbers,
    refuse_sparse_targets,
)
from robustreg.validation.params import PARAMETER_CONSTRAINTS, check_size, one_of

METRIC_CONSTRAINTS: dict[str, list[Any]] = {
    "beta": PARAMETER_CONSTRAINTS["beta"][:1],
    "trim": [Interval(Real, 0, 1, closed="left")],
    "loss": PARAMETER_CONSTRAINTS["loss"],
    "centered": ["boolean"],
}
MULTIOUTPUT = ("raw_values", "uniform_average")


@dataclass(frozen=True)
class Compared:
    """True and predicted targets, of the rows that have weight.

    Parameters
    ----------
    true, predicted : ndarray of shape (n_outputs, n_rows)
        In float64.
    weight : ndarray of shape (n_rows,)
        Positive.
    output_weight : ndarray of shape (n_outputs,) or None
        How much each output counts in the average; None keeps the outputs apart.
    """

    true: Array
    predicted: Array
    weight: Array
    output_weight: Array | None

    @property
    def residuals(self) -> Array:
        """``true - predicted``, none of them infinite."""
        with np.errstate(over="ignore"):
            return np.clip(self.true - self.predicted, -LARGEST, LARGEST)

    def averaged(self, values: Sequence[float]) -> float | Array:
        """Return the average of a value of each output, or all of them."""
        if self.output_weight is None:
            return np.array(values)
        return float(np.average(values, weights=self.output_weight))


@QUIETLY
def check_metric_data(
    metric: str, y_true: Any, y_pred: Any, sample_weight: Any, multioutput: Any
) -> Compared:
    """Return what a metric compares, with its outputs in rows."""
    given = {"y_true": y_true, "y_pred": y_pred}
    refuse_collections(metric, **given, sample_weight=sample_weight)
    refuse_no_numbers(**given, sample_weight=sample_weight)
    true, predicted = (_checked(name, y) for name, y in given.items())
    if true.shape != predicted.shape:
        raise ValueError(
            f"y_pred must have the shape of y_true, {true.shape}. Got "
            f"{predicted.shape}."
        )
    output_weight = _checked_outputs(multioutput, true.reshape(len(true), -1).shape[1])
    weight = checked_weight(sample_weight, true)
    live = slice(None) if (some := present(weight)) is None else some
    return Compared(
        np.atleast_2d(true[live].T),
        np.atleast_2d(predicted[live].T),
        weight[live],
        output_weight,
    )


def check_metric_params(metric: str, **params: Any) -> None:
    """Check parameters of a metric by name."""
    check_size("beta", params.get("beta"))
    validate_parameter_constraints(METRIC_CONSTRAINTS, params, metric)


def check_metric_beta(name: str, beta: Any) -> Loss:
    """Return the loss of a metric that is the mean of one."""
    check_metric_params(f"{name}_loss", beta=beta)
    if beta == 0 and not LOSSES[name].zero_beta:
        raise ValueError(
            f"{name}_loss needs beta > 0. Got beta={beta!r}. Use "
            "sklearn.metrics.mean_absolute_error for the absolute loss."
        )
    return make_loss(name, beta)


def check_metric_loss(metric: str, loss: Any, beta: Any) -> Loss:
    """Return the loss that makes a metric's weights of rows."""
    refuse_other_names(loss)
    check_metric_params(metric, loss=loss, **({} if beta is None else {"beta": beta}))
    checked = make_loss(loss, beta)
    if not checked.facts.smooth:
        raise ValueError(
            f"{metric} needs a loss without a kink at 0, which gives rows weights. Got "
            f"loss={loss!r}. Use the loss of the fit, 'smooth_l1', or 'tukey'."
        )
    return checked


def check_metric_scale(scale: Any, n_outputs: int) -> Array:
    """Return the scale of each output."""
    try:
        given = np.asarray(scale, dtype=np.float64)
        scales = np.broadcast_to(given, (n_outputs,))
    except (TypeError, ValueError):
        scales = np.full(n_outputs, np.nan)
    if not ((scales > 0) & (scales < np.inf)).all():
        raise ValueError(
            f"scale must be None, a positive number or {n_outputs} of them, one for "
            f"each output. Got {reprlib.repr(scale)}. Pass model.scale_ of a fit."
        )
    return scales


def _checked(name: str, y: Any) -> Array:
    """Return true or predicted targets in float64."""
    refuse_sparse_targets(y, name)
    if y is None:
        raise ValueError(f"{name} must be an array of targets. Got None.")
    y = check_array(y, ensure_2d=False, dtype="numeric", input_name=name)
    return checked_targets(y, name)


def _checked_outputs(multioutput: Any, n_outputs: int) -> Array | None:
    """Return how much each output counts in the average; None keeps them apart."""
    if isinstance(multioutput, str):
        validate_parameter_constraints(
            {"multioutput": [one_of(MULTIOUTPUT), "array-like"]},
            {"multioutput": multioutput},
            "A metric",
        )
        return None if multioutput == "raw_values" else np.ones(n_outputs)
    try:
        weight = np.asarray(multioutput, dtype=np.float64)
    except (TypeError, ValueError):
        weight = np.array(np.nan)
    allowed = weight.shape == (n_outputs,) and (weight >= 0).all()
    if not allowed or not 0 < weight.sum() < np.inf:
        raise ValueError(
            f"multioutput must be one of {list(MULTIOUTPUT)} or {n_outputs} weights of "
            f"outputs, not negative and not all 0. Got {reprlib.repr(multioutput)}."
        )
    return weight
