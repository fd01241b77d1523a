"""Columns that all but depend on each other: the same problem in a basis of their own.

Without an intercept, columns far from 0 differ by next to nothing from multiples of
one another: at 1e8 standard deviations their Gram matrix has lost all digits. Rows over
their norms have a singular value decomposition ``U S V.T`` without that loss. In the
coordinates ``z = S V.T coef`` the design is U with its rows' norms, whose columns are
as independent as the data are, and a ridge stays one, of ``1 / S^2`` each:

    prediction = norms U z,    coef = V inv(S) z,    coef @ coef = z @ inv(S^2) z

Over their norms, because rounding errors of an orthogonal factorisation are as large in
each row as in the largest [1]_.

Cost: ``6 n p^2`` and a dense copy, once a fit, at all scales.

References
----------
.. [1] Cox, A. J., Higham, N. J. (1998). Stability of Householder QR factorization for
   weighted least squares problems. Numerical Analysis 1997, 57-73. Longman.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from robustreg.certificate import duality_gap
from robustreg.linalg import ABSENT, EPS, MOST_COPIED, jacobi
from robustreg.objective import RESIDUAL_ERROR, Objective, Point
from robustreg.penalties import ElasticNet
from robustreg.rows import Array, Index, Rows, Standard, dense_rows, strata
from robustreg.solvers.results import Result
from robustreg.tolerance import allowed_gap

# Of more columns no singular values are asked for: they cost several times what a
# factor of the Gram matrix does, and to ask for them costs a tenth of a fit.
MOST_COLUMNS = 400
# The last figure of a column that a certificate sees.
SEEN = 1e-11


@dataclass(frozen=True)
class Basis:
    """The same problem in other coordinates.

    Parameters
    ----------
    rows : Rows
        The design in these coordinates; the intercept is the same.
    penalty : ElasticNet
        The penalty in these coordinates.
    lift : ndarray of shape (n_columns, n_reduced)
        Coefficients of the coordinates.
    lower : ndarray of shape (n_reduced, n_columns)
        Coordinates of the coefficients.
    level : ndarray of shape (n_reduced,)
        The design over its rows' norms has orthogonal columns of norm ``1 / level``.
    norms : ndarray of shape (n_rows,)
        These norms.
    """

    rows: Rows
    penalty: ElasticNet
    lift: Array
    lower: Array
    level: Array
    norms: Array

    def lifted(self, params: Array) -> Array:
        """Return the params of the coordinates."""
        return np.append(self.lift @ params[:-1], params[-1])

    def lowered(self, params: Array) -> Array:
        """Return the coordinates of params."""
        return np.append(self.lower @ params[:-1], params[-1])

    def corrected(self, rows: Rows, params: Array, z: Array) -> Array:
        """Return params that predict what coordinates do, without what lifting cost.

        The factorisation is that of a design which rounding errors moved.
        """
        prediction = self.rows.predict(z)
        # Each divides errors by what nearly dependent columns leave of the digits.
        for _ in range(2):
            missed = prediction - rows.predict(params)
            change = self.rows.adjoint(missed / self.norms**2)[:-1] * self.level**2
            params = params + np.append(self.lift @ change, 0.0)
        return params


def basis_for(rows: Rows, weight: Array, penalty: ElasticNet) -> Basis | None:
    """Return the basis of a design whose Gram matrix has lost its digits, else None.

    Nor is there one for large data, nor for an l1 penalty, which is one of the
    coefficients as they are.
    """
    features = np.flatnonzero(rows.varies[:-1])
    curvature = penalty.l2
    few = 1 < features.size <= MOST_COLUMNS
    few = few and rows.n_rows * features.size <= MOST_COPIED
    # With fewer rows than columns a ridge has solvers of its own.
    served = rows.n_rows < rows.n_params and curvature.any()
    if not few or served or penalty.l1.any():
        return None
    if not all_but_depend(rows, weight, np.append(curvature, 0.0)):
        return None
    return _by_singular_values(rows, features, curvature)


def all_but_depend(rows: Rows, weight: Array, curvature: Array) -> bool:
    """Return whether a column is all but the sum of others, and is not, by some rows.

    Rows count by their direction: one far out has all columns in its own. Where they
    are fewer than columns they are asked whether they depend on each other.
    """
    live, columns = np.flatnonzero(weight), np.flatnonzero(rows.varies)
    # A few more rows than columns tell how these depend on each other.
    enough = int(50 + 1.25 * columns.size)
    if live.size > enough:
        live = live[strata(live.size, enough).astype(np.intp)]
    design, norms = _directions(rows.dense(live)[:, columns])
    design = design if live.size >= columns.size else design.T
    ridge = np.zeros(design.shape[1])
    if curvature.any():
        ridge = curvature[columns] * (live.size / np.median(norms) ** 2)
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


def _by_singular_values(rows: Rows, features: Index, curvature: Array) -> Basis:
    """Return the basis of the features over the root of the penalty's curvature."""
    design, norms = _directions(rows.dense(np.arange(rows.n_rows))[:, features])
    ridged = bool(curvature[features].all())
    unit = 1 / np.sqrt(curvature[features]) if ridged else np.ones(features.size)
    left, size, right = scipy.linalg.svd(
        design * unit, full_matrices=False, overwrite_a=True
    )
    kept = size > _nothing(rows) * size[0]
    left, size, right = left[:, kept], size[kept], right[kept]
    spread = norms[:, None] * left
    level = np.sqrt((spread**2).mean(axis=0))
    size = size * level
    lift = np.zeros((curvature.size, size.size))
    lower = np.zeros((size.size, curvature.size))
    lift[features] = unit[:, None] * right.T / size
    lower[:, features] = size[:, None] * right / unit
    penalty = ElasticNet(np.zeros(size.size), 1 / size**2 if ridged else 0 * size)
    standard = Standard(0 * size, 0 * size + 1, rows.standard.constant)
    new = dense_rows(spread / level, standard)
    return Basis(new, penalty, lift, lower, level, norms)


def certified(
    objective: Objective, basis: Basis, reduced: Result, tol: float
) -> Result:
    """Return the result of a problem, given that of the same problem in a basis.

    The gap is the larger one of both problems': what rounding leaves of a constraint is
    charged by a typical distance, which is short beside what nearly dependent features
    allow.
    """
    z = reduced.point.params.astype(np.float64)
    params = basis.corrected(objective.rows, basis.lifted(z), z)
    point = objective.evaluate(params)
    slopes = reduced.optimal_slopes
    gap, success, facts = reduced.gap, reduced.success, objective.loss.facts
    if facts.convex:
        gap = max(gap, duality_gap(objective, point, slopes))
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
    rows, weight = objective.representatives
    room = (slopes[rows] > low) & (slopes[rows] < high)
    rows, weight = rows[room], weight[room]
    terms = objective.rows.dense(rows) * point.params
    error = RESIDUAL_ERROR * np.linalg.norm(terms, axis=1)
    return float(weight @ objective.loss.value(error))
