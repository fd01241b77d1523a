"""Covariances of l1 and quantile fits, whose loss has no curvature.

The Hessian of the expected loss is ``X' diag(f) X`` with the densities f of the errors
at the fit; each covariance estimates these in its own way. Slopes are those of quantile
regression, ``quantile - [r < 0]``, and 0 for a row that the fit passes through.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy.stats import norm

from robustreg.estimators import L1Regressor
from robustreg.inference.density import (
    BANDWIDTHS,
    Ranked,
    at_width,
    deviation,
    inside,
    least_spread,
)
from robustreg.inference.fitted import Fitted
from robustreg.inference.sandwich import clustered
from robustreg.linalg import HALF_OF_DIGITS
from robustreg.rows import Array, Index


def iid(fitted: Fitted, bandwidth: str) -> Array:
    """Return ``q (1 - q) s^2 (X'X)^-1``, s from the residuals nearest to 0 [1]_.

    The sparsity s is the slope of the residuals next to those that are 0 in their
    rank, by a median regression.

    References
    ----------
    .. [1] Koenker, R., Bassett, G. (1982). Tests of linear hypotheses and L1
       estimation. Econometrica 50, 1577-1583.
    """
    q, n, p = fitted.quantile, fitted.n_obs, fitted.rank
    residual, size = fitted.snapped, np.abs(fitted.snapped)
    zero = np.ceil(fitted.weight @ (size == 0))
    width = max(p + 1, int(np.ceil(n * BANDWIDTHS[bandwidth](n, q))))
    ranks = zero + 1 + np.arange(width + 1)
    if ranks[-1] > n:
        raise ValueError(
            f"cov_type='iid' needs {int(ranks[-1])} rows: {int(zero)} that the fit "
            f"passes through and {width + 1} nearest to it. Got {n:g}. "
            "Use cov_type='bootstrap'."
        )
    nearest = np.sort(Ranked(residual, fitted.weight, size).at(ranks))
    slope = L1Regressor().fit((ranks / fitted.df)[:, None], nearest).coef_[0]
    return (
        q * (1 - q) * _positive(fitted, slope) ** 2 * fitted.inverse_gram(fitted.ones)
    )


def nid(fitted: Fitted, bandwidth: str) -> Array:
    """Return the sandwich with densities from fits at ``quantile +- bandwidth``."""
    q, n = fitted.quantile, fitted.n_obs
    h = inside(q, BANDWIDTHS[bandwidth](n, q))
    above, below = fitted.refit(q + h), fitted.refit(q - h)
    between = fitted.rows.standard.from_original(
        above.coef - below.coef, above.intercept - below.intercept
    )
    gap = fitted.predict(between[fitted.columns])
    # Where they are closer than by half of the digits they cross.
    noise = HALF_OF_DIGITS * _positive(fitted, fitted.mean(np.abs(gap)))
    crossed = float(fitted.weight @ (gap <= noise)) / n
    if not (above.success and below.success):
        warnings.warn(
            f"A fit at quantile {q - h:.4g} or {q + h:.4g} did not converge, so that "
            "densities are inaccurate. Use cov_type='powell' or 'bootstrap'.",
            RuntimeWarning,
            stacklevel=5,
        )
    if crossed > 0:
        warnings.warn(
            f"The fits at quantiles {q - h:.4g} and {q + h:.4g} cross in "
            f"{crossed:.2%} of the rows, whose densities count as 0. If these are "
            "many, use cov_type='powell' or 'bootstrap'.",
            RuntimeWarning,
            stacklevel=5,
        )
    density = np.where(gap > noise, 2 * h / np.maximum(gap, noise), 0.0)
    return _sandwich(fitted, density)


def ker(fitted: Fitted, bandwidth: str, kernel: str) -> Array:
    """Return Powell's sandwich, with a kernel at each row's residual."""
    return _sandwich(fitted, _kernel_densities(fitted, bandwidth, kernel))


def kernel_iid(fitted: Fitted, bandwidth: str, kernel: str) -> Array:
    """Return ``q (1 - q) (X'X)^-1 / f^2``, f by a kernel, as statsmodels does."""
    q, f = fitted.quantile, _kernel_density(fitted, bandwidth, kernel)
    return q * (1 - q) / f**2 * fitted.inverse_gram(fitted.ones)


def kernel_robust(fitted: Fitted, bandwidth: str, kernel: str) -> Array:
    """Return statsmodels' ``(X'X)^-1 X' diag(d) X (X'X)^-1``.

    ``d = (q / f)^2`` for positive residuals and ``((1 - q) / f)^2`` for others: one
    density f for all rows.
    """
    q, f = fitted.quantile, _kernel_density(fitted, bandwidth, kernel)
    side = np.where(fitted.snapped > 0, q, 1 - q)
    return fitted.sandwich(fitted.inverse(fitted.ones), (side / f) ** 2)


def kinked_cluster(fitted: Fitted, groups: Index, bandwidth: str, kernel: str) -> Array:
    """Return the sandwich of `ker` with slopes summed over groups [1]_.

    References
    ----------
    .. [1] Parente, P. M. D. C., Santos Silva, J. M. C. (2016). Quantile regression
       with clustered data. Journal of Econometric Methods 5, 1-15.
    """
    density = _kernel_densities(fitted, bandwidth, kernel)
    low, high = fitted.loss.facts.slopes
    slopes = fitted.loss.gradient(fitted.snapped) / (high - low)
    return clustered(fitted, groups, fitted.inverse(density), slopes)


def _sandwich(fitted: Fitted, density: Array) -> Array:
    """Return ``q (1 - q) D^-1 X'X D^-1`` with ``D = X' diag(f) X``."""
    q = fitted.quantile
    return q * (1 - q) * fitted.sandwich(fitted.inverse(density), fitted.ones)


def _kernel_densities(fitted: Fitted, bandwidth: str, kernel: str) -> Array:
    """Return ``K(r / h) / h`` for each row, as quantreg does."""
    size = deviation(fitted.residual, fitted.weight, fitted.n_obs - 1)
    return at_width(kernel, fitted.residual, _width(fitted, bandwidth, size))


def _kernel_density(fitted: Fitted, bandwidth: str, kernel: str) -> float:
    """Return the mean of ``K(r / h) / h``, with statsmodels' h."""
    size = deviation(fitted.target, fitted.weight, fitted.n_obs)
    h = _width(fitted, bandwidth, size)
    return _positive(fitted, fitted.mean(at_width(kernel, fitted.residual, h)))


def _width(fitted: Fitted, bandwidth: str, size: float) -> float:
    """Return a bandwidth of quantiles in units of the residuals."""
    q = fitted.quantile
    h = inside(q, BANDWIDTHS[bandwidth](fitted.n_obs, q))
    distance = float(norm.ppf(q + h) - norm.ppf(q - h))
    spread = least_spread(fitted.residual, fitted.weight, size)
    return distance * _positive(fitted, spread)


def _positive(fitted: Fitted, spread: float) -> float:
    """Return a spread of residuals or a density; refuse what is not positive."""
    if spread > 0:
        return float(spread)
    if float(fitted.weight @ (fitted.snapped == 0)) > fitted.rank:
        raise ValueError(
            "The residuals next to the fit are all equal, so that their density has "
            "no finite estimate: too many rows are fitted exactly. "
            "Use cov_type='bootstrap'."
        )
    raise ValueError(
        f"{fitted.n_obs:g} rows are too few for quantile {fitted.quantile:.4g}: none "
        "lies between the fits of the quantiles next to it, so that the errors' "
        "density has no finite estimate. Use a quantile nearer to 0.5, or "
        "cov_type='bootstrap'."
    )
