"""Passes of a fit, as they are reported, and the best point of them."""

from __future__ import annotations

from functools import partial
from typing import final

import numpy as np

from robustreg.fitting.coordinates import Units
from robustreg.objective import Objective, Point, Watch
from robustreg.report import Report, StopFit
from robustreg.rows import Array


@final
class Watched:
    """Tells a report of each pass, and ends the fit if that is asked for.

    Objectives of another loss or scale cannot be compared: of each the first point is
    taken for better than those of the ones before, from which it starts.

    Parameters
    ----------
    report : Report
        Whom to tell.
    """

    def __init__(self, report: Report) -> None:
        self._report: Report | None = report
        self._n_passes = 0
        self._objective: Objective | None = None
        self._value, self._params = np.inf, np.zeros(0)

    def in_units(self, units: Units) -> Watch:
        """Return what is told by an objective in some units."""
        return partial(self._passed, units)

    def end(self) -> None:
        """Tell no more: what follows is not the fit's way."""
        self._report = None

    def _passed(self, units: Units, point: Point, params: Array) -> None:
        """Tell of a pass, and raise `StopFit` if it is to be the last."""
        if self._report is None:
            return
        self._n_passes += 1
        if point.objective is not self._objective or point.value < self._value:
            self._objective, self._value = point.objective, point.value
            self._params = units.to_original(params.astype(np.float64))
        if self._report("pass", self._params):
            self.end()
            raise StopFit(self._params, self._n_passes)
