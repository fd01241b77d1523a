"""How large the terms are that a prediction sums."""

from __future__ import annotations

import numpy as np
from scipy.linalg import norm

from robustreg.rows.base import Array, Rows

# Rows whose median tells what is typical, within a factor that does not matter.
MOST_ROWS = 101


def typical_terms(rows: Rows, weight: Array, params: Array) -> float:
    """Return the root sum of squares of a typical row's terms, one for each column.

    They may be much larger than the prediction, whose rounding error they set.
    """
    largest = float(np.abs(params).max(initial=0.0))
    if largest == 0:
        return 0.0
    live = np.flatnonzero(weight > 0)
    some = live[:: -(-live.size // MOST_ROWS)]
    # Squares of terms beyond 1e154 would overflow.
    with np.errstate(under="ignore"):
        terms = norm(rows.dense(some) * (params / largest), axis=1)
    return largest * float(np.median(terms))
