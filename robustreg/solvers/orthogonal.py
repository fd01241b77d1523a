"""Columns that all but depend on each other: the same problem in a basis of their own.

Without an intercept, columns far from 0 differ by next to nothing from multiples of
one another: at 1e8 standard deviations their Gram matrix has lost all digits. So has
that of columns in which one row is 1e8 times as far out as others. A root R of it,
``R.T @ R``, has a singular value decomposition ``U S V.T`` without that loss. In the
coordinates ``z = S V.T coef`` columns are as independent as the data are, and a ridge
stays one, of ``1 / S^2`` each:

    prediction = X V inv(S) z,    coef = V inv(S) z,    coef @ coef = z @ inv(S^2) z

Where columns depend by themselves the root is that of rows over their norms, because
rounding errors of an orthogonal factorisation are as large in each row as in the
largest [1]_; where a row far out makes them look so, that of the weighted rows.

Cost: ``3 n p^2`` and a dense copy, once a fit, at all scales.

References
----------
.. [1] Cox, A. J., Higham, N. J. (1998). Stability of Householder QR factorization for
   weighted least squares problems. Numerical Analysis 1997, 57-73. Longman.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import scipy.linalg

from robustreg.certificate import duality_gap
from robustreg.linalg import (
    ABSENT,
    EPS,
    FEW_ENTRIES,
    MOST_COPIED,
    SMALLEST_RCOND,
    jacobi,
)
from robustreg.objective import RESIDUAL_ERROR, Objective, Point, Watch
from robustreg.penalties import ElasticNet
from robustreg.rows import Array, Index, Rows, Standard, dense_rows, strata
from robustreg.solvers.results import Result
from robustreg.tolerance import allowed_gap

# Of more columns no singular values are asked for: they cost several times what a
# factor of the Gram matrix does, and to ask for them costs a tenth of a fit.
MOST_COLUMNS = 400
# The last figure of a column that a certificate sees.
SEEN = 1e-11
# A gradient is at most the steepest slope times a column's root mean square, 1. Beyond
# this multiple a row that no sample saw owns the column; heavy tails stay far below.
MOST_PULL = 30.0


@final
class UnseenRow(Exception):
    """A row far out was not in the sample that standardised the columns."""


@final
@dataclass(frozen=True)
class Basis:
    """Other columns with the same predictions.

    Parameters
    ----------
    standard : Standard
        The coordinates of the columns that there are.
    center : ndarray of shape (n_features,)
        What is taken off the standardised columns.
    lift : ndarray of shape (n_features, n_reduced)
        The new columns are what is left times this.
    lower : ndarray of shape (n_reduced, n_features)
        New coefficients are standardised ones times this.
    penalty : ElasticNet
        That of the new coefficients.
    """

    standard: Standard
    center: Array
    lift: Array
    lower: Array
    penalty: ElasticNet

    def columns(self, rows: Rows) -> Array:
        """Return the new columns of rows in the coordinates."""
        design, first = _features(rows, self.center), self.lower[:1].T
        # What the largest column leaves keeps the digits of small differences.
        first = first / np.linalg.norm(first)
        along = design @ first
        design -= along * first.T
        return np.asarray(design @ self.lift + along * (first.T @ self.lift))

    def rows(self, rows: Rows) -> Rows:
        """Return rows with the new columns, in coordinates that leave these alone."""
        return dense_rows(self.columns(rows), _alone(self.lift.shape[1], rows))

    def lifted(self, params: Array) -> Array:
        """Return the params of new ones."""
        coef = self.lift @ params[:-1]
        return np.append(coef, params[-1] - coef @ self.center)

    def lowered(self, params: Array) -> Array:
        """Return the new params of others."""
        coef = params[:-1]
        return np.append(self.lower @ coef, params[-1] + coef @ self.center)


def basis_of(
    standard: Standard,
    center: Array,
    root: Array,
    free: Array,
    ridge: Array,
    nothing: float,
) -> Basis:
    """Return the basis in which no columns all but depend on each other.

    Parameters
    ----------
    standard : Standard
        The coordinates.
    center : ndarray of shape (n_features,)
        What is taken off the columns.
    root : ndarray of shape (n_rows, n_features)
        A root of the mean of products of what is left.
    free : ndarray of shape (n_features, k)
        Orthonormal coefficients, of which those of a fit are combinations.
    ridge : ndarray of shape (n_features,)
        The penalty's curvature: 0, or positive for all columns that vary.
    nothing : float
        Singular values up to this share of the largest are rounding errors.
    """
    ridged = ridge > 0
    unit = np.where(ridged, 1 / np.sqrt(np.where(ridged, ridge, 1.0)), 1.0)
    directions = unit[:, None] * free
    _, size, vectors = scipy.linalg.svd(root @ directions, full_matrices=False)
    kept = size > nothing * size.max(initial=0.0)
    size, vectors = size[kept], vectors[kept]
    return Basis(
        standard,
        center,
        directions @ (vectors.T / size),
        (size[:, None] * vectors) @ (free.T / unit),
        ElasticNet(0 * size, 1 / size**2 if ridged.any() else 0 * size),
    )


@final
@dataclass(frozen=True)
class InBasis:
    """The same problem with the columns of a basis.

    Parameters
    ----------
    basis : Basis
        The basis.
    rows : Rows
        The design; the columns are orthonormal for rows weighted by ``weight``.
    weight : ndarray of shape (n_rows,)
        Whose sum of products the basis is of.
    """

    basis: Basis
    rows: Rows
    weight: Array

    def corrected(self, rows: Rows, params: Array, z: Array) -> Array:
        """Return params that predict what new ones do, without what lifting cost.

        The new columns are those that rounding errors moved.
        """
        prediction = self.rows.predict(z)
        # Each divides errors by what nearly dependent columns leave of the digits.
        for _ in range(2):
            missed = prediction - rows.predict(params)
            change = self.rows.adjoint(self.weight * missed)
            change[-1] = 0.0
            params = params + self.basis.lifted(change)
        return params


def basis_for(rows: Rows, weight: Array, penalty: ElasticNet) -> InBasis | None:
    """Return the basis of a design whose Gram matrix has lost its digits, else None.

    A sample of rows tells.
    """
    if not has_basis(rows, penalty):
        return None
    if all_but_depend(rows, weight, np.append(penalty.l2, 0.0)):
        design = _features(rows, 0.0)
        return _in_basis(rows, design, 0.0, _directions(design)[1] ** -2.0, penalty)
    every = np.arange(rows.n_params)
    if are_owned(rows, weight, every, np.ones(every.size)):
        return basis_of_far_rows(rows, weight, penalty)
    return None


def has_basis(rows: Rows, penalty: ElasticNet) -> bool:
    """Return whether a problem may be solved in a basis.

    Not that of large data, nor under an l1 penalty, which is one of the coefficients as
    they are.
    """
    n_features = np.count_nonzero(rows.varies[:-1])
    few = 1 < n_features <= MOST_COLUMNS and rows.n_rows * n_features <= MOST_COPIED
    # With fewer rows than columns a ridge has solvers of its own.
    served = rows.n_rows < rows.n_params and penalty.l2.any()
    return bool(few and not served and not penalty.l1.any())


def basis_of_far_rows(rows: Rows, weight: Array, penalty: ElasticNet) -> InBasis:
    """Return a basis that gives rows far out columns of their own."""
    center = rows.standard.constant * np.median(_sampled(rows, weight), axis=0)[:-1]
    return _in_basis(rows, _features(rows, center), center, weight, penalty)


def refuse_unseen(told: Watch | None, point: Point, params: Array) -> None:
    """Raise `UnseenRow` if a gradient shows one; else tell of the point.

    By the inequality of Cauchy and Schwarz; the squares of a smooth loss's slopes are
    at most twice the value times the curvature.
    """
    objective, facts = point.objective, point.objective.loss.facts
    most = facts.steepest
    if not facts.bounded_slope:
        most = float(np.sqrt(2 * facts.largest_curvature * point.value))
    pull = np.abs(point.gradient - objective.l2 * params)
    if pull.max(initial=0.0) > MOST_PULL * most:
        raise UnseenRow
    if told is not None:
        told(point, params)


def all_but_depend(rows: Rows, weight: Array, curvature: Array) -> bool:
    """Return whether a column is all but the sum of others, and is not, by some rows.

    Rows count by their direction: one far out has all columns in its own. Where they
    are fewer than columns they are asked whether they depend on each other.
    """
    # The intercept first: rounding errors of means are no direction of their own.
    columns = np.flatnonzero(rows.varies)[::-1]
    design, norms = _directions(_sampled(rows, weight)[:, columns])
    n_rows = norms.size
    design = design if n_rows >= columns.size else design.T
    ridge = np.zeros(design.shape[1])
    if curvature.any():
        ridge = curvature[columns] * (n_rows / np.median(norms) ** 2)
    gram = design.T @ design
    gram.flat[:: ridge.size + 1] += ridge
    scale = jacobi(gram.diagonal())
    factor, info = scipy.linalg.lapack.dpotrf(gram * np.outer(scale, scale), lower=1)
    if info == 0 and (factor.diagonal() ** 2).min(initial=1.0) > ABSENT:
        return False
    whole = np.vstack([design, np.diag(np.sqrt(ridge))])
    root = scipy.linalg.qr(whole, mode="r")[0]
    left = np.abs(root.diagonal()) * scale
    return bool(((left > _nothing(rows)) & (left**2 <= ABSENT)).any())


def _nothing(rows: Rows) -> float:
    """Return what rounding errors leave of a column that is the sum of others.

    Entries of a column far from its mean carry those of its offset. A certificate sees
    what is larger than its last figure, whatever made it.
    """
    offset = np.abs(rows.standard.shift) * rows.standard.unit
    return min(64 * EPS * float(1 + offset.max(initial=0.0)), SEEN)


def _directions(design: Array) -> tuple[Array, Array]:
    """Return rows over their norms, and the norms, 1 for a row of zeros."""
    norms = np.sqrt(np.einsum("ij,ij->i", design, design))
    norms[norms == 0] = 1.0
    return design / norms[:, None], norms


def _sampled(rows: Rows, weight: Array) -> Array:
    """Return a few more rows than columns: how these depend on each other they tell."""
    live = np.flatnonzero(weight)
    enough = int(50 + 1.25 * np.count_nonzero(rows.varies))
    if live.size > enough:
        live = live[strata(live.size, enough).astype(np.intp)]
    return rows.dense(live)


def are_owned(rows: Rows, weight: Array, columns: Index, square: Array) -> bool:
    """Return whether a few rows make a column's mean square, and hide others in it.

    Few entries keep their digits.
    """
    if rows.n_rows * rows.n_params <= FEW_ENTRIES:
        return False
    design = _sampled(rows, weight)[:, columns]
    size = np.abs(design - rows.standard.constant * np.median(design, axis=0))
    some = size > 0
    logs = np.log(size, where=some, out=np.zeros_like(size)).sum(axis=0)
    count = some.sum(axis=0)
    typical = np.exp(logs[count > 0] / count[count > 0])
    return bool((typical**2 < SMALLEST_RCOND * square[count > 0]).any())


def _features(rows: Rows, center: Array | float) -> Array:
    """Return the standardised columns less a centre."""
    design = rows.dense(np.arange(rows.n_rows))[:, :-1]
    design -= center
    return design


def _alone(n_columns: int, rows: Rows) -> Standard:
    """Return coordinates that leave columns as they are."""
    none = np.zeros(n_columns)
    return Standard(none, none + 1, rows.standard.constant)


def _in_basis(
    rows: Rows,
    design: Array,
    center: Array | float,
    weight: Array,
    penalty: ElasticNet,
) -> InBasis:
    """Return the problem in the basis of weighted rows of a design."""
    p, share = design.shape[1], weight / weight.sum()
    root = dense_rows(design, _alone(p, rows)).root(share, np.arange(p))
    free = np.eye(p)[:, rows.varies[:-1]]
    lost, center = _nothing(rows), np.zeros(p) + center
    basis = basis_of(rows.standard, center, root, free, penalty.l2, lost)
    return InBasis(basis, basis.rows(rows), share)


def certified(
    objective: Objective, inside: InBasis, reduced: Result, tol: float
) -> Result:
    """Return the result of a problem, given that of the same problem in a basis.

    The gap is the larger one of both problems': what rounding leaves of a constraint is
    charged by a typical distance, which is short beside what nearly dependent features
    allow. In coordinates by a sample that missed what makes the basis the gap of a
    problem says nothing, and grows by what lifting cost.
    """
    z = reduced.point.params.astype(np.float64)
    params = inside.corrected(objective.rows, inside.basis.lifted(z), z)
    point = objective.evaluate(params)
    slopes = reduced.optimal_slopes
    gap, success, facts = reduced.gap, reduced.success, objective.loss.facts
    if not objective.rows.standard.exact:
        gap = gap + max(point.value - reduced.value, 0.0)
    elif facts.convex:
        gap = max(gap, duality_gap(objective, point, slopes))
    if facts.convex:
        allowed = allowed_gap(objective, point, tol, slopes)
        allowed = max(allowed, _last_digits(objective, point, slopes))
        success = success and gap <= allowed
    return Result(
        point,
        gap,
        reduced.n_iter,
        success,
        reduced.message,
        slopes=slopes,
        rcond=0.0 if facts.smooth and facts.convex else None,
    )


def _last_digits(objective: Objective, point: Point, slopes: Array) -> float:
    """Return what the last digits of the params are worth.

    Where terms of a prediction cancel it has more rounding errors than its size says.
    """
    low, high = objective.loss.facts.slopes
    rows = np.flatnonzero((slopes > low) & (slopes < high))
    terms = objective.rows.dense(rows) * point.params
    error = RESIDUAL_ERROR * np.linalg.norm(terms, axis=1)
    return float(objective.weight[rows] @ objective.loss.value(error))
