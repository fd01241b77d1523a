"""The params that an interior-point method works on: those not sure to be 0.

An l1 penalty leaves most params of many at 0. Those whose slope stays clearly within
its bounds need no place in the equations: they enter when the slopes on the way ask
for them (column generation [1]_). The certificate is that of all params.

References
----------
.. [1] Desaulniers, G., Desrosiers, J., Solomon, M. M. (2005). Column Generation.
   Springer.
"""

from __future__ import annotations

import numpy as np

from robustreg.linalg import MOST_DIRECT_PARAMS
from robustreg.objective import Objective
from robustreg.rows import Array, Index
from robustreg.solvers.kinked.interior_point.equations import (
    MANY_PARAMS,
    Equations,
    State,
)

# The params that are used first are those that are not 0, and twice as many others, of
# steepest slope, but no fewer than the second figure: one that is missing costs an
# iteration, one too many its share of each.
FIRST, FEWEST = 2, 32
# Params whose slope is above this share of its bound are likely to be used: they enter,
# and their own slope starts no closer to its end.
LIKELY = 0.9
# They do once one of them reaches this share, no more at once than there are, or than
# the second.
REACHED, FEWEST_NEW = 0.95, 20


def first_params(objective: Objective, start: Array) -> Index:
    """Return the params that are used first, in order."""
    every, kinked = np.arange(start.size), objective.l1 > 0
    if np.count_nonzero(kinked) < MANY_PARAMS:
        return every
    used = ~kinked | (start != 0)
    used[-1] = True
    size = max(FIRST * np.count_nonzero(used), FEWEST)
    steepness = _steepness(objective, objective.evaluate(start).gradient)
    steepness[used] = 0.0
    used[np.argsort(-steepness, kind="stable")[:size]] = True
    return np.flatnonzero(used)


def entering(equations: Equations, slopes: Array) -> Index:
    """Return the unused params that the slopes of rows ask for, steepest first.

    Parameters
    ----------
    equations : Equations
        Their params are used.
    slopes : ndarray of shape (n_kinks,)
        Weighted slopes of the rows, and others.
    """
    whole, used = equations.whole, equations.used
    if used.size == whole.n_params:
        return np.zeros(0, np.intp)
    steepness = _steepness(whole, equations.adjoint_of_rows(slopes) - whole.linear)
    steepness[used] = 0.0
    if steepness.max() < REACHED:
        return np.zeros(0, np.intp)
    most = max(FEWEST_NEW, used.size)
    order = np.argsort(-steepness, kind="stable")[:most]
    return order[steepness[order] > LIKELY]


def too_many(equations: Equations, new: Index) -> bool:
    """Return whether another method is the better one for that many used params."""
    size = equations.used.size + new.size
    # No more than there are rows will be used in the end.
    return size > min(MOST_DIRECT_PARAMS, 3 * equations.n_rows)


def enlarged(equations: Equations, state: State, new: Index) -> tuple[Equations, State]:
    """Return the equations in which more params may move, and the same state there."""
    whole, n_rows = equations.whole, equations.n_rows
    typical = float(np.mean(state.parts * state.room))
    # Of all params: those that nothing is known of are not used.
    slopes, parts = np.zeros(whole.n_params), np.ones((2, whole.n_params))
    room = np.ones_like(parts)
    place = equations.used[equations.kinked]
    slopes[place], parts[:, place] = state.slopes[n_rows:], state.parts[:, n_rows:]
    room[:, place] = state.room[:, n_rows:]
    missing = whole.linear - equations.adjoint_of_rows(state.slopes)
    limit = LIKELY * whole.l1
    slopes[new] = np.clip(missing, -limit, limit)[new]
    room[:, new] = np.stack([whole.l1 - slopes, whole.l1 + slopes])[:, new]
    parts[:, new] = typical / (whole.l1 - np.abs(slopes))[new]
    params = equations.widened(state.params)
    used = np.sort(np.append(equations.used, new))
    larger = Equations(whole, used)
    place = used[larger.kinked]
    return larger, State(
        params[used],
        np.append(state.slopes[:n_rows], slopes[place]),
        np.hstack([state.room[:, :n_rows], room[:, place]]),
        np.hstack([state.parts[:, :n_rows], parts[:, place]]),
    )


def _steepness(objective: Objective, slope: Array) -> Array:
    """Return each param's slope as a share of its l1 part, 0 for one without."""
    kinked = objective.l1 > 0
    with np.errstate(over="ignore", under="ignore"):
        return np.abs(slope) * kinked / np.where(kinked, objective.l1, 1.0)
