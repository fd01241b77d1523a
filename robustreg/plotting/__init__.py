"""Pictures, by scikit-learn's conventions; matplotlib is imported where it draws."""

from robustreg.plotting.outlier_map import OutlierMapDisplay, outlier_category

__all__ = ["OutlierMapDisplay", "outlier_category"]
