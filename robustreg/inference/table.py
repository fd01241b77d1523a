"""The two functions that users call: a table of coefficients, and a covariance."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm, t

from robustreg.inference.bootstrap import by_percentiles
from robustreg.inference.checks import check_choice, judged
from robustreg.inference.estimate import CovOptions, Data, Estimate, estimate
from robustreg.inference.families import RESAMPLING
from robustreg.inference.targets import (
    frame_class,
    one_below_the_other,
    size_and_r2,
    targets_of,
)
from robustreg.pipelines import model_of
from robustreg.rows import Array

if TYPE_CHECKING:
    import pandas

INTERVALS = ("percentile", "normal")


def coef_table(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    cov_type: str | None = None,
    level: float = 0.95,
    use_t: bool = True,
    groups: ArrayLike | None = None,
    bandwidth: str | None = None,
    kernel: str | None = None,
    n_bootstrap: int = 1000,
    interval: str | None = None,
    random_state: Any = None,
    n_jobs: int | None = None,
) -> pandas.DataFrame:
    r"""Return coefficients, standard errors, tests and confidence intervals.

    With the covariance C of the coefficients c and its degrees of freedom,

    .. math::

        \text{std_err} &= \sqrt{\text{diag}\, C}, \\
        \text{statistic} &= c / \text{std_err}, \\
        \text{lower}, \text{upper} &= c \mp t_\text{level} \, \text{std_err}.

    Parameters
    ----------
    estimator : estimator
        A fitted `RobustRegressor`, `SmoothL1Regressor`, `L1Regressor`, `MMRegressor` or
        `QuantilesRegressor` without a penalty (``alpha=0`` or ``penalty=None``). With
        ``cov_type="bootstrap"`` any penalty, and any linear model that has `coef_` and
        takes ``sample_weight``. Of a `RobustRegressorCV` what it chose counts, as if
        nothing else had been looked at; the bootstrap alone chooses again for each
        resample. Or a fitted pipeline that ends in one; the steps before
        count as known.
    X : array-like, sparse matrix or dask collection of shape (n_samples, n_features)
        The features of the fit. Not copied, and never densified. The rows of a dask
        array or frame stay where they are, and are read in two passes, or three.
    y : array-like or dask collection of shape (n_samples,) or (n_samples, n_targets)
        The target of the fit, or its targets, which no collection has.
    sample_weight : array-like or dask collection of shape (n_samples,), default=None
        The weights of the fit. They count rows: a weight of 2 is the row twice, and
        the sum is the number of observations.
    cov_type : str, default=None
        Which covariance; the Notes have the formulas. None takes ``"cluster"`` if
        ``groups`` are given, otherwise ``"HC1"`` for smooth losses, ``"powell"`` for
        `l1` and `quantile`, and ``"avar1"`` for `MMRegressor`.

        - smooth losses, errors of one distribution: ``"H1"``, ``"H2"``, ``"H3"`` [1]_,
          as statsmodels `RLM`; ``"XtX"``, ``"XtWX"``, as `summary.rlm` of R's MASS;
        - smooth losses, any independent errors: ``"HC0"`` to ``"HC3"`` [2]_ [3]_;
        - `l1` and `quantile`, errors of one distribution: ``"iid"`` [4]_, as
          `summary.rq` of R's quantreg, and ``"kernel-iid"``, as statsmodels `QuantReg`;
        - `MMRegressor`, any independent errors: ``"avar1"`` [8]_, as R's robustbase;
        - `l1` and `quantile`, any independent errors: ``"powell"`` and ``"ker"`` [6]_,
          which differ in their kernel, and ``"nid"`` [5]_, if quantiles near the
          fitted one are lines, too; the last two as `summary.rq`. ``"kernel-robust"``,
          as statsmodels, takes the errors' density at the fit to be that of all rows;
        - all of these losses, errors dependent within groups: ``"cluster"`` [7]_;
        - any loss and penalty: ``"bootstrap"``, of rows or, if given, of groups;
        - `MMRegressor`, the same: ``"fast-robust-bootstrap"`` [9]_ [10]_, which takes a
          linear step from the fit to that of each resample.

        Those of smooth losses but for ``"cluster"``, and not of `talwar`, take dask
        collections.
    level : float, default=0.95
        Confidence level, in (0, 1).
    use_t : bool, default=True
        Whether statistics are compared with a t distribution, of n - p degrees of
        freedom or the number of groups - 1, as R does, or with the normal one, as
        statsmodels `RLM` does. The bootstraps have no use for it.
    groups : array-like of shape (n_samples,), default=None
        A label for each row, for ``"cluster"`` and the bootstraps; at least 2.
    bandwidth : {"hall-sheather", "bofinger", "chamberlain"}, default=None
        For `l1` and `quantile`: by how much quantiles differ that tell the density
        between them. None takes Hall and Sheather's.
    kernel : str, default=None
        ``"gaussian"``, ``"epanechnikov"``, ``"biweight"``, ``"cosine"`` or
        ``"parzen"``. None takes the Gaussian for ``"ker"``, as quantreg does, and
        Epanechnikov's otherwise, as statsmodels does.
    n_bootstrap : int, default=1000
        Number of resamples, each a fit or a step to it; at least 2.
    interval : {"percentile", "normal"}, default=None
        The bootstraps' intervals: quantiles of the resampled coefficients, or by their
        standard error. None takes percentiles. P-values agree with it: 0 is outside
        the interval of a level where the p-value is below ``1 - level``. Percentiles
        have none below ``2 / (n_bootstrap + 1)``.
    random_state : int, RandomState instance or None, default=None
        Draws the resamples.
    n_jobs : int or None, default=None
        How many processes share the fits of the resamples; None is one, and -1 as many
        as there are processors. The resamples do not depend on it. The fast bootstrap
        has no use for it.

    Returns
    -------
    pandas.DataFrame
        A row for each feature, named by ``feature_names_in_``, by the steps of a
        pipeline or ``x0, x1, ...``, and then ``"intercept"`` if one was fitted
        (``"(intercept)"`` if a feature has that name). Columns ``coef``, ``std_err``,
        ``statistic``, ``p_value`` (two-sided, of a coefficient of 0), ``lower`` and
        ``upper``. Of several targets the tables stand one below the other, with the
        target, by its column or as ``y0, y1, ...``, as the first level of the index. So
        do those of several quantiles, with the quantile: each is the table of
        `L1Regressor` with that quantile.
        The ``attrs`` hold ``cov_type``, ``level`` and ``df``, infinite for
        the normal distribution; ``residual_scale``, that of the fit, and ``robust_r2``,
        by `robust_r2_score` at its loss and scale; lists of them for several targets.
        They are None for quantiles and for estimators of other libraries, and
        ``robust_r2`` for `l1` and `quantile` and for collections.

    Raises
    ------
    ValueError
        For a penalised fit, columns that depend on each other, data that is not the
        fit's, a collapsed scale, an option that ``cov_type`` has no use for, one out of
        its range, and a dask collection that it does not take.
    TypeError
        For an estimator that has no standard errors.
    ImportError
        If pandas is missing.
    NotFittedError
        If the estimator is not fitted.

    Notes
    -----
    With residuals in units of the scale s, :math:`\psi` and :math:`\psi'` the loss's
    two derivatives there, n the sum of the weights and p the number of coefficients,

    .. math::

        W &= X^\top \text{diag}(\psi') X, \quad m = \text{mean}\, \psi', \\
        v &= \textstyle\sum \psi^2 / (n - p), \\
        k &= 1 + p \, \text{var}(\psi') / (n m^2), \\
        H1 &= s^2 k^2 v \, (X^\top X)^{-1} / m^2, \\
        H2 &= s^2 k v \, W^{-1} / m, \\
        H3 &= s^2 v \, W^{-1} X^\top X W^{-1} / k, \\
        HC0 &= s^2 \, W^{-1} X^\top \text{diag}(\psi^2) X W^{-1}.

    HC1 is HC0 times n / (n - p); HC2 and HC3 divide :math:`\psi^2` by :math:`1 - h` and
    :math:`(1 - h)^2`, h being the leverage :math:`\psi' x^\top W^{-1} x`. But for
    ``"avar1"`` the scale counts as known. For a symmetric loss and errors that are
    symmetric around the fit this costs nothing; otherwise the intercept's error is not
    quite right, and the bootstrap's is. The slope of `talwar` jumps; its :math:`\psi'`
    has the jump's height times a kernel there, and only HC0, HC1 and clusters are made
    of it.

    For quantile q and densities f of the errors at the fit,
    :math:`D = X^\top \text{diag}(f) X`, ``"powell"``, ``"ker"`` and ``"nid"`` are
    :math:`q (1 - q) D^{-1} X^\top X D^{-1}`.

    References
    ----------
    .. [1] Huber, P. J. (1981). Robust Statistics, section 7.6. Wiley.
    .. [2] White, H. (1980). A heteroskedasticity-consistent covariance matrix
       estimator and a direct test for heteroskedasticity. Econometrica 48, 817-838.
    .. [3] MacKinnon, J. G., White, H. (1985). Some heteroskedasticity-consistent
       covariance matrix estimators with improved finite sample properties. Journal
       of Econometrics 29, 305-325.
    .. [4] Koenker, R., Bassett, G. (1978). Regression quantiles. Econometrica 46,
       33-50.
    .. [5] Hendricks, W., Koenker, R. (1992). Hierarchical spline models for
       conditional quantiles and the demand for electricity. Journal of the American
       Statistical Association 87, 58-68.
    .. [6] Powell, J. L. (1991). Estimation of monotonic regression models under
       quantile restrictions. In Nonparametric and Semiparametric Methods in
       Econometrics. Cambridge University Press.
    .. [7] Parente, P. M. D. C., Santos Silva, J. M. C. (2016). Quantile regression
       with clustered data. Journal of Econometric Methods 5, 1-15.
    .. [8] Croux, C., Dhaene, G., Hoorelbeke, D. (2003). Robust standard errors for
       robust estimators. Discussion paper 03.16, K. U. Leuven.
    .. [9] Salibian-Barrera, M., Zamar, R. H. (2002). Bootstrapping robust estimates of
       regression. Annals of Statistics 30, 556-582.
    .. [10] Salibian-Barrera, M., Van Aelst, S., Willems, G. (2008). Fast and robust
       bootstrap. Statistical Methods and Applications 17, 41-71.

    Examples
    --------
    >>> import numpy as np
    >>> from robustreg import RobustRegressor
    >>> from robustreg.inference import coef_table
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> y = 1 + 2 * X[:, 0] + rng.standard_t(3, size=200)
    >>> coef_table(RobustRegressor().fit(X, y), X, y)[["coef", "std_err"]].round(3)
                coef  std_err
    x0         1.952    0.078
    x1         0.006    0.087
    intercept  1.009    0.088
    """
    frame = frame_class("coef_table")
    check_level(level)
    check_choice("interval", interval, INTERVALS)
    if interval is not None and cov_type not in RESAMPLING:
        raise ValueError(
            f"interval={interval!r} is for a cov_type in {[*RESAMPLING]}. "
            f"Got cov_type={cov_type!r}."
        )
    estimator = judged(estimator, cov_type)
    data = Data(X, y, sample_weight, groups)
    asked = CovOptions(cov_type, bandwidth, kernel, n_bootstrap, random_state, n_jobs)
    targets, tables = targets_of(model_of(estimator), y), []
    for target in targets:
        found = estimate(estimator, data.of(target), asked)
        df = found.df if use_t else np.inf
        columns = _columns(found, level, df)
        if found.draws is not None and interval != "normal":
            columns |= by_percentiles(found.draws, level)
        tables.append(frame(columns, index=found.names))
    whole = [size_and_r2(estimator, X, target, sample_weight) for target in targets]
    sizes, r2s = map(list, zip(*whole, strict=True))
    table = one_below_the_other(tables, targets, "coefficient")
    if table is tables[0]:
        sizes, r2s = sizes[0], r2s[0]
    table.attrs.update(residual_scale=sizes, robust_r2=r2s)
    table.attrs.update(cov_type=found.cov_type, level=level, df=df)
    return table


def coef_covariance(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    cov_type: str | None = None,
    groups: ArrayLike | None = None,
    bandwidth: str | None = None,
    kernel: str | None = None,
    n_bootstrap: int = 1000,
    random_state: Any = None,
    n_jobs: int | None = None,
) -> Array:
    """Return the covariance matrix of the coefficients; needs no pandas.

    Parameters
    ----------
    estimator, X, y, sample_weight, cov_type, groups
        As for `coef_table`, of one target and one quantile.
    bandwidth, kernel, n_bootstrap, random_state, n_jobs
        As for `coef_table`.

    Returns
    -------
    ndarray of shape (n_coefs, n_coefs)
        The intercept, if one was fitted, is last.

    Raises
    ------
    ValueError, TypeError, NotFittedError
        As `coef_table`.

    Examples
    --------
    >>> import numpy as np
    >>> from robustreg import L1Regressor
    >>> from robustreg.inference import coef_covariance
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> y = 1 + 2 * X[:, 0] + rng.standard_t(3, size=200)
    >>> coef_covariance(L1Regressor().fit(X, y), X, y, cov_type="ker").shape
    (3, 3)
    """
    data = Data(X, y, sample_weight, groups)
    asked = CovOptions(cov_type, bandwidth, kernel, n_bootstrap, random_state, n_jobs)
    return estimate(judged(estimator, cov_type), data, asked).covariance


def check_level(level: Any) -> None:
    """Refuse what is not a confidence level."""
    if not (isinstance(level, Real) and 0 < float(level) < 1):
        raise ValueError(f"level must be a number in (0, 1). Got {level!r}.")


def law_of(df: float) -> Any:
    """Return the t distribution, with infinite degrees of freedom the normal one."""
    return t(df) if np.isfinite(df) else norm()


def _columns(found: Estimate, level: float, df: float) -> dict[str, Array]:
    """Return the table's columns from standard errors."""
    coef, error = found.coef, np.sqrt(np.diag(found.covariance))
    law = law_of(df)
    reach = law.ppf((1 + level) / 2) * error
    # A fit without residuals has no errors, and says nothing of a coefficient of 0.
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = coef / error
    return {
        "coef": coef,
        "std_err": error,
        "statistic": statistic,
        "p_value": 2 * law.sf(np.abs(statistic)),
        "lower": coef - reach,
        "upper": coef + reach,
    }
