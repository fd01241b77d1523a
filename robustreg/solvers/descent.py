"""Steps downhill, with a line search that costs no pass over rows.

What Newton's method needs of any smooth function: a step from a model of it, which
takes more of a majorising curvature while the model has no minimum, and the minimum
along it. `descend` repeats that until it is told to end; `newton` with certificates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, final

import numpy as np
from scipy.optimize import brentq

from robustreg.linalg import EPS, SQUARABLE
from robustreg.objective import Model, Objective, Point
from robustreg.rows import Array
from robustreg.solvers.results import Start


class Evaluated(Protocol):
    """What is known of a point."""

    @property
    def params(self) -> Array:
        """Where it is."""

    @property
    def value(self) -> float:
        """The value there."""

    @property
    def gradient(self) -> Array:
        """The gradient there."""


class Smooth(Protocol):
    """What a descent asks of a function: of an `Objective`, or of another one."""

    def evaluate(self, params: Array, known: Array | None = None) -> Any:
        """Return the point; what is known there may save work."""

    def curvature(self, point: Any, majorised: float) -> Array:
        """Return what steps are made of, with a share of a majorising curvature."""

    def slope(self, point: Any, direction: Array, before: bool) -> float:
        """Return the derivative along a direction, just before or just after."""

    def line_slope(self, point: Any, direction: Array) -> Callable[[float], float]:
        """Return the derivative in t along ``point + t direction``."""


F = TypeVar("F", bound=Smooth)
P = TypeVar("P", bound=Evaluated)


@dataclass(frozen=True)
class Step:
    """A direction and what the model of the objective says of it.

    Parameters
    ----------
    direction : ndarray of shape (n_params,)
        The step.
    decrease : float
        Decrease of the model, an estimate of the gap.
    singular : bool
        True if the model has no minimum: rows with curvature are too few.
    rcond : float or None
        Reciprocal condition number of the scaled Hessian, None if not known; 0 if
        the Gram matrix had too few digits and an orthogonal factorisation took its
        place. Steps are then repeated until they stall.
    model : Model or None
        The Hessian, if it is positive definite and formed.
    inexact : bool
        True if the minimum of the model was not reached to rounding.
    slopes : ndarray of shape (n_rows,) or None
        The slopes at the end of the full step, where those of the residuals there
        would be rounding errors.
    """

    direction: Array
    decrease: float
    singular: bool = False
    rcond: float | None = None
    model: Model | None = None
    inexact: bool = False
    slopes: Array | None = None


@final
@dataclass(frozen=True)
class StepRule:
    """How a step is found.

    Parameters
    ----------
    step : callable
        ``step(objective, point, curvature, last)`` returns a `Step`. The last model, if
        any, may save it some of its work.
    forms_hessian : bool
        Whether it factorises the Hessian of all params.
    is_inexact : bool
        Whether steps are found by products with it, few of them far from the optimum.
    """

    step: Callable[[Objective, Point, Array, Model | None], Step]
    forms_hessian: bool = False
    is_inexact: bool = False


# Shares of the majorising curvature, tried in this order when Newton's own fails.
SHARES = (0.0, 0.01, 0.1, 1.0)
# A step has gone far enough once the slope along it fell to this share.
STEEP = 0.5
# A step must gain this share of what its model promised.
HONEST = 0.1
# A length along a step is found to this share: the value is off by the square of it.
LENGTH_RTOL = 1e-3
# A fall by no more than this share of the value is not to be told from rounding errors.
UNSEEN = 100 * EPS
# After this many steps, as many in a row that neither lower the value nor promise less
# than all before go in circles: rounding errors of the slopes lead them.
MOST_IDLE = 50


@final
@dataclass(frozen=True)
class Descent(Generic[P]):
    """Where a descent ended.

    Parameters
    ----------
    point : Evaluated
        The point.
    n_iter : int
        Steps.
    success : bool
        Whether it was told to end there.
    model : Model or None
        The last Hessian that was made, if any.
    """

    point: P
    n_iter: int
    success: bool
    model: Model | None


@final
class Pace:
    """The place in `SHARES` of the next step, and whether steps lead anywhere."""

    def __init__(self, majorise: bool = True) -> None:
        self.level = 0
        self._majorise = majorise
        self._steps, self._lowest, self._least, self._idle = 0, np.inf, np.inf, 0

    def is_over(self, trial: Evaluated, step: Step, length: float) -> bool:
        """Return whether a step was the last; if not, set the share of the next one.

        Less of the majoriser after a full step, more after a short one.
        """
        self._steps += 1
        most = self.level == len(SHARES) - 1 or not self._majorise
        circles = self._steps > MOST_IDLE and self._is_idle(trial.value, step.decrease)
        if not self._majorise or length == 1.0:
            self.level = max(self.level - 1, 0) if self._majorise else 0
        elif length < 0.3:
            self.level = min(self.level + 1, len(SHARES) - 1)
        # A model with all of the majoriser that is least where it is made has no more
        # to say.
        return circles or (most and (length == 0.0 or step.decrease <= 0))

    def _is_idle(self, value: float, decrease: float) -> bool:
        """Return whether neither fell in `MOST_IDLE` steps, the last one included."""
        fell = value < self._lowest or decrease < self._least
        self._lowest = min(value, self._lowest)
        self._least = min(decrease, self._least)
        self._idle = 0 if fell else self._idle + 1
        return self._idle > MOST_IDLE


def descend(
    function: F,
    start: Start,
    *,
    step: Callable[[F, P, Array, Model | None], Step],
    until: Callable[[F, P, float], bool],
    max_iter: int,
    majorise: bool = True,
) -> Descent[P]:
    """Go down from a start until told to end, or until no step leads down.

    Parameters
    ----------
    function : Smooth
        The function, to whose minimum it goes if it is convex.
    start : Start
        Where to start.
    step : callable
        As in a `StepRule`.
    until : callable
        ``until(function, point, length)`` says whether a point that was reached by a
        step of that length is the end.
    max_iter : int
        Largest number of steps.
    majorise : bool
        Whether short steps add majorising curvature, which every row has: of no use
        where the penalty curves all params.
    """
    point, last = function.evaluate(start.params, start.residual), start.model
    iteration, pace = 0, Pace(majorise)
    while iteration < max_iter:
        iteration += 1
        found, pace.level = model_step(function, point, step, pace.level, last)
        last = found.model or last
        trial, length = advance(function, point, found)
        if not np.isfinite(trial.gradient).all():
            # Rows held on their side may leave no minimum.
            break
        if until(function, trial, length):
            return Descent(trial, iteration, True, last)
        if pace.is_over(trial, found, length):
            break
        point = trial
    return Descent(point, iteration, False, last)


def model_step(
    function: F,
    point: P,
    step: Callable[[F, P, Array, Model | None], Step],
    level: int,
    last: Model | None = None,
) -> tuple[Step, int]:
    """Return the step, with more of the majoriser while the model is singular."""
    while True:
        curvature = function.curvature(point, SHARES[level])
        with np.errstate(over="ignore", invalid="ignore"):
            found = step(function, point, curvature, last)
        # A longer step is that of curvature too faint to tell from none.
        short = bool(np.abs(found.direction).max() <= SQUARABLE)
        if (short and not found.singular) or level == len(SHARES) - 1:
            return found, level
        level += 1


def advance(function: Smooth, point: P, step: Step) -> tuple[P, float]:
    """Return the next point and the length of the step, 0 if there is none.

    The full step is evaluated first. It stands if the value fell enough, or, where
    the value has no digits left to show that, if the slope along it halved. If not,
    the minimum between or beyond is found from residuals, affine in the length.
    """
    trial = function.evaluate(point.params + step.direction)
    start = function.slope(point, step.direction, before=False)
    stop = function.slope(trial, step.direction, before=True)
    if start >= 0:
        return point, 0.0
    if stop < STEEP * start:
        return _lengthened(function, point, trial, step.direction)
    # Values cost more than the slopes, and are made only if these do not decide.
    if stop <= -STEEP * start:
        return trial, 1.0
    visible = step.decrease > UNSEEN * abs(point.value)
    if visible and trial.value <= point.value - HONEST * step.decrease:
        return trial, 1.0
    slope = function.line_slope(point, step.direction)
    if slope(1.0) <= 0:
        return trial, 1.0
    length = brentq(lambda t: slope(t) if t else start, 0.0, 1.0, rtol=LENGTH_RTOL)
    return function.evaluate(point.params + length * step.direction), float(length)


def _lengthened(
    function: Smooth, point: P, trial: P, direction: Array
) -> tuple[P, float]:
    """Return the minimum beyond a full step that still goes down as steeply.

    Where no row has curvature the model's step is as good as arbitrary.
    """
    slope = function.line_slope(point, direction)
    if slope(1.0) >= 0:
        return trial, 1.0
    far = 2.0
    while slope(far) < 0 and far < 2.0**60:
        far *= 2.0
    length = far
    if slope(far) > 0:
        length = brentq(slope, 0.5 * far, far, rtol=LENGTH_RTOL)
    return function.evaluate(point.params + length * direction), 1.0
