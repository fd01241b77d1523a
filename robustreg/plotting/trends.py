"""Medians of rows that are neighbours."""

from __future__ import annotations

import numpy as np

from robustreg.plotting.drawing import Array
from robustreg.scale import weighted_median

# Groups of rows whose medians make a line, and the rows that each needs.
MOST_GROUPS, ROWS_A_GROUP = 12, 8


def medians_along(x: Array, values: Array, weight: Array) -> Array:
    """Return the medians of groups of rows in the order of x, equally large."""
    count = min(max(x.size // ROWS_A_GROUP, 1), MOST_GROUPS)
    groups = np.array_split(np.argsort(x, kind="stable"), count)
    return np.array([weighted_median(values[rows], weight[rows]) for rows in groups])
