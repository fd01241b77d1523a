"""Near the optima of many kinked fits at once, by a primal-dual interior-point method.

The iteration of `robustreg.solvers.kinked.interior_point` without a penalty [1]_, for
fits that have their own rows. It ends near the kinks, from where few edges are left.
What one step costs in Python, all fits share.

Cost: 5 to 15 iterations, each a Gram matrix for every fit.

References
----------
.. [1] Portnoy, S., Koenker, R. (1997). The Gaussian hare and the Laplacian tortoise:
   computability of squared-error versus absolute-error estimators. Statistical Science
   12, 279-300, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustreg.linalg import EPS, TINY
from robustreg.rows import TYPICAL_ROWS, Array, Index
from robustreg.solvers.kinked.interior_point import SIDES
from robustreg.solvers.many.kinks import Kinks, products
from robustreg.tolerance import CLIPPED_AT

# As for one fit, of each.
BOTH = SIDES[:, :, None]
# Far more than fits of few rows take.
MOST_ITERATIONS = 40
# Longer steps are as good as this one: none is longer than 1.
LONG = 1e3
# The first of these shares of its diagonal with which a matrix has a factor is added.
RIDGES = (1e-15, 1e-12, 1e-9)


@dataclass(frozen=True)
class _State:
    """Where k fits are: as the state of a single one, with the fits as an axis.

    ``params`` has shape (k, n_params), ``slopes`` (k, n_rows), and ``room`` and
    ``parts`` have shape (2, k, n_rows).
    """

    params: Array
    slopes: Array
    room: Array
    parts: Array


def near_optima(
    kinks: Kinks, params: Array, width: Array, goal: float, max_iter: int
) -> tuple[Array, int]:
    """Return params near the optima, and after how many iterations.

    Parameters
    ----------
    kinks : Kinks
        What is minimised; rows without weight come last.
    params : ndarray of shape (k, n_params)
        Where to start.
    width : ndarray of shape (k,)
        By about how much predictions there are off.
    goal : float
        Done when the products that are 0 at the optimum sum up to this share of the
        objective, but for outliers.
    max_iter : int
        Largest number of iterations.
    """
    weight = np.where(kinks.weights > 0, kinks.weights, kinks.weights.mean())
    high, low = weight * kinks.high, weight * kinks.low
    state = _central(kinks, high, low, params, width)
    some, n_iter = _some(kinks.weights), 0
    while n_iter < min(max_iter, MOST_ITERATIONS):
        left = (state.parts * state.room).sum(axis=(0, 2))
        if (left <= goal * _typical_size(high, low, state.parts, some)).all():
            break
        with np.errstate(all="ignore"):
            moved = _stepped(kinks, state)
        if moved is None:
            break
        state = moved
        n_iter += 1
    return state.params, n_iter


def _some(weights: Array) -> Index:
    """Return rows of each fit that tell what is typical of those with weight."""
    live = np.count_nonzero(weights, axis=1)[:, None]
    return (np.arange(TYPICAL_ROWS) * live) // TYPICAL_ROWS


def _typical_size(high: Array, low: Array, parts: Array, some: Index) -> Array:
    """Return the objective of each fit but for outliers."""
    size = np.abs(np.take_along_axis(parts[0] - parts[1], some, axis=1))
    size.sort(axis=1)
    most = CLIPPED_AT * size[:, TYPICAL_ROWS // 2, None]
    each = high * np.minimum(parts[0], most) - low * np.minimum(parts[1], most)
    return np.asarray(each.sum(axis=1))


def _central(
    kinks: Kinks, high: Array, low: Array, params: Array, width: Array
) -> _State:
    """Return the point of the central path of each row for given params."""
    residual = kinks.rows.residual(params)
    middle, half = (high + low) / 2, (high - low) / 2
    mu = np.maximum(width, TINY)[:, None] * half.mean(axis=1, keepdims=True)
    size = np.abs(residual) * half
    reach = np.hypot(mu, size)
    near = half * (mu / (mu + reach)) * (1 + mu / (size + reach))
    near = np.maximum(near, TINY)
    room = np.where(BOTH * residual > 0, near, 2 * half - near)
    slopes = middle + residual * half**2 / (mu + reach)
    return _State(params, slopes, room, mu / room)


def _stepped(kinks: Kinks, state: _State) -> _State | None:
    """Return the states after a predictor-corrector step, None if there is none."""
    room, rows = state.room, kinks.rows
    residual = rows.residual(state.params)
    spread = state.parts / room
    inverse = 1 / (spread[0] + spread[1])
    solve = _inverses(rows.grams(inverse))
    if solve is None:
        return None
    missing = kinks.linear - rows.adjoint(state.slopes)

    def direction(aims: Array | float) -> tuple[Array, Array, Array]:
        wish = aims / room
        wanted = (residual - wish[0] + wish[1]) * inverse
        params = products(solve, rows.adjoint(wanted) - missing)
        slopes = BOTH * (wanted - inverse * rows.along(params))
        parts = (aims + state.parts * slopes) / room - state.parts
        return params, slopes, parts

    _, slopes, parts = direction(0.0)
    n = 2 * room.shape[2]
    primal, dual = _reach(state.parts, parts), _reach(room, -slopes)
    mu = (state.parts * room).sum(axis=(0, 2)) / n
    near = (state.parts + primal * parts) * (room - dual * slopes)
    center = (mu * (near.sum(axis=(0, 2)) / (n * mu)) ** 3)[:, None]
    params, slopes, parts = direction(center + parts * slopes)
    primal = np.minimum(0.9995 * _reach(state.parts, parts), 1.0)
    dual = np.minimum(0.9995 * _reach(room, -slopes), 1.0)
    moved = _State(
        state.params + primal * params,
        state.slopes + dual * slopes[0],
        room - dual * slopes,
        state.parts + primal * parts,
    )
    return moved if np.isfinite(moved.parts).all() else None


def _inverses(grams: Array) -> Array | None:
    """Return the inverses of positive definite matrices, None if one has none."""
    places = np.arange(grams.shape[1])
    diagonal = grams[:, places, places].copy()
    for ridge in RIDGES:
        grams[:, places, places] = diagonal * (1 + ridge) + EPS * TINY
        scale = 1 / np.sqrt(grams[:, places, places])
        scaled = grams * scale[:, :, None] * scale[:, None, :]
        try:
            root = np.linalg.inv(np.linalg.cholesky(scaled))
        except np.linalg.LinAlgError:
            continue
        root *= scale[:, None, :]
        return root.transpose(0, 2, 1) @ root
    return None


def _reach(value: Array, change: Array) -> Array:
    """Return the longest steps, of shape (k, 1), that leave values non-negative."""
    fastest = np.fmax.reduce(-change / value, axis=(0, 2), initial=0.0)
    return np.where(fastest > 1 / LONG, 1 / fastest, LONG)[:, None]
