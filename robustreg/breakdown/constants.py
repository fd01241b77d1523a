"""Tukey's loss at the Gaussian: which constant has which breakdown and efficiency."""

from __future__ import annotations

from functools import cache

from scipy.optimize import brentq
from scipy.stats import norm

# Constants beyond these have a breakdown of 99 % and an efficiency of 1 - 1e-9.
SHORTEST, LONGEST = 0.05, 400.0


def _moments(c: float) -> list[float]:
    """Return ``E[Z^(2 k); abs(Z) < c]`` for k = 0, ..., 5 by partial integration."""
    moments = [float(2 * norm.cdf(c) - 1)]
    edge = 2 * float(norm.pdf(c))
    for k in range(1, 6):
        moments.append((2 * k - 1) * moments[-1] - edge * c ** (2 * k - 1))
    return moments


def _mean_rho(c: float) -> float:
    """Return ``E rho(Z / c)`` of Tukey's loss with supremum 1."""
    m = _moments(c)
    return 1 - (m[0] - 3 * m[1] / c**2 + 3 * m[2] / c**4 - m[3] / c**6)


def efficiency_of(c: float) -> float:
    """Return ``(E psi')^2 / E psi^2`` of Tukey's loss at the Gaussian [1]_.

    References
    ----------
    .. [1] Huber, P. J. (1964). Robust estimation of a location parameter. Annals
       of Mathematical Statistics 35, 73-101.
    """
    m = _moments(c)
    slope = m[0] - 6 * m[1] / c**2 + 5 * m[2] / c**4
    signs = (1, -4, 6, -4, 1)
    square = sum(a * m[k + 1] / c ** (2 * k) for k, a in enumerate(signs))
    return slope**2 / square


@cache
def tukey_for_breakdown(breakdown: float) -> float:
    """Return the constant at which the mean loss at the Gaussian is the breakdown.

    The S-scale then is the standard deviation of Gaussian errors [1]_.

    References
    ----------
    .. [1] Rousseeuw, P. J., Yohai, V. J. (1984). Robust regression by means of
       S-estimators. Lecture Notes in Statistics 26, 256-272. Springer.

    Examples
    --------
    >>> from robustreg.breakdown import tukey_for_breakdown
    >>> round(tukey_for_breakdown(0.5), 4)
    1.5476
    """
    return float(brentq(lambda c: _mean_rho(c) - breakdown, SHORTEST, LONGEST))


@cache
def tukey_for_efficiency(efficiency: float) -> float:
    """Return the constant with an efficiency at the Gaussian.

    Examples
    --------
    >>> from robustreg.breakdown import tukey_for_efficiency
    >>> round(tukey_for_efficiency(0.95), 4)
    4.6851
    """
    # More is what nobody can tell from 1.
    goal = min(efficiency, efficiency_of(LONGEST))
    return float(brentq(lambda c: efficiency_of(c) - goal, 0.5, LONGEST))
