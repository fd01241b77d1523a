"""The fast and robust bootstrap of MM-estimates: one linear step for each resample.

An MM-estimate is a fixed point [1]_ [2]_. With ``u = r / s`` and ``v = r0 / s`` the
residuals of the fit and of its S-estimate, weights ``w = psi(u) / u``, Tukey's rho of
the S-estimate with supremum 1, and c how often each row stands,

    b = (X' diag(c w) X)^-1 X' diag(c w) y,
    s = s sum_i c_i rho(v_i) / (breakdown (sum(c) - rank)).

A resample is a change of c. The right sides are computed for it with residuals and
weights of the fit, and its own fixed point by what the equations are to first order.
With ``A = X' diag(psi'(u)) X``, ``G = X' diag(w) X`` and ``a = X' (psi'(u) u)``, a
change of right sides by ``db`` and ``ds`` is one of the fixed point by

    A^-1 (G db - a ds / (s e)),    e = sum rho'(v) v / (breakdown (n - rank)).

The derivative of s by the S-estimate is 0, so that its own equation is not needed.
Outliers keep the little weight that they have in the fit, even if a resample has more
of them than an MM-estimate bears.

Cost: n p^2 for each resample, with p coefficients.

References
----------
.. [1] Salibian-Barrera, M., Zamar, R. H. (2002). Bootstrapping robust estimates of
   regression. Annals of Statistics 30, 556-582.
.. [2] Salibian-Barrera, M., Van Aelst, S., Willems, G. (2008). Fast and robust
   bootstrap. Statistical Methods and Applications 17, 41-71.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import numpy as np

from robustreg.inference.bootstrap import Resamples
from robustreg.inference.estimable import Lacks
from robustreg.inference.fitted import Fitted, SFitted
from robustreg.linalg import SINGULAR, cholesky_solve
from robustreg.rows import Array


def steps_from(fitted: Fitted) -> Callable[[Array], Array | None]:
    """Return the linear step from an MM-estimate to that of a resample.

    It takes how often each row stands there, and is None if rows leave some of the
    coefficients open. Refuses columns that depend on each other.
    """
    start, columns = cast(SFitted, fitted.s_estimate), fitted.columns
    bread, gram = fitted.inverse(fitted.curvature), fitted.gram(fitted.robustness)
    chi, growth = start.chi, fitted.mean(start.chi_slope * start.residual)
    e = growth * fitted.n_obs / (start.breakdown * fitted.df)
    rise = fitted.adjoint(fitted.curvature * fitted.residual) / e

    def step_to(counts: Array) -> Array | None:
        room = float(counts.sum()) - fitted.rank
        weight = counts * fitted.robustness
        change, rcond = cholesky_solve(
            fitted.rows.gram(weight, columns),
            fitted.rows.adjoint(weight * fitted.residual)[columns],
        )
        if rcond <= SINGULAR or room <= 0:
            return None
        scale_change = float(counts @ chi) / (start.breakdown * room) - 1
        return fitted.scale * bread.solve(gram @ change - scale_change * rise)

    return step_to


def fast_resamples(fitted: Fitted, coef: Array, portions: Iterator[Array]) -> Resamples:
    """Return the coefficients of resamples by a linear step from an MM-estimate's.

    Portions, of shape (n_some, n_rows), are how often each row stands in resamples.
    """
    step_to = steps_from(fitted)
    moved = [step_to(counts) for some in portions for counts in some]
    draws = np.array([coef if each is None else coef + each for each in moved])
    # A column that is constant, too, depends on others or on the intercept.
    dependent = np.array([each is None for each in moved])
    none = np.zeros(draws.shape, dtype=bool)
    return Resamples(draws, Lacks(none, dependent, none[:, 0]), 0, 0)
