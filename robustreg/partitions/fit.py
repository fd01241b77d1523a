"""Fits of rows in partitions, in original units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import scipy.sparse

from robustreg.fitting import Fit, Problem, Units
from robustreg.fitting.any_scale import AnyScale
from robustreg.fitting.estimated import ROUGH_RTOL, estimated_scale
from robustreg.fitting.precision import answer
from robustreg.losses import relative_weight
from robustreg.outliers import rounding_scale
from robustreg.partitions.drawing import Drawing
from robustreg.partitions.engine import Engine
from robustreg.partitions.kinked import fit_kinked
from robustreg.partitions.part import Moments, Part, together
from robustreg.partitions.scales import EXCESSES, SEEN_AT_ONCE
from robustreg.partitions.smooth import MOST_PASSES, Descent
from robustreg.partitions.sums import sample, unusual
from robustreg.partitions.whole import Ended, Reading, Whole
from robustreg.rows import Array, Index, Rows, prepared, rows_in
from robustreg.scale import AGREES, FixedPoint, find_fixed_point, least_distance
from robustreg.solvers.majorised import START_TOL, convex_start

# The sample's fit is closer than it is to that of all rows.
SAMPLE_TOL = 1e-8

# A column in which fewer rows of the sample differ from the rest is known by all such
# rows: their curvature would be off by more than a seventh.
FEWEST_UNUSUAL = 50
# If these are no more than this many times the sample.
MOST_UNUSUAL = 2.0

# Makes the problem of a target from rows, y and weights that count rows.
Ask = Callable[[Rows, Array, Array], Problem]


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


def draw(engine: Engine, fit_intercept: bool, drawing: Drawing) -> Drawn:
    """Return the sample of all rows; takes a pass."""
    size = drawing.size(engine.n_rows, engine.n_features + 1)
    tally = engine.run(sample, engine.n_rows, size, fit_intercept)
    (part,), (moments,) = tally.rows, tally.sums
    if size == engine.n_rows:
        return Drawn(part, moments, 1.0, True)
    columns, usual = _rare(part, moments, fit_intercept)
    expected = FEWEST_UNUSUAL * columns.size * (engine.n_rows / size)
    if not columns.size or expected > MOST_UNUSUAL * size:
        return _weighted(part, part.take(np.arange(0)), moments)
    extra = engine.run(unusual, columns, usual).rows[0]
    others = np.flatnonzero(~np.isin(part.number, extra.number))
    return _weighted(part.take(others), extra, moments)


def _rare(part: Part, moments: Moments, fit_intercept: bool) -> tuple[Index, Array]:
    """Return columns in which few rows of a sample differ from the rest, and that."""
    varies = moments.standard(fit_intercept).unit > 0
    n, p = part.X.shape
    if scipy.sparse.issparse(part.X):
        usual = np.zeros(p)
        count = np.bincount(part.X.indices, minlength=p)
    else:
        usual = np.median(part.X, axis=0)
        count = np.count_nonzero(usual != part.X, axis=0)
    columns = np.flatnonzero(varies & (count < min(FEWEST_UNUSUAL, n / 2)))
    return columns, usual[columns]


def _weighted(part: Part, extra: Part, moments: Moments) -> Drawn:
    """Return a sample of which some rows stand for all others, and some for themselves.

    So that columns in which few rows differ from the rest have their curvature.
    """
    share = float(part.weight.sum()) / (moments.total - float(extra.weight.sum()))
    every = together([replace(part, weight=part.weight / share), extra])
    return Drawn(every, moments, share, False)


def fit_partitions(
    engine: Engine, some: Drawn, ask: Ask, fit_intercept: bool
) -> list[Fit]:
    """Return the fit of each target, without flags and weights of rows.

    Parameters
    ----------
    engine : Engine
        Where the rows are.
    some : Drawn
        The sample.
    ask : callable
        Makes the problem of a target.
    fit_intercept : bool
        As it was for the sample.
    """
    standard = some.moments.standard(fit_intercept)
    part = some.part
    X = prepared(part.X.astype(np.float64, copy=False))
    rows = rows_in(X, standard)
    fits = []
    for target in range(engine.n_targets):
        before = len(engine.passes)
        problem = ask(rows, part.y[:, target], part.weight)
        whole = Whole(engine, problem, target, some.share)
        fit = _Fitting(whole).fit()
        # With that of the sample.
        fits.append(replace(fit, n_iter=1 + len(engine.passes) - before))
    return fits


@final
class _Fitting:
    """The fit of one target."""

    def __init__(self, whole: Whole) -> None:
        self._whole, self._problem = whole, whole.problem
        few = replace(whole.problem, tol=max(whole.problem.tol, SAMPLE_TOL))
        self._few, scale = AnyScale(few, None), whole.problem.scale
        self._name = scale if isinstance(scale, str) else None

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
        name = None if start.collapsed else self._name
        params, scale = self._few.centred_params(), start.scale
        if not loss.facts.convex:
            # Which valley the fit lies in is for all rows to say.
            convex = Descent(self._whole, convex_start(loss), name, START_TOL)
            near = convex.run(params / scale, scale).reading
            params, scale = near.in_units_of_y, near.asked.scale
        found = Descent(self._whole, loss, name, tol).run(params / scale, scale)
        collapsed = start.collapsed or found.off == -np.inf
        if collapsed and name is not None:
            # Most rows are fitted exactly, which the sample did not show.
            params, scale = found.reading.in_units_of_y, self._whole.sample.floor
            found = Descent(self._whole, loss, None, tol).run(params / scale, scale)
        ended = Ended(
            found.reading,
            found.gap if loss.facts.convex else float("nan"),
            found.mad,
            self._whole.stationarity(found.reading),
            found.gap <= found.allowed,
            "the passes did not converge",
        )
        agrees = abs(found.off) <= AGREES
        scale = found.reading.asked.scale
        at = FixedPoint(scale, collapsed, agrees, disagreement=found.off)
        return self._answer(ended, at)

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

    def _excess(self, reading: Reading) -> float:
        """Return the logarithm of the residuals' scale over that of a fit."""
        excess = EXCESSES[str(self._name)](self._whole, reading)
        return excess(reading.params, reading.asked.scale)

    def _counted(self, reading: Reading) -> float:
        """Return the mean robustness weight, that of the sample's rows."""
        few = self._whole.few(reading.asked)
        if few.loss.facts.convex:
            return 1.0
        weights = relative_weight(few.loss, few.residual(reading.params))
        return float(few.weight @ weights)

    def _answer(self, ended: Ended, at: FixedPoint) -> Fit:
        """Return a fit in original units."""
        problem, asked = self._problem, ended.reading.asked
        units, data = (
            Units(self._whole.center, asked.scale),
            (problem.rows, problem.weight),
        )
        params = units.to_original(asked.params)
        coef, intercept = answer(*data, params, at.scale, problem.eps)
        given = self._name is None or at.collapsed
        measured = ended.mad if given else at.scale
        least = least_distance(problem.y, problem.weight)
        lowest = min(measured, at.scale)
        rounding = rounding_scale(*data, coef, intercept, problem.eps, lowest)
        # Only a fit that is the same at any scale was made at another.
        unit = asked.scale / at.scale
        return Fit(
            coef=coef,
            intercept=intercept,
            scale=at.scale,
            objective=ended.reading.value * unit,
            dual_gap=ended.gap * unit,
            stationarity=ended.stationarity,
            n_iter=1,
            weights=None,
            residual_scale=float(max(measured, least, rounding)),
            outliers=np.zeros(0, dtype=bool),
            success=ended.success and at.converged,
            collapsed=at.collapsed,
            message=ended.message if at.converged else "the scale did not settle",
            disagreement=0.0 if at.converged else at.disagreement,
            counted=self._counted(ended.reading),
        )
