"""Pictures, by scikit-learn's conventions.

matplotlib is imported where it draws; without it each of them raises an `ImportError`.
"""

from robustreg.plotting.choice import CVDisplay
from robustreg.plotting.losses import LossDisplay
from robustreg.plotting.outlier_map import OutlierMapDisplay, outlier_category
from robustreg.plotting.path import PathDisplay
from robustreg.plotting.quantiles import QuantilesDisplay
from robustreg.plotting.residuals import ResidualsDisplay

__all__ = [
    "CVDisplay",
    "LossDisplay",
    "OutlierMapDisplay",
    "PathDisplay",
    "QuantilesDisplay",
    "ResidualsDisplay",
    "outlier_category",
]
