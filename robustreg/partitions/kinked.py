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

import numpy as np

from robustreg.objective import FAINTEST
from robustreg.partitions.engine import InTurn
from robustreg.partitions.held import MOST_ROUNDS, Exact, Exactly, Held
from robustreg.partitions.part import Part
from robustreg.partitions.scales import (
    ExcessOf,
    Window,
    first_window,
    mad_excess,
    mad_of,
    seen_or,
)
from robustreg.partitions.smooth import Descent
from robustreg.partitions.sums import Asked, distinct, sides
from robustreg.partitions.whole import Ended, Reading, Whole
from robustreg.scale import AGREES, FixedPoint
from robustreg.solvers import Result, solve
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


def fit_kinked(
    whole: Whole,
    near: Result,
    at: FixedPoint,
    excess_of: ExcessOf | None,
    tol: float,
    max_iter: int,
) -> tuple[Ended, FixedPoint]:
    """Minimise a piecewise linear loss of all rows.

    Parameters
    ----------
    whole : Whole
        The rows.
    near : Result
        The fit of the sample, in units of its scale.
    at : FixedPoint
        Its scale.
    excess_of : callable or None
        Makes the excess of the residuals' scale of a reading, as those in `EXCESSES`;
        None if the scale stays.
    tol : float
        Done when the certified gap is allowed by `allowed_gap`.
    max_iter : int
        Iterations of each small problem.

    Returns
    -------
    Ended
        The fit.
    FixedPoint
        Its scale.
    """
    loss, noise = whole.problem.loss, near.point.objective.noise
    asked = whole.asked(loss, near.params, at.scale)
    if _share_within(whole, asked, AT_KINK * noise) > TIED_SHARE:
        # Too many for rounds of some of them.
        whole, window = _gathered(whole), first_window(whole, asked)
        exact, error, reach = _any_solver(tol, max_iter), np.inf, np.inf
    else:
        asked, error, window = _near_all(whole, near, at.scale, excess_of, tol)
        at = replace(at, scale=asked.scale)
        exact, reach = _exact_solver(tol, max_iter), BAND * error
    few = Held(whole, window.of(whole, asked), reach)
    return _in_rounds(Exactly(few, error, exact, tol), window, at, excess_of)


def _in_rounds(
    small: Exactly, window: Window, at: FixedPoint, excess_of: ExcessOf | None
) -> tuple[Ended, FixedPoint]:
    """Return the fit of all rows, given what fits those near the kink."""
    whole, asked = small.held.whole, small.held.asked
    reading = small.held.reading
    for _ in range(MOST_ROUNDS):
        if excess_of is None:
            result = small.fit_at(at.scale)
        else:
            excess = seen_or(excess_of(whole, reading), window, whole, asked)
            result, at = small.fit_near(at.scale, excess)
        there = replace(asked, params=result.params, scale=at.scale)
        window = window.after(whole, reading, there)
        there = window.of(whole, there)
        reading, wrong = _check(small.held, there)
        settled = not small.held.without(wrong)
        size = mad_of(whole, reading)
        seen = np.isfinite(size) and there.rate == 1
        if excess_of is not None:
            at, told = _told(at, excess_of(whole, reading)(result.params, at.scale))
            seen = seen and told
        if (settled and seen) or whole.engine.stopped:
            break
    end = Ended(
        reading,
        result.gap if settled else np.inf,
        size,
        float("nan"),
        result.success and settled,
        result.message,
    )
    return end, at


def _told(at: FixedPoint, off: float) -> tuple[FixedPoint, bool]:
    """Return a fixed point as all rows measure it, and if that is as expected."""
    if at.collapsed:
        return at, True
    as_expected = abs(off - at.disagreement) <= AGREES
    agrees = abs(off) <= AGREES
    return replace(at, converged=agrees, disagreement=off), as_expected


def _share_within(whole: Whole, asked: Asked, reach: float) -> float:
    """Return the share of the rows that are near the kink, as the sample has it."""
    few = whole.few(asked)
    return float(few.weight @ (np.abs(few.residual(asked.params)) <= reach))


def _gathered(whole: Whole) -> Whole:
    """Return all rows at the client, equal ones merged.

    Raises
    ------
    ValueError
        If they are too many for that.
    """
    engine = whole.engine
    entries = engine.n_rows * whole.standard.unit.size
    most = whole.drawn.drawing.most_gathered
    if entries > most:
        raise ValueError(
            "y is nearly the same in so many rows that an exact fit of this loss would "
            f"bring {entries:.2g} values to one process, more than {most:.2g}. "
            "Use a smooth loss, such as RobustRegressor(), or fewer rows."
        )
    rows = engine.run(distinct).rows[0]
    size = rows.number.size, engine.n_features, engine.n_targets
    return replace(whole, engine=InTurn([lambda: rows], *size))


def _any_solver(tol: float, max_iter: int) -> Exact:
    """Return what fits all rows."""
    return lambda few, start: solve(few, start, "auto", tol, max_iter)


def _exact_solver(tol: float, max_iter: int) -> Exact:
    """Return what fits the rows near the kink."""
    return lambda few, start: exact_method(few)(few, start, tol, max_iter)


def _near_all(
    whole: Whole, near: Result, scale: float, excess_of: ExcessOf | None, tol: float
) -> tuple[Asked, float, Window]:
    """Return where the optimum is near, how far it is off, and where the MAD is."""
    few = near.point.objective
    params, width, sparsity = near_sample(few, near.point, few.noise)
    narrow, shift = narrow_loss(few.loss, max(width, FAINTEST))
    center = whole.center - shift * scale
    # What a window shows of the exact fit it shows at any scale.
    moves = None if excess_of is mad_excess else excess_of
    descent = Descent(whole, narrow, moves, tol, center)
    found = descent.run(params, scale, SMOOTH_PASSES)
    params, scale = descent.moved(found)
    low, high = few.loss.facts.slopes
    error = narrow_error(whole.engine.n_rows, few.n_params, width, sparsity)
    # Unknown where the sample's curvature has lost its digits, and no more than before.
    left = found.left if found.left >= 0 else np.inf
    error += min(float(np.sqrt(2 * left * sparsity / (high - low))), width)
    error = max(error, few.noise)
    there = whole.asked(few.loss, params, scale)
    return there, error, first_window(whole, there)


def _check(few: Held, there: Asked) -> tuple[Reading, Part]:
    """Return what a pass shows of a fit, and the held rows that changed their side."""
    whole = few.whole
    noise = AT_KINK * whole.few(there).noise
    tally = whole.engine.run(sides, there, few.asked, few.reach, noise)
    return whole.reading(there, tally), tally.rows[1]
