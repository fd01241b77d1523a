"""The small problem of an exact fit: rows near the kink, and tangents of all others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import final

import numpy as np

from robustreg.objective import Objective
from robustreg.partitions.part import Part, together
from robustreg.partitions.scales import Excess
from robustreg.partitions.sums import Asked, near_kink
from robustreg.partitions.whole import Whole
from robustreg.scale import AGREES, LOG_TOL, FixedPoint, find_fixed_point
from robustreg.solvers import Result, Start, canonical_fit
from robustreg.solvers.facts import facts_of

# How many times as far from the kink rows are held where the others have no minimum:
# too few of them leave nothing that bounds the linear term of those that are held.
MORE = 4.0
# Rounds, of which each at least doubles the rows that are not held, or ends.
MOST_ROUNDS = 20
# A scale agrees with its fit to this before a pass tells whether it does.
SETTLES = 1e-2 * AGREES

# ``exact(objective, start)`` minimises an objective of rows that are at hand.
Exact = Callable[[Objective, Start], Result]


@final
class Held:
    """The objective with the rows away from the kink replaced by their tangents.

    Slopes have no unit, so that it is known at any scale.

    Parameters
    ----------
    whole : Whole
        All rows.
    asked : Asked
        Where the tangents touch.
    reach : float
        How far from the kink rows are held.
    """

    def __init__(self, whole: Whole, asked: Asked, reach: float) -> None:
        self.whole, self.asked, self.reach = whole, asked, reach
        tally = whole.engine.run(near_kink, asked, reach)
        self.adjoint, self.rows = tally.sums[-1], tally.rows[1]
        self.reading = whole.reading(asked, tally)

    def objective_at(self, scale: float) -> Objective:
        """Return the objective, smaller than that of all rows by a constant."""
        asked = replace(self.asked, scale=scale)
        return self.whole.of_rows(asked, self.rows).tilted(-self.adjoint)

    def without(self, rows: Part) -> bool:
        """Hold some rows no longer; return whether any of them was held."""
        new = rows.take(np.flatnonzero(~np.isin(rows.number, self.rows.number)))
        if not new.number.size:
            return False
        point = self.asked.point(new)
        slopes = point.objective.weight * self.asked.loss.gradient(point.residual)
        self.adjoint = self.adjoint - point.objective.rows.adjoint(slopes)
        self.rows = together([self.rows, new])
        return True


@final
class Exactly:
    """Exact fits with most rows held, at any scale without a pass.

    Parameters
    ----------
    held : Held
        The rows.
    error : float
        By about how much predictions are off where the tangents touch.
    exact : callable
        Minimises an objective of the rows that are not held.
    tol : float
        The tolerance of that.
    """

    def __init__(self, held: Held, error: float, exact: Exact, tol: float) -> None:
        self.held, self._exact, self._tol = held, exact, tol
        self._start = Start(held.asked.params, error=error)

    def fit_at(self, scale: float) -> Result:
        """Return the fit at a scale, with fewer rows held if these leave no minimum."""
        engine, asked = self.held.whole.engine, self.held.asked
        start = self._start.rescaled(asked.scale, scale)
        for _ in range(MOST_ROUNDS):
            few = self.held.objective_at(scale)
            result = self._exact(few, start)
            enough = self.held.rows.number.size >= engine.n_rows or engine.stopped
            if result.success or enough:
                break
            self.held = Held(self.held.whole, asked, MORE * self.held.reach)
        if result.success and not result.unique and facts_of(few).few_params:
            result = canonical_fit(few, result, self._tol)
        return result

    def fit_near(self, scale: float, excess: Excess) -> tuple[Result, FixedPoint]:
        """Return the fit at the scale that its residuals have, near another."""
        fits: dict[float, Result] = {}

        def measure_at(scale: float) -> float:
            fits[scale] = self.fit_at(scale)
            return scale * float(np.exp(excess(fits[scale].params, scale)))

        floor = self.held.whole.sample.floor
        at = find_fixed_point(
            measure_at,
            scale,
            floor,
            rtol=SETTLES,
            tells_side=lambda: True,
            continuous=True,
        )
        found = min(fits, key=lambda scale: abs(scale - at.scale))
        # The same but for the rounding of a logarithm.
        if not np.isclose(found, at.scale, rtol=LOG_TOL, atol=0):
            return self.fit_at(at.scale), at
        return fits[found], replace(at, scale=found)
