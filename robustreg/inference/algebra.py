"""The algebra that covariances share, wherever the rows are that they are sums over."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
import scipy.linalg

from robustreg.inference.columns import columns_of, decomposed, dependent
from robustreg.linalg import ABSENT, HALF_OF_DIGITS, SMALLEST_RCOND, TINY, factorise
from robustreg.rows import Array, Index, Standard

# A value of each row: an array of rows in memory, or how it is computed elsewhere.
Value = TypeVar("Value")


@dataclass(frozen=True)
class Inverse:
    """The inverse of a Gram matrix, in coefficients of the original columns.

    Parameters
    ----------
    half : ndarray of shape (n_columns, n_columns)
        In standardised coordinates the inverse is ``half @ half.T``.
    outer : ndarray of shape (n_columns, n_columns)
        In original ones it is ``outer @ outer.T``, over the square of the scale.
    delicate : bool
        Whether the Gram matrix has too few digits, and the half is of its root.
    """

    half: Array
    outer: Array
    delicate: bool

    def solve(self, right: Array) -> Array:
        """Return its product with a right side in standardised coordinates."""
        return np.asarray(self.outer @ (self.half.T @ right))

    def around(self, root: Array) -> Array:
        """Return ``outer @ root.T @ root @ outer.T``, whose diagonal is never < 0."""
        image = root @ self.outer.T
        return np.asarray(image.T @ image)


class AtFit(ABC, Generic[Value]):
    """A fit and its rows, in units of its scale: sums over them, and what they make.

    Attributes
    ----------
    scale : float
        The scale.
    names : list of str
        Names of the coefficients, the intercept's last if there is one.
    """

    scale: float
    names: list[str]

    # Where the rows are ---------------------------------------------------------------

    @property
    @abstractmethod
    def standard(self) -> Standard:
        """The coordinates of the design."""

    @property
    @abstractmethod
    def n_obs(self) -> float:
        """How many rows the weights count."""

    @property
    @abstractmethod
    def rank(self) -> int:
        """How many params the design determines."""

    @property
    @abstractmethod
    def ones(self) -> Value:
        """A 1 for each row."""

    @property
    @abstractmethod
    def curvature(self) -> Value:
        """The loss's curvature at each residual, with jumps of its slope spread out."""

    @property
    @abstractmethod
    def squared_slopes(self) -> Value:
        """The square of the loss's gradient at each residual."""

    @property
    @abstractmethod
    def robustness(self) -> Value:
        """The weight of each row in a least squares fit that is the same."""

    @abstractmethod
    def raised(self, bread: Inverse, power: int) -> Value:
        """Return the squared slopes over a power of 1 less the leverage of their rows.

        Raises
        ------
        ValueError
            If the leverage of a row is 1.
        """

    @abstractmethod
    def mean(self, value: Value) -> float:
        """Return the weighted mean of a value of each row."""

    @property
    @abstractmethod
    def curvature_variance(self) -> float:
        """The variance of the curvature, of divisor n."""

    @abstractmethod
    def gram(self, value: Value) -> Array:
        """Return ``design.T @ diag(weight * value) @ design``, whatever its sign."""

    @abstractmethod
    def root(self, value: Value) -> Array:
        """Return R with ``R.T @ R = gram(abs(value))``, by orthogonal steps."""

    @abstractmethod
    def bent_root(self, value: Value) -> Array:
        """Return R with ``R.T @ R = gram(max(-value, 0))``; no rows if that is 0."""

    # Wherever they are ----------------------------------------------------------------

    @cached_property
    def columns(self) -> Index:
        """The params that the design has: all but an absent intercept."""
        return columns_of(self.standard)

    @property
    def df(self) -> float:
        """Rows less what they determine."""
        return self.n_obs - self.rank

    def inverse(self, value: Value) -> Inverse:
        """Return the inverse of ``gram(value)``; refuse dependent columns."""
        factor = factorise(self.gram(value))
        if factor.rcond > SMALLEST_RCOND and factor.scale.all():
            half = scipy.linalg.lapack.dtrtri(factor.lower, lower=1)[0]
            half = factor.scale[:, None] * np.tril(half).T
            return Inverse(half, self._original @ half, delicate=False)
        half, bent = self._half_by_root(value), self.bent_root(value)
        if len(bent):
            half = half @ _half_with_bent(half, bent)
        return Inverse(half, self._original @ half, delicate=True)

    def _half_by_root(self, value: Value) -> Array:
        """Return the half from orthogonal steps, which keep twice the digits."""
        scale, size, basis = decomposed(self.root(value))
        null = basis[size <= ABSENT * size[0]] * scale
        if null.size:
            held = self.rank == self.columns.size
            raise ValueError(dependent(self.standard, self.names, null, held))
        return np.asarray(scale[:, None] * (basis.T / size))

    def inverse_gram(self, value: Value) -> Array:
        """Return the inverse of ``gram(value)``; refuse dependent columns."""
        outer = self.inverse(value).outer
        return np.asarray(outer @ outer.T)

    def sandwich(self, bread: Inverse, meat: Value) -> Array:
        """Return ``bread @ gram(meat) @ bread``, for a meat that is not negative.

        Products with a Gram matrix cancel where columns all but depend on each other,
        and where rows without errors hold a coefficient: there it is made of the rows.
        """
        if not bread.delicate:
            middle = bread.half.T @ self.gram(meat) @ bread.half
            result = np.asarray(bread.outer @ middle @ bread.outer.T)
            most = np.linalg.norm(bread.outer, axis=1) ** 2 * np.trace(middle)
            if (result.diagonal() > HALF_OF_DIGITS * most).all():
                return result
        return bread.around(self.root(meat) @ bread.half)

    @cached_property
    def _original(self) -> Array:
        """The matrix from standardised params to original coefficients."""
        standard = self.standard
        p = standard.unit.size
        change = np.zeros((p + 1, p + 1))
        change[np.arange(p), np.arange(p)] = standard.unit
        change[-1, :-1] = -standard.shift * standard.unit
        change[-1, -1] = standard.constant
        return np.asarray(change[np.ix_(self.columns, self.columns)])

    def in_units(self, covariance: Array) -> Array:
        """Return a covariance in units of y; refuse what has no floating point."""
        square = self.scale * self.scale
        with np.errstate(over="ignore"):
            result = square * (covariance + covariance.T) / 2
        if square < TINY or not np.isfinite(result).all():
            raise ValueError(beyond_range("residuals", self.scale))
        return np.asarray(result)


def _half_with_bent(half: Array, bent: Array) -> Array:
    """Return what turns the half of a ``gram(abs(value))`` into that of the Gram."""
    image = bent @ half
    size, basis = scipy.linalg.eigh(np.eye(len(half)) - 2 * image.T @ image)
    if size[0] <= SMALLEST_RCOND:
        raise ValueError(
            "The Hessian is not positive definite at the fit, so that no sandwich "
            "can be made of it: rows far out bend the loss the wrong way. Use a "
            "larger beta, or cov_type='bootstrap'."
        )
    return np.asarray(basis / np.sqrt(size))


def beyond_range(what: str, size: float) -> str:
    """Return what is said of a covariance that no floating point numbers hold."""
    return (
        "The covariance is beyond the range of float64: it has units of y^2, and "
        f"{what} are of size {size:.3g}. Divide y by {size:.0e}, and fit again."
    )


def of_full_leverage(row: int) -> str:
    """Return what is said of a row whose leverage is 1."""
    return (
        f"Row {row} decides its own prediction (leverage 1), so that its residual "
        "says nothing of the errors. Use cov_type='HC1', or drop the column that "
        "only this row has."
    )
