"""Mean losses, the formulas of which are those of fits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robustreg.scale import weighted_mean
from robustreg.validation import check_metric_beta, check_metric_data


def smooth_l1_loss(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    beta: float = 1.0,
    sample_weight: ArrayLike | None = None,
    multioutput: str | ArrayLike = "uniform_average",
) -> float | NDArray[Any]:
    r"""Mean of squares up to beta, and of absolute values beyond.

    .. math::

        \frac{r^2}{2 \beta} \text{ if } \lvert r \rvert < \beta
        \text{ else } \lvert r \rvert - \beta / 2

    PyTorch's ``SmoothL1Loss`` [1]_, of residuals ``r = y_true - y_pred``.

    One outlier counts in proportion to its size and moves the mean without a bound: as
    that of the mean absolute error, the breakdown point is 0.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True and predicted targets, of one shape.
    beta : float, default=1.0
        Breakpoint in units of y, at least 0; 0 gives the mean absolute error.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights, not all 0. A weight of 2 is the row twice and a weight of
        0 no row.
    multioutput : {"uniform_average", "raw_values"} or array-like
        The average over the outputs, which is the default, each by itself, or the
        average with weights of shape (n_outputs,).

    Returns
    -------
    float or ndarray of shape (n_outputs,)
        At least 0; an array for ``"raw_values"``.

    Raises
    ------
    ValueError
        For a beta below 0, dask collections, and data that is not finite and real or
        of shapes that differ.

    References
    ----------
    .. [1] Girshick, R. (2015). Fast R-CNN. International Conference on Computer
       Vision.

    Examples
    --------
    >>> from robustreg.metrics import smooth_l1_loss
    >>> round(smooth_l1_loss([1.0, 2.0, 30.0], [1.0, 2.5, 20.0]), 4)
    3.2083
    """
    return _mean_loss("smooth_l1", y_true, y_pred, beta, sample_weight, multioutput)


def huber_loss(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    beta: float = 1.0,
    sample_weight: ArrayLike | None = None,
    multioutput: str | ArrayLike = "uniform_average",
) -> float | NDArray[Any]:
    r"""Mean of squares up to beta, and of lines with slope beta beyond.

    .. math::

        \frac{r^2}{2} \text{ if } \lvert r \rvert \le \beta
        \text{ else } \beta (\lvert r \rvert - \beta / 2)

    PyTorch's ``HuberLoss`` with ``delta=beta`` [1]_, of residuals
    ``r = y_true - y_pred``.

    One outlier moves it without a bound, as `smooth_l1_loss`.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True and predicted targets, of one shape.
    beta : float, default=1.0
        Breakpoint in units of y, positive.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights, not all 0.
    multioutput : {"uniform_average", "raw_values"} or array-like
        Weights of shape (n_outputs,) if it is neither; the first is the default.

    Returns
    -------
    float or ndarray of shape (n_outputs,)
        At least 0; an array for ``"raw_values"``.

    Raises
    ------
    ValueError
        As `smooth_l1_loss`, and for a beta of 0.

    References
    ----------
    .. [1] Huber, P. J. (1964). Robust estimation of a location parameter. Annals of
       Mathematical Statistics 35, 73-101.

    Examples
    --------
    >>> from robustreg.metrics import huber_loss
    >>> round(huber_loss([1.0, 2.0, 30.0], [1.0, 2.5, 20.0]), 4)
    3.2083
    """
    return _mean_loss("huber", y_true, y_pred, beta, sample_weight, multioutput)


def pseudo_huber_loss(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    beta: float = 1.0,
    sample_weight: ArrayLike | None = None,
    multioutput: str | ArrayLike = "uniform_average",
) -> float | NDArray[Any]:
    r"""Mean of :math:`\beta^2 (\sqrt{1 + (r / \beta)^2} - 1)`.

    A smooth Huber loss [1]_, of residuals ``r = y_true - y_pred``.

    One outlier moves it without a bound, as `smooth_l1_loss`.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True and predicted targets, of one shape.
    beta : float, default=1.0
        Breakpoint in units of y, positive.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights, not all 0.
    multioutput : {"uniform_average", "raw_values"} or array-like
        Weights of shape (n_outputs,) if it is neither; the first is the default.

    Returns
    -------
    float or ndarray of shape (n_outputs,)
        At least 0; an array for ``"raw_values"``.

    Raises
    ------
    ValueError
        As `smooth_l1_loss`, and for a beta of 0.

    References
    ----------
    .. [1] Charbonnier, P., Blanc-Feraud, L., Aubert, G., Barlaud, M. (1997).
       Deterministic edge-preserving regularization in computed imaging. IEEE
       Transactions on Image Processing 6, 298-311.

    Examples
    --------
    >>> from robustreg.metrics import pseudo_huber_loss
    >>> round(pseudo_huber_loss([1.0, 2.0, 30.0], [1.0, 2.5, 20.0]), 4)
    3.056
    """
    return _mean_loss("pseudo_huber", y_true, y_pred, beta, sample_weight, multioutput)


def log_cosh_loss(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    beta: float = 1.0,
    sample_weight: ArrayLike | None = None,
    multioutput: str | ArrayLike = "uniform_average",
) -> float | NDArray[Any]:
    r"""Mean of :math:`\beta \log(\cosh(r / \beta))`.

    Near :math:`r^2 / (2 \beta)` for small residuals and
    :math:`\lvert r \rvert - \beta \log 2` for large ones [1]_, of residuals
    ``r = y_true - y_pred``.

    One outlier moves it without a bound, as `smooth_l1_loss`.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True and predicted targets, of one shape.
    beta : float, default=1.0
        Breakpoint in units of y, positive.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights, not all 0.
    multioutput : {"uniform_average", "raw_values"} or array-like
        Weights of shape (n_outputs,) if it is neither; the first is the default.

    Returns
    -------
    float or ndarray of shape (n_outputs,)
        At least 0; an array for ``"raw_values"``.

    Raises
    ------
    ValueError
        As `smooth_l1_loss`, and for a beta of 0.

    References
    ----------
    .. [1] Green, P. J. (1990). Bayesian reconstructions from emission tomography data
       using a modified EM algorithm. IEEE Transactions on Medical Imaging 9, 84-93.

    Examples
    --------
    >>> from robustreg.metrics import log_cosh_loss
    >>> round(log_cosh_loss([1.0, 2.0, 30.0], [1.0, 2.5, 20.0]), 4)
    3.1423
    """
    return _mean_loss("log_cosh", y_true, y_pred, beta, sample_weight, multioutput)


@np.errstate(all="ignore")
def _mean_loss(
    name: str,
    y_true: Any,
    y_pred: Any,
    beta: float,
    sample_weight: Any,
    multioutput: Any,
) -> float | NDArray[Any]:
    """Return the mean of the loss of a name."""
    loss = check_metric_beta(name, beta)
    data = check_metric_data(f"{name}_loss", y_true, y_pred, sample_weight, multioutput)
    return data.averaged(
        [weighted_mean(loss.value(r), data.weight) for r in data.residuals]
    )
