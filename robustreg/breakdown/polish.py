"""The last digits of an S-estimate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustreg.breakdown.m_scale import SCriterion, tukey_weight
from robustreg.linalg import SINGULAR, cholesky_solve, solve_symmetric
from robustreg.rows import Array, Rows, signed_gram

# Newton's method needs few. Reweighted least squares, where that does not lead down,
# may need many; each of them lowers the scale, so that any end will do.
MOST_STEPS = 200
# A step that promises to lower the logarithm of the scale by less is the last.
NO_GAIN = 1e-15


@dataclass(frozen=True)
class SPoint:
    """Params, their residuals, and the scale of these."""

    params: Array
    residual: Array
    scale: float


def polished(
    rows: Rows, target: Array, weight: Array, criterion: SCriterion, start: Array
) -> SPoint:
    """Return the local minimum of the scale near a start.

    The scale does not change to first order at the minimum, so that Newton's method
    at a fixed scale, with the scale measured after each step, converges quadratically.
    Where its step does not lower the scale, reweighted least squares does. Weights sum
    to 1.
    """

    def at(params: Array) -> SPoint:
        residual = target - rows.predict(params)
        return SPoint(params, residual, criterion.scale(residual, weight))

    point = at(start)
    for _ in range(MOST_STEPS):
        if point.scale <= criterion.floor:
            break
        width = criterion.constant * point.scale
        pull = weight * tukey_weight(point.residual, width)
        slope = rows.adjoint(pull * point.residual)
        step = _newton_step(rows, weight, point.residual, width, slope)
        new = point if step is None else at(point.params + step)
        if not new.scale < point.scale:
            columns = np.arange(rows.n_params)
            step = solve_symmetric(rows.gram(pull, columns), slope)
            new = at(point.params + step)
        if not new.scale < point.scale:
            break
        point = new
        if float(slope @ step) <= NO_GAIN * point.scale**2:
            break
    return point


def _newton_step(
    rows: Rows, weight: Array, residual: Array, width: float, slope: Array
) -> Array | None:
    """Return Newton's step at a fixed scale, None if it does not lead down."""
    columns = np.arange(rows.n_params)
    t = np.minimum(np.abs(residual) / width, 1.0) ** 2
    curvature = weight * (1 - t) * (1 - 5 * t)
    hessian = signed_gram(rows, curvature, columns)
    diagonal = hessian.diagonal()
    if (diagonal < 0).any():
        return None
    step, rcond = cholesky_solve(hessian, slope)
    # In a direction that no row with weight holds, it would be rounding errors.
    return step if rcond > SINGULAR else None
