"""Where the fits of several quantiles are looked for: near, and among few rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustreg.linalg import FEW_ENTRIES
from robustreg.objective import FAINTEST, Objective
from robustreg.rows import Array, Index, middle_of, representatives
from robustreg.solvers.kinked.active_rows import LEAST_ROWS_PER_PARAM
from robustreg.solvers.many.quantiles.active import Active, solved
from robustreg.solvers.many.quantiles.sides import Corners, Sides, within
from robustreg.solvers.sampling import Sampling

# As for a single fit, but that more rows are solved as they are: what that costs in
# Python is shared.
SAMPLING = Sampling(few=4_000)
# Entries of rows that are solved as they are, where no sample stands for them.
MOST_AT_ONCE = 10 * FEW_ENTRIES
# Steps to nearly the median, and the rows that it is of, at least. Parabolas of the
# nearest share of these are no steeper than that of the last one.
MEDIAN_STEPS, LEAST_AFAR, TOUCHED = 3, 500, 0.1
# Errors are measured by shares of the rows: those between the kink and where it is to
# be. Where nearly the median was moved to a level the error is taken for the first, at
# the median, and for less at other levels; and for no more than the second anywhere.
AFAR, MOST_SHARE = 0.15, 0.25
# Newton steps at most, and the share of its length that a step leaves at least. One
# longer than the error times the third says that its loss was too narrow; one that
# leaves more of the error than the last share is the last.
MOST_NEWTON, LEAST_LEFT, LOST, WORTH = 10, 0.15, 2.0, 0.8
# Rows this many errors away are taken to keep their side: of a step by a sample's
# Hessian, and of steps by their own, which estimate errors more safely. In another
# round errors are taken to be larger by the last factor.
BAND, OWN_BAND, WIDER = 4.0, 2.5, 4.0


@dataclass(frozen=True)
class Near:
    """Params near k optima, and the rows that may cross.

    Parameters
    ----------
    params : ndarray of shape (k, n_params)
        Where.
    share, surely : ndarray of shape (k,)
        What share of the rows lies between there and the optimum, and what that was
        when others were taken to keep their side.
    error : ndarray of shape (k,)
        By about how much predictions are off.
    active : Active or None
        The rows that may cross, None if they are to be looked for.
    """

    params: Array
    share: Array
    surely: Array
    error: Array
    active: Active | None

    def wider(self, corners: Corners) -> Near:
        """Return where to look again: around vertices, if there are any, and wider."""
        found = corners.basis[:, :1] >= 0
        params = np.where(found, corners.params, self.params)
        share = np.minimum(np.maximum(WIDER * self.share, self.surely), 1.0)
        error = self.error * share / self.share
        return Near(params, share, share, error, None)

    def of(self, which: Index) -> Near:
        """Return where some of the fits are, of which the rows are to be looked for."""
        return Near(
            self.params[which],
            self.share[which],
            self.surely[which],
            self.error[which],
            None,
        )


def near_optimum(sides: Sides) -> Near | None:
    """Return where fits are looked for: of many rows, near those of a sample.

    None if rows are many of which no sample stands for all, or too few for a vertex.
    """
    objective, levels = sides.objective, sides.levels
    deviation = np.sqrt(levels * (1 - levels))
    share = 2 * AFAR * deviation
    drawn = None if SAMPLING.has_few(objective) else SAMPLING.draw_kinked(objective)
    if drawn is None:
        n, p = objective.rows.n_rows, objective.n_params
        if n * p > MOST_AT_ONCE or n < sides.used.size:
            return None
        every, start = sides.every(), _afar(objective, levels)
        params, share, _ = _narrowed(every, sides, start, share, np.zeros_like(share))
        return _nearest(every, sides, params, share, share)
    few, start = Sides(drawn.objective, levels), _afar(drawn.objective, levels)
    # By how much a sample's fit is off.
    off = deviation * np.sqrt(few.used.size / few.rows.n_rows)
    found = _narrowed(few.every(), few, start, share, off)
    params, share = _of_all_rows(sides, few, *found)
    width = within(objective, params, np.minimum(2 * BAND * share, 1.0))
    some = sides.around(params, width)
    params, nearer, _ = _narrowed(some, sides, params, share, np.zeros_like(share))
    return _nearest(some, sides, params, nearer, share)


def _of_all_rows(
    sides: Sides, few: Sides, params: Array, share: Array, hessian: Array
) -> tuple[Array, Array]:
    """Return params of a sample after a step towards those of all rows."""
    # Of the sample's fit, and of that of all rows from it.
    share = np.sqrt(2) * share
    width = within(few.objective, params, np.minimum(4 * share, 1.0))
    force = sides.force_of_smooth(params, width)
    moved, n = params.copy(), sides.rows.n_rows
    moved[:, sides.used] += solved(hessian, force[:, sides.used])
    left = _left(share, n, few.rows.n_rows, sides.used.size)
    return moved, np.minimum(left, share)


def _left(share: Array, n_rows: int, of_step: int, n_params: int) -> Array:
    """Return by how much a smooth loss's fit is off after a step from some error.

    The loss is two errors wide. There are noise of the slopes of rows within that, bias
    of a density that changes, and noise of the step, whose Hessian has rows of its own.
    """
    noise = np.sqrt(n_params * share / (3 * n_rows)) + 2 * share**2 / 3
    return np.asarray(noise + np.sqrt(n_params * share / (4 * of_step)))


def active_rows(sides: Sides, near: Near) -> Active:
    """Return the rows that may cross, all others held on their side."""
    if near.active is not None:
        return near.active
    share = _kept_share(sides, BAND * near.share)
    if (share >= 1).all():
        return sides.every()
    return sides.around(near.params, within(sides.objective, near.params, share))


def _kept_share(sides: Sides, band: Array) -> Array:
    """Return the share of rows that may cross, given how far off in shares."""
    least = LEAST_ROWS_PER_PARAM * sides.objective.n_params / sides.rows.n_rows
    return np.clip(2 * band, least, 1.0)


def _nearest(
    some: Active, sides: Sides, params: Array, share: Array, surely: Array
) -> Near:
    """Return where steps have led, with the rows nearest to the kinks there."""
    n, inner = sides.rows.n_rows, params[:, sides.used]
    count = int(np.ceil(n * _kept_share(sides, OWN_BAND * share).max()))
    active = some.nearest(inner, count)
    return Near(params, share, surely, active.reach(inner, 2 * share * n), active)


def _narrowed(
    active: Active, sides: Sides, params: Array, share: Array, goal: Array
) -> tuple[Array, Array, Array]:
    """Return params after Newton steps of ever narrower losses, and what they are off.

    And the last Hessians. Errors below the goal are as good as the goal.
    """
    n, used, params = sides.rows.n_rows, sides.used, params.copy()
    residual = active.residual(params[:, used])
    for _ in range(MOST_NEWTON):
        step, hessian = active.newton(residual, 4 * share * n)
        params[:, used] += step
        above, residual = residual > 0, active.residual(params[:, used])
        moved = np.count_nonzero((residual > 0) != above, axis=1) / n
        left = np.maximum(_left(share, n, n, used.size), LEAST_LEFT * moved)
        left = np.maximum(np.where(moved > LOST * share, moved, left), goal)
        worth = (left < WORTH * share) | (left > share)
        share = np.minimum(left, MOST_SHARE)
        if not worth.any():
            break
    return params, share, hessian


def _afar(objective: Objective, levels: Array) -> Array:
    """Return nearly the median, moved to each level."""
    size = max(LEAST_AFAR, SAMPLING.per_param * objective.n_params)
    rows, weight = representatives(objective.weight, size)
    design, target = objective.rows.dense(rows), objective.target[rows]
    objective.rows.passes += rows.size / objective.rows.n_rows
    median = _nearly_median(design, target, weight)
    params = np.tile(median, (levels.size, 1))
    residual = target - design @ median
    params[:, -1] += (
        objective.rows.standard.constant
        * np.sort(residual)[(levels * residual.size).astype(np.intp)]
    )
    return params


def _nearly_median(design: Array, target: Array, weight: Array) -> Array:
    """Return params after a few minima of parabolas above the absolute residuals [1]_.

    Wherever they start, and however far some rows are, they lead down.

    References
    ----------
    .. [1] Hunter, D. R., Lange, K. (2000). Quantile regression via an MM algorithm.
       Journal of Computational and Graphical Statistics 9, 60-77.
    """
    params = np.zeros(design.shape[1])
    params[-1] = middle_of(target) * bool(design[0, -1])
    touched = int(TOUCHED * target.size)
    for _ in range(MEDIAN_STEPS):
        residual = target - design @ params
        size = np.abs(residual)
        size += max(float(np.partition(size, touched)[touched]), FAINTEST)
        gram = (design.T * (weight / size)) @ design
        force = (weight * residual / size) @ design
        params = params + solved(gram[None], force[None])[0]
    return params
