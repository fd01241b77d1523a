"""The redescending losses: a residual that is too large pulls less, or not at all.

None is convex. All are least squares near 0, with curvature 1 there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from robustreg.losses.base import Array, Loss, LossFacts

# exp(-t^2) is 0 beyond this, and t^2 may not overflow.
FARTHEST = 40.0


@final
@dataclass(frozen=True)
class Cauchy(Loss):
    """``beta^2 / 2 log(1 + (r / beta)^2)``, with beta > 0 [1]_.

    The likelihood of Cauchy's distribution. Its slope falls to 0 as ``1 / r``.

    References
    ----------
    .. [1] Holland, P. W., Welsch, R. E. (1977). Robust regression using iteratively
       reweighted least-squares. Communications in Statistics A6, 813-827.
    """

    beta: float

    @property
    def facts(self) -> LossFacts:
        """Steepest at beta, and without a bound."""
        return LossFacts(1.0, _ends(self.beta / 2), convex=False)

    def value(self, residual: Array) -> Array:
        """Return the loss; neither branch overflows or cancels where it is used."""
        t = np.abs(residual / self.beta)
        near = 0.5 * np.log1p(np.minimum(t, 1.0) ** 2)
        return self.beta**2 * np.where(t < 1, near, np.log(np.hypot(1.0, t)))

    def gradient(self, residual: Array) -> Array:
        """Return ``r / (1 + (r / beta)^2)``."""
        root = np.hypot(1.0, residual / self.beta)
        return np.clip(residual / root / root, *self.facts.slopes)

    def curvature(self, residual: Array) -> Array:
        """Return ``(1 - t^2) / (1 + t^2)^2`` with ``t = r / beta``."""
        t = np.abs(residual / self.beta)
        share = 1 / np.hypot(1.0, t)
        return (1 - t) * share * (share + t * share) * share**2

    def conjugate(self, slope: Array) -> Array:
        """Return 0 at 0 and ``inf`` elsewhere."""
        return _sublinear_conjugate(slope)


@final
@dataclass(frozen=True)
class Welsch(Loss):
    """``beta^2 / 2 (1 - exp(-(r / beta)^2))``, with beta > 0 [1]_.

    References
    ----------
    .. [1] Dennis, J. E., Welsch, R. E. (1978). Techniques for nonlinear least squares
       and robust regression. Communications in Statistics B7, 345-359.
    """

    beta: float

    @property
    def facts(self) -> LossFacts:
        """Steepest at ``beta / sqrt(2)``, and bounded."""
        steepest = self.beta * float(np.sqrt(0.5) * np.exp(-0.5))
        most = self.beta**2 / 2
        return LossFacts(1.0, _ends(steepest), convex=False, largest_value=most)

    def value(self, residual: Array) -> Array:
        """Return the loss, written without the subtraction that loses digits."""
        return -0.5 * self.beta**2 * np.expm1(-self._square(residual))

    def gradient(self, residual: Array) -> Array:
        """Return ``r exp(-(r / beta)^2)``."""
        slope = residual * np.exp(-self._square(residual))
        return np.clip(slope, *self.facts.slopes)

    def curvature(self, residual: Array) -> Array:
        """Return ``(1 - 2 t^2) exp(-t^2)`` with ``t = r / beta``."""
        square = self._square(residual)
        return (1 - 2 * square) * np.exp(-square)

    def conjugate(self, slope: Array) -> Array:
        """Return 0 at 0 and ``inf`` elsewhere."""
        return _sublinear_conjugate(slope)

    def _square(self, residual: Array) -> Array:
        """Return ``(r / beta)^2``, or enough."""
        return np.asarray(np.minimum(np.abs(residual / self.beta), FARTHEST) ** 2)


@final
@dataclass(frozen=True)
class Tukey(Loss):
    """Tukey's biweight: ``beta^2 / 6 (1 - (1 - (r / beta)^2)^3)``, flat beyond [1]_.

    Rows with ``abs(r) >= beta`` have no pull at all.

    References
    ----------
    .. [1] Beaton, A. E., Tukey, J. W. (1974). The fitting of power series, meaning
       polynomials, illustrated on band-spectroscopic data. Technometrics 16, 147-185.
    """

    beta: float

    @property
    def facts(self) -> LossFacts:
        """Steepest at ``beta / sqrt(5)``, and bounded."""
        steepest = self.beta * float(16 / (25 * np.sqrt(5.0)))
        most = self.beta**2 / 6
        return LossFacts(1.0, _ends(steepest), convex=False, largest_value=most)

    def value(self, residual: Array) -> Array:
        """Return the loss, multiplied out so that nothing cancels."""
        square = self._size(residual) ** 2
        return self.beta**2 / 6 * square * (3 - square * (3 - square))

    def gradient(self, residual: Array) -> Array:
        """Return ``r (1 - (r / beta)^2)^2``, 0 beyond beta."""
        t = self._size(residual)
        room = (1 - t) * (1 + t)
        return np.clip(residual * room * room, *self.facts.slopes)

    def curvature(self, residual: Array) -> Array:
        """Return ``(1 - t^2) (1 - 5 t^2)`` with ``t = r / beta``, 0 beyond beta."""
        t = self._size(residual)
        return (1 - t) * (1 + t) * (1 - 5 * t**2)

    def conjugate(self, slope: Array) -> Array:
        """Return 0 at 0 and ``inf`` elsewhere."""
        return _sublinear_conjugate(slope)

    def _size(self, residual: Array) -> Array:
        """Return ``abs(r) / beta``, at most 1."""
        return np.asarray(np.minimum(np.abs(residual / self.beta), 1.0))


@final
@dataclass(frozen=True)
class Talwar(Loss):
    """``min(r^2, beta^2) / 2``, with beta > 0: least squares without some rows [1]_.

    References
    ----------
    .. [1] Hinich, M. J., Talwar, P. P. (1975). A simple method for robust regression.
       Journal of the American Statistical Association 70, 113-119.
    """

    beta: float

    @property
    def facts(self) -> LossFacts:
        """Steepest at beta, where the slope jumps to 0, and bounded."""
        ends, most = _ends(self.beta), self.beta**2 / 2
        return LossFacts(1.0, ends, convex=False, breakpoints=ends, largest_value=most)

    def value(self, residual: Array) -> Array:
        """Return the loss."""
        return 0.5 * np.minimum(np.abs(residual), self.beta) ** 2

    def gradient(self, residual: Array) -> Array:
        """Return ``r`` where ``abs(r) <= beta``, else 0."""
        return np.where(np.abs(residual) <= self.beta, residual, 0.0)

    def curvature(self, residual: Array) -> Array:
        """Return 1 where ``abs(r) <= beta``, else 0."""
        return np.where(np.abs(residual) <= self.beta, 1.0, 0.0)

    def conjugate(self, slope: Array) -> Array:
        """Return 0 at 0 and ``inf`` elsewhere."""
        return _sublinear_conjugate(slope)


def _ends(steepest: float) -> tuple[float, float]:
    """Return the extreme slopes of a symmetric loss."""
    return (-steepest, steepest)


def _sublinear_conjugate(slope: Array) -> Array:
    """Return the conjugate of a loss that every line outgrows."""
    return np.where(slope == 0, 0.0, np.inf)
