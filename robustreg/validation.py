"""Checks of parameters and data; the only home of scikit-learn's private names."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse

# Private, but what scikit-learn's own contributors' template relies on.
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, validate_data

from robustreg.losses import LOSSES, Loss, make_loss
from robustreg.penalties import PENALTIES
from robustreg.rows import Array
from robustreg.scale import SCALES
from robustreg.solvers import SOLVERS

PARAMETER_CONSTRAINTS: dict[str, list[Any]] = {
    "loss": [StrOptions(set(LOSSES)), Loss],
    "beta": [Interval(Real, 0, None, closed="left"), None],
    "quantile": [Interval(Real, 0, 1, closed="neither")],
    "penalty": [StrOptions({name for name in PENALTIES if name is not None}), None],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    "scale": [Interval(Real, 0, None, closed="neither"), StrOptions(set(SCALES))],
    "fit_intercept": ["boolean"],
    "solver": [StrOptions({"auto", *SOLVERS})],
    "tol": [Interval(Real, 0, None, closed="neither")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "warm_start": ["boolean"],
}


def check_params(estimator: Any) -> Loss:
    """Check every constructor parameter and return the loss."""
    estimator._validate_params()
    for name in ("beta", "alpha", "scale", "tol", "max_iter"):
        value = getattr(estimator, name)
        if isinstance(value, Real) and not math.isfinite(value):
            raise ValueError(f"{name} must be finite. Got {value!r}.")
    return make_loss(estimator.loss, estimator.beta, estimator.quantile)


def check_fit_data(
    estimator: Any, X: Any, y: Any, sample_weight: Any
) -> tuple[Any, Array, Array]:
    """Return X as given or as a float array, y of shape (n, k) and the weights.

    X keeps its layout and float32; a sparse X stays sparse.
    """
    if scipy.sparse.issparse(y):
        raise ValueError(
            "y is sparse, but must be a dense array of shape (n_samples,) or "
            "(n_samples, n_targets). Pass y.toarray()."
        )
    X, y = validate_data(
        estimator,
        X,
        y,
        accept_sparse=("csr", "csc"),
        dtype=(np.float64, np.float32),
        multi_output=True,
        y_numeric=True,
    )
    if y.dtype.kind not in "biuf":
        raise ValueError(
            f"y must hold real numbers. Got an array of dtype {y.dtype}. "
            "Convert it with y.astype(float)."
        )
    weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError(
            "Sample weights are all zero: no row is left to fit. "
            "Pass at least one positive weight."
        )
    return X, y.astype(np.float64, copy=False), weight


def check_predict_data(estimator: Any, X: Any) -> Any:
    """Return X as an array or sparse matrix with the columns of the fit."""
    return validate_data(
        estimator,
        X,
        reset=False,
        accept_sparse=("csr", "csc"),
        dtype=(np.float64, np.float32),
    )
