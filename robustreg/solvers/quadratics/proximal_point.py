"""A small quadratic plus an l1 part, by proximal points whose duals are smooth.

Each of a few problems adds ``sum_j ridge_j (x_j - c_j)^2 / 2`` around the last solution
c [1]_. The dual of such a problem is smooth and convex, so that Newton's method with a
line search finds it from any start, however many signs are wrong, each step at the
price of one Cholesky factor of the columns in use [2]_. The ridge makes that factor
exist where columns depend on each other; from problem to problem it falls.

References
----------
.. [1] Rockafellar, R. T. (1976). Monotone operators and the proximal point algorithm.
   SIAM Journal on Control and Optimization 14, 877-898.
.. [2] Li, X., Sun, D., Toh, K.-C. (2018). A highly efficient semismooth Newton
   augmented Lagrangian method for solving Lasso problems. SIAM Journal on Optimization
   28, 433-458.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from robustreg.rows import Array
from robustreg.solvers.quadratics import MOST_STEPS

# The first ridge in units of the diagonal, and the factor by which each next is less.
FIRST_RIDGE, LESS = 1e-2, 0.3
# A step must gain this share of what its slope promises (Armijo's rule): any will do.
ARMIJO = 1e-4


def proximal_points(
    hessian: Array, linear: Array, l1: Array, start: Array
) -> Iterator[Array]:
    """Yield points that approach the minimum.

    Of ``x @ hessian @ x / 2 + linear @ x + l1 @ abs(x)``.

    Parameters
    ----------
    hessian : ndarray of shape (k, k)
        Positive semidefinite. If its diagonal is not positive no point is yielded.
    linear, l1 : ndarray of shape (k,)
        The linear part and the weights of the kinks, at least 0.
    start : ndarray of shape (k,)
        A guess.
    """
    if not hessian.diagonal().min(initial=np.inf) > 0:
        return
    center, guess = start, start
    ridge = FIRST_RIDGE * hessian.diagonal()
    # At the last one the ridge is rounding errors of the diagonal.
    for _ in range(20):
        found = _Problem(hessian, linear, l1, center, ridge).solve(guess)
        if found is None:
            return
        center, guess = found
        yield center
        ridge = LESS * ridge


@dataclass(frozen=True)
class _Problem:
    """The quadratic with a ridge around a centre.

    Its dual is ``u @ hessian @ u / 2`` plus the conjugate of the separable rest at
    ``-hessian @ u``; where u is the solution, both are solved.
    """

    hessian: Array
    linear: Array
    l1: Array
    center: Array
    ridge: Array

    def solve(self, u: Array) -> tuple[Array, Array] | None:
        """Return the solution and the dual's from a guess of it, None if it is far."""
        image = self.hessian @ u
        for _ in range(MOST_STEPS):
            x = self._primal(image)
            left, moved = u - x, x - self.center
            slope = image - self.hessian @ x
            # The distance left, in the norm of the quadratic, is short beside that from
            # the last solution in the norm of the ridge.
            if left @ slope <= 0.1 * (self.ridge @ moved**2):
                return x, u
            step = self._newton(x, left, slope)
            if step is None:
                return None
            change = self.hessian @ step
            length = self._length(u, image, step, change, float(slope @ step))
            if length == 0.0:
                return None
            u, image = u + length * step, image + length * change
        return None

    def _primal(self, image: Array) -> Array:
        """Return what the separable rest makes of the dual: soft thresholds."""
        free = self.center - (image + self.linear) / self.ridge
        return np.sign(free) * np.maximum(np.abs(free) - self.l1 / self.ridge, 0.0)

    def _newton(self, x: Array, left: Array, slope: Array) -> Array | None:
        """Return Newton's step of the dual, by Woodbury on the columns in use."""
        step, used = -left, np.flatnonzero(x)
        if not used.size:
            return step
        matrix = self.hessian[np.ix_(used, used)]
        matrix.flat[:: used.size + 1] += self.ridge[used]
        factor, info = scipy.linalg.lapack.dpotrf(matrix, lower=1, clean=0)
        if info != 0:
            return None
        step[used] += scipy.linalg.lapack.dpotrs(factor, slope[used], lower=1)[0]
        return step

    def _length(
        self, u: Array, image: Array, step: Array, change: Array, slope: float
    ) -> float:
        """Return a length at which the dual fell enough, 0 if rounding hides any."""
        linear, square = float(step @ image), float(step @ change)

        def fall(t: float) -> float:
            moved = image + t * change
            return t * linear + 0.5 * t**2 * square + self._conjugate(moved) - base

        base, length = self._conjugate(image), 1.0
        while fall(length) > ARMIJO * length * slope:
            length *= 0.5
            if length < 2.0**-20:
                return 0.0
        return length

    def _conjugate(self, image: Array) -> float:
        """Return the conjugate of the separable rest at minus an image."""
        x = self._primal(image)
        terms = (image + self.linear) * x + self.l1 * np.abs(x)
        return -float((terms + 0.5 * self.ridge * (x - self.center) ** 2).sum())
