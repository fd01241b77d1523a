"""Fits of rows in partitions, in original units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import scipy.sparse

from robustreg.fitting import Fit, Problem
from robustreg.fitting.any_scale import AnyScale
from robustreg.fitting.estimated import ROUGH_RTOL, estimated_scale
from robustreg.partitions.answers import ended, fitted
from robustreg.partitions.drawing import Drawing
from robustreg.partitions.engine import Engine
from robustreg.partitions.kinked import fit_kinked
from robustreg.partitions.part import Moments, Part, together
from robustreg.partitions.scales import EXCESSES, SEEN_AT_ONCE
from robustreg.partitions.smooth import MOST_PASSES, Descent
from robustreg.partitions.sums import Unusual, distinct, sample, unusual
from robustreg.partitions.whole import Ended, Reading, Whole
from robustreg.rows import Array, Rows, merged, prepared, rows_in
from robustreg.scale import AGREES, FixedPoint, find_fixed_point
from robustreg.solvers.majorised import START_TOL, convex_start

# The sample's fit is closer than it is to that of all rows.
SAMPLE_TOL = 1e-8

# Where fewer rows of the sample differ from the rest of a column, its curvature is off
# by more than a seventh: up to the second figure of such rows are drawn besides.
FEWEST_UNUSUAL, MOST_UNUSUAL = 50, 200

# Makes the problem of a target from rows, y and weights that count rows.
Ask = Callable[[Rows, Array, Array], Problem]
# Makes the fit of a target.
FitOne = Callable[[Whole], Fit]


@final
@dataclass(frozen=True)
class Drawn:
    """The rows that are drawn, and what all rows are to the client.

    Parameters
    ----------
    part : Part
        The rows, weighted to stand for all.
    moments : Moments
        Those of all rows.
    share : float
        Every row has in truth at least this share of its weight here.
    everything : bool
        Whether the rows drawn are all.
    """

    part: Part
    moments: Moments
    share: float
    everything: bool

    def rows(self, fit_intercept: bool) -> Rows:
        """Return the rows in the coordinates of all."""
        X = prepared(self.part.X.astype(np.float64, copy=False))
        return rows_in(X, self.moments.standard(fit_intercept))


def draw(engine: Engine, fit_intercept: bool, drawing: Drawing) -> Drawn:
    """Return the sample of all rows; takes a pass."""
    size = drawing.size(engine.n_rows, engine.n_features + 1)
    tally = engine.run(sample, engine.n_rows, size, fit_intercept)
    (part,), (moments,) = tally.rows, tally.sums
    if size == engine.n_rows:
        return Drawn(part, moments, 1.0, True)
    if _repeats(part, engine.n_rows / size):
        every = engine.run(distinct).rows[0].distinct()
        return Drawn(every, moments, 1.0, True)
    kinds = _unusual(part, moments, fit_intercept, engine.n_rows / size)
    if not kinds.columns.size:
        share = float(part.weight.sum()) / moments.total
        part = replace(part, weight=part.weight / share)
        return Drawn(part, moments, share, False)
    tally = engine.run(unusual, kinds)
    others = part.take(np.flatnonzero(kinds.rate_of(part.X) == 0))
    return _stratified(others, tally.rows[0], tally.sums[0], kinds, moments)


def _repeats(part: Part, times: float) -> bool:
    """Return whether all rows, so many times these, are of few kinds.

    Rows of kinds that were not drawn are about as many as, in the same measure, those
    that are the only one of their kind among the drawn [1]_.

    References
    ----------
    .. [1] Good, I. J. (1953). The population frequencies of species and the estimation
       of population parameters. Biometrika 40, 237-264.
    """
    kind = merged(part.X, part.y, part.weight).kind
    if kind is None:
        return False
    single = np.count_nonzero(np.bincount(kind) == 1)
    return bool(single * times <= kind.size)


def _unusual(
    part: Part, moments: Moments, fit_intercept: bool, times: float
) -> Unusual:
    """Return the columns in which few rows of a sample differ from the rest.

    All rows are so many times as many as the sample's.
    """
    n, p = part.X.shape
    if scipy.sparse.issparse(part.X):
        usual, count = np.zeros(p), np.bincount(part.X.indices, minlength=p)
    else:
        usual = np.median(part.X, axis=0)
        count = np.count_nonzero(usual != part.X, axis=0)
    varies = moments.standard(fit_intercept).unit > 0
    columns = np.flatnonzero(varies & (count < min(FEWEST_UNUSUAL, n / 2)))
    most = min(MOST_UNUSUAL, 2 * n / max(columns.size, 1))
    expected = np.maximum(count[columns], 1) * times
    return Unusual(columns, usual[columns], np.minimum(most / expected, 1.0))


def _stratified(
    others: Part, extra: Part, total: float, kinds: Unusual, moments: Moments
) -> Drawn:
    """Return a sample in which unusual rows, of a total weight, stand for themselves.

    So that columns in which few rows differ from the rest have their curvature.
    """
    share = float(others.weight.sum()) / (moments.total - total)
    every = together([replace(others, weight=others.weight / share), extra])
    # Each weight is one over the rate at which its row was drawn, on the whole.
    least = min(share, float(kinds.rate.min()))
    scale = float(every.weight.sum()) / moments.total
    return Drawn(every, moments, least * scale, False)


def fit_partitions(
    engine: Engine, some: Drawn, rows: Rows, ask: Ask, fit: FitOne
) -> list[Fit]:
    """Return the fit of each target, without flags and weights of rows.

    Parameters
    ----------
    engine : Engine
        Where the rows are.
    some : Drawn
        The sample.
    rows : Rows
        Its rows, in coordinates that all columns vary in.
    ask : callable
        Makes the problem of a target.
    fit : callable
        Makes its fit, such as `fit_whole`.
    """
    fits = []
    for target in range(engine.n_targets):
        before = len(engine.passes)
        problem = ask(rows, some.part.y[:, target], some.part.weight)
        found = fit(Whole(engine, problem, target, some.share, some.moments.total))
        # With that of the sample.
        fits.append(replace(found, n_iter=1 + len(engine.passes) - before))
    return fits


def fit_whole(whole: Whole) -> Fit:
    """Return the fit of one target at a given scale, or that its residuals have."""
    return _Fitting(whole).fit()


@final
class _Fitting:
    """The fit of one target."""

    def __init__(self, whole: Whole) -> None:
        self._whole, self._problem = whole, whole.problem
        few = replace(whole.problem, tol=max(whole.problem.tol, SAMPLE_TOL))
        self._few, scale = AnyScale(few, None), whole.problem.scale
        self._name = scale if isinstance(scale, str) else None
        self._excess_of = None if self._name is None else EXCESSES[self._name]

    def fit(self) -> Fit:
        """Return the fit."""
        loss = self._problem.loss
        if not loss.facts.convex:
            self._few = self._few.with_loss(convex_start(loss))
        if self._name is None:
            start = FixedPoint(float(self._problem.scale), False, True)
            self._few.fit(start.scale, self._few.problem.tol)
        else:
            start = estimated_scale(self._few, self._name, ROUGH_RTOL)
        if loss.facts.piecewise_linear:
            return self._kinked(start)
        return self._smooth(start)

    def _smooth(self, start: FixedPoint) -> Fit:
        """Return the fit of a smooth loss."""
        loss, tol = self._problem.loss, self._problem.tol
        excess = None if start.collapsed else self._excess_of
        params, scale = self._few.centred_params(), start.scale
        if not loss.facts.convex:
            # Which valley the fit lies in is for all rows to say.
            convex = Descent(self._whole, convex_start(loss), excess, START_TOL)
            near = convex.run(params / scale, scale).reading
            params, scale = near.in_units_of_y, near.asked.scale
        found = Descent(self._whole, loss, excess, tol).run(params / scale, scale)
        collapsed = start.collapsed or found.off == -np.inf
        if collapsed and excess is not None:
            # Most rows are fitted exactly, which the sample did not show.
            params, scale = found.reading.in_units_of_y, self._whole.sample.floor
            found = Descent(self._whole, loss, None, tol).run(params / scale, scale)
        agrees = abs(found.off) <= AGREES
        scale = found.reading.asked.scale
        at = FixedPoint(scale, collapsed, agrees, disagreement=found.off)
        return self._answer(ended(self._whole, found), at)

    def _kinked(self, start: FixedPoint) -> Fit:
        """Return the fit of a piecewise linear loss."""
        penalty, found = self._problem.penalty, self._at(start.scale)
        if self._name is None or start.collapsed:
            return self._answer(found, start)
        if not (penalty.l1.any() or penalty.l2.any()):
            # The fit is the same at any scale.
            return self._answer(found, self._scale_of(found))
        kept = [found]

        def measure_at(scale: float) -> float:
            if scale != kept[-1].reading.asked.scale:
                kept.append(self._at(scale))
            return scale * float(np.exp(self._excess(kept[-1].reading)))

        floor = self._whole.sample.floor
        at = find_fixed_point(measure_at, start.scale, floor, rtol=AGREES, jumps=True)
        measure_at(at.scale)
        return self._answer(kept[-1], at)

    def _at(self, scale: float) -> Ended:
        """Return the exact fit at a scale."""
        self._few.fit(scale, self._few.problem.tol)
        last, problem = self._few.last, self._problem
        return fit_kinked(self._whole, last, scale, problem.tol, problem.max_iter)

    def _scale_of(self, found: Ended) -> FixedPoint:
        """Return the scale of the residuals of a fit, which takes passes."""
        reading, name = found.reading, str(self._name)
        floor, params = self._whole.sample.floor, found.reading.in_units_of_y
        for _ in range(MOST_PASSES):
            scale, off = reading.asked.scale, self._excess(reading)
            if off == -np.inf:
                return FixedPoint(floor, True, True)
            if abs(off) <= AGREES:
                break
            scale = self._rescaled(reading, params)
            if name in SEEN_AT_ONCE:
                return FixedPoint(scale, False, True)
            there = replace(reading.asked, params=params / scale, scale=scale)
            reading = self._whole.read(there)
        return FixedPoint(scale, False, abs(off) <= AGREES, disagreement=off)

    def _rescaled(self, reading: Reading, params: Array) -> float:
        """Return the scale that residuals have where a fit stays as it is."""
        excess = EXCESSES[str(self._name)](self._whole, reading)
        unit, floor = reading.asked.scale, self._whole.sample.floor
        return find_fixed_point(
            lambda scale: scale * float(np.exp(excess(params / scale, scale))),
            unit,
            floor,
        ).scale

    def _answer(self, end: Ended, at: FixedPoint) -> Fit:
        """Return a fit in original units."""
        return fitted(self._whole, end, at, self._name is not None)

    def _excess(self, reading: Reading) -> float:
        """Return the logarithm of the residuals' scale over that of a fit."""
        excess = EXCESSES[str(self._name)](self._whole, reading)
        return excess(reading.params, reading.asked.scale)
