"""What every loss of one residual promises, and two functions that use it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Elements of an array that stays in cache with others made of it.
STRETCH = 2**15
# So near to a breakpoint, as a share of the range that is looked at, a slope is that of
# its side.
BESIDE = 1e-9
# Doublings that go beyond any breakpoint, and halvings that leave rounding errors.
STEPS = 60


@dataclass(frozen=True)
class LossFacts:
    """What callers may ask about a loss instead of its class name.

    Parameters
    ----------
    largest_curvature : float
        Supremum of the second derivative; ``inf`` where the value has a kink.
    slopes : tuple of float, default=(-inf, inf)
        Infimum and supremum of the first derivative, which bound the domain of
        the convex conjugate.
    convex : bool, default=True
        False for a redescending loss: fits then end in a local minimum, and start
        at a convex one.
    symmetric : bool, default=True
        True if the value is the same at ``r`` and ``-r``; only such a loss can be
        tilted by ``quantile``.
    linear_beyond : float, default=inf
        The loss is exactly linear, with ``slopes``, for ``abs(r)`` beyond this; 0 for
        a piecewise linear loss with its kink at 0.
    breakpoints : tuple of float or None, default=None
        The residuals between which the loss is a parabola or a line; None if it is
        neither.
    unimodal : bool, default=False
        True if the curvature rises to one peak and falls after it, so that between
        two residuals it is least at one of them. Fits are then certified at less cost.
    largest_value : float, default=inf
        Supremum of the value; finite for a loss that gives gross outliers up.
    """

    largest_curvature: float
    slopes: tuple[float, float] = (-np.inf, np.inf)
    convex: bool = True
    symmetric: bool = True
    linear_beyond: float = np.inf
    breakpoints: tuple[float, ...] | None = None
    unimodal: bool = False
    largest_value: float = np.inf

    @property
    def bounded_slope(self) -> bool:
        """True if no residual pulls harder than some bound."""
        return bool(np.isfinite(self.slopes[0]) and np.isfinite(self.slopes[1]))

    @property
    def steepest(self) -> float:
        """The largest size of the first derivative."""
        return max(-self.slopes[0], self.slopes[1])

    @property
    def smooth(self) -> bool:
        """True if there is no kink, at which a residual may stay."""
        return bool(np.isfinite(self.largest_curvature))

    @property
    def quadratic(self) -> bool:
        """True for a multiple of least squares, of the same curvature everywhere."""
        return self.breakpoints == ()

    @property
    def piecewise_linear(self) -> bool:
        """True for a loss that is linear on either side of a kink at 0."""
        return self.linear_beyond == 0


class Loss(ABC):
    """A loss of one residual, with minimum 0 at residual 0.

    All methods act elementwise on an array of residuals ``r = y - prediction`` (in
    units of the scale) and return an array of the same shape. A loss knows neither
    rows nor weights. Subclasses are final; make one a frozen dataclass and it can
    be cloned, compared and pickled.

    Examples
    --------
    Fair's loss, usable as ``loss=Fair(1.4)`` in every estimator. Its value loses digits
    where ``abs(r)`` is far below beta, which a loss in `LOSSES` must not:

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from robustreg.losses import Loss, LossFacts, numerical_conjugate
    >>> @dataclass(frozen=True)
    ... class Fair(Loss):
    ...     beta: float
    ...
    ...     @property
    ...     def facts(self):
    ...         slopes = (-self.beta, self.beta)
    ...         return LossFacts(1.0, slopes, unimodal=True)
    ...
    ...     def value(self, residual):
    ...         t = np.abs(residual) / self.beta
    ...         return self.beta**2 * (t - np.log1p(t))
    ...
    ...     def gradient(self, residual):
    ...         return residual / (1 + np.abs(residual) / self.beta)
    ...
    ...     def curvature(self, residual):
    ...         return (1 + np.abs(residual) / self.beta) ** -2
    ...
    ...     def conjugate(self, slope):
    ...         return numerical_conjugate(self, slope)
    >>> Fair(1.4).value(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.3436])
    """

    @property
    @abstractmethod
    def facts(self) -> LossFacts:
        """The facts by which solvers are chosen."""

    @abstractmethod
    def value(self, residual: Array) -> Array:
        """Return the loss at each residual."""

    @abstractmethod
    def gradient(self, residual: Array) -> Array:
        """Return the first derivative (0 at a kink)."""

    @abstractmethod
    def curvature(self, residual: Array) -> Array:
        """Return the second derivative (one side's where it jumps)."""

    @abstractmethod
    def conjugate(self, slope: Array) -> Array:
        """Return ``sup_r slope * r - value(r)``; ``inf`` outside ``facts.slopes``.

        At these ends it is finite or ``inf``, never nan, and numpy warns of nothing.
        """


@dataclass(frozen=True)
class BreakpointLoss(Loss):
    """A loss that ``beta``, a residual, makes wide or narrow.

    Raises
    ------
    ValueError
        If beta is not a positive finite number.
    """

    beta: float

    def __post_init__(self) -> None:
        """Refuse a beta that makes no loss."""
        if not (isinstance(self.beta, Real) and 0 < self.beta < np.inf):
            name = type(self).__name__
            raise ValueError(f"{name} needs a finite beta > 0. Got {self.beta!r}.")


def relative_weight(loss: Loss, residual: Array) -> Array:
    """Return ``gradient(r) / r`` relative to its largest value, 1 at ``r = 0``."""
    curvature, weight = loss.facts.largest_curvature, np.empty_like(residual)
    for start in range(0, residual.size, STRETCH):
        r = residual[start : start + STRETCH]
        part = np.divide(
            loss.gradient(r), r * curvature, out=np.ones_like(r), where=r != 0
        )
        # Divisions may leave a full weight a few rounding errors off 1.
        part[part > 1 - 4 * np.finfo(np.float64).eps] = 1.0
        np.maximum(part, 0.0, out=weight[start : start + STRETCH])
    return weight


def numerical_conjugate(loss: Loss, slope: Array) -> Array:
    """Return the convex conjugate of a loss that has no closed form for it.

    Solves ``gradient(r) = slope`` elementwise by doubling and bisection, at most 120
    evaluations of the gradient. A slope that doubling does not reach gives ``inf``,
    which is a bound in any case. An end of ``facts.slopes`` that a rounded gradient
    reaches gives the value there, even where the limit is ``inf``.

    Parameters
    ----------
    loss : Loss
        A convex loss.
    slope : ndarray
        Any shape.

    Returns
    -------
    ndarray
        ``slope * r - value(r)`` at the solution, ``inf`` outside ``facts.slopes``.
    """
    slope = np.asarray(slope, dtype=np.float64)
    low, high = loss.facts.slopes
    sign = np.where(slope < 0, -1.0, 1.0)
    outer = np.abs(slope) / loss.facts.largest_curvature
    # A kink has its slopes at once.
    tiny = np.finfo(np.float64).tiny
    outer = np.maximum(outer, tiny)
    for _ in range(STEPS):
        short = sign * (slope - loss.gradient(sign * outer)) > 0
        if not short.any():
            break
        outer = np.where(short, 2 * outer, outer)
    out_of_reach = short & (slope != 0)
    inner = np.zeros_like(outer)
    for _ in range(STEPS):
        middle = (inner + outer) / 2
        short = sign * (slope - loss.gradient(sign * middle)) > 0
        inner, outer = np.where(short, middle, inner), np.where(short, outer, middle)
    root = sign * np.where(outer > tiny, outer, 0.0)
    value = slope * root - loss.value(root)
    return np.where((slope < low) | (slope > high) | out_of_reach, np.inf, value)
