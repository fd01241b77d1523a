"""Tables are pandas' frames, and without pandas there are none."""

from __future__ import annotations

from typing import Any


def frame_class(what: str) -> Any:
    """Return pandas' frame, without which nothing that is asked for can be shown."""
    try:
        from pandas import DataFrame
    except ImportError as error:
        raise ImportError(
            f"{what} needs pandas: pip install pandas. coef_covariance does without."
        ) from error
    return DataFrame


def index_of(rows: Any) -> Any:
    """Return the labels of the rows of a frame, None of what has none."""
    from pandas import DataFrame

    return rows.index if isinstance(rows, DataFrame) else None


def columns_of(values: Any) -> list[Any] | None:
    """Return the names of the columns of a frame, None of what has none."""
    from pandas import DataFrame

    return [*values.columns] if isinstance(values, DataFrame) else None


def stacked(tables: list[Any], keys: list[Any], names: list[str]) -> Any:
    """Return tables one below the other: the keys are the first level of the index.

    ``names`` are those of the levels, the first at least.
    """
    from pandas import concat

    return concat(tables, keys=keys, names=names)
