"""Rows that are elsewhere: on disk, or in the partitions of a cluster.

A fit needs a few sums and a few rows of them, which passes bring to the client.
"""

from robustreg.partitions.collection import collections, is_collection
from robustreg.partitions.determination import r2
from robustreg.partitions.drawing import Drawing
from robustreg.partitions.engine import Engine, InTurn
from robustreg.partitions.fit import FitOne, fit_partitions, fit_whole
from robustreg.partitions.loading import PartitionError, new_rows
from robustreg.partitions.part import Part
from robustreg.partitions.sampling import Drawn, draw
from robustreg.partitions.whole import Whole

__all__ = [
    "Drawing",
    "Drawn",
    "Engine",
    "FitOne",
    "InTurn",
    "Part",
    "PartitionError",
    "Whole",
    "collections",
    "draw",
    "fit_partitions",
    "fit_whole",
    "is_collection",
    "new_rows",
    "r2",
]
