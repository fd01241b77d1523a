"""What all regressors here share: everything but parameters and their checks."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from robustreg.estimators import messages
from robustreg.estimators.arrays import fit_arrays
from robustreg.estimators.collected import (
    fit_collection,
    predict_collection,
    r2_of_collection,
    score_collection,
)
from robustreg.fitting import Fit, Problem, within_reach
from robustreg.losses import Loss
from robustreg.partitions import FitOne, is_collection
from robustreg.penalties import make_penalty
from robustreg.rows import Array, Rows, present, product, taken
from robustreg.validation import (
    check_predict_data,
    check_score_data,
    unchanged_on_error,
)

# A fit whose robustness weights have a smaller mean is not one of the data.
FEWEST_COUNTED = 0.01


class ScaleCollapseWarning(UserWarning):
    """More than half of the rows are fitted exactly, so that their scale is 0."""


class NoEffectWarning(UserWarning):
    """A penalty is set without alpha, or alpha without a penalty."""


class RobustLinearModel(RegressorMixin, BaseEstimator, ABC):
    """Fit, predict and the fitted attributes of every regressor here."""

    # Whether a fit starts from an S-estimate, which `s_coef_` is.
    starts_from_s: ClassVar[bool] = False
    _doc_link_module = "robustreg"
    _doc_link_template = (
        "https://robustreg.readthedocs.io/en/stable/api.html#{estimator_name}"
    )

    penalty: str | None
    alpha: float
    l1_ratio: float
    fit_intercept: bool
    solver: str
    tol: float
    max_iter: int
    outlier_threshold: float

    coef_: NDArray[Any]
    intercept_: Any
    residual_scale_: Any

    @abstractmethod
    def __init__(self) -> None:
        """Store the parameters."""

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
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
            Targets. Each of several columns is fitted by itself, with a scale of its
            own; one column is the same as y of shape (n_samples,). Where X is a dask
            collection, one with the same rows.
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
            fit = fit_collection if is_collection(X) else fit_arrays
            fits, targets, weight = fit(self, loss, X, y, sample_weight)
        self._warn(fits, targets, weight)
        return self

    @np.errstate(under="ignore")
    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the targets.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features, or a dask Array or DataFrame.

        Returns
        -------
        ndarray or dask Array of shape (n_samples,) or (n_samples, n_targets)
            ``X @ coef_.T + intercept_``; of a dask collection lazy, with its
            partitions.
        """
        check_is_fitted(self)
        if is_collection(X):
            return predict_collection(self, X)
        return self._predicted(check_predict_data(self, X), self.coef_.dtype)

    def _predicted(self, X: Any, dtype: Any) -> NDArray[Any]:
        """Return predictions of checked rows, by coefficients in a precision."""
        coef = self.coef_.astype(dtype, copy=False)
        return np.asarray(product(X, coef) + self.intercept_)

    def outlier_score(self, X: ArrayLike, y: ArrayLike) -> NDArray[Any]:
        """Say how many robust scales each target is away from its prediction.

        ``abs(y - predict(X)) / residual_scale_``. A row is an outlier where this
        exceeds ``outlier_threshold``; for the rows of the fit `outliers_` says so, up
        to rounding errors. Of clean rows with Gaussian errors a threshold t flags the
        share ``2 * scipy.stats.norm.sf(t)``, 0.27 % at the default of 3, if the fit
        has many more rows than parameters and ``quantile=0.5``.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features, of new rows or of those of the fit, or a dask Array or DataFrame.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets, with as many columns as those of the fit.

        Returns
        -------
        ndarray or dask Array of shape (n_samples,) or (n_samples, n_targets)
            Scores in float64, at least 0; lazy if X is a dask collection. After an
            exact fit ``residual_scale_`` is as small as rounding errors, and whatever
            is not on the fit has a huge score.

        Raises
        ------
        ValueError
            For data that is not finite and real or of another shape than that of the
            fit.

        Examples
        --------
        >>> import numpy as np
        >>> from robustreg import RobustRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(500, 2))
        >>> y = X @ [1.0, -2.0] + rng.normal(size=500)
        >>> model = RobustRegressor().fit(X, y)
        >>> model.outlier_score([[0.0, 0.0], [1.0, 1.0]], [1.0, 9.0]).round(1)
        array([0.9, 9.7])
        """
        check_is_fitted(self)
        if is_collection(X):
            return score_collection(self, X, y)
        target, _ = check_score_data(X, y, np.shape(self.coef_))
        data = check_predict_data(self, X)
        with np.errstate(over="ignore", under="ignore"):
            residual = np.abs(target - self._predicted(data, np.float64))
            return np.asarray(residual / self.residual_scale_)

    def score(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the coefficient of determination of the predictions.

        That of all scikit-learn's regressors, which squares residuals: outliers in y
        count in it in full. `sklearn.metrics.d2_absolute_error_score` gives them less.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features, or a dask Array or DataFrame, which is read twice.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets, with as many columns as those of the fit.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, not all 0. A weight of 0 is the same as no row.

        Returns
        -------
        float
            ``1 - sum((y - predict(X))**2) / sum((y - mean(y))**2)``, at most 1; of
            several targets the mean.

        Raises
        ------
        ValueError
            For data that `fit` refuses as well, and of another shape than the fit's.
        """
        check_is_fitted(self)
        if is_collection(X):
            return r2_of_collection(self, X, y, sample_weight)
        shape = np.shape(self.coef_)
        target, weight = check_score_data(X, y, shape, sample_weight)
        data = check_predict_data(self, X)
        if weight is not None:
            data, target, weight = taken(present(weight), data, target, weight)
        with np.errstate(under="ignore"):
            predicted = self._predicted(data, self.coef_.dtype)
        return float(r2_score(target, predicted, sample_weight=weight))

    def to_linear_regression(self) -> LinearRegression:
        """Return a fitted `LinearRegression` that predicts the same.

        For tools that know scikit-learn's classes by name, such as exporters to ONNX.

        Returns
        -------
        sklearn.linear_model.LinearRegression
            With this estimator's coefficients, intercept and feature names.
        """
        check_is_fitted(self)
        model = LinearRegression(fit_intercept=self.fit_intercept)
        model.coef_ = self.coef_.copy()
        model.intercept_ = self.intercept_
        model.n_features_in_ = self.n_features_in_
        names = vars(self).get("feature_names_in_")
        if names is not None:
            model.feature_names_in_ = names
        return model

    def __sklearn_tags__(self) -> Tags:
        """Declare sparse input and several targets."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        return tags

    @abstractmethod
    def _checked_loss(self) -> Loss:
        """Check the parameters and return the loss."""

    @abstractmethod
    def _fit_each(
        self, rows: Rows, targets: Array, weight: Array, loss: Loss, eps: float
    ) -> list[Fit]:
        """Return the fit of each column of the targets."""

    @abstractmethod
    def _fit_of_whole(self) -> FitOne:
        """Return what fits a target whose rows are elsewhere, the same for each."""

    @property
    @abstractmethod
    def _asked_scale(self) -> float | str:
        """The scale of the problem: a number, or the name of an estimate."""

    @property
    @abstractmethod
    def _scale_is_estimated(self) -> bool:
        """Whether the scale comes from the data."""

    @abstractmethod
    def _told(self) -> str:
        """Return the estimator with what tells it from others of a search."""

    @abstractmethod
    def _collapse(self) -> messages.Collapse:
        """Return how a collapsed scale is spoken of."""

    def _problem(
        self,
        rows: Rows,
        target: Array,
        weight: Array,
        loss: Loss,
        scale: float | str,
        eps: float,
    ) -> Problem:
        """Return one target's problem."""
        penalty = make_penalty(
            self.penalty, self.alpha, self.l1_ratio, rows.n_params - 1
        )
        unit = None if self._scale_is_estimated else float(scale)
        return Problem(
            rows=rows,
            y=within_reach(np.ascontiguousarray(target), weight, loss, unit),
            weight=weight,
            loss=loss,
            penalty=penalty,
            scale=scale,
            solver=self.solver,
            tol=self.tol,
            max_iter=self.max_iter,
            outlier_threshold=float(self.outlier_threshold),
            eps=eps,
        )

    def _store(self, fits: list[Fit], single: bool) -> None:
        """Set the fitted attributes, without the target axis for a y of one column."""
        each = {
            "coef_": [fit.coef for fit in fits],
            "intercept_": [fit.intercept for fit in fits],
            "scale_": [fit.scale for fit in fits],
            "dual_gap_": [fit.dual_gap for fit in fits],
            "stationarity_": [fit.stationarity for fit in fits],
            "residual_scale_": [fit.residual_scale for fit in fits],
        }
        for name, values in each.items():
            setattr(self, name, np.array(values)[0] if single else np.array(values))
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
            coef = np.array([start.coef for start in starts])
            intercept = np.array([start.intercept for start in starts])
            self.s_coef_ = coef[0] if single else coef
            self.s_intercept_ = intercept[0] if single else intercept

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
        if unsettled:
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
