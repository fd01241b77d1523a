"""What stands for a choice where a fit of one loss is asked for."""

from __future__ import annotations

from typing import Any

from robustreg.choosing.regressor import RobustRegressorCV


def chosen_by(model: Any) -> Any:
    """Return what a fitted choice chose, fitted to all rows; another model itself."""
    return model.best_estimator_ if isinstance(model, RobustRegressorCV) else model
