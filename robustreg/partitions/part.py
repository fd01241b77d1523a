"""Rows of one partition, and what passes bring back of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, final

import numpy as np
import scipy.linalg
import scipy.sparse

from robustreg.rows import (
    Array,
    Index,
    Standard,
    merged,
    prepared,
    present,
    rows_in,
    standard_of,
    taken,
)
from robustreg.rows.base import make_standard


@final
@dataclass(frozen=True)
class Part:
    """Some rows, in the order of their numbers.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_rows, n_features)
        Features, float32 or float64.
    y : ndarray of shape (n_rows, n_targets)
        Targets.
    weight : ndarray of shape (n_rows,)
        Weights that count rows.
    number : ndarray of int of shape (n_rows,)
        Each row's number among all rows.
    """

    X: Any
    y: Array
    weight: Array
    number: Index

    def take(self, rows: Index) -> Part:
        """Return some of the rows."""
        return Part(self.X[rows], self.y[rows], self.weight[rows], self.number[rows])

    def live(self) -> Part:
        """Return the rows that have weight."""
        live = present(self.weight)
        return Part(*taken(live, self.X, self.y, self.weight, self.number))

    def distinct(self) -> Part:
        """Return equal rows as one with their weight, if that leaves far fewer."""
        few = merged(self.X, self.y, self.weight)
        if few.kind is None:
            return self
        _, first = np.unique(few.kind, return_index=True)
        return Part(few.X, few.targets, few.weight, self.number[first])

    @property
    def nbytes(self) -> int:
        """How much the rows take."""
        sparse = scipy.sparse.issparse(self.X)
        X = self.X.data.nbytes + self.X.indices.nbytes if sparse else self.X.nbytes
        return int(X + self.y.nbytes + self.weight.nbytes + self.number.nbytes)

    def __sizeof__(self) -> int:
        """Return what schedulers count as the memory that it takes."""
        return self.nbytes


def together(parts: Sequence[Part]) -> Part:
    """Return the rows of all parts, in the order of their numbers."""
    sparse = scipy.sparse.issparse(parts[0].X)
    stack = scipy.sparse.vstack if sparse else np.concatenate
    y, weight, number = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("y", "weight", "number")
    )
    every = Part(stack([part.X for part in parts]), y, weight, number)
    in_order = bool((np.diff(number) > 0).all())
    return every if in_order else every.take(np.argsort(number))


@final
@dataclass(frozen=True)
class Moments:
    """What standardises the columns: merged part by part [1]_.

    Parameters
    ----------
    total : float
        Sum of the weights.
    mean, square : ndarray of shape (n_features,)
        Mean, and sum of squared deviations from it; from 0 without an intercept.

    References
    ----------
    .. [1] Chan, T. F., Golub, G. H., LeVeque, R. J. (1983). Algorithms for computing
       the sample variance. The American Statistician 37, 242-247.
    """

    total: float
    mean: Array
    square: Array

    def __add__(self, other: Moments) -> Moments:
        """Return those of the rows of both."""
        total = self.total + other.total
        gap, share = other.mean - self.mean, other.total / total
        between = gap**2 * (self.total * share)
        return Moments(
            total, self.mean + gap * share, self.square + other.square + between
        )

    def standard(self, fit_intercept: bool) -> Standard:
        """Return the standardisation."""
        deviation = np.sqrt(self.square / self.total)
        mean_square = deviation**2 + self.mean**2
        return make_standard(self.mean, deviation, mean_square, fit_intercept)


def moments_of(part: Part, fit_intercept: bool) -> Moments:
    """Return the moments of a part, of which some rows have weight."""
    standard = standard_of(part.X, part.weight, fit_intercept, exactly=True)
    varies, total = standard.unit > 0, float(part.weight.sum())
    deviation = np.where(varies, 1 / np.where(varies, standard.unit, 1.0), 0.0)
    return Moments(total, standard.shift, total * deviation**2)


@final
@dataclass(frozen=True)
class Products:
    """Products of columns with each other and with targets, merged as `Moments` are.

    All that least squares needs of rows.

    Parameters
    ----------
    total : float
        Sum of the weights.
    mean : ndarray of shape (n_features + n_targets,)
        Means of columns and targets; 0 without an intercept.
    product : ndarray of shape (n_features, n_features + n_targets)
        Sums of products of deviations from them.
    """

    total: float
    mean: Array
    product: Array

    def __add__(self, other: Products) -> Products:
        """Return those of the rows of both."""
        total = self.total + other.total
        gap, share = other.mean - self.mean, other.total / total
        between = np.outer(gap[: len(self.product)], gap) * (self.total * share)
        return Products(
            total, self.mean + gap * share, self.product + other.product + between
        )

    def in_units(
        self, standard: Standard, target: int, center: float, scale: float
    ) -> tuple[Array, Array]:
        """Return the Gram matrix of standardised rows, and their mean with a target.

        Parameters
        ----------
        standard : Standard
            The coordinates.
        target : int
            Which column of the targets.
        center, scale : float
            What is 0 and what is 1 of it.
        """
        p = len(self.product)
        unit = np.append(standard.unit, standard.constant)
        mean = np.append(standard.unit * (self.mean[:p] - standard.shift), unit[-1])
        gram = np.outer(mean, mean)
        gram[:p, :p] += self.product[:, :p] * np.outer(unit[:p], unit[:p]) / self.total
        pull = mean * ((self.mean[p + target] - center) / scale)
        pull[:p] += unit[:p] * self.product[:, p + target] / (self.total * scale)
        return gram, pull


def products_of(part: Part, moments: Moments, fit_intercept: bool) -> Products:
    """Return the products of a part with these moments."""
    standard, weight = moments.standard(fit_intercept), part.weight
    rows, p = rows_in(prepared(part.X), standard), standard.unit.size
    center = float(fit_intercept) * (weight @ part.y / moments.total)
    pulls = np.array([rows.adjoint(weight * y)[:p] for y in (part.y - center).T])
    # In original units; what does not vary deviates by 0.
    spread = np.where(
        standard.unit > 0, 1 / np.where(standard.unit, standard.unit, 1), 0
    )
    gram = rows.gram(weight, np.arange(p)) * np.outer(spread, spread)
    product = np.column_stack([gram, (pulls * spread).T])
    return Products(moments.total, np.append(moments.mean, center), product)


@final
@dataclass(frozen=True)
class Root:
    """An upper triangle R, which stands for the Gram matrix ``R.T @ R``.

    Roots are merged part by part, so that no digits are squared away [1]_.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_params)
        The triangle; no rows for a Gram matrix of 0.

    References
    ----------
    .. [1] Demmel, J., Grigori, L., Hoemmen, M., Langou, J. (2012).
       Communication-optimal parallel and sequential QR and LU factorizations. SIAM
       Journal on Scientific Computing 34, A206-A239.
    """

    matrix: Array

    def __add__(self, other: Root) -> Root:
        """Return the root of the sum of both Gram matrices."""
        both = np.vstack([self.matrix, other.matrix])
        if len(both) <= both.shape[1]:
            return Root(both)
        return Root(scipy.linalg.qr(both, mode="r")[0][: both.shape[1]])


@final
@dataclass(frozen=True)
class Tally:
    """What a pass brings back: sums, and the rows that were asked for."""

    sums: tuple[Any, ...]
    rows: tuple[Part, ...] = ()

    @property
    def nbytes(self) -> int:
        """How much travels."""
        rows = sum(each.nbytes for each in self.rows)
        return rows + sum(np.asarray(each).nbytes for each in self.sums)

    def __sizeof__(self) -> int:
        """Return what schedulers count as the memory that it takes."""
        return self.nbytes


def tallied(some: Sequence[Tally | None]) -> Tally | None:
    """Return the tally of all parts from those of each; None stands for no rows."""
    found = [each for each in some if each is not None]
    if not found:
        return None
    columns = zip(*(each.sums for each in found), strict=True)
    sums = tuple(reduce(add, column) for column in columns)
    rows = zip(*(each.rows for each in found), strict=True)
    return Tally(sums, tuple(together(each) for each in rows))
