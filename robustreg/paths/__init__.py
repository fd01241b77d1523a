"""Fits for a whole grid of penalties, each started from the one before."""

from robustreg.paths.grid import RobustPath, robust_path, strengths

__all__ = ["RobustPath", "robust_path", "strengths"]
