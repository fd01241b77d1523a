"""Sandwich covariances: bread is the Hessian, meat the products of the rows' slopes.

Nothing is assumed of the errors but independence, of rows or of groups of rows.
"""

from __future__ import annotations

import numpy as np

from robustreg.inference.algebra import AtFit, Inverse, Value
from robustreg.inference.fitted import Fitted
from robustreg.rows import FORMED_ENTRIES, Array, Index, stretches


def hc0(fitted: AtFit[Value]) -> Array:
    """Return ``H^-1 X' diag(psi^2) X H^-1``."""
    return fitted.sandwich(fitted.inverse(fitted.curvature), fitted.squared_slopes)


def hc1(fitted: AtFit[Value]) -> Array:
    """Return HC0 times ``n / (n - p)``."""
    return fitted.n_obs / fitted.df * hc0(fitted)


def hc2(fitted: AtFit[Value]) -> Array:
    """Return HC0 with ``psi^2 / (1 - h)``, h the leverage of the row."""
    return _by_leverage(fitted, 1)


def hc3(fitted: AtFit[Value]) -> Array:
    """Return HC0 with ``psi^2 / (1 - h)^2``: the jackknife, to one Newton step."""
    return _by_leverage(fitted, 2)


def cluster(fitted: Fitted, groups: Index) -> Array:
    """Return the sandwich with the slopes of each group summed before squaring.

    Times ``G / (G - 1) (n - 1) / (n - p)``.
    """
    bread = fitted.inverse(fitted.curvature)
    return clustered(fitted, groups, bread, fitted.slopes)


def clustered(fitted: Fitted, groups: Index, bread: Inverse, slopes: Array) -> Array:
    """Return the clustered sandwich of a bread and the rows' slopes."""
    n_groups, n = int(groups.max()) + 1, fitted.n_obs
    correction = n_groups / (n_groups - 1) * (n - 1) / fitted.df
    root = _root_of_groups(fitted, groups, bread.half, fitted.weight * slopes)
    return correction * bread.around(root)


def _by_leverage(fitted: AtFit[Value], power: int) -> Array:
    """Return the sandwich with slopes raised by the leverage of their rows."""
    bread = fitted.inverse(fitted.curvature)
    return fitted.sandwich(bread, fitted.raised(bread, power))


def _root_of_groups(fitted: Fitted, groups: Index, half: Array, v: Array) -> Array:
    """Return a root of ``sum_g s_g s_g'``, ``s_g = half' X_g' v_g`` of each group.

    A sum that is 0 but for rounding stays so, which its square among others would not.
    Rows are worked through in the order of their groups, so that only the last group
    of a stretch is carried to the next.
    """
    order = np.argsort(groups, kind="stable")
    size = max(1, FORMED_ENTRIES // fitted.rows.n_params)
    root = np.zeros((0, fitted.columns.size))
    carry, last = np.zeros(fitted.columns.size), -1
    for place in stretches(order.size, size):
        index = order[place]
        code = groups[index]
        starts = np.flatnonzero(np.append(True, code[1:] != code[:-1]))
        design = fitted.rows.dense(index)[:, fitted.columns]
        sums = np.add.reduceat((design @ half) * v[index, None], starts, axis=0)
        if code[0] == last:
            sums[0] += carry
        else:
            root = np.vstack([root, carry])
        root = np.asarray(np.linalg.qr(np.vstack([root, sums[:-1]]), mode="r"))
        carry, last = sums[-1], int(code[-1])
    fitted.rows.passes += 1
    return np.vstack([root, carry])
