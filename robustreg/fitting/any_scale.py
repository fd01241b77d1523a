"""A problem at one scale after the other."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, partial
from typing import final

import numpy as np

from robustreg.fitting.coordinates import Units, units_of
from robustreg.fitting.problem import Problem
from robustreg.fitting.watched import Watched
from robustreg.linalg import MOST_COPIED
from robustreg.losses import Loss
from robustreg.objective import RESIDUAL_ERROR, Model, Objective, Watch
from robustreg.rows import Array, design_rank, typical_design, typical_terms
from robustreg.scale import COUNTED, SCALES, scale_floor, spread
from robustreg.solvers import Result, Start, solve
from robustreg.solvers.orthogonal import has_basis, refuse_unseen
from robustreg.solvers.profiled import tangent_at
from robustreg.solvers.refinement import refine
from robustreg.solvers.starting import is_seen

# A smooth fit whose scaled Hessian has a reciprocal condition number below this has
# its last digits refined, unless the data is so large that extended precision, without
# BLAS, would cost more than the fit.
REFINED_RCOND = 1e-4


@final
class AnyScale:
    """The problem at any scale, each fit started from the one before."""

    def __init__(
        self,
        problem: Problem,
        start: Array | None,
        shared: Model | None = None,
        *,
        is_near: bool = False,
    ) -> None:
        self.problem = problem
        self._units = units_of(problem)
        params = np.zeros(problem.rows.n_params)
        if start is not None:
            params = self._units.from_original(start)
        self._penalty = problem.penalty.rescaled(problem.rows.standard.unit)
        self._weight = problem.weight / problem.weight.sum()
        rows, report = problem.rows, problem.report
        # Whether a row that no sample saw ends a fit: only while it is made.
        self._refuses = not rows.standard.exact and has_basis(rows, self._penalty)
        self._watched = None if report is None else Watched(report)
        # What is known of the last fit is in units of its scale.
        self._last: Result | None = None
        near = is_near or shared is not None
        self.start_from(1.0, Start(params, near, model=shared))

    @property
    def last(self) -> Result:
        """The last fit, in units of its scale."""
        if self._last is None:
            raise RuntimeError("no fit was made")
        return self._last

    @cached_property
    def rank(self) -> int:
        """How many params are estimated: constant and dependent columns add none."""
        return design_rank(self.problem.rows, self.problem.weight)

    @cached_property
    def _typical(self) -> Array:
        """The design of a few rows whose rounding errors are those of most."""
        return typical_design(self.problem.rows, self.problem.weight)

    @cached_property
    def floor(self) -> float:
        """The scale below which residuals count as zero."""
        return scale_floor(self.problem.y, self.problem.weight)

    @cached_property
    def unit(self) -> float:
        """The spread of y, at least the floor."""
        return max(spread(self.problem.y, self.problem.weight), self.floor)

    def measure(self, residual: Array) -> float:
        """Return the problem's scale estimate of residuals."""
        name = str(self.problem.estimate)
        n_params = self.rank if name in COUNTED else 0
        return SCALES[name](residual, self.problem.weight, n_params)

    def objective(self, scale: float, loss: Loss) -> Objective:
        """Return the objective in units of a scale."""
        units = self._at(scale)
        return Objective(
            self.problem.rows,
            units.of_target(self.problem.y),
            self._weight,
            loss,
            self._penalty,
            watch=self._watch(units),
        )

    def _watch(self, units: Units) -> Watch | None:
        """Return what is told of each pass in some units."""
        told = None if self._watched is None else self._watched.in_units(units)
        return partial(refuse_unseen, told) if self._refuses else told

    def end_watch(self) -> None:
        """Tell and refuse nothing more: what follows is not the fit's way."""
        self._refuses = False
        if self._watched is not None:
            self._watched.end()

    def in_units_of(self, scale: float, params: Array) -> Array:
        """Return params, which are in units of y, as an objective at a scale does."""
        return self._at(scale).from_original(params)

    def _at(self, scale: float) -> Units:
        """Return the units of a scale."""
        return Units(self._units.center, scale)

    def fit(
        self,
        scale: float,
        tol: float,
        max_iter: int | None = None,
        *,
        any_optimum: bool = False,
    ) -> Array:
        """Fit at a scale, from the last fit if any; return residuals in its units.

        As `solve` does with the other arguments.
        """
        p = self.problem
        most = p.max_iter if max_iter is None else min(max_iter, p.max_iter)
        objective = self.objective(scale, p.loss)
        start = self.start.rescaled(self.scale, scale)
        to = p.solver, tol, most
        result = solve(objective, start, *to, any_optimum=any_optimum)
        self.take(scale, objective, result)
        return np.asarray(self.last.point.residual, dtype=np.float64)

    def follow(self, scale: float) -> bool:
        """Start where the last fit moves as the scale falls far; return if it can.

        With fewer rows in the middle of a loss than params in use those rows keep their
        share of the scale: where it is much smaller all of them would be far. If they
        are even so, another start is looked for.
        """
        if self._last is None or (tangent := tangent_at(self.last.point)) is None:
            return False
        loss, before = self.problem.loss, self.start.params
        params = before + (scale / self.scale - 1) * tangent
        # An l1 part holds at 0 what would change its sign.
        held = (self.last.point.objective.l1 > 0) & (params * before <= 0)
        params = np.where(held, 0.0, params) * (self.scale / scale)
        objective = self.objective(scale, loss)
        near = Start(params, residual=objective.residual(params))
        is_near = not loss.facts.convex or is_seen(objective, near)
        self.start_from(scale, replace(near, is_near=is_near))
        return True

    def take(self, scale: float, objective: Objective, result: Result) -> None:
        """Take a result for the last fit, refined where its Hessian asks for that."""
        p, rcond = self.problem, result.rcond
        small = p.rows.n_rows * p.rows.n_params < MOST_COPIED
        delicate = rcond is not None and rcond < REFINED_RCOND
        if delicate and result.success and small:
            exact = self._at(scale).of_target(p.y.astype(np.longdouble))
            result = replace(result, point=refine(objective, result.point, exact))
        self._last, self.scale, self.start = result, scale, result.as_start()

    def shared_model(self) -> Model | None:
        """Return the Hessian if it is that of every y: where curvature is constant."""
        squares = self.problem.loss.facts.quadratic
        fixed = squares and self.problem.estimate is None
        return self.last.model if fixed else None

    def with_loss(self, loss: Loss) -> AnyScale:
        """Return the problem with another loss, from where this one starts."""
        problem = replace(self.problem, loss=loss, solver="auto")
        other = AnyScale(problem, self.params())
        other._watched = self._watched
        return other

    def start_at(self, other: AnyScale) -> None:
        """Start from the params of another fit."""
        params = self._units.from_original(other.params().astype(np.float64))
        self.start_from(1.0, Start(params, is_near=True))

    def start_from(self, scale: float, start: Start) -> None:
        """Start from what is known at a scale, in its units."""
        self.scale, self.start = scale, start

    def kept(self) -> tuple[Start, float, Result | None]:
        """Return the last fit, for `restore`."""
        return self.start, self.scale, self._last

    def restore(self, kept: tuple[Start, float, Result | None]) -> None:
        """Make a fit the last one again."""
        self.start, self.scale, self._last = kept

    def drop_sample(self) -> None:
        """Let go of a sample of rows, which no further fit needs."""
        self.start = replace(self.start, preconditioner=None)
        self._last = replace(self.last, preconditioner=None)

    def take_rounded(self, coef: Array, intercept: float) -> None:
        """Take a rounded answer for the fit; the gap grows by what rounding costs."""
        params = self.problem.rows.standard.from_original(
            coef.astype(np.float64), float(intercept)
        )
        objective = self.objective(self.scale, self.problem.loss)
        point = objective.evaluate(self.in_units_of(self.scale, params))
        gap = self.last.gap + max(point.value - self.last.value, 0.0)
        self._last = replace(self.last, point=point, gap=gap)

    def rounding(self) -> float:
        """Return the rounding error of a typical residual of the last fit.

        Large where the fit runs through outliers.
        """
        return RESIDUAL_ERROR * typical_terms(self._typical, self.centred_params())

    def params(self) -> Array:
        """Return the params of the last fit, in units of y."""
        return self._at(self.scale).to_original(self.start.params)

    def centred_params(self) -> Array:
        """Return the params of the last fit around the centre, in units of y."""
        return self.start.params * self.scale
