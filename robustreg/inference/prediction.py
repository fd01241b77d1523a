"""Predictions of new rows with what is known of their errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike

from robustreg.estimators.base import RobustLinearModel, loss_of
from robustreg.inference.checks import coefficients_of, judged
from robustreg.inference.estimate import CovOptions, Data, Estimate, estimate
from robustreg.inference.table import check_level, law_of
from robustreg.inference.targets import (
    frame_class,
    labels_of,
    one_below_the_other,
    one_target,
    targets_of,
)
from robustreg.linalg import EPS, NOISE_LEVELS, SAME
from robustreg.pipelines import features_of, model_of
from robustreg.rows import TIE, Array
from robustreg.scale import weighted_median
from robustreg.validation import (
    check_inference_data,
    check_predict_data,
    refuse_collections,
)

if TYPE_CHECKING:
    import pandas

ERRORS = ("normal", "residuals")


def predict_table(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    X_new: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    errors: str = "normal",
    level: float = 0.95,
    cov_type: str | None = None,
    use_t: bool = True,
    groups: ArrayLike | None = None,
    bandwidth: str | None = None,
    kernel: str | None = None,
    n_bootstrap: int = 1000,
    random_state: Any = None,
    n_jobs: int | None = None,
) -> pandas.DataFrame:
    r"""Return predictions of new rows, with confidence and prediction intervals.

    With a row x, its last entry 1 if an intercept was fitted, and the covariance C of
    the coefficients c,

    .. math::

        \text{prediction} &= x^\top c, \\
        \text{std_err} &= \sqrt{x^\top C x}, \\
        \text{lower}, \text{upper} &= x^\top c \mp t_\text{level} \, \text{std_err}.

    Parameters
    ----------
    estimator, X, y, sample_weight
        As for `coef_table`: the fit, and the data of the fit.
    X_new : array-like or sparse matrix of shape (n_new, n_features)
        The rows to predict; of a pipeline as its first step takes them.
    errors : {"normal", "residuals"}, default="normal"
        What the prediction interval takes the errors of new rows to be. ``"normal"``:
        Gaussian, with ``residual_scale_`` as their standard deviation, so that it holds
        for rows that are no outliers. ``"residuals"``: those of the rows of the fit,
        outliers included [1]_; symmetric or not, but of one distribution for all rows.
    level : float, default=0.95
        Confidence level of both intervals, in (0, 1).
    cov_type, use_t, groups, bandwidth, kernel, n_bootstrap, random_state, n_jobs
        As for `coef_table`. After a bootstrap intervals are by its standard errors.

    Returns
    -------
    pandas.DataFrame
        A row for each new one, with its label if X_new is a frame. Columns
        ``prediction``, ``std_err``, ``lower`` and ``upper``, the confidence interval of
        what is fitted (of the mean, the median or another quantile), and ``obs_lower``
        and ``obs_upper``, the prediction interval of a new observation. statsmodels
        calls them ``mean``, ``mean_se``, ``mean_ci_...`` and ``obs_ci_...``. Of several
        targets or quantiles that is the first level of the index, as in `coef_table`;
        predictions of quantiles are those of the lines, which may cross. Its ``attrs``
        hold ``cov_type``, ``level``, ``df`` and ``errors``.

    Raises
    ------
    ValueError, TypeError, ImportError, NotFittedError
        As `coef_table`; for dask collections as X_new, for ``errors="normal"`` around
        the fit of a loss that is not symmetric or without ``residual_scale_``, for
        predictions that are not linear, and for columns so far from 0 that standard
        errors have no digits.

    Notes
    -----
    With h half the width of the confidence interval, bounds of a new observation are

    .. math::

        \text{prediction} + m \pm \sqrt{e^2 + h^2}

    where m is the median of the errors, and e how far their quantile of the side is
    from it. For ``"normal"`` m is 0 and e ``t_level`` times ``residual_scale_``, as
    after least squares. For ``"residuals"`` they are those of the residuals, e times
    :math:`(1 + 15 / n) \sqrt{n / (n - p)}`. Residuals of the fit are smaller than
    those of new rows, for which some factor has to make up [1]_; how often intervals by
    this one hold is a test.

    References
    ----------
    .. [1] Olive, D. J. (2007). Prediction intervals for regression models.
       Computational Statistics & Data Analysis 51, 3115-3122.

    Examples
    --------
    >>> import numpy as np
    >>> from robustreg import RobustRegressor
    >>> from robustreg.inference import predict_table
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> y = 1 + 2 * X[:, 0] + rng.standard_t(3, size=200)
    >>> model = RobustRegressor().fit(X, y)
    >>> predict_table(model, X, y, [[0, 0], [3, 0]])[["prediction", "std_err"]].round(2)
       prediction  std_err
    0        1.01     0.09
    1        6.86     0.26
    """
    frame = frame_class("predict_table")
    check_level(level)
    estimator = judged(estimator, cov_type)
    model = model_of(estimator)
    _check_errors(errors, model_of(judged(estimator, None)))
    refuse_collections("predict_table", X_new=X_new)
    rows = check_predict_data(model, features_of(estimator, X_new))
    data = Data(X, y, sample_weight, groups)
    asked = CovOptions(cov_type, bandwidth, kernel, n_bootstrap, random_state, n_jobs)
    targets, tables = targets_of(model, y), []
    for target in targets:
        one = one_target(model, target.place)
        prediction = _linear(coefficients_of(one), rows)
        _check_linear(estimator, one, X_new, prediction, target.place)
        found = estimate(estimator, data.of(target), asked)
        df = found.df if use_t else np.inf
        reach = float(law_of(df).ppf((1 + level) / 2))
        if errors == "normal":
            size = reach * float(one.residual_scale_)
            beyond = _Errors(0.0, size, size)
        else:
            features = features_of(estimator, X)
            beyond = _of_residuals(one, features, target.y, sample_weight, level)
        columns = _columns(found, prediction, rows, reach, beyond)
        tables.append(frame(columns, index=labels_of(X_new, axis=0)))
    table = one_below_the_other(tables, targets, "row")
    table.attrs.update(cov_type=found.cov_type, level=level, df=df, errors=errors)
    return table


@dataclass(frozen=True)
class _Errors:
    """The median of the errors of new rows, and how far they are below and above."""

    middle: float
    below: float
    above: float


def _check_errors(errors: Any, model: Any) -> None:
    """Refuse errors that are none, and Gaussian ones that a fit has no centre of."""
    if errors not in ERRORS:
        raise ValueError(f"errors must be one of {[*ERRORS]}. Got {errors!r}.")
    if errors == "residuals":
        return
    if not isinstance(model, RobustLinearModel):
        raise TypeError(
            f"errors='normal' takes residual_scale_, which {type(model).__name__} does "
            "not have. Use errors='residuals'."
        )
    loss = loss_of(model)
    if not loss.facts.symmetric:
        raise ValueError(
            f"{loss!r} is not symmetric, so that its fit is not the centre of Gaussian "
            "errors. Use errors='residuals'."
        )


def _of_residuals(
    model: Any, X: Any, y: Any, sample_weight: Any, level: float
) -> _Errors:
    """Return the residuals' quantiles, made as large as errors of new rows are."""
    refuse_collections("errors='residuals'", X=X)
    X, y, weight = check_inference_data(model, X, y, sample_weight)
    coef = coefficients_of(model)
    residual = y - _linear(coef, X)
    n, n_coefs = float(weight.sum()), coef.size
    if n <= n_coefs:
        raise ValueError(
            f"errors='residuals' needs more rows than coefficients. Got {n:g} rows and "
            f"{n_coefs} coefficients. Drop columns."
        )
    factor = (1 + 15 / n) * np.sqrt(n / (n - n_coefs))
    tail = (1 - level) / 2
    low, high = _lower(residual, weight, tail), -_lower(-residual, weight, tail)
    middle = weighted_median(residual, weight)
    return _Errors(middle, factor * (middle - low), factor * (high - middle))


def _lower(values: Array, weight: Array, share: float) -> float:
    """Return the least value that a share of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    sums = np.cumsum(weight[order])
    place = np.searchsorted(sums, share * sums[-1] * (1 - TIE))
    return float(values[order[place]])


def _linear(coef: Array, rows: Any) -> Array:
    """Return predictions by coefficients, of which the intercept's is last."""
    n_features = rows.shape[1]
    return np.asarray(rows @ coef[:n_features] + coef[n_features:].sum(axis=0))


def _check_linear(
    estimator: Any, model: Any, X_new: Any, prediction: Array, place: int | None
) -> None:
    """Refuse a model of another library whose predictions are others."""
    if isinstance(model, RobustLinearModel):
        return
    size = SAME * np.abs(prediction).max(initial=0.0)
    predicted = estimator.predict(X_new)
    own = predicted if place is None else predicted[:, place]
    if (np.abs(own - prediction) > size).any():
        raise TypeError(
            f"The predictions of {type(model).__name__} are not linear in its "
            "coefficients. Pass a linear model."
        )


def _columns(
    found: Estimate, prediction: Array, rows: Any, reach: float, beyond: _Errors
) -> dict[str, Array]:
    """Return the columns of the table."""
    error = _errors_of(found, rows)
    half = reach * error
    centre = prediction + beyond.middle
    return {
        "prediction": prediction,
        "std_err": error,
        "lower": prediction - half,
        "upper": prediction + half,
        "obs_lower": centre - np.hypot(beyond.below, half),
        "obs_upper": centre + np.hypot(beyond.above, half),
    }


def _errors_of(found: Estimate, rows: Any) -> Array:
    """Return ``sqrt(x' C x)`` of each row; refuse those that rounding errors are."""
    each = np.sqrt(found.covariance.diagonal())
    unit = np.where(each > 0, each, 1.0)
    size, basis = scipy.linalg.eigh(found.covariance / unit / unit[:, None])
    half = each[:, None] * basis * np.sqrt(np.maximum(size, 0.0))
    variance = (_linear(half, rows) ** 2).sum(axis=1)
    most = _linear(each, abs(rows)) ** 2
    # What cancels by more leaves too few digits.
    if (variance < NOISE_LEVELS * EPS * most).any():
        raise ValueError(
            "X_new is so far from 0, beside its distance from the rows of the fit, "
            "that standard errors of predictions have no digits left. Fit, and "
            "predict, with columns that are centred, by a StandardScaler in a "
            "pipeline, say."
        )
    return np.asarray(np.sqrt(variance))
