"""Tests of several coefficients at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike
from scipy.stats import chi2, f

from robustreg.estimators import QuantilesRegressor, RobustLinearModel
from robustreg.inference.checks import checked_names, is_penalised, judged
from robustreg.inference.estimate import CovOptions, Data, Estimate, estimate
from robustreg.inference.hypotheses import Hypothesis, hypotheses_of
from robustreg.inference.targets import frame_class, one_below_the_other, targets_of
from robustreg.linalg import ABSENT
from robustreg.pipelines import model_of

if TYPE_CHECKING:
    import pandas


def wald_test(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    hypotheses: Any,
    sample_weight: ArrayLike | None = None,
    *,
    values: ArrayLike | None = None,
    cov_type: str | None = None,
    use_f: bool = True,
    groups: ArrayLike | None = None,
    bandwidth: str | None = None,
    kernel: str | None = None,
    n_bootstrap: int = 1000,
    random_state: Any = None,
    n_jobs: int | None = None,
) -> pandas.DataFrame:
    r"""Test linear hypotheses :math:`R c = v` of the coefficients, of several at once.

    With the covariance C of the coefficients c, and q rows of R,

    .. math::

        W = (R c - v)^\top (R C R^\top)^{-1} (R c - v)

    has about a chi-squared distribution with q degrees of freedom, and ``W / q`` an F
    distribution with q and those of `coef_table`, if the hypothesis is true [1]_. A
    model is tested against the smaller one that lacks some columns, as the levels of a
    factor, by their names.

    Parameters
    ----------
    estimator, X, y, sample_weight
        As for `coef_table`.
    hypotheses : str, list of str, array-like or dict
        The names of coefficients that are all 0; or R, of shape ``(q, n_coefs)`` with
        the intercept, if one was fitted, last. Or a dict of some of these, each tested
        by itself: ``{"colour": ["red", "green"], "size": ["large"]}``.
    values : array-like of shape (q,), default=None
        v, for one matrix; None is 0.
    cov_type : str, default=None
        As for `coef_table`. The bootstrap's covariance is that of the resampled
        coefficients, of fits without a penalty.
    use_f : bool, default=True
        Whether ``W / q`` is compared with an F distribution, as `coef_table` compares
        with t, or W with the chi-squared one.
    groups, bandwidth, kernel, n_bootstrap, random_state, n_jobs
        As for `coef_table`.

    Returns
    -------
    pandas.DataFrame
        A row for each hypothesis, with its key in the dict, its names, or
        ``"hypothesis"``. Columns ``statistic`` (``W / q``, or W), ``df`` (q),
        ``df_resid`` (infinite for chi-squared and after a bootstrap) and ``p_value``.
        Of several targets or quantiles, each tested by itself, that is the first level
        of the index, as in `coef_table`.
        Its ``attrs`` hold ``cov_type`` and the ``distribution``, ``"F"`` or ``"chi2"``.

    Raises
    ------
    ValueError, TypeError, ImportError, NotFittedError
        As `coef_table`; for a name that no coefficient has, what is no hypothesis, a
        matrix of another shape or with dependent rows, and a covariance that is
        singular where it is tested.

    Notes
    -----
    With one restriction the F statistic is the square of that of `coef_table`, and the
    p-value the same. After least squares (``loss="l2"``, ``cov_type="H1"``) it is the F
    test of nested models; with `MMRegressor` and ``use_f=False`` the Wald test of R's
    ``anova.lmrob``. statsmodels has the same as ``wald_test`` and
    ``wald_test_terms``.

    References
    ----------
    .. [1] Wald, A. (1943). Tests of statistical hypotheses concerning several
       parameters when the number of observations is large. Transactions of the
       American Mathematical Society 54, 426-482.

    Examples
    --------
    >>> import numpy as np
    >>> from robustreg import RobustRegressor
    >>> from robustreg.inference import wald_test
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 3))
    >>> y = 1 + 2 * X[:, 0] + rng.standard_t(3, size=200)
    >>> model = RobustRegressor().fit(X, y)
    >>> table = wald_test(model, X, y, {"first": "x0", "others": ["x1", "x2"]})
    >>> table["p_value"] < 0.05
    first      True
    others    False
    Name: p_value, dtype: bool
    """
    frame = frame_class("wald_test")
    estimator = judged(estimator, cov_type)
    every = hypotheses_of(hypotheses, values, checked_names(estimator))
    model = model_of(estimator)
    _refuse_penalised(model)
    columns, index = ["statistic", "df", "df_resid", "p_value"], [h.name for h in every]
    data = Data(X, y, sample_weight, groups)
    asked = CovOptions(cov_type, bandwidth, kernel, n_bootstrap, random_state, n_jobs)
    targets, tables = targets_of(model, y), []
    for target in targets:
        found = estimate(estimator, data.of(target), asked)
        df = found.df if use_f else np.inf
        tested = [_tested(found, hypothesis, df, use_f) for hypothesis in every]
        tables.append(frame(tested, columns=columns, index=index))
    table = one_below_the_other(tables, targets, "hypothesis")
    table.attrs.update(cov_type=found.cov_type, distribution="F" if use_f else "chi2")
    return table


def _refuse_penalised(estimator: Any) -> None:
    """Refuse a fit whose coefficients are shrunk, by whatever covariance."""
    ours = isinstance(estimator, RobustLinearModel | QuantilesRegressor)
    if ours and is_penalised(estimator):
        raise ValueError(
            f"The fit is penalised (penalty={estimator.penalty!r}, "
            f"alpha={estimator.alpha!r}): coefficients that are shrunk towards a "
            "hypothesis do not test it. Refit with penalty=None."
        )


def _tested(
    found: Estimate, asked: Hypothesis, df: float, use_f: bool
) -> tuple[float, int, float, float]:
    """Return a hypothesis' statistic, its two degrees of freedom and the p-value."""
    statistic, q = _statistic(found, asked), len(asked.matrix)
    p_value = f.sf(statistic / q, q, df) if np.isfinite(df) else chi2.sf(statistic, q)
    return statistic / q if use_f else statistic, q, df, float(p_value)


def _statistic(found: Estimate, asked: Hypothesis) -> float:
    """Return W, in units in which each restriction has a standard error of 1."""
    # Coefficients and covariance may be large or small as the units of y are.
    covariance = asked.matrix @ found.covariance @ asked.matrix.T
    error = np.sqrt(np.maximum(covariance.diagonal(), 0.0))
    if not error.all():
        raise ValueError(_singular(asked))
    away = (asked.matrix @ found.coef - asked.values) / error
    size, basis = scipy.linalg.eigh(covariance / error / error[:, None])
    # Of errors that are so nearly dependent no digits are left to test.
    if size[0] <= ABSENT * size[-1]:
        raise ValueError(_singular(asked))
    return float(((basis.T @ away) ** 2 / size).sum())


def _singular(asked: Hypothesis) -> str:
    """Return what is said of restrictions whose errors depend on each other."""
    return (
        f"The covariance of the {len(asked.matrix)} restrictions of {asked.name!r} is "
        "singular: as many groups of rows as restrictions, or rows without errors, "
        "decide some of them. Test fewer at once, or choose another cov_type."
    )
