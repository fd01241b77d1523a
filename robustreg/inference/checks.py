"""What inference refuses before any work, and the fit that it starts from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline

from robustreg.choosing import chosen_by
from robustreg.estimators import QuantilesRegressor, RobustLinearModel
from robustreg.estimators.arrays import rows_of
from robustreg.estimators.base import loss_of
from robustreg.inference.algebra import AtFit
from robustreg.inference.columns import refuse_constant, refuse_dependent, refuse_few
from robustreg.inference.families import BOOTSTRAP
from robustreg.inference.fitted import Fitted, SFitted
from robustreg.linalg import EPS, NOISE_LEVELS, SAME
from robustreg.losses import Loss, Tukey
from robustreg.penalties import make_penalty
from robustreg.pipelines import feature_names_of, model_of
from robustreg.rows import Array, Index, Rows
from robustreg.scale import scale_floor

# A fit that misses the optimality condition by this share of its terms is another's.
FOREIGN_SLOPE, FOREIGN_SLOPE_FLOAT32 = 1e-3, 2e-2


def judged(estimator: Any, cov_type: str | None) -> Any:
    """Return a fitted linear model or pipeline, with what was chosen for a choice.

    The bootstrap chooses again for each resample. Refuses what is no linear model.
    """
    checked_names(estimator)
    return estimator if cov_type == BOOTSTRAP else _chosen(estimator)


def _chosen(estimator: Any) -> Any:
    """Return an estimator or pipeline with what was chosen in place of a choice."""
    if not isinstance(estimator, Pipeline):
        return chosen_by(estimator)
    *before, (name, last) = estimator.steps
    one = _chosen(last)
    return estimator if one is last else Pipeline([*before, (name, one)])


def check_analytic(estimator: Any, cov_type: str | None) -> Loss:
    """Return the loss of an unpenalised robust fit; refuse other estimators."""
    if not isinstance(estimator, RobustLinearModel):
        raise TypeError(
            f"cov_type={cov_type!r} is for robustreg's fits by one loss. "
            f"Got {type(estimator).__name__}. Use cov_type='bootstrap'."
        )
    if is_penalised(estimator):
        name, alpha, l1_ratio = estimator.penalty, estimator.alpha, estimator.l1_ratio
        # An l2 penalty chooses no columns.
        chooses = make_penalty(name, alpha, l1_ratio, n_features=1).l1.any()
        kept = " on the columns whose coefficient is not 0, chosen on other data"
        kept = kept if chooses else ""
        raise ValueError(
            f"The fit is penalised (penalty={estimator.penalty!r}, "
            f"alpha={estimator.alpha!r}): its coefficients are shrunk towards 0 by as "
            "much as their errors, so that no covariance makes intervals around them "
            "cover. Use cov_type='bootstrap' for the spread of the penalised fit, or "
            f"refit with penalty=None{kept}."
        )
    return loss_of(estimator)


def is_penalised(estimator: RobustLinearModel | QuantilesRegressor) -> bool:
    """Return whether a penalty moves the coefficients."""
    return estimator.penalty is not None and estimator.alpha > 0


def checked_names(estimator: Any) -> list[str]:
    """Return the names of the coefficients of a fitted model or pipeline.

    The intercept's is last, if one is fitted. Refuses what is no linear model.
    """
    model = model_of(estimator)
    if "coef_" not in vars(model):
        raise TypeError(
            f"{type(model).__name__} has no coef_, and so no coefficients to have "
            "standard errors. Pass a fitted linear model, such as RobustRegressor, "
            "or a pipeline that ends in one: of a search its best_estimator_, of a "
            "TransformedTargetRegressor its regressor_, with y as that one saw it."
        )
    names = feature_names_of(estimator, np.shape(model.coef_)[-1])
    return [*names, _free_name("intercept", names)] if has_intercept(model) else names


def has_intercept(estimator: Any) -> bool:
    """Return whether an intercept was fitted."""
    return bool(estimator.get_params(deep=False).get("fit_intercept", True))


def _free_name(name: str, taken: list[str]) -> str:
    """Return a name in as many parentheses as make it no column's."""
    while name in taken:
        name = f"({name})"
    return name


def coefficients_of(estimator: Any) -> Array:
    """Return ``[coef..., intercept]``, or the coefficients alone without one."""
    every = np.append(estimator.coef_, estimator.intercept_).astype(np.float64)
    return every if has_intercept(estimator) else every[:-1]


def check_options(
    cov_type: str, known: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a covariance's options, by default or as given; refuse others."""
    for name, value in given.items():
        if value is not None and name not in known:
            raise ValueError(
                f"cov_type={cov_type!r} has no use for {name}. Leave it None, or "
                "choose another cov_type."
            )
    return {
        name: default if given[name] is None else given[name]
        for name, default in known.items()
    }


def check_choice(name: str, value: Any, allowed: Collection[str]) -> None:
    """Refuse a name that is not among those allowed."""
    if value is not None and (not isinstance(value, str) or value not in allowed):
        raise ValueError(f"{name} must be None or one of {[*allowed]}. Got {value!r}.")


def check_groups(groups: ArrayLike, n_rows: int, weight: Array) -> Index:
    """Return the number of each row's group among the rows with weight."""
    labels = np.asarray(groups)
    if labels.shape != (n_rows,):
        raise ValueError(
            f"groups must have shape ({n_rows},), a label for each row. "
            f"Got shape {labels.shape}."
        )
    every = labels.tolist()
    if any(map(_is_missing, every)):
        raise ValueError("groups has missing labels. Give each row a group.")
    try:
        _, codes = np.unique(labels, return_inverse=True)
    except TypeError as error:
        kinds = " and ".join(sorted({type(label).__name__ for label in every}))
        raise TypeError(
            "groups must have labels that can be sorted, all numbers or all strings. "
            f"Got both {kinds}. Pass [str(label) for label in groups]."
        ) from error
    counted = np.unique(codes[weight > 0])
    if counted.size < 2:
        raise ValueError(
            f"groups must name at least 2 groups of rows. Got {counted.size}."
        )
    return np.minimum(np.searchsorted(counted, codes), counted.size - 1)


def _is_missing(label: Any) -> bool:
    """Tell None, nan, and pandas' NA and NaT, whose comparison is no answer."""
    try:
        return label is None or bool(label != label)
    except TypeError:
        return True


def check_fit(
    estimator: Any, names: list[str], loss: Loss, X: Any, y: Array, weight: Array
) -> Fitted:
    """Return a fit with its rows; refuse those that have no standard errors."""
    scale = float(estimator.scale_)
    check_scale(estimator, scale_floor(y, weight))
    rows = rows_of(estimator, X, weight)
    coef = estimator.coef_.astype(np.float64)
    params = rows.standard.from_original(coef / scale, estimator.intercept_ / scale)
    fitted = Fitted(
        rows=rows,
        weight=weight,
        target=y / scale,
        residual=y / scale - rows.predict(params),
        params=params,
        loss=loss,
        scale=scale,
        precision=precision_of(estimator),
        names=names,
        s_estimate=_s_fitted(estimator, rows, y / scale),
    )
    refuse_constant(fitted.standard, fitted.names)
    refuse_few_rows(fitted, weight.size)
    refuse_foreign(_violation(fitted), estimator)
    return fitted


def precision_of(estimator: Any) -> float:
    """Return the rounding error of the stored coefficients."""
    return float(np.finfo(estimator.coef_.dtype).eps)


def _s_fitted(estimator: Any, rows: Rows, target: Array) -> SFitted | None:
    """Return the S-estimate that an MM-estimate starts from, None of another fit."""
    if not estimator.starts_from_s:
        return None
    scale = float(estimator.scale_)
    params = rows.standard.from_original(
        estimator.s_coef_ / scale, estimator.s_intercept_ / scale
    )
    residual = target - rows.predict(params)
    return SFitted(residual, Tukey(float(estimator.s_beta_)), estimator.breakdown)


def check_scale(estimator: Any, floor: float) -> None:
    """Refuse an estimated scale that was held at its floor."""
    scale = float(estimator.scale_)
    name, way_out = "The S-scale", "Use cov_type='bootstrap'."
    if not estimator.starts_from_s:
        if not isinstance(estimator.scale, str):
            return
        name = f"scale={estimator.scale!r}"
        way_out = "Fit with a number as scale, or use cov_type='bootstrap'."
    if scale <= floor * (1 + SAME):
        raise ValueError(
            f"{name} collapsed to {scale:.3g}: more than half of the rows are fitted "
            f"exactly, so that nothing tells the size of the errors. {way_out}"
        )


def check_columns(estimator: Any, names: list[str], X: Any, weight: Array) -> None:
    """Refuse columns that have no coefficient, as resamples would have no other.

    A penalty picks one for every column, and other libraries have their own rules.
    """
    if isinstance(estimator, RobustLinearModel) and not is_penalised(estimator):
        rows = rows_of(estimator, X, weight)
        refuse_constant(rows.standard, names)
        refuse_dependent(rows, weight, names)


def refuse_few_rows(fitted: AtFit[Any], n_rows: int) -> None:
    """Refuse no more rows than what they determine, by their number or weight."""
    if fitted.df > 0:
        return
    refuse_few(n_rows, fitted.rank, fitted.columns.size)
    raise ValueError(
        "Standard errors need more rows than coefficients. The weights count "
        f"{fitted.n_obs:g} rows, their sum, and there are {fitted.columns.size} "
        "coefficients. Multiply weights that do not count rows until their sum is the "
        "number of rows."
    )


def _violation(fitted: Fitted) -> float:
    """Return by which share of its terms the gradient misses 0.

    Rows at the kink can have any slope between the loss's two; by the inequality of
    Cauchy and Schwarz they balance no more than the root of their squares.
    """
    slopes, free = fitted.slopes, np.zeros_like(fitted.residual)
    low, high = fitted.loss.facts.slopes
    room, exact = 0.0, fitted.precision <= EPS
    if fitted.loss.facts.piecewise_linear:
        size = np.abs(fitted.snapped)
        exact_share = fitted.mean(size == 0)
        if exact_share > 0.5:
            exactly = "exactly" if exact else "as closely as float32 can tell"
            way_out = "Use" if exact else "Fit X.astype(float), or use"
            raise ValueError(
                f"{exact_share:.0%} of the rows are fitted {exactly}, so that the "
                f"errors have no density at the fit. {way_out} cov_type='bootstrap'."
            )
        most = min(fitted.rank, size.size - 1)
        free = fitted.weight * (size <= np.partition(size, most)[most])
        room = max(-low, high)
    left = np.abs(fitted.rows.adjoint(fitted.weight * slopes * (free == 0)))
    balanced = room * np.sqrt(free.sum() * fitted.rows.gram_diagonal(free))
    noise = noise_of(fitted.target, fitted.residual, fitted.precision)
    terms = float(
        fitted.weight @ np.maximum(np.abs(slopes), fitted.loss.gradient(noise))
    )
    return float(np.max(left - balanced)) / terms if terms > 0 else 0.0


def noise_of(target: Array, residual: Array, precision: float) -> Array:
    """Return residuals whose slopes are those of a perfect fit's rounding errors."""
    # Halves, because the sum of two large ones may be no number.
    size = 0.5 * np.abs(target) + 0.5 * np.abs(residual)
    return np.asarray(2 * NOISE_LEVELS * precision * size)


def refuse_foreign(violation: float, estimator: Any) -> None:
    """Refuse data at which the coefficients are not those of the fit."""
    bound = max(FOREIGN_SLOPE, 10 * np.sqrt(estimator.tol))
    exact = precision_of(estimator) <= EPS
    if violation > (bound if exact else max(bound, FOREIGN_SLOPE_FLOAT32)):
        raise ValueError(
            "The coefficients do not minimise the loss on this X, y and sample_weight "
            f"(the slopes miss 0 by {violation:.2g} of their size, {bound:.2g} is "
            "allowed). Pass the data and the weights of the fit, with the parameters "
            "that it had; if the fit did not converge, raise max_iter."
        )
