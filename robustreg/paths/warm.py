"""A sequence of fits that differ in their penalty, each started at the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from robustreg.certificate import duality_gap
from robustreg.linalg import EPS, ROUNDINGS
from robustreg.objective import Objective, Point
from robustreg.paths.null_fit import NullFit, null_fit
from robustreg.paths.switching import Goal, SwitchingFit, fit_next
from robustreg.paths.vertex_gaps import vertex_gaps
from robustreg.paths.vertices import Vertex, VertexFit
from robustreg.penalties import ElasticNet
from robustreg.rows import FORMED_ENTRIES, Array, Index
from robustreg.rows.base import STRETCH
from robustreg.solvers.majorised import START_TOL, convex_start
from robustreg.solvers.many.vertices import MOST_EDGES
from robustreg.solvers.results import Start
from robustreg.solvers.sampling import Sampling
from robustreg.solvers.table import solve
from robustreg.tolerance import allowed_gap, typical_residual

# A sample tells which columns will enter, each of which costs a pass if it is missed:
# that pays even for few rows, of not many more, and at every tenth penalty is enough.
GUESSING, STRIDE = Sampling(least=4_000, share=0.0, worthwhile=8.0), 10


# How large residuals are changes little from one penalty to the next: it is measured at
# each that is a multiple of this.
MEASURED = 50

# An edge costs a pass over the formed design, the fit that some replace hundreds.
MOST_CORNERED = 4 * FORMED_ENTRIES


@dataclass(frozen=True)
class WarmFit:
    """One of a sequence of fits.

    Parameters
    ----------
    params : ndarray of shape (n_params,)
        Where the objective is smallest.
    gap : float
        A bound on the objective there minus its minimum; nan for a loss that is not
        convex.
    success : bool
        Whether the solver met the tolerance.
    """

    params: Array
    gap: float
    success: bool


def warm_fits(
    objective: Objective,
    null: NullFit,
    penalties: list[ElasticNet],
    tol: float,
    max_iter: int,
) -> list[WarmFit]:
    """Return the fit for each penalty, best ordered from strong to weak.

    Parameters
    ----------
    objective : Objective
        Its own penalty is of no account.
    null : NullFit
        Its optimum without columns.
    penalties : list of ElasticNet
        Of the standardised coefficients.
    tol, max_iter
        As the estimators document them.
    """
    if not objective.loss.facts.convex:
        return _valley_fits(objective, penalties, tol, max_iter)
    fits: list[WarmFit] = []
    params, point, shared = null.point.params, null.point, None
    corners = _Corners(objective, tol)
    corners.restart(WarmFit(params, null.gap, null.success))
    while len(fits) < len(penalties):
        place = len(fits)
        penalty = penalties[place]
        fit = _null(null, penalty) if params is null.point.params else None
        if fit is None and _switches(objective, penalty):
            shared = shared or _Switching(objective, point, penalties[place:], tol)
            fit = shared.fit(penalty)
        if fit is None and (run := corners.fits(penalties[place:])):
            params = run[-1].params
            fits += run
            continue
        if fit is None:
            near = Start(params, is_near=params is not null.point.params)
            like = objective.with_penalty(penalty)
            result = solve(like, near, "auto", tol, max_iter)
            fit = WarmFit(result.params, float(result.gap), bool(result.success))
            point, shared = _without_penalty(objective, penalty, result.point), None
            corners.restart(fit)
        params = fit.params
        fits.append(fit)
    return fits


def _valley_fits(
    objective: Objective, penalties: list[ElasticNet], tol: float, max_iter: int
) -> list[WarmFit]:
    """Return the fits of a loss that is not convex, each from its own convex fit.

    The convex ones are the warm sequence. A redescending fit that started at the one
    before would stay in a valley that a single fit does not come to.
    """
    convex = objective.with_loss(convex_start(objective.loss), objective.target)
    rough = max(tol, START_TOL)
    null = null_fit(convex, rough, max_iter)
    fits = []
    starts = warm_fits(convex, null, penalties, rough, max_iter)
    for penalty, start in zip(penalties, starts, strict=True):
        like, near = objective.with_penalty(penalty), Start(start.params, is_near=True)
        result = solve(like, near, "auto", tol, max_iter)
        fits.append(WarmFit(result.params, float(result.gap), bool(result.success)))
    return fits


def _without_penalty(objective: Objective, penalty: ElasticNet, point: Point) -> Point:
    """Return the point with the gradient of the losses alone."""
    gradient = point.gradient.copy()
    gradient[:-1] -= penalty.l2 * point.params[:-1]
    return Point(point.params, gradient, point.residual, objective)


def _null(null: NullFit, penalty: ElasticNet) -> WarmFit | None:
    """Return the fit without columns if it is optimal."""
    room = penalty.l1 * (1 + ROUNDINGS * EPS) - np.abs(null.adjoint[:-1])
    fit = WarmFit(null.point.params, null.gap, null.success)
    return fit if (room >= 0).all() else None


def _switches(objective: Objective, penalty: ElasticNet) -> bool:
    """Return whether the loss is smooth and of parabolas and lines, the penalty not."""
    facts = objective.loss.facts
    switches = facts.smooth and facts.breakpoints is not None
    return switches and bool(penalty.l1.any())


@final
class _Corners:
    """Fits of a kinked loss by the edges between them."""

    def __init__(self, objective: Objective, tol: float) -> None:
        self._objective, self._tol, self._failures = objective, tol, 0
        entries = objective.rows.n_rows * objective.n_params
        kinked = objective.loss.facts.piecewise_linear
        self._suits = kinked and entries <= MOST_CORNERED
        self._vertex: Vertex | None = None
        # Fits that take fewer edges than they are worth leave the rest to later ones.
        self._edges, self._each = 0, max(MOST_EDGES, objective.n_params // 2)

    def restart(self, fit: WarmFit) -> None:
        """Start at a fit that another solver found, unless edges have led nowhere."""
        if self._suits and fit.success and self._failures < 3:
            self._vertex = Vertex(self._objective, fit.params)

    def fits(self, penalties: list[ElasticNet]) -> list[WarmFit]:
        """Return the fits for the next penalties, up to the first that is not found."""
        if self._vertex is None:
            return []
        penalties = penalties[: max(1, STRETCH // self._objective.rows.n_rows)]
        found: list[VertexFit] = []
        for penalty in penalties:
            if np.any(penalty.l2):
                break
            self._edges += self._each
            fit = self._vertex.fit(np.append(penalty.l1, 0.0), self._edges)
            self._edges -= self._vertex.edges
            if fit is None:
                break
            found.append(fit)
        fits = self._certified(penalties, found)
        if len(fits) < len(penalties):
            self._vertex, self._failures = None, self._failures + 1
            # Where edges ran out, other solvers are the better ones.
            self._suits &= self._edges > 0
        return fits

    def _certified(
        self, penalties: list[ElasticNet], found: list[VertexFit]
    ) -> list[WarmFit]:
        """Return the fits up to the first that is not within the tolerance."""
        fits: list[WarmFit] = []
        if not found:
            return fits
        l1 = np.array([np.append(one.l1, 0.0) for one in penalties[: len(found)]])
        params = np.array([fit.params for fit in found])
        slopes = np.array([fit.slopes for fit in found])
        gaps = vertex_gaps(self._objective, l1, params, slopes, self._tol)
        for penalty, fit, gap in zip(penalties, found, gaps, strict=False):
            if not np.isfinite(gap):
                like = self._objective.with_penalty(penalty)
                point = like.evaluate(fit.params)
                gap = duality_gap(like, point, fit.slopes)
                if not gap <= allowed_gap(like, point, self._tol, fit.slopes):
                    break
            fits.append(WarmFit(fit.params, float(gap), True))
        return fits


@final
class _Switching:
    """Fits that share rows and Gram matrix, and how close they must be."""

    def __init__(
        self,
        objective: Objective,
        point: Point,
        penalties: list[ElasticNet],
        tol: float,
    ) -> None:
        none = np.zeros(objective.n_params - 1)
        bare = objective.with_penalty(objective.penalty.rescaled(none))
        features = _likely_features(bare, point.params, penalties)
        self._objective, self._tol = bare, tol
        self._shared = SwitchingFit(bare, point, features)
        self._since = 0

    def fit(self, penalty: ElasticNet) -> WarmFit | None:
        """Return the fit for the next penalty, None if it is not found."""
        if self._since % MEASURED == 0:
            self._measure(penalty)
        self._since += 1
        gap = fit_next(self._shared, penalty, self._goal)
        if gap is None:
            return None
        return WarmFit(self._shared.params.copy(), gap, True)

    def _measure(self, penalty: ElasticNet) -> None:
        """Set the goal by the residuals of the last fit."""
        shared, objective = self._shared, self._objective.with_penalty(penalty)
        residual = shared.residual()
        point = Point(shared.params, shared.gradient, residual, objective)
        slopes = np.abs(objective.loss.gradient(residual))
        terms = float(objective.weight @ slopes) * np.sqrt(objective.n_params)
        self._goal = Goal(
            allowed_gap(objective, point, self._tol),
            typical_residual(objective, point),
            ROUNDINGS * EPS * terms,
        )


def _likely_features(
    objective: Objective, params: Array, penalties: list[ElasticNet]
) -> Index:
    """Return the columns that a sample's fits for some of the penalties use, in order.

    A guess that saves a pass for each column that would enter by itself later.
    """
    used = list(np.flatnonzero(params[:-1]))
    drawn = GUESSING.draw(objective)
    if drawn is None:
        return np.array(used, np.intp)
    few = drawn.objective
    shared = SwitchingFit(few, few.evaluate(params), np.array(used, np.intp))
    rough = Goal(np.inf, 0.0, np.inf)
    for penalty in penalties[STRIDE - 1 :: STRIDE]:
        fit_next(shared, penalty, rough)
        used += [j for j in np.flatnonzero(shared.params[:-1]) if j not in used]
    return np.array(used, np.intp)
