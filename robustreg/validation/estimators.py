"""What an estimator keeps if a fit fails, and what it knows of columns elsewhere."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Give an estimator all its attributes back if what is done to it fails."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def check_collection_params(estimator: Any) -> None:
    """Refuse solvers that need all rows in memory."""
    if estimator.solver != "auto":
        raise ValueError(
            f"solver={estimator.solver!r} does not fit dask collections. Use 'auto'."
        )


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
