"""An exact fit of a piecewise linear loss: only rows near the kink travel.

The sample's fit, then a few passes of the fit of a narrow smooth loss. One pass sums
the slopes of rows away from the kink, which one linear term stands for, and gathers
the others; the small problem is solved exactly. Another pass checks that the rows held
have kept their sides. Those that have not are gathered, too, and the problem is solved
again. A tangent is a lower bound: the certificate of the small problem is that of the
large one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import final

import numpy as np

from robustreg.objective import FAINTEST, Objective
from robustreg.partitions.part import Part, together
from robustreg.partitions.scales import Window, first_window, mad_of
from robustreg.partitions.smooth import Descent
from robustreg.partitions.sums import Asked, distinct, gradient, held, sides
from robustreg.partitions.whole import Ended, Reading, Whole
from robustreg.rows import Array
from robustreg.scale import MAD_FACTOR
from robustreg.solvers import Result, Start, canonical_fit, solve
from robustreg.solvers.facts import facts_of
from robustreg.solvers.kinked.active_rows import (
    BAND,
    narrow_error,
    narrow_loss,
    near_sample,
)
from robustreg.solvers.kinked.exact import exact_method
from robustreg.solvers.kinked.without_search import AT_KINK, TIED_SHARE

# Passes of the smooth fit. With fewer its error is larger, and more rows travel.
SMOOTH_PASSES = 3
# Too few rows may leave nothing that bounds the linear term of the others.
MORE = 4.0
# Of more values a fit of all rows does not bring them to one process, 512 MiB.
MOST_GATHERED = 2**26
# Each at least doubles the rows that are not held, or ends.
MOST_ROUNDS = 20


@final
class Held:
    """The objective with the rows away from the kink replaced by their tangents.

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
        tally = whole.engine.run(held, asked, reach)
        self.adjoint, self.rows = tally.sums[-1], tally.rows[1]
        self.reading = whole.reading(asked, tally)

    @property
    def objective(self) -> Objective:
        """The objective, which is smaller than that of all rows by a constant."""
        return self.whole.of_rows(self.asked, self.rows).tilted(-self.adjoint)

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


def fit_kinked(
    whole: Whole, near: Result, scale: float, tol: float, max_iter: int
) -> Ended:
    """Minimise a piecewise linear loss of all rows at a scale.

    Parameters
    ----------
    whole : Whole
        The rows.
    near : Result
        The fit of the sample, in units of the scale.
    scale : float
        The scale, in units of y.
    tol : float
        Done when the certified gap is allowed by `allowed_gap`.
    max_iter : int
        Iterations of each small problem.
    """
    loss, noise = whole.problem.loss, near.point.objective.noise
    asked = whole.asked(loss, near.params, scale)
    if _share_within(whole, asked, AT_KINK * noise) > TIED_SHARE:
        return _of_all(whole, asked, tol, max_iter)
    params, error, window = _near_all(whole, near, scale, tol)
    asked = window.of(whole, whole.asked(loss, params, scale))
    few = Held(whole, asked, BAND * error)
    reading = few.reading
    for _ in range(MOST_ROUNDS):
        few, result = _solved(few, error, tol, max_iter)
        there = replace(asked, params=result.params)
        window = window.after(whole, reading, there)
        there = window.of(whole, there)
        reading, wrong = _check(few, there)
        size = mad_of(whole, reading)
        settled = not few.without(wrong)
        seen = np.isfinite(size) and there.rate == 1
        if (settled and seen) or whole.engine.stopped:
            break
    return Ended(
        reading,
        result.gap if settled else np.inf,
        size,
        float("nan"),
        result.success and settled,
        result.message,
    )


def _share_within(whole: Whole, asked: Asked, reach: float) -> float:
    """Return the share of the rows that are near the kink, as the sample has it."""
    few = whole.few(asked)
    return float(few.weight @ (np.abs(few.residual(asked.params)) <= reach))


def _of_all(whole: Whole, asked: Asked, tol: float, max_iter: int) -> Ended:
    """Return the fit of all rows in memory, because too many lie at the kink.

    Raises
    ------
    ValueError
        If they are too many for that.
    """
    entries = whole.engine.n_rows * whole.standard.unit.size
    if entries > MOST_GATHERED:
        raise ValueError(
            "y is nearly the same in so many rows that an exact fit of this loss would "
            f"bring {entries:.2g} values to one process, more than "
            f"{MOST_GATHERED:.2g}. "
            "Use a smooth loss, such as RobustRegressor(), or fewer rows."
        )
    rows = whole.engine.run(distinct).rows[0]
    objective = whole.of_rows(asked, rows)
    result = solve(objective, Start(asked.params), "auto", tol, max_iter)
    # All rows are here: the window holds those that do not count as 0.
    least = whole.sample.floor / (MAD_FACTOR * asked.scale)
    there = replace(asked, params=result.params, window=(least, np.inf))
    reading = whole.reading(there, gradient(rows, there))
    size = mad_of(whole, reading)
    return Ended(reading, result.gap, size, np.nan, result.success, result.message)


def _solved(few: Held, error: float, tol: float, max_iter: int) -> tuple[Held, Result]:
    """Return the fit with most rows held, fewer of them if these leave no minimum."""
    n_rows, start = few.whole.engine.n_rows, Start(few.asked.params, error=error)
    for _ in range(MOST_ROUNDS):
        small = few.objective
        result = exact_method(small)(small, start, tol, max_iter)
        enough = few.rows.number.size >= n_rows or few.whole.engine.stopped
        if result.success or enough:
            break
        few = Held(few.whole, few.asked, MORE * few.reach)
    if result.success and not result.unique and facts_of(small).few_params:
        result = canonical_fit(small, result, tol)
    return few, result


def _near_all(
    whole: Whole, near: Result, scale: float, tol: float
) -> tuple[Array, float, Window]:
    """Return params near the optimum, how far they are off, and where the MAD is."""
    few = near.point.objective
    params, width, unit = near_sample(few, near.point, few.noise)
    narrow, shift = narrow_loss(few.loss, max(width, FAINTEST))
    center = whole.center - shift * scale
    descent = Descent(whole, narrow, None, tol, center)
    found = descent.run(params, scale, SMOOTH_PASSES)
    params, _ = descent.moved(found)
    low, high = few.loss.facts.slopes
    error = narrow_error(whole.engine.n_rows, few.n_params, width, unit)
    error += float(np.sqrt(2 * found.left * unit / (high - low)))
    error = max(error, few.noise)
    there = whole.asked(few.loss, params, scale)
    return params, error, first_window(whole, there)


def _check(few: Held, there: Asked) -> tuple[Reading, Part]:
    """Return what a pass shows of a fit, and the held rows that changed their side."""
    whole = few.whole
    noise = AT_KINK * whole.few(there).noise
    tally = whole.engine.run(sides, there, few.asked.params, few.reach, noise)
    return whole.reading(there, tally), tally.rows[1]
