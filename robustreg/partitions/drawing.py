"""Which rows are the sample: told by their numbers alone, however they are divided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from robustreg.linalg import MOST_DIRECT_PARAMS
from robustreg.rows.distinct import GOLDEN

# The finaliser of the generator SplitMix64 (Steele, G. L., Lea, D., Flood, C. H.
# (2014). Fast splittable pseudorandom number generators. OOPSLA 2014, section 4):
# consecutive numbers in, independent bits out.
FIRST, SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


@final
@dataclass(frozen=True)
class Drawing:
    """How many rows the client holds: a sample, and those that a pass brings.

    Parameters
    ----------
    most_rows : int
        Rows, unless params ask for more.
    per_param : int
        Rows for each param at least: each pass divides the error of params by
        ``sqrt(m / p)``.
    most_entries : int
        Entries of the sample, unless params ask for more.
    worthwhile : float
        All rows are taken if they are no more than this many samples.
    most_near : int
        Entries, 64 MiB, of the rows near a median, unless params ask for more. Of more
        rows some stand for all.
    most_gathered : int
        Entries, 512 MiB, that are brought where an exact fit needs all rows.
    """

    most_rows: int = 50_000
    per_param: int = 20
    most_entries: int = 2**23
    worthwhile: float = 2.5
    most_near: int = 2**23
    most_gathered: int = 2**26

    def size(self, n_rows: int, n_params: int) -> int:
        """Return how many rows are drawn."""
        if n_params > MOST_DIRECT_PARAMS:
            raise ValueError(
                f"X has {n_params - 1} columns. Fits by passes take at most "
                f"{MOST_DIRECT_PARAMS - 1}, because the client holds their Hessian. "
                "Choose columns, or pass X.compute(), y.compute()."
            )
        some = min(self.most_rows, self.most_entries // n_params)
        some = max(some, self.per_param * n_params)
        return n_rows if n_rows <= self.worthwhile * some else some

    def near(self, n_params: int) -> int:
        """Return how many rows near a median a pass brings at most."""
        return max(self.most_near // n_params, self.per_param * n_params)


def drawn(first: int, count: int, n_rows: int, size: int) -> NDArray[Any]:
    """Return which of ``count`` rows from the ``first`` on are drawn.

    One of each of ``size`` strata of the rows' numbers, by a hash of the stratum's.
    """
    if size == n_rows:
        return np.arange(count)
    low = max(int(first * size / n_rows) - 1, 0)
    high = min(int((first + count) * size / n_rows) + 2, size)
    stratum = np.arange(low, high)
    number = ((stratum + uniform(stratum)) * (n_rows / size)).astype(np.int64)
    number = np.unique(np.minimum(number, n_rows - 1)) - first
    return number[(number >= 0) & (number < count)]


def uniform(number: NDArray[Any]) -> NDArray[Any]:
    """Return a number in [0, 1) for each integer of at least 0, always the same."""
    x = (number.astype(np.uint64) + np.uint64(1)) * GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(FIRST)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(SECOND)
    x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)).astype(np.float64) * 2.0**-53
