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
        If a part of dask is missing; it names the extra that brings it.
    """
    try:
        from robustreg.partitions import dask_engine
    except ImportError as error:
        raise ImportError(
            f"A dask collection needs dask's arrays: {error}. Install them with: "
            'pip install "robustreg[dask]"'
        ) from error
    return dask_engine
