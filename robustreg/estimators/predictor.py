"""What all regressors here share once they are fitted: predictions and their scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from robustreg.estimators.collected import (
    predict_collection,
    r2_of_collection,
    score_collection,
)
from robustreg.partitions import is_collection
from robustreg.rows import present, product, taken
from robustreg.validation import (
    CallbackSupportMixin,
    check_predict_data,
    check_score_data,
)


def set_each(
    model: Any,
    fits: Sequence[Any],
    names: Sequence[str],
    single: bool,
    prefix: str = "",
) -> None:
    """Set fitted attributes by the fits of all targets, without an axis for one y."""
    for name in names:
        values = np.array([getattr(fit, name) for fit in fits])
        setattr(model, f"{prefix}{name}_", values[0] if single else values)


class LinearPredictor(CallbackSupportMixin, RegressorMixin, BaseEstimator, ABC):
    """Predictions by fitted coefficients, and how far targets are from them."""

    fit_intercept: bool
    outlier_threshold: float

    coef_: NDArray[Any]
    intercept_: Any
    residual_scale_: Any

    @abstractmethod
    def __init__(self) -> None:
        """Store the parameters."""

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
        r"""Return the coefficient of determination of the predictions.

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
            :math:`1 - \sum_i (y_i - \hat y_i)^2 / \sum_i (y_i - \bar y)^2`, at most 1;
            of several targets the mean.

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
        data, target, weight = taken(present(weight), data, target, weight)
        with np.errstate(under="ignore"):
            predicted = self._predicted(data, self.coef_.dtype)
        told = None if sample_weight is None else weight
        return float(r2_score(target, predicted, sample_weight=told))

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

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle keeps: all but lazy arrays, which hold their data."""
        state = super().__getstate__()
        return {key: each for key, each in state.items() if not is_collection(each)}

    def __sklearn_tags__(self) -> Tags:
        """Declare sparse input and several targets."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        return tags
