"""Answers in a precision that holds them: single for float32 data, if it can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from robustreg.linalg import SAME
from robustreg.rows import Array, Rows, typical_row
from robustreg.scale import RESOLUTION


def answer(
    rows: Rows, weight: Array, params: Array, scale: float, eps: float
) -> tuple[Array, Any]:
    """Return coefficients and intercept as they are stored.

    Parameters
    ----------
    rows : Rows
        The standardised design.
    weight : ndarray of shape (n_rows,)
        Which rows count: those with weight.
    params : ndarray of shape (n_params,)
        The params, in units of y.
    scale : float
        The scale, in units of y.
    eps : float
        Relative rounding error of the data's precision.

    Raises
    ------
    ValueError
        If a coefficient that counts is no floating point number.
    """
    coef, intercept = answers(rows, weight, params[None], scale, eps)
    return coef[0], intercept[0]


def answers(
    rows: Rows, weight: Array, params: Array, scale: float | Array, eps: float
) -> tuple[Sequence[Array], Sequence[Any]]:
    """Return the `answer` of each of k fits, whose params have shape (k, n_params).

    The scale is a number, or an array of shape (k, 1).
    """
    standard = rows.standard
    with np.errstate(over="ignore", invalid="ignore"):
        coef, intercept = standard.to_original(params)
        coef, intercept = coef.astype(np.float64), intercept.astype(np.float64)
        for each in (coef, intercept):
            each[np.abs(each) < np.finfo(np.float64).tiny] = 0.0
        # A constant column has no effect, whatever its param.
        effect = np.where(standard.unit > 0, params[:, :-1] / scale, 0.0)
        _check_range(coef, effect, intercept)
    if eps > np.finfo(np.float64).eps:
        center = standard.constant * typical_row(rows, weight)
        return _in_single(center, coef, intercept)
    return list(coef), list(intercept)


def _check_range(coef: Array, effect: Array, intercept: Any) -> None:
    """Refuse coefficients that are no floating point numbers."""
    vanished = (coef == 0) & (np.abs(effect) > RESOLUTION)
    lost = np.unique(np.nonzero(vanished | ~np.isfinite(coef))[1])
    if lost.size or not np.isfinite(intercept).all():
        raise ValueError(
            f"X and y are of sizes whose ratio is no floating point number, in columns "
            f"{lost[:10].tolist()}. Multiply these columns, or y, by a power of ten, "
            "and the coefficients accordingly."
        )


def _in_single(
    center: Array, coef: Array, intercept: Array
) -> tuple[Sequence[Array], Sequence[Any]]:
    """Return answers in single precision, in double where single does not hold one.

    What rounding takes from the coefficients, the intercept makes up for in a
    typical row: far rows may own the mean.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        single = coef.astype(np.float32)
        lost = coef - single
        moved = intercept + lost @ center
        near = moved.astype(np.float32)
        holds = (np.abs(lost) <= SAME * np.abs(coef)).all(axis=1)
        holds &= np.abs(near - moved) <= SAME * np.abs(moved)
    kinds = (coef, intercept), (single, near)
    each = [(*kinds[held], i) for i, held in enumerate(holds.tolist())]
    return [c[i] for c, _, i in each], [b[i] for _, b, i in each]
