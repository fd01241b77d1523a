"""Checks of a choice among candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any

from sklearn import get_config

# Private, but what scikit-learn's own contributors' template relies on.
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

from robustreg.losses import refuse_other_names
from robustreg.partitions import is_collection
from robustreg.validation.params import (
    PARAMETER_CONSTRAINTS,
    check_size,
    checked_alphas,
    one_of,
)

CANDIDATES = ("loss", "beta", "quantile", "penalty", "l1_ratio")
SHARED = ("scale", "fit_intercept", "tol", "max_iter", "outlier_threshold")
CHOOSING_CONSTRAINTS: dict[str, list[Any]] = {
    **{name: [*PARAMETER_CONSTRAINTS[name], "array-like"] for name in CANDIDATES},
    "alphas": [Interval(Integral, 1, None, closed="left"), "array-like"],
    "eps": [Interval(Real, 0, 1, closed="neither")],
    "cv": ["cv_object"],
    "scoring": [str, callable, None],
    "selection": [one_of(["best", "1se"])],
    "n_jobs": [Integral, None],
    "verbose": ["verbose"],
    **{name: PARAMETER_CONSTRAINTS[name] for name in SHARED},
}


def check_choosing_params(model: Any, listed: Callable[[Any], list[Any]]) -> None:
    """Check the parameters of a choice, each candidate by itself."""
    owner = type(model).__name__
    params = model.get_params(deep=False)
    validate_parameter_constraints(CHOOSING_CONSTRAINTS, params, owner)
    for name in SHARED:
        check_size(name, params[name])
    for name in CANDIDATES:
        values = listed(params[name])
        if not values:
            raise ValueError(
                f"The {name!r} parameter of {owner} must be a value or a list of at "
                "least one. Got an empty list."
            )
        for value in values:
            if name == "loss":
                refuse_other_names(value)
            allowed = {name: PARAMETER_CONSTRAINTS[name]}
            validate_parameter_constraints(allowed, {name: value}, owner)
            check_size(name, value)
    if not isinstance(params["alphas"], Integral):
        checked_alphas(params["alphas"], "a number of them")


def check_choosing_data(owner: str, **given: Any) -> None:
    """Refuse rows that are elsewhere: folds take rows at random."""
    for name, values in given.items():
        if is_collection(values):
            raise ValueError(
                f"{owner} does not take dask collections, since folds take rows at "
                f"random. Choose by a sample, such as {name}.sample(frac=0.01)"
                ".compute() of a frame, and fit all rows by RobustRegressor("
                "**best_params_)."
            )


def check_split_params(owner: str, params: dict[str, Any]) -> None:
    """Refuse metadata where scikit-learn does not route it."""
    if params and not get_config()["enable_metadata_routing"]:
        raise ValueError(
            f"{owner}.fit passes {sorted(params)} to its splitter only if "
            "sklearn.set_config(enable_metadata_routing=True) was called."
        )


def checked_splits(
    owner: str, splits: Callable[..., Iterable[Any]], params: dict[str, Any]
) -> list[Any]:
    """Return the splits that metadata make; of missing groups say how to pass them."""
    try:
        return list(splits(**params))
    except ValueError as error:
        if "groups" in params or "groups" not in str(error):
            raise
        raise ValueError(
            f"{error} {owner}.fit(X, y, groups=groups) passes them to its splitter, "
            "after sklearn.set_config(enable_metadata_routing=True)."
        ) from error
