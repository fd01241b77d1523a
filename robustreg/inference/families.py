"""The covariances by name, for each kind of loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from robustreg.inference import classical, kinked, mm, sandwich
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

COV_TYPES: dict[str, dict[str, CovType]] = {
    "smooth": SMOOTH,
    "MM": {"avar1": CovType(mm.avar1), **SMOOTH},
    # Its slope jumps, as Talwar's: the Hessian is an estimate, that of a row is none.
    "jumping": {
        "HC0": CovType(sandwich.hc0),
        "HC1": CovType(sandwich.hc1),
        "cluster": CovType(sandwich.cluster, GROUPS),
    },
    "kinked": {
        "iid": CovType(kinked.iid, BANDWIDTH),
        "nid": CovType(kinked.nid, BANDWIDTH),
        "ker": CovType(kinked.ker, NORMAL),
        "powell": CovType(kinked.ker, PARABOLA),
        "kernel-iid": CovType(kinked.kernel_iid, PARABOLA),
        "kernel-robust": CovType(kinked.kernel_robust, PARABOLA),
        "cluster": CovType(kinked.kinked_cluster, {**PARABOLA, **GROUPS}),
    },
    "other": {},
}
# What a kind is called in errors.
KINDS = {
    "smooth": "a smooth loss",
    "MM": "an MM-estimate",
    "jumping": "a loss whose slope jumps",
    "kinked": "an absolute loss",
    "other": "a loss with a kink and a curve",
}
# Of any loss, any penalty and any linear model; and of MM-estimates only.
BOOTSTRAP, FAST_BOOTSTRAP = "bootstrap", "fast-robust-bootstrap"
RESAMPLING = (BOOTSTRAP, FAST_BOOTSTRAP)
DEFAULTS = {
    "smooth": "HC1",
    "MM": "avar1",
    "jumping": "HC1",
    "kinked": "powell",
}
EVERY_NAME = {name: None for kind in [*COV_TYPES.values(), RESAMPLING] for name in kind}


def names_of(kind: str) -> list[str]:
    """Return the covariances of a kind of fits, those by resamples last."""
    fast = [FAST_BOOTSTRAP] if kind == "MM" else []
    return [*COV_TYPES[kind], *fast, BOOTSTRAP]
