"""What many kinked fits minimise: rows that all of them have, or rows of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, final

import numpy as np
from numpy.typing import NDArray

from robustreg.rows import Array, Index


class FittedRows(Protocol):
    """The rows of k fits, all of the same number."""

    def of(self, fit: int) -> Array:
        """Return the rows of a fit, of shape (n_rows, n_params)."""

    def block(self, basis: Index) -> Array:
        """Return some rows of each fit; of shape (k, p, n_params) for (k, p)."""

    def targets(self, basis: Index) -> Array:
        """Return the targets of some rows of each fit, of shape (k, p)."""

    def along(self, params: Array) -> Array:
        """Return the predictions of each fit's params, of shape (k, n_rows)."""

    def residual(self, params: Array) -> Array:
        """Return the residuals of each fit's params, of shape (k, n_rows)."""

    def adjoint(self, slopes: Array) -> Array:
        """Return the sum of each fit's slopes times rows, of shape (k, n_params)."""

    def grams(self, c: Array) -> Array:
        """Return each fit's rows' squares, weighted: (k, n_params, n_params)."""

    def kept(self, which: NDArray[np.bool_]) -> FittedRows:
        """Return the rows of some of the fits."""


@final
@dataclass(frozen=True)
class SharedRows:
    """Rows that all fits have: an array of shape (n_rows, n_params), and targets."""

    design: Array
    target: Array

    def of(self, fit: int) -> Array:
        """Return the rows of a fit."""
        return self.design

    def block(self, basis: Index) -> Array:
        """Return some rows of each fit."""
        return self.design[basis]

    def targets(self, basis: Index) -> Array:
        """Return the targets of some rows of each fit."""
        return self.target[basis]

    def along(self, params: Array) -> Array:
        """Return the predictions of each fit's params."""
        return params @ self.design.T

    def residual(self, params: Array) -> Array:
        """Return the residuals of each fit's params."""
        return self.target - self.along(params)

    def adjoint(self, slopes: Array) -> Array:
        """Return the sum of each fit's slopes times rows."""
        return slopes @ self.design

    def grams(self, c: Array) -> Array:
        """Return each fit's rows' squares, weighted."""
        return np.stack([(self.design.T * each) @ self.design for each in c])

    def kept(self, which: NDArray[np.bool_]) -> SharedRows:
        """Return the rows of some of the fits, the same."""
        return self


@final
@dataclass(frozen=True)
class OwnRows:
    """Rows of each fit: an array of shape (k, n_rows, n_params), and targets."""

    design: Array
    target: Array

    def of(self, fit: int) -> Array:
        """Return the rows of a fit."""
        return np.asarray(self.design[fit])

    def block(self, basis: Index) -> Array:
        """Return some rows of each fit."""
        return np.take_along_axis(self.design, basis[:, :, None], axis=1)

    def targets(self, basis: Index) -> Array:
        """Return the targets of some rows of each fit."""
        return np.take_along_axis(self.target, basis, axis=1)

    def along(self, params: Array) -> Array:
        """Return the predictions of each fit's params."""
        return products(self.design, params)

    def residual(self, params: Array) -> Array:
        """Return the residuals of each fit's params."""
        return self.target - self.along(params)

    def adjoint(self, slopes: Array) -> Array:
        """Return the sum of each fit's slopes times rows."""
        return np.asarray((slopes[:, None, :] @ self.design)[:, 0, :])

    def grams(self, c: Array) -> Array:
        """Return each fit's rows' squares, weighted."""
        return np.asarray(
            self.design.transpose(0, 2, 1) @ (self.design * c[:, :, None])
        )

    def kept(self, which: NDArray[np.bool_]) -> OwnRows:
        """Return the rows of some of the fits."""
        return OwnRows(self.design[which], self.target[which])


@final
@dataclass(frozen=True)
class Kinks:
    """What k fits minimise: kinked losses of rows, and a linear function.

    Parameters
    ----------
    rows : FittedRows
        The rows.
    weights : ndarray of shape (k, n_rows)
        Non-negative.
    low, high : ndarray of shape (k, 1)
        The two slopes of each loss.
    linear : ndarray of shape (k, n_params)
        Gradients of linear functions that are added.
    """

    rows: FittedRows
    weights: Array
    low: Array
    high: Array
    linear: Array

    def kept(self, which: NDArray[np.bool_]) -> Kinks:
        """Return what some of the fits minimise."""
        each = self.weights[which], self.low[which], self.high[which]
        return Kinks(self.rows.kept(which), *each, self.linear[which])


def products(matrices: Array, vectors: Array) -> Array:
    """Return the product of each matrix with its vector."""
    return np.asarray((matrices @ vectors[:, :, None])[:, :, 0])
