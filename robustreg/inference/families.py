"""The covariances by name, for each kind of loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from robustreg.estimators import RobustLinearModel
from robustreg.inference import classical, kinked, mm, sandwich
from robustreg.inference.fitted import jumps_of
from robustreg.losses import Loss
from robustreg.rows import Array


@dataclass(frozen=True)
class CovType:
    """A covariance of a kind of fits.

    Parameters
    ----------
    compute : callable
        ``compute(fitted, **options)`` returns it, over the square of the scale.
    options : mapping
        The options that it takes, with their defaults.
    by_sums : bool
        Whether it is made of what any `AtFit` has, wherever the rows are.
    """

    compute: Callable[..., Array]
    options: Mapping[str, Any] = field(default_factory=dict)
    by_sums: bool = False


BANDWIDTH = {"bandwidth": "hall-sheather"}
# The kernels that quantreg and statsmodels take by default. The Gaussian one, with a
# bandwidth made for another purpose, makes the density too small.
NORMAL = {**BANDWIDTH, "kernel": "gaussian"}
PARABOLA = {**BANDWIDTH, "kernel": "epanechnikov"}
GROUPS: dict[str, Any] = {"groups": None}

SMOOTH: dict[str, CovType] = {
    "H1": CovType(classical.h1, by_sums=True),
    "H2": CovType(classical.h2, by_sums=True),
    "H3": CovType(classical.h3, by_sums=True),
    "XtX": CovType(classical.xtx, by_sums=True),
    "XtWX": CovType(classical.xtwx, by_sums=True),
    "HC0": CovType(sandwich.hc0, by_sums=True),
    "HC1": CovType(sandwich.hc1, by_sums=True),
    "HC2": CovType(sandwich.hc2, by_sums=True),
    "HC3": CovType(sandwich.hc3, by_sums=True),
    "cluster": CovType(sandwich.cluster, GROUPS),
}

MM = "an MM-estimate"
# By what a kind of fits is called in errors.
COV_TYPES: dict[str, dict[str, CovType]] = {
    "a smooth loss": SMOOTH,
    MM: {"avar1": CovType(mm.avar1), **SMOOTH},
    # Its slope jumps, as Talwar's: the Hessian is an estimate, that of a row is none.
    "a loss whose slope jumps": {
        "HC0": CovType(sandwich.hc0),
        "HC1": CovType(sandwich.hc1),
        "cluster": CovType(sandwich.cluster, GROUPS),
    },
    "an absolute loss": {
        "iid": CovType(kinked.iid, BANDWIDTH),
        "nid": CovType(kinked.nid, BANDWIDTH),
        "ker": CovType(kinked.ker, NORMAL),
        "powell": CovType(kinked.ker, PARABOLA),
        "kernel-iid": CovType(kinked.kernel_iid, PARABOLA),
        "kernel-robust": CovType(kinked.kernel_robust, PARABOLA),
        "cluster": CovType(kinked.kinked_cluster, {**PARABOLA, **GROUPS}),
    },
    "a loss with a kink and a curve": {},
}
# The first of them that a kind has is what it takes if none is asked for.
DEFAULTS = ("avar1", "HC1", "powell")
# Of any loss, any penalty and any linear model; and of MM-estimates only.
BOOTSTRAP, FAST_BOOTSTRAP = "bootstrap", "fast-robust-bootstrap"
RESAMPLING = (BOOTSTRAP, FAST_BOOTSTRAP)
EVERY_NAME = dict.fromkeys(chain(*COV_TYPES.values(), RESAMPLING))


def kind_of(estimator: RobustLinearModel, loss: Loss) -> str:
    """Return which covariances a fit has, as a key of `COV_TYPES`."""
    if estimator.starts_from_s:
        return MM
    if loss.facts.piecewise_linear:
        return "an absolute loss"
    if jumps_of(loss):
        return "a loss whose slope jumps"
    return "a smooth loss" if loss.facts.smooth else "a loss with a kink and a curve"


def cov_type_of(kind: str, loss: Loss, asked: str | None, grouped: bool) -> str:
    """Return the covariance that is asked for; refuse one that a kind does not have."""
    default = next((name for name in DEFAULTS if name in COV_TYPES[kind]), "")
    fast = [FAST_BOOTSTRAP] if kind == MM else []
    known = [*COV_TYPES[kind], *fast, BOOTSTRAP]
    chosen = default if asked is None else asked
    if chosen not in known:
        raise ValueError(
            f"cov_type={asked!r} is not for {kind}, such as {loss!r}. "
            f"Use one of {known}."
        )
    return "cluster" if asked is None and grouped else chosen
