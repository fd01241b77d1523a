"""Covariances for errors of one distribution: Huber's three, and MASS's two."""

from __future__ import annotations

from robustreg.inference.algebra import AtFit, Value
from robustreg.rows import Array


def h1(fitted: AtFit[Value]) -> Array:
    """Return ``k^2 v (X'X)^-1 / m^2``, Huber's first.

    ``v = sum psi^2 / (n - p)``, ``m = mean psi'``, ``k = 1 + p var(psi') / (n m^2)``.
    """
    k = _correction(fitted, divisor=fitted.n_obs)
    return _simple(fitted, k, fitted.inverse_gram(fitted.ones))


def h2(fitted: AtFit[Value]) -> Array:
    """Return ``k v W^-1 / m``, Huber's second; ``W = X' diag(psi') X``."""
    k = _correction(fitted, divisor=fitted.n_obs)
    inverse = fitted.inverse_gram(fitted.curvature)
    return k * _variance(fitted) / _positive_mean(fitted) * inverse


def h3(fitted: AtFit[Value]) -> Array:
    """Return ``v W^-1 X'X W^-1 / k``, Huber's third."""
    k = _correction(fitted, divisor=fitted.n_obs)
    bread = fitted.inverse(fitted.curvature)
    return _variance(fitted) / k * fitted.sandwich(bread, fitted.ones)


def xtx(fitted: AtFit[Value]) -> Array:
    """Return what `summary.rlm` does: H1 with the variance's divisor ``n - 1``."""
    k = _correction(fitted, divisor=fitted.n_obs - 1)
    return _simple(fitted, k, fitted.inverse_gram(fitted.ones))


def xtwx(fitted: AtFit[Value]) -> Array:
    """Return `summary.rlm` by ``method="XtWX"``: with the robustness weights."""
    weights = fitted.robustness
    k = _correction(fitted, divisor=fitted.n_obs - 1)
    inverse = fitted.mean(weights) * fitted.inverse_gram(weights)
    return _simple(fitted, k, inverse)


def _simple(fitted: AtFit[Value], k: float, inverse: Array) -> Array:
    """Return ``k^2 v inverse / m^2``."""
    return k**2 * _variance(fitted) / _positive_mean(fitted) ** 2 * inverse


def _variance(fitted: AtFit[Value]) -> float:
    """Return ``sum psi^2 / (n - p)``."""
    return fitted.n_obs * fitted.mean(fitted.squared_slopes) / fitted.df


def _positive_mean(fitted: AtFit[Value]) -> float:
    """Return ``mean psi'``; refuse a fit whose rows bend the wrong way."""
    mean = fitted.mean(fitted.curvature)
    if mean <= 0:
        raise ValueError(
            "The mean curvature of the loss at the residuals is "
            f"{mean:.3g}, and must be positive: too few rows lie in its quadratic "
            "middle. Use a larger beta, or cov_type='bootstrap'."
        )
    return mean


def _correction(fitted: AtFit[Value], divisor: float) -> float:
    """Return Huber's k, from the variance of psi' with a divisor."""
    m = _positive_mean(fitted)
    square = fitted.n_obs * fitted.curvature_variance / divisor
    return 1 + fitted.rank * square / (fitted.n_obs * m**2)
