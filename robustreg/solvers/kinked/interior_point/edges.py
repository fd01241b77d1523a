"""From a state with fewer kinks than params to a vertex, along edges that go down.

Where an edge is nearly flat, its ends are told apart only so near the optimum that
rounding errors of the normal matrix are larger. So params are put on the kinks that are
active, and go down in the directions that these leave open, each time as far as the
objective falls: there one more kink becomes active [1]_.

Cost: an orthogonal decomposition of the active rows, and a pass for each direction.

References
----------
.. [1] Megiddo, N. (1991). On finding primal- and dual-optimal bases. ORSA Journal on
   Computing 3, 63-65.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from robustreg.linalg import EPS, NO_DIRECTION, SMALLEST_RCOND
from robustreg.rows import Array, Index
from robustreg.solvers.kinked.interior_point.equations import Equations


def at_vertex(
    equations: Equations, params: Array, active: Index
) -> tuple[Array, Array, Index] | None:
    """Return params, residuals and active kinks of a vertex down from near params.

    None if active kinks depend on each other, edges are flat, or nothing ends one.
    """
    free = equations.varies.copy()
    free[equations.dropped(active)] = False
    rows = equations.objective.rows.dense(active[active < equations.n_rows])
    basis, root = scipy.linalg.qr(rows[:, free].T)
    root = root[: len(rows)]
    pivots = np.abs(root.diagonal())
    if pivots.min(initial=np.inf) <= SMALLEST_RCOND * pivots.max(initial=0.0):
        return None
    params = np.where(free | ~equations.varies, params, 0.0)
    distance = equations.target[active[: len(rows)]] - rows @ params
    # SciPy 1.13 refuses a system of no equations.
    if len(rows):
        inner = scipy.linalg.solve_triangular(root, distance, trans="T")
        params[free] += basis[:, : len(rows)] @ inner
    ways = np.zeros((params.size, np.count_nonzero(free) - len(rows)))
    ways[free] = basis[:, len(rows) :]
    residual = equations.target - equations.predict(params)
    residual[active] = 0.0
    changes = -np.column_stack([equations.predict(way) for way in ways.T])
    # Directions that move nothing, as of dependent columns, have no end.
    _, size, turned = scipy.linalg.svd(changes, full_matrices=False)
    moving = turned[size > NO_DIRECTION * np.sqrt(residual.size)].T
    ways, changes = ways @ moving, changes @ moving
    while ways.size:
        found = _down(equations, residual, active, ways, changes)
        if found is None:
            return None
        step, end = found
        params, residual = params + ways @ step, residual + changes @ step
        active = np.sort(np.append(active, end))
        residual[active] = 0.0
        # Directions that keep the new kink, too.
        kept = scipy.linalg.qr(changes[end][:, None])[0][:, 1:]
        ways, changes = ways @ kept, changes @ kept
    return params, residual, active


def _down(
    equations: Equations, residual: Array, active: Index, ways: Array, changes: Array
) -> tuple[Array, int] | None:
    """Return the step in some directions to the kink that ends it, and that kink."""
    high, low = equations.high, equations.low
    slopes = np.where(residual > 0, high, low)
    slopes[active] = 0.0
    gradient = equations.objective.linear @ ways + slopes @ changes
    terms = np.abs(equations.objective.linear) @ np.abs(ways)
    terms += np.abs(slopes) @ np.abs(changes)
    # On a face of optimal fits rules choose, not rounding errors.
    if (np.abs(gradient) <= slopes.size * EPS * terms).all():
        return None
    way = -gradient
    change = changes @ way
    nearer = residual * change < 0
    nearer[active] = False
    kinks = np.flatnonzero(nearer)
    length = -residual[kinks] / change[kinks]
    order = np.argsort(length)
    rise = ((high - low)[kinks] * np.abs(change[kinks]))[order]
    passed = np.flatnonzero(np.cumsum(rise) + gradient @ way >= 0)
    if not passed.size:
        return None
    end = order[passed[0]]
    return length[end] * way, int(kinks[end])
