"""What the three regressors with a loss by name share: everything but defaults."""

from __future__ import annotations

from typing import Any

import numpy as np

from robustreg.estimators.arrays import rows_of
from robustreg.estimators.base import RobustLinearModel
from robustreg.estimators.messages import Collapse
from robustreg.estimators.reporting import report_of
from robustreg.fitting import Fit, Problem, fit_targets
from robustreg.losses import Loss
from robustreg.partitions import FitOne, Whole, fit_whole
from robustreg.rows import Array, Rows
from robustreg.validation import (
    PARAMETER_CONSTRAINTS,
    Callbacks,
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

    def _fit_each(
        self,
        rows: Rows,
        targets: Array,
        weight: Array,
        loss: Loss,
        eps: float,
        callbacks: Callbacks | None,
    ) -> list[Fit]:
        """Return the fit of each column of the targets."""
        n_coefs = rows.n_params - (rows.standard.constant == 0)
        check_scale_weight(self.scale, n_coefs, weight)
        starts = self._starts(rows, targets.shape[1])
        report = report_of(callbacks, rows, targets.shape[1])
        problems = (
            self._problem(rows, column, weight, loss, self._asked_scale, eps, report)
            for column in targets.T
        )
        return fit_targets(problems, starts)

    def _fit_of_whole(self) -> FitOne:
        """Return what fits a target whose rows are elsewhere."""

        def fit(whole: Whole) -> Fit:
            n_coefs = whole.standard.unit.size + (whole.standard.constant > 0)
            check_scale_weight(self.scale, n_coefs, whole.problem.weight)
            return fit_whole(whole)

        return fit

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

    @property
    def _scale_is_estimated(self) -> bool:
        """Whether the scale has a name."""
        return isinstance(self.scale, str)

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


def problem_of(model: ScaledLossModel, X: Any, y: Array, weight: Array) -> Problem:
    """Return what a model minimises on some data, for those who look at its fit.

    Parameters
    ----------
    model : ScaledLossModel
        The model.
    X : array or sparse matrix of shape (n_rows, n_features)
        Its checked features.
    y : ndarray of shape (n_rows,)
        One target.
    weight : ndarray of shape (n_rows,)
        Weights that count rows.
    """
    rows, loss = rows_of(model, X, weight), model._checked_loss()
    return problem_on(model, rows, y, weight, loss, float(np.finfo(X.dtype).eps))


def problem_on(
    model: ScaledLossModel, rows: Rows, y: Array, weight: Array, loss: Loss, eps: float
) -> Problem:
    """Return what a model minimises on rows that it shares with others.

    Parameters
    ----------
    model : ScaledLossModel
        The model.
    rows : Rows
        Its design.
    y, weight : ndarray of shape (n_rows,)
        One target, and weights that count rows.
    loss : Loss
        The loss that its parameters make.
    eps : float
        Relative rounding error of the precision of its data.
    """
    n_coefs = rows.n_params - (rows.standard.constant == 0)
    check_scale_weight(model.scale, n_coefs, weight)
    return model._problem(rows, y, weight, loss, model.scale, eps)
