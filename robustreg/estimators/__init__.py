"""The regressors."""

from robustreg.estimators.base import (
    NoEffectWarning,
    RobustLinearModel,
    ScaleCollapseWarning,
)
from robustreg.estimators.l1 import L1Regressor
from robustreg.estimators.mm import MMRegressor
from robustreg.estimators.quantiles import QuantilesRegressor
from robustreg.estimators.robust import RobustRegressor
from robustreg.estimators.smooth_l1 import SmoothL1Regressor

__all__ = [
    "L1Regressor",
    "MMRegressor",
    "NoEffectWarning",
    "QuantilesRegressor",
    "RobustLinearModel",
    "RobustRegressor",
    "ScaleCollapseWarning",
    "SmoothL1Regressor",
]
