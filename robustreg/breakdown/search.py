"""The search for an S-estimate: candidates that are refined, and the best of them.

All candidates make a few steps of reweighted least squares, the best more [1]_.

References
----------
.. [1] Salibian-Barrera, M., Yohai, V. J. (2006). A fast algorithm for S-regression
   estimates. Journal of Computational and Graphical Statistics 15, 414-427.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustreg.breakdown.central import NOT_ZERO
from robustreg.breakdown.cloud import Cloud
from robustreg.breakdown.m_scale import SCriterion, tukey_weight
from robustreg.breakdown.subsets import nonsingular_subsets
from robustreg.fitting.estimated import ROUGH_RTOL
from robustreg.linalg import ABSENT, FAINT, SAME, SUM_ERROR
from robustreg.rows import FORMED_ENTRIES, Array, stretches
from robustreg.rows.base import HELD_ENTRIES
from robustreg.scale import weighted_median

# Rounds of refinement: how many steps each candidate makes, and how many of the best go
# on. Most of the time is the first round's, in which every subset takes part.
TOURNAMENT = ((1, 100), (2, 30), (10, 5))
# Steps of reweighting from least squares to nearly least absolute deviations.
L1_STEPS = 20
# Residuals of candidates refined together, and candidates at least: in smaller
# portions products of matrices cost a fifth more.
PORTION, LEAST_PORTION = FORMED_ENTRIES, 10
# The least number of candidates whose residuals are held at once is the default of
# subsets: one batch of them.
LEAST_AT_ONCE = 500


# Is told the params of the best candidate so far; returns whether to search no more.
Tell = Callable[[Array], bool]
# Returns what a function makes of each portion, in order.
Each = Callable[[Callable[[Array], Any], Sequence[Array]], list[Any]]


def one_by_one(
    function: Callable[[Array], Any], portions: Sequence[Array]
) -> list[Any]:
    """Return what a function makes of each portion, one after the other."""
    return [function(portion) for portion in portions]


@dataclass(frozen=True)
class Search:
    """Which S-estimate is looked for, and how.

    Parameters
    ----------
    constant : float
        Of Tukey's loss; `tukey_for_breakdown` makes the scale consistent.
    breakdown : float
        Share of rows that may be wrong, in (0, 0.5].
    n_subsets : int
        How many subsets are drawn. With 0 the search starts from the rows that are
        central in X, and its answer is a local minimum.
    seed : int
        Of the random numbers that draw them, the same for each target.
    each : callable
        ``each(function, portions)``, perhaps by several processors.
    most_rows : int
        Of more rows, or of more than `ROWS_A_PARAM` a param, half as many find the
        candidates: each costs a residual of every candidate, and a sample need only
        find a valley.
    """

    constant: float
    breakdown: float
    n_subsets: int
    seed: int
    each: Each = one_by_one
    most_rows: int = 4000


@dataclass(frozen=True)
class _Ranked:
    """Candidates and what they are ranked by: scales, then mean losses there."""

    coords: Array
    scales: Array
    missed: Array


def best_candidates(
    cloud: Cloud, criterion: SCriterion, search: Search, tell: Tell | None
) -> Array:
    """Return the coordinates of the best few candidates."""
    (steps, kept), *rounds = TOURNAMENT
    best = _Ranked(np.empty((0, cloud.design.shape[1])), np.empty(0), np.empty(0))
    for coords in _candidates(cloud, search):
        worst = best.coords[-1:] if len(best.scales) == kept else best.coords[:0]
        news = _refined_each(cloud, criterion, coords, steps, worst, search.each)
        best = _winners([best, *news], kept)
        if tell is None or not len(best.coords):
            continue
        if tell(cloud.matrix @ best.coords[0]):
            break
    for steps, kept in rounds:
        none = best.coords[:0]
        news = _refined_each(cloud, criterion, best.coords, steps, none, search.each)
        best = _winners(news, kept)
    return best.coords


def _refined_each(
    cloud: Cloud,
    criterion: SCriterion,
    coords: Array,
    steps: int,
    worst: Array,
    each: Each,
) -> list[_Ranked]:
    """Return refined candidates, by portions that do not depend on who makes them."""
    size = max(LEAST_PORTION, PORTION // len(cloud.design))
    portions = [coords[place] for place in stretches(len(coords), size)]
    return each(partial(_ranked, cloud, criterion, steps, worst), portions)


def _ranked(
    cloud: Cloud, criterion: SCriterion, steps: int, worst: Array, coords: Array
) -> _Ranked:
    """Return candidates after some steps, without those that lose to the worst."""
    coords = _refined(cloud, coords, criterion, steps)
    if len(worst):
        coords = _rivals(cloud, criterion, coords, worst)
    residual = cloud.target - coords @ cloud.design.T
    scales = criterion.scales(residual, cloud.weight, ROUGH_RTOL**2)
    return _Ranked(coords, scales, criterion.missed(residual, cloud.weight, scales))


def _rivals(cloud: Cloud, criterion: SCriterion, coords: Array, worst: Array) -> Array:
    """Return the candidates whose scale is no larger than that of the worst winner.

    Their mean loss at its scale tells, without their own [1]_.

    References
    ----------
    .. [1] Salibian-Barrera, M., Yohai, V. J. (2006), section 2; as in the module.
    """
    residual = cloud.target - np.vstack([worst, coords]) @ cloud.design.T
    scale = criterion.scales(residual[:1], cloud.weight, ROUGH_RTOL**2)
    mean = criterion.missed(residual[1:], cloud.weight, np.repeat(scale, len(coords)))
    return coords[mean <= criterion.share]


def _winners(ranked: list[_Ranked], most: int) -> _Ranked:
    """Return the candidates of smallest scale, those that became one only once."""
    coords = np.vstack([part.coords for part in ranked])
    scales = np.concatenate([part.scales for part in ranked])
    missed = np.concatenate([part.missed for part in ranked])
    order = np.lexsort((np.round(missed / SUM_ERROR), scales))
    order = order[np.isfinite(coords[order]).all(axis=1)]
    values, best = scales[order], coords[order]
    near = np.abs(np.diff(values)) <= SUM_ERROR * values[1:]
    close = np.abs(np.diff(best, axis=0)).max(axis=1)
    near &= close <= SAME * np.abs(best[1:]).max(axis=1)
    order = order[np.append(True, ~near)][:most]
    return _Ranked(coords[order], scales[order], missed[order])


def _candidates(cloud: Cloud, search: Search) -> Iterator[Array]:
    """Yield the coordinates that the search starts from, no more than memory holds.

    Without subsets those of the central rows only: a fit of all rows might lead into
    a valley that far rows have made, and its scale might be smaller.
    """
    if not search.n_subsets:
        yield _by_reweighting(cloud, cloud.central)
        return
    side = max(LEAST_AT_ONCE, HELD_ENTRIES // len(cloud.design))
    rng = np.random.default_rng(search.seed)
    for first in range(0, search.n_subsets, side):
        yield _exact_fits(cloud, min(side, search.n_subsets - first), rng)
    distance = np.linalg.norm(cloud.design, axis=1)
    nearest = distance <= weighted_median(distance, cloud.weight) * (1 + SUM_ERROR)
    halves = np.vstack([np.ones_like(nearest), nearest, cloud.central])
    yield _by_reweighting(cloud, halves)


def _exact_fits(cloud: Cloud, n_subsets: int, rng: np.random.Generator) -> Array:
    """Return the fits of random subsets, once of each that is drawn."""
    drawn = nonsingular_subsets(cloud.directions, cloud.weight, n_subsets, rng)
    _, first = np.unique(np.sort(drawn, axis=1), axis=0, return_index=True)
    subsets = drawn[np.sort(first)]
    size = np.linalg.norm(cloud.design[subsets], axis=2)
    left = cloud.design[subsets] / size[:, :, None]
    exact = np.linalg.solve(left, (cloud.target[subsets] / size)[:, :, None])
    return np.asarray(exact[:, :, 0])


def _by_reweighting(cloud: Cloud, parts: NDArray[np.bool_]) -> Array:
    """Return least squares and nearly the L1 fit of each part of the rows.

    In a part that is central, far rows have no say. Where columns are so many that no
    subset is without a wrong row, these are.
    """
    counted = cloud.weight * parts
    coords, found = np.zeros((len(parts), cloud.design.shape[1])), []
    for step in range(L1_STEPS):
        residual = cloud.target - coords @ cloud.design.T
        size = np.abs(residual)
        least = FAINT * (size * parts).max(axis=1, keepdims=True) + NOT_ZERO
        pull = 1 / np.maximum(size, least) if step else np.ones_like(size)
        coords = coords + _steps(cloud, counted * pull, residual)
        found.append(coords)
    return np.vstack([found[0], found[-1]])


def _refined(cloud: Cloud, coords: Array, criterion: SCriterion, steps: int) -> Array:
    """Return candidates after steps of reweighted least squares at their scale [1]_.

    None of the steps makes a scale larger.

    References
    ----------
    .. [1] Salibian-Barrera, M., Yohai, V. J. (2006), lemma 1; as in the module.
    """
    for _ in range(steps):
        residual = cloud.target - coords @ cloud.design.T
        scales = criterion.scales(residual, cloud.weight, ROUGH_RTOL)
        width = scales * criterion.constant
        pull = cloud.weight * tukey_weight(residual, width[:, None])
        coords = coords + _steps(cloud, pull, residual)
    return coords


def _steps(cloud: Cloud, pull: Array, residual: Array) -> Array:
    """Return each candidate's step to its weighted least squares fit."""
    gram = cloud.grams(pull)
    diagonal = np.einsum("kii->ki", gram)
    # A direction without rows stays as it is.
    diagonal += ABSENT * diagonal.max(axis=1, keepdims=True) + NOT_ZERO
    right = (pull * residual) @ cloud.design
    return np.asarray(np.linalg.solve(gram, right[:, :, None])[:, :, 0])
