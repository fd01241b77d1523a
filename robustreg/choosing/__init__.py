"""Choosing a loss and a penalty by cross-validation."""

from robustreg.choosing.chosen import chosen_by
from robustreg.choosing.regressor import RobustRegressorCV

__all__ = ["RobustRegressorCV", "chosen_by"]
