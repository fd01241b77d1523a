"""The S-estimate of regression: the fit whose residuals have the smallest M-scale."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from robustreg.breakdown.cloud import make_cloud
from robustreg.breakdown.m_scale import SCriterion
from robustreg.breakdown.polish import polished
from robustreg.breakdown.search import Search, Tell, best_candidates
from robustreg.breakdown.ties import different, exchanged, tied
from robustreg.linalg import SUM_ERROR
from robustreg.rows import Array, FormedRows, Rows


@dataclass(frozen=True)
class SEstimate:
    """The fit with the smallest M-scale that was found, collapsed if at the floor.

    In standardised coordinates and the units of the target; ``tied`` are the params of
    other minima that are as good but for rounding.
    """

    params: Array
    scale: float
    collapsed: bool
    tied: tuple[Array, ...] = ()


def s_estimate(
    rows: Rows,
    target: Array,
    weight: Array,
    search: Search,
    floor: float,
    tell: Tell | None = None,
) -> SEstimate:
    """Return the S-estimate [1]_ by fast-S [2]_.

    Minimises s over params, where s solves ``sum_i w_i rho(r_i / s) = breakdown *
    (sum(w) - rank)`` with Tukey's rho of supremum 1. Every subset of rows gives the
    candidate that fits it exactly. All candidates are refined by reweighted least
    squares, the best few to convergence. Of many rows a sample finds the candidates,
    and all rows refine them.

    Rows are the standardised design, targets near 0, and weights count rows. A scale
    below the floor counts as 0.

    References
    ----------
    .. [1] Rousseeuw, P. J., Yohai, V. J. (1984). Robust regression by means of
       S-estimators. Lecture Notes in Statistics 26, 256-272. Springer.
    .. [2] Salibian-Barrera, M., Yohai, V. J. (2006). A fast algorithm for S-regression
       estimates. Journal of Computational and Graphical Statistics 15, 414-427.
    """
    cloud = make_cloud(rows, target, weight, search.most_rows)
    total, rank = float(weight.sum()), cloud.design.shape[1]
    share = search.breakdown * (1 - rank / total)
    if rank >= np.count_nonzero(weight) or share <= SUM_ERROR:
        # The params that fit as many rows as there are coordinates.
        coords = np.linalg.lstsq(cloud.design, cloud.target, rcond=None)[0]
        return SEstimate(cloud.matrix @ coords, floor, True)
    criterion = SCriterion(search.constant, share, floor)
    if not rank:
        scale = criterion.scale(target, weight / total)
        return SEstimate(np.zeros(rows.n_params), scale, scale <= floor)
    coords = best_candidates(cloud, criterion, search, tell)
    formed = FormedRows(cloud.design, rows.standard)
    local = [
        polished(formed, cloud.target, cloud.weight, criterion, start)
        for start in coords
    ]
    ends = different(local, cloud.weight, criterion)
    if cloud.complete:
        ends = exchanged(formed, cloud, criterion, ends)
        ends = tied(ends, cloud.weight, criterion)
    ends = [replace(end, params=cloud.matrix @ end.params) for end in ends]
    if not cloud.complete:
        share = weight / total
        ends = [polished(rows, target, share, criterion, end.params) for end in ends]
        ends = tied(different(ends, share, criterion), share, criterion)
    (params, *others), scale = [end.params for end in ends], ends[0].scale
    return SEstimate(params, scale, scale <= floor, tuple(others))


def collapses(weight: Array, exact: Array, rank: int, breakdown: float) -> bool:
    """Return whether the M-scale is 0 where some rows are fitted exactly.

    ``exact`` has the weights of these, which count rows, and is 0 for the others.
    """
    total = float(weight.sum())
    return bool(total - exact.sum() <= breakdown * (total - rank))
