"""Which columns of a frame are at fault, and what those of a collection are called."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils import check_array


@contextmanager
def names_columns(X: Any) -> Iterator[None]:
    """Name the columns of a frame that are no numbers, if reading it fails.

    Looked for only then, and where scikit-learn does not name them.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        said = _faults(X)
        if not said:
            raise
        raise ValueError(f"X must be numbers, none of them missing. {said}") from error


def _faults(X: Any) -> str:
    """Return which columns are no numbers or miss some, and the way out."""
    missing = {name: _count_missing(X[[name]]) for name in getattr(X, "columns", ())}
    words = [str(name) for name, count in missing.items() if count is None]
    gaps = [f"{str(name)!r} ({count})" for name, count in missing.items() if count]
    if not gaps and len(words) == sum(map(_is_of_days, map(X.__getitem__, missing))):
        # Of dates alone the error itself says how to convert them.
        return ""
    said = []
    if words:
        said.append(
            f"Columns of words or dates: {words[:10]}. Encode them first, words by "
            "OneHotEncoder(drop='first') in a ColumnTransformer or by "
            "pandas.get_dummies(X, drop_first=True), dates as days since one of them."
        )
    if gaps:
        said.append(
            f"Columns with missing values, and how many: {', '.join(gaps[:10])}. "
            "Impute them first, such as by a SimpleImputer in a pipeline, or drop "
            "these rows, of y as well."
        )
    return " ".join(said)


def _is_of_days(column: Any) -> bool:
    """Return whether a column says of itself that it holds dates or times."""
    return getattr(getattr(column, "dtype", None), "kind", "") in ("m", "M")


def _count_missing(column: Any) -> int | None:
    """Return how many values are missing, or None if the column holds no numbers."""
    if np.asarray(column).dtype.kind in "mM":
        return None
    try:
        numbers = check_array(column, dtype=np.float64, ensure_all_finite=False)
    except (TypeError, ValueError):
        return None
    return int(np.isnan(numbers).sum())


def note_columns(
    estimator: Any, names: tuple[Any, ...] | None, n_features: int
) -> None:
    """Take note of the columns of a collection that is fitted."""
    given = _of_strings(names)
    vars(estimator).pop("feature_names_in_", None)
    estimator.n_features_in_ = n_features
    if given is not None:
        estimator.feature_names_in_ = np.array(given, dtype=object)


def check_column_names(
    estimator: Any, names: tuple[Any, ...] | None, n_features: int
) -> None:
    """Refuse a collection whose columns are not those of the fit.

    Where only one of the two has names, it warns as scikit-learn does.
    """
    given = _of_strings(names)
    if n_features != estimator.n_features_in_:
        raise ValueError(
            f"X must have {estimator.n_features_in_} columns, as that of the fit. Got "
            f"{n_features}."
        )
    fitted = vars(estimator).get("feature_names_in_")
    if (given is None) != (fitted is None):
        of_new, of_fit = "does not have valid", "with"
        if fitted is None:
            of_new, of_fit = "has", "without"
        warnings.warn(
            f"X {of_new} feature names, but {type(estimator).__name__} was fitted "
            f"{of_fit} feature names",
            UserWarning,
            stacklevel=2,
        )
    elif given is not None and fitted is not None and list(given) != list(fitted):
        raise ValueError(
            f"The columns of X must be those of the fit, {list(fitted)}, in that "
            f"order. Got {list(given)}."
        )


def _of_strings(names: tuple[Any, ...] | None) -> tuple[str, ...] | None:
    """Return the names of columns if all are strings: others are none.

    Raises
    ------
    TypeError
        If some are, and some are not.
    """
    known = [isinstance(name, str) for name in names or ()]
    if any(known) and not all(known):
        raise TypeError(
            f"Either all columns of X or none must be named by strings. Got "
            f"{list(names or ())[:10]}. Use X.rename(columns=str)."
        )
    return names if all(known) else None
