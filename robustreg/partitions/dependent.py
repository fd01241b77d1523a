"""Columns that depend on others, such as dummies of all levels beside an intercept.

Some of them are left out of a fit that nothing penalises, which is then an optimum of
all. In the end all have their share: of the fits with the same predictions that of
least norm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import scipy.linalg

from robustreg.fitting import Coefficients, Fit
from robustreg.linalg import NO_DIRECTION
from robustreg.partitions.engine import Engine
from robustreg.partitions.part import Part, Root, Tally
from robustreg.rows import Array, Rows, Standard, design_rank, prepared, rows_in


@final
@dataclass(frozen=True)
class Dependence:
    """Which columns are left out, and what they are worth.

    Parameters
    ----------
    standard : Standard
        The coordinates of all columns.
    kept : ndarray of bool of shape (n_features,)
        Columns of which none depends on the others.
    directions : ndarray of shape (n_features, k)
        Orthonormal coefficients that predict 0, in these coordinates.
    """

    standard: Standard
    kept: Array
    directions: Array

    @property
    def reduced(self) -> Standard:
        """The coordinates with the other columns left out."""
        return replace(self.standard, unit=np.where(self.kept, self.standard.unit, 0.0))

    def shared(self, fit: Fit) -> Fit:
        """Return the fit with the same predictions and the least coefficients."""
        start = fit.s_estimate
        if start is not None:
            start = Coefficients(*self._least(start.coef, start.intercept))
        coef, intercept = self._least(fit.coef, fit.intercept)
        return replace(fit, coef=coef, intercept=intercept, s_estimate=start)

    def _least(self, coef: Array, intercept: Any) -> tuple[Array, float]:
        """Return the coefficients and the intercept of least norm."""
        params = self.standard.from_original(coef, intercept)
        params[:-1] -= self.directions @ (self.directions.T @ params[:-1])
        coef, intercept = self.standard.to_original(params)
        return coef, float(intercept)


def dependence(engine: Engine, rows: Rows, weight: Array) -> Dependence | None:
    """Return how columns depend on each other, None if they do not.

    Where the sample's do, a pass tells of all rows'.

    Parameters
    ----------
    engine : Engine
        Where the rows are.
    rows : Rows
        The sample's.
    weight : ndarray of shape (n_rows,)
        Their weights.
    """
    if design_rank(rows, weight) == np.count_nonzero(rows.varies):
        return None
    standard, columns = rows.standard, np.flatnonzero(rows.standard.unit)
    matrix = engine.run(root, standard).sums[0].matrix
    norms = np.linalg.norm(matrix, axis=0)
    matrix = matrix / norms
    _, size, vectors = scipy.linalg.svd(matrix)
    rank = int(np.count_nonzero(size > NO_DIRECTION * size.max(initial=0.0)))
    if rank == columns.size:
        return None
    order = scipy.linalg.qr(matrix, mode="r", pivoting=True)[1]
    kept = np.zeros(standard.unit.size, dtype=bool)
    kept[columns[order[:rank]]] = True
    directions = np.zeros((kept.size, columns.size - rank))
    directions[columns], _ = np.linalg.qr(vectors[rank:].T / norms[:, None])
    return Dependence(standard, kept, directions)


def root(part: Part, standard: Standard) -> Tally:
    """Return a root of the Gram matrix of the columns that vary, whatever the weights.

    Merged by orthogonal steps, so that no digits are squared away.
    """
    rows = rows_in(prepared(part.X), standard)
    there = np.ones(part.weight.size)
    return Tally((Root(rows.root(there, np.flatnonzero(standard.unit))),))
