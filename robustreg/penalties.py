"""The penalty on a coefficient vector, which does not see the intercept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Index = NDArray[np.intp]


@final
@dataclass(frozen=True)
class ElasticNet:
    """``sum_j l1_j abs(c_j) + l2_j c_j^2 / 2`` [1]_; l1, l2 or both may be 0.

    Every solver assumes this form: kinks at 0 alone, and a quadratic rest.

    Parameters
    ----------
    l1, l2 : ndarray of shape (n_features,)
        Weights of ``abs(c_j)`` and of ``c_j^2 / 2``, at least 0.

    References
    ----------
    .. [1] Zou, H., Hastie, T. (2005). Regularization and variable selection via the
       elastic net. Journal of the Royal Statistical Society B 67, 301-320.
    """

    l1: Array
    l2: Array

    def value(self, coef: Array) -> float:
        """Return the penalty."""
        return float(self.l1 @ np.abs(coef) + 0.5 * self.l2 @ coef**2)

    def conjugate(self, slope: Array) -> Array:
        """Return ``max(abs(slope) - l1, 0)^2 / (2 l2)`` for each coefficient."""
        excess = np.maximum(np.abs(slope) - self.l1, 0.0)
        free = np.where(excess > 0, np.inf, 0.0)
        curved = self.l2 > 0
        safe = np.where(curved, self.l2, 1.0)
        return np.where(curved, excess * (excess / (2 * safe)), free)

    def rescaled(self, unit: Array) -> ElasticNet:
        """Return the penalty of ``unit * c`` as a penalty of c."""
        return ElasticNet(self.l1 * unit, self.l2 * unit * unit)

    def take(self, index: Index) -> ElasticNet:
        """Return the penalty of some of the coefficients."""
        return ElasticNet(self.l1[index], self.l2[index])

    def ridged(self, strength: float) -> ElasticNet:
        """Return the penalty plus ``strength * c^2 / 2`` of every coefficient."""
        return ElasticNet(self.l1, self.l2 + strength)


PENALTIES: dict[str | None, Callable[[Array, float], ElasticNet]] = {
    "l1": lambda alpha, l1_ratio: ElasticNet(alpha, 0 * alpha),
    "l2": lambda alpha, l1_ratio: ElasticNet(0 * alpha, alpha),
    "elasticnet": lambda alpha, l1_ratio: ElasticNet(
        l1_ratio * alpha, (1 - l1_ratio) * alpha
    ),
    None: lambda alpha, l1_ratio: ElasticNet(0 * alpha, 0 * alpha),
}


def make_penalty(
    penalty: str | None, alpha: float, l1_ratio: float, n_features: int
) -> ElasticNet:
    """Return the penalty of a name, a strength and a mixture.

    Examples
    --------
    >>> import numpy as np
    >>> from robustreg.penalties import make_penalty
    >>> make_penalty("elasticnet", 2.0, 0.25, 2).value(np.array([1.0, -2.0]))
    5.25
    """
    return PENALTIES[penalty](np.full(n_features, float(alpha)), l1_ratio)
