"""Exact fits of a piecewise linear loss by a primal-dual interior-point method.

With slopes u between ``low`` and ``high`` times the weight of their row, and the l1
part of the penalty as one more row per coefficient (target 0, slope within ``+-l1``),

    curvature * c + linear = design.T @ u,     target - design @ c = above - below,
    above (high - u) = below (u - low) = mu    for every row,

is optimal at mu = 0. Newton's method on these equations with Mehrotra's predictor and
corrector [1]_ is the Frisch-Newton method of quantile regression [2]_ with a quadratic
penalty. About 10 to 20 iterations, each a Gram matrix: n p^2. The last step solves the
equations for the rows at the kink alone, so that nothing of mu is left.

References
----------
.. [1] Mehrotra, S. (1992). On the implementation of a primal-dual interior point
   method. SIAM Journal on Optimization 2, 575-601.
.. [2] Portnoy, S., Koenker, R. (1997). The Gaussian hare and the Laplacian tortoise:
   computability of squared-error versus absolute-error estimators. Statistical Science
   12, 279-300.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import scipy.linalg
from scipy.optimize import OptimizeResult

from robustreg.certificate import duality_gap
from robustreg.linalg import EPS, Factor, factorise
from robustreg.objective import Objective
from robustreg.rows import Array, Index
from robustreg.solvers.newton import allowed_gap
from robustreg.solvers.results import result_at

# A step goes this share of the way to the boundary.
TO_BOUNDARY = 0.9995
# The complementarity, relative to the objective, from which the last step is tried,
# and the factor by which it must have fallen before the next try.
NEARLY, AGAIN = 1e-5, 1e-2
# The first of these shares of its diagonal with which the normal matrix has a factor
# is added to it, for dependent columns and those that only rows at the boundary hold.
RIDGES = (1e-15, 1e-13, 1e-11)
# Residuals that grow by this factor have no bound: the problem has no minimum.
DIVERGED = 1e6
TINY = float(np.finfo(float).tiny)
# A coefficient that has a kink at 0 and this share of the largest is 0.
ZERO = 1e-12
# A slope this close to its end is that of a row off the kink, and tells how far off is.
CLEARLY = 1e-2
# A slope this close to its end, in units of half their distance, counts as there.
AT_END = 1e-7


@dataclass(frozen=True)
class State:
    """Where the iteration is.

    Parameters
    ----------
    params : ndarray of shape (n_params,)
        Coefficients and intercept.
    slopes : ndarray of shape (n_kinks,)
        Weighted slopes, strictly between their bounds.
    above, below : ndarray of shape (n_kinks,)
        Positive; their difference is the residual once it is feasible.
    """

    params: Array
    slopes: Array
    above: Array
    below: Array


@final
class _Equations:
    """The optimality conditions of an objective's rows of positive weight."""

    def __init__(self, objective: Objective) -> None:
        self.whole = objective
        self.live = np.flatnonzero(objective.weight)
        if self.live.size < objective.weight.size:
            objective = objective.take(self.live, objective.weight[self.live])
        low, high = objective.loss.facts.slopes
        self.objective = objective
        self.kinked = np.flatnonzero(objective.l1 > 0)
        l1 = objective.l1[self.kinked]
        self.low = np.append(low * objective.weight, -l1)
        self.high = np.append(high * objective.weight, l1)
        self.target = np.append(objective.target, np.zeros(l1.size))
        self.curvature = objective.penalty_curvature()
        self.every = np.arange(objective.n_params)
        self.n_rows = objective.target.size

    def predict(self, params: Array) -> Array:
        """Return the prediction of every kink's residual."""
        self.objective.rows.passes += 1
        rows = self.objective.rows.predict(params)
        return np.append(rows, params[self.kinked]) if self.kinked.size else rows

    def adjoint(self, slopes: Array) -> Array:
        """Return the sum of all kinks' slopes times their rows."""
        self.objective.rows.passes += 1
        result = self.objective.rows.adjoint(slopes[: self.n_rows])
        if self.kinked.size:
            result[self.kinked] += slopes[self.n_rows :]
        return result

    def design(self, active: Index) -> Array:
        """Return the rows of some kinks."""
        rows = self.objective.rows.few(active[active < self.n_rows])
        l1 = np.zeros((active.size - rows.shape[0], self.every.size))
        columns = self.kinked[active[rows.shape[0] :] - self.n_rows]
        l1[np.arange(columns.size), columns] = 1.0
        return np.vstack([rows, l1])

    def normal(self, inverse: Array) -> Factor:
        """Return the factor of the normal matrix, the rows weighted by ``inverse``."""
        matrix = self.objective.rows.gram(inverse[: self.n_rows], self.every)
        diagonal = self.curvature.copy()
        diagonal[self.kinked] += inverse[self.n_rows :]
        matrix.flat[:: self.every.size + 1] += diagonal
        pivots = matrix.diagonal().copy()
        for ridge in RIDGES:
            matrix.flat[:: self.every.size + 1] = pivots * (1 + ridge)
            factor = factorise(matrix)
            if factor.rcond > 0:
                break
        return factor


def interior_point(
    objective: Objective, start: Array, width: float, tol: float, max_iter: int
) -> OptimizeResult:
    """Minimise a piecewise linear objective of few params and few rows.

    Parameters
    ----------
    objective : Objective
        Its loss is piecewise linear and its rows have positive weight.
    start : ndarray of shape (n_params,)
        Where to start.
    width : float
        By about how much predictions at the start are off, in units of residuals.
    tol : float
        Done when the certified gap is allowed by `allowed_gap`.
    max_iter : int
        Largest number of iterations.

    Returns
    -------
    OptimizeResult
        With ``point``, ``gap``, ``slopes`` and ``unique``.
    """
    equations = _Equations(objective)
    state = _central(equations, start, width)
    best: OptimizeResult | None = None
    goal = NEARLY
    first_state, iteration = state, 0
    first = _size(equations, state)
    while iteration < max_iter:
        iteration += 1
        residual = equations.target - equations.predict(state.params)
        left = _complementarity(equations, state)
        scale = _size(equations, state)
        # Where every row can be fitted, residuals and complementarity fall together.
        if left <= goal * scale or scale <= goal * first:
            trial = _finished(equations, state, tol)
            best = trial if best is None or trial.gap < best.gap else best
            if best.success or left <= EPS * scale:
                break
            goal *= AGAIN
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            moved = _step(equations, state, residual)
        if moved is None or _size(equations, moved) > DIVERGED * first:
            break
        state = moved
    if best is None:
        best = _finished(equations, first_state, tol)
    best.nit = iteration
    return best


def _central(equations: _Equations, start: Array, width: float) -> State:
    """Return the point of the central path of each row for given coefficients."""
    residual = equations.target - equations.predict(start)
    middle = (equations.high + equations.low) / 2
    half = (equations.high - equations.low) / 2
    mu = max(width, TINY) * float(half.mean())
    offset = residual * half**2 / (mu + np.hypot(mu, residual * half))
    slack = np.maximum(half - np.abs(offset), EPS * half)
    offset = np.sign(offset) * (half - slack)
    return State(
        start.copy(), middle + offset, mu / (half - offset), mu / (half + offset)
    )


def _size(equations: _Equations, state: State) -> float:
    """Return how large residuals are by the state's own account."""
    return float(equations.high @ state.above - equations.low @ state.below)


def _complementarity(equations: _Equations, state: State) -> float:
    """Return the sum of products that are 0 at the optimum."""
    to_high, to_low = equations.high - state.slopes, state.slopes - equations.low
    return float(state.above @ to_high + state.below @ to_low)


def _step(equations: _Equations, state: State, residual: Array) -> State | None:
    """Return the state after a predictor-corrector step, None if there is none."""
    to_high, to_low = equations.high - state.slopes, state.slopes - equations.low
    spread = state.above / to_high + state.below / to_low
    inverse = 1 / spread
    factor = equations.normal(inverse)
    if factor.rcond == 0:
        return None
    dual = equations.curvature * state.params + equations.objective.linear
    missing = dual - equations.adjoint(state.slopes)

    def direction(high_part: Array, low_part: Array) -> tuple[Array, ...]:
        wanted = (residual - high_part / to_high + low_part / to_low) * inverse
        params = factor.solve(equations.adjoint(wanted) - missing)
        slopes = wanted - inverse * equations.predict(params)
        above = (high_part + state.above * slopes) / to_high - state.above
        below = (low_part - state.below * slopes) / to_low - state.below
        return params, slopes, above, below

    zero = np.zeros_like(residual)
    _, slopes, above, below = direction(zero, zero)
    primal = min(_reach(state.above, above), _reach(state.below, below), 1.0)
    dual_reach = min(_reach(to_high, -slopes), _reach(to_low, slopes), 1.0)
    n = 2 * residual.size
    mu = float(state.above @ to_high + state.below @ to_low) / n
    predicted = (state.above + primal * above) @ (to_high - dual_reach * slopes)
    predicted += (state.below + primal * below) @ (to_low + dual_reach * slopes)
    center = mu * (float(predicted) / (n * mu)) ** 3
    params, slopes, above, below = direction(
        center + above * slopes, center - below * slopes
    )
    primal = min(_reach(state.above, above), _reach(state.below, below))
    dual_reach = min(_reach(to_high, -slopes), _reach(to_low, slopes))
    if equations.curvature.any():
        primal = dual_reach = min(primal, dual_reach)
    primal = min(1.0, TO_BOUNDARY * primal)
    dual_reach = min(1.0, TO_BOUNDARY * dual_reach)
    moved = State(
        state.params + primal * params,
        state.slopes + dual_reach * slopes,
        state.above + primal * above,
        state.below + primal * below,
    )
    finite = np.isfinite(moved.params).all() and np.isfinite(moved.above).all()
    return moved if finite and primal > EPS else None


def _reach(value: Array, change: Array) -> float:
    """Return the longest step that leaves ``value`` non-negative."""
    # What underflowed to 0 and does not change is no bound: 0 / 0 is passed over.
    fastest = float(np.fmax.reduce(-change / value, initial=0.0))
    return 1 / fastest if fastest > 0 else np.inf


def _finished(equations: _Equations, state: State, tol: float) -> OptimizeResult:
    """Return the fit in which the kinks that look active are so exactly.

    All others have the slope of their side. The optimality conditions of what is left
    are linear; where they leave a choice, the change from the state is least.
    """
    objective, n_rows = equations.whole, equations.n_rows
    half = (equations.high - equations.low) / 2
    size = state.above - state.below
    room = np.minimum(equations.high - state.slopes, state.slopes - equations.low)
    away = np.abs(size[room < CLEARLY * half])
    typical = float(np.median(away)) if away.size else np.inf
    active = np.flatnonzero(room * typical >= half * np.abs(size))
    slopes = np.where(size > 0, equations.high, equations.low)
    slopes[active] = state.slopes[active]
    params = state.params.copy()
    last_step = _held_step if active.size > 2 * params.size else _last_step
    change, turn, regular = last_step(equations, params, slopes, active)
    params += change
    slopes[active] += turn
    slopes = np.clip(slopes, equations.low, equations.high)
    room = np.minimum(equations.high - slopes, slopes - equations.low)[active]
    regular = regular and bool((room > AT_END * half[active]).all())
    dropped = active[active >= n_rows] - n_rows
    params[equations.kinked[dropped]] = 0.0
    kinked = params[equations.kinked]
    tiny = ZERO * max(float(np.abs(params).max()), objective.noise)
    params[equations.kinked] = np.where(np.abs(kinked) <= tiny, 0.0, kinked)
    point = objective.evaluate(params)
    own = np.zeros_like(objective.weight)
    own[equations.live] = slopes[:n_rows] / objective.weight[equations.live]
    gap = duality_gap(objective, point, own)
    success = gap <= allowed_gap(objective, point, tol, own)
    unique = regular and success
    return result_at(
        point, gap, 0, success, "no further decrease", slopes=own, unique=unique
    )


def _last_step(
    equations: _Equations, params: Array, slopes: Array, active: Index
) -> tuple[Array, Array, bool]:
    """Return the changes of params and active slopes that meet all conditions.

    And whether no other changes do.
    """
    rows, p = equations.design(active), params.size
    # Unknowns in units of residuals and of slopes, so that neither outweighs the other.
    unit = equations.objective.noise / (4 * EPS) or 1.0
    pull = float(equations.high.mean())
    system = np.zeros((p + active.size, p + active.size))
    curvature = equations.curvature * (unit / pull)
    system.flat[: p * (p + active.size) : p + active.size + 1] = curvature
    system[:p, p:], system[p:, :p] = rows.T, rows
    gradient = equations.curvature * params + equations.objective.linear
    missing = (equations.adjoint(slopes) - gradient) / pull
    right = np.append(missing, (equations.target[active] - rows @ params) / unit)
    absent = np.flatnonzero(~equations.objective.rows.varies)
    system[absent, absent] = 1.0
    right[absent] = 0.0
    solution, _, rank, _ = scipy.linalg.lstsq(system, right, lapack_driver="gelsy")
    return unit * solution[:p], -pull * solution[p:], rank == right.size


def _held_step(
    equations: _Equations, params: Array, slopes: Array, active: Index
) -> tuple[Array, Array, bool]:
    """Return what `_last_step` does where more kinks are active than hold the fit.

    They determine the params alone; then the slopes change least.
    """
    rows = equations.design(active)
    missing = equations.target[active] - rows @ params
    change, _, rank, _ = scipy.linalg.lstsq(rows, missing, lapack_driver="gelsy")
    moved = params + change
    gradient = equations.curvature * moved + equations.objective.linear
    right = gradient - equations.adjoint(slopes)
    turn = scipy.linalg.lstsq(rows.T, right, lapack_driver="gelsy")[0]
    return change, turn, rank == np.count_nonzero(equations.objective.rows.varies)
