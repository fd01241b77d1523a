"""Targets of any size, brought within what floating point numbers can square."""

from __future__ import annotations

import numpy as np

from robustreg.linalg import SUMMABLE
from robustreg.losses import Loss
from robustreg.rows import Array
from robustreg.scale import spread, weighted_median

# Beyond this and one over it differences of targets and coefficients may be no
# numbers, or have lost digits.
LARGEST_SPREAD = 1e290
# Of a loss with a quadratic middle narrower than this share of what is typical of y no
# residual is known to lie there: it is a kinked loss that says it is not.
NARROWEST = 1e-16
# Differences of targets up to the largest float overflow; those of an eighth do not.
EIGHTH = 0.125


def within_reach(y: Array, weight: Array, loss: Loss, unit: float | None) -> Array:
    """Return targets that pull as those given do, none of them out of reach.

    A loss with bounded slopes is a line, or flatter, so far out that where on it a
    target lies moves no coefficient; any other loss has no finite value there.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        Targets, finite.
    weight : ndarray of shape (n_rows,)
        Their weights.
    loss : Loss
        The loss.
    unit : float or None
        The scale; None if it is estimated.

    Raises
    ------
    ValueError
        If the targets are too large or too small for the scale.
    """
    largest = max(float(y.max()), -float(y.min()))
    if largest == 0:
        return y
    if unit is not None and 1 / SUMMABLE <= largest / unit <= SUMMABLE:
        _check_width(y, weight, loss, unit)
        return y
    typical = spread(y * EIGHTH, weight) / EIGHTH if largest > 1 else spread(y, weight)
    if unit is None:
        _check_spread(typical, largest)
        unit = typical if typical > 0 else largest
    elif typical > SUMMABLE * unit or 0 < largest < unit / SUMMABLE:
        raise ValueError(
            f"y has a typical distance of {typical:.2g} from its median, of which "
            f"scale={unit:.3g} is no measure: they may differ by a factor of "
            f"{SUMMABLE:g}. Choose another scale, or scale='mad'."
        )
    return y if largest <= SUMMABLE * unit else _clipped(y, weight, loss, unit)


def _check_width(y: Array, weight: Array, loss: Loss, unit: float) -> None:
    """Refuse a convex loss whose middle is lost in the rounding errors of y."""
    facts = loss.facts
    curved = facts.smooth and facts.largest_curvature > 0
    if not (curved and facts.bounded_slope and facts.convex):
        return
    width = unit * facts.steepest / facts.largest_curvature
    if width >= NARROWEST * max(float(y.max()), -float(y.min())):
        return
    typical = spread(y * EIGHTH, weight) / EIGHTH
    if width < NARROWEST * typical:
        raise ValueError(
            f"y has a typical distance of {typical:.2g} from its median, in whose "
            f"rounding errors scale={unit:.3g} loses the quadratic middle of {loss!r}: "
            f"the limit is {unit * (NARROWEST * typical / width):.2g}. Choose a larger "
            "scale, scale='mad', or loss='l1', which has no such middle."
        )


def _check_spread(typical: float, largest: float) -> None:
    """Refuse targets whose differences are no numbers, or have lost their digits."""
    smallest = 1 / LARGEST_SPREAD
    if typical > LARGEST_SPREAD or 0 < largest < smallest:
        size = typical if typical > LARGEST_SPREAD else largest
        raise ValueError(
            f"y is of the size {size:.2g}, but must be between {smallest:g} and "
            f"{LARGEST_SPREAD:g}. Multiply it by a power of ten, and divide the "
            "coefficients by it."
        )


def _clipped(y: Array, weight: Array, loss: Loss, unit: float) -> Array:
    """Return targets of which those far out are as far as the reach."""
    center = weighted_median(y * EIGHTH, weight)
    distance = y * EIGHTH - center
    limit = SUMMABLE * unit * EIGHTH
    far = np.abs(distance) > limit
    if not far.any():
        return y
    if not loss.facts.bounded_slope:
        raise ValueError(
            f"y has values {np.abs(distance / unit).max() / EIGHTH:.2g} scales away "
            f"from its median, in rows {np.flatnonzero(far)[:5].tolist()}: the limit "
            f"of {loss!r} is {SUMMABLE:g}. Drop these rows, or choose a loss with "
            "bounded slopes, such as 'smooth_l1'."
        )
    reached = y.copy()
    reached[far] = (center + np.sign(distance[far]) * limit) / EIGHTH
    return reached
