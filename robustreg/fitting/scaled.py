"""Fits at one scale after the other, and the scale that agrees with its own fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import final

import numpy as np
from scipy.optimize import OptimizeResult

from robustreg.fitting.problem import Problem
from robustreg.losses import L1, Loss
from robustreg.objective import Model, Objective
from robustreg.rows import Array, design_rank, representatives, typical_terms
from robustreg.scale import (
    AGREES,
    COUNTED,
    EPS,
    LINES,
    MOST_SORTED,
    SCALE_RTOL,
    SCALES,
    FixedPoint,
    find_fixed_point,
    mad,
    scale_floor,
    spread,
    weighted_median,
)
from robustreg.solvers import near_start, solve
from robustreg.solvers.direct import direct_step
from robustreg.solvers.facts import facts_of, step_rule_for
from robustreg.solvers.majorised import convex_start
from robustreg.solvers.profiled import profiled_newton
from robustreg.solvers.refinement import refine
from robustreg.solvers.reweighted import Reweighting
from robustreg.solvers.sampling import default_size, sample
from robustreg.solvers.subsampled import preconditioner_at

# A smooth fit whose scaled Hessian has a reciprocal condition number below this has
# its last digits refined, unless the data is so large that extended precision, without
# BLAS, would cost more than the fit.
REFINED_RCOND = 1e-4
MOST_ENTRIES = 10**7
# A sample's scale and fit start those of all rows; they are only so close anyway.
ROUGH_RTOL, ROUGH_TOL = 1e-3, 1e-8
# A kinked fit of all rows costs little more than one of a sample, unless they are so
# many times more.
WORTHWHILE_IF_KINKED = 10
# Solvers for which a sample's Hessian brings fit and scale together.
TOGETHER = ("auto", "newton")
# A fit on the way to the scale may have a relative gap of this share of the square of
# the relative distance that is left.
SCALE_SHARE = 1e-3
# So many rounding errors of its terms a typical residual may have.
NOISE = 4.0
# So many steps a fit on the way to the scale of a redescending loss may take.
STEPS_OF_A_VALLEY = 30


@final
class Scaled:
    """The problem at any scale, each fit started from the one before."""

    def __init__(
        self, problem: Problem, start: Array | None, shared: Model | None = None
    ) -> None:
        self.problem = problem
        some, share = representatives(problem.weight, MOST_SORTED)
        constant = problem.rows.standard.constant
        self._center = constant * weighted_median(problem.y[some], share)
        self._params = np.zeros(problem.rows.n_params)
        if start is not None:
            self._params = start.copy()
            self._params[-1] -= self._center
        self._penalty = problem.penalty.rescaled(problem.rows.standard.unit)
        self._weight = problem.weight / problem.weight.sum()
        self.scale = 1.0
        self.result: OptimizeResult = OptimizeResult()
        if shared is not None:
            self.result = OptimizeResult(x=self._params, last=shared)

    @cached_property
    def rank(self) -> int:
        """How many params are estimated: constant and dependent columns add none."""
        return design_rank(self.problem.rows, self.problem.weight)

    @cached_property
    def floor(self) -> float:
        """The scale below which residuals count as zero."""
        return scale_floor(self.problem.y, self.problem.weight)

    @cached_property
    def unit(self) -> float:
        """The spread of y, at least the floor."""
        return max(spread(self.problem.y, self.problem.weight), self.floor)

    def measure(self, name: str, residual: Array) -> float:
        """Return a scale estimate of residuals."""
        n_params = self.rank if name in COUNTED else 0
        return SCALES[name](residual, self.problem.weight, n_params)

    def objective(self, scale: float, loss: Loss) -> Objective:
        """Return the objective in units of a scale."""
        target = self.problem.y - self._center
        target /= scale
        return Objective(self.problem.rows, target, self._weight, loss, self._penalty)

    def fit(self, scale: float, tol: float, max_iter: int | None = None) -> Array:
        """Fit at a scale, from the last fit if any; return residuals in its units."""
        p = self.problem
        most = p.max_iter if max_iter is None else min(max_iter, p.max_iter)
        objective = self.objective(scale, p.loss)
        start = self._params.astype(np.float64) / scale
        previous = self.result if self.result else None
        if previous is not None and "point" in previous:
            previous.residual = previous.point.residual * (self.scale / scale)
        result = solve(objective, start, p.solver, tol, most, previous)
        self.take(scale, objective, result)
        return np.asarray(self.result.point.residual, dtype=np.float64)

    def take(self, scale: float, objective: Objective, result: OptimizeResult) -> None:
        """Take a result for the last fit, refined where its Hessian asks for that."""
        p, rcond, self.result = self.problem, result.get("rcond"), result
        small = p.rows.n_rows * p.rows.n_params < MOST_ENTRIES
        delicate = rcond is not None and rcond < REFINED_RCOND
        if delicate and result.success and small:
            exact = (p.y.astype(np.longdouble) - self._center) / scale
            result.point = refine(objective, result.point, exact)
        self._params, self.scale = result.point.params * scale, scale

    def shared_model(self) -> Model | None:
        """Return the Hessian if it is that of every y: where curvature is constant."""
        constant = self.problem.loss.facts.breakpoints == ()
        fixed = constant and not isinstance(self.problem.scale, str)
        return self.result.get("last") if fixed else None

    def near_l1(self, scale: float) -> Array:
        """Start from nearly the L1 fit and return its residuals in units of y."""
        objective = self.objective(scale, L1())
        start = self._params.astype(np.float64) / scale
        params = near_start(objective, start, step_rule_for(objective)).params
        self._params = params * scale
        self.result = OptimizeResult(x=params)
        return np.asarray(objective.residual(params) * scale)

    def near_convex(self, name: str) -> FixedPoint:
        """Start from the L1 fit and return its MAD, or from that of a convex loss.

        Where the L1 fit passes through half of the rows, which says nothing of their
        scale, the start is the fit of a convex loss at the spread of y. Of many rows or
        columns it is that at its own scale: it is nearly L1's and costs less.
        """
        convex = convex_start(self.problem.loss)
        whole = self.objective(1.0, self.problem.loss)
        many = sample(whole, default_size(whole)) is not None
        if many or not facts_of(whole)["few params"]:
            other = self._with_loss(convex)
            found = estimated_scale(other, name, ROUGH_RTOL)
            self._adopt(other)
            return replace(found, converged=False)
        for loss in (L1(), convex):
            other = self._with_loss(loss)
            residual = other.fit(self.unit, ROUGH_TOL) * self.unit
            self._adopt(other)
            start = mad(residual, self.problem.weight, 0)
            if start > self.floor:
                return FixedPoint(start, False, False)
        return FixedPoint(self.floor, True, False)

    def _with_loss(self, loss: Loss) -> Scaled:
        """Return the problem with another loss, from where this one starts."""
        return Scaled(replace(self.problem, loss=loss, solver="auto"), self.params())

    def _adopt(self, other: Scaled) -> None:
        """Start from the params of another fit."""
        self._params = other.params().astype(np.float64)
        self._params[-1] -= self._center
        self.result = OptimizeResult(x=self._params)

    def settle(self, near: FixedPoint, name: str) -> FixedPoint:
        """Move to where fit and scale settle together, from the start; return it.

        Where they do not, to the nearest; nowhere if the scale vanishes.
        """
        weight, loss = self.problem.weight, self.problem.loss

        def line(residual: Array, change: Array, reach: float) -> Callable[..., float]:
            if name in LINES and weight.size > MOST_SORTED:
                return LINES[name](weight, residual, change, reach)
            return lambda t: self.measure(name, residual + t * change)

        reweighting = Reweighting(
            lambda scale: self.objective(scale, loss),
            partial(self.measure, name),
            line,
            step_rule_for(self.objective(1.0, loss)),
            self.floor,
        )
        settled = reweighting.settle(self._params, self.problem.tol)
        if settled is None:
            return near
        self._params, self.scale = settled.params, settled.scale
        self.result = OptimizeResult(x=self._params, residual=settled.residual)
        return replace(near, scale=settled.scale)

    def kept(self) -> tuple[Array, float, OptimizeResult]:
        """Return the last fit, for `restore`."""
        return self._params, self.scale, self.result

    def restore(self, kept: tuple[Array, float, OptimizeResult]) -> None:
        """Make a fit the last one again."""
        self._params, self.scale, self.result = kept

    def near_sample(self, name: str) -> FixedPoint | None:
        """Start from the fit of a sample of rows; return its scale.

        None if rows are few or if the sample's scale is no guide: one outlier more or
        less changes that of least squares. Which valley of a loss that is not convex a
        fit lies in is for all rows to say.
        """
        facts = self.problem.loss.facts
        if not (facts.convex and facts.bounded_slope):
            return None
        whole = self.objective(1.0, self.problem.loss)
        size = default_size(whole)
        if facts.piecewise_linear and whole.rows.n_rows < WORTHWHILE_IF_KINKED * size:
            return None
        drawn = sample(whole, size)
        if drawn is None:
            return None
        few = Scaled(self.problem.of_sample(drawn, ROUGH_TOL), self.params())
        found = estimated_scale(few, name, ROUGH_RTOL)
        if not (found.converged and few.result.success):
            return None
        self._adopt(few)
        if found.collapsed:
            # Most rows are likely to be fitted exactly, too: that takes one fit to see.
            return FixedPoint(self.floor, False, False)
        # Around the centre of all rows, as are the params.
        target = drawn.objective.target / found.scale
        at_scale = drawn.objective.with_loss(self.problem.loss, target)
        if step_rule_for(at_scale) is direct_step:
            there = replace(drawn, objective=at_scale)
            self.result.preconditioner = preconditioner_at(there, few.result.point)
        return found

    def fit_with_scale(self, near: FixedPoint, name: str) -> FixedPoint | None:
        """Fit at the scale of the fit's own residuals, by a sample's Hessian.

        None if there is none, if it will not do, or if another solver is asked for.
        """
        preconditioner = self.result.get("preconditioner")
        suits = name in LINES and self.problem.solver in TOGETHER
        if preconditioner is None or not suits:
            return None
        weight, loss = self.problem.weight, self.problem.loss
        result = profiled_newton(
            lambda scale: self.objective(scale, loss),
            self._params,
            near.scale,
            partial(LINES[name], weight),
            preconditioner,
            self.problem.tol,
        )
        if not result.success or result.scale <= self.floor:
            return None
        # Rows far from the median may have come near unseen.
        measured = self.measure(name, result.point.residual)
        if not abs(measured - 1) <= SCALE_RTOL:
            return None
        self.result, self.scale = result, result.scale
        self._params = result.x * result.scale
        return replace(near, scale=result.scale)

    def take_rounded(self, coef: Array, intercept: float) -> None:
        """Take a rounded answer for the fit; the gap grows by what rounding costs."""
        params = self.problem.rows.standard.from_original(
            coef.astype(np.float64), float(intercept)
        )
        params[-1] -= self._center
        objective = self.objective(self.scale, self.problem.loss)
        point = objective.evaluate(params / self.scale)
        self.result.gap += max(point.value - self.result.point.value, 0.0)
        self.result.point = point

    def rounding(self) -> float:
        """Return the rounding error of a typical residual of the last fit.

        Large where the fit runs through outliers.
        """
        terms = typical_terms(self.problem.rows, self.problem.weight, self._params)
        return NOISE * EPS * terms

    def params(self) -> Array:
        """Return the params of the last fit, in units of y."""
        params = self._params.copy()
        params[-1] += self._center
        return params


def estimated_scale(scaled: Scaled, name: str, rtol: float = SCALE_RTOL) -> FixedPoint:
    """Return the fixed point of a scale estimate, from a sample's or the L1 fit's MAD.

    For a loss that is not convex from the fit of a convex one, in whose valley fit and
    scale settle together. Fits far from the fixed point are made roughly.
    """
    problem, convex = scaled.problem, scaled.problem.loss.facts.convex
    near = scaled.near_sample(name)
    if not convex:
        near = scaled.near_convex(name)
        if not near.collapsed:
            near = scaled.settle(near, name)
    elif near is None:
        start = mad(scaled.near_l1(scaled.unit), problem.weight, 0)
        near = FixedPoint(start if start > scaled.floor else scaled.unit, False, False)
    if near.converged and (together := scaled.fit_with_scale(near, name)) is not None:
        return together
    if near.converged:
        # With a sample's Hessian each pass gains two digits of everything at once; more
        # of the scale than of the coefficients would be of no use.
        rtol = max(rtol, 1e-3 * float(np.sqrt(problem.tol)))
    fits = _Fits(scaled, name)
    # The side that a rough fit is on is known only if the scale is not looked for to
    # more digits than it has.
    sides = not fits.rough or rtol >= ROUGH_RTOL
    # No fit agrees to less than rounding errors of y.
    agrees = max(AGREES, scaled.objective(near.scale, problem.loss).noise)
    found = find_fixed_point(
        fits.measure_at, near.scale, fits.floor, near.slope, rtol, sides, agrees
    )
    if found.collapsed:
        if scaled.scale != fits.floor or fits.tol > problem.tol:
            scaled.fit(fits.floor, problem.tol)
        return replace(found, scale=fits.floor)
    if found.disagreement:
        fits.back_to_best()
    if fits.tol > problem.tol or not scaled.result.success:
        residual = scaled.fit(found.scale, problem.tol)
        if not convex:
            found = _measured(found, scaled.measure(name, residual), agrees)
    return found


def _measured(found: FixedPoint, ratio: float, most: float) -> FixedPoint:
    """Return a fixed point as the fit that was made there afterwards measures it."""
    disagreement = float(np.log(ratio)) if ratio > 0 else -np.inf
    agrees = abs(disagreement) <= most
    return replace(
        found, converged=agrees, disagreement=0.0 if agrees else disagreement
    )


@final
class _Fits:
    """Fits at one scale after the other on the way to the one that agrees.

    Of a loss that is not convex each starts in the valley of the fit that agreed best:
    the valley of a scale that was much too small, where the loss rejects every row,
    would hold all fits after it. Residuals that are no more than rounding errors of a
    fit have no scale, and raise the floor to these.
    """

    def __init__(self, scaled: Scaled, name: str) -> None:
        self.floor = scaled.floor
        facts = scaled.problem.loss.facts
        self._convex = facts.convex
        # A kinked fit is exact in any case, and one that starts with its scale near is
        # made so. These two may jump as the scale moves.
        self.rough = facts.convex and not facts.piecewise_linear
        self._away = 1.0 if self.rough else 0.0
        self._scaled, self._name = scaled, name
        self.tol, self._least, self._best = scaled.problem.tol, np.inf, scaled.kept()

    def measure_at(self, scale: float) -> float:
        """Return the scale of the residuals of the fit at a scale."""
        if not self._convex:
            self._scaled.restore(self._best)
        self.tol = max(self._scaled.problem.tol, SCALE_SHARE * self._away**2)
        # A fit that needs many steps left its valley, which is all that it has to tell.
        most = self._scaled.problem.max_iter if self._convex else STEPS_OF_A_VALLEY
        residual = self._scaled.fit(scale, self.tol, most)
        ratio = self._scaled.measure(self._name, residual)
        away = abs(float(np.log(ratio))) if ratio > 0 else np.inf
        self._away = min(away, 1.0) if self.rough and ratio > 0 else 0.0
        if ratio * scale <= self._scaled.rounding():
            self.floor = max(self.floor, self._scaled.rounding())
            return 0.0
        # What has collapsed agrees with nothing, as the search sees it.
        if ratio * scale > self._scaled.floor and away <= self._least:
            self._least, self._best = away, self._scaled.kept()
        return ratio * scale

    def back_to_best(self) -> None:
        """Make the fit that agreed best the last one."""
        self._scaled.restore(self._best)
