"""Solvers, and the one table that chooses among them by facts of the objective."""

from robustreg.solvers.results import Result, Start
from robustreg.solvers.starting import near_start
from robustreg.solvers.stopped import stopped_at
from robustreg.solvers.table import (
    SOLVERS,
    UnsuitableSolverError,
    canonical_fit,
    chosen,
    solve,
)

__all__ = [
    "SOLVERS",
    "Result",
    "Start",
    "UnsuitableSolverError",
    "canonical_fit",
    "chosen",
    "near_start",
    "solve",
    "stopped_at",
]
