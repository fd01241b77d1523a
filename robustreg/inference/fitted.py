"""A fit of rows in memory, as inference sees it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from robustreg.estimators import L1Regressor
from robustreg.estimators.arrays import problem_on
from robustreg.fitting import Fit, fit_problem
from robustreg.inference.algebra import AtFit, Inverse, of_full_leverage
from robustreg.inference.density import at_width, deviation, least_spread
from robustreg.linalg import EPS, HALF_OF_DIGITS, ROUNDINGS, SAME, SUM_ERROR
from robustreg.losses import Loss, Pinball, relative_weight
from robustreg.losses.base import BESIDE
from robustreg.rows import Array, Rows, Standard, design_rank, signed_gram
from robustreg.scale import spread, weighted_median


def jumps_of(loss: Loss) -> list[tuple[float, float]]:
    """Return where a loss's slope jumps, and by how much.

    A piecewise linear loss is another matter: it has no curvature besides.
    """
    if loss.facts.piecewise_linear or loss.facts.breakpoints is None:
        return []
    ends = np.array(loss.facts.breakpoints)
    step = BESIDE * np.abs(ends).max(initial=0.0)
    height = loss.gradient(ends + step) - loss.gradient(ends - step)
    found = np.abs(height) > SAME * np.abs(loss.gradient(ends)).max(initial=0.0)
    return list(zip(ends[found].tolist(), height[found].tolist(), strict=True))


@dataclass(frozen=True)
class SFitted:
    """The S-estimate that an MM-estimate starts from, on the same rows.

    Its residuals over the scale, its loss, which is bounded, and its breakdown point.
    """

    residual: Array
    loss: Loss
    breakdown: float

    @property
    def chi(self) -> Array:
        """Its loss with supremum 1."""
        return self.loss.value(self.residual) / self.loss.facts.largest_value

    @property
    def chi_slope(self) -> Array:
        """The derivative of that."""
        return self.loss.gradient(self.residual) / self.loss.facts.largest_value


@dataclass(frozen=True)
class Fitted(AtFit[Array]):
    """Rows, residuals and loss at a fit, in units of its scale.

    Parameters
    ----------
    rows : Rows
        The standardised design.
    weight : ndarray of shape (n_rows,)
        How often each row stands.
    target, residual : ndarray of shape (n_rows,)
        y and residuals over the scale.
    params : ndarray of shape (n_params,)
        The fit in standardised coordinates, over the scale.
    loss : Loss
        The loss.
    scale : float
        The scale.
    precision : float
        Rounding error of the stored coefficients.
    names : list of str
        Names of the coefficients, the intercept's last if there is one.
    s_estimate : SFitted or None
        Where an MM-estimate starts; None for any other fit.
    """

    rows: Rows
    weight: Array
    target: Array
    residual: Array
    params: Array
    loss: Loss
    scale: float
    precision: float
    names: list[str]
    s_estimate: SFitted | None = None

    @property
    def standard(self) -> Standard:
        """The coordinates of the design."""
        return self.rows.standard

    @cached_property
    def n_obs(self) -> float:
        """How many rows the weights count."""
        return float(self.weight.sum())

    @cached_property
    def rank(self) -> int:
        """How many params the design determines."""
        return design_rank(self.rows, self.weight)

    @cached_property
    def slopes(self) -> Array:
        """The loss's gradient at each residual."""
        return self.loss.gradient(self.residual)

    @cached_property
    def curvature(self) -> Array:
        """The loss's curvature at each residual, with jumps of its slope spread out.

        The expected slope bends by a jump's height times the density of errors there,
        which a kernel estimates.
        """
        curvature = self.loss.curvature(self.residual)
        for place, height in jumps_of(self.loss):
            away = self.residual - place
            density = at_width("gaussian", away, self._kernel_width)
            curvature = curvature + height * density
        return curvature

    @cached_property
    def _kernel_width(self) -> float:
        """Silverman's bandwidth for the density of residuals."""
        size = deviation(self.residual, self.weight, self.n_obs)
        width = least_spread(self.residual, self.weight, size)
        return float(1.06 * width * self.n_obs**-0.2)

    @property
    def ones(self) -> Array:
        """A 1 for each row."""
        return np.ones_like(self.residual)

    @cached_property
    def squared_slopes(self) -> Array:
        """The square of the loss's gradient at each residual."""
        return np.asarray(self.slopes**2)

    @cached_property
    def robustness(self) -> Array:
        """The weight of each row in a least squares fit that is the same."""
        return relative_weight(self.loss, self.residual)

    def mean(self, value: Array) -> float:
        """Return the weighted mean of a value of each row."""
        return float(self.weight @ value) / self.n_obs

    @property
    def curvature_variance(self) -> float:
        """The variance of the curvature, of divisor n."""
        return self.mean((self.curvature - self.mean(self.curvature)) ** 2)

    def raised(self, bread: Inverse, power: int) -> Array:
        """Return the squared slopes over a power of 1 less the leverage of their rows.

        A pass for each column. Refuses a leverage of 1.
        """
        square = np.zeros_like(self.residual)
        for direction in bread.half.T:
            square += self.predict(direction) ** 2
        left = 1 - self.curvature * square
        decided = (self.weight > 0) & (left < SUM_ERROR)
        if decided.any():
            raise ValueError(of_full_leverage(int(np.flatnonzero(decided)[0])))
        return np.asarray(self.squared_slopes / left**power)

    def predict(self, direction: Array) -> Array:
        """Return the change of each prediction along a direction of the columns."""
        full = np.zeros(self.rows.n_params)
        full[self.columns] = direction
        self.rows.passes += 1
        return self.rows.predict(full)

    def adjoint(self, v: Array) -> Array:
        """Return ``design.T @ (weight * v)`` on the columns."""
        self.rows.passes += 1
        return self.rows.adjoint(self.weight * v)[self.columns]

    def gram(self, value: Array) -> Array:
        """Return ``design.T @ diag(weight * value) @ design``, whatever its sign."""
        return signed_gram(self.rows, self.weight * value, self.columns)

    def root(self, value: Array) -> Array:
        """Return R with ``R.T @ R = gram(abs(value))``, by orthogonal steps."""
        return self.rows.root(self.weight * np.abs(value), self.columns)

    def bent_root(self, value: Array) -> Array:
        """Return R with ``R.T @ R = gram(max(-value, 0))``; no rows if that is 0."""
        bent = self.weight * np.maximum(-value, 0.0)
        none = np.zeros((0, self.columns.size))
        return self.rows.root(bent, self.columns) if bent.any() else none

    # Losses with a kink -------------------------------------------------------------

    @property
    def quantile(self) -> float:
        """The level of a piecewise linear loss, by its slopes."""
        low, high = self.loss.facts.slopes
        return high / (high - low)

    @cached_property
    def snapped(self) -> Array:
        """Residuals, 0 where the fit passes through the row.

        That is up to half of the digits of a typical one, as in quantreg.
        """
        error = np.abs(self.target) + np.abs(self.target - self.residual)
        # Where y is 0 the fit errs by as much as elsewhere.
        error += spread(self.target, self.weight)
        typical = weighted_median(np.abs(self.residual), self.weight)
        bound = HALF_OF_DIGITS * typical + ROUNDINGS * self.precision * error
        return np.where(np.abs(self.residual) <= bound, 0.0, self.residual)

    def refit(self, quantile: float) -> Fit:
        """Return another quantile's fit."""
        model, loss = L1Regressor(quantile=quantile), Pinball(quantile - 1, quantile)
        given = self.rows, self.target, self.weight
        return fit_problem(problem_on(model, *given, loss, EPS), self.params)
