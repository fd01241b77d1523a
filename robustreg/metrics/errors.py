"""Typical sizes of residuals that outliers spare."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robustreg.scale import tau, trimmed_mean
from robustreg.validation import check_metric_data, check_metric_params


@np.errstate(all="ignore")
def trimmed_mean_absolute_error(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    trim: float = 0.25,
    sample_weight: ArrayLike | None = None,
    multioutput: str | ArrayLike = "uniform_average",
) -> float | NDArray[Any]:
    r"""Mean of the smallest ``1 - trim`` of the absolute residuals.

    :math:`\sum_i u_i \lvert r_i \rvert / \sum_i u_i`, where u are the weights of the
    smallest absolute residuals that make up the share ``1 - trim`` of all weight; the
    last of them counts in part. It is in units of y, and has no factor that makes it
    estimate anything else than itself.

    Outliers of any size are survived as long as they are no more than ``trim``, which
    is the breakdown point [1]_. ``trim=0`` is scikit-learn's `mean_absolute_error`.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True and predicted targets, of one shape.
    trim : float, default=0.25
        Share of rows left out, by weight, in [0, 1).
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights, not all 0.
    multioutput : {"uniform_average", "raw_values"} or array-like
        Weights of shape (n_outputs,) if it is neither; the first is the default.

    Returns
    -------
    float or ndarray of shape (n_outputs,)
        At least 0, in units of y; an array for ``"raw_values"``.

    Raises
    ------
    ValueError
        For a trim out of its range, dask collections, and data that is not finite and
        real or of shapes that differ.

    References
    ----------
    .. [1] Tukey, J. W., McLaughlin, D. H. (1963). Less vulnerable confidence and
       significance procedures for location based on a single sample:
       trimming/winsorization 1. Sankhya A 25, 331-352.

    Examples
    --------
    >>> from robustreg.metrics import trimmed_mean_absolute_error
    >>> trimmed_mean_absolute_error([1.0, 2.0, 3.0, 400.0], [1.0, 2.5, 4.0, 5.0])
    0.5
    """
    name = "trimmed_mean_absolute_error"
    check_metric_params(name, trim=trim)
    data = check_metric_data(name, y_true, y_pred, sample_weight, multioutput)
    return data.averaged(
        [trimmed_mean(size, data.weight, trim) for size in np.abs(data.residuals)]
    )


@np.errstate(all="ignore")
def tau_scale(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    multioutput: str | ArrayLike = "uniform_average",
) -> float | NDArray[Any]:
    r"""Robust root mean squared error: the tau-scale of residuals about 0.

    .. math::

        m \sqrt{\frac{\text{mean} \min((r / m)^2, 9)}{c}}

    with m the weighted median of the absolute residuals [1]_. With c = 0.9247 it
    estimates the standard deviation of Gaussian residuals with mean 0, for which it has
    an efficiency of 82 %. It is robustbase's ``scaleTau2`` with ``mu0 = 0``, ``c1 = 0``
    and ``consistency = TRUE``: an offset of all predictions counts, as it should.

    Nearly half of the rows may be outliers of any size: the breakdown point is 50 %, as
    that of `median_absolute_error`, which has an efficiency of 37 %. It is 0 if more
    than half of the residuals are 0.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True and predicted targets, of one shape.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights, not all 0.
    multioutput : {"uniform_average", "raw_values"} or array-like
        Weights of shape (n_outputs,) if it is neither; the first is the default.

    Returns
    -------
    float or ndarray of shape (n_outputs,)
        At least 0, in units of y; an array for ``"raw_values"``.

    Raises
    ------
    ValueError
        For dask collections, and data that is not finite and real or of shapes that
        differ.

    References
    ----------
    .. [1] Maronna, R. A., Zamar, R. H. (2002). Robust estimates of location and
       dispersion for high-dimensional datasets. Technometrics 44, 307-317.

    Examples
    --------
    >>> import numpy as np
    >>> from robustreg.metrics import tau_scale
    >>> y = np.random.default_rng(0).normal(size=1000)
    >>> y[:100] = 1e6
    >>> round(tau_scale(y, np.zeros(1000)), 2)
    1.19
    """
    data = check_metric_data("tau_scale", y_true, y_pred, sample_weight, multioutput)
    return data.averaged([tau(r, data.weight) for r in data.residuals])
