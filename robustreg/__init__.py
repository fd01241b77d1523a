"""Robust regression for tabular data with outliers, as scikit-learn estimators."""

from robustreg.choosing import RobustRegressorCV
from robustreg.estimators import (
    L1Regressor,
    MMRegressor,
    NoEffectWarning,
    QuantilesRegressor,
    RobustRegressor,
    ScaleCollapseWarning,
    SmoothL1Regressor,
)
from robustreg.paths import RobustPath, robust_path

__version__ = "0.2.0"

__all__ = [
    "L1Regressor",
    "MMRegressor",
    "NoEffectWarning",
    "QuantilesRegressor",
    "RobustPath",
    "RobustRegressor",
    "RobustRegressorCV",
    "ScaleCollapseWarning",
    "SmoothL1Regressor",
    "__version__",
    "robust_path",
]
