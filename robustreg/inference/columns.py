"""Which columns of a design have no coefficient of their own, and how that is said."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from robustreg.rows import Array, Index, Rows, Standard, design_rank

# A coefficient moves in a direction if by this share of the one that moves most.
MOVES = 1e-3
# Of more columns the others are not named in an error.
MOST_NAMED = 10


def columns_of(standard: Standard) -> Index:
    """Return the params that a design has: all but an absent intercept."""
    return np.arange(standard.unit.size + (standard.constant > 0))


def refuse_constant(standard: Standard, names: list[str]) -> None:
    """Refuse columns that do not vary."""
    constant = np.flatnonzero(standard.unit == 0)
    if not constant.size:
        return
    named = listed_names(names, constant)
    said = f"X is 0 in {named}, which therefore has no coefficient. Drop it."
    if standard.constant:
        said = (
            f"X is constant in {named}, whose coefficient cannot be told from the "
            "intercept. Drop the column."
        )
    raise ValueError(said)


def refuse_few(n_rows: int, rank: int, n_coefs: int) -> None:
    """Refuse rows that are no more than what they determine."""
    if n_rows <= rank:
        raise ValueError(
            f"Standard errors need more rows than coefficients. Got {n_rows} rows and "
            f"{n_coefs} coefficients. Drop columns."
        )


def refuse_dependent(rows: Rows, weight: Array, names: list[str]) -> None:
    """Refuse a design whose columns depend on each other in all rows with weight."""
    columns, rank = columns_of(rows.standard), design_rank(rows, weight)
    refuse_few(int(np.count_nonzero(weight)), rank, columns.size)
    if rank < columns.size:
        scale, _, basis = decomposed(rows.root(1.0 * (weight > 0), columns))
        raise ValueError(dependent(rows.standard, names, basis[rank:] * scale))


def decomposed(root: Array) -> tuple[Array, Array, Array]:
    """Return the scale that gives columns norm 1, singular values, and all directions.

    Those beyond the singular values of a root with fewer rows have the value 0.
    """
    norms = np.linalg.norm(root, axis=0)
    scale = 1 / np.where(norms > 0, norms, 1.0)
    _, size, basis = scipy.linalg.svd(root * scale, full_matrices=True)
    return scale, np.append(size, np.zeros(len(basis) - size.size)), basis


def dependent(
    standard: Standard, names: list[str], null: Array, held: bool = False
) -> str:
    """Return what is said of null directions, by the names of the columns they move.

    No prediction changes in any of them, a row of ``null`` each. If that is so only in
    the rows that hold the fit, resamples, which others hold, tell the coefficients.
    """
    null = null.copy()
    if null.shape[1] > standard.unit.size:
        # What centring takes from the columns belongs to the intercept.
        null[:, -1] -= null[:, :-1] @ (standard.shift * standard.unit)
    share = np.abs(null) / np.abs(null).max(axis=1, keepdims=True)
    named = listed_names(names, np.flatnonzero(share.max(axis=0) > MOVES))
    why, way_out = ".", "Drop some of them: of dummies with all their levels, one."
    if held:
        why = ", in the rows that hold the fit."
        way_out = "Drop some of them, or use cov_type='bootstrap'."
    return (
        f"The standard errors of {named} do not exist: the columns depend on each "
        f"other{why} {way_out}"
    )


def listed_names(names: list[str], some: Index) -> str:
    """Return the first of some names, and whether there are more."""
    named = ", ".join(names[j] for j in some[:MOST_NAMED])
    return f"{named}, ..." if some.size > MOST_NAMED else named
