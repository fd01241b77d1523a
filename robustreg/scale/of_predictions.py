"""How large residuals of given predictions are, in one number that outliers spare."""

from __future__ import annotations

import numpy as np

from robustreg.rows import TIE, Array
from robustreg.scale.clipped import mean_clipped_square
from robustreg.scale.estimates import (
    MAD_FACTOR,
    weighted_median,
)

# The tau-scale clips at this many medians of absolute residuals, as scaleTau2 does.
TAU_CLIP = 3.0
# The mean square of Gaussian residuals so clipped, over their variance.
TAU_SQUARE = mean_clipped_square(TAU_CLIP / MAD_FACTOR)


def weighted_mean(values: Array, weight: Array) -> float:
    """Return the mean of values, of which each stands ``weight`` times.

    No sum is larger than the largest of the values.
    """
    return float((weight / weight.sum()) @ values)


def trimmed_mean(size: Array, weight: Array, trim: float) -> float:
    """Return the mean of the smallest ``1 - trim`` of sizes, by weight.

    The last of them counts in part, so that weights are repeated rows.

    Examples
    --------
    >>> import numpy as np
    >>> from robustreg.scale import trimmed_mean
    >>> trimmed_mean(np.array([4.0, 1.0, 9.0, 1.0]), np.ones(4), 0.25)
    2.0
    """
    room = (1 - trim) * float(weight.sum())
    # A row in excess of the room by rounding alone may be an outlier of any size.
    slack = TIE * room
    if weight.min() == weight.max():
        kept = min(int((room + slack) / weight[0]) + 1, size.size)
        size, weight = np.partition(size, kept - 1)[:kept], weight[:kept]
    else:
        order = np.argsort(size)
        size, weight = size[order], weight[order]
    share = np.clip(room - (np.cumsum(weight) - weight), 0.0, weight)
    share[share < slack] = 0.0
    return weighted_mean(size, share)


def tau(residual: Array, weight: Array) -> float:
    """Return the tau-scale of residuals about 0.

    ``m sqrt(mean(min((residual / m)^2, 9)) / c)``, m the weighted median of
    ``abs(residual)`` and c what makes it the standard deviation of a Gaussian; 0 where
    m is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from robustreg.scale import tau
    >>> residual = np.random.default_rng(0).normal(size=10_000)
    >>> round(tau(residual, np.ones(10_000)), 2)
    1.0
    """
    median = weighted_median(residual, weight, np.abs)
    if median == 0:
        return 0.0
    clipped = np.clip(residual / median, -TAU_CLIP, TAU_CLIP)
    return median * float(np.sqrt(weighted_mean(clipped**2, weight) / TAU_SQUARE))
