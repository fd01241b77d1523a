"""A small least squares problem with an l1 part, by its active set and no Gram matrix.

    |target - design x|^2 / 2 - shift @ x + l2 @ x^2 / 2 + l1 @ abs(x)

Given the signs of x that is least squares, whose singular values are those of the
columns in use; a Gram matrix would square them. From one set of signs to the next the
value falls [1]_: a column leaves where a coefficient reaches 0 on the way to the
minimum, and those whose slopes exceed their l1 parts most enter. Where columns depend
on each other only the l1 part tells them apart, and the way along their null space
leads to a coefficient of 0.

Cost: a triangle of the columns in use for each change of signs, or their singular
values where they all but depend, all with as many rows as there are columns.

References
----------
.. [1] Lawson, C. L., Hanson, R. J. (1974). Solving Least Squares Problems, chapter 23.
   Prentice-Hall.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import final

import numpy as np
import scipy.linalg

from robustreg.linalg import EPS, NO_DIRECTION, SMALLEST_RCOND
from robustreg.rows import Array, Index
from robustreg.rows.base import TIE
from robustreg.solvers.quadratics import ROUNDING

# No more changes of signs than the first number and the second for each column, and no
# more than cost the third in operations, the cube of the columns in use each: seconds.
FEWEST_CHANGES, CHANGES_A_COLUMN, MOST_WORK = 100, 10, 10**9
# Columns enter together whose slopes exceed their l1 parts by this share of the most:
# those of wrong signs leave at once, which never are all of them.
TOGETHER = 0.1


@final
@dataclass(frozen=True)
class RootQuadratic:
    """The problem of the module.

    Parameters
    ----------
    design : ndarray of shape (n_rows, n_columns)
        The columns.
    target : ndarray of shape (n_rows,)
        What is predicted.
    shift : ndarray of shape (n_columns,)
        The linear part.
    l1, l2 : ndarray of shape (n_columns,)
        The weights of the kinks and the ridge, at least 0.
    """

    design: Array
    target: Array
    shift: Array
    l1: Array
    l2: Array

    def value(self, x: Array) -> float:
        """Return the value at x."""
        missed = self.target - self.design @ x
        terms = (0.5 * self.l2 * x - self.shift) * x + self.l1 * np.abs(x)
        return float(0.5 * (missed @ missed) + terms.sum())

    def minimum(self, start: Array) -> tuple[Array, Array] | None:
        """Return x and the residuals, None if there is no minimum or it is not found.

        ``start`` is a guess of x.
        """
        if self.target.size <= start.size:
            return _Search(self, start).run()
        basis, design = scipy.linalg.qr(self.design, mode="economic")
        inside = basis.T @ self.target
        core = replace(self, design=design, target=inside)
        found = _Search(core, start).run()
        if found is None:
            return None
        x, u = found
        outside = self.target - basis @ inside
        outside -= basis @ (basis.T @ outside)
        return x, outside + basis @ u


@final
class _Search:
    """The way from a start to the minimum.

    Parameters
    ----------
    problem : RootQuadratic
        What is minimised.
    start : ndarray of shape (n_columns,)
        Where it starts.
    """

    def __init__(self, problem: RootQuadratic, start: Array) -> None:
        self.problem = problem
        self.x = start.copy()
        self.sign = np.where(problem.l1 > 0, np.sign(start), 1.0)
        self.norms = np.sqrt((problem.design**2).sum(axis=0))
        # Rows do not see these, and no ridge holds them: 0, if their l1 part does.
        self.unseen = (self.norms == 0) & (problem.l2 == 0)
        self._drop(np.flatnonzero(self.unseen))
        # A column whose entry led nowhere, by rounding errors, waits for a move.
        self.entered, self.waiting = -1, np.zeros(start.size, dtype=bool)
        self.seen: set[tuple[bytes, bytes]] = set()

    def run(self) -> tuple[Array, Array] | None:
        """Return x and the residuals, None if it has none or it is not found."""
        p, work = self.problem, 0
        if (self.unseen & (np.abs(p.shift) > p.l1)).any():
            return None
        for _ in range(FEWEST_CHANGES + CHANGES_A_COLUMN * self.x.size):
            used = np.flatnonzero(self.sign)
            work += used.size**3
            if work > MOST_WORK:
                return None
            step, residual = self._step(used)
            if not np.isfinite(step).all():
                return None
            if self._dropped(used, step):
                continue
            room = self._room(used, step)
            length = float(room.min(initial=np.inf))
            if residual is None or length < 1:
                if not np.isfinite(length):
                    return None
                self._move(used, length * step)
                self._drop(used[room <= length])
            else:
                self._move(used, step)
                if self._been_here() or not self._entered(residual):
                    return self.x, residual
        return None

    def _step(self, used: Index) -> tuple[Array, Array | None]:
        """Return the way to the minimum for these signs and the residuals there.

        Without residuals it is a direction along which the value falls for ever.
        """
        p = self.problem
        if not used.size:
            return np.zeros(0), p.target
        ridge = np.diag(np.sqrt(p.l2[used]))[p.l2[used] > 0]
        root = np.vstack([p.design[:, used], ridge])
        target = np.append(p.target, np.zeros(len(ridge)))
        unit = 1 / np.sqrt((root**2).sum(axis=0))
        pull = (p.shift - p.l1 * self.sign)[used] * unit
        left, inner, back = _by_triangle(root * unit, pull) or _by_values(
            root * unit, pull
        )
        if left is None:
            return unit * inner, None
        image = left.T @ target
        goal = unit * back(image + inner)
        residual = target - left @ image
        # Twice is enough: what is left of it lies outside the columns to rounding.
        residual -= left @ (left.T @ residual + inner)
        return goal - self.x[used], residual[: p.target.size]

    def _dropped(self, used: Index, step: Array) -> bool:
        """Return whether columns at 0 leave: their sign is not that of the step."""
        away = (self.x[used] == 0) & (self.sign[used] * step <= 0)
        gone = used[away & (self.problem.l1[used] > 0)]
        self._drop(gone)
        if self.entered in gone:
            self.waiting[self.entered] = True
        return bool(gone.size)

    def _room(self, used: Index, step: Array) -> Array:
        """Return the length of the step at which each coefficient is 0."""
        back = (self.problem.l1[used] > 0) & (self.sign[used] * step < 0)
        ratio = np.abs(self.x[used]) / np.where(back, np.abs(step), 1.0)
        return np.where(back, ratio, np.inf)

    def _move(self, used: Index, change: Array) -> None:
        """Change the coefficients in use."""
        self.x[used] += change
        largest = np.abs(self.x).max(initial=0.0)
        if np.abs(change).max(initial=0.0) > TIE * largest:
            self.waiting[:] = False

    def _drop(self, gone: Index) -> None:
        """Take columns out of use."""
        self.x[gone] = self.sign[gone] = 0.0

    def _been_here(self) -> bool:
        """Return whether these signs had their minimum before.

        The value falls from one minimum to the next, but for rounding errors.
        """
        key = self.sign.tobytes(), self.waiting.tobytes()
        before = key in self.seen
        self.seen.add(key)
        return before

    def _entered(self, residual: Array) -> bool:
        """Return whether columns enter, those of the largest violations."""
        p = self.problem
        slope = p.design.T @ residual + p.shift
        size = self.norms * np.linalg.norm(residual) + np.abs(p.shift) + p.l1
        out = (self.sign == 0) & ~self.waiting & ~self.unseen
        beyond = np.where(out, np.abs(slope) - p.l1, 0.0) / np.where(size > 0, size, 1)
        worst = int(np.argmax(beyond))
        if beyond[worst] <= ROUNDING:
            return False
        enter = np.flatnonzero(beyond > TOGETHER * beyond[worst])
        self.entered = worst
        self.sign[enter] = np.sign(slope[enter])
        return True


# An orthonormal basis of the columns, where the pull leads in it, and the way back; no
# basis if the pull leads outside, there.
Orthogonal = tuple[Array | None, Array, Callable[[Array], Array]]


def _by_triangle(root: Array, pull: Array) -> Orthogonal | None:
    """Return the columns' triangle solved for a pull, None if they all but depend."""
    if root.shape[0] < root.shape[1]:
        return _across(root, pull)
    left, upper = scipy.linalg.qr(root, mode="economic", check_finite=False)
    if not _triangle_rcond(upper) > SMALLEST_RCOND:
        return None
    back = partial(scipy.linalg.solve_triangular, upper, check_finite=False)
    return left, back(pull, trans="T"), back


def _across(root: Array, pull: Array) -> Orthogonal | None:
    """Return where a pull leads that fewer rows than columns do not see, if it does."""
    turn, upper = scipy.linalg.qr(root.T, check_finite=False)
    n_rows = len(root)
    if not _triangle_rcond(upper[:n_rows]) > SMALLEST_RCOND:
        return None
    unseen = turn[:, n_rows:]
    apart = unseen @ (unseen.T @ pull)
    if np.abs(apart).max() <= NO_DIRECTION * np.abs(pull).max():
        return None
    return None, apart, np.asarray


def _triangle_rcond(upper: Array) -> float:
    """Return the reciprocal condition number of a triangle, its own LU factor."""
    size = np.abs(upper).sum(axis=0).max()
    return float(scipy.linalg.lapack.dgecon(upper, size)[0])


def _by_values(root: Array, pull: Array) -> Orthogonal:
    """Return the same by singular values, which tell how columns depend."""
    short = max(root.shape[1] - root.shape[0], 0)
    root = np.pad(root, ((0, short), (0, 0)))
    left, size, right = scipy.linalg.svd(root, full_matrices=False)
    # Others are rounding errors of dependent columns, whose l1 parts agree.
    kept = size > 4 * EPS * max(root.shape) * size[0]

    def back(inner: Array) -> Array:
        return np.asarray(right[kept].T @ (inner / size[kept]))

    # Not as what the others leave of it, where small entries would cancel.
    apart = right[~kept].T @ (right[~kept] @ pull)
    if np.abs(apart).max() > NO_DIRECTION * np.abs(pull).max():
        return None, apart, back
    return left[: len(left) - short, kept], (right[kept] @ pull) / size[kept], back
