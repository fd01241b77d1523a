"""Several quantiles of one target, fitted together."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import d2_pinball_score
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from robustreg.estimators import messages
from robustreg.estimators.base import NoEffectWarning
from robustreg.estimators.reporting import report_of
from robustreg.fitting import (
    Problem,
    QuantileFit,
    QuantileFits,
    fit_quantiles,
    standardisations,
    within_reach,
)
from robustreg.losses import make_loss
from robustreg.penalties import make_penalty
from robustreg.rows import (
    Array,
    Merged,
    Rows,
    make_rows,
    merged,
    present,
    product,
    taken,
)
from robustreg.validation import (
    QUANTILES_CONSTRAINTS,
    Callbacks,
    CallbackSupportMixin,
    check_predict_data,
    check_quantiles_data,
    check_quantiles_params,
    check_score_data,
    refuse_collections,
    unchanged_on_error,
    watched,
)


@final
class QuantilesRegressor(CallbackSupportMixin, BaseEstimator):
    r"""Several quantiles of one target, fitted together, that do not cross.

    Minimises, for each quantile q, over coefficients c and an intercept b, with
    :math:`r = y - X c - b`,

    .. math::

        \frac{\sum_i w_i \, \text{loss}_q(r_i)}{\sum_i w_i}
        + \alpha \, \text{penalty}(c)

    where the loss is :math:`2 q \lvert r \rvert` above the fit and
    :math:`2 (1 - q) \lvert r \rvert` below, twice that of quantile regression [1]_: the
    fits of `L1Regressor` with these quantiles, the same answers at a fraction of the
    price. Fitted one by one they may cross, as a 95 % quantile that is below the median
    for some rows; ``predict`` sorts the predictions of each row (rearrangement [2]_),
    which brings them, on average over the quantiles, no farther from the true ones.

    Parameters
    ----------
    quantiles : array-like of shape (n_quantiles,), default=(0.05, 0.5, 0.95)
        Levels in (0, 1), all different, in any order: that of the columns of
        ``predict``.
    penalty : {"l1", "l2", "elasticnet"} or None, default=None
        :math:`\sum_j \lvert c_j \rvert`, :math:`\sum_j c_j^2 / 2`, or their mixture by
        ``l1_ratio``; the same for all quantiles. With a penalty fits are made one by
        one.
    alpha : float, default=0.0
        Strength of the penalty, at least 0, as for `L1Regressor`. Without a penalty
        alpha, and at 0 a penalty, have no effect, of which a `NoEffectWarning` tells.
    l1_ratio : float, default=0.5
        Share of l1 in the elastic net, in [0, 1].
    non_crossing : bool, default=True
        Whether ``predict`` sorts the predictions of each row, so that a higher quantile
        is never below a lower one. It does not change the coefficients.
    fit_intercept : bool, default=True
        Whether to fit intercepts, which are never penalised.
    tol : float, default=1e-10
        Positive. A fit is done when its dual gap is at most ``tol`` times the
        objective (taken without the share of gross outliers) or as small as
        rounding errors allow.
    max_iter : int, default=500
        Largest number of iterations, at least 1.

    Attributes
    ----------
    coef_ : ndarray of shape (n_quantiles, n_features)
        Coefficients, of the dtype of X.
    intercept_ : ndarray of shape (n_quantiles,)
        Intercepts, 0 if none is fitted.
    crossing_share_ : float
        Share of the rows of the fit, by weight, whose predictions cross, by more than
        rounding errors: those that ``non_crossing`` sorts.
    dual_gap_ : ndarray of shape (n_quantiles,)
        Upper bounds, up to rounding errors, on the objectives at the fits minus their
        minima; of the coefficients that are stored, in the dtype of X.
    n_iter_ : int
        Iterations, the largest number of all fits.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X has any.

    Notes
    -----
    Where more than one fit is optimal the answer is the one that `L1Regressor` gives.

    Predictions have a column for each quantile though y has one, so that tools which
    expect a regressor to predict what y is (scores of scikit-learn, stacking) do not
    apply: `sklearn.base.is_regressor` says no. `score` and a single column do.

    Many crossings say that the lines do not hold together where the rows are: that the
    model lacks a term, or that the quantiles are so far out that few rows tell of them.

    References
    ----------
    .. [1] Koenker, R., Bassett, G. (1978). Regression quantiles. Econometrica 46,
       33-50.
    .. [2] Chernozhukov, V., Fernandez-Val, I., Galichon, A. (2010). Quantile and
       probability curves without crossing. Econometrica 78, 1093-1125.

    Examples
    --------
    >>> import numpy as np
    >>> from robustreg import QuantilesRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(1, 5, size=(1000, 1))
    >>> y = X.ravel() * (1 + rng.normal(size=1000))
    >>> model = QuantilesRegressor((0.1, 0.5, 0.9)).fit(X, y)
    >>> model.predict([[2.0], [4.0]]).round(1)
    array([[-0.7,  2. ,  4.7],
           [-1.3,  4. ,  9. ]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = QUANTILES_CONSTRAINTS

    def __init__(
        self,
        quantiles: Sequence[float] = (0.05, 0.5, 0.95),
        *,
        penalty: str | None = None,
        alpha: float = 0.0,
        l1_ratio: float = 0.5,
        non_crossing: bool = True,
        fit_intercept: bool = True,
        tol: float = 1e-10,
        max_iter: int = 500,
    ) -> None:
        self.quantiles = quantiles
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.non_crossing = non_crossing
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fit all quantiles.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features: a numpy array (float32 stays float32), a pandas or polars frame,
            or a CSR or CSC matrix, which is never densified. Not copied.
        y : array-like of shape (n_samples,)
            Targets.
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
            For a parameter out of its range, several targets, dask collections, and
            data that is not finite and real or of the wrong shape.

        Warns
        -----
        ConvergenceWarning
            Once, if a fit did not meet ``tol``; the best one found is kept.
        NoEffectWarning
            If there is a penalty without alpha, or alpha without a penalty.
        DataConversionWarning
            If y has a second dimension, of length 1.
        """
        with np.errstate(under="ignore"), unchanged_on_error(self):
            levels = check_quantiles_params(self)
            with watched(self, X, y, sample_weight) as callbacks:
                fits = self._fitted(levels, X, y, sample_weight, callbacks)
        self._warn(fits, levels)
        return self

    @np.errstate(under="ignore")
    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict all quantiles.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples, n_quantiles)
            ``X @ coef_.T + intercept_``, a column for each quantile in the order given;
            with ``non_crossing`` each row's values are sorted by quantile.
        """
        check_is_fitted(self)
        refuse_collections("QuantilesRegressor", X=X)
        data = check_predict_data(self, X)
        predicted = np.asarray(product(data, self.coef_) + self.intercept_)
        if self.non_crossing:
            predicted.sort(axis=1)
            places = np.argsort(np.argsort(self.quantiles))
            predicted = predicted[:, places]
        return predicted

    def score(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the share of the pinball loss that the predictions save.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, not all 0. A weight of 0 is the same as no row.

        Returns
        -------
        float
            The mean over all quantiles of `sklearn.metrics.d2_pinball_score`: 1 minus
            the mean pinball loss over that of the quantile of y; at most 1.

        Raises
        ------
        ValueError
            For data that `fit` refuses as well, and of another shape than the fit's.
        """
        check_is_fitted(self)
        refuse_collections("QuantilesRegressor", X=X, y=y, sample_weight=sample_weight)
        shape = self.coef_[0].shape
        target, weight = check_score_data(X, y, shape, sample_weight)
        predicted = self.predict(X)
        # Without weights scikit-learn interpolates the quantile of y, which then is not
        # the constant of least loss.
        live = taken(present(weight), target, predicted, weight)
        each = [
            d2_pinball_score(live[0], column, sample_weight=live[2], alpha=level)
            for level, column in zip(self.quantiles, live[1].T, strict=True)
        ]
        return float(np.mean(each))

    def __sklearn_tags__(self) -> Tags:
        """Declare sparse input, and that y is needed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags

    def _fitted(
        self,
        levels: Array,
        X: Any,
        y: Any,
        sample_weight: Any,
        callbacks: Callbacks | None,
    ) -> list[QuantileFit]:
        """Set the fitted attributes and return the fits."""
        data, target, weight = check_quantiles_data(self, X, y, sample_weight)
        live = taken(present(weight), data, target[:, None], weight)
        few = merged(*live)
        make = partial(make_rows, few.X, few.weight, self.fit_intercept)
        for rows in standardisations(make):
            found = self._fits(rows, few, levels, callbacks)
            if all(fit.will_do for fit in found.fits):
                break
        fits = found.fits
        self.coef_ = np.array([fit.coef for fit in fits])
        self.intercept_ = np.array([fit.intercept for fit in fits])
        self.dual_gap_ = np.array([fit.dual_gap for fit in fits])
        self.n_iter_ = max(fit.n_iter for fit in fits)
        self.crossing_share_ = found.crossing_share
        return fits

    def _fits(
        self, rows: Rows, few: Merged, levels: Array, callbacks: Callbacks | None
    ) -> QuantileFits:
        """Return the fit of each quantile."""
        losses = [make_loss("l1", None, float(level)) for level in levels]
        y = np.ascontiguousarray(few.targets[:, 0])
        y = within_reach(y, few.weight, losses[0], 1.0)
        penalty = make_penalty(
            self.penalty, self.alpha, self.l1_ratio, rows.n_params - 1
        )
        problems = [
            Problem(
                rows=rows,
                y=y,
                weight=few.weight,
                loss=loss,
                penalty=penalty,
                scale=1.0,
                solver="auto",
                tol=self.tol,
                max_iter=self.max_iter,
                outlier_threshold=np.inf,
                eps=float(np.finfo(few.X.dtype).eps),
                report=report_of(callbacks, rows, levels.size),
            )
            for loss in losses
        ]
        return fit_quantiles(problems)

    def _warn(self, fits: list[QuantileFit], levels: Array) -> None:
        """Say once what has no effect and which fits did not converge."""
        if (self.penalty is None) != (self.alpha == 0):
            text = messages.no_effect("QuantilesRegressor", self.penalty, self.alpha)
            warnings.warn(text, NoEffectWarning, stacklevel=3)
        failed = [i for i, fit in enumerate(fits) if not fit.success]
        if not failed:
            return
        worst = max(failed, key=lambda i: fits[i].dual_gap)
        more = "Raise max_iter or tol" if self.n_iter_ >= self.max_iter else "Raise tol"
        if any(fits[i].stopped for i in failed):
            more = "A callback asked to stop"
        warnings.warn(
            f"QuantilesRegressor stopped before tol={self.tol:g} was met for the "
            f"quantiles {levels[failed].tolist()}. The worst is "
            f"{levels[worst]:g}, whose objective may be {fits[worst].dual_gap:.2g} "
            f"above its minimum. The best fits found are kept. {more}.",
            ConvergenceWarning,
            stacklevel=3,
        )
