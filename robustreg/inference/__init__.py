"""Standard errors, tests and confidence intervals of fitted coefficients."""

from __future__ import annotations

from robustreg.inference.prediction import predict_table
from robustreg.inference.table import coef_covariance, coef_table
from robustreg.inference.wald import wald_test

__all__ = ["coef_covariance", "coef_table", "predict_table", "wald_test"]
