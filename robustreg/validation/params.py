"""Checks of parameters, and what an estimator keeps if a fit fails."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import numpy as np

# Private, but what scikit-learn's own contributors' template relies on.
from sklearn.utils import check_array
from sklearn.utils._param_validation import (
    Interval,
    StrOptions,
    validate_parameter_constraints,
)

from robustreg.breakdown import efficiency_of, tukey_for_breakdown, tukey_for_efficiency
from robustreg.linalg import MOST_DIRECT_PARAMS, SQUARABLE
from robustreg.losses import LOSSES, Loss, make_loss, refuse_other_names
from robustreg.penalties import PENALTIES
from robustreg.rows import TIE, Array
from robustreg.scale import COUNTED, SCALES
from robustreg.solvers import SOLVERS

# Some have no end by their meaning. A beta below the rounding errors of a residual of
# size 1 is no width.
SIZES = {
    "beta": (1e-15, SQUARABLE),
    "scale": (1e-300, 1e300),
    "outlier_threshold": (1e-100, SQUARABLE),
    "quantile": (1e-12, 1 - 1e-12),
}
# Longer numbers are not shown.
LONGEST_SHOWN = 40


def one_of(names: Iterable[str]) -> StrOptions:
    """Return the constraint to some names, in messages in the order of the alphabet."""
    return StrOptions(dict.fromkeys(sorted(names)).keys())


PARAMETER_CONSTRAINTS: dict[str, list[Any]] = {
    "loss": [one_of(LOSSES), Loss],
    "beta": [Interval(Real, 0, None, closed="left"), None],
    "quantile": [Interval(Real, 0, 1, closed="neither")],
    "penalty": [one_of(name for name in PENALTIES if name), None],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    "scale": [Interval(Real, 0, None, closed="neither"), one_of(SCALES)],
    "fit_intercept": ["boolean"],
    "solver": [one_of(["auto", *SOLVERS])],
    "tol": [Interval(Real, 0, None, closed="neither")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "warm_start": ["boolean"],
    "outlier_threshold": [Interval(Real, 0, None, closed="neither")],
}


def _as_all(*names: str) -> dict[str, list[Any]]:
    """Return constraints that are those of all estimators."""
    return {name: PARAMETER_CONSTRAINTS[name] for name in names}


# Of a path: the same, but it needs a penalty, and a scale that all its fits share.
PATH_CONSTRAINTS: dict[str, list[Any]] = {
    **_as_all("loss", "beta", "quantile", "l1_ratio", "fit_intercept", "tol"),
    **_as_all("max_iter"),
    "penalty": PARAMETER_CONSTRAINTS["penalty"][:1],
    "n_alphas": [Interval(Integral, 1, None, closed="left")],
    "eps": [Interval(Real, 0, 1, closed="neither")],
    "scale": PARAMETER_CONSTRAINTS["scale"][:1],
}
# Subsets of a small fit take about a minute for each half million.
MOST_SUBSETS = 10**7
# Of the estimate with a high breakdown point: a loss of its own.
MM_CONSTRAINTS: dict[str, list[Any]] = {
    "efficiency": [Interval(Real, 0, 1, closed="neither")],
    # With less, S-estimates are least squares for all that anyone could tell.
    "breakdown": [Interval(Real, 0.01, 0.5, closed="both")],
    "n_subsets": [Interval(Integral, 0, MOST_SUBSETS, closed="both")],
    "n_jobs": [
        Interval(Integral, None, -1, closed="right"),
        Interval(Integral, 1, None, closed="left"),
        None,
    ],
    "random_state": ["random_state"],
    **_as_all("penalty", "alpha", "l1_ratio", "fit_intercept", "solver"),
    **_as_all("tol", "max_iter", "outlier_threshold"),
}
# Of several quantiles: a loss for each, in units of y.
QUANTILES_CONSTRAINTS: dict[str, list[Any]] = {
    "quantiles": ["array-like"],
    "non_crossing": ["boolean"],
    **_as_all("penalty", "alpha", "l1_ratio", "fit_intercept", "tol", "max_iter"),
}


def check_params(estimator: Any) -> Loss:
    """Check every constructor parameter and return the loss."""
    refuse_other_names(estimator.loss)
    _check_sizes(estimator.get_params(deep=False))
    estimator._validate_params()
    check_size("quantile", estimator.quantile)
    return make_loss(estimator.loss, estimator.beta, estimator.quantile)


def check_collection_params(estimator: Any) -> None:
    """Refuse solvers that need all rows in memory."""
    if estimator.solver != "auto":
        raise ValueError(
            f"solver={estimator.solver!r} does not fit dask collections. Use 'auto'."
        )


def check_mm_params(estimator: Any) -> tuple[float, float]:
    """Check the parameters of an MM-estimate; return its two constants.

    The second loss may nowhere exceed the first, or the breakdown is lost.
    """
    _check_sizes(estimator.get_params(deep=False))
    estimator._validate_params()
    first = tukey_for_breakdown(float(estimator.breakdown))
    least = efficiency_of(first)
    if estimator.efficiency < least:
        raise ValueError(
            f"efficiency must be at least {least:.4g}, which the S-estimate with "
            f"breakdown={estimator.breakdown!r} has by itself. "
            f"Got {estimator.efficiency!r}."
        )
    return first, max(first, tukey_for_efficiency(float(estimator.efficiency)))


def check_quantiles_params(estimator: Any) -> Array:
    """Check the parameters of several quantiles; return these, in the order given."""
    given = estimator.quantiles
    if isinstance(given, Real):
        raise ValueError(
            f"quantiles must be a sequence of numbers. Got {given!r}. Pass ({given!r},)"
            ", and predict returns one column, or use L1Regressor(quantile=...)."
        )
    _check_sizes(estimator.get_params(deep=False))
    estimator._validate_params()
    try:
        levels = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        levels = np.zeros(0)
    low, high = SIZES["quantile"]
    if (
        levels.ndim != 1
        or not levels.size
        or not ((levels >= low) & (levels <= high)).all()
    ):
        raise ValueError(
            "quantiles must be at least one number, each in the range (0, 1), such as "
            f"(0.05, 0.5, 0.95). Got {reprlib.repr(given)}."
        )
    if np.unique(levels).size < levels.size:
        raise ValueError(
            f"quantiles must differ from each other. Got {reprlib.repr(given)}. Pass "
            "each of them once: predict has a column for each."
        )
    return levels


def check_mm_data(n_params: int, weight: Array) -> None:
    """Refuse what subsets of rows cannot find, and weights that count no rows."""
    if n_params > MOST_DIRECT_PARAMS:
        raise ValueError(
            f"X has {n_params - 1} columns. MMRegressor takes at most "
            f"{MOST_DIRECT_PARAMS - 1}, because it fits subsets of as many rows. "
            "Use RobustRegressor(loss='tukey'), or choose columns."
        )
    check_counts(weight, 2 * n_params)


def check_counts(weight: Array, least: int, why: str = "") -> None:
    """Refuse weights that count fewer rows than there are and than are needed."""
    total, n_live = float(weight.sum()), int(np.count_nonzero(weight))
    if total < min(n_live, least) * (1 - TIE):
        raise ValueError(
            f"sample_weight must count rows{why}, but {n_live} rows have a total "
            f"weight of {total:.4g}. Divide it by its mean."
        )


def check_scale_weight(scale: float | str, n_coefs: int, weight: Array) -> None:
    """Refuse weights that count no more rows than there are coefficients to fit.

    With fewer rows than coefficients a scale has a divisor of its own.
    """
    total, n_live = float(weight.sum()), int(np.count_nonzero(weight))
    if scale in COUNTED and total <= n_coefs < n_live:
        raise ValueError(
            f"sample_weight must count rows for scale={scale!r}, but {n_live} rows "
            f"have a total weight of {total:.4g}, for {n_coefs} coefficients. Divide "
            "it by its mean, or use scale='mad', for which only ratios matter."
        )


def check_path_params(params: dict[str, Any], alphas: Any) -> tuple[Loss, Array | None]:
    """Check the parameters of a path; return the loss and the alphas, decreasing."""
    if isinstance(params["scale"], str):
        raise ValueError(
            "The 'scale' parameter of robust_path must be a number, the same for every "
            f"alpha. Got {params['scale']!r}. Pass "
            f"RobustRegressor(scale={params['scale']!r}).fit(X, y).scale_."
        )
    refuse_other_names(params["loss"])
    _check_sizes(params)
    validate_parameter_constraints(PATH_CONSTRAINTS, params, "robust_path")
    check_size("quantile", params["quantile"])
    loss = make_loss(params["loss"], params["beta"], params["quantile"])
    if alphas is not None:
        return loss, checked_alphas(alphas, "None")
    kinked = {"l1": 1.0, "l2": 0.0, "elasticnet": params["l1_ratio"]}
    if kinked[params["penalty"]] == 0:
        raise ValueError(
            f"penalty={params['penalty']!r}, l1_ratio={params['l1_ratio']!r}: at no "
            "alpha are all coefficients 0, so that robust_path cannot choose a grid. "
            "Pass alphas."
        )
    return loss, None


def checked_alphas(alphas: Any, otherwise: str) -> Array:
    """Return given alphas, decreasing; an error says what is allowed otherwise."""
    try:
        grid = check_array(np.atleast_1d(alphas), ensure_2d=False, dtype=np.float64)
        allowed = np.ndim(alphas) == 1 and ((grid >= 0) & (grid <= SQUARABLE)).all()
    except (OverflowError, TypeError, ValueError):
        allowed = False
    if not allowed:
        raise ValueError(
            f"alphas must be {otherwise} or a one-dimensional array of at least one "
            f"number, finite, at least 0 and at most {SQUARABLE:g}. "
            f"Got {reprlib.repr(alphas)}."
        )
    return np.asarray(np.sort(grid)[::-1])


def _check_sizes(params: dict[str, Any]) -> None:
    """Refuse numbers of a size that no fit can use."""
    for name in ("beta", "alpha", "scale", "tol", "outlier_threshold"):
        check_size(name, params.get(name))


def check_size(name: str, value: Any) -> None:
    """Refuse numbers that an interval without an end lets pass and no fit can use."""
    if not isinstance(value, Real):
        return
    number: Any = value
    low, high = SIZES.get(name, (0.0, SQUARABLE))
    if number != number or abs(number) == math.inf:
        raise ValueError(f"{name} must be finite. Got {value!r}.")
    if number > high or 0 < number < low:
        got = repr(value) if len(repr(value)) < LONGEST_SHOWN else "a larger number"
        zero = " or 0" if name in ("alpha", "beta") else ""
        raise ValueError(
            f"{name} must be in the range [{low:g}, {high:.13g}]{zero}. Got {got}."
        )


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Give an estimator all its attributes back if what is done to it fails."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
