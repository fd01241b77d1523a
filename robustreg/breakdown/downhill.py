"""The way from an S-estimate into the valley of a loss that it lies in."""

from __future__ import annotations

import numpy as np

from robustreg.linalg import solve_symmetric
from robustreg.losses import Loss, relative_weight
from robustreg.rows import Array, Rows

# Each step leads down, so that the limit only bounds the time on the way to a valley
# that `fit_from` ends in.
MOST_STEPS = 500
# Steps that move the typical prediction by less, in scales, have found the valley.
NEAR = 1e-4


def downhill(
    rows: Rows, target: Array, weight: Array, loss: Loss, start: Array
) -> Array:
    """Return params near the local minimum to which small steps lead [1]_.

    Reweighted least squares: none of its steps goes up, and they get shorter towards
    the minimum. Newton's are longer, and might go over a ridge into a worse valley.

    Parameters
    ----------
    rows : Rows
        The design.
    target : ndarray of shape (n_rows,)
        Targets, in units of the scale.
    weight : ndarray of shape (n_rows,)
        Sums to 1.
    loss : Loss
        Symmetric, with curvature 1 at 0.
    start : ndarray of shape (n_params,)
        Where from.

    References
    ----------
    .. [1] Holland, P. W., Welsch, R. E. (1977). Robust regression using iteratively
       reweighted least-squares. Communications in Statistics A6, 813-827.
    """
    params, columns = start, np.arange(rows.n_params)
    for _ in range(MOST_STEPS):
        residual = target - rows.predict(params)
        pull = weight * relative_weight(loss, residual)
        slope = rows.adjoint(pull * residual)
        step = solve_symmetric(rows.gram(pull, columns), slope)
        params = params + step
        if float(slope @ step) <= NEAR**2:
            break
    return params
