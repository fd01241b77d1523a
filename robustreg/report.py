"""Whom a fit tells of its steps, and how it is asked to stop.

A fit that nobody watches has None for a report, and pays for a comparison with it. What
is told of are passes over the rows that are fitted, wherever a solver makes them, and
shares of a search; not what is done to samples on the way.
"""

from __future__ import annotations

from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray


class Report(Protocol):
    """Is told of each step of a fit, and says whether to go on."""

    def __call__(self, step: str, params: NDArray[np.float64] | None) -> bool:
        """Take note of a step that was made; return whether the fit is to stop.

        Parameters
        ----------
        step : str
            What was made, such as ``"pass"``.
        params : ndarray of shape (n_params,) or None
            The best of a target so far, in units of y; None where that is not known.

        Returns
        -------
        bool
            True ever after it once was.
        """


@final
class StopFit(Exception):
    """A report asked to stop.

    Parameters
    ----------
    params : ndarray of shape (n_params,)
        The best so far, in units of y.
    n_passes : int
        How many the report was told of.
    """

    def __init__(self, params: NDArray[Any], n_passes: int) -> None:
        super().__init__("a report asked the fit to stop")
        self.params, self.n_passes = params, n_passes
