"""From interior points that leave few kinks in doubt across to the vertex.

Most kinks show early whether they are active. Those most likely so, as many as there
are params, are a basis: one LU factorisation, and few of them will have to leave it for
others [1]_. So all kinks that are not in doubt are held, in the basis with a residual
of 0, out of it on their side. What is left to fit has a param for each doubtful kink of
the basis, and a row for each doubtful kink: few, and an interior-point method solves it
exactly. Where the vertex that it ends at shows that some were held wrongly they are in
doubt, too, and it is solved again.

Cost: the factorisation, and two or three small fits: together about two iterations of
as many params. About half of the iterations are saved, and the last step.

References
----------
.. [1] Bixby, R. E., Saltzman, M. J. (1994). Recovering an optimal LP basis from an
   interior point solution. Operations Research Letters 15, 169-178.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from robustreg.linalg import NOISE_LEVELS, SMALLEST_RCOND, Exchanged, Square, pivots
from robustreg.objective import Objective
from robustreg.penalties import ElasticNet
from robustreg.rows import Array, FormedRows, Index, Standard
from robustreg.solvers.kinked.interior_point.equations import Equations, State
from robustreg.solvers.kinked.interior_point.last_step import (
    certified,
    inactivity,
    vertex_step,
)
from robustreg.solvers.results import Result, Run, Start
from robustreg.tolerance import AT_END

# Kinks are in doubt that are within this factor of where the basis ends.
DOUBT = 10.0
# Fewer params than the first figure cost too little. It is time to cross over when no
# more than the second share of the basis is in doubt, and after a failure an eighth of
# what was, for good if that is less than one param; with more than the third a vertex
# is given up.
FEW_CROSSED, IN_DOUBT, MOST_IN_DOUBT = 1000, 0.15, 0.3
FEWER = 8
# Doubtful rows are pivots only where others are smaller than this share of them.
UNLIKELY = 1e-4
# A vertex is found after two to four rounds, a small fit in 10 to 20 iterations.
MOST_ROUNDS, MOST_ITERATIONS = 6, 60


@final
class Crossing:
    """When an interior-point method crosses over.

    Parameters
    ----------
    n_params : int
        The number of its params.
    exact : Run
        How few rows are fitted.
    """

    def __init__(self, n_params: int, exact: Run) -> None:
        self._most = int(IN_DOUBT * n_params) if n_params >= FEW_CROSSED else 0
        self._exact = exact

    def tried(self, equations: Equations, state: State, tol: float) -> Result | None:
        """Return the fit that a state leads to if it is time and it is one."""
        n = equations.n_varying
        penalised = equations.kinked.size or equations.curvature.any()
        if not self._most or penalised or equations.n_rows <= n:
            return None
        ratio = inactivity(equations, state)
        basis = np.argpartition(ratio, n - 1)[:n]
        end = float(ratio[basis].max())
        doubt = (ratio > end / DOUBT) & (ratio < end * DOUBT)
        n_doubtful = int(np.count_nonzero(doubt[basis]))
        if n_doubtful > self._most:
            return None
        self._most = n_doubtful // FEWER
        above, below = state.parts
        sides = np.where(above > below, equations.high, equations.low)
        vertex = _Vertex.of(equations, basis, doubt, sides)
        found = None if vertex is None else vertex.settled(self._exact, tol)
        return found if found is not None and found.success else None


@final
@dataclass
class _Vertex:
    """A basis of kinks, of which some may leave it.

    Parameters
    ----------
    equations : Equations
        Whose kinks they are.
    basis : ndarray of shape (n_varying,)
        The kinks.
    square : Square
        The factors of their rows.
    doubt : ndarray of shape (n_kinks,)
        Which kinks are not held.
    sides : ndarray of shape (n_kinks,)
        The slopes of kinks that are held out of the basis.
    places, moves : ndarray of shape (n_places,) and (n_varying, n_places)
        Where in the basis doubtful kinks are, and how params move as the prediction of
        one of the basis does, alone.
    """

    equations: Equations
    basis: Index
    square: Square
    doubt: NDArray[np.bool_]
    sides: Array
    places: Index
    moves: Array

    @classmethod
    def of(
        cls, equations: Equations, basis: Index, doubt: NDArray[np.bool_], sides: Array
    ) -> _Vertex | None:
        """Return the vertex near a basis, None if rows in doubt do not complete it."""
        varies, given = equations.varies, basis
        square = Square(equations.design(basis)[:, varies])
        if not square.rcond > SMALLEST_RCOND:
            # What looks active must depend on each other: some of it is not.
            kinks = np.union1d(basis, np.flatnonzero(doubt))
            rows = equations.design(kinks)[:, varies]
            rows[doubt[kinks]] *= UNLIKELY
            basis = kinks[pivots(rows)]
            doubt[np.setdiff1d(given, basis)] = True
            square = Square(equations.design(basis)[:, varies])
            if not square.rcond > SMALLEST_RCOND:
                return None
        none = np.zeros(0, np.intp)
        moves = np.zeros((basis.size, 0))
        return cls(equations, basis, square, doubt, sides, none, moves)

    def settled(self, exact: Run, tol: float) -> Result | None:
        """Return the fit at the vertex where nothing is held wrongly, or None."""
        equations = self.equations
        for _ in range(MOST_ROUNDS):
            self._loosen()
            found = self._exchanged(exact, tol)
            if found is None:
                break
            system, active = found
            slopes = self.sides.copy()
            slopes[active] = 0.0
            start = np.zeros(equations.every.size)
            params, turn = vertex_step(equations, start, slopes, active, system)
            slopes[active] = turn
            wrong = _held_wrongly(equations, params, slopes, active) & ~self.doubt
            if not wrong.any():
                return certified(equations, params, slopes, active, True, tol)
            self.doubt |= wrong
            if self.doubt[self.basis].mean() > MOST_IN_DOUBT:
                break
        return None

    def _loosen(self) -> None:
        """Add the moves of all doubtful kinks of the basis."""
        new = np.setdiff1d(np.flatnonzero(self.doubt[self.basis]), self.places)
        unit = np.zeros((new.size, self.basis.size))
        unit[np.arange(new.size), new] = 1.0
        self.places = np.append(self.places, new)
        self.moves = np.hstack([self.moves, self.square.solve(unit.T)])

    def _exchanged(
        self, exact: Run, tol: float
    ) -> tuple[Square | Exchanged, Index] | None:
        """Return the factors and the kinks of the basis of the fit of moves."""
        n, kinks = self.places.size, self.basis.copy()
        if not n:
            return self.square, kinks
        outside = self.doubt.copy()
        outside[kinks] = False
        others = np.flatnonzero(outside)
        objective = self._of_moves(others)
        error = float(np.abs(objective.target).mean())
        start = Start(np.zeros(n + 1), error=error)
        result = exact(objective, start, tol, MOST_ITERATIONS)
        slopes, (low, high) = result.optimal_slopes, objective.loss.facts.slopes
        active = np.minimum(high - slopes, slopes - low) > AT_END * (high - low)
        left, entered = np.flatnonzero(~active[:n]), others[active[n:]]
        if not result.success or left.size != entered.size:
            return None
        if not left.size:
            return self.square, kinks
        places = self.places[left]
        kinks[places] = entered
        rows = self.equations.design(entered)[:, self.equations.varies]
        system = Exchanged(self.square, places, self.moves[:, left], rows)
        return (system, kinks) if system.rcond > SMALLEST_RCOND else None

    def _of_moves(self, others: Index) -> Objective:
        """Return the objective of moves, a row for each doubtful kink."""
        equations, n = self.equations, self.places.size
        whole, varies = equations.objective, equations.varies
        full, start = np.zeros((n, whole.n_params)), np.zeros(whole.n_params)
        full[:, varies] = self.moves.T
        start[varies] = self.square.solve(equations.target[self.basis])
        held = np.where(self.doubt, 0.0, self.sides)
        held[self.basis] = 0.0
        near, none = whole.rows.take(others), np.zeros(n)
        design = np.vstack([np.eye(n), near.predict_each(full).T])
        return Objective(
            # The last column is that of an intercept, which there is not.
            FormedRows(np.pad(design, ((0, 0), (0, 1))), Standard(none, none + 1, 0.0)),
            np.append(none, whole.target[others] - near.predict(start)),
            whole.weight[np.append(self.basis[self.places], others)],
            whole.loss,
            ElasticNet(none, none),
            np.append(full @ (whole.linear - equations.adjoint(held)), 0.0),
        )


def _held_wrongly(
    equations: Equations, params: Array, slopes: Array, active: Index
) -> NDArray[np.bool_]:
    """Return which kinks are on the other side, or have slopes beyond their range."""
    room = np.minimum(equations.high - slopes, slopes - equations.low)
    residual = equations.target - equations.predict(params)
    noise = NOISE_LEVELS * equations.objective.noise
    wrong = (residual * slopes < 0) & (np.abs(residual) > noise)
    wrong[active] = (room < -AT_END * (equations.high - equations.low))[active]
    return wrong
