"""How many columns of a design are independent: what divisors n - p subtract."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from robustreg.linalg import FAINT, MOST_DIRECT_PARAMS, NO_DIRECTION, factorise
from robustreg.rows.base import Array, Index, Rows, strata

# Rows that tell that no column depends on others: the least number, and that for each
# column.
ENOUGH_ROWS, ROWS_A_COLUMN = 1000, 2


def design_rank(rows: Rows, weight: Array) -> int:
    """Return the rank of the design of the rows that have weight.

    Dependent columns, such as dummies with all their levels beside an intercept, add
    nothing to it. Where a sample of the rows has full rank, so have all. If not, the
    singular values of all rows decide, those of their root, whose digits no Gram
    matrix squares. Weights tell only whether a row is there, so that a weight of 2 and
    the row twice give the same. Of more than 2000 columns, those that vary are counted.

    Parameters
    ----------
    rows : Rows
        The standardised design.
    weight : ndarray of shape (n_rows,)
        Non-negative.
    """
    live, columns = np.flatnonzero(weight), np.flatnonzero(rows.varies)
    # One more is the intercept.
    if not 0 < columns.size <= MOST_DIRECT_PARAMS + 1:
        return int(min(columns.size, live.size))
    if columns.size <= live.size and _independent(rows, live, columns):
        return int(columns.size)
    root = rows.root(1.0 * (weight > 0), columns)
    return root_rank(root)


def root_rank(root: Array) -> int:
    """Return the rank of a design from a root of its Gram matrix."""
    norms = np.linalg.norm(root, axis=0)
    size = scipy.linalg.svdvals(root / np.where(norms > 0, norms, 1.0))
    return int(np.count_nonzero(size > NO_DIRECTION * size.max(initial=0.0)))


def _independent(rows: Rows, live: Index, columns: Index) -> bool:
    """Return whether some of the rows show that no column depends on the others."""
    enough = max(ENOUGH_ROWS, ROWS_A_COLUMN * columns.size)
    if live.size > enough:
        live = live[strata(live.size, enough).astype(np.intp)]
    design = rows.dense(live)[:, columns]
    return independent(design.T @ design)


def independent(gram: Array) -> bool:
    """Return whether a Gram matrix shows that no column depends on the others."""
    factor = factorise(gram)
    pivots = factor.lower.diagonal() ** 2
    regular = factor.rcond > 0 and factor.scale.all()
    return bool(regular and pivots.min() > FAINT)
