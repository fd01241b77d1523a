"""A Hessian that is never formed, for solvers that need its products alone."""

from __future__ import annotations

from typing import final

import numpy as np

from robustreg.linalg import jacobi
from robustreg.rows import Array, Index, Rows, strata


@final
class HessianOperator:
    """The Hessian ``design.T @ diag(c) @ design + diag(penalty)``, never formed.

    Of sparse rows those with curvature are copied, which costs about one product.

    Parameters
    ----------
    rows : Rows
        The design.
    c : ndarray of shape (n_rows,)
        Curvature of each row.
    penalty : ndarray of shape (n_params,)
        Curvature of the penalty.
    """

    def __init__(self, rows: Rows, c: Array, penalty: Array) -> None:
        self.stored = rows.stored
        self.penalty = penalty
        self._counted, self._rows, self._c = rows, rows, c
        if rows.stored is not None:
            live = np.flatnonzero(c)
            self._rows, self._c = rows.take(live), c[live]

    def product(self, v: Array) -> Array:
        """Return ``hessian @ v``, in one pass over the rows with curvature."""
        self._counted.passes += self._rows.n_rows / max(self._counted.n_rows, 1)
        image = self.penalty * v
        for place, block in self._rows.blocks():
            image += block.adjoint(self._c[place] * block.predict(v))
        return image

    def diagonal(self) -> Array:
        """Return the diagonal, for preconditioning: of the rows' curvature's size."""
        if self._rows is not self._counted:
            self._counted.count_pass(self._c)
        return self._rows.gram_diagonal(np.abs(self._c)) + self.penalty

    def sampled_block(self, columns: Index, n_sampled: int, diagonal: Array) -> Array:
        """Return about the Hessian on some params, correlations from a sample of rows.

        A random row of each of ``n_sampled`` stretches; the diagonal is as given.
        """
        n, c = self._rows.n_rows, np.abs(self._c)
        if n > n_sampled:
            drawn = strata(n, n_sampled).astype(np.intp)
            gram = self._rows.take(drawn).gram(c[drawn], columns)
        else:
            gram = self._rows.gram(c, columns)
        data = np.maximum(diagonal - self.penalty, 0.0)[columns]
        scale = jacobi(gram.diagonal()) * np.sqrt(data)
        block = gram * np.outer(scale, scale)
        block[np.diag_indices_from(block)] = diagonal[columns]
        return np.asarray(block)
