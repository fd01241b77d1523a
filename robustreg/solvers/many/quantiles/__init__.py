"""Several quantiles of one target at once, exactly: one reading of the rows for all.

The fits differ in the level of their loss alone, and each is a vertex. Newton steps of
smooth losses lead near, each as wide as the fit before is off: of few rows from nearly
the median, moved to each level; of more from there on a sample, and on from that with
its Hessian and the slopes of all rows. Rows near the kink then are few; all others keep
their side of it, where one linear term stands for them [1]_. On these few an
interior-point method goes on, and edges lead from the nearest vertex to the optimal
one. One more reading of all rows tells of each whether the slopes that balance all
others are within their bounds: then it is optimal, whatever led there, and the only
one.

Cost: three passes over all rows, of k products each, and as much as k fits of few rows,
that share what these cost in Python.

References
----------
.. [1] Portnoy, S., Koenker, R. (1997). The Gaussian hare and the Laplacian tortoise:
   computability of squared-error versus absolute-error estimators. Statistical Science
   12, 279-300, section 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robustreg.linalg import Square
from robustreg.objective import Objective
from robustreg.rows import Array, Block, Index, middle_of
from robustreg.solvers.many.interior_points import near_optima
from robustreg.solvers.many.kinks import Kinks
from robustreg.solvers.many.quantiles.near import Near, active_rows, near_optimum
from robustreg.solvers.many.quantiles.sides import Corners, Sides, residuals
from robustreg.solvers.many.vertices import (
    MOST_EDGES,
    REGULAR,
    follow_edges,
    vertex_near,
)
from robustreg.tolerance import AT_END, CLIPPED_AT

# The share of the objective that interior points are from the optimum: from there few
# edges are left.
NEARLY = 1e-3
# Times that rows near the kinks are looked for.
ROUNDS = 3


@dataclass(frozen=True)
class ManyQuantiles:
    """The fits of several quantiles.

    Parameters
    ----------
    params : ndarray of shape (k, n_params)
        The only optimum of each.
    gap : ndarray of shape (k,)
        Bounds on the mean pinball losses there minus their minima.
    done : ndarray of bool of shape (k,)
        Which of them were found; others are of no account.
    n_iter : int
        Interior points and edges of the fit that took most of them.
    """

    params: Array
    gap: Array
    done: NDArray[np.bool_]
    n_iter: int


def many_quantiles(
    objective: Objective, levels: Array, tol: float, max_iter: int
) -> ManyQuantiles:
    """Fit several quantiles, each where one fit is optimal.

    Parameters
    ----------
    objective : Objective
        The rows, their target and their weights, all positive; its loss is of no
        account, and its penalty is none.
    levels : ndarray of shape (k,)
        The quantiles, in (0, 1).
    tol : float
        The tolerance of the gap, relative to the mean loss but for outliers.
    max_iter : int
        Largest number of iterations.
    """
    k = levels.size
    params, gap, n_iter = np.zeros((k, objective.n_params)), np.full(k, np.inf), 0
    every = Sides(objective, levels)
    left, near = np.arange(k), near_optimum(every)
    for _ in range(ROUNDS):
        if near is None or not left.size:
            break
        sides = every.of(left)
        found = _at_vertices(sides, near, max_iter)
        n_iter += found.n_iter
        params[left], gap[left] = found.params, _gaps(sides, found, tol)
        open_ = np.flatnonzero(np.isinf(gap[left]))
        whole = (near.share >= 1).all()
        left, near = left[open_], None if whole else near.wider(found).of(open_)
    return ManyQuantiles(params, gap, np.isfinite(gap), n_iter)


def mean_losses(objective: Objective, levels: Array, params: Array) -> Array:
    """Return the mean pinball loss of each level at its params."""

    def terms(place: slice, block: Block) -> tuple[Array]:
        residual = objective.target[place] - block.predict_each(params)
        size = np.abs(residual) / 2 + (levels - 0.5)[:, None] * residual
        return (size @ objective.weight[place],)

    return np.asarray(objective.rows.map_reduce(terms)[0])


def _at_vertices(sides: Sides, near: Near, max_iter: int) -> Corners:
    """Return the vertices to which edges lead from near the optima."""
    active, used = active_rows(sides, near), sides.used
    kinks, params = active.kinks, near.params.copy()
    inner, n_iter = near_optima(kinks, params[:, used], near.error, NEARLY, max_iter)
    basis = np.full(inner.shape, -1)
    start, inverse = _starts(kinks, inner)
    some = start[:, 0] >= 0
    if some.any():
        most = min(MOST_EDGES, max_iter - n_iter)
        found = follow_edges(kinks.kept(some), start[some], inverse[some], most)
        done = np.flatnonzero(some)[found.done]
        params[done[:, None], used] = found.params[found.done]
        ends = found.basis[found.done]
        basis[done] = np.take_along_axis(active.places[done], ends, axis=1)
        n_iter += found.edges
    return Corners(params, basis, n_iter)


def _starts(kinks: Kinks, params: Array) -> tuple[Index, Array]:
    """Return the rows of the vertices nearest to params, and their inverses.

    Rows are -1 where none determine params.
    """
    p, rows = params.shape[1], kinks.rows
    distance = np.where(kinks.weights > 0, np.abs(rows.residual(params)), np.inf)
    basis = np.argpartition(distance, p - 1, axis=1)[:, :p]
    inverse = _inverses(rows.block(basis))
    for i in np.flatnonzero(inverse[:, 0, 0] == np.inf).tolist():
        found = vertex_near(rows.of(i), distance[i])
        basis[i] = -1 if found is None else found
        inverse[i] = np.eye(p) if found is None else np.linalg.inv(rows.of(i)[found])
    return basis, inverse


def _inverses(blocks: Array) -> Array:
    """Return the inverses of matrices, infinite where they are not regular."""
    try:
        found = np.linalg.inv(blocks)
    except np.linalg.LinAlgError:
        return np.full_like(blocks, np.inf)
    norms = (np.abs(each).sum(axis=1).max(axis=1) for each in (blocks, found))
    regular = np.prod(list(norms), axis=0) * REGULAR < 1
    found[~regular] = np.inf
    return np.asarray(found)


def _gaps(sides: Sides, corners: Corners, tol: float) -> Array:
    """Return bounds on how far vertices are from optimal, infinite if that is far.

    The bound of `robustreg.certificate`, to which only rows that are fitted exactly
    contribute what rounding leaves of their residuals; what it leaves of the balance of
    slopes counts over the typical residual.
    """
    objective, used = sides.objective, sides.used
    gaps = np.full(len(corners.params), np.inf)
    force = sides.force_at(corners)[:, used]
    few, share = objective.representatives
    residual = residuals(objective, corners.params, few)
    blocks = sides.rows.dense(corners.basis.ravel())
    blocks = blocks.reshape(*corners.basis.shape, -1)
    for i, (basis, block) in enumerate(zip(corners.basis, blocks, strict=True)):
        if basis[:1].min(initial=0) < 0:
            continue
        square = Square(block[:, used])
        if not square.rcond > REGULAR:
            continue
        weight = objective.weight[basis]
        held = square.solve(-force[i], transposed=True)
        half = held / weight
        if np.abs(half).max(initial=0.0) > 0.5 - AT_END:
            continue
        left = objective.target[basis] - block @ corners.params[i]
        missed = force[i] + held @ block[:, used]
        typical = middle_of(np.abs(residual[i]))
        clipped = np.clip(residual[i], -CLIPPED_AT * typical, CLIPPED_AT * typical)
        size = np.abs(clipped) / 2 + (sides.levels[i] - 0.5) * clipped
        gap = float(weight @ (np.abs(left) / 2 - half * left))
        gap += float(np.abs(missed).sum()) * typical
        if gap <= tol * float(share @ size):
            gaps[i] = gap
    return gaps
