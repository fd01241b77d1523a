"""Columns that depend on others, such as dummies of all levels beside an intercept.

Some of them are left out of a fit that nothing penalises, which is then an optimum of
all. In the end all have their share: of the fits with the same predictions that of
least norm. Columns that all but depend have a basis of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import scipy.linalg

from robustreg.fitting import Coefficients, Fit
from robustreg.linalg import EPS, NO_DIRECTION, SMALLEST_RCOND, factorise
from robustreg.partitions.engine import Engine
from robustreg.partitions.part import Part, Root, Tally
from robustreg.partitions.sampling import Drawn
from robustreg.penalties import ElasticNet
from robustreg.rows import Array, Index, Rows, Standard, prepared, rows_in
from robustreg.solvers.orthogonal import Basis, basis_of


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
    basis : Basis or None
        The coordinates of a fit in which no columns all but depend on each other, if
        those that are kept do.
    """

    standard: Standard
    kept: Array
    directions: Array
    basis: Basis | None

    def rows(self, some: Drawn) -> Rows:
        """Return the rows of a sample as they are fitted."""
        if self.basis is not None:
            return self.basis.rows(some.rows_in(self.standard))
        unit = np.where(self.kept, self.standard.unit, 0.0)
        return some.rows_in(replace(self.standard, unit=unit))

    def shared(self, fit: Fit) -> Fit:
        """Return the fit with the same predictions and the least coefficients."""
        start = fit.s_estimate
        if start is not None:
            start = Coefficients(*self._least(start.coef, start.intercept))
        coef, intercept = self._least(fit.coef, fit.intercept)
        return replace(fit, coef=coef, intercept=intercept, s_estimate=start)

    def _least(self, coef: Array, intercept: Any) -> tuple[Array, float]:
        """Return the coefficients and the intercept of least norm."""
        if self.basis is None:
            params = self.standard.from_original(coef, intercept)
        else:
            params = self.basis.lifted(np.append(coef, intercept))
        params[:-1] -= self.directions @ (self.directions.T @ params[:-1])
        coef, intercept = self.standard.to_original(params)
        return coef, float(intercept)


def dependence(
    engine: Engine, some: Drawn, rows: Rows, penalty: ElasticNet, typical: bool
) -> Dependence | None:
    """Return how columns depend on each other, None if they do not.

    Where the sample's do, a pass tells of all rows'.

    Parameters
    ----------
    engine : Engine
        Where the rows are.
    some : Drawn
        The sample.
    rows : Rows
        Its rows.
    penalty : ElasticNet
        That of the coefficients in the units of these rows.
    typical : bool
        Whether a fit may reject rows far out, which then count as others do.
    """
    columns, standard = np.flatnonzero(rows.varies[:-1]), rows.standard
    ridge, is_sparse = penalty.l2[columns], rows.stored is not None
    # Under an l1 penalty columns are what they are, and sparse ones stay sparse.
    unserved = penalty.l1.any() or (is_sparse and ridge.any())
    weight = some.part.weight * (_per_square(rows.norms()) if typical else 1.0)
    if unserved or _keeps_digits(rows, weight, columns, ridge):
        return None
    tally = engine.run(root, standard)
    by_direction, of_rows = (each.matrix for each in tally.sums)
    of_rows = by_direction if typical else of_rows
    of_rows = of_rows / np.sqrt(some.moments.total)
    left_in, nothing = np.arange(columns.size), np.zeros((columns.size, 0))
    if not ridge.any():
        left_in, nothing = _independent(by_direction)
    matrix = np.vstack([of_rows, np.diag(np.sqrt(ridge))])[:, left_in]
    regular = is_sparse or _is_regular(matrix)
    if regular and left_in.size == columns.size:
        return None
    of_columns = np.eye(penalty.l2.size)[:, columns]
    kept = np.asarray(of_columns[:, left_in].any(axis=1))
    basis = None
    if not regular:
        free = of_columns @ scipy.linalg.qr(nothing)[0][:, nothing.shape[1] :]
        asked = np.zeros(penalty.l2.size), of_rows @ of_columns.T, free, penalty.l2
        basis = basis_of(standard, *asked, EPS * free.shape[1])
    directions = of_columns @ nothing
    return Dependence(standard, kept, directions, basis)


def _keeps_digits(rows: Rows, weight: Array, columns: Index, ridge: Array) -> bool:
    """Return whether the Gram matrix of a sample tells its columns from each other."""
    gram = rows.gram(weight / weight.sum(), columns)
    gram.flat[:: columns.size + 1] += ridge
    factor = factorise(gram)
    return bool(factor.rcond >= SMALLEST_RCOND and factor.scale.all())


def _per_square(norms: Array) -> Array:
    """Return weights by which all rows count alike, 0 for those of no length."""
    some = norms > 0
    return np.where(some, 1 / np.where(some, norms, 1.0) ** 2, 0.0)


def _is_regular(matrix: Array) -> bool:
    """Return whether a Gram matrix keeps digits, given a root of it."""
    size = scipy.linalg.svdvals(matrix / np.linalg.norm(matrix, axis=0))
    return bool(
        size.min(initial=1.0) ** 2 >= SMALLEST_RCOND * size.max(initial=1.0) ** 2
    )


def _independent(matrix: Array) -> tuple[Index, Array]:
    """Return columns of a root that do not depend on others, and what predicts 0."""
    norms = np.linalg.norm(matrix, axis=0)
    _, size, vectors = scipy.linalg.svd(matrix / norms)
    rank = int(np.count_nonzero(size > NO_DIRECTION * size.max(initial=0.0)))
    order = scipy.linalg.qr(matrix / norms, mode="r", pivoting=True)[1]
    nothing, _ = np.linalg.qr(vectors[rank:].T / norms[:, None])
    return np.sort(order[:rank]), nothing


def root(part: Part, standard: Standard) -> Tally:
    """Return two roots of Gram matrices of the columns that vary.

    One whatever the weights, of rows over their norms, so that none hides what others
    tell of the columns; and one of the weighted rows.
    """
    rows, columns = rows_in(prepared(part.X), standard), np.flatnonzero(standard.unit)
    both = _per_square(rows.norms()), part.weight
    return Tally(tuple(Root(rows.root(each, columns)) for each in both))
