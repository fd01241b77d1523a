"""The fast and robust bootstrap of MM-estimates: one linear step for each resample.

An MM-estimate is a fixed point [1]_ [2]_. With ``u = r / s`` and ``v = r0 / s`` the
residuals of the fit and of its S-estimate, weights ``w = psi(u) / u``, Tukey's rho of
the S-estimate with supremum 1, and c how often each row stands,

    b = (X' diag(c w) X)^-1 X' diag(c w) y,
    s = s sum_i c_i rho(v_i) / (breakdown (sum(c) - rank)).

A resample is a change of c. The right sides are computed for it with residuals and
weights of the fit, and its own fixed point by what the equations are to first order.
For the derivatives see `Equations`; that of s by the S-estimate is 0, so that its own
equation is not needed. Outliers keep the little weight that they have in the fit, even
if a resample has more of them than an MM-estimate bears.

Cost: n p^2 for each resample, with p coefficients.

References
----------
.. [1] Salibian-Barrera, M., Zamar, R. H. (2002). Bootstrapping robust estimates of
   regression. Annals of Statistics 30, 556-582.
.. [2] Salibian-Barrera, M., Van Aelst, S., Willems, G. (2008). Fast and robust
   bootstrap. Statistical Methods and Applications 17, 41-71.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np

from robustreg.inference.algebra import Inverse
from robustreg.inference.bootstrap import Resamples
from robustreg.inference.estimable import Lacks
from robustreg.inference.fitted import Fitted, SFitted
from robustreg.linalg import SINGULAR, cholesky_solve
from robustreg.rows import Array


@dataclass(frozen=True)
class Equations:
    """The fixed point at the weights of the fit, and its derivatives.

    With ``A = X' diag(psi'(u)) X``, ``G = X' diag(w) X`` and ``a = X' (psi'(u) u)``,
    a change of right sides by ``db`` and ``ds`` is one of the fixed point by

        A^-1 (G db - a ds / (s e)),    e = sum rho'(v) v / (breakdown (n - rank)).

    Parameters
    ----------
    fitted : Fitted
        An MM-estimate without a penalty.
    """

    fitted: Fitted

    @cached_property
    def start(self) -> SFitted:
        """The S-estimate."""
        return cast(SFitted, self.fitted.s_estimate)

    @cached_property
    def bread(self) -> Inverse:
        """The inverse of A; refuses columns that depend on each other."""
        return self.fitted.inverse(self.fitted.curvature)

    @cached_property
    def gram(self) -> Array:
        """G."""
        return self.fitted.gram(self.fitted.robustness)

    @cached_property
    def rise(self) -> Array:
        """``a / e``."""
        fitted, start = self.fitted, self.start
        growth = start.loss.gradient(start.residual) * start.residual
        mean = fitted.mean(growth) / start.loss.facts.largest_value
        e = mean * fitted.n_obs / (start.breakdown * fitted.df)
        return fitted.adjoint(fitted.curvature * fitted.residual) / e

    @cached_property
    def chi(self) -> Array:
        """The S-estimate's rho of each row."""
        start = self.start
        return start.loss.value(start.residual) / start.loss.facts.largest_value

    def moved(self, counts: Array) -> Array | None:
        """Return by how much coefficients move, None if rows leave some of them open.

        Parameters
        ----------
        counts : ndarray of shape (n_rows,)
            How often each row stands in the resample.
        """
        fitted, columns = self.fitted, self.fitted.columns
        room = float(counts.sum()) - fitted.rank
        weight = counts * fitted.robustness
        step, rcond = cholesky_solve(
            fitted.rows.gram(weight, columns),
            fitted.rows.adjoint(weight * fitted.residual)[columns],
        )
        if rcond <= SINGULAR or room <= 0:
            return None
        scale_step = float(counts @ self.chi) / (self.start.breakdown * room) - 1
        force = self.gram @ step - scale_step * self.rise
        moved = self.bread.outer @ (self.bread.half.T @ force)
        return np.asarray(fitted.scale * moved)


def fast_resamples(fitted: Fitted, coef: Array, portions: Iterator[Array]) -> Resamples:
    """Return the coefficients of resamples by a linear step from the fit's.

    Parameters
    ----------
    fitted : Fitted
        An MM-estimate without a penalty.
    coef : ndarray of shape (n_coefs,)
        Its coefficients, in units of y.
    portions : iterator of ndarray of shape (n_some, n_rows)
        How often each row stands in some resamples.
    """
    equations = Equations(fitted)
    moved = [equations.moved(counts) for some in portions for counts in some]
    draws = np.array([coef if each is None else coef + each for each in moved])
    # A column that is constant, too, depends on others or on the intercept.
    dependent = np.array([each is None for each in moved])
    none = np.zeros(draws.shape, dtype=bool)
    return Resamples(draws, Lacks(none, dependent, none[:, 0]), 0, 0)
