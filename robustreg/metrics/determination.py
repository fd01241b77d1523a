"""The coefficient of determination of the rows that a robust loss counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike, NDArray

from robustreg.linalg import EPS, LARGEST, SUMMABLE, TINY
from robustreg.losses import Loss, relative_weight
from robustreg.rows import Array
from robustreg.scale import mad, weighted_mean
from robustreg.validation import (
    Compared,
    check_metric_data,
    check_metric_loss,
    check_metric_params,
    check_metric_scale,
)

# Standard deviations beyond which there are no Gaussian residuals.
TAIL = 12.0
# Panels and nodes of each of the quadrature from 0 on.
PANELS, NODES = 480, 8


@np.errstate(all="ignore")
def robust_r2_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    loss: str | Loss = "tukey",
    beta: float | None = None,
    scale: float | ArrayLike | None = None,
    centered: bool = True,
    sample_weight: ArrayLike | None = None,
    multioutput: str | ArrayLike = "uniform_average",
) -> float | NDArray[Any]:
    r"""Share of the spread of y that predictions explain, among rows that count.

    With residuals ``r = y_true - y_pred``, robustness weights
    :math:`w = \ell'(r / s) / (r / s)` of the loss, and m the mean of y with these
    weights,

    .. math::

        A &= \sum_i w_i (y_i - m)^2, \quad B = \sum_i w_i r_i^2, \\
        R^2 &= \frac{A - B}{A - B + a B}, \quad a = \frac{E[w]}{E[w r^2 / s^2]}

    The factor a, of expectations at the Gaussian, makes up for the residuals that w
    makes smaller [1]_. It is what ``summary`` of R's ``lmrob`` calls R-squared, and for
    ``loss="l2"`` scikit-learn's `r2_score`. For the rows of a fit pass its loss and
    ``scale_``: ``robust_r2_score(y, model.predict(X), scale=model.scale_)`` is that of
    an `MMRegressor` with an intercept.

    Rows with weights near 0 hardly matter, however far off they are. The scale that is
    estimated from the residuals, and with it the score, survives just under 50 % of
    them. Each model counts rows of its own, and one that gives up all but a few
    explains these well: to choose among models use `tau_scale` or
    `trimmed_mean_absolute_error`.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True and predicted targets, of one shape.
    loss : str or Loss, default="tukey"
        What gives the rows their weights: a name in `robustreg.losses.LOSSES` or an
        instance, without a kink at 0.
    beta : float or None, default=None
        Breakpoint of the loss in units of the scale, at least 0. None takes the loss's
        constant for 95 % efficiency at the Gaussian.
    scale : float, array-like of shape (n_outputs,) or None, default=None
        Positive scale s of the residuals, in units of y. None takes 1.4826 times the
        weighted median of their absolute values.
    centered : bool, default=True
        Whether predictions compete with m, or with 0 as in R for a model without an
        intercept.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights, not all 0.
    multioutput : {"uniform_average", "raw_values"} or array-like
        Weights of shape (n_outputs,) if it is neither; the first is the default.

    Returns
    -------
    float or ndarray of shape (n_outputs,)
        At most 1, and negative for predictions worse than m; an array for
        ``"raw_values"``. If y does not vary among the rows that count, 1 where it is
        predicted exactly and, for ``loss="l2"``, 0 where it is not.

    Raises
    ------
    ValueError
        For a parameter out of its range, a loss with a kink, fewer than two rows, a
        scale at which no row counts, dask collections, and data that is not finite and
        real or of shapes that differ.

    References
    ----------
    .. [1] Renaud, O., Victoria-Feser, M.-P. (2010). A robust coefficient of
       determination for regression. Journal of Statistical Planning and Inference
       140, 1852-1862.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.metrics import r2_score
    >>> from robustreg.metrics import robust_r2_score
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=500)
    >>> y = 3 * x + rng.normal(size=500)
    >>> y[:50] = 1e3
    >>> round(robust_r2_score(y, 3 * x), 2), round(r2_score(y, 3 * x), 2)
    (0.91, -0.11)
    """
    name = "robust_r2_score"
    checked = check_metric_loss(name, loss, beta)
    check_metric_params(name, centered=centered)
    data = check_metric_data(name, y_true, y_pred, sample_weight, multioutput)
    if data.weight.size < 2:
        raise ValueError(
            f"{name} needs at least two rows with weight. Got {data.weight.size}."
        )
    return data.averaged(
        [
            _r2(y, r, data.weight, checked, s, centered)
            for y, r, s in zip(
                data.true, data.residuals, _scales(data, scale), strict=True
            )
        ]
    )


def _scales(data: Compared, scale: Any) -> Array:
    """Return the scale of each output's residuals, positive."""
    if scale is not None:
        return check_metric_scale(scale, len(data.true))
    estimated = np.array([mad(r, data.weight, 0) for r in data.residuals])
    return np.clip(estimated, TINY, LARGEST)


def _r2(
    y: Array, residual: Array, weight: Array, loss: Loss, scale: float, centered: bool
) -> float:
    """Return the robust coefficient of determination of one output."""
    # Of more scales a residual pulls like one at that distance, if slopes are bounded.
    far = np.clip(residual / scale, -SUMMABLE, SUMMABLE)
    counted = weight * relative_weight(loss, far)
    if not counted.any():
        raise ValueError(
            f"No row counts at scale={scale:g}: all are outliers to {loss!r}. "
            "Pass the scale of the fit, or None."
        )
    if loss.facts.bounded_slope:
        near = np.abs(far) < SUMMABLE
        y = np.where(near, y, y - residual + scale * far)
        residual = np.where(near, residual, scale * far)
    deviation = y - weighted_mean(y, counted) if centered else y
    # Of a y that does not vary, the mean is rounded.
    deviation = np.where(np.abs(deviation) <= 8 * EPS * np.abs(y), 0.0, deviation)
    root = np.sqrt(counted / counted.max())
    deviation, residual = root * deviation, root * residual
    unit = max(np.abs(deviation).max(), np.abs(residual).max())
    if unit == 0 or not residual.any():
        return 1.0
    total = float(np.sum((deviation / unit) ** 2))
    rest = float(np.sum((residual / unit) ** 2))
    divisor = total + rest * (gaussian_correction(loss) - 1)
    return (total - rest) / divisor if divisor > 0 else 0.0


def gaussian_correction(loss: Loss) -> float:
    """Return ``E[w] / E[w Z^2]`` of the weights of a loss at the Gaussian."""
    nodes, share = leggauss(NODES)
    breaks = np.abs(loss.facts.breakpoints or ())
    ends = np.union1d(np.linspace(0.0, TAIL, PANELS + 1), breaks[breaks < TAIL])
    half = np.diff(ends)[:, None] / 2
    z = (ends[:-1, None] + half * (1 + nodes)).ravel()
    mass = (half * share).ravel() * np.exp(-0.5 * z * z)
    weight = relative_weight(loss, z) + relative_weight(loss, -z)
    return float(mass @ weight / (mass @ (weight * z * z)))
