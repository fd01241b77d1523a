"""Iterative refinement: the digits that an ill-conditioned design would cost.

Residuals and gradient in extended precision, the correction from an orthogonal
factorisation in working precision [1]_.

References
----------
.. [1] Bjorck, A. (1996). Numerical Methods for Least Squares Problems, section 2.9.
   SIAM.
"""

from __future__ import annotations

import numpy as np

from robustreg.objective import Objective, Point
from robustreg.rows import Array
from robustreg.solvers.direct import root_step


def refine(objective: Objective, point: Point, target: Array) -> Point:
    """Return the optimum of a smooth objective, refined.

    Parameters
    ----------
    objective : Objective
        Smooth, with few params and no l1 part.
    point : Point
        Its optimum in working precision.
    target : ndarray of shape (n_rows,)
        The target in extended precision.

    Returns
    -------
    Point
        With params and residuals in extended precision.
    """
    extended = objective.extended(target)
    columns = np.arange(objective.n_params)
    root = objective.hessian_root(objective.curvature(point), columns)
    best, size = extended.evaluate(point.params.astype(np.longdouble)), np.inf
    # Each leaves a tenth of what was left, or is the last.
    for _ in range(10):
        step = root_step(root, best.gradient.astype(np.float64))
        if step.singular or not step.decrease < 0.1 * size:
            break
        best, size = extended.evaluate(best.params + step.direction), step.decrease
    return best
