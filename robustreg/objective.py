"""The objective: a weighted mean of losses over rows plus a penalty.

    sum_i w_i loss(r_i) + penalty(coef),   r = y - prediction,   sum(w) = 1

in the standardised coordinates of `robustreg.rows` and in units of the scale. Value,
gradient and residuals come from one pass over the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np

from robustreg.hessian import HessianOperator
from robustreg.linalg import EPS, NOISE_LEVELS, TINY, Factor
from robustreg.losses import Loss
from robustreg.penalties import ElasticNet
from robustreg.rows import (
    FEW_ROWS,
    Array,
    Block,
    Index,
    Rows,
    WeightedGram,
    middle_of,
    representatives,
    signed_gram,
    stretches,
)

# A residual's rounding error, as a share of the target's size and its own, or of the
# terms of its prediction.
RESIDUAL_ERROR = 4 * EPS
# Less curvature is none, and no width is smaller: squares and reciprocals of this much
# are still numbers.
FAINTEST = float(np.sqrt(TINY))


@dataclass(frozen=True)
class Point:
    """An evaluated point.

    Parameters
    ----------
    params : ndarray of shape (n_params,)
        Where.
    gradient : ndarray of shape (n_params,)
        Gradient of everything but the kinked part of the penalty.
    residual : ndarray of shape (n_rows,)
        Residuals, in units of the scale.
    objective : Objective
        What was evaluated.
    """

    params: Array
    gradient: Array
    residual: Array
    objective: Objective

    @cached_property
    def value(self) -> float:
        """The objective, kinked part of the penalty included; takes no pass."""
        objective, r = self.objective, self.residual
        sums = [
            objective.weight[place] @ objective.loss.value(r[place])
            for place in stretches(r.size)
        ]
        penalty = objective.penalty.value(self.params[:-1])
        return float(sum(sums)) + penalty + float(objective.linear @ self.params)


@dataclass(frozen=True)
class Model:
    """A positive definite Hessian.

    Parameters
    ----------
    hessian : ndarray of shape (n_params, n_params)
        The matrix.
    factor : Factor
        Its factor.
    gram : WeightedGram
        The rows that it sums and their weighted curvature.
    """

    hessian: Array
    factor: Factor
    gram: WeightedGram


# Is told of a point that a pass evaluated, and of its params in the coordinates of the
# problem that the objective stands for; raises to end the fit there.
Watch = Callable[[Point, Array], None]


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
    penalty : ElasticNet
        The penalty of the standardised coefficients.
    linear : ndarray of shape (n_params,) or None
        Gradient of a linear function that is added: rows that are held on one side
        of the kink. None adds nothing.
    watch : callable or None
        Is told of each evaluation, but for those of a choice of rows or columns.
    """

    def __init__(
        self,
        rows: Rows,
        target: Array,
        weight: Array,
        loss: Loss,
        penalty: ElasticNet,
        linear: Array | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.rows = rows
        self.target = target
        self.weight = weight
        self.loss = loss
        self.penalty = penalty
        self.n_params = rows.n_params
        self.l1, self.l2 = _for_params(penalty)
        self.linear = np.zeros(rows.n_params) if linear is None else linear
        self.watch = watch

    @cached_property
    def representatives(self) -> tuple[Index, Array]:
        """Rows that have weight, and it, or as many that all stand for the same of it.

        For what need only be typical.
        """
        return representatives(self.weight, FEW_ROWS)

    @cached_property
    def noise(self) -> float:
        """Rounding error of a typical residual; a target of zeros has none."""
        size = np.abs(self.target[self.representatives[0]])
        if not size.any():
            size = np.abs(self.target[self.weight > 0])
        size = size[size > 0]
        return RESIDUAL_ERROR * middle_of(size) if size.size else 0.0

    @cached_property
    def exact_value(self) -> float:
        """The value of a fit whose residuals are rounding errors."""
        errors = NOISE_LEVELS * np.array([self.noise, -self.noise])
        return float(self.loss.value(errors).max())

    def with_loss(self, loss: Loss, target: Array) -> Objective:
        """Return the same rows and penalty with another loss and target."""
        return self._like(loss=loss, target=target)

    def with_penalty(self, penalty: ElasticNet) -> Objective:
        """Return the same rows and loss with another penalty."""
        l1, l2 = _for_params(penalty)
        return self._like(penalty=penalty, l1=l1, l2=l2)

    def tilted(self, linear: Array) -> Objective:
        """Return the objective plus a linear function, given its gradient."""
        return self._like(linear=self.linear + linear)

    def extended(self, target: Array) -> Objective:
        """Return the objective with residuals in extended precision."""
        return self._like(rows=self.rows.in_precision(np.longdouble), target=target)

    def _like(self, **changes: object) -> Objective:
        """Return a copy with some attributes changed."""
        other = copy(self)
        for stale in ("noise", "exact_value"):
            vars(other).pop(stale, None)
        vars(other).update(changes)
        return other

    def take(self, index: Index, weight: Array) -> Objective:
        """Return the objective of some of the rows, weighted to stand for all."""
        rows, target = self.rows.take(index), self.target[index]
        return Objective(rows, target, weight, self.loss, self.penalty, self.linear)

    def columns(self, index: Index) -> Objective:
        """Return the function of some of the params, the last one last, others 0."""
        rows, penalty = self.rows.columns(index), self.penalty.take(index[:-1])
        linear = self.linear[index]
        return Objective(rows, self.target, self.weight, self.loss, penalty, linear)

    def linearise(self, point: Point, active: Index) -> Objective:
        """Return the objective with all other rows replaced by their tangents.

        The same function, up to a constant, wherever those rows of a piecewise
        linear loss keep the side that they have at the point.
        """
        slopes = self.weight * self.loss.gradient(point.residual)
        slopes[active] = 0.0
        self.rows.passes += 1
        linear = self.linear - self.rows.adjoint(slopes)
        return self.take(active, self.weight[active])._like(linear=linear)

    def evaluate(self, params: Array, known: Array | None = None) -> Point:
        """Return gradient and residuals at params, in one pass.

        ``known`` residuals save half of it.
        """
        dtype = np.result_type(self.target, params)
        residual = np.empty(self.target.shape, dtype) if known is None else known

        def terms(place: slice, block: Block) -> tuple[Array]:
            r = residual[place]
            if known is None:
                np.subtract(self.target[place], block.predict(params), out=r)
            return (block.adjoint(self.weight[place] * self.loss.gradient(r)),)

        (slope,) = self.rows.map_reduce(terms, 1.0 if known is None else 0.5)
        gradient = self.linear - np.asarray(slope)
        gradient[:-1] += self.penalty.l2 * params[:-1]
        point = Point(params, gradient, residual, self)
        if self.watch is not None:
            self.watch(point, params)
        return point

    def evaluate_roughly(self, params: Array) -> Point:
        """Return what `evaluate` does, by products in the precision of the data.

        The point's objective is another one if that is a lower precision.
        """
        rows = self.rows.in_precision(np.float32)
        if rows is self.rows:
            return self.evaluate(params)
        self.rows.passes += 1
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            target, weight = self.target.astype("f4"), self.weight.astype("f4")
            like = self._like(rows=rows, target=target, weight=weight)
            point = like.evaluate(params.astype("f4"))
        finite = np.isfinite(point.gradient).all()
        return replace(point, params=params) if finite else self.evaluate(params)

    def residual(self, params: Array) -> Array:
        """Return the residuals at params."""
        self.rows.passes += 1
        return self.target - self.rows.predict(params)

    def slope(self, point: Point, direction: Array, before: bool) -> float:
        """Return the derivative along a direction, just before or just after a point.

        From the gradient: differences of values lose what an outlier's loss hides.
        """
        smooth = float(point.gradient @ direction)
        if not self.l1.any():
            return smooth
        away = np.sign(point.params) * direction
        at_zero = -np.abs(direction) if before else np.abs(direction)
        return smooth + float(self.l1 @ np.where(point.params == 0, at_zero, away))

    def line_slope(self, point: Point, direction: Array) -> Callable[[float], float]:
        """Return the derivative in t along ``point + t direction``; takes one pass."""
        change = self.rows.predict(direction)
        self.rows.passes += 1

        def slope(t: float) -> float:
            gradient = self.loss.gradient(point.residual - t * change)
            coef = (point.params + t * direction)[:-1]
            smooth = (self.penalty.l2 * coef) @ direction[:-1]
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
        dtype = np.result_type(self.weight, point.residual)
        result = np.empty(self.weight.shape, dtype)
        for place in stretches(result.size):
            curvature = _curvature(self.loss, point.residual[place], majorised)
            result[place] = self.weight[place] * curvature
        return result

    def adjoint(self, slopes: Array) -> Array:
        """Return what the penalty's gradient equals if ``slopes`` are optimal."""
        self.rows.passes += 1
        return self.rows.adjoint(self.weight * slopes) - self.linear

    def hessian(self, curvature: Array, columns: Index) -> Array:
        """Return the Hessian on some params, from the rows' curvature, of any sign."""
        hessian = signed_gram(self.rows, curvature, columns)
        hessian.flat[:: columns.size + 1] += self.l2[columns]
        return hessian

    def full_hessian(self, gram: WeightedGram) -> Array:
        """Return the Hessian on all params, from the rows' part of it."""
        hessian = gram.matrix.copy()
        hessian.flat[:: self.n_params + 1] += self.l2
        return hessian

    def hessian_root(self, curvature: Array, columns: Index) -> Array:
        """Return R with ``R.T @ R = hessian(curvature, columns)``."""
        root = self.rows.root(curvature, columns)
        return np.vstack([root, np.diag(np.sqrt(self.l2[columns]))])

    def hessian_operator(self, curvature: Array) -> HessianOperator:
        """Return the Hessian as an operator for many products."""
        return HessianOperator(self.rows, curvature, self.l2)

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


def _curvature(loss: Loss, residual: Array, majorised: float) -> Array:
    """Return the curvature of some rows, what is too faint for its square as 0."""
    curvature = loss.curvature(residual)
    if majorised > 0:
        r = np.where(residual == 0, 1.0, residual)
        ratio = np.where(residual == 0, curvature, loss.gradient(r) / r)
        curvature = (1 - majorised) * curvature + majorised * ratio
    if loss.facts.breakpoints is None:
        curvature = np.where(np.abs(curvature) < FAINTEST, 0.0, curvature)
    return curvature


def _for_params(penalty: ElasticNet) -> tuple[Array, Array]:
    """Return the weights of a penalty for all params, 0 for the intercept."""
    return np.append(penalty.l1, 0.0), np.append(penalty.l2, 0.0)
