"""Choosing a loss and a penalty by cross-validation."""

from robustreg.choosing.regressor import RobustRegressorCV

__all__ = ["RobustRegressorCV"]
