"""Where a solver starts, and where it ends."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, final

import numpy as np

from robustreg.objective import Model, Objective, Point
from robustreg.rows import Array
from robustreg.solvers.sampling import Preconditioner

# What a solver says that ends before ``max_iter``, and to which no larger one matters.
NO_DECREASE = "no further decrease"
# Params or residuals that grow by this factor are on their way to infinity: there is no
# minimum. Fits that exist start within a few orders of magnitude of their end.
DIVERGED = 1e6


@final
@dataclass(frozen=True)
class Start:
    """Params to start from, and what is known there.

    Parameters
    ----------
    params : ndarray of shape (n_params,)
        The params.
    is_near : bool
        Whether a solver is to start exactly there, as at the fit of a like problem. If
        not, it looks for a better start first.
    settled : bool
        Whether fit and scale have settled there together. Such a fit stays, even where
        it is no minimum at a fixed scale: the scale would move with it.
    residual : ndarray of shape (n_rows,) or None
        Residuals there, if known.
    error : float
        By about how much predictions there are off; infinite if that is not known.
    slopes : ndarray of shape (n_rows,) or None
        The optimal slopes of a like problem, if known.
    unique : bool
        Whether that problem was shown to have no other optimum.
    model : Model or None
        A Hessian of the same rows, if known.
    preconditioner : Preconditioner or None
        That of a sample of them near the optimum, if known.
    """

    params: Array
    is_near: bool = False
    settled: bool = False
    residual: Array | None = None
    error: float = np.inf
    slopes: Array | None = None
    unique: bool = False
    model: Model | None = None
    preconditioner: Preconditioner | None = None

    def residual_in(self, objective: Objective) -> Array:
        """Return the residuals there, which take a pass if they are not known."""
        known = self.residual
        return objective.residual(self.params) if known is None else known

    def rescaled(self, unit: float, other: float) -> Start:
        """Return what is known in units of ``unit`` in those of another one."""
        residual = self.residual
        if residual is not None:
            residual = residual * (unit / other)
        params = (self.params * unit).astype(np.float64, copy=False) / other
        return replace(self, params=params, residual=residual)


@final
@dataclass(frozen=True)
class Result:
    """Where a solver ended.

    Parameters
    ----------
    point : Point
        The fit.
    gap : float
        A bound on the value there minus the minimum; nan where the loss is not convex.
    n_iter : int
        Iterations.
    success : bool
        Whether the gap is within the tolerance.
    trouble : str
        What happened if it is not.
    slopes : ndarray of shape (n_rows,) or None
        The optimal slopes, None if they are those of the residuals.
    unique : bool
        Whether there was shown to be no other optimum.
    rcond : float or None
        Reciprocal condition number of the scaled Hessian, None if not known; 0 if it
        has too few digits.
    model : Model or None
        The last Hessian that was made, if any.
    preconditioner : Preconditioner or None
        That of a sample, if it was of use.
    """

    point: Point
    gap: float
    n_iter: int
    success: bool
    trouble: str = ""
    slopes: Array | None = None
    unique: bool = False
    rcond: float | None = None
    model: Model | None = None
    preconditioner: Preconditioner | None = None

    @property
    def params(self) -> Array:
        """The params of the fit."""
        return self.point.params

    @property
    def value(self) -> float:
        """The objective there."""
        return self.point.value

    @property
    def message(self) -> str:
        """What happened."""
        return "converged" if self.success else self.trouble

    @property
    def optimal_slopes(self) -> Array:
        """The slopes that certify the gap."""
        if self.slopes is not None:
            return self.slopes
        return self.point.objective.loss.gradient(self.point.residual)

    def as_start(self) -> Start:
        """Return the start of a like problem."""
        return Start(
            self.params,
            is_near=True,
            residual=self.point.residual,
            slopes=self.slopes,
            unique=self.unique,
            model=self.model,
            preconditioner=self.preconditioner,
        )


class Run(Protocol):
    """Minimises an objective from a start."""

    def __call__(
        self, objective: Objective, start: Start, tol: float, max_iter: int
    ) -> Result:
        """Return the minimum, to a tolerance or after ``max_iter`` iterations."""
