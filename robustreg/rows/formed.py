"""Few rows, whose standardised design is formed: small data, and samples of large."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from robustreg.rows.base import (
    BLOCK_ENTRIES,
    FEWEST_AT_A_TIME,
    Array,
    Block,
    Index,
    Rows,
    Standard,
    gathered,
)


@final
@dataclass(slots=True)
class _FormedBlock:
    """A standardised design: its products are those of its array."""

    design: Array

    def predict(self, params: Array) -> Array:
        """Return ``design @ params``."""
        return self.design @ params

    def adjoint(self, v: Array) -> Array:
        """Return ``design.T @ v``."""
        return v @ self.design

    def predict_each(self, params: Array) -> Array:
        """Return ``params @ design.T``."""
        return params @ self.design.T

    def adjoint_each(self, v: Array) -> Array:
        """Return ``v @ design``."""
        return v @ self.design

    def norms(self) -> Array:
        """Return the norms of the rows."""
        return np.sqrt(np.einsum("ij,ij->i", self.design, self.design))

    def squares(self, c: Array) -> Array:
        """Return the sums of squares of the columns."""
        return np.asarray(np.einsum("ij,ij,i->j", self.design, self.design, c))


@final
class FormedRows(Rows):
    """A standardised design held as an array.

    It costs a copy of its rows and saves, in every product, the shift, the unit and
    the constant column: for few rows, those cost more than the product.

    Parameters
    ----------
    design : ndarray of shape (n_rows, n_params)
        ``[(X - shift) * unit, constant]``, in float64 or longer.
    standard : Standard
        How it was made.
    source : Rows or None
        The same rows before rounding to the design's precision, if kept.
    """

    _only: _FormedBlock

    def __init__(
        self, design: Array, standard: Standard, source: Rows | None = None
    ) -> None:
        self._design, self._source = design, source
        self.standard = standard
        self.n_rows, self.n_params = design.shape
        self.passes = 0.0
        self._every = np.arange(self.n_params)
        self._whole = self._only = _FormedBlock(design)

    def blocks(self) -> Iterator[tuple[slice, Block]]:
        """Yield all rows at once: they are few."""
        yield slice(0, self.n_rows), self._only

    def gram(self, c: Array, columns: Index) -> Array:
        """Return the Gram matrix; rows with ``c = 0`` cost nothing."""
        self.count_pass(c)
        if c.size <= self._at_once():
            block = self._weighted(c, np.flatnonzero(c), columns)
            return block.T @ block
        result = np.zeros((columns.size, columns.size))
        for block in self.weighted(c, columns):
            result += block.T @ block
        return result

    def weighted(self, c: Array, columns: Index) -> Iterator[Array]:
        """Yield ``sqrt(c) * design``, at once unless rows are many."""
        inside, size = np.flatnonzero(c), self._at_once()
        for start in range(0, inside.size, size):
            yield self._weighted(c, inside[start : start + size], columns)

    def _at_once(self) -> int:
        """Return for how many rows p x p matrices are few."""
        p = self.n_params
        return max(FEWEST_AT_A_TIME, 2 * p, BLOCK_ENTRIES // p)

    def cross(
        self, index: Index, c: Array, columns: Index, v: Array
    ) -> tuple[Array, Array]:
        """Return the cross products and the adjoint by one matrix product."""
        self.passes += index.size / max(self.n_rows, 1)
        block = self._design[index]
        product = block.T @ np.column_stack([c[:, None] * block[:, columns], v])
        return product[:, :-1], product[:, -1]

    def columns(self, index: Index) -> Rows:
        """Return a design of the columns."""
        old, features = self.standard, index[:-1]
        unit = np.ones(features.size)
        local = Standard(np.zeros(features.size), unit, old.constant)
        return FormedRows(self._design[:, index], local)

    def entries(self) -> tuple[Any, Array]:
        """Return the design itself, and no offset."""
        return self._design, np.zeros(self.n_params - 1)

    def dense(self, index: Index) -> Array:
        """Return the design of some rows."""
        return gathered(self._design, index)

    def in_precision(self, dtype: type[np.floating[Any]]) -> Rows:
        """Return the rows in a longer precision, from their source if it was kept."""
        if dtype == np.float32:
            return self
        if self._source is not None:
            return self._source.in_precision(dtype)
        return FormedRows(self._design.astype(dtype), self.standard)

    def take(self, index: Index) -> Rows:
        """Return some of the rows."""
        return FormedRows(gathered(self._design, index), self.standard)

    def _weighted(self, c: Array, rows: Index, columns: Index) -> Array:
        """Return ``sqrt(c) * design``, of some rows and columns."""
        if rows.size == self.n_rows:
            # Weights may be of a longer type than the design, which has no BLAS.
            block = np.empty_like(self._design)
            np.multiply(self._design, np.sqrt(c)[:, None], out=block)
        else:
            block = gathered(self._design, rows)
            block *= np.sqrt(c[rows])[:, None]
        if columns.size < self.n_params or (columns != self._every).any():
            block = block[:, columns]
        return block
