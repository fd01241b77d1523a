"""Fits of rows in partitions, in original units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import final

import numpy as np

from robustreg.fitting import Fit, Problem
from robustreg.fitting.any_scale import AnyScale
from robustreg.fitting.estimated import ROUGH_RTOL, estimated_scale
from robustreg.partitions.answers import ended, fitted
from robustreg.partitions.dependent import dependence
from robustreg.partitions.engine import Engine
from robustreg.partitions.kinked import fit_kinked
from robustreg.partitions.sampling import Drawn
from robustreg.partitions.scales import EXCESSES, SEEN_AT_ONCE
from robustreg.partitions.smooth import MOST_PASSES, Descent
from robustreg.partitions.whole import Ended, Reading, Whole
from robustreg.rows import Array, Rows
from robustreg.scale import AGREES, FixedPoint, find_fixed_point
from robustreg.solvers.majorised import START_TOL, convex_start
from robustreg.solvers.starting import ROUGH_TOL

# Makes the problem of a target from rows, y and weights that count rows.
Ask = Callable[[Rows, Array, Array], Problem]
# Makes the fit of a target.
FitOne = Callable[[Whole], Fit]


def fit_partitions(
    engine: Engine,
    some: Drawn,
    rows: Rows,
    ask: Ask,
    fit: FitOne,
    *,
    typical: bool = False,
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
    typical : bool
        Whether the fit may reject rows far out.
    """
    penalty = ask(rows, some.part.y[:, 0], some.part.weight).penalty
    penalty = penalty.rescaled(rows.standard.unit)
    depends = dependence(engine, some, rows, penalty, typical)
    if depends is not None:
        rows, engine.basis = depends.rows(some), depends.basis
    if engine.basis is not None:
        some = replace(some, products=None)
    fits, shared = [], len(engine.passes)
    for target in range(engine.n_targets):
        before = len(engine.passes)
        problem = ask(rows, some.part.y[:, target], some.part.weight)
        if engine.basis is not None:
            problem = replace(problem, penalty=engine.basis.penalty)
        found = fit(Whole(engine, problem, target, some))
        found = found if depends is None else depends.shared(found)
        n_iter = shared + len(engine.passes) - before
        stopped = engine.stopped and not found.success
        fits.append(replace(found, n_iter=n_iter, stopped=stopped))
    return fits


def fit_whole(whole: Whole) -> Fit:
    """Return the fit of one target at a given scale, or that its residuals have."""
    return _Fitting(whole).fit()


@final
class _Fitting:
    """The fit of one target."""

    def __init__(self, whole: Whole) -> None:
        self._whole, self._problem = whole, whole.problem
        few = replace(whole.problem, tol=max(whole.problem.tol, ROUGH_TOL))
        self._few, self._name = AnyScale(few, None), whole.problem.estimate
        self._excess_of = None if self._name is None else EXCESSES[self._name]

    def fit(self) -> Fit:
        """Return the fit."""
        loss = self._problem.loss
        if not loss.facts.convex:
            self._few = self._few.with_loss(convex_start(loss))
        if self._name is None:
            start = FixedPoint(float(self._problem.scale), converged=True)
            self._few.fit(start.scale, self._few.problem.tol)
        else:
            start = estimated_scale(self._few, ROUGH_RTOL)
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
        at = FixedPoint(
            scale, collapsed=collapsed, converged=agrees, disagreement=found.off
        )
        return self._answer(ended(self._whole, found), at)

    def _kinked(self, start: FixedPoint) -> Fit:
        """Return the fit of a piecewise linear loss."""
        penalty, problem = self._problem.penalty, self._problem
        estimated = self._name is not None and not start.collapsed
        # Without a penalty the fit is the same at any scale.
        same = not (penalty.l1.any() or penalty.l2.any())
        moves = self._excess_of if estimated and not same else None
        self._few.fit(start.scale, self._few.problem.tol)
        asked = start, moves, problem.tol, problem.max_iter
        found, at = fit_kinked(self._whole, self._few.last, *asked)
        at = self._scale_of(found) if estimated and same else at
        return self._answer(found, at)

    def _scale_of(self, found: Ended) -> FixedPoint:
        """Return the scale of the residuals of a fit, which takes passes."""
        reading, name = found.reading, str(self._name)
        floor, params = self._whole.sample.floor, found.reading.in_units_of_y
        for _ in range(MOST_PASSES):
            scale, off = reading.asked.scale, self._excess(reading)
            if off == -np.inf:
                return FixedPoint(floor, collapsed=True, converged=True)
            if abs(off) <= AGREES or self._whole.engine.stopped:
                break
            scale = self._rescaled(reading, params)
            if name in SEEN_AT_ONCE:
                return FixedPoint(scale, converged=True)
            there = replace(reading.asked, params=params / scale, scale=scale)
            reading = self._whole.read(there)
        return FixedPoint(scale, converged=abs(off) <= AGREES, disagreement=off)

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
