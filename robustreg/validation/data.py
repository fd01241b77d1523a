"""Checks of data in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from sklearn.utils import check_array, check_X_y, column_or_1d

# Private, but what scikit-learn's own contributors' template relies on.
from sklearn.utils.validation import _check_sample_weight, _num_samples, validate_data

from robustreg.partitions import is_collection
from robustreg.rows import Array
from robustreg.validation.columns import names_columns

# Dates and times have no unit until one is chosen. What subtracts from itself may be an
# array, a frame's column or one of dask, with a time zone or without.
DAYS = {
    "M": "({0} - {0}.min()) / np.timedelta64(1, 'D'), which are days; from those of "
    "new rows take the same first one",
    "m": "{0} / np.timedelta64(1, 'D'), which are days",
}
# Sums of weights above this or below one over it are brought inside, by a power of 2.
HEAVIEST = 2.0**400

# How data are read, that of fits and of what is made of them.
READ: dict[str, Any] = {
    "accept_sparse": ("csr", "csc"),
    "dtype": (np.float64, np.float32),
}
READ_BOTH: dict[str, Any] = {**READ, "multi_output": True, "y_numeric": True}
# scikit-learn sums what it checks, and a sum of finite numbers may be none.
QUIETLY = np.errstate(all="ignore")


@QUIETLY
def check_fit_data(
    estimator: Any, X: Any, y: Any, sample_weight: Any
) -> tuple[Any, Array, Array]:
    """Return X as given or as a float array, y of shape (n, k) and the weights.

    X keeps its layout and float32; a sparse X stays sparse. One column of targets is
    y of shape (n,), as for scikit-learn's other linear models.
    """
    with names_columns(X):
        _refuse_at_sight(type(estimator).__name__, y, X=X, sample_weight=sample_weight)
        X, y = validate_data(estimator, _as_numpy(X), y, **READ_BOTH)
    return X, checked_targets(y), checked_weight(sample_weight, X)


@QUIETLY
def check_quantiles_data(
    estimator: Any, X: Any, y: Any, sample_weight: Any
) -> tuple[Any, Array, Array]:
    """Return X as `check_fit_data` does, y of shape (n,) and the weights."""
    refuse_collections("QuantilesRegressor", X=X, y=y, sample_weight=sample_weight)
    X, target, weight = check_fit_data(estimator, X, y, sample_weight)
    target = _single_target(target)
    # As all that take one target do, scikit-learn asks to say that a column is one.
    column_or_1d(np.asarray(y), warn=True)
    return X, target, weight


@QUIETLY
def check_path_data(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Array, Array]:
    """Return X as `check_fit_data` does, y of shape (n,) and the weights."""
    refuse_collections("robust_path", X=X, y=y, sample_weight=sample_weight)
    with names_columns(X):
        _refuse_at_sight("robust_path", y, X=X, sample_weight=sample_weight)
        X, y = check_X_y(_as_numpy(X), y, **READ_BOTH, estimator="robust_path")
    return X, _single_target(y), checked_weight(sample_weight, X)


@QUIETLY
def check_inference_data(
    estimator: Any, X: Any, y: Any, sample_weight: Any
) -> tuple[Any, Array, Array]:
    """Return X, y of shape (n,) and the weights, for an estimator that is fitted."""
    refuse_collections("A table of rows in memory", y=y, sample_weight=sample_weight)
    _refuse_at_sight("A table of coefficients", y, X=X, sample_weight=sample_weight)
    X, y = validate_data(estimator, _as_numpy(X), y, reset=False, **READ_BOTH)
    return X, _single_target(y), checked_weight(sample_weight, X)


def _as_numpy(X: Any) -> Any:
    """Return X as an array of numpy if its dtype is another library's.

    Such as a tensor of PyTorch, whose float32 scikit-learn would not recognise.
    """
    foreign = getattr(type(X), "dtype", None) is not None
    return np.asarray(X) if foreign and not isinstance(X.dtype, np.dtype) else X


def _refuse_at_sight(what: str, y: Any, **others: Any) -> None:
    """Refuse data that are no numbers, and targets that are missing or sparse."""
    refuse_no_numbers(**others, y=y)
    if y is None:
        # In words that scikit-learn's checks look for.
        raise ValueError(
            f"{what} requires y to be passed, but the target y is None. Pass one "
            "target for each row of X, after X."
        )
    refuse_sparse_targets(y)


def refuse_collections(what: str, **given: Any) -> None:
    """Refuse rows that are elsewhere, where all of them would be read at once."""
    for name, values in given.items():
        if is_collection(values):
            raise ValueError(
                f"{what} does not take dask collections: pass {name}.compute(), if it "
                "fits in memory."
            )


def refuse_no_numbers(**given: Any) -> None:
    """Refuse what would be read as numbers that it is not: masked values, and dates."""
    for name, values in given.items():
        if np.ma.is_masked(values):
            count = int(np.ma.getmaskarray(values).sum())
            raise ValueError(
                f"{name} is a masked array with {count} masked "
                f"value{'s' if count > 1 else ''}, and what is under the mask is no "
                f"data. Drop these rows, or fill them: {name}.filled(...)."
            )
        for what, kind in _kinds(name, values).items():
            if kind in DAYS:
                raise ValueError(
                    f"{name} must hold real numbers, but {what} holds dates or times. "
                    f"Convert it with {DAYS[kind].format(what)}."
                )


def _kinds(name: str, values: Any) -> dict[str, str]:
    """Return numpy's kind of values, or of each of their columns, where they tell."""
    # Of the type: a Delayed of dask has every attribute.
    of = type(values)
    if getattr(of, "dtype", None) is not None:
        kinds = {name: values.dtype}
    elif all(getattr(of, each, None) is not None for each in ("columns", "dtypes")):
        every = zip(values.columns, values.dtypes, strict=True)
        kinds = {f"{name}[{column!r}]": dtype for column, dtype in every}
    else:
        return {}
    return {what: getattr(dtype, "kind", "") for what, dtype in kinds.items()}


def refuse_sparse_targets(y: Any, name: str = "y") -> None:
    """Refuse what scikit-learn would report less clearly."""
    if scipy.sparse.issparse(y):
        raise ValueError(
            f"{name} is sparse, but must be a dense array of shape (n_samples,) or "
            f"(n_samples, n_targets). Pass {name}.toarray()."
        )


def checked_targets(y: Array, name: str = "y") -> Array:
    """Return the targets in float64, a single column of them as one dimension."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype.itemsize > 8 and not np.isfinite(y.astype(np.float64)).all():
        raise ValueError(
            f"{name} has values beyond {np.finfo(np.float64).max:.2g}, the largest "
            f"number in double precision. Got an array of dtype {y.dtype}. Divide it "
            "by a power of ten."
        )
    if y.dtype.kind not in "biuf":
        way_out = DAYS.get(y.dtype.kind, "{0}.astype(float)")
        raise ValueError(
            f"{name} must hold real numbers. Got an array of dtype {y.dtype}. "
            f"Convert it with {way_out.format(f'np.asarray({name})')}."
        )
    return y.astype(np.float64, copy=False)


def _single_target(y: Array) -> Array:
    """Return the one target in float64; refuse several."""
    target = checked_targets(y)
    if target.ndim != 1:
        raise ValueError(
            f"y must be one target, of shape (n_samples,). Got shape {y.shape}. "
            "Pass one column of it at a time: y[:, j]."
        )
    return target


def checked_weight(sample_weight: Any, X: Any) -> Array:
    """Return non-negative weights, not all 0; equal ones take no memory."""
    if sample_weight is None:
        return np.broadcast_to(1.0, X.shape[:1])
    shape = np.asarray(sample_weight).shape
    if len(shape) > 1:
        one = "np.ravel(sample_weight)" if shape[1:] == (1,) else "one column of it"
        raise ValueError(
            "sample_weight must be one-dimensional, one weight for each row. Got shape "
            f"{shape}. Pass {one}."
        )
    weight = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError(
            "Sample weights are all zero: no row is left to fit. "
            "Pass at least one positive weight."
        )
    return _in_range(weight)


def _in_range(weight: Array) -> Array:
    """Return weights whose sum is a number far from the largest and the smallest."""
    largest, n = float(weight.max()), weight.size
    if 1 / HEAVIEST <= largest <= HEAVIEST / n:
        return weight
    _, exponent = np.frexp(largest)
    aim = HEAVIEST / (2 * n) if largest > 1 else 1 / HEAVIEST
    return np.ldexp(weight, int(np.frexp(aim)[1]) - int(exponent))


@QUIETLY
def check_predict_data(estimator: Any, X: Any) -> Any:
    """Return X as an array or sparse matrix with the columns of the fit."""
    refuse_no_numbers(X=X)
    return validate_data(estimator, _as_numpy(X), reset=False, **READ)


@QUIETLY
def check_score_data(
    X: Any, y: Any, fitted: tuple[int, ...], sample_weight: Any = None
) -> tuple[Array, Array]:
    """Return y of new rows, of a shape that goes with the fit's, and the weights."""
    _refuse_at_sight("A score", y, sample_weight=sample_weight)
    y = check_array(y, ensure_2d=False, dtype="numeric", input_name="y")
    y, n = checked_targets(y), _num_samples(X)
    expected = (n, *fitted[:-1])
    if y.shape != expected:
        raise ValueError(
            f"y must have shape {expected}: {n} rows as X, and the targets of the fit. "
            f"Got {y.shape}."
        )
    return y, checked_weight(sample_weight, y)


def refuse_sparse_rows(X: Any, why: str, way_out: str) -> None:
    """Refuse rows that are sparse where all of their entries are needed."""
    if scipy.sparse.issparse(X):
        raise ValueError(f"X is sparse, and {why}. Pass X.toarray(), or {way_out}.")


@QUIETLY
def check_distance_data(X: Any, least_rows: int) -> Array:
    """Return X as a dense float array with enough rows to measure distances."""
    refuse_collections("robust_distance", X=X)
    refuse_sparse_rows(
        X,
        "distances between its rows need all entries",
        "some of its columns, or plot estimator.outlier_score(X, y) by itself",
    )
    refuse_no_numbers(X=X)
    checked = check_array(X, dtype=np.float64, input_name="X")
    if len(checked) < least_rows:
        raise ValueError(
            f"X has {len(checked)} rows, and a distance between rows needs at least "
            f"{least_rows}. Plot estimator.outlier_score(X, y) by itself instead."
        )
    return np.asarray(checked)
