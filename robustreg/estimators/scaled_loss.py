"""What the three regressors with a loss by name share: everything but defaults."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from robustreg.estimators.base import FitEach, RobustLinearModel
from robustreg.estimators.messages import Collapse
from robustreg.fitting import fit_targets
from robustreg.losses import Loss
from robustreg.partitions import FitOne, fit_whole
from robustreg.rows import Array, Rows, Standard
from robustreg.validation import (
    PARAMETER_CONSTRAINTS,
    check_params,
    check_scale_weight,
)


class ScaledLossModel(RobustLinearModel):
    """A loss by name at a scale that is given, or that the residuals have.

    Subclasses are final and hold a constructor with their defaults.
    """

    _parameter_constraints: dict[str, list[Any]] = PARAMETER_CONSTRAINTS

    loss: str | Loss
    beta: float | None
    quantile: float
    scale: float | str
    warm_start: bool

    def _checked_loss(self) -> Loss:
        """Check the parameters and return the loss."""
        return check_params(self)

    def _check_weight(self, standard: Standard, weight: Array) -> None:
        """Refuse weights that count too few rows for the scale."""
        n_coefs = standard.unit.size + (standard.constant > 0)
        check_scale_weight(self.scale, n_coefs, weight)

    def _fit_of_each(self, rows: Rows, n_targets: int) -> FitEach:
        """Return what fits the problems of all targets, from where they start."""
        return partial(fit_targets, starts=self._starts(rows, n_targets))

    def _fit_of_whole(self) -> FitOne:
        """Return what fits a target whose rows are elsewhere."""
        return fit_whole

    @property
    def _asked_scale(self) -> float | str:
        """The scale: a number, or the name of an estimate."""
        return self.scale

    def _starts(self, rows: Rows, n_targets: int) -> list[Array | None]:
        """Return where each target's fit starts: at the last fit if warm and fitting.

        A last fit of another shape is no start.
        """
        fitted = vars(self)
        if not self.warm_start or "coef_" not in fitted:
            return [None] * n_targets
        coef = np.atleast_2d(self.coef_).astype(np.float64)
        intercept = np.atleast_1d(self.intercept_).astype(np.float64)
        if coef.shape != (n_targets, rows.n_params - 1):
            return [None] * n_targets
        return [
            rows.standard.from_original(c, b)
            for c, b in zip(coef, intercept, strict=True)
        ]

    def _told(self) -> str:
        """Return the estimator with what tells it from others of a search."""
        shown = ["loss", "beta"]
        if self.quantile != 0.5:
            shown.append("quantile")
        if self.penalty is not None and self.alpha > 0:
            shown += ["penalty", "alpha"]
        given = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__name__}({given})"

    def _collapse(self) -> Collapse:
        """Return how a collapsed scale is spoken of."""
        return Collapse(
            name=f"scale={self.scale!r}",
            fit="nearly the L1 fit",
            tied="Pass a number as scale, in units of y.",
            wide="Drop columns, raise alpha, or pass a number as scale.",
            exact="If they are meant to be exact, nothing is wrong; if not, pass a "
            "number as scale.",
            small="Raise the scale or beta, or let scale='mad' be estimated.",
        )
