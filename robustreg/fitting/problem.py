"""What a fit is asked and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from robustreg.losses import Loss
from robustreg.penalties import ElasticNet
from robustreg.report import Report
from robustreg.rows import Array, Merged, Rows
from robustreg.solvers.majorised import FEW_COUNT
from robustreg.solvers.sampling import Sample


@dataclass(frozen=True)
class Problem:
    """What a fit minimises and how.

    Parameters
    ----------
    rows : Rows
        The standardised design.
    y : ndarray of shape (n_rows,)
        The target, in its own units.
    weight : ndarray of shape (n_rows,)
        Weights that count rows.
    loss : Loss
        The loss.
    penalty : ElasticNet
        The penalty of the original coefficients over the scale.
    scale : float or str
        A number or a name in `robustreg.scale.SCALES`.
    solver, tol, max_iter, outlier_threshold
        As the estimators document them.
    eps : float
        Relative rounding error of the predictions that users will see.
    report : Report or None
        Whom to tell of each pass over the rows.
    """

    rows: Rows
    y: Array
    weight: Array
    loss: Loss
    penalty: ElasticNet
    scale: float | str
    solver: str
    tol: float
    max_iter: int
    outlier_threshold: float
    eps: float
    report: Report | None = None

    @property
    def estimate(self) -> str | None:
        """The name of the estimate that is the scale; None for a number."""
        return self.scale if isinstance(self.scale, str) else None

    def of_sample(self, drawn: Sample, tol: float) -> Problem:
        """Return the problem of a sample's rows, weighted to stand for all.

        Nobody is told of its passes, which are short.
        """
        few = drawn.objective
        return replace(
            self,
            rows=few.rows,
            y=self.y[drawn.index],
            weight=few.weight * (drawn.index.size / few.weight.sum()),
            tol=max(self.tol, tol),
            report=None,
        )


@dataclass(frozen=True)
class Coefficients:
    """What a linear model predicts by, in original units.

    Parameters
    ----------
    coef : ndarray of shape (n_features,)
        Coefficients.
    intercept : float
        Intercept, in units of y.
    """

    coef: Array
    intercept: float


@dataclass(frozen=True)
class Fit:
    """A fitted target, in original units.

    Parameters
    ----------
    coef : ndarray of shape (n_features,)
        Coefficients, in the precision that they are stored in.
    intercept, scale : float
        Intercept and scale, in units of y.
    objective, dual_gap : float
        Objective, and a bound on it minus its minimum; nan for a loss that is not
        convex.
    stationarity : float
        Relative violation of the optimality condition; nan for a loss with a kink.
    n_iter : int
        Iterations of the last fit, at least 1.
    weights : ndarray of shape (n_rows,) or None
        Robustness weights; None for a loss with a kink.
    residual_scale : float
        Scale of the residuals, in units of y, positive.
    outliers : ndarray of bool of shape (n_rows,)
        Residuals of more than ``outlier_threshold`` such scales.
    success : bool
        Whether the solver met the tolerance and the scale settled.
    collapsed : bool
        Whether the scale was held at its floor.
    message : str
        The solver's account.
    disagreement : float
        Logarithm of the residuals' scale over the scale of the fit, where no scale was
        found at which these agree; else 0.
    counted : float
        Mean robustness weight of the rows; 1 for a convex loss, which rejects none.
    s_estimate : Coefficients or None
        The S-estimate that an MM-estimate started from; None for any other fit.
    stopped : bool
        Whether a report asked to stop before its end.
    """

    coef: Array
    intercept: float
    scale: float
    objective: float
    dual_gap: float
    stationarity: float
    n_iter: int
    weights: Array | None
    residual_scale: float
    outliers: Array
    success: bool
    collapsed: bool
    message: str
    disagreement: float
    counted: float
    s_estimate: Coefficients | None = None
    stopped: bool = False

    @property
    def will_do(self) -> bool:
        """Whether no other standardisation would lead to a better fit, or another."""
        if self.disagreement or self.stopped:
            return True
        return self.success and self.counted >= FEW_COUNT

    def of_all(self, rows: Merged) -> Fit:
        """Return the fit of data whose equal rows were merged, for all of its rows."""
        if rows.kind is None:
            return self
        weights = None if self.weights is None else rows.of_all(self.weights)
        return replace(self, weights=weights, outliers=rows.of_all(self.outliers))
