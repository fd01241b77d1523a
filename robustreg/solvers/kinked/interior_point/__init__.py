"""Exact fits of a piecewise linear loss by a primal-dual interior-point method.

With slopes u between ``low`` and ``high`` times the weight of their row, and the l1
part of the penalty as one more row per coefficient (target 0, slope within ``+-l1``),

    curvature * c + linear = design.T @ u,     target - design @ c = above - below,
    above (high - u) = below (u - low) = mu    for every row,

is optimal at mu = 0. Newton's method on these equations with Mehrotra's predictor and
corrector [1]_ is the Frisch-Newton method of quantile regression [2]_ with a quadratic
penalty. The last step solves the equations for the rows at the kink alone, so that
nothing of mu is left.

Cost: 10 to 20 iterations, each a Gram matrix of the rows that still have weight: n p^2
at first, about p^3 at the end. With thousands of params the path is left halfway, for a
vertex (`crossover`). Under an l1 penalty p is about twice the number of params that are
not 0, and an iteration takes a pass over all columns.

References
----------
.. [1] Mehrotra, S. (1992). On the implementation of a primal-dual interior point
   method. SIAM Journal on Optimization 2, 575-601.
.. [2] Portnoy, S., Koenker, R. (1997). The Gaussian hare and the Laplacian tortoise:
   computability of squared-error versus absolute-error estimators. Statistical Science
   12, 279-300.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from robustreg.linalg import EPS, MOST_DIRECT_PARAMS, ROUNDINGS, TINY
from robustreg.objective import Objective
from robustreg.rows import Array, middle_of
from robustreg.solvers.kinked.interior_point.crossover import Crossing
from robustreg.solvers.kinked.interior_point.equations import Equations, State
from robustreg.solvers.kinked.interior_point.last_step import active_kinks, finished
from robustreg.solvers.kinked.interior_point.working import (
    enlarged,
    entering,
    first_params,
    too_many,
)
from robustreg.solvers.results import DIVERGED, Result, Start
from robustreg.tolerance import CLIPPED_AT, rounding_of_terms

# The complementarity, relative to the typical size, from which the last step is tried,
# and the factor by which it must have fallen before the next try. From the third on the
# step is tried whatever the number of kinks is, before that where they are as many as
# params, or fewer by no more than the share of ends of nearly flat edges.
NEARLY, AGAIN, VERY_NEARLY, FEW_OPEN = 1e-5, 1e-2, 1e-9, 0.02
# Under a curved penalty params are only as close as the root of the gap, until the
# kinks are the right ones: a fit that has converged goes on for this many iterations,
# unless its gap is within this share of the tolerance.
EXTRA_ITERATIONS, EXACT = 6, 1e-6
# From this tolerance on one answer is promised.
CLOSE = 1e-8
# After a few iterations in a row that do not halve the complementarity, steps are made
# with care; after ten times as many the search is over.
FEW_STALLED, MOST_STALLED = 3, 30
# Tries in a row that did not halve the gap: after more it is rounding that bounds it.
MOST_MISSED = 6
# With at least this many params a factor costs twenty directions and more, unless each
# takes products beside it: up to the second figure are corrected further.
FEW_CORRECTED, MOST_CORRECTIONS = 1000, 4
# They aim this much farther, at products within this factor of the wanted ones, as long
# as each lengthens the step by the third figure.
FARTHER, CENTRAL, WORTHWHILE = 0.15, 10.0, 0.02
# A slope has room up to its high end, and down to its low one.
SIDES = np.array([[1.0], [-1.0]])


def interior_point(
    objective: Objective, start: Start, tol: float, max_iter: int
) -> Result:
    """Minimise a piecewise linear objective of few rows, few of its params not 0.

    Parameters
    ----------
    objective : Objective
        Its loss is piecewise linear and its rows have positive weight.
    start : Start
        Where to start, with the error there.
    tol : float
        Done when the certified gap is allowed by `allowed_gap`.
    max_iter : int
        Largest number of iterations.

    Returns
    -------
    Result
        With ``slopes``.
    """
    used = first_params(objective, start.params)
    equations = Equations(objective, used)
    state = _central(equations, start.params[used], start.error)
    opening = equations, state
    least, stalled, spare = np.inf, 0, EXTRA_ITERATIONS
    few = objective.n_params <= MOST_DIRECT_PARAMS
    # One answer is promised where params are few and the tolerance is close.
    promised = few and tol <= CLOSE and objective.l2.any()
    tries = _Tries(tol, EXACT * tol if promised else np.inf)
    iteration, crossing = 0, Crossing(used.size, interior_point)
    opened = _typical_size(equations, state)
    # Residuals grow up to what they save of a penalty.
    first = _size(equations, state) + equations.curvature @ state.params**2 / 2
    while iteration < max_iter and stalled <= MOST_STALLED and spare:
        iteration += 1
        spare -= tries.best is not None and tries.best.success
        if (new := entering(equations, state.slopes)).size:
            if not few and too_many(equations, new):
                break
            equations, state = enlarged(equations, state, new)
            tries.goal, least = NEARLY, np.inf
        residual = equations.target - equations.predict(state.params)
        # The sum of products that are 0 at the optimum.
        left = float(np.vdot(state.parts, state.room))
        stalled = 0 if left <= 0.5 * least else stalled + 1
        least = min(left, least)
        scale = _typical_size(equations, state)
        # Where every row can be fitted, residuals and complementarity fall together.
        near = left <= tries.goal * scale or scale <= tries.goal * opened
        if near and tries.are_over(equations, state, left <= EPS * scale):
            break
        if (vertex := crossing.tried(equations, state, tol)) is not None:
            tries.best = vertex
            break
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            moved = _step(equations, state, residual, stalled >= FEW_STALLED)
        if moved is None or _size(equations, moved) > DIVERGED * first:
            break
        state = moved
    if (best := tries.best) is None:
        equations, state = (equations, state) if tries.goal < NEARLY else opening
        best = finished(equations, state, active_kinks(equations, state), tol)
    return replace(best, n_iter=iteration)


@final
class _Tries:
    """Last steps from states that are nearer each time.

    Attributes
    ----------
    goal : float
        How near the next is tried.
    best : Result or None
        The best that they led to.
    """

    def __init__(self, tol: float, exactly: float) -> None:
        self.goal = NEARLY
        self.best: Result | None = None
        self._tol, self._exactly = tol, exactly
        self._bound, self._misses = np.inf, 0

    def are_over(self, equations: Equations, state: State, at_end: bool) -> bool:
        """Try the last step from a state, and return whether no other is needed.

        At the end of the path only if more than rounding of the predictions is missing.
        """
        active = active_kinks(equations, state)
        # Very near the kinks may be more or fewer than there are params.
        few = 0 < equations.n_open(active) <= FEW_OPEN * equations.n_varying
        if self.goal <= VERY_NEARLY or few or equations.determined_by(active):
            trial = finished(equations, state, active, self._tol)
            if self.best is None or trial.gap < self.best.gap:
                self.best = trial
        self.goal *= AGAIN
        if (best := self.best) is None:
            return False
        self._misses = 0 if best.gap <= 0.5 * self._bound else self._misses + 1
        self._bound = best.gap
        exact = best.gap <= self._exactly * abs(best.value)
        rounding = ROUNDINGS * rounding_of_terms(equations.whole, best.point)
        hidden = at_end and (best.success or best.gap <= rounding)
        done = (best.success and exact) or hidden
        return bool(done or self._misses > MOST_MISSED)


def _central(equations: Equations, start: Array, width: float) -> State:
    """Return the point of the central path of each row for given coefficients."""
    residual = equations.target - equations.predict(start)
    middle = (equations.high + equations.low) / 2
    half = (equations.high - equations.low) / 2
    mu = max(width, TINY) * float(half.mean())
    size = np.abs(residual) * half
    reach = np.hypot(mu, size)
    offset = residual * half**2 / (mu + reach)
    # What half minus the offset is, which would cancel.
    near = half * (mu / (mu + reach)) * (1 + mu / (size + reach))
    near = np.maximum(near, TINY)
    room = np.where(SIDES * residual > 0, near, 2 * half - near)
    return State(start.copy(), middle + offset, room, mu / room)


def _size(equations: Equations, state: State) -> float:
    """Return how large residuals are by the state's own account."""
    return float(np.vdot(equations.prices, state.parts))


def _typical_size(equations: Equations, state: State) -> float:
    """Return how large they are but for outliers, among those that are not 0."""
    n_rows, prices, parts = equations.n_rows, equations.prices, state.parts
    rows = parts[:, :n_rows]
    size = np.abs(rows[0] - rows[1])
    above = size[size > equations.objective.noise]
    most = CLIPPED_AT * middle_of(above) if above.size else np.inf
    rest = float(np.vdot(prices[:, n_rows:], parts[:, n_rows:]))
    return float(np.vdot(prices[:, :n_rows], np.minimum(rows, most))) + rest


@final
@dataclass(frozen=True)
class _Direction:
    """Where a state moves, and how far it can: params and parts, and slopes."""

    params: Array
    slopes: Array
    parts: Array
    primal: float
    dual: float

    @property
    def length(self) -> float:
        """How much of the full step can be made, of both kinds."""
        return min(self.primal, 1.0) + min(self.dual, 1.0)

    def products(self, state: State, farther: float = 0.0) -> Array:
        """Return parts times room where it ends, or somewhat farther."""
        primal, dual = (min(r + farther, 1.0) for r in (self.primal, self.dual))
        return np.asarray(
            (state.parts + primal * self.parts) * (state.room - dual * self.slopes)
        )


def _step(
    equations: Equations, state: State, residual: Array, careful: bool
) -> State | None:
    """Return the state after a predictor-corrector step, None if there is none.

    A careful one counts the corrector's products, those of a full step, by the share of
    it that the predictor could go [1]_. Where a factor is dear, correctors lengthen the
    step [2]_: each aims at the products somewhat farther than the one before goes.

    References
    ----------
    .. [1] Salahi, M., Peng, J., Terlaky, T. (2008). On Mehrotra-type
       predictor-corrector algorithms. SIAM Journal on Optimization 18, 1377-1397.
    .. [2] Gondzio, J. (1996). Multiple centrality corrections in a primal-dual method
       for linear programming. Computational Optimization and Applications 6, 137-156.
    """
    room = state.room
    spread = state.parts / room
    inverse = 1 / (spread[0] + spread[1])
    if (normal := equations.normal(inverse)) is None:
        return None
    solve, is_direct = normal
    dual = equations.curvature * state.params + equations.objective.linear
    missing = dual - equations.adjoint(state.slopes)

    def direction(products: Array | float) -> _Direction:
        wish = products / room
        wanted = (residual - wish[0] + wish[1]) * inverse
        params, slopes = solve(wanted, missing)
        slopes = SIDES * slopes
        parts = (products + state.parts * slopes) / room - state.parts
        reach = _reach(state.parts, parts), _reach(room, -slopes)
        return _Direction(params, slopes, parts, *reach)

    predicted = direction(0.0)
    mu = float(np.vdot(state.parts, room)) / room.size
    center = mu * (float(predicted.products(state).mean()) / mu) ** 3
    share = min(predicted.primal, predicted.dual, 1.0) if careful else 1.0
    products = center + share * predicted.parts * predicted.slopes
    corrected = direction(products)
    is_dear = is_direct and equations.every.size >= FEW_CORRECTED
    for _ in range(MOST_CORRECTIONS if is_dear else 0):
        # What lies outside is moved inside, as far as it is not too far above.
        ahead = corrected.products(state, FARTHER)
        low, high = center / CENTRAL, center * CENTRAL
        products = products + np.maximum(np.clip(ahead, low, high) - ahead, -high)
        further = direction(products)
        if further.length < corrected.length + WORTHWHILE:
            break
        corrected = further
    primal, dual_reach = corrected.primal, corrected.dual
    if equations.curvature.any():
        primal = dual_reach = min(primal, dual_reach)
    # Nearly to the boundary, as is usual.
    primal, dual_reach = (min(1.0, 0.9995 * r) for r in (primal, dual_reach))
    moved = State(
        state.params + primal * corrected.params,
        state.slopes + dual_reach * corrected.slopes[0],
        room - dual_reach * corrected.slopes,
        state.parts + primal * corrected.parts,
    )
    finite = np.isfinite(moved.params).all() and np.isfinite(moved.parts).all()
    return moved if finite and primal > EPS else None


def _reach(value: Array, change: Array) -> float:
    """Return the longest step that leaves ``value`` non-negative."""
    # What underflowed to 0 and does not change is no bound: 0 / 0 is passed over.
    fastest = float(np.fmax.reduce(-change / value, axis=None, initial=0.0))
    return 1 / fastest if fastest > 0 else np.inf
