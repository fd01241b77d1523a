"""From a request for standard errors to coefficients and their covariance."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robustreg.estimators.base import RobustLinearModel, loss_of
from robustreg.inference.algebra import AtFit
from robustreg.inference.bootstrap import (
    Plan,
    check_plan,
    check_refit,
    covariance_of,
    drawn,
    resampled_coefficients,
)
from robustreg.inference.checks import (
    check_analytic,
    check_choice,
    check_columns,
    check_fit,
    check_groups,
    check_options,
    checked_names,
    coefficients_of,
)
from robustreg.inference.collected import check_collected
from robustreg.inference.density import BANDWIDTHS, KERNELS
from robustreg.inference.families import (
    BOOTSTRAP,
    COV_TYPES,
    EVERY_NAME,
    FAST_BOOTSTRAP,
    CovType,
    cov_type_of,
    kind_of,
)
from robustreg.inference.fast_bootstrap import fast_resamples
from robustreg.inference.targets import Target, one_target
from robustreg.losses import Loss
from robustreg.partitions import is_collection
from robustreg.pipelines import features_of, model_of
from robustreg.rows import TIE, Array, Index, present, taken
from robustreg.validation import check_counts, check_inference_data

# With fewer rows expected beyond a quantile, no normal distribution describes it.
FEWEST_BEYOND = 5


@dataclass(frozen=True)
class Estimate:
    """Coefficients and what is known of their errors.

    Parameters
    ----------
    cov_type : str
        The covariance, by default or as asked for.
    names : list of str
        Names of the coefficients, the intercept's last.
    coef : ndarray of shape (n_coefs,)
        Coefficients.
    covariance : ndarray of shape (n_coefs, n_coefs)
        Their covariance.
    df : float
        Degrees of freedom of the t distribution; infinite for the normal one.
    n_obs : float
        How many rows the weights count.
    draws : ndarray of shape (n_resamples, n_coefs) or None
        The coefficients of the bootstrap's resamples.
    """

    cov_type: str
    names: list[str]
    coef: Array
    covariance: Array
    df: float
    n_obs: float
    draws: Array | None = None


@dataclass(frozen=True)
class Data:
    """What the estimator or pipeline was fitted to, as the caller gave it.

    Of several targets y is one, and ``target`` its place.
    """

    X: Any
    y: Any
    sample_weight: Any
    groups: Any
    target: int | None = None

    def of(self, target: Target) -> Data:
        """Return the data of one of the targets."""
        return replace(self, y=target.y, target=target.place)


@dataclass(frozen=True)
class CovOptions:
    """How errors are to be estimated, by the parameters that `coef_table` documents."""

    cov_type: str | None
    bandwidth: str | None
    kernel: str | None
    n_bootstrap: int
    random_state: Any
    n_jobs: int | None

    @property
    def options(self) -> dict[str, Any]:
        """Those that some covariances take."""
        return {"bandwidth": self.bandwidth, "kernel": self.kernel}


def estimate(estimator: Any, data: Data, asked: CovOptions) -> Estimate:
    """Return coefficients and their covariance, by the family of ``cov_type``."""
    cov_type, options = asked.cov_type, asked.options
    # Resamples are drawn from the same numbers for each target.
    plan = check_plan(asked.n_bootstrap, asked.random_state, asked.n_jobs)
    # Underflow is meant wherever it happens: what is too small counts as 0.
    with np.errstate(under="ignore"):
        names = checked_names(estimator)
        model = one_target(model_of(estimator), data.target)
        data = replace(data, X=features_of(estimator, data.X))
        check_choice("cov_type", cov_type, EVERY_NAME)
        check_choice("bandwidth", asked.bandwidth, BANDWIDTHS)
        check_choice("kernel", asked.kernel, KERNELS)
        if cov_type == BOOTSTRAP:
            check_options(cov_type, {}, options)
            found = _resampled(model, names, None, data, plan)
        else:
            loss = check_analytic(model, cov_type)
            kind, grouped = kind_of(model, loss), data.groups is not None
            cov_type = cov_type_of(kind, loss, cov_type, grouped)
            if cov_type == FAST_BOOTSTRAP:
                check_options(cov_type, {}, options)
                found = _resampled(model, names, loss, data, plan)
            else:
                found = _analytic(model, names, loss, data, cov_type, options)
    _warn_if_extreme(model, found.n_obs)
    return found


def _warn_if_extreme(estimator: Any, n_obs: float) -> None:
    """Warn of a quantile beyond which too few rows lie to tell where it is."""
    if not isinstance(estimator, RobustLinearModel):
        return
    loss = loss_of(estimator)
    low, high = loss.facts.slopes
    tilted = loss.facts.piecewise_linear or low + high != 0
    if not (loss.facts.bounded_slope and tilted):
        return
    beyond = n_obs * min(-low, high) / (high - low)
    if beyond < FEWEST_BEYOND * (1 - TIE):
        warnings.warn(
            f"About {beyond:.2g} of {n_obs:g} rows lie beyond quantile "
            f"{high / (high - low):.4g}, and at least {FEWEST_BEYOND} should: standard "
            "errors and intervals say too little. Use a quantile nearer to 0.5, or "
            "more rows.",
            RuntimeWarning,
            stacklevel=4,
        )


def _analytic(
    estimator: Any,
    names: list[str],
    loss: Loss,
    data: Data,
    cov_type: str,
    options: dict[str, Any],
) -> Estimate:
    """Return a covariance from the rows and their residuals."""
    fitted: AtFit[Any]
    family = COV_TYPES[kind_of(estimator, loss)]
    entry, given = family[cov_type], {**options, "groups": data.groups}
    chosen = check_options(cov_type, entry.options, given)
    if cov_type == "cluster" and data.groups is None:
        raise ValueError("cov_type='cluster' needs groups, a label for each row.")
    if is_collection(data.X):
        if not entry.by_sums:
            _refuse_collection(cov_type, family)
        fitted = check_collected(
            estimator, names, loss, data.X, data.y, data.sample_weight
        )
    else:
        X, y, weight, groups = _live(estimator, data)
        fitted = check_fit(estimator, names, loss, X, y, weight)
        chosen |= {"groups": groups} if "groups" in chosen else {}
    covariance = fitted.in_units(entry.compute(fitted, **chosen))
    df = chosen["groups"].max() if "groups" in chosen else fitted.df
    coef = coefficients_of(estimator)
    return Estimate(cov_type, fitted.names, coef, covariance, float(df), fitted.n_obs)


def _live(estimator: Any, data: Data) -> tuple[Any, Array, Array, Index | None]:
    """Return X, y and weights of the rows that have weight, and groups if given."""
    X, y, weight = check_inference_data(estimator, data.X, data.y, data.sample_weight)
    live, groups = present(weight), None
    if data.groups is not None:
        (groups,) = taken(live, check_groups(data.groups, len(y), weight))
    return *taken(live, X, y, weight), groups


def _refuse_collection(cov_type: str, family: Mapping[str, CovType]) -> None:
    """Refuse a covariance that is not made of sums over rows that are elsewhere."""
    others = [name for name, one in family.items() if one.by_sums]
    way_out = f"Use one of {others}, or pass" if others else "Pass"
    raise ValueError(
        f"cov_type={cov_type!r} does not take dask collections. {way_out} X.compute() "
        "and y.compute()."
    )


def _resampled(
    estimator: Any, names: list[str], loss: Loss | None, data: Data, plan: Plan
) -> Estimate:
    """Return the covariance of the coefficients of resamples.

    Of fits to them or, given the loss of an MM-estimate, of linear steps to these.
    """
    cov_type = BOOTSTRAP if loss is None else FAST_BOOTSTRAP
    if is_collection(data.X):
        _refuse_collection(
            cov_type, {} if loss is None else COV_TYPES[kind_of(estimator, loss)]
        )
    X, y, weight, groups = _live(estimator, data)
    coef, fitted = coefficients_of(estimator), None
    if loss is not None:
        fitted = check_fit(estimator, names, loss, X, y, weight)
    if groups is None:
        check_counts(weight, coef.size + 1, ", of which resamples are drawn")
    if fitted is not None:
        found = fast_resamples(fitted, coef, drawn(weight, groups, plan))
    else:
        check_columns(estimator, names, X, weight)
        check_refit(estimator, X, y, weight)
        found = resampled_coefficients(estimator, names, X, y, weight, groups, plan)
    draws, n_obs = found.kept(names), float(weight.sum())
    if found.n_warned:
        others = found.n_warned - found.n_collapsed
        warnings.warn(
            f"{found.n_warned} of {plan.n_resamples} resampled fits warned: the scale "
            f"of {found.n_collapsed} collapsed, and {others} did not meet the "
            "tolerance, found no scale that agrees with its fit or rejected nearly all "
            "rows. They are counted as they are.",
            RuntimeWarning,
            stacklevel=4,
        )
    covariance = covariance_of(draws)
    return Estimate(cov_type, names, coef, covariance, np.inf, n_obs, draws)
