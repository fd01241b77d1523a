"""A Newton step by conjugate gradients: one pass per product, no p x p matrix.

For sparse and for wide data. The standardised columns are their own diagonal scaling.
"""

from __future__ import annotations

import numpy as np

from robustreg.linalg import EPS, conjugate_gradients
from robustreg.objective import Objective, Point
from robustreg.rows import Array
from robustreg.solvers.newton import Step

# Eisenstat and Walker's forcing term [1]_ stays between these.
LOOSEST, TIGHTEST = 0.1, 1e-8
MAX_PRODUCTS = 500


def krylov_step(objective: Objective, point: Point, curvature: Array) -> Step:
    """Return an inexact Newton step, the tighter the smaller the gradient [1]_.

    References
    ----------
    .. [1] Eisenstat, S. C., Walker, H. F. (1996). Choosing the forcing terms in an
       inexact Newton method. SIAM Journal on Scientific Computing 17, 16-32.
    """

    def product(v: Array) -> Array:
        return objective.hessian_product(curvature, v)

    total = float(curvature.sum())
    if total == 0 and not objective.penalty_curvature().any():
        zero = np.zeros_like(point.params)
        return Step(zero, 0.0, singular=bool(np.any(point.gradient)))
    diagonal = total + objective.penalty_curvature() + EPS * total
    rtol = float(np.clip(objective.stationarity(point), TIGHTEST, LOOSEST))
    diagonal = np.where(diagonal > 0, diagonal, 1.0)
    direction = -conjugate_gradients(
        product, point.gradient, diagonal, rtol, MAX_PRODUCTS
    )
    return Step(direction, -0.5 * float(point.gradient @ direction))
