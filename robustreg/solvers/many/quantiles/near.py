"""Where the fits of several quantiles are looked for: near, and among few rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustreg.linalg import FEW_ENTRIES
from robustreg.objective import FAINTEST, Objective
from robustreg.rows import Array, Index
from robustreg.solvers.many.interior_points import near_optima
from robustreg.solvers.many.kinks import FittedRows, Kinks, OwnRows, SharedRows
from robustreg.solvers.many.quantiles.sides import Pull, Sides, within
from robustreg.solvers.sampling import Sampling

# The share of the objective that interior points of a sample are from its optimum: less
# than what its rows leave open.
ROUGHLY = 1e-2
# As for a single fit, but that more rows are solved as they are: what that costs in
# Python is shared.
SAMPLING = Sampling(few=4_000)
# Entries of rows that are solved as they are, where no sample stands for them.
MOST_AT_ONCE = 10 * FEW_ENTRIES
# Steps to nearly the median, the share of rows nearer than where their parabolas are
# cut off, and how wide interior points start from there in typical residuals.
MAJORISED, TOUCHED, START_WIDTH = 3, 0.1, 0.3
# Rows this many errors of a near fit away from the kink are taken to keep their side,
# and the fewest rows for each param that are not; in another round, this many times as
# many.
BAND, LEAST_ACTIVE, WIDER = 4.0, 6, 4.0
# The share of its trace that lets a Gram matrix of dependent columns have a factor.
FAINT_RIDGE = 1e-12


@dataclass(frozen=True)
class Near:
    """Params near k optima, what shares of the rows may cross, and typical errors."""

    params: Array
    share: Array
    error: Array

    def wider(self) -> Near:
        """Return the same params, taken to be farther off."""
        share = np.minimum(WIDER * self.share, 1.0)
        return Near(self.params, share, WIDER * self.error)


@dataclass(frozen=True)
class Active:
    """Rows of k fits that may cross: their places, -1 for none, and what they cost."""

    places: Index
    kinks: Kinks


def near_optimum(sides: Sides, max_iter: int) -> Near | None:
    """Return where fits start: of few rows near the median, of more near a sample's.

    None if rows are many of which no sample stands for all.
    """
    objective, levels = sides.objective, sides.levels
    drawn = None if SAMPLING.has_few(objective) else SAMPLING.draw_kinked(objective)
    if drawn is None:
        few_entries = objective.rows.n_rows * objective.n_params <= MOST_AT_ONCE
        return _afar(objective, levels) if few_entries else None
    few = Sides.of_all(drawn.objective, levels)
    start = near_optimum(few, max_iter)
    if start is None:
        return None
    before = _inner(few, start, ROUGHLY, max_iter)
    n, m, p = objective.rows.n_rows, few.rows.n_rows, objective.n_params
    # By how much a sample's fit is off, in units of the sparsity, one over the density
    # of residuals at the kink: the share of rows within is twice that. The smooth loss
    # is twice as wide.
    off = np.sqrt(levels * (1 - levels) * p / m)
    width = within(drawn.objective, before, 4 * off)
    params = before + _newton(sides, sides.smoothed(before, width), width)
    # Noise of the slopes within that width, its bias, and noise of the step.
    left = (
        np.sqrt(p * off / (3 * n)) + 2 * off**2 / 3 + off * np.sqrt(p / (4 * off * n))
    )
    share = np.maximum(2 * BAND * left, LEAST_ACTIVE * p / n)
    return Near(params, np.minimum(share, 1.0), width * left / (2 * off))


def _afar(objective: Objective, levels: Array) -> Near:
    """Return nearly the median, moved to each level, from which any row may cross."""
    k, (rows, weight) = levels.size, objective.representatives
    median = _nearly_median(objective.rows.dense(rows), objective.target[rows], weight)
    params = np.tile(median, (k, 1))
    residual = objective.target[rows] - objective.rows.dense(rows) @ median
    params[:, -1] += objective.rows.standard.constant * np.quantile(residual, levels)
    error = START_WIDTH * within(objective, params, np.full(k, 0.5))
    return Near(params, np.ones(k), error)


def _nearly_median(design: Array, target: Array, weight: Array) -> Array:
    """Return params after a few minima of parabolas above the absolute residuals [1]_.

    Wherever they start, and however far some rows are, they lead down.

    References
    ----------
    .. [1] Hunter, D. R., Lange, K. (2000). Quantile regression via an MM algorithm.
       Journal of Computational and Graphical Statistics 9, 60-77.
    """
    params = np.zeros(design.shape[1])
    params[-1] = float(np.median(target)) * bool(design[0, -1])
    for _ in range(MAJORISED):
        residual = target - design @ params
        size = np.abs(residual)
        size += max(float(np.quantile(size, TOUCHED)), FAINTEST)
        gram = (design.T * (weight / size)) @ design
        params = params + _solved(gram, (weight * residual / size) @ design)
    return params


def _inner(sides: Sides, near: Near, goal: float, max_iter: int) -> Array:
    """Return where interior points lead to."""
    kinks, used = active_rows(sides, near).kinks, sides.used
    params = near.params.copy()
    params[:, used], _ = near_optima(kinks, params[:, used], near.error, goal, max_iter)
    return params


def _newton(sides: Sides, pull: Pull, width: Array) -> Array:
    """Return the Newton steps of smooth losses, 0 where there is none."""
    objective, used = sides.objective, sides.used
    steps = np.zeros_like(pull.force)
    for step, force, inside, h in zip(
        steps, pull.force, pull.inside, width, strict=True
    ):
        rows = sides.rows.dense(inside)[:, used]
        gram = (rows.T * (objective.weight[inside] / (2 * h))) @ rows
        step[used] = _solved(gram, force[used])
    return steps


def _solved(gram: Array, force: Array) -> Array:
    """Return ``gram^-1 force``, 0 if there is none."""
    gram.flat[:: force.size + 1] += FAINT_RIDGE * gram.trace()
    try:
        found = np.linalg.solve(gram, force)
    except np.linalg.LinAlgError:
        return np.zeros_like(force)
    return found if np.isfinite(found).all() else np.zeros_like(force)


def active_rows(sides: Sides, near: Near) -> Active:
    """Return the rows that may cross, all others held on their side."""
    objective, used = sides.objective, sides.used
    n, k = objective.rows.n_rows, len(near.params)
    half = np.full((k, 1), 0.5)
    if (near.share >= 1).all():
        every = np.arange(n)
        rows: FittedRows = SharedRows(
            sides.rows.dense(every)[:, used], objective.target
        )
        weights, linear = np.tile(objective.weight, (k, 1)), -sides.middle[:, used]
        kinks = Kinks(rows, weights, -half, half, linear)
        return Active(np.tile(every, (k, 1)), kinks)
    pull = sides.held(near.params, within(objective, near.params, near.share))
    size = max(rows.size for rows in pull.inside)
    places, design = np.full((k, size), -1), np.zeros((k, size, used.size))
    for place, block, inside in zip(places, design, pull.inside, strict=True):
        place[: inside.size] = inside
        block[: inside.size] = sides.rows.dense(inside)[:, used]
    empty = places < 0
    target = np.where(empty, 0.0, objective.target[places])
    weights = np.where(empty, 0.0, objective.weight[places])
    linear = -pull.force[:, used]
    return Active(places, Kinks(OwnRows(design, target), weights, -half, half, linear))
