"""Tasks of dask: what they are called, and what is said of those that fail."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import dask
from dask.optimization import cull

from robustreg.partitions.loading import PartitionError


def new_name(name: str) -> str:
    """Return a name of tasks that no others have, shown as it is given."""
    return f"{name}-{uuid4().hex}"


def computed(tasks: list[Any], partitions: list[Any]) -> list[Any]:
    """Return the results of tasks; an error tells which partition cannot be read."""
    try:
        return list(dask.compute(*tasks, optimize_graph=False))
    except PartitionError:
        raise
    except Exception as error:
        # What the cluster itself reports is about a task, if about any: to read what
        # kills workers once more would kill others.
        if type(error).__module__.partition(".")[0] != "distributed":
            error.add_note(_culprit(partitions))
        elif (task := getattr(error, "task", None)) is not None:
            error.add_note(_task_of(task, partitions))
        raise


def _culprit(partitions: list[Any]) -> str:
    """Return which partition cannot be read, found by halves."""
    low, high = 0, len(partitions)
    while high - low > 1:
        middle = (low + high) // 2
        if _is_readable(partitions[low:middle]):
            low = middle
        else:
            high = middle
    if _is_readable(partitions[low:high]):
        return "Every partition can be read by itself."
    return f"Partition {low} of {len(partitions)} cannot be read."


def _task_of(task: Any, partitions: list[Any]) -> str:
    """Return which partition a task is of: a block of data, or what is made of it."""
    # Blocks of one array share a graph.
    graph = dict(partitions[0].__dask_graph__())
    for i, block in enumerate(partitions):
        if task in cull(graph, block.__dask_keys__())[0]:
            return f"That task reads partition {i} of {len(partitions)}."
    return f"{task!r} is the name of a pass and the number of a partition."


def _is_readable(partitions: list[Any]) -> bool:
    """Return whether partitions can be read."""
    name = new_name("robustreg reading")
    read = [
        dask.delayed(_read)(each, dask_key_name=(name, i))
        for i, each in enumerate(partitions)
    ]
    try:
        return bool(dask.compute(*read))
    except Exception:
        return False


def _read(_: Any) -> None:
    """Read a partition, and leave it where it is."""


def counted(block: Any) -> Any:
    """Return a task that counts the rows of a block."""
    return dask.delayed(_count)(block, dask_key_name=new_name("robustreg counting"))


def _count(block: Any) -> int:
    """Return the number of rows of a block."""
    return int(block.shape[0])
