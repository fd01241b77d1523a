"""Collections, whose rows are elsewhere: told without importing what made them."""

from __future__ import annotations

from types import ModuleType
from typing import Any


def is_collection(values: Any) -> bool:
    """Return whether values are a dask collection, by dask's own protocol."""
    graph = getattr(values, "__dask_graph__", None)
    return callable(graph) and not isinstance(values, type)


def collections() -> ModuleType:
    """Return the module that knows dask, imported now.

    Raises
    ------
    ImportError
        If a part of dask is missing; it says how to install all.
    """
    try:
        from robustreg.partitions import dask_engine
    except ImportError as error:
        raise ImportError(
            f"A dask collection needs dask's arrays: {error}. Install them with: "
            'pip install "dask[array,dataframe]>=2025.12" distributed pyarrow'
        ) from error
    return dask_engine
