"""Which columns of a frame are at fault, where scikit-learn does not name them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils import check_array


@contextmanager
def names_columns(X: Any) -> Iterator[None]:
    """Name the columns of a frame that are no numbers, if reading it fails.

    Looked for only then: a frame that is read is read once.
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
