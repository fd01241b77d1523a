"""Coordinates of their own for columns that all but depend on each other.

Or that one row far out makes look so. A root of the Gram matrix of all rows has a
singular value decomposition ``U S V.T``; in the coordinates ``z = S V.T coef`` no
Gram matrix loses its digits, and a ridge stays one, of ``1 / S^2`` each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
import scipy.linalg

from robustreg.linalg import EPS
from robustreg.partitions.part import Part
from robustreg.penalties import ElasticNet
from robustreg.rows import Array, Rows, Standard, prepared, rows_in


@final
@dataclass(frozen=True)
class Basis:
    """Other columns with the same predictions.

    Parameters
    ----------
    standard : Standard
        The coordinates of the columns that there are.
    lift : ndarray of shape (n_features, n_reduced)
        The new columns are the standardised ones times this.
    penalty : ElasticNet
        That of their coefficients.
    """

    standard: Standard
    lift: Array
    penalty: ElasticNet

    def of_part(self, part: Part) -> Part:
        """Return rows with the new columns."""
        rows = rows_in(prepared(part.X), self.standard)
        design = rows.dense(np.arange(rows.n_rows))[:, :-1]
        return replace(part, X=design @ self.lift)

    def rows(self, part: Part) -> Rows:
        """Return rows with the new columns, in coordinates that leave these alone."""
        none = np.zeros(self.lift.shape[1])
        alone = Standard(none, none + 1, self.standard.constant)
        return rows_in(self.of_part(part).X, alone)

    def lifted(self, coef: Array, intercept: float) -> tuple[Array, float]:
        """Return coefficients and intercept of the columns that there are."""
        params = np.append(self.lift @ coef, intercept)
        coef, intercept = self.standard.to_original(params)
        return coef, float(intercept)


def basis_of(standard: Standard, root: Array, free: Array, ridge: Array) -> Basis:
    """Return the basis of columns that all but depend on each other.

    Parameters
    ----------
    standard : Standard
        The coordinates.
    root : ndarray of shape (n_rows, n_features)
        A root of the mean of products of the columns.
    free : ndarray of shape (n_features, k)
        Coefficients, of which those of a fit are combinations.
    ridge : ndarray of shape (n_features,)
        The penalty's curvature: 0, or positive for all columns that vary.
    """
    ridged = ridge > 0
    unit = np.where(ridged, 1 / np.sqrt(np.where(ridged, ridge, 1.0)), 1.0)
    directions = unit[:, None] * free
    _, size, vectors = scipy.linalg.svd(root @ directions, full_matrices=False)
    kept = size > EPS * size.size * size.max(initial=0.0)
    size, vectors = size[kept], vectors[kept]
    return Basis(
        standard,
        directions @ (vectors.T / size),
        ElasticNet(0 * size, 1 / size**2 if ridged.any() else 0 * size),
    )
