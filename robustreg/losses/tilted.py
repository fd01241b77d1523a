"""Losses made of other losses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np

from robustreg.losses.base import Array, Loss, LossFacts


@final
@dataclass(frozen=True)
class Tilted(Loss):
    """A symmetric loss times ``2 quantile`` above 0, ``2 (1 - quantile)`` below.

    `L1` becomes quantile regression, `L2` expectiles [1]_ and `SmoothL1`
    M-quantiles [2]_.

    References
    ----------
    .. [1] Newey, W. K., Powell, J. L. (1987). Asymmetric least squares estimation
       and testing. Econometrica 55, 819-847.
    .. [2] Breckling, J., Chambers, R. (1988). M-quantiles. Biometrika 75, 761-771.
    """

    base: Loss
    quantile: float

    @cached_property
    def facts(self) -> LossFacts:
        """The base's facts with the two sides stretched."""
        facts = self.base.facts
        below, above = 2 * (1 - self.quantile), 2 * self.quantile
        return replace(
            facts,
            largest_curvature=facts.largest_curvature * max(below, above),
            slopes=(facts.slopes[0] * below, facts.slopes[1] * above),
            symmetric=False,
            largest_value=facts.largest_value * max(below, above),
            breakpoints=None
            if facts.breakpoints is None
            else tuple(sorted({0.0, *facts.breakpoints})),
        )

    def value(self, residual: Array) -> Array:
        """Return the tilted value."""
        return self._tilt(residual) * self.base.value(residual)

    def gradient(self, residual: Array) -> Array:
        """Return the tilted gradient."""
        return self._tilt(residual) * self.base.gradient(residual)

    def curvature(self, residual: Array) -> Array:
        """Return the tilted curvature; at 0 the smaller side's."""
        return self._tilt(residual) * self.base.curvature(residual)

    def conjugate(self, slope: Array) -> Array:
        """Return ``tilt * base.conjugate(slope / tilt)``: signs of r, slope agree."""
        tilt = self._tilt(slope)
        low, high = self.facts.slopes
        # Division may round an end past the base's own.
        base = np.clip(slope / tilt, *self.base.facts.slopes)
        inside = (slope >= low) & (slope <= high)
        return np.where(inside, tilt * self.base.conjugate(base), np.inf)

    def _tilt(self, signed: Array) -> Array:
        """Return the factor of the side on which each element lies."""
        below, above = 2 * (1 - self.quantile), 2 * self.quantile
        return np.where(signed > 0, above, below)


@final
@dataclass(frozen=True)
class Dilated(Loss):
    """``factor * base(r / factor)``: the base with a wider quadratic middle.

    The slopes stay as they are, so that a fit can move from a wide, easy loss to the
    narrow one that is wanted.
    """

    base: Loss
    factor: float

    @cached_property
    def facts(self) -> LossFacts:
        """The base's facts with the curvature divided by the factor."""
        facts = self.base.facts
        return replace(
            facts,
            largest_curvature=facts.largest_curvature / self.factor,
            linear_beyond=facts.linear_beyond * self.factor,
            largest_value=facts.largest_value * self.factor,
            breakpoints=None
            if facts.breakpoints is None
            else tuple(self.factor * end for end in facts.breakpoints),
        )

    def value(self, residual: Array) -> Array:
        """Return ``factor * base(r / factor)``."""
        return self.factor * self.base.value(residual / self.factor)

    def gradient(self, residual: Array) -> Array:
        """Return the base's gradient at ``r / factor``."""
        return self.base.gradient(residual / self.factor)

    def curvature(self, residual: Array) -> Array:
        """Return the base's curvature at ``r / factor``, over the factor."""
        return self.base.curvature(residual / self.factor) / self.factor

    def conjugate(self, slope: Array) -> Array:
        """Return ``factor * base.conjugate(slope)``."""
        return self.factor * self.base.conjugate(slope)
