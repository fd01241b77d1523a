"""The bootstrap: fits of resampled rows, by weights that count them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed

from robustreg.estimators.base import RobustLinearModel, rows_of
from robustreg.estimators.scaled_loss import ScaledLossModel, problem_of
from robustreg.fitting import Resampling, resampling
from robustreg.inference.checks import coefficients_of, is_penalised
from robustreg.rows import Array, Index
from robustreg.scale import weighted_median

# A fit that predicts otherwise, by this share of a typical deviation, is another's.
FOREIGN_PREDICTION = 1e-4
# With more resamples lost than this share, those left say too little.
MOST_LOST = 0.5
# Resamples are drawn, and shared out, so many at a time, or with so many weights.
PORTION, MOST_DRAWN = 50, 2**19


@dataclass(frozen=True)
class Plan:
    """How many resamples are drawn, by what, and how many processes fit them.

    Parameters
    ----------
    n_resamples : int
        How many.
    random : RandomState
        Draws them.
    n_jobs : int or None
        As `coef_table` documents it.
    """

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
        Their coefficients.
    absent : ndarray of bool of shape (n_resamples, n_coefs)
        Coefficients of columns that vary, but not in the resample: 0, and no estimate.
        None in fits with a penalty, which has an estimate for every column, and in
        those of other libraries.
    n_warned : int
        How many fits warned.
    """

    draws: Array
    absent: NDArray[np.bool_]
    n_warned: int


def resampled_coefficients(
    estimator: Any, X: Any, y: Array, weight: Array, groups: Index | None, plan: Plan
) -> Resamples:
    """Return the fits of resamples.

    X is never copied: a resample is a weight for each row, how often it was drawn. All
    are drawn here, and shared out in portions that do not depend on ``n_jobs``.
    """
    estimable = _estimable(estimator, X, weight)
    fits = _Fits(estimator, X, y, estimable, _together(estimator, X, y, weight))
    portions = Parallel(n_jobs=plan.n_jobs)(
        delayed(fits.of)(counts) for counts in _drawn(weight, groups, plan)
    )
    return Resamples(
        np.concatenate([found.draws for found in portions]),
        np.concatenate([found.absent for found in portions]),
        sum(found.n_warned for found in portions),
    )


@dataclass(frozen=True)
class _Fits:
    """The fits of some data under weights: together where they can be, or clones.

    Parameters
    ----------
    estimator, X, y
        What is fitted to what.
    estimable : ndarray of bool of shape (n_coefs,)
        Coefficients that have no estimate but by a column that varies.
    together : Resampling or None
        How fits are found together.
    """

    estimator: Any
    X: Any
    y: Array
    estimable: NDArray[np.bool_]
    together: Resampling | None

    @np.errstate(under="ignore")
    def of(self, counts: Array) -> Resamples:
        """Return the fits of some resamples, an array of shape (n, n_rows)."""
        shape, warned = (len(counts), self.estimable.size), 0
        draws, absent = np.zeros(shape), np.zeros(shape, dtype=bool)
        left = np.ones(len(counts), dtype=bool)
        if self.together is not None:
            found = self.together.fit(counts)
            every = np.column_stack([found.coef, found.intercept])
            draws, left = every[:, : shape[1]], ~found.done
        for i in np.flatnonzero(left):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model = clone(self.estimator).fit(
                    self.X, self.y, sample_weight=counts[i]
                )
            warned += bool(caught)
            draws[i] = coefficients_of(model)
            absent[i] = _absent(model, self.X, counts[i], self.estimable)
        return Resamples(draws, absent, warned)


def _together(estimator: Any, X: Any, y: Array, weight: Array) -> Resampling | None:
    """Return how the fits of resamples are found together, None if they are not."""
    if not isinstance(estimator, ScaledLossModel):
        return None
    problem = problem_of(estimator, X, y, weight)
    fitted = estimator.coef_, estimator.intercept_, float(estimator.scale_)
    return resampling(problem, *fitted)


def _estimable(model: Any, X: Any, weight: Array) -> NDArray[np.bool_]:
    """Return which coefficients have no estimate but by a column that varies.

    With a penalty, and in other libraries, those of constant columns have one as well.
    """
    n_coefs = coefficients_of(model).size
    if not isinstance(model, RobustLinearModel) or is_penalised(model):
        return np.zeros(n_coefs, dtype=bool)
    return np.asarray(rows_of(model, X, weight).varies[:n_coefs])


def _absent(
    model: Any, X: Any, counts: Array, estimable: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which of these coefficients have no estimate in a resample.

    They are 0, but so are some that have one: of an absolute loss where y has ties.
    """
    zero = (coefficients_of(model) == 0) & estimable
    return zero & ~_estimable(model, X, counts) if zero.any() else zero


def _drawn(weight: Array, groups: Index | None, plan: Plan) -> Iterator[Array]:
    """Yield portions of resamples: how often each row stands in each."""
    size = min(max(MOST_DRAWN // weight.size, 1), PORTION)
    for start in range(0, plan.n_resamples, size):
        n = min(size, plan.n_resamples - start)
        yield np.array([_draw(weight, groups, plan.random) for _ in range(n)])


def _draw(weight: Array, groups: Index | None, random: np.random.RandomState) -> Array:
    """Return how often each row stands in a resample of rows, or of groups."""
    if groups is None:
        total = float(weight.sum())
        counts = random.multinomial(max(round(total), 1), weight / total)
        return np.asarray(counts, dtype=np.float64)
    n_groups = int(groups.max()) + 1
    times = random.multinomial(n_groups, np.full(n_groups, 1 / n_groups))
    return np.asarray(weight * times[groups])


def without_lost(found: Resamples, names: list[str]) -> Array:
    """Return the resamples in which every column varies; say how many do not."""
    draws, absent = found.draws, found.absent
    lost = absent.any(axis=1)
    if not lost.any():
        return draws
    named = ", ".join(names[j] for j in np.flatnonzero(absent.any(axis=0))[:10])
    message = (
        f"In {lost.sum()} of {len(draws)} resamples some of the columns {named} are "
        "constant, so that their coefficients have no estimate."
    )
    if lost.mean() > MOST_LOST:
        raise ValueError(f"{message} Drop these columns, or choose another cov_type.")
    warnings.warn(
        f"{message} These resamples are left out. Prefer another cov_type for "
        "columns that so few rows have.",
        RuntimeWarning,
        stacklevel=5,
    )
    return draws[~lost]


def covariance_of(draws: Array) -> Array:
    """Return the covariance of the coefficients of resamples."""
    with np.errstate(over="ignore", invalid="ignore"):
        covariance = np.atleast_2d(np.cov(draws, rowvar=False))
    if not np.isfinite(covariance).all():
        size = float(np.abs(draws).max())
        raise ValueError(
            "The covariance is beyond the range of float64: it has units of y^2, and "
            f"coefficients are of size {size:.3g}. Divide y by {size:.0e}, and fit "
            "again."
        )
    return covariance
