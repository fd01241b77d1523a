"""How large the terms are that a prediction sums."""

from __future__ import annotations

import numpy as np
from scipy.linalg import norm

from robustreg.rows.base import Array, Index, Rows

# Rows whose median tells what is typical, within a factor that does not matter.
TYPICAL_ROWS = 101


def typical_terms(rows: Rows, weight: Array, params: Array) -> float:
    """Return the root sum of squares of a typical row's terms, one for each column.

    They may be much larger than the prediction, whose rounding error they set.
    """
    largest = float(np.abs(params).max(initial=0.0))
    if largest == 0:
        return 0.0
    return largest * _median_norm(rows.dense(_some(weight)) * (params / largest))


def typical_original_terms(
    rows: Rows, weight: Array, coef: Array, intercept: float
) -> float:
    """Return `typical_terms` of coefficients and intercept in original columns."""
    terms = _original(rows, weight) * coef[rows.standard.unit > 0]
    edge = np.full((len(terms), 1), float(intercept))
    terms = np.hstack([terms, edge])
    largest = float(np.abs(terms).max())
    return largest * _median_norm(terms / largest) if largest > 0 else 0.0


def typical_row(rows: Rows, weight: Array) -> Array:
    """Return the median of each original column, of one that is constant its value."""
    typical = rows.standard.shift.copy()
    typical[rows.standard.unit > 0] = np.median(_original(rows, weight), axis=0)
    return typical


def _original(rows: Rows, weight: Array) -> Array:
    """Return typical rows of the original columns that vary."""
    standard = rows.standard
    varies = standard.unit > 0
    design = rows.dense(_some(weight))[:, :-1][:, varies]
    return np.asarray(design / standard.unit[varies] + standard.shift[varies])


def _some(weight: Array) -> Index:
    """Return rows that are typical."""
    live = np.flatnonzero(weight > 0)
    return live[:: -(-live.size // TYPICAL_ROWS)]


def _median_norm(terms: Array) -> float:
    """Return the median norm of rows whose largest terms are about 1."""
    # Squares of terms beyond 1e154 would overflow.
    with np.errstate(under="ignore"):
        return float(np.median(norm(terms, axis=1)))
