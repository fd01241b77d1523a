"""The last step of an interior-point method: the kinks at the fit, solved exactly."""

from __future__ import annotations

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from robustreg.certificate import duality_gap
from robustreg.linalg import (
    EPS,
    SMALLEST_RCOND,
    Exchanged,
    Square,
    least_norm_fit,
    least_norm_solve,
)
from robustreg.objective import RESIDUAL_ERROR
from robustreg.rows import Array, Index, middle_of
from robustreg.solvers.kinked.interior_point.edges import at_vertex
from robustreg.solvers.kinked.interior_point.equations import Equations, State
from robustreg.solvers.kinked.interior_point.working import entering
from robustreg.solvers.results import NO_DECREASE, Result
from robustreg.tolerance import AT_END, allowed_gap

# Rounding errors of a coefficient with a kink at 0, as a share of the largest; and of a
# param that moves nothing, as a share of those of a residual.
AT_ZERO, UNMOVED = 1e-12, 1e-6


def inactivity(equations: Equations, state: State) -> Array:
    """Return the size of each residual over the room of its slope, of half its range.

    It is small for a kink that looks active.
    """
    half = (equations.high - equations.low) / 2
    size = half * np.abs(state.parts[0] - state.parts[1])
    with np.errstate(over="ignore"):
        return np.asarray(size / state.room.min(axis=0))


def active_kinks(equations: Equations, state: State) -> Index:
    """Return the kinks that look active: their residual is 0, their slope is not."""
    half = (equations.high - equations.low) / 2
    size, room = np.abs(state.parts[0] - state.parts[1]), state.room.min(axis=0)
    # Slopes this close to an end are those of rows off the kink: they tell how far off.
    away = size[room < 0.01 * half]
    typical = middle_of(away) if away.size else np.inf
    return np.flatnonzero(room * typical >= half * size)


def finished(equations: Equations, state: State, active: Index, tol: float) -> Result:
    """Return the fit in which the kinks that look active are so exactly.

    All others have the slope of their side. The optimality conditions of what is left
    are linear; where they leave a choice, edges go to a vertex, or the change from the
    state is least.
    """
    params, residual = state.params, state.parts[0] - state.parts[1]
    if equations.n_open(active):
        vertex = at_vertex(equations, params, active)
        params, residual, active = vertex or (params, residual, active)
    slopes = np.where(residual > 0, equations.high, equations.low)
    slopes[active] = state.slopes[active]
    params, turn, regular = _last_step(equations, params, slopes, active)
    slopes[active] += turn
    return certified(equations, params, slopes, active, regular, tol)


def certified(
    equations: Equations,
    params: Array,
    slopes: Array,
    active: Index,
    regular: bool,
    tol: float,
) -> Result:
    """Return the fit that active kinks determine, alone if that is regular."""
    objective, n_rows = equations.whole, equations.n_rows
    half = (equations.high - equations.low) / 2
    slopes = np.clip(slopes, equations.low, equations.high)
    room = np.minimum(equations.high - slopes, slopes - equations.low)[active]
    regular = regular and bool((room > AT_END * 2 * half[active]).all())
    params[equations.dropped(active)] = 0.0
    kinked = params[equations.kinked]
    tiny = AT_ZERO * max(float(np.abs(params).max()), objective.noise)
    params[equations.kinked] = np.where(np.abs(kinked) <= tiny, 0.0, kinked)
    params[np.abs(params) <= UNMOVED * objective.noise] = 0.0
    point = objective.evaluate(equations.widened(params))
    own = np.zeros_like(objective.weight)
    own[equations.live] = slopes[:n_rows] / objective.weight[equations.live]
    gap = duality_gap(objective, point, own)
    success = gap <= allowed_gap(objective, point, tol, own)
    # A param that is not used is 0 in all optimal fits if its slope has room.
    unique = regular and success and not entering(equations, slopes).size
    return Result(point, gap, 0, success, NO_DECREASE, slopes=own, unique=unique)


def _last_step(
    equations: Equations, params: Array, slopes: Array, active: Index
) -> tuple[Array, Array, bool]:
    """Return params and the changes of active slopes that meet all conditions.

    And whether no others do.
    """
    if not equations.curvature.any() and equations.determined_by(active):
        n_rows, free = equations.n_rows, _determined_by_rows(equations, active)
        rows = equations.objective.rows.dense(active[active < n_rows])
        square = Square(rows[:, free])
        if square.rcond > SMALLEST_RCOND:
            return *vertex_step(equations, params, slopes, active, square), True
    if active.size > 2 * params.size:
        return _held_step(equations, params, slopes, active)
    rows = equations.design(active)
    distance = equations.target[active] - rows @ params
    missing = _missing(equations, params, slopes)
    return _joint_step(equations, params, missing, rows, distance)


def vertex_step(
    equations: Equations,
    params: Array,
    slopes: Array,
    active: Index,
    square: Square | Exchanged,
) -> tuple[Array, Array]:
    """Return what `_last_step` does at a vertex, given the factors of its system.

    As many kinks as params determine the params, and then the slopes: those of the
    params at 0 by themselves, the others by as many rows.
    """
    rows = active[active < equations.n_rows]
    near, target = equations.objective.rows.take(rows), equations.target[rows]
    free, dropped = _determined_by_rows(equations, active), equations.dropped(active)
    moved = params.copy()
    moved[free], moved[dropped] = 0.0, 0.0
    missing = equations.objective.linear - equations.adjoint(slopes)
    left, turn = missing, np.zeros(rows.size)
    # Once more for what rounding left.
    for _ in range(2):
        moved[free] += square.solve(target - near.predict(moved))
        turn += square.solve(left[free], transposed=True)
        left = missing - near.adjoint(turn)
    return moved, np.append(turn, left[dropped])


def _determined_by_rows(equations: Equations, active: Index) -> NDArray[np.bool_]:
    """Return which params active rows determine: those not at 0 by themselves."""
    free = equations.varies.copy()
    free[equations.dropped(active)] = False
    return free


def _joint_step(
    equations: Equations,
    params: Array,
    missing: Array,
    rows: Array,
    distance: Array,
) -> tuple[Array, Array, bool]:
    """Return what `_last_step` does, params and slopes from one symmetric system.

    ``missing`` is by how much the slopes fail their condition, ``distance`` how far
    rows are from their kink.
    """
    p, n_active = params.size, len(rows)
    # Unknowns in units of residuals and of slopes, so that neither outweighs the other.
    unit = equations.objective.noise / RESIDUAL_ERROR or 1.0
    pull = float(equations.high.mean())
    system = np.zeros((p + n_active, p + n_active))
    curvature = equations.curvature * (unit / pull)
    # Stiff params, and rows that see hardly any other, in units of their own.
    soft, size = 1 / np.sqrt(np.maximum(curvature, 1.0)), np.abs(rows).max(axis=1)
    rows = rows * soft
    left = np.abs(rows).max(axis=1)
    steep = np.divide(size, left, where=left > 0, out=np.ones(n_active))
    rows *= steep[:, None]
    system.flat[: p * (p + n_active) : p + n_active + 1] = curvature * soft**2
    system[:p, p:], system[p:, :p] = rows.T, rows
    right = np.append(missing * soft / pull, distance * steep / unit)
    absent = np.flatnonzero(~equations.varies)
    system[absent, absent] = 1.0
    right[absent] = 0.0
    solution, regular = least_norm_solve(system, right)
    return params + unit * soft * solution[:p], -pull * steep * solution[p:], regular


def _held_step(
    equations: Equations, params: Array, slopes: Array, active: Index
) -> tuple[Array, Array, bool]:
    """Return what `_last_step` does where more kinks are active than hold the fit.

    They determine the params alone; then the slopes change least. If they do not, as
    equal rows, a triangular factor stands for them.
    """
    rows = equations.design(active)
    distance = equations.target[active] - rows @ params
    change, rank = least_norm_fit(rows, distance, SMALLEST_RCOND)
    if rank < np.count_nonzero(equations.varies):
        basis, root = scipy.linalg.qr(rows, mode="economic")
        missing = _missing(equations, params, slopes)
        moved, turn, _ = _joint_step(
            equations, params, missing, root, basis.T @ distance
        )
        return moved, basis @ turn, False
    moved = params + change
    right = -_missing(equations, moved, slopes)
    turn = least_norm_fit(rows.T, right, EPS * max(rows.shape))[0]
    return moved, turn, True


def _missing(equations: Equations, params: Array, slopes: Array) -> Array:
    """Return the adjoint of slopes minus what it is at the optimum."""
    gradient = equations.curvature * params + equations.objective.linear
    return np.asarray(equations.adjoint(slopes) - gradient)
