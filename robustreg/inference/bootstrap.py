"""The bootstrap: fits of resampled rows, by weights that count them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed

from robustreg.estimators.arrays import problem_of
from robustreg.estimators.base import (
    NoEffectWarning,
    RobustLinearModel,
    ScaleCollapseWarning,
)
from robustreg.estimators.scaled_loss import ScaledLossModel
from robustreg.fitting import Resampling, resampling
from robustreg.inference.algebra import beyond_range
from robustreg.inference.checks import coefficients_of
from robustreg.inference.estimable import (
    Estimable,
    Lacks,
    estimable,
    joined,
    refuse_lost,
    warn_of_lost,
)
from robustreg.rows import Array, Index
from robustreg.rows.base import HELD_ENTRIES
from robustreg.scale import weighted_median

# A fit that predicts otherwise, by this share of a typical deviation, is another's.
FOREIGN_PREDICTION = 1e-4
# Resamples that are drawn and shared out at a time, of few rows, so that processes have
# an equal share of them.
PORTION = 50


@dataclass(frozen=True)
class Plan:
    """How many resamples are drawn, by what, and how many processes fit them."""

    n_resamples: int
    random: np.random.RandomState
    n_jobs: int | None


def check_plan(n_bootstrap: Any, random_state: Any, n_jobs: Any) -> Plan:
    """Return the plan of a bootstrap; refuse numbers that are none of resamples."""
    if not isinstance(n_bootstrap, Integral) or n_bootstrap < 2:
        raise ValueError(
            f"n_bootstrap must be a whole number, at least 2. Got {n_bootstrap!r}."
        )
    if n_jobs is not None and (not isinstance(n_jobs, Integral) or n_jobs == 0):
        raise ValueError(
            "n_jobs must be None or a whole number other than 0; -1 takes all "
            f"processors. Got {n_jobs!r}."
        )
    jobs = None if n_jobs is None else int(n_jobs)
    return Plan(int(n_bootstrap), check_random_state(random_state), jobs)


def check_refit(estimator: Any, X: Any, y: Array, weight: Array) -> None:
    """Refuse data and weights that are not the fit's, by fitting them once more.

    Estimators of other libraries may be random, so that only ours are judged.
    """
    if not isinstance(estimator, RobustLinearModel):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = clone(estimator).fit(X, y, sample_weight=weight)
    fitted, refitted = (X @ m.coef_ + m.intercept_ for m in (estimator, again))
    moved = weighted_median(np.abs(refitted - fitted), weight)
    centre = weighted_median(fitted, weight)
    size = weighted_median(np.abs(fitted - centre) + np.abs(y - fitted), weight)
    if moved > FOREIGN_PREDICTION * size:
        raise ValueError(
            "A fit of this X, y and sample_weight is another one: its predictions "
            f"differ by {moved / size:.2g} of a typical deviation. Pass the data and "
            "the weights of the fit, with the parameters that it had; if they include "
            "random_state=None, give it a number."
        )


@dataclass(frozen=True)
class Resamples:
    """The fits of resampled rows.

    Parameters
    ----------
    draws : ndarray of shape (n_resamples, n_coefs)
        Their coefficients; 0 where the resample is lost.
    lacks : Lacks
        Which are lost, and why.
    n_collapsed, n_warned : int
        In how many fits the scale collapsed, and how many warned of anything.
    """

    draws: Array
    lacks: Lacks
    n_collapsed: int
    n_warned: int

    def kept(self, names: list[str]) -> Array:
        """Return the resamples that have all estimates; say how many do not."""
        refuse_lost(self.lacks, names)
        warn_of_lost(self.lacks, names)
        return self.draws[~self.lacks.lost]


def resampled_coefficients(
    estimator: Any,
    names: list[str],
    X: Any,
    y: Array,
    weight: Array,
    groups: Index | None,
    plan: Plan,
) -> Resamples:
    """Return the fits of resamples.

    X is never copied: a resample is a weight for each row, how often it was drawn. All
    are drawn here, and shared out in portions that do not depend on ``n_jobs``. What
    they lack is looked for before any is fitted, but where fits cost as little.
    """
    whole = estimable(estimator, X, weight)
    fits = _Fits(estimator, X, y, whole, _together(estimator, X, y, weight))
    shared, lacks = Parallel(n_jobs=plan.n_jobs), None
    if whole.rank and fits.together is None:
        state = plan.random.get_state()
        portions = drawn(weight, groups, plan)
        lacks = shared(delayed(fits.lacks)(counts) for counts in portions)
        plan.random.set_state(state)
        refuse_lost(joined(lacks), names)
    found = shared(
        delayed(fits.of)(counts, lack)
        for counts, lack in zip(
            drawn(weight, groups, plan), lacks or repeat(None), strict=False
        )
    )
    return Resamples(
        np.concatenate([some.draws for some in found]),
        joined([some.lacks for some in found]),
        sum(some.n_collapsed for some in found),
        sum(some.n_warned for some in found),
    )


@dataclass(frozen=True)
class _Fits:
    """The fits of some data under weights: together where they can be, or clones."""

    estimator: Any
    X: Any
    y: Array
    whole: Estimable
    together: Resampling | None

    @np.errstate(under="ignore")
    def lacks(self, counts: Array) -> Lacks:
        """Return what resamples lack, before they are fitted."""
        return self.whole.lacks(counts, np.ones(len(counts), dtype=bool))

    @np.errstate(under="ignore")
    def of(self, counts: Array, lacks: Lacks | None) -> Resamples:
        """Return the fits of some resamples, an array of shape (n, n_rows)."""
        draws = np.zeros((len(counts), self.whole.varies.size))
        left = np.ones(len(counts), dtype=bool)
        if self.together is not None:
            found = self.together.fit(counts)
            every = np.column_stack([found.coef, found.intercept])
            draws, left = every[:, : draws.shape[1]], ~found.done
        if lacks is None:
            # What is found together has all estimates.
            lacks = self.whole.lacks(counts, left)
        said: list[set[type[Warning]]] = []
        for i in np.flatnonzero(left & ~lacks.lost):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model = clone(self.estimator).fit(
                    self.X, self.y, sample_weight=counts[i]
                )
            said.append({warning.category for warning in caught} - {NoEffectWarning})
            draws[i] = coefficients_of(model)
        n_collapsed = sum(ScaleCollapseWarning in kinds for kinds in said)
        return Resamples(draws, lacks, n_collapsed, sum(map(bool, said)))


def _together(estimator: Any, X: Any, y: Array, weight: Array) -> Resampling | None:
    """Return how the fits of resamples are found together, None if they are not."""
    if not isinstance(estimator, ScaledLossModel):
        return None
    problem = problem_of(estimator, X, y, weight)
    fitted = estimator.coef_, estimator.intercept_, float(estimator.scale_)
    return resampling(problem, *fitted)


def drawn(weight: Array, groups: Index | None, plan: Plan) -> Iterator[Array]:
    """Yield portions of resamples: how often each row stands in each."""
    size = min(max(HELD_ENTRIES // weight.size, 1), PORTION)
    for start in range(0, plan.n_resamples, size):
        n = min(size, plan.n_resamples - start)
        yield _draw(weight, groups, plan.random, n)


def _draw(
    weight: Array, groups: Index | None, random: np.random.RandomState, n: int
) -> Array:
    """Return how often each row stands in n resamples of rows, or of groups."""
    if groups is None:
        total = float(weight.sum())
        counts = random.multinomial(max(round(total), 1), weight / total, n)
        return np.asarray(counts, dtype=np.float64)
    n_groups = int(groups.max()) + 1
    times = random.multinomial(n_groups, np.full(n_groups, 1 / n_groups), n)
    return np.asarray(weight * times[:, groups])


def covariance_of(draws: Array) -> Array:
    """Return the covariance of the coefficients of resamples."""
    with np.errstate(over="ignore", invalid="ignore"):
        covariance = np.atleast_2d(np.cov(draws, rowvar=False))
    if not np.isfinite(covariance).all():
        raise ValueError(beyond_range("coefficients", float(np.abs(draws).max())))
    return covariance


def by_percentiles(draws: Array, level: float) -> dict[str, Array]:
    """Return bounds and p-values of a table from the coefficients of resamples.

    The p-value is 1 less the level of the interval that ends at 0. So few resamples
    tell none below 2 in one more than they are.
    """
    tail = (1 - level) / 2
    lower, upper = np.quantile(draws, [tail, 1 - tail], axis=0)
    rarer = np.minimum(_share_below_0(draws), _share_below_0(-draws))
    p_value = np.clip(2 * rarer, min(2 / (1 + len(draws)), 1.0), 1.0)
    return {"p_value": p_value, "lower": lower, "upper": upper}


def _share_below_0(draws: Array) -> Array:
    """Return up to which share the quantiles of each column are at most 0.

    Those of `numpy.quantile`, which are linear between one draw and the next.
    """
    ordered, n_below = np.sort(draws, axis=0), (draws <= 0).sum(axis=0)
    last = len(draws) - 1
    each = np.arange(draws.shape[1])
    below = -ordered[np.clip(n_below - 1, 0, last), each]
    above = ordered[np.clip(n_below, 0, last), each]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        between = 1 / (1 + above / below)
    inner = (n_below > 0) & (n_below <= last)
    place = np.where(inner, n_below - 1 + between, np.where(n_below > 0, last, 0))
    return np.asarray(place / max(last, 1))
