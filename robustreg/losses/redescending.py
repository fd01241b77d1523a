"""The redescending losses: a residual that is too large pulls less, or not at all.

None is convex. All are least squares near 0, with curvature 1 there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from robustreg.losses.base import Array, BreakpointLoss, Loss, LossFacts

# exp(-t^2) is 0 from 27.3 on, and t^2 may not overflow.
FARTHEST = 40.0


class _Sublinear(Loss):
    """A loss that every line outgrows."""

    def conjugate(self, slope: Array) -> Array:
        """Return 0 at 0 and ``inf`` elsewhere."""
        return np.where(slope == 0, 0.0, np.inf)


@final
@dataclass(frozen=True)
class Cauchy(BreakpointLoss, _Sublinear):
    r""":math:`\frac{\beta^2}{2} \log(1 + (r / \beta)^2)`, with beta > 0.

    The likelihood of Cauchy's distribution [1]_. Its slope falls to 0 as ``1 / r``.

    References
    ----------
    .. [1] Holland, P. W., Welsch, R. E. (1977). Robust regression using iteratively
       reweighted least-squares. Communications in Statistics A6, 813-827.
    """

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


@final
@dataclass(frozen=True)
class Welsch(BreakpointLoss, _Sublinear):
    r""":math:`\frac{\beta^2}{2} (1 - e^{-(r / \beta)^2})`, with beta > 0.

    Rows beyond a few beta have hardly any pull [1]_.

    References
    ----------
    .. [1] Dennis, J. E., Welsch, R. E. (1978). Techniques for nonlinear least squares
       and robust regression. Communications in Statistics B7, 345-359.
    """

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

    def _square(self, residual: Array) -> Array:
        """Return ``(r / beta)^2``, or enough."""
        return np.asarray(np.minimum(np.abs(residual / self.beta), FARTHEST) ** 2)


@final
@dataclass(frozen=True)
class Tukey(BreakpointLoss, _Sublinear):
    r"""Tukey's biweight, flat beyond beta > 0.

    .. math::

        \frac{\beta^2}{6} \left( 1 - (1 - (r / \beta)^2)^3 \right)

    Rows beyond beta have no pull at all [1]_.

    References
    ----------
    .. [1] Beaton, A. E., Tukey, J. W. (1974). The fitting of power series, meaning
       polynomials, illustrated on band-spectroscopic data. Technometrics 16, 147-185.
    """

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

    def _size(self, residual: Array) -> Array:
        """Return ``abs(r) / beta``, at most 1."""
        return np.asarray(np.minimum(np.abs(residual / self.beta), 1.0))


@final
@dataclass(frozen=True)
class Talwar(BreakpointLoss, _Sublinear):
    r""":math:`\min(r^2, \beta^2) / 2`, beta > 0: least squares without some rows.

    Rows beyond beta have no pull at all [1]_.

    References
    ----------
    .. [1] Hinich, M. J., Talwar, P. P. (1975). A simple method for robust regression.
       Journal of the American Statistical Association 70, 113-119.
    """

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


@final
@dataclass(frozen=True)
class Hampel(_Sublinear):
    r"""Hampel's three-part loss, with :math:`0 < a \le b < c`.

    Huber's with the breakpoint a up to b; from there its slope falls along a line from
    a to 0 at c. Rows with :math:`\lvert r \rvert \ge c` have no pull [1]_.

    References
    ----------
    .. [1] Andrews, D. F., Bickel, P. J., Hampel, F. R., Huber, P. J., Rogers, W. H.,
       Tukey, J. W. (1972). Robust Estimates of Location. Princeton University Press.
    """

    a: float
    b: float
    c: float

    def __post_init__(self) -> None:
        """Refuse parts in another order."""
        if not 0 < self.a <= self.b < self.c < np.inf:
            raise ValueError(f"Hampel needs 0 < a <= b < c, all finite. Got {self!r}.")

    @property
    def facts(self) -> LossFacts:
        """Steepest from a to b, and bounded."""
        ends = (-self.c, -self.b, -self.a, self.a, self.b, self.c)
        return LossFacts(
            largest_curvature=1.0,
            slopes=_ends(self.a),
            convex=False,
            breakpoints=ends,
            largest_value=self.a * (self.b - self.a + self.c) / 2,
        )

    def value(self, residual: Array) -> Array:
        """Return the loss: what each part adds up to where the residual is."""
        size = np.abs(residual)
        inner, middle = np.minimum(size, self.a), np.clip(size, self.a, self.b) - self.a
        outer = np.clip(size, self.b, self.c) - self.b
        fallen = outer * (1 - outer / (2 * (self.c - self.b)))
        return inner * (inner / 2) + self.a * (middle + fallen)

    def gradient(self, residual: Array) -> Array:
        """Return the slope: r, then a, then less, then 0."""
        left = self.c - np.minimum(np.abs(residual), self.c)
        most = self.a * np.minimum(left / (self.c - self.b), 1.0)
        return np.clip(residual, -most, most)

    def curvature(self, residual: Array) -> Array:
        """Return 1, 0, ``-a / (c - b)`` and 0, from part to part."""
        size = np.abs(residual)
        falls = (size > self.b) & (size < self.c)
        return np.where(size <= self.a, 1.0, falls * (-self.a / (self.c - self.b)))


@final
@dataclass(frozen=True)
class Andrews(BreakpointLoss, _Sublinear):
    r"""Andrews' sine wave, flat beyond pi times beta > 0.

    .. math::

        \beta^2 (1 - \cos(r / \beta))

    Rows beyond have no pull at all [1]_.

    References
    ----------
    .. [1] Andrews, D. F. (1974). A robust method for multiple linear regression.
       Technometrics 16, 523-531.
    """

    @property
    def facts(self) -> LossFacts:
        """Steepest at ``pi beta / 2``, and bounded."""
        most = 2 * self.beta**2
        return LossFacts(1.0, _ends(self.beta), convex=False, largest_value=most)

    def value(self, residual: Array) -> Array:
        """Return the loss as ``2 beta^2 sin(r / (2 beta))^2``: nothing cancels."""
        half = self.beta * np.sin(self._angle(residual) / 2)
        return 2 * half * half

    def gradient(self, residual: Array) -> Array:
        """Return ``beta sin(r / beta)``, 0 beyond ``pi beta``."""
        angle = self._angle(residual)
        # The sine of the float next to pi is not 0.
        wave = np.where(angle < np.pi, np.sin(angle), 0.0)
        return np.copysign(self.beta * wave, residual)

    def curvature(self, residual: Array) -> Array:
        """Return ``cos(r / beta)``, 0 beyond ``pi beta``."""
        angle = self._angle(residual)
        return np.where(angle < np.pi, np.cos(angle), 0.0)

    def _angle(self, residual: Array) -> Array:
        """Return ``abs(r) / beta``, at most pi."""
        return np.asarray(np.minimum(np.abs(residual / self.beta), np.pi))


def _ends(steepest: float) -> tuple[float, float]:
    """Return the extreme slopes of a symmetric loss."""
    return (-steepest, steepest)
