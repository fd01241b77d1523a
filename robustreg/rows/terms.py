"""How large the terms are that a prediction sums."""

from __future__ import annotations

import numpy as np

from robustreg.rows.base import Array, Rows, middle_of

# Rows whose median tells what is typical, within a factor that does not matter.
TYPICAL_ROWS = 101


def typical_design(rows: Rows, weight: Array) -> Array:
    """Return the design of a few typical rows."""
    live = np.flatnonzero(weight > 0)
    return rows.dense(live[:: -(-live.size // TYPICAL_ROWS)])


def typical_terms(design: Array, params: Array) -> float:
    """Return the root sum of squares of a typical row's terms, one for each column.

    They may be much larger than the prediction, whose rounding error they set.
    """
    largest = float(np.abs(params).max(initial=0.0))
    if largest == 0:
        return 0.0
    return largest * _middle_norm(design * (params / largest))


def typical_original_terms(
    rows: Rows, weight: Array, coef: Array, intercept: float
) -> float:
    """Return the same of coefficients and intercept in original columns."""
    terms = _original(rows, weight) * coef[rows.standard.unit > 0]
    edge = np.full((len(terms), 1), float(intercept))
    terms = np.hstack([terms, edge])
    largest = float(np.abs(terms).max())
    return largest * _middle_norm(terms / largest) if largest > 0 else 0.0


def typical_row(rows: Rows, weight: Array) -> Array:
    """Return the median of each original column, of one that is constant its value."""
    typical = rows.standard.shift.copy()
    typical[rows.standard.unit > 0] = np.median(_original(rows, weight), axis=0)
    return typical


def _original(rows: Rows, weight: Array) -> Array:
    """Return typical rows of the original columns that vary."""
    standard = rows.standard
    varies = standard.unit > 0
    design = typical_design(rows, weight)[:, :-1][:, varies]
    return np.asarray(design / standard.unit[varies] + standard.shift[varies])


def _middle_norm(terms: Array) -> float:
    """Return the middle norm of rows whose largest terms are about 1."""
    with np.errstate(under="ignore"):
        return float(np.sqrt(middle_of(np.einsum("ij,ij->i", terms, terms))))
