"""Small dense systems: the few factorisations that solvers share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Array = NDArray[Any]
Index = NDArray[np.intp]
# The distance from 1 to the next number.
EPS = float(np.finfo(np.float64).eps)
# The smallest number that has all of its digits.
TINY = float(np.finfo(np.float64).tiny)
# What is no more than this share of its terms has lost half of its digits.
HALF_OF_DIGITS = EPS**0.5
# Squares of numbers up to this, and what multiplies them, are floating point numbers.
SQUARABLE = 1e100
# Sums of squares of numbers up to this are floating point numbers, however many.
SUMMABLE = 1e140
# The largest number.
LARGEST = float(np.finfo(np.float64).max)
# Sums of many terms have rounding errors of no more than this share of these: what is
# as small beside them is 0, and numbers that differ by it are equal.
SUM_ERROR = 1e-9
# A sum that misses another by no more than this many rounding errors of its terms may
# be the same in exact arithmetic.
ROUNDINGS = 64.0
# Answers that differ by no more than this share are the same, in any precision.
SAME = 1e-6
# What is no more than this share of the largest of its kind is nothing beside it: it
# may be what rounding left, also of squares.
FAINT = 1e-6
# What is no more than this share of a sum hardly changes how it is rounded.
NEGLIGIBLE = 1e-14
# What is no more than this share of the terms that it is a difference of is what their
# rounding left.
CANCELLED = 16 * EPS
# Residuals of this many rounding errors are those of an exact fit.
NOISE_LEVELS = 1e3
# What is this many times as large as others costs them no more than three of their
# sixteen digits.
FAR = 1e3
# Of more unknowns no matrix of all pairs is made: it takes 32 MB, and grows as the
# square.
MOST_DIRECT_PARAMS = 2000
# Of data with more entries no dense copy is made, 80 MB, and nothing in extended
# precision, which without BLAS costs more than the fit.
MOST_COPIED = 10**7
# With no more entries than this a way that costs many times as much as the usual one is
# taken wherever that has lost its digits.
FEW_ENTRIES = 10**5
# Below this reciprocal condition number a scaled Gram matrix has too few digits.
SMALLEST_RCOND = 1e-9
# Singular values this small beside the largest are rounding errors.
NO_DIRECTION = 1e-10
# Below this a pivot of a scaled Gram matrix is that of a dependent column.
ABSENT = 1e-12
# Below this the errors of a solution by a Cholesky factor, EPS over it, are not small.
SINGULAR = 1e-13


def jacobi(diagonal: Array) -> Array:
    """Return the scaling that gives a unit diagonal; 0 for an empty column."""
    if diagonal.size and diagonal.min() > 0:
        return 1 / np.sqrt(diagonal)
    positive = diagonal > 0
    return np.where(positive, 1 / np.sqrt(np.where(positive, diagonal, 1.0)), 0.0)


@final
@dataclass(frozen=True)
class Factor:
    """The Cholesky factor of a scaled positive definite matrix.

    Parameters
    ----------
    scale : ndarray of shape (n,)
        The scaling; 0 for a column of zeros, whose unknown is 0.
    lower : ndarray of shape (n, n)
        The factor of the scaled matrix.
    rcond : float
        Reciprocal condition number of the scaled matrix; 0, and the factor of no use,
        if it is not positive definite.
    """

    scale: Array
    lower: Array
    rcond: float

    def solve(self, right: Array) -> Array:
        """Return the solution for a right-hand side."""
        inner = scipy.linalg.lapack.dpotrs(self.lower, self.scale * right, lower=1)[0]
        return np.asarray(self.scale * inner)

    def solve_each(self, right: Array) -> Array:
        """Return the solutions for k right-hand sides, an array of shape (k, n)."""
        scaled = (self.scale * right).T
        inner = scipy.linalg.lapack.dpotrs(self.lower, scaled, lower=1)[0]
        return np.asarray(self.scale * inner.T)


def factorise(matrix: Array) -> Factor:
    """Return the Cholesky factor of a positive matrix after scaling."""
    scale = jacobi(matrix.diagonal())
    scaled = scale[:, None] * scale
    scaled *= matrix
    if scale.size and scale.min() == 0:
        if matrix.diagonal().min() < 0:
            return Factor(scale, scaled, 0.0)
        scaled.flat[:: scale.size + 1] += scale == 0
    norm = float(scipy.linalg.lapack.dlange("1", scaled.T)) if scale.size else 0.0
    # LAPACK stores by columns: the transpose is factorised in place, without a copy.
    lower, info = scipy.linalg.lapack.dpotrf(scaled.T, lower=1, overwrite_a=1)
    if info != 0:
        return Factor(scale, lower, 0.0)
    return Factor(
        scale, lower, float(scipy.linalg.lapack.dpocon(lower, norm, uplo="L")[0])
    )


def factor_of_root(root: Array) -> Factor:
    """Return the factor of ``root.T @ root``, whose digits it keeps.

    Its ``rcond`` is what that of the product would be, and no measure of these digits.
    """
    norms = np.linalg.norm(root, axis=0)
    scale = jacobi(norms**2)
    upper = scipy.linalg.qr(root * scale, mode="r")[0][: norms.size]
    upper.flat[:: norms.size + 1] += scale == 0
    size = scipy.linalg.svdvals(upper)
    return Factor(scale, upper.T, float(size.min() / size.max()) ** 2)


def cholesky_solve(matrix: Array, right: Array) -> tuple[Array, float]:
    """Solve a positive system; return the reciprocal condition of `factorise` too."""
    factor = factorise(matrix)
    if factor.rcond == 0:
        return np.zeros_like(right), 0.0
    return factor.solve(right), factor.rcond


def dependent_solve(matrix: Array, right: Array) -> Array | None:
    """Solve a consistent system of exactly dependent columns, or return None.

    Pivoted Cholesky of the scaled matrix [1]_: its pivots must fall from clearly
    positive to rounding size at one place, and those that are left must not be
    negative, as they are where the matrix is indefinite. Dependent unknowns are 0.

    References
    ----------
    .. [1] Higham, N. J. (2002). Accuracy and Stability of Numerical Algorithms, 2nd
       edition, section 10.3. SIAM.
    """
    diagonal = matrix.diagonal()
    scale = jacobi(diagonal)
    scaled = matrix * np.outer(scale, scale)
    factor, pivot, rank, _ = scipy.linalg.lapack.dpstrf(scaled, tol=ABSENT, lower=1)
    kept = pivot[:rank] - 1
    left = np.diagonal(factor)[:rank]
    if rank == 0 or left.min() ** 2 < SMALLEST_RCOND:
        return None
    rest = scaled.diagonal()[pivot[rank:] - 1] - (factor[rank:, :rank] ** 2).sum(axis=1)
    if min(rest.min(initial=0.0), diagonal.min() / diagonal.max()) < -ABSENT:
        return None
    solution = np.zeros_like(right)
    inner = scipy.linalg.lapack.dpotrs(
        factor[:rank, :rank], (scale * right)[kept], lower=1
    )[0]
    solution[kept] = inner
    return scale * solution


def solve_symmetric(
    matrix: Array, right: Array, smallest_rcond: float = SINGULAR
) -> Array:
    """Solve a positive semidefinite system; of least scaled norm if singular."""
    solution, rcond = cholesky_solve(matrix, right)
    if rcond > smallest_rcond:
        return solution
    scale = jacobi(matrix.diagonal())
    size, basis = scipy.linalg.eigh(matrix * np.outer(scale, scale))
    kept = size > EPS * size.size * size[-1]
    basis = basis[:, kept]
    return np.asarray(scale * (basis @ ((basis.T @ (scale * right)) / size[kept])))


@final
class Square:
    """The LU factors of a square matrix and its reciprocal condition number.

    The factors are of no use if that is 0, as it is for an empty matrix.
    """

    def __init__(self, matrix: Array) -> None:
        self.rcond = 0.0
        # LAPACK prints that an empty matrix is illegal.
        if not matrix.size:
            return
        self._lu, self._pivot, info = scipy.linalg.lapack.dgetrf(matrix)
        norm = float(scipy.linalg.lapack.dlange("1", matrix))
        rcond = scipy.linalg.lapack.dgecon(self._lu, norm)[0] if info == 0 else 0.0
        self.rcond = float(rcond)

    def solve(self, right: Array, transposed: bool = False) -> Array:
        """Return the solution for a right-hand side, of the transpose if asked for."""
        getrs = scipy.linalg.lapack.dgetrs
        return np.asarray(getrs(self._lu, self._pivot, right, trans=int(transposed))[0])


def pivots(matrix: Array) -> Index:
    """Return rows of a matrix, as many as columns, that have its rank.

    Of rows that would do as well those that are larger.
    """
    swaps = scipy.linalg.lapack.dgetrf(matrix)[1]
    order = np.arange(len(matrix))
    for place, other in enumerate(swaps):
        order[[place, other]] = order[[other, place]]
    return order[: swaps.size]


@final
class Exchanged:
    """A square system some of whose rows are exchanged for others, at little cost.

    Parameters
    ----------
    square : Square
        The system before.
    places : ndarray of shape (k,)
        Where the rows are that are exchanged, one or more.
    moves : ndarray of shape (n, k)
        The solutions of the system before for a 1 at each of the places.
    rows : ndarray of shape (k, n)
        What takes their place.
    """

    def __init__(self, square: Square, places: Index, moves: Array, rows: Array):
        self._square, self._places, self._moves, self._rows = (
            square,
            places,
            moves,
            rows,
        )
        self._core = Square(rows @ moves)
        self.rcond = self._core.rcond

    def solve(self, right: Array, transposed: bool = False) -> Array:
        """Return the solution for a right-hand side, of the transpose if asked for."""
        if transposed:
            turn = self._core.solve(self._moves.T @ right, transposed=True)
            result = self._square.solve(right - turn @ self._rows, transposed=True)
            result[self._places] = turn
            return result
        rest = right.copy()
        rest[self._places] = 0.0
        result = self._square.solve(rest)
        left = right[self._places] - self._rows @ result
        return np.asarray(result + self._moves @ self._core.solve(left))


def least_norm_solve(matrix: Array, right: Array) -> tuple[Array, bool]:
    """Solve a square system; of least norm if singular, and whether it is regular.

    LU factors, if they will do, cost a tenth of QR with pivoting. Where they will not,
    rounding errors may pass for a rank that is not there.
    """
    square = Square(matrix)
    if square.rcond > SMALLEST_RCOND:
        return square.solve(right), True
    return least_norm_fit(matrix, right, EPS * right.size)[0], False


def least_norm_fit(matrix: Array, right: Array, rcond: float) -> tuple[Array, int]:
    """Return the least squares solution, of least norm, and the rank.

    Directions of a singular value below ``rcond`` times the largest count as none.
    """
    # The right-hand side may be of a longer type, which LAPACK does not have.
    right = right.astype(np.float64, copy=False)
    solution, _, rank, _ = scipy.linalg.lstsq(
        matrix, right, cond=rcond, lapack_driver="gelsy"
    )
    return solution, int(rank)


def conjugate_gradients(
    product: Callable[[Array], Array],
    right: Array,
    diagonal: Array,
    rtol: float,
    max_iter: int,
    precondition: Callable[[Array], Array] | None = None,
) -> Array:
    """Solve a positive semidefinite system by preconditioned conjugate gradients [1]_.

    The preconditioner is the positive ``diagonal``, unless another one is given.
    Stops when the preconditioned residual norm fell to ``rtol`` of the first.

    References
    ----------
    .. [1] Nocedal, J., Wright, S. J. (2006). Numerical Optimization, 2nd edition,
       algorithm 5.3. Springer.
    """
    solve = precondition or (lambda v: v / diagonal)
    x, residual = np.zeros_like(right), right.copy()
    z = solve(residual)
    direction, square = z, float(residual @ z)
    goal = rtol * rtol * square
    for _ in range(max_iter):
        if square <= goal or square == 0:
            break
        image = product(direction)
        curvature = float(direction @ image)
        # A direction of the null space, or what rounding made of one.
        if curvature <= CANCELLED * float(direction @ (diagonal * direction)):
            break
        length = square / curvature
        x = x + length * direction
        residual = residual - length * image
        z = solve(residual)
        square, previous = float(residual @ z), square
        direction = z + (square / previous) * direction
    return x
