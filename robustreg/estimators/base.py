"""What regressors here share: the way of a fit, but for parameters and checks."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning

from robustreg.estimators import messages
from robustreg.estimators.arrays import way_to_fit
from robustreg.estimators.collected import fit_collection
from robustreg.estimators.predictor import LinearPredictor, set_each
from robustreg.fitting import Fit, Problem
from robustreg.losses import Loss, Tukey, make_loss
from robustreg.partitions import FitOne, is_collection
from robustreg.rows import Array, Rows, Standard, present, taken
from robustreg.validation import check_fit_data, unchanged_on_error, watched

# A fit whose robustness weights have a smaller mean is not one of the data.
FEWEST_COUNTED = 0.01
# Fits the problems of all targets.
FitEach = Callable[[Iterable[Problem]], list[Fit]]
# What a fit has that is a number or an array of each target.
STORED = ("coef", "intercept", "scale", "dual_gap", "stationarity", "residual_scale")


class ScaleCollapseWarning(UserWarning):
    """More than half of the rows are fitted exactly, so that their scale is 0."""


class NoEffectWarning(UserWarning):
    """A penalty is set without alpha, or alpha without a penalty."""


def loss_of(model: Any) -> Loss:
    """Return the loss that a fit is the minimum of, of MM-estimates the M-step's."""
    if model.starts_from_s:
        return Tukey(float(model.beta_))
    return make_loss(model.loss, model.beta, model.quantile)


class RobustLinearModel(LinearPredictor):
    """The fit of every regressor here that fits one problem a target."""

    # Whether a fit starts from an S-estimate, which `s_coef_` is.
    starts_from_s: ClassVar[bool] = False

    penalty: str | None
    alpha: float
    l1_ratio: float
    fit_intercept: bool
    solver: str
    tol: float
    max_iter: int
    outlier_threshold: float

    @abstractmethod
    def __init__(self) -> None:
        """Store the parameters."""

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features: a numpy array (float32 stays float32), a pandas or polars frame,
            or a CSR or CSC matrix, which is never densified. Not copied. Or a dask
            Array or DataFrame, which is read in passes, one partition at a time, as
            memory-mapped arrays of more than 256 MiB are.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets, which a fit cannot do without. Each of several columns is fitted by
            itself, with a scale of its own; one column is the same as y of shape
            (n_samples,). Where X is a dask collection, one with the same rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, not all 0. A weight of 2 is the same as the row
            twice and a weight of 0 the same as no row.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For a parameter out of its range, a solver that cannot minimise the
            objective, and data that is not finite and real or of the wrong shape.
        ImportError
            For a dask collection, if a part of dask is missing.
        """
        # Underflow is meant wherever it happens: what is too small counts as 0.
        with np.errstate(under="ignore"), unchanged_on_error(self):
            loss = self._checked_loss()
            with watched(self, X, y, sample_weight) as callbacks:
                given = X, y, sample_weight
                if is_collection(X):
                    fits, *told = fit_collection(self, loss, *given, callbacks)
                else:
                    data, target, weight = check_fit_data(self, *given)
                    targets = target[:, None] if target.ndim == 1 else target
                    fit = way_to_fit(self, X)
                    fits = fit(self, loss, data, targets, weight, callbacks)
                    self._store(fits, target.ndim == 1)
                    told = [*taken(present(weight), targets, weight)]
        self._warn(fits, *told)
        return self

    @abstractmethod
    def _checked_loss(self) -> Loss:
        """Check the parameters and return the loss."""

    @abstractmethod
    def _check_weight(self, standard: Standard, weight: Array) -> None:
        """Refuse weights of rows that such a fit can not be made with."""

    @abstractmethod
    def _fit_of_each(self, rows: Rows, n_targets: int) -> FitEach:
        """Return what fits the problems of all targets."""

    @abstractmethod
    def _fit_of_whole(self) -> FitOne:
        """Return what fits a target whose rows are elsewhere, the same for each."""

    @property
    @abstractmethod
    def _asked_scale(self) -> float | str:
        """The scale of the problem: a number, or the name of an estimate."""

    @abstractmethod
    def _told(self) -> str:
        """Return the estimator with what tells it from others of a search."""

    @abstractmethod
    def _collapse(self) -> messages.Collapse:
        """Return how a collapsed scale is spoken of."""

    def _store(self, fits: list[Fit], single: bool) -> None:
        """Set the fitted attributes, without the target axis for a y of one column."""
        set_each(self, fits, STORED, single)
        outliers = [fit.outliers for fit in fits]
        self.outliers_ = outliers[0] if single else np.column_stack(outliers)
        self.n_iter_ = max(fit.n_iter for fit in fits)
        weights = [fit.weights for fit in fits if fit.weights is not None]
        if weights:
            self.weights_ = weights[0] if single else np.column_stack(weights)
        elif "weights_" in vars(self):
            del self.weights_
        starts = [fit.s_estimate for fit in fits if fit.s_estimate is not None]
        if starts:
            set_each(self, starts, ("coef", "intercept"), single, "s_")

    def _warn(self, fits: list[Fit], targets: Array, weight: Array) -> None:
        """Say once what has no effect, what did not converge and what collapsed.

        At a collapsed scale rounding errors bound the gap, and one warning says all.
        """
        said: list[tuple[str, type[Warning]]] = []
        if (self.penalty is None) != (self.alpha == 0):
            text = messages.no_effect(type(self).__name__, self.penalty, self.alpha)
            said.append((text, NoEffectWarning))
        failed = [fit for fit in fits if not fit.success and not fit.collapsed]
        unsettled = [fit for fit in failed if fit.disagreement]
        told = self._told()
        stopped = [fit for fit in failed if fit.stopped]
        if stopped:
            text = messages.stopped(told, stopped, self.tol)
            said.append((text, ConvergenceWarning))
        elif unsettled:
            said.append((messages.unsettled(told, unsettled), ConvergenceWarning))
        elif failed:
            asked = self.solver, self.tol, self.max_iter
            text = messages.unconverged(told, failed, *asked)
            said.append((text, ConvergenceWarning))
        least = min(fits, key=lambda fit: fit.counted)
        if least.counted < FEWEST_COUNTED and not least.collapsed:
            text = messages.rejecting(told, self._collapse(), least)
            said.append((text, UserWarning))
        collapsed = next((j for j, fit in enumerate(fits) if fit.collapsed), None)
        if collapsed is not None:
            n_params = fits[0].coef.size + bool(self.fit_intercept)
            target = targets[:, collapsed]
            text = messages.collapsed(told, self._collapse(), target, weight, n_params)
            said.append((text, ScaleCollapseWarning))
        for text, category in said:
            warnings.warn(text, category, stacklevel=3)
