"""Covariances for errors of one distribution: Huber's three, and MASS's two."""

from __future__ import annotations

from robustreg.inference.fitted import Fitted
from robustreg.losses import relative_weight
from robustreg.rows import Array


def h1(fitted: Fitted) -> Array:
    """Return ``k^2 v (X'X)^-1 / m^2``, Huber's first.

    ``v = sum psi^2 / (n - p)``, ``m = mean psi'``, ``k = 1 + p var(psi') / (n m^2)``.
    """
    k = _correction(fitted, divisor=fitted.n_obs)
    return _simple(fitted, k, fitted.inverse_gram(_ones(fitted)))


def h2(fitted: Fitted) -> Array:
    """Return ``k v W^-1 / m``, Huber's second; ``W = X' diag(psi') X``."""
    k = _correction(fitted, divisor=fitted.n_obs)
    inverse = fitted.inverse_gram(fitted.curvature)
    return k * _variance(fitted) / _positive_mean(fitted) * inverse


def h3(fitted: Fitted) -> Array:
    """Return ``v W^-1 X'X W^-1 / k``, Huber's third."""
    k = _correction(fitted, divisor=fitted.n_obs)
    bread = fitted.inverse(fitted.curvature)
    return _variance(fitted) / k * fitted.sandwich(bread, _ones(fitted))


def xtx(fitted: Fitted) -> Array:
    """Return what `summary.rlm` does: H1 with the variance's divisor ``n - 1``."""
    k = _correction(fitted, divisor=fitted.n_obs - 1)
    return _simple(fitted, k, fitted.inverse_gram(_ones(fitted)))


def xtwx(fitted: Fitted) -> Array:
    """Return `summary.rlm` by ``method="XtWX"``: with the robustness weights."""
    weights = relative_weight(fitted.loss, fitted.residual)
    k = _correction(fitted, divisor=fitted.n_obs - 1)
    inverse = fitted.inverse_gram(weights / fitted.mean(weights))
    return _simple(fitted, k, inverse)


def _simple(fitted: Fitted, k: float, inverse: Array) -> Array:
    """Return ``k^2 v inverse / m^2``."""
    return k**2 * _variance(fitted) / _positive_mean(fitted) ** 2 * inverse


def _ones(fitted: Fitted) -> Array:
    """Return a 1 for each row."""
    return 0 * fitted.residual + 1.0


def _variance(fitted: Fitted) -> float:
    """Return ``sum psi^2 / (n - p)``."""
    return float(fitted.weight @ fitted.slopes**2) / fitted.df


def _positive_mean(fitted: Fitted) -> float:
    """Return ``mean psi'``; refuse a fit whose rows bend the wrong way."""
    mean = fitted.mean(fitted.curvature)
    if mean <= 0:
        raise ValueError(
            "The mean curvature of the loss at the residuals is "
            f"{mean:.3g}, and must be positive: too few rows lie in its quadratic "
            "middle. Use a larger beta, or cov_type='bootstrap'."
        )
    return mean


def _correction(fitted: Fitted, divisor: float) -> float:
    """Return Huber's k, from the variance of psi' with a divisor."""
    m = _positive_mean(fitted)
    square = float(fitted.weight @ (fitted.curvature - m) ** 2) / divisor
    return 1 + fitted.rank * square / (fitted.n_obs * m**2)
