"""The covariance of MM-estimates, in which the scale and its fit have errors too."""

from __future__ import annotations

from typing import cast

import numpy as np
import scipy.linalg

from robustreg.inference.fitted import Fitted, SFitted
from robustreg.rows import Array


def avar1(fitted: Fitted) -> Array:
    """Return robustbase's covariance, for errors of any distribution [1]_.

    The sandwich of the M-step, with what the errors of the scale add. With psi and
    psi' of the M-step at ``u = r / s``, chi and chi' of the S-estimate at
    ``v = r0 / s``, B the inverse of ``X' diag(psi') X``, b the breakdown point and
    ``a = B X' (psi' u) / mean(chi' v)``, the covariance in units of the scale is

        B X' diag(psi^2) X B - a c' - c a' + a a' mean(chi^2 - b^2) / n

    with ``c = B X' (psi chi) / n``, the rounding of whose eigenvalues to 0 keeps the
    diagonal.

    References
    ----------
    .. [1] Croux, C., Dhaene, G., Hoorelbeke, D. (2003). Robust standard errors for
       robust estimators. Discussion paper 03.16, K. U. Leuven.
    """
    start = cast(SFitted, fitted.s_estimate)
    bread, n = fitted.inverse(fitted.curvature), fitted.n_obs
    chi = start.chi
    a = bread.solve(fitted.adjoint(fitted.curvature * fitted.residual))
    a /= fitted.mean(start.chi_slope * start.residual)
    c = bread.solve(fitted.adjoint(fitted.slopes * chi)) / n
    result = fitted.sandwich(bread, fitted.squared_slopes)
    result -= np.outer(a, c) + np.outer(c, a)
    result += np.outer(a, a) * fitted.mean(chi**2 - start.breakdown**2) / n
    return _positive(result)


def _positive(matrix: Array) -> Array:
    """Return a matrix with its negative eigenvalues made 0 and its own diagonal."""
    diagonal = matrix.diagonal()
    if diagonal.min() <= 0:
        raise ValueError(
            "cov_type='avar1' is not positive for these data: rows are too few. "
            "Use cov_type='HC1' or 'bootstrap'."
        )
    # Of correlations, so that the units of the columns do not matter.
    error = np.sqrt(diagonal)
    size, basis = scipy.linalg.eigh(matrix / error / error[:, None])
    if size[0] >= 0:
        return matrix
    near = (basis * np.maximum(size, 0.0)) @ basis.T
    scale = error / np.sqrt(near.diagonal())
    return np.asarray(near * scale * scale[:, None])
