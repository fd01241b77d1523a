"""More params than rows under an l2 penalty: the same problem with a param per row.

If d is the curvature of the penalty, the optimum is ``coef = design.T @ u / d`` for
some u, one number per row (the representer theorem [1]_). With a factor L of the
kernel, ``L @ L.T = design @ diag(1 / d) @ design.T``, and ``u = inv(L).T @ z``,
predictions are ``L @ z`` and the penalty is ``z @ z / 2``: a problem with the design L
and a ridge of 1.

Cost: n^2 p for the kernel and n^3 / 3 for its factor, once; no later step sees p. An
ill-conditioned kernel takes an orthogonal factorisation instead, for 4 n^2 p and a
dense copy of the design.

References
----------
.. [1] Kimeldorf, G., Wahba, G. (1971). Some results on Tchebycheffian spline functions.
   Journal of Mathematical Analysis and Applications 33, 82-95.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import scipy.linalg

from robustreg.linalg import EPS, SMALLEST_RCOND
from robustreg.objective import Objective, Point
from robustreg.penalties import ElasticNet
from robustreg.rows import Array, DenseRows, Standard
from robustreg.tolerance import RESOLVED, residual_error

# Columns that are made dense and centred at a time: enough for the speed of a matrix
# product, and few beside what there may be.
BLOCK_COLUMNS = 1024


@dataclass(frozen=True)
class RowSpace:
    """The reduced problem and the way to it and back.

    Parameters
    ----------
    objective : Objective
        The reduced problem.
    inverse : ndarray of shape (n_reduced, n_rows)
        Left inverse of the reduced design: z of given predictions.
    lift : callable
        The params of z, without its intercept.
    """

    objective: Objective
    inverse: Array
    lift: Callable[[Array], Array]

    def slopes(self, point: Point) -> Array:
        """Return the slopes at a reduced point; their adjoint is that of its z.

        They are the representer's numbers u over the weights wherever those cannot be
        told from the loss's slopes at residuals with their rounding errors: where the
        fit all but interpolates, such slopes are rounding errors themselves.
        """
        objective, z = self.objective, point.params[:-1]
        weight, loss = objective.weight, objective.loss
        own = loss.gradient(point.residual)
        every = np.arange(own.size)
        error = RESOLVED * residual_error(objective, point, every)
        u = np.divide(self.inverse.T @ z, weight, where=weight > 0, out=own.copy())
        near = np.abs(u - own) <= error * loss.curvature(point.residual)
        return np.where(near, u, own)

    def reduced(self, full: Objective, params: Array) -> Array:
        """Return the reduced params of the projection of params on the row space."""
        features = np.append(params[:-1], 0.0)
        return np.append(self.inverse @ full.rows.predict(features), params[-1])

    def restored(self, params: Array) -> Array:
        """Return the params of reduced ones."""
        full = self.lift(params[:-1])
        full[-1] += params[-1]
        return full


def row_space(objective: Objective) -> RowSpace:
    """Return the reduced problem of an objective whose penalty curves all coefficients.

    Coefficients of columns that do not vary need no curvature: they are 0.
    """
    blocks = _Blocks(objective)
    found = _by_cholesky(blocks)
    design, inverse, lift = _by_orthogonal_steps(blocks) if found is None else found
    n_reduced = design.shape[1]
    constant = objective.rows.standard.constant
    standard = Standard(np.zeros(n_reduced), np.ones(n_reduced), constant)
    small = Objective(
        DenseRows(design, standard),
        objective.target,
        objective.weight,
        objective.loss,
        ElasticNet(np.zeros(n_reduced), np.ones(n_reduced)),
    )
    space = RowSpace(small, inverse, lift)
    if objective.watch is not None:
        watch = objective.watch
        small.watch = lambda point, params: watch(point, space.restored(params))
    return space


@final
class _Blocks:
    """The features over the root of the penalty's curvature, some columns at a time."""

    def __init__(self, objective: Objective) -> None:
        design, self.offset = objective.rows.entries()
        self.sparse = objective.rows.stored is not None
        self.matrix = design[:, :-1].tocsc() if self.sparse else design[:, :-1]
        curvature = objective.l2[:-1]
        positive = curvature > 0
        self.unit = np.where(positive, 1 / np.sqrt(np.where(positive, curvature, 1)), 0)
        self.n_rows = objective.rows.n_rows
        standard = objective.rows.standard
        self.constant = standard.constant
        # Entries of a column far from 0 carry the rounding errors of its offset.
        offset = np.abs(standard.shift) * standard.unit * self.unit
        self.rounding = EPS * float(offset.max(initial=0.0))

    def __iter__(self) -> Iterator[tuple[slice, Array]]:
        for start in range(0, self.unit.size, BLOCK_COLUMNS):
            place = slice(start, start + BLOCK_COLUMNS)
            block = self.matrix[:, place]
            block = block.toarray() if self.sparse else block
            yield place, (block - self.offset[place]) * self.unit[place]

    def adjoint(self, u: Array) -> Array:
        """Return ``self.T @ u``."""
        return np.asarray(self.unit * (self.matrix.T @ u - self.offset * u.sum()))


Factors = tuple[Array, Array, Callable[[Array], Array]]


def _by_cholesky(blocks: _Blocks) -> Factors | None:
    """Return L, its inverse and the lift, or None if the kernel has too few digits.

    Centred columns leave the kernel singular. One more column, a constant that the
    penalty sees, changes no optimum beside an intercept that it does not, and mends it.
    """
    kernel = np.zeros((blocks.n_rows, blocks.n_rows))
    for _, block in blocks:
        kernel += block @ block.T
    constant = blocks.constant * float(np.mean(kernel.diagonal()))
    kernel += constant
    norm = float(np.abs(kernel).sum(axis=0).max(initial=0.0))
    factor, info = scipy.linalg.lapack.dpotrf(kernel, lower=1, clean=1)
    rcond = scipy.linalg.lapack.dpocon(factor, norm, uplo="L")[0] if info == 0 else 0
    if rcond <= SMALLEST_RCOND:
        return None
    inverse = scipy.linalg.lapack.dtrtri(factor, lower=1)[0]

    def lift(z: Array) -> Array:
        u = inverse.T @ z
        return np.append(blocks.unit * blocks.adjoint(u), constant * u.sum())

    return factor, inverse, lift


def _by_orthogonal_steps(blocks: _Blocks) -> Factors:
    """Return what Cholesky would, of full column rank, without squaring conditions."""
    tall = np.empty((blocks.unit.size, blocks.n_rows))
    for place, block in blocks:
        tall[place] = block.T
    basis, root = scipy.linalg.qr(tall, mode="economic", overwrite_a=True)
    left, size, turned = scipy.linalg.svd(root)
    kept = size > blocks.n_rows * (EPS * size[0] + blocks.rounding)
    left, size, turned = left[:, kept], size[kept], turned[kept]
    inverse = turned / size[:, None]

    def lift(z: Array) -> Array:
        return np.append(blocks.unit * (basis @ (left @ z)), 0.0)

    return turned.T * size, inverse, lift
