"""The convex losses."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from robustreg.losses.base import Array, BreakpointLoss, Loss, LossFacts


@final
@dataclass(frozen=True)
class L2(Loss):
    r"""Least squares: :math:`r^2 / 2`."""

    @property
    def facts(self) -> LossFacts:
        """Curvature 1 everywhere, slope unbounded."""
        return LossFacts(1.0, unimodal=True, breakpoints=())

    def value(self, residual: Array) -> Array:
        """Return ``r^2 / 2``."""
        return 0.5 * residual * residual

    def gradient(self, residual: Array) -> Array:
        """Return ``r``."""
        return residual

    def curvature(self, residual: Array) -> Array:
        """Return 1."""
        return np.ones_like(residual)

    def conjugate(self, slope: Array) -> Array:
        """Return ``slope^2 / 2``."""
        return 0.5 * slope * slope


class _Kinked(Loss):
    """Two lines that meet in a kink at 0, ``max(low * r, high * r)``, low < 0 < high.

    What is left to a subclass depends on how fast it can be.
    """

    @property
    @abstractmethod
    def _slopes(self) -> tuple[float, float]:
        """Low and high."""

    @cached_property
    def facts(self) -> LossFacts:
        """Linear on both sides of the kink."""
        low, high = self._slopes
        return LossFacts(
            np.inf,
            (low, high),
            symmetric=low == -high,
            linear_beyond=0.0,
            breakpoints=(0.0,),
        )

    def curvature(self, residual: Array) -> Array:
        """Return 0."""
        return np.zeros_like(residual)

    def conjugate(self, slope: Array) -> Array:
        """Return 0 between the slopes."""
        low, high = self._slopes
        return np.where((slope >= low) & (slope <= high), 0.0, np.inf)


@final
@dataclass(frozen=True)
class L1(_Kinked):
    r"""Least absolute deviations: :math:`\lvert r \rvert`."""

    @property
    def _slopes(self) -> tuple[float, float]:
        """-1 and 1."""
        return -1.0, 1.0

    def value(self, residual: Array) -> Array:
        """Return ``abs(r)``."""
        return np.abs(residual)

    def gradient(self, residual: Array) -> Array:
        """Return ``sign(r)``."""
        return np.sign(residual)


@final
@dataclass(frozen=True)
class Pinball(_Kinked):
    r"""Two slopes in a kink: :math:`\max(\text{low} \, r, \text{high} \, r)`.

    With low < 0 < high; ``low, high = quantile - 1, quantile`` is the loss of quantile
    regression [1]_.

    References
    ----------
    .. [1] Koenker, R., Bassett, G. (1978). Regression quantiles. Econometrica 46,
       33-50.
    """

    low: float
    high: float

    @property
    def _slopes(self) -> tuple[float, float]:
        """Low and high."""
        return self.low, self.high

    def value(self, residual: Array) -> Array:
        """Return ``high * r`` or ``low * r``, the larger."""
        return np.maximum(self.high * residual, self.low * residual)

    def gradient(self, residual: Array) -> Array:
        """Return ``high`` above 0 and ``low`` below."""
        # Choosing by the signs of the residuals takes several times as long.
        sign = np.sign(residual)
        return sign * self.value(sign)


class _Clipped(Loss):
    """Moreau envelope of two lines that meet in a kink: its slope is a clipped line.

    ``slope * r - width * slope^2 / 2`` with ``slope = clip(r / width, low, high)``.
    """

    @property
    @abstractmethod
    def _line(self) -> tuple[float, float, float]:
        """Low, high and width."""

    @cached_property
    def facts(self) -> LossFacts:
        """Curvature 1 / width between the breakpoints, 0 outside."""
        low, high, width = self._line
        return LossFacts(
            1 / width,
            (low, high),
            symmetric=low == -high,
            linear_beyond=width * max(-low, high),
            unimodal=True,
            breakpoints=(low * width, high * width),
        )

    def value(self, residual: Array) -> Array:
        """Return the envelope."""
        slope, (_, _, width) = self.gradient(residual), self._line
        return slope * (residual - (0.5 * width) * slope)

    def gradient(self, residual: Array) -> Array:
        """Return ``clip(r / width, low, high)``."""
        low, high, width = self._line
        # A division by 1 takes as long as any other.
        return np.clip(residual if width == 1 else residual / width, low, high)

    def curvature(self, residual: Array) -> Array:
        """Return ``1 / width`` between the breakpoints."""
        low, high, width = self._line
        ratio = residual if width == 1 else residual / width
        return ((ratio >= low) & (ratio <= high)) / width

    def conjugate(self, slope: Array) -> Array:
        """Return ``width * slope^2 / 2`` between the slopes."""
        low, high, width = self._line
        inside = (slope >= low) & (slope <= high)
        return np.where(inside, 0.5 * width * slope * slope, np.inf)


@final
@dataclass(frozen=True)
class Envelope(_Clipped):
    """``slope * r - beta * slope^2 / 2``, ``slope = clip(r / beta, low, high)``.

    The Moreau envelope of `Pinball`; `SmoothL1` is that of `L1`.
    """

    low: float
    high: float
    beta: float

    @property
    def _line(self) -> tuple[float, float, float]:
        """The line ``r / beta``, clipped at low and high."""
        return self.low, self.high, self.beta


@final
@dataclass(frozen=True)
class SmoothL1(BreakpointLoss, _Clipped):
    r"""Squares up to beta > 0, beyond it absolute values.

    .. math::

        \frac{r^2}{2 \beta} \text{ if } \lvert r \rvert < \beta
        \text{ else } \lvert r \rvert - \beta / 2
    """

    @property
    def _line(self) -> tuple[float, float, float]:
        """The line ``r / beta``, clipped at -1 and 1."""
        return -1.0, 1.0, self.beta


@final
@dataclass(frozen=True)
class Huber(BreakpointLoss, _Clipped):
    r"""Squares up to beta > 0, beyond it lines with slope beta.

    .. math::

        \frac{r^2}{2} \text{ if } \lvert r \rvert \le \beta
        \text{ else } \beta (\lvert r \rvert - \beta / 2)
    """

    @property
    def _line(self) -> tuple[float, float, float]:
        """The line r, clipped at -beta and beta."""
        return -self.beta, self.beta, 1.0


@final
@dataclass(frozen=True)
class PseudoHuber(BreakpointLoss):
    r""":math:`\beta^2 (\sqrt{1 + (r / \beta)^2} - 1)`, beta > 0; slopes up to beta."""

    @property
    def facts(self) -> LossFacts:
        """Smooth everywhere, curvature 1 at 0."""
        return LossFacts(1.0, (-self.beta, self.beta), unimodal=True)

    def value(self, residual: Array) -> Array:
        """Return the loss, written without the subtraction that loses digits."""
        slope = residual / (self.beta + np.hypot(self.beta, residual))
        return residual * (self.beta * slope)

    def gradient(self, residual: Array) -> Array:
        """Return ``r / sqrt(1 + (r / beta)^2)``."""
        slope = residual / np.hypot(1.0, residual / self.beta)
        return np.clip(slope, -self.beta, self.beta)

    def curvature(self, residual: Array) -> Array:
        """Return ``(1 + (r / beta)^2) ** -1.5``."""
        return (1 / np.hypot(1.0, residual / self.beta)) ** 3

    def conjugate(self, slope: Array) -> Array:
        """Return ``beta^2 (1 - sqrt(1 - (slope / beta)^2))``."""
        t = np.abs(slope) / self.beta
        root = np.sqrt(np.maximum((1 - t) * (1 + t), 0.0))
        return np.where(t <= 1, slope * slope / (1 + root), np.inf)


@final
@dataclass(frozen=True)
class LogCosh(BreakpointLoss):
    r""":math:`\beta \log(\cosh(r / \beta))`, with beta > 0; slope 1 in the tails."""

    @property
    def facts(self) -> LossFacts:
        """Smooth everywhere, curvature 1 / beta at 0."""
        return LossFacts(1 / self.beta, (-1.0, 1.0), unimodal=True)

    def value(self, residual: Array) -> Array:
        """Return the loss; neither branch overflows or cancels where it is used.

        ``cosh t = 1 + d^2 / (2 (1 + d)) = e^t (1 + d (2 + d) / 2)``, d = e^-t - 1.
        """
        t = np.abs(residual / self.beta)
        d = np.expm1(-t)
        near = t < 1
        # Near, the divisor is above 0.7; elsewhere it may be 0.
        inner = np.where(near, d * d / np.maximum(2 + 2 * d, 0.5), d * (2 + d) / 2)
        return self.beta * np.log1p(inner) + np.where(near, 0.0, np.abs(residual))

    def gradient(self, residual: Array) -> Array:
        """Return ``tanh(r / beta)``."""
        return np.tanh(residual / self.beta)

    def curvature(self, residual: Array) -> Array:
        """Return ``1 / (beta cosh(r / beta)^2)``."""
        decay = np.exp(-2 * np.abs(residual / self.beta))
        return 4 * decay / (1 + decay) ** 2 / self.beta

    def conjugate(self, slope: Array) -> Array:
        """Return ``beta (d atanh(d) + log(1 - d^2) / 2)``, ``beta log 2`` at 1."""
        size = np.minimum(np.abs(slope), 1.0)
        inner = np.minimum(size, np.nextafter(1.0, 0.0))
        # log(1 - d^2) loses digits near 1 in one form, near 0 in the other, and in
        # neither where d^2 is about half.
        square = np.where(
            inner < 0.7, np.log1p(-inner * inner), np.log((1 - inner) * (1 + inner))
        )
        value = inner * np.arctanh(inner) + 0.5 * square
        value = np.where(size == 1, np.log(2.0), value)
        return np.where(np.abs(slope) <= 1, self.beta * value, np.inf)
