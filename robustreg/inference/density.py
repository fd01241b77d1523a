"""Densities of errors at a quantile: bandwidths, kernels and weighted ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import numpy as np
from scipy.stats import norm

from robustreg.rows import TIE, Array

# The level of the interval that the bandwidths of Hall, Sheather and Chamberlain serve.
SIZE = 0.05
# Widths from their centre at which kernels are 0, the Gaussian one in floating point.
WIDTHS = 1e3


def hall_sheather(n: float, quantile: float) -> float:
    """Return Hall and Sheather's bandwidth, of order ``n^(-1/3)``."""
    z = norm.ppf(quantile)
    ratio = 1.5 * norm.pdf(z) ** 2 / (2 * z**2 + 1)
    return float((norm.ppf(1 - SIZE / 2) ** 2 * ratio / n) ** (1 / 3))


def bofinger(n: float, quantile: float) -> float:
    """Return Bofinger's bandwidth, of order ``n^(-1/5)``."""
    z = norm.ppf(quantile)
    return float((4.5 * norm.pdf(z) ** 4 / (2 * z**2 + 1) ** 2 / n) ** 0.2)


def chamberlain(n: float, quantile: float) -> float:
    """Return Chamberlain's bandwidth, of order ``n^(-1/2)``."""
    deviation = np.sqrt(quantile * (1 - quantile) / n)
    return float(norm.ppf(1 - SIZE / 2) * deviation)


BANDWIDTHS: dict[str, Callable[[float, float], float]] = {
    "hall-sheather": hall_sheather,
    "bofinger": bofinger,
    "chamberlain": chamberlain,
}


def _epanechnikov(u: Array) -> Array:
    return 0.75 * np.maximum(1 - u**2, 0.0)


def _biweight(u: Array) -> Array:
    return 15 / 16 * np.maximum(1 - u**2, 0.0) ** 2


def _cosine(u: Array) -> Array:
    return np.where(np.abs(u) <= 0.5, 1 + np.cos(2 * np.pi * u), 0.0)


def _parzen(u: Array) -> Array:
    size = np.abs(u)
    outer = 8 / 3 * np.maximum(1 - size, 0.0) ** 3
    return np.where(size <= 0.5, 4 / 3 - 8 * size**2 + 8 * size**3, outer)


KERNELS: dict[str, Callable[[Array], Array]] = {
    "gaussian": norm.pdf,
    "epanechnikov": _epanechnikov,
    "biweight": _biweight,
    "cosine": _cosine,
    "parzen": _parzen,
}


def inside(quantile: float, bandwidth: float) -> float:
    """Return a bandwidth halved until ``quantile +- bandwidth`` lies in (0, 1)."""
    if not quantile - bandwidth < quantile < quantile + bandwidth:
        raise ValueError(
            f"The bandwidth around quantile {quantile:g} is {bandwidth:.2g}, too small "
            "to tell: sample_weight must count rows, and its sum is beyond any number "
            "of them. Divide it by its mean."
        )
    while not 0 < quantile - bandwidth < quantile + bandwidth < 1:
        bandwidth /= 2
    return bandwidth


@final
class Ranked:
    """Values of which each stands ``weight`` times, in increasing order of a key."""

    def __init__(self, values: Array, weight: Array, key: Array) -> None:
        live = np.flatnonzero(weight)
        order = live[np.argsort(key[live], kind="stable")]
        self._values = values[order]
        self._sums = np.cumsum(weight[order])

    def at(self, rank: Array) -> Array:
        """Return the values of some ranks; the first is 1."""
        slack = TIE * self._sums[-1]
        place = np.searchsorted(self._sums, np.asarray(rank) - slack)
        return np.asarray(self._values[np.minimum(place, self._values.size - 1)])

    def quantile(self, q: float) -> float:
        """Return a quantile, interpolated as `numpy.quantile` does."""
        rank = 1 + (self._sums[-1] - 1) * q
        low = float(np.floor(rank))
        below, above = self.at(np.array([low, low + 1]))
        return float(below + (rank - low) * (above - below))


def deviation(values: Array, weight: Array, divisor: float) -> float:
    """Return ``sqrt(sum (values - mean)^2 / divisor)``, infinite if that overflows."""
    center = float(weight @ values) / float(weight.sum())
    with np.errstate(over="ignore"):
        return float(np.sqrt(weight @ (values - center) ** 2 / divisor))


def at_width(kernel: str, values: Array, width: float) -> Array:
    """Return a kernel's density at values; far out, where it is 0, none overflows."""
    return KERNELS[kernel](np.clip(values / width, -WIDTHS, WIDTHS)) / width


def least_spread(values: Array, weight: Array, deviation: float) -> float:
    """Return the smaller of a deviation and of the quartiles' distance over 1.34."""
    ranked = Ranked(values, weight, values)
    between = ranked.quantile(0.75) - ranked.quantile(0.25)
    return min(deviation, between / 1.34)
