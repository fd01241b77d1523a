"""Penalties on a coefficient vector; none of them sees the intercept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Index = NDArray[np.intp]


class Penalty(ABC):
    """A convex penalty, the sum of a kinked part ``sum_j l1_j abs(c_j)`` and a rest.

    `gradient` and `curvature` are the rest's; `l1` declares the kinked part, 0 for a
    coefficient that has none.
    """

    @property
    @abstractmethod
    def l1(self) -> Array:
        """Weight of ``abs(c_j)``, an array of shape (n_features,)."""

    @abstractmethod
    def value(self, coef: Array) -> float:
        """Return the penalty, both parts."""

    @abstractmethod
    def gradient(self, coef: Array) -> Array:
        """Return the gradient of the smooth part."""

    @abstractmethod
    def curvature(self, coef: Array) -> Array:
        """Return the diagonal of the smooth part's Hessian."""

    @abstractmethod
    def prox(self, coef: Array, step: float) -> Array:
        """Return ``argmin_c penalty(c) + sum((c - coef)^2) / (2 step)``."""

    @abstractmethod
    def conjugate(self, slope: Array) -> Array:
        """Return, per coefficient, ``sup_c slope c - penalty(c)``; may be inf."""

    @abstractmethod
    def rescaled(self, unit: Array) -> Penalty:
        """Return the penalty of ``unit * c`` as a penalty of c."""

    @abstractmethod
    def take(self, index: Index) -> Penalty:
        """Return the penalty of some of the coefficients."""

    @abstractmethod
    def ridged(self, strength: float) -> Penalty:
        """Return the penalty plus ``strength * c^2 / 2`` of every coefficient."""


@final
@dataclass(frozen=True)
class ElasticNet(Penalty):
    """``sum_j l1_j abs(c_j) + l2_j c_j^2 / 2`` [1]_; l1, l2 or both may be 0.

    References
    ----------
    .. [1] Zou, H., Hastie, T. (2005). Regularization and variable selection via the
       elastic net. Journal of the Royal Statistical Society B 67, 301-320.
    """

    l1_weight: Array
    l2_weight: Array

    @property
    def l1(self) -> Array:
        """Weight of ``abs(c_j)``."""
        return self.l1_weight

    def value(self, coef: Array) -> float:
        """Return the penalty."""
        return float(self.l1_weight @ np.abs(coef) + 0.5 * self.l2_weight @ coef**2)

    def gradient(self, coef: Array) -> Array:
        """Return ``l2 * c``."""
        return self.l2_weight * coef

    def curvature(self, coef: Array) -> Array:
        """Return ``l2``."""
        del coef
        return self.l2_weight

    def prox(self, coef: Array, step: float) -> Array:
        """Return the soft-thresholded, then shrunken, vector."""
        size = np.maximum(np.abs(coef) - step * self.l1_weight, 0.0)
        return np.sign(coef) * size / (1 + step * self.l2_weight)

    def conjugate(self, slope: Array) -> Array:
        """Return ``max(abs(slope) - l1, 0)^2 / (2 l2)``."""
        excess = np.maximum(np.abs(slope) - self.l1_weight, 0.0)
        free = np.where(excess > 0, np.inf, 0.0)
        curved = self.l2_weight > 0
        safe = np.where(curved, self.l2_weight, 1.0)
        return np.where(curved, excess * (excess / (2 * safe)), free)

    def rescaled(self, unit: Array) -> Penalty:
        """Return the penalty of ``unit * c``."""
        return ElasticNet(self.l1_weight * unit, self.l2_weight * unit * unit)

    def take(self, index: Index) -> Penalty:
        """Return the elastic net of some of the coefficients."""
        return ElasticNet(self.l1_weight[index], self.l2_weight[index])

    def ridged(self, strength: float) -> Penalty:
        """Return the elastic net with more l2."""
        return ElasticNet(self.l1_weight, self.l2_weight + strength)


PENALTIES: dict[str | None, Callable[[Array, float], Penalty]] = {
    "l1": lambda alpha, l1_ratio: ElasticNet(alpha, 0 * alpha),
    "l2": lambda alpha, l1_ratio: ElasticNet(0 * alpha, alpha),
    "elasticnet": lambda alpha, l1_ratio: ElasticNet(
        l1_ratio * alpha, (1 - l1_ratio) * alpha
    ),
    None: lambda alpha, l1_ratio: ElasticNet(0 * alpha, 0 * alpha),
}


def make_penalty(
    penalty: str | None, alpha: float, l1_ratio: float, n_features: int
) -> Penalty:
    """Return the penalty of a name, a strength and a mixture.

    Examples
    --------
    >>> import numpy as np
    >>> from robustreg.penalties import make_penalty
    >>> make_penalty("elasticnet", 2.0, 0.25, 2).value(np.array([1.0, -2.0]))
    5.25
    """
    return PENALTIES[penalty](np.full(n_features, float(alpha)), l1_ratio)
