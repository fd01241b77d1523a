"""Small quadratics plus an l1 part, many at once, by block pivoting on active sets.

What `quadratics/quadratic` does for one: given the signs of a solution it solves linear
equations, and exchanges what is wrong together. What one round costs in Python, all
share.
"""

from __future__ import annotations

import numpy as np

from robustreg.rows import Array
from robustreg.solvers.quadratics import ROUNDING
from robustreg.solvers.quadratics.quadratic import PATIENCE


def block_pivoting_each(
    hessians: Array, linear: Array, l1: Array, start: Array, also: Array
) -> tuple[Array, Array]:
    """Return ``argmin x @ H @ x / 2 + linear @ x + l1 @ abs(x)`` for each of k.

    And of the same equations, on the params that are not 0 there, the solution for one
    more right-hand side. Both are nan where the exchanges do not get fewer.

    Parameters
    ----------
    hessians : ndarray of shape (k, n, n)
        Positive definite, and far from singular.
    linear, l1 : ndarray of shape (k, n)
        The linear parts and the weights of the kinks, at least 0.
    start : ndarray of shape (k, n)
        Guesses, whose signs count.
    also : ndarray of shape (k, n)
        The other right-hand sides.
    """
    solution, other = np.full_like(start, np.nan), np.full_like(start, np.nan)
    sign = np.where(l1 > 0, np.sign(start), 1.0)
    left, fewest = np.arange(len(start)), np.full(len(start), start.shape[1] + 1)
    patience = np.full(len(start), PATIENCE)
    while left.size:
        some, at = hessians[left], sign[left]
        rights = np.stack([-(linear[left] + l1[left] * at), also[left]], axis=2)
        x, turned = _solved(some, at != 0, rights)
        wrong = _exchanged(some, linear[left], l1[left], at, x)
        sign[left] = at
        right = wrong == 0
        solution[left[right]], other[left[right]] = x[right], turned[right]
        better = wrong < fewest[left]
        patience[left] = np.where(better, PATIENCE, patience[left] - 1)
        fewest[left] = np.minimum(fewest[left], wrong)
        left = left[~right & (patience[left] > 0)]
    return solution, other


def _solved(hessians: Array, active: Array, rights: Array) -> tuple[Array, Array]:
    """Return the solutions of equations on some of the params, others 0."""
    matrices = hessians * (active[:, :, None] & active[:, None, :])
    matrices += np.eye(active.shape[1]) * ~active[:, :, None]
    found = np.linalg.solve(matrices, rights * active[:, :, None])
    return found[:, :, 0], found[:, :, 1]


def _exchanged(
    hessians: Array, linear: Array, l1: Array, sign: Array, x: Array
) -> Array:
    """Exchange the signs that are wrong, in place; return how many of each were."""
    slope = np.matmul(hessians, x[:, :, None])[:, :, 0] + linear
    root = np.sqrt(np.diagonal(hessians, axis1=1, axis2=2))
    # As for one: an entry is no larger than the root of the product of its diagonal's.
    size = root * (root * np.abs(x)).sum(axis=1)[:, None] + np.abs(linear) + l1
    leave = (sign != 0) & (l1 > 0) & (x * sign <= 0)
    enter = (sign == 0) & (np.abs(slope) > l1 + ROUNDING * size)
    sign[leave] = 0.0
    sign[enter] = -np.sign(slope[enter])
    return np.asarray((leave | enter).sum(axis=1))
