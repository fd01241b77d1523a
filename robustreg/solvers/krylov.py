"""A Newton step by conjugate gradients: one pass per product, no p x p matrix.

For sparse and for wide data. The preconditioner is the Hessian's diagonal, and for
sparse data the Hessian itself on the columns that store the most values: those overlap
in many rows, while the rare ones hardly meet. Cost: a dozen to a few dozen products.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg

from robustreg.certificate import MOST_PRODUCTS
from robustreg.hessian import HessianOperator
from robustreg.linalg import conjugate_gradients
from robustreg.objective import Model, Objective, Point
from robustreg.rows import Array
from robustreg.solvers.descent import Step, StepRule
from robustreg.tolerance import stationarity

# Eisenstat and Walker's forcing term [1]_ stays between these.
LOOSEST, TIGHTEST = 0.1, 1e-8
# A system is solved no closer than to a stationarity of the square root of this.
SETTLED = 1e-11
# The dense block of the preconditioner, whose factor costs no more than a few products,
# and the rows for each of its columns that estimate its correlations, to an eighth.
BLOCK_COLUMNS, ROWS_PER_COLUMN = 300, 64


def krylov_step(
    objective: Objective, point: Point, curvature: Array, last: Model | None
) -> Step:
    """Return an inexact Newton step, the tighter the smaller the gradient [1]_.

    References
    ----------
    .. [1] Eisenstat, S. C., Walker, H. F. (1996). Choosing the forcing terms in an
       inexact Newton method. SIAM Journal on Scientific Computing 17, 16-32.
    """
    del last
    hessian = objective.hessian_operator(curvature)
    diagonal = hessian.diagonal()
    unseen = bool(np.any(point.gradient[diagonal == 0]))
    gradient = np.where(diagonal > 0, point.gradient, 0.0)
    diagonal = np.where(diagonal > 0, diagonal, 1.0)
    violation = max(stationarity(objective, point), SETTLED)
    rtol = float(np.clip(max(violation, SETTLED / violation), TIGHTEST, LOOSEST))
    direction = -conjugate_gradients(
        hessian.product,
        gradient,
        diagonal,
        rtol,
        MOST_PRODUCTS,
        # A looser solve takes too few products to pay for the block.
        preconditioner(hessian, diagonal) if rtol <= 0.01 else None,
    )
    decrease = -0.5 * float(point.gradient @ direction)
    # Without convexity the first direction may already go over a ridge.
    unseen = unseen or not decrease > 0
    return Step(direction, decrease, singular=unseen, inexact=True)


KRYLOV = StepRule(krylov_step, is_inexact=True)


def preconditioner(
    hessian: HessianOperator, diagonal: Array
) -> Callable[[Array], Array] | None:
    """Return ``v -> M^-1 v`` for an M close to the Hessian, None for its diagonal.

    M is diagonal but for a block [1]_.

    References
    ----------
    .. [1] Saad, Y. (2003). Iterative Methods for Sparse Linear Systems, 2nd edition,
       section 10.7 (block preconditioners). SIAM.
    """
    if hessian.stored is None:
        return None
    most = min(BLOCK_COLUMNS, hessian.stored.size)
    fullest = np.argpartition(-hessian.stored, most - 1)[:most]
    block = np.append(np.sort(fullest), hessian.stored.size)
    part = hessian.sampled_block(block, ROWS_PER_COLUMN * most, diagonal)
    factor, info = scipy.linalg.lapack.dpotrf(part, lower=1)
    if info != 0:
        return None

    def solve(v: Array) -> Array:
        result = v / diagonal
        result[block] = scipy.linalg.lapack.dpotrs(factor, v[block], lower=1)[0]
        return result

    return solve
