"""Smooth L1 regression."""

from __future__ import annotations

from typing import final

from robustreg.estimators.scaled_loss import ScaledLossModel
from robustreg.losses import Loss


@final
class SmoothL1Regressor(ScaledLossModel):
    r"""Smooth L1 regression: squares near the fit, absolute values far from it.

    Minimises, over coefficients c and an intercept b, with :math:`r = y - X c - b`,

    .. math::

        \frac{\sum_i w_i \, \text{loss}(r_i / s)}{\sum_i w_i}
        + \alpha \, \text{penalty}(c / s)

    where smooth_l1 is :math:`r^2 / (2 \beta)` if :math:`\lvert r \rvert < \beta` and
    :math:`\lvert r \rvert - \beta / 2` otherwise [1]_. With the default scale of 1,
    beta is in the units of y. The other losses are there to be searched over.

    Parameters
    ----------
    loss : str or Loss, default="smooth_l1"
        ``"l2"``, ``"l1"``, ``"smooth_l1"``, ``"huber"``, ``"pseudo_huber"``,
        ``"log_cosh"``, ``"quantile"``, the redescending ``"cauchy"``, ``"welsch"``,
        ``"tukey"``, ``"talwar"``, ``"hampel"``, ``"andrews"``, or an instance of a
        `robustreg.losses.Loss`.
    beta : float or None, default=1.0
        Breakpoint of the loss in units of the scale, at least 0. None takes the
        loss's constant for 95 % efficiency at the Gaussian. Losses without a
        breakpoint and instances ignore it.
    quantile : float, default=0.5
        In (0, 1): the level of ``loss="quantile"``; any other symmetric loss counts
        ``2 quantile`` times above the fit and ``2 (1 - quantile)`` times below.
    penalty : {"l1", "l2", "elasticnet"} or None, default=None
        :math:`\sum_j \lvert c_j \rvert`, :math:`\sum_j c_j^2 / 2`, their mixture by
        ``l1_ratio``, or nothing.
    alpha : float, default=0.0
        Strength of the penalty, at least 0. It means the same for any number of
        rows, because the loss is a mean. A penalty without alpha and alpha without a
        penalty have no effect, of which a `NoEffectWarning` tells.
    l1_ratio : float, default=0.5
        Share of l1 in the elastic net, in [0, 1].
    scale : float or {"mad", "proposal2"}, default=1.0
        Scale s of the residuals. A positive number is in units of y. ``"mad"`` is
        the fixed point at which s is 1.4826 times the weighted median of the
        absolute residuals; ``"proposal2"`` is Huber's joint estimate [2]_, for
        which weights must count rows.
    fit_intercept : bool, default=True
        Whether to fit an intercept, which is never penalised.
    solver : str, default="auto"
        ``"row-space"``, ``"newton"``, ``"newton-cg"``, ``"proximal-newton"``,
        ``"l-bfgs-b"``, ``"interior-point"``, ``"augmented-lagrangian"``,
        ``"augmented-lagrangian-cg"``, ``"majorised-newton"``, ``"linprog"``, or
        ``"auto"``, which picks by facts of the objective. One that cannot do it is an
        error.
    tol : float, default=1e-10
        Positive. A fit is done when its dual gap is at most ``tol`` times the
        objective (taken without the share of gross outliers) or as small as
        rounding errors allow. With a redescending loss it is done when
        `stationarity_` is at most ``tol``.
    max_iter : int, default=500
        Largest number of iterations, at least 1.
    warm_start : bool, default=False
        Whether to start at the last fit.
    outlier_threshold : float, default=3.0
        Positive: `outliers_` are the rows whose absolute residual exceeds so many
        ``residual_scale_``. It does not change the fit.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Coefficients, of the dtype of X; float64 after a fit by passes.
    intercept_ : float or ndarray of shape (n_targets,)
        Intercept, 0 if none is fitted.
    scale_ : float or ndarray of shape (n_targets,)
        Scale s, given or estimated, in units of y.
    dual_gap_ : float or ndarray of shape (n_targets,)
        Upper bound, up to rounding errors, on the objective at the fit minus its
        minimum; of the coefficients that are stored, in the dtype of X. nan for a
        redescending loss.
    stationarity_ : float or ndarray of shape (n_targets,)
        Largest violation of the optimality condition over the mean size of
        :math:`\text{loss}'(r)`, in standardised columns: 0 at a (local) minimum. nan
        for a loss with a kink at 0, which has the exact gap only.
    n_iter_ : int
        Iterations of the last solver run, the largest of all targets. For rows that
        are elsewhere, readings of all of them.
    weights_ : ndarray or dask Array of shape (n_samples,) or (n_samples, n_targets)
        :math:`\text{loss}'(r) / r` relative to the loss's largest curvature, in
        [0, 1]: how much each row counts. Absent for losses with a kink. Lazy if X is
        a dask collection, as `outliers_` is.
    residual_scale_ : float or ndarray of shape (n_targets,)
        Robust scale of the residuals, in units of y: ``scale_`` where it is estimated,
        1.4826 times the weighted median of the absolute residuals where ``scale`` is
        a number. Positive: as small as rounding errors if most rows are fitted
        exactly.
    outliers_ : ndarray or dask Array of bool, of the shape of y
        Rows whose absolute residual exceeds ``outlier_threshold * residual_scale_``;
        of clean rows with Gaussian errors 0.27 % do, at the default of 3. Rows of
        weight 0 are flagged by the same rule. A lazy array of a dask collection is
        no part of copies and pickles.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X has any.

    Notes
    -----
    Where more than one fit is optimal the answer is still one and the same, for any
    order of the rows and for weights as for repeated rows: dependent columns share
    by least norm of the standardised coefficients, and a fit that the loss leaves
    open stays as far from its kinks as it can, which for a median is the midpoint.

    A redescending loss is not convex. Its fit is the local minimum in whose valley the
    fit of nearly the L1 loss lies, with the same penalty and tilt; no step to it goes
    up. It starts there with ``warm_start`` too, so that its answer does not depend on
    earlier fits.

    Robust losses bound the pull of an outlier in y. They do not bound the pull of an
    outlier in X: a row far out in X can still own the fit.

    References
    ----------
    .. [1] Girshick, R. (2015). Fast R-CNN. International Conference on Computer
       Vision.
    .. [2] Huber, P. J. (1981). Robust Statistics, section 7.7. Wiley.

    Examples
    --------
    >>> import numpy as np
    >>> from robustreg import SmoothL1Regressor
    >>> X = np.arange(10.0).reshape(-1, 1)
    >>> y = 2 * X.ravel() + 1
    >>> y[9] = 1000.0
    >>> model = SmoothL1Regressor().fit(X, y)
    >>> model.coef_.round(2), model.weights_.round(3)[-1]
    (array([2.08]), np.float64(0.001))
    """

    def __init__(
        self,
        loss: str | Loss = "smooth_l1",
        *,
        beta: float | None = 1.0,
        quantile: float = 0.5,
        penalty: str | None = None,
        alpha: float = 0.0,
        l1_ratio: float = 0.5,
        scale: float | str = 1.0,
        fit_intercept: bool = True,
        solver: str = "auto",
        tol: float = 1e-10,
        max_iter: int = 500,
        warm_start: bool = False,
        outlier_threshold: float = 3.0,
    ) -> None:
        self.loss = loss
        self.beta = beta
        self.quantile = quantile
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.scale = scale
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.outlier_threshold = outlier_threshold
