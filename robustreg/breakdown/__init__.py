"""Fits that survive up to half of the rows being wrong, in X as well as in y."""

from __future__ import annotations

from robustreg.breakdown.by_passes import fit_mm_whole
from robustreg.breakdown.constants import (
    efficiency_of,
    tukey_for_breakdown,
    tukey_for_efficiency,
)
from robustreg.breakdown.mm import fit_mm
from robustreg.breakdown.s_estimate import collapses, s_estimate
from robustreg.breakdown.search import Search
from robustreg.breakdown.typical import typical_rows

__all__ = [
    "Search",
    "collapses",
    "efficiency_of",
    "fit_mm",
    "fit_mm_whole",
    "s_estimate",
    "tukey_for_breakdown",
    "tukey_for_efficiency",
    "typical_rows",
]
