"""Rows of weight 0 are absent: nothing is computed from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def present(weight: Array) -> NDArray[np.bool_] | None:
    """Return which rows have weight, None if all do."""
    live = weight > 0
    return None if live.all() else live


def taken(live: NDArray[np.bool_] | None, *arrays: Any) -> tuple[Any, ...]:
    """Return the rows that have weight; arrays that keep all of them are not copied."""
    return arrays if live is None else tuple(array[live] for array in arrays)
