"""Local minima of the scale that tie, and the exchanges of rows that lead to others.

Where the dummies of a group are its own, and all rows of it but one are rejected, the
one is fitted exactly, whichever it is. The scale is then the same for each of them, but
the efficient fit that starts there is not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.linalg

from robustreg.breakdown.central import norms
from robustreg.breakdown.cloud import Cloud
from robustreg.breakdown.m_scale import SCriterion
from robustreg.breakdown.polish import SPoint, polished
from robustreg.linalg import SAME, SUM_ERROR
from robustreg.rows import Array, Rows

# Minima that are compared at most; each costs a search of its own.
MOST_MINIMA = 64


def different(ends: list[SPoint], weight: Array, criterion: SCriterion) -> list[SPoint]:
    """Return local minima, the least scale first, each of them once.

    Of scales that are equal but for rounding those that miss fewer rows, then the
    smaller params come first.
    """
    least = min(end.scale for end in ends)

    def order(end: SPoint) -> tuple[float, float, float]:
        steps = np.round(np.log(end.scale / least) / SUM_ERROR)
        return (
            float(steps),
            _missed(end, weight, criterion),
            float(end.params @ end.params),
        )

    found: list[SPoint] = []
    for end in sorted(ends, key=order):
        if not any(_same(end, other) for other in found):
            found.append(end)
    return found


def tied(ends: list[SPoint], weight: Array, criterion: SCriterion) -> list[SPoint]:
    """Return the first of `different` minima and those that are as good."""
    scale, missed = ends[0].scale, _missed(ends[0], weight, criterion)
    return [
        end
        for end in ends
        if end.scale <= scale * (1 + SUM_ERROR)
        and _missed(end, weight, criterion) == missed
    ]


def exchanged(
    rows: Rows, cloud: Cloud, criterion: SCriterion, ends: list[SPoint]
) -> list[SPoint]:
    """Return minima of a complete cloud, and those that exchanges of rows lead to.

    Only exchanges that leave the scale as small as the least are followed. Ends are
    those of `different`, in the coordinates of the cloud, whose design the rows are.
    """
    found, queue = list(ends), tied(ends, cloud.weight, criterion)
    while queue and len(found) < MOST_MINIMA:
        for params in _exchanges(cloud, queue.pop(0), criterion):
            if len(found) >= MOST_MINIMA:
                break
            new = polished(rows, cloud.target, cloud.weight, criterion, params)
            as_good = new.scale <= found[0].scale * (1 + SUM_ERROR)
            if as_good and not any(_same(new, other) for other in found):
                found.append(new)
                queue.append(new)
    return different(found, cloud.weight, criterion)


def _exchanges(cloud: Cloud, point: SPoint, criterion: SCriterion) -> Iterator[Array]:
    """Yield params that fit a rejected row in place of one that holds a direction.

    Equal rows are one, so that repeating a row is the same as giving it weight.
    """
    _, first = np.unique(
        np.column_stack([cloud.design, cloud.target]), axis=0, return_index=True
    )
    design, residual = cloud.design[first], point.residual[first]
    counted = np.abs(residual) < criterion.constant * point.scale
    kept, rejected = design[counted], design[~counted]
    if len(kept) < kept.shape[1] or point.scale <= criterion.floor:
        return
    basis, root = scipy.linalg.qr(kept, mode="economic")
    if not np.diagonal(root).all():
        return
    # A row of leverage 1 holds a direction alone.
    for row in np.flatnonzero((basis**2).sum(axis=1) > 1 - SUM_ERROR):
        direction = scipy.linalg.solve_triangular(root, basis[row])
        reach = rejected @ direction
        # Of rows that do not extend in the direction, a rounding error is all there is.
        largest = norms(rejected) * np.linalg.norm(direction)
        for other in np.flatnonzero(np.abs(reach) > SAME * largest):
            yield point.params + residual[~counted][other] / reach[other] * direction


def _missed(end: SPoint, weight: Array, criterion: SCriterion) -> float:
    """Return the mean loss at a point's scale, without its rounding errors."""
    missed = criterion.missed(end.residual[None], weight, np.array([end.scale]))[0]
    return float(np.round(missed / SUM_ERROR))


def _same(one: SPoint, other: SPoint) -> bool:
    """Return whether two points are the same fit."""
    gap = np.abs(one.params - other.params).max(initial=0.0)
    return bool(gap <= SAME * np.abs(one.params).max(initial=0.0))
