"""The objective: a weighted mean of losses over rows plus a penalty.

    sum_i w_i loss(r_i) + penalty(coef),   r = y - prediction,   sum(w) = 1

in the standardised coordinates of `robustreg.rows` and in units of the scale. Value,
gradient and residuals come from one pass over the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from robustreg.linalg import EPS, jacobi
from robustreg.losses import Loss
from robustreg.penalties import Penalty
from robustreg.rows import Array, Index, Rows

# Residuals of this many rounding errors are those of an exact fit.
NOISE_LEVELS = 1e3
# A residual is known to a small multiple of its rounding error.
RESOLVED = 16.0


@dataclass(frozen=True)
class Point:
    """An evaluated point.

    Parameters
    ----------
    params : ndarray of shape (n_params,)
        Where.
    value : float
        Objective, kinked part of the penalty included.
    gradient : ndarray of shape (n_params,)
        Gradient of everything but the kinked part of the penalty.
    residual : ndarray of shape (n_rows,)
        Residuals, in units of the scale.
    """

    params: Array
    value: float
    gradient: Array
    residual: Array


@final
class Objective:
    """Weighted mean loss plus penalty, as a function of params.

    Parameters
    ----------
    rows : Rows
        The design.
    target : ndarray of shape (n_rows,)
        Targets in units of the scale.
    weight : ndarray of shape (n_rows,)
        Non-negative weights that sum to 1.
    loss : Loss
        The loss.
    penalty : Penalty
        The penalty of the standardised coefficients.
    linear : ndarray of shape (n_params,) or None
        Gradient of a linear function that is added: rows that are held on one side
        of the kink. None adds nothing.
    """

    def __init__(
        self,
        rows: Rows,
        target: Array,
        weight: Array,
        loss: Loss,
        penalty: Penalty,
        linear: Array | None = None,
    ) -> None:
        self.rows = rows
        self.target = target
        self.weight = weight
        self.loss = loss
        self.penalty = penalty
        self.n_params = rows.n_params
        self.l1 = np.append(penalty.l1, 0.0)
        self.linear = np.zeros(rows.n_params) if linear is None else linear
        size = np.abs(target[(weight > 0) & (target != 0)])
        # Rounding error of a typical residual; a target of zeros has none.
        self.noise = 4 * EPS * float(np.median(size)) if size.size else 0.0

    def with_loss(self, loss: Loss, target: Array) -> Objective:
        """Return the same rows and penalty with another loss and target."""
        return Objective(
            self.rows, target, self.weight, loss, self.penalty, self.linear
        )

    def with_penalty(self, penalty: Penalty) -> Objective:
        """Return the same rows and loss with another penalty."""
        return Objective(
            self.rows, self.target, self.weight, self.loss, penalty, self.linear
        )

    def extended(self, target: Array) -> Objective:
        """Return the objective with residuals in extended precision."""
        rows = self.rows.extended()
        return Objective(
            rows, target, self.weight, self.loss, self.penalty, self.linear
        )

    def take(self, index: Index) -> Objective:
        """Return the objective of some of the rows, which stand for all."""
        weight = self.weight[index] * (self.weight.sum() / self.weight[index].sum())
        return Objective(
            self.rows.take(index),
            self.target[index],
            weight,
            self.loss,
            self.penalty,
            self.linear,
        )

    def hold(self, point: Point, active: Index) -> Objective:
        """Return the objective with all other rows replaced by their tangents.

        The same function, up to a constant, wherever those rows of a piecewise
        linear loss keep the side that they have at the point.
        """
        slopes = self.weight * self.loss.gradient(point.residual)
        slopes[active] = 0.0
        self.rows.passes += 1
        linear = self.linear - self.rows.adjoint(slopes)
        rows = self.rows.take(active)
        target, weight = self.target[active], self.weight[active]
        return Objective(rows, target, weight, self.loss, self.penalty, linear)

    def evaluate(self, params: Array) -> Point:
        """Return value, gradient and residuals at params, in one pass."""
        residual = np.empty(self.target.shape, np.result_type(self.target, params))

        def terms(place: slice, block: Rows) -> tuple[Array, Array]:
            r = self.target[place] - block.predict(params)
            residual[place] = r
            w = self.weight[place]
            return w @ self.loss.value(r), block.adjoint(w * self.loss.gradient(r))

        value, slope = self.rows.map_reduce(terms)
        gradient = self.linear - np.asarray(slope)
        gradient[:-1] += self.penalty.gradient(params[:-1])
        total = float(value) + self.penalty.value(params[:-1])
        total += float(self.linear @ params)
        return Point(params, total, gradient, residual)

    def slope(self, point: Point, direction: Array, before: bool) -> float:
        """Return the derivative along a direction, just before or just after a point.

        From the gradient: differences of values lose what an outlier's loss hides.
        """
        away = np.sign(point.params) * direction
        at_zero = -np.abs(direction) if before else np.abs(direction)
        kinked = self.l1 @ np.where(point.params == 0, at_zero, away)
        return float(point.gradient @ direction + kinked)

    def line_slope(self, point: Point, direction: Array) -> Callable[[float], float]:
        """Return the derivative in t along ``point + t direction``; takes one pass."""
        change = self.rows.predict(direction)
        self.rows.passes += 1

        def slope(t: float) -> float:
            gradient = self.loss.gradient(point.residual - t * change)
            coef = (point.params + t * direction)[:-1]
            smooth = self.penalty.gradient(coef) @ direction[:-1]
            kinked = self.l1[:-1] @ (np.sign(coef) * direction[:-1])
            rows = self.weight @ (gradient * change)
            return float(smooth + kinked + self.linear @ direction - rows)

        return slope

    def curvature(self, point: Point, majorised: float = 0.0) -> Array:
        """Return each row's curvature times its weight.

        ``majorised`` mixes in ``gradient(r) / r``, which for a symmetric loss is the
        curvature of the parabola that touches it from above (iteratively reweighted
        least squares [1]_); unlike the second derivative it is positive in the tails.

        References
        ----------
        .. [1] Holland, P. W., Welsch, R. E. (1977). Robust regression using
           iteratively reweighted least-squares. Communications in Statistics A6,
           813-827.
        """
        curvature = self.loss.curvature(point.residual)
        if majorised > 0:
            r = np.where(point.residual == 0, 1.0, point.residual)
            ratio = np.where(point.residual == 0, curvature, self.loss.gradient(r) / r)
            curvature = (1 - majorised) * curvature + majorised * ratio
        return self.weight * curvature

    def adjoint(self, slopes: Array) -> Array:
        """Return what the penalty's gradient equals if ``slopes`` are optimal."""
        self.rows.passes += 1
        return self.rows.adjoint(self.weight * slopes) - self.linear

    def hessian(self, curvature: Array, columns: Index) -> Array:
        """Return the Hessian on some params, from the rows' curvature."""
        hessian = self.rows.gram(curvature, columns)
        hessian[np.diag_indices(columns.size)] += self.penalty_curvature(columns)
        return hessian

    def hessian_root(self, curvature: Array, columns: Index) -> Array:
        """Return R with ``R.T @ R = hessian(curvature, columns)``."""
        root = self.rows.root(curvature, columns)
        return np.vstack([root, np.diag(np.sqrt(self.penalty_curvature(columns)))])

    def hessian_operator(self, curvature: Array) -> HessianOperator:
        """Return the Hessian as an operator for many products."""
        return HessianOperator(self.rows, curvature, self.penalty_curvature())

    def penalty_curvature(self, columns: Index | None = None) -> Array:
        """Return the penalty's curvature for all params, or for some."""
        full = np.append(self.penalty.curvature(np.zeros(self.n_params - 1)), 0.0)
        return full if columns is None else full[columns]

    def violation(self, point: Point) -> Array:
        """Return by how much each param fails the optimality condition [1]_.

        The distance of 0 to the subdifferential.

        References
        ----------
        .. [1] Rockafellar, R. T. (1970). Convex Analysis. Princeton.
        """
        at_zero = np.maximum(np.abs(point.gradient) - self.l1, 0.0)
        away = np.abs(point.gradient + self.l1 * np.sign(point.params))
        return np.where((point.params == 0) & (self.l1 > 0), at_zero, away)

    def stationarity(self, point: Point) -> float:
        """Return the largest violation relative to the terms that it sums.

        Terms that are no larger than rounding makes them count as 0 violation.
        """
        error = np.array([self.noise, -self.noise])
        noise = np.abs(self.loss.gradient(error)).max()
        largest = float(self.violation(point).max())
        if largest <= 4 * noise:
            return 0.0
        terms = float(self.weight @ np.abs(self.loss.gradient(point.residual)))
        return largest / terms if terms > 0 else float("inf")

    def yardstick(self, point: Point) -> float:
        """Return the value that ``tol`` is relative to, deaf to outliers.

        The value with residuals clipped at four times their median: a gap that is
        small beside an outlier's loss can still be large beside everybody else's.
        """
        typical = self.typical_residual(point)
        if (
            typical <= NOISE_LEVELS * self.noise
            or not np.isfinite(self.loss.facts.slopes).all()
        ):
            return point.value
        clipped = np.clip(point.residual, -4 * typical, 4 * typical)
        value = float(self.weight @ self.loss.value(clipped))
        return value + self.penalty.value(point.params[:-1])

    def resolution(self, point: Point, slopes: Array) -> float:
        """Return the rounding error that the gap has from the residuals.

        Only rows whose slope has room on both sides count: in the tails the loss and
        its conjugate cancel exactly.
        """
        low, high = self.loss.facts.slopes
        room = (slopes > low) & (slopes < high)
        error = self.loss.value(RESOLVED * self.residual_error(point))
        return float((self.weight * room) @ error)

    def typical_residual(self, point: Point) -> float:
        """Return how large residuals are: deaf to outliers where the loss is."""
        size = np.abs(point.residual)
        if np.isfinite(self.loss.facts.slopes).all():
            return float(np.median(size[self.weight > 0]))
        return float(self.weight @ size)

    def residual_error(self, point: Point) -> Array:
        """Return the rounding error of each residual."""
        return np.asarray(4 * EPS * (np.abs(self.target) + np.abs(point.residual)))


@final
class HessianOperator:
    """The Hessian ``design.T @ diag(c) @ design + diag(penalty)``, never formed.

    Of sparse rows those with ``c > 0`` are copied, which costs about one product.

    Parameters
    ----------
    rows : Rows
        The design.
    c : ndarray of shape (n_rows,)
        Curvature of each row, non-negative.
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
        """Return the diagonal."""
        self._counted.count_pass(self._c)
        return self._rows.gram_diagonal(self._c) + self.penalty

    def sampled_block(self, columns: Index, n_sampled: int, diagonal: Array) -> Array:
        """Return the Hessian on some params, its correlations from a sample of rows.

        A random row of each of ``n_sampled`` stretches; the diagonal is as given.
        """
        n, c = self._rows.n_rows, self._c
        if n > n_sampled:
            place = np.arange(n_sampled) + np.random.default_rng(0).random(n_sampled)
            drawn = np.minimum(place * (n / n_sampled), n - 1).astype(np.intp)
            gram = self._rows.take(drawn).gram(c[drawn], columns)
        else:
            gram = self._rows.gram(c, columns)
        data = np.maximum(diagonal - self.penalty, 0.0)[columns]
        scale = jacobi(gram.diagonal()) * np.sqrt(data)
        block = gram * np.outer(scale, scale)
        block[np.diag_indices_from(block)] = diagonal[columns]
        return np.asarray(block)
