"""A quadratic of more columns than rows, a faint ridge and an l1 part, by its dual.

    |target - design x - b free|^2 / 2 - shift @ x + l2 @ x^2 / 2 + l1 @ abs(x)

is least where ``x = soft(design.T @ u + shift, l1) / l2`` for the residuals u, one
number per row [1]_; a constraint on ``free @ u`` settles b. Given the signs of x those
are linear equations for u. The ridge divides there, while a Gram matrix of the columns
adds it to numbers whose rounding errors hide it. Wrong signs show at once, and are
exchanged together as far as the dual, which is smooth, falls: Newton's method with a
line search.

Cost: ``n^2 p`` for each guess of the signs, n rows and p columns.

References
----------
.. [1] Li, X., Sun, D., Toh, K.-C. (2018). A highly efficient semismooth Newton
   augmented Lagrangian method for solving Lasso problems. SIAM Journal on Optimization
   28, 433-458.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.linalg
from scipy.optimize import brentq

from robustreg.rows import Array
from robustreg.solvers.descent import LENGTH_RTOL
from robustreg.solvers.quadratics import MOST_STEPS, ROUNDING

# Steps are cut by this factor until the dual falls to their end, but no further.
SHORTER, SHORTEST = 0.1, 1e-20


@dataclass(frozen=True)
class RowsQuadratic:
    """The quadratic, and what the residuals meet.

    Parameters
    ----------
    design : ndarray of shape (n_rows, n_columns)
        The columns of x.
    free : ndarray of shape (n_rows,)
        The column of b, 0 throughout if there is none.
    target : ndarray of shape (n_rows,)
        What is predicted.
    shift : ndarray of shape (n_columns,)
        The linear part.
    total : float
        What ``free @ u`` is to be.
    l1, l2 : ndarray of shape (n_columns,)
        The weights of the kinks, at least 0, and the ridge, positive.
    """

    design: Array
    free: Array
    target: Array
    shift: Array
    total: float
    l1: Array
    l2: Array

    @cached_property
    def norms(self) -> Array:
        """The norms of the columns."""
        return np.sqrt(np.einsum("ij,ij->j", self.design, self.design))

    def minimum(self, start: Array) -> tuple[Array, float, Array] | None:
        """Return x, b and the residuals u, or None if rounding errors prevent that.

        ``start`` is a guess of x, whose signs count.
        """
        found = self._given(np.sign(start))
        for _ in range(MOST_STEPS):
            if found is None:
                return None
            _, u = found
            sign = self._signs(u)
            found = self._given(sign)
            if found is None:
                return None
            b, goal = found
            slope = self.design.T @ goal + self.shift
            if self._agrees(sign, slope, goal):
                x = np.where(sign != 0, (slope - self.l1 * sign) / self.l2, 0.0)
                return self._refined(sign, x, b, goal)
            moved = u + self._length(u, goal - u) * (goal - u)
            if np.array_equal(moved, u):
                return None
            found = b, moved
        return None

    def _refined(
        self, sign: Array, x: Array, b: float, u: Array
    ) -> tuple[Array, float, Array]:
        """Return a solution without the rounding errors that a faint ridge magnified.

        The columns shall miss the target by u: by what they do not, the equations for
        their signs are solved again, as long as that halves it.
        """
        zeros, least = np.zeros_like(x), np.inf
        enough = ROUNDING * np.abs(self.target).max()
        best = x, b, u
        while True:
            missed = self.target - self.design @ x - b * self.free - u
            size = float(np.abs(missed).max())
            if not size <= 0.5 * least:
                return best
            best, least = (x, b, u), size
            total = self.total - float(self.free @ u)
            left = replace(self, target=missed, shift=zeros, total=total, l1=zeros)
            found = left._given(sign) if size > enough else None
            if found is None:
                return best
            x = x + np.where(sign != 0, (self.design.T @ found[1]) / self.l2, 0.0)
            b, u = b + found[0], u + found[1]

    def _signs(self, u: Array) -> Array:
        """Return the signs of the x that belongs to residuals."""
        slope = self.design.T @ u + self.shift
        return np.where(np.abs(slope) > self.l1, np.sign(slope), 0.0)

    def _agrees(self, sign: Array, slope: Array, u: Array) -> bool:
        """Return whether slopes have the signs that they were made for, to rounding."""
        size = self.norms * np.linalg.norm(u) + np.abs(self.shift) + self.l1
        beyond = np.where(sign != 0, self.l1 - sign * slope, np.abs(slope) - self.l1)
        free = (sign != 0) & (self.l1 == 0)
        return bool((free | (beyond <= ROUNDING * size)).all())

    def _length(self, u: Array, step: Array) -> float:
        """Return where the dual is least along a step: its slope rises."""
        slope, change = self.design.T @ u + self.shift, self.design.T @ step
        linear = float(step @ (u - self.target))
        square = float(step @ step)

        def rise(t: float) -> float:
            moved = slope + t * change
            over = np.sign(moved) * np.maximum(np.abs(moved) - self.l1, 0.0)
            return linear + t * square + float(change @ (over / self.l2))

        # Too few columns in use leave most of u to the identity beside their kernel:
        # such a step is too long by as much as the ridge is faint.
        short = 1.0
        while rise(short) > 0 and short > SHORTEST:
            short *= SHORTER
        if short == 1.0 or short <= SHORTEST:
            return short
        return float(brentq(rise, short, short / SHORTER, rtol=LENGTH_RTOL))

    def _given(self, sign: Array) -> tuple[float, Array] | None:
        """Return b and u for the signs of x, None if they leave these open.

        Centred columns leave their kernel singular along the free one. That times
        itself, added to both sides, changes nothing and mends it.
        """
        used = np.flatnonzero(sign)
        over = self.design[:, used] / self.l2[used]
        kernel = over @ self.design[:, used].T
        price = float(kernel.diagonal().mean())
        kernel += price * np.outer(self.free, self.free)
        kernel.flat[:: self.target.size + 1] += 1.0
        right = self.target - over @ (self.shift - self.l1 * sign)[used]
        right += price * self.total * self.free
        factor, info = scipy.linalg.lapack.dpotrf(kernel, lower=1)
        if info != 0:
            return None
        u = scipy.linalg.lapack.dpotrs(factor, right, lower=1)[0]
        if not self.free.any():
            return 0.0, u
        image = scipy.linalg.lapack.dpotrs(factor, self.free, lower=1)[0]
        b = float((self.free @ u - self.total) / (self.free @ image))
        return b, u - b * image
