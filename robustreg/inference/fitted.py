"""A fit as inference sees it, and the algebra that its covariances share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg

from robustreg.fitting import Fit, Problem, fit_problem
from robustreg.inference.columns import columns_of, decomposed, dependent
from robustreg.inference.density import at_width, deviation, spread
from robustreg.linalg import SMALLEST_RCOND, TINY, factorise
from robustreg.losses import Loss, Pinball
from robustreg.penalties import make_penalty
from robustreg.rows import Array, Index, Rows, design_rank, signed_gram
from robustreg.scale import spread as spread_of
from robustreg.scale import weighted_median

# Singular values this small beside the largest are rounding errors.
DEPENDENT = 1e-12
# The residual of a row that a kinked loss passes through is 0 up to this share of a
# typical one, as in quantreg, and this many rounding errors.
ZERO_RESIDUAL, ROUNDING = 1.5e-8, 64.0
# A variance this small beside its largest possible one has lost half of its digits.
LOST = 1e-8


def jumps_of(loss: Loss) -> list[tuple[float, float]]:
    """Return where a loss's slope jumps, and by how much.

    A piecewise linear loss is another matter: it has no curvature besides.
    """
    if loss.facts.piecewise_linear or loss.facts.breakpoints is None:
        return []
    ends = np.array(loss.facts.breakpoints)
    step = 1e-9 * np.abs(ends).max(initial=0.0)
    height = loss.gradient(ends + step) - loss.gradient(ends - step)
    found = np.abs(height) > 1e-6 * np.abs(loss.gradient(ends)).max(initial=0.0)
    return list(zip(ends[found].tolist(), height[found].tolist(), strict=True))


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

    @property
    def full(self) -> Array:
        """The inverse."""
        return np.asarray(self.outer @ self.outer.T)

    def around(self, root: Array) -> Array:
        """Return ``outer @ root.T @ root @ outer.T``, whose diagonal is never < 0."""
        image = root @ self.outer.T
        return np.asarray(image.T @ image)


@dataclass(frozen=True)
class SFitted:
    """The S-estimate that an MM-estimate starts from, on the same rows.

    Parameters
    ----------
    residual : ndarray of shape (n_rows,)
        Its residuals over the scale.
    loss : Loss
        Its loss, which is bounded.
    breakdown : float
        Its breakdown point.
    """

    residual: Array
    loss: Loss
    breakdown: float


@dataclass(frozen=True)
class Fitted:
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

    @cached_property
    def columns(self) -> Index:
        """The params that the design has: all but an absent intercept."""
        return columns_of(self.rows)

    @cached_property
    def n_obs(self) -> float:
        """How many rows the weights count."""
        return float(self.weight.sum())

    @property
    def df(self) -> float:
        """Rows less what they determine."""
        return self.n_obs - self.rank

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
        width = spread(self.residual, self.weight, size)
        return float(1.06 * width * self.n_obs**-0.2)

    def mean(self, values: Array) -> float:
        """Return the weighted mean of a value of each row."""
        return float(self.weight @ values) / self.n_obs

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

    def gram(self, c: Array) -> Array:
        """Return ``design.T @ diag(weight * c) @ design``, for c of any sign."""
        return signed_gram(self.rows, self.weight * c, self.columns)

    def inverse(self, c: Array) -> Inverse:
        """Return the inverse of ``gram(c)``; refuse columns that depend on others."""
        factor = factorise(self.gram(c))
        if factor.rcond > SMALLEST_RCOND and factor.scale.all():
            half = scipy.linalg.lapack.dtrtri(factor.lower, lower=1)[0]
            half = factor.scale[:, None] * np.tril(half).T
            return Inverse(half, self._original @ half, delicate=False)
        half = self._half_by_root(np.abs(c))
        bent = self.weight * np.maximum(-c, 0.0)
        if bent.any():
            half = half @ self._half_with_bent(half, bent)
        return Inverse(half, self._original @ half, delicate=True)

    def _half_by_root(self, c: Array) -> Array:
        """Return the half from orthogonal steps, which keep twice the digits."""
        root = self.rows.root(self.weight * c, self.columns)
        scale, size, basis = decomposed(root)
        null = basis[size <= DEPENDENT * size[0]] * scale
        if null.size:
            held = self.rank == self.columns.size
            raise ValueError(dependent(self.rows, self.names, null, held))
        return np.asarray(scale[:, None] * (basis.T / size))

    def _half_with_bent(self, half: Array, bent: Array) -> Array:
        """Return what turns the half of ``gram(abs(c))`` into that of ``gram(c)``."""
        image = self.rows.root(bent, self.columns) @ half
        size, basis = scipy.linalg.eigh(np.eye(len(half)) - 2 * image.T @ image)
        if size[0] <= SMALLEST_RCOND:
            raise ValueError(
                "The Hessian is not positive definite at the fit, so that no sandwich "
                "can be made of it: rows far out bend the loss the wrong way. Use a "
                "larger beta, or cov_type='bootstrap'."
            )
        return np.asarray(basis / np.sqrt(size))

    def inverse_gram(self, c: Array) -> Array:
        """Return the inverse of ``gram(c)``; refuse columns that depend on others."""
        return self.inverse(c).full

    def sandwich(self, bread: Inverse, meat: Array) -> Array:
        """Return ``bread @ gram(meat) @ bread``, for a meat that is not negative.

        Products with a Gram matrix cancel where columns all but depend on each other,
        and where rows without errors hold a coefficient: there it is made of the rows.
        """
        if not bread.delicate:
            middle = bread.half.T @ self.gram(meat) @ bread.half
            result = np.asarray(bread.outer @ middle @ bread.outer.T)
            most = np.linalg.norm(bread.outer, axis=1) ** 2 * np.trace(middle)
            if (result.diagonal() > LOST * most).all():
                return result
        return bread.around(
            self.rows.root(self.weight * meat, self.columns) @ bread.half
        )

    @cached_property
    def _original(self) -> Array:
        """The matrix from standardised params to original coefficients."""
        standard = self.rows.standard
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
            raise ValueError(
                "The covariance is beyond the range of float64: it has units of y^2, "
                f"and residuals are of size {self.scale:.3g}. Divide y by "
                f"{self.scale:.0e}, and fit again."
            )
        return np.asarray(result)

    # Losses with a kink -------------------------------------------------------------

    @property
    def quantile(self) -> float:
        """The level of a piecewise linear loss, by its slopes."""
        low, high = self.loss.facts.slopes
        return high / (high - low)

    @cached_property
    def snapped(self) -> Array:
        """Residuals, those that the fit passes through made 0."""
        error = np.abs(self.target) + np.abs(self.target - self.residual)
        # Where y is 0 the fit errs by as much as elsewhere.
        error += spread_of(self.target, self.weight)
        typical = weighted_median(np.abs(self.residual), self.weight)
        bound = ZERO_RESIDUAL * typical + ROUNDING * self.precision * error
        return np.where(np.abs(self.residual) <= bound, 0.0, self.residual)

    def refit(self, quantile: float) -> Fit:
        """Return another quantile's fit."""
        return fit_problem(
            Problem(
                rows=self.rows,
                y=self.target,
                weight=self.weight,
                loss=Pinball(quantile - 1, quantile),
                penalty=make_penalty(None, 0.0, 0.5, self.rows.n_params - 1),
                scale=1.0,
                solver="auto",
                tol=1e-10,
                max_iter=500,
                outlier_threshold=3.0,
                eps=2.0**-52,
            ),
            self.params,
        )
