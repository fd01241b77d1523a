"""A small quadratic plus an l1 part, by block pivoting on the active set.

Given the signs of the solution, it solves linear equations. Wrong guesses show at once:
a coefficient with the other sign, or one at 0 whose slope exceeds its l1 part. All are
exchanged together [1]_, and from a near start two or three Cholesky factors do. If the
exchanges do not get fewer, proximal points lead nearer. Where they do not lead there, a
method that never increases the value takes over [2]_.

References
----------
.. [1] Kim, J., Park, H. (2011). Fast nonnegative matrix factorization: an
   active-set-like method and comparisons. SIAM Journal on Scientific Computing 33,
   3261-3281.
.. [2] Lee, H., Battle, A., Raina, R., Ng, A. Y. (2007). Efficient sparse coding
   algorithms. Advances in Neural Information Processing Systems 19.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
import scipy.linalg

from robustreg.linalg import ABSENT, solve_symmetric
from robustreg.rows import Array, Index
from robustreg.solvers.quadratics import ROUNDING
from robustreg.solvers.quadratics.proximal_point import proximal_points

# Exchanges in a row that may fail to get fewer, as [1]_ has it.
PATIENCE = 3


def minimize_l1_quadratic(
    hessian: Array, linear: Array, l1: Array, start: Array
) -> Array:
    """Return ``argmin x @ hessian @ x / 2 + linear @ x + l1 @ abs(x)``.

    Parameters
    ----------
    hessian : ndarray of shape (k, k)
        Positive semidefinite.
    linear, l1 : ndarray of shape (k,)
        The linear part and the weights of the kinks, at least 0.
    start : ndarray of shape (k,)
        A guess, whose signs count.

    Returns
    -------
    ndarray of shape (k,)
        Exactly 0 where it is 0.
    """
    solution = block_pivoting(hessian, linear, l1, start)
    if solution is not None:
        return solution
    near = start
    for near in proximal_points(hessian, linear, l1, start):
        solution = block_pivoting(hessian, linear, l1, near)
        if solution is not None:
            return solution
    return _descent(hessian, linear, l1, near)


def block_pivoting(
    hessian: Array, linear: Array, l1: Array, start: Array
) -> Array | None:
    """Return what `minimize_l1_quadratic` does, or None if it is not found at once.

    It is not where the minimum is not the only one or there is none, nor where the
    exchanges do not get fewer.
    """
    found = pivoted(hessian, linear, l1, start)
    return None if found is None else found.solution


@final
@dataclass(frozen=True)
class Pivoted:
    """A minimum, and the equations that it solves.

    Parameters
    ----------
    solution, sign : ndarray of shape (k,)
        The minimum, and its signs: 1 where there is no kink, 0 where it is 0.
    active : ndarray of int
        Where it is not.
    factor : ndarray
        The Cholesky factor of the Hessian there.
    """

    solution: Array
    sign: Array
    active: Index
    factor: Array

    def solve(self, right: Array) -> Array:
        """Return the solution of the same equations for another right-hand side."""
        x = np.zeros_like(right)
        if self.active.size:
            few = right[self.active]
            x[self.active] = scipy.linalg.lapack.dpotrs(self.factor, few, lower=1)[0]
        return x


def pivoted(hessian: Array, linear: Array, l1: Array, start: Array) -> Pivoted | None:
    """Return what `block_pivoting` does, with the equations."""
    root = np.sqrt(np.maximum(hessian.diagonal(), 0.0))
    live = root > 0
    sign = np.where(l1 > 0, np.sign(start), 1.0) * live
    fewest, patience = start.size + 1, PATIENCE
    while patience:
        active = np.flatnonzero(sign)
        factor = _positive_factor(hessian[np.ix_(active, active)])
        if factor is None:
            return None
        found = Pivoted(start, sign, active, factor)
        x = found.solve(-(linear + l1 * sign))
        solution = x[active]
        slope = solution @ hessian[active] + linear
        # An entry is no larger than the root of the product of its diagonal's.
        size = root * (root[active] @ np.abs(solution)) + np.abs(linear) + l1
        leave = active[(l1[active] > 0) & (solution * sign[active] <= 0)]
        over = (sign == 0) & (np.abs(slope) > l1 + ROUNDING * size)
        if np.any(over & ~live):
            return None
        enter = np.flatnonzero(over)
        wrong = leave.size + enter.size
        if wrong == 0:
            return replace(found, solution=x)
        patience = PATIENCE if wrong < fewest else patience - 1
        fewest = min(fewest, wrong)
        sign[leave] = 0.0
        sign[enter] = -np.sign(slope[enter])
    return None


def _positive_factor(matrix: Array) -> Array | None:
    """Return the factor of a positive definite matrix, None if it is not one."""
    if not matrix.size:
        return matrix
    factor, info = scipy.linalg.lapack.dpotrf(matrix, lower=1, clean=0)
    if info != 0 or not _well_posed(factor.diagonal(), matrix.diagonal()):
        return None
    return np.asarray(factor)


def _well_posed(pivots: Array, diagonal: Array) -> bool:
    """Return whether no column all but depends on those before it."""
    return bool(np.all(pivots**2 > ABSENT * diagonal))


def _descent(hessian: Array, linear: Array, l1: Array, start: Array) -> Array:
    """Newton on the orthant of the current signs, stopped where the first change.

    Then the largest violators enter. Finite, and good for a singular matrix, too. The
    value falls from one minimum to the next, unless rounding errors hide it: signs
    that had theirs before end the search.
    """
    x = start.copy()
    sign = np.where(l1 > 0, np.sign(x), 1.0)
    live = hessian.diagonal() > 0
    scale = np.abs(linear) + l1 + np.abs(hessian) @ np.abs(x)
    seen: set[bytes] = set()
    for _ in range(20 + 10 * x.size):
        x, sign = _orthant_minimum(hessian, linear, l1, x, sign)
        slope = hessian @ x + linear
        violation = np.where((sign == 0) & live, np.abs(slope) - l1, 0.0)
        worst = violation.max(initial=0.0)
        if worst <= ROUNDING * scale.max(initial=0.0) or sign.tobytes() in seen:
            break
        seen.add(sign.tobytes())
        enter = violation > 0.5 * worst
        sign = np.where(enter, -np.sign(slope), sign)
    return x


def _orthant_minimum(
    hessian: Array, linear: Array, l1: Array, x: Array, sign: Array
) -> tuple[Array, Array]:
    """Minimise over the coefficients with a sign, dropping those that reach 0."""
    for _ in range(2 * x.size + 2):
        active = np.flatnonzero(sign)
        right = -(linear + l1 * sign)[active]
        goal = solve_symmetric(
            hessian[np.ix_(active, active)], right, smallest_rcond=0.0
        )
        step = goal - x[active]
        signed = sign[active] * step
        bound = l1[active] > 0
        wrong = bound & (x[active] == 0) & (signed <= 0)
        if wrong.any():
            sign = sign.copy()
            sign[active[wrong]] = 0.0
            continue
        room = np.where(
            bound & (signed < 0),
            np.abs(x[active]) / np.where(signed < 0, -signed, 1.0),
            np.inf,
        )
        length = min(1.0, float(room.min(initial=np.inf)))
        x, sign = x.copy(), sign.copy()
        x[active] += length * step
        if length == 1.0:
            x[active] = goal
            return x, sign
        gone = active[room <= length]
        x[gone], sign[gone] = 0.0, 0.0
    return x, sign
