"""Checks of parameters and data; the only home of scikit-learn's private names."""

from robustreg.validation.data import (
    check_distance_data,
    check_fit_data,
    check_inference_data,
    check_path_data,
    check_predict_data,
    check_quantiles_data,
    check_score_data,
    refuse_collections,
)
from robustreg.validation.estimators import (
    check_collection_params,
    check_column_names,
    note_columns,
    unchanged_on_error,
)
from robustreg.validation.metrics import (
    Compared,
    check_metric_beta,
    check_metric_data,
    check_metric_loss,
    check_metric_params,
    check_metric_scale,
)
from robustreg.validation.params import (
    MM_CONSTRAINTS,
    PARAMETER_CONSTRAINTS,
    QUANTILES_CONSTRAINTS,
    SIZES,
    check_mm_data,
    check_mm_params,
    check_params,
    check_path_params,
    check_quantiles_params,
    check_scale_weight,
)

__all__ = [
    "MM_CONSTRAINTS",
    "PARAMETER_CONSTRAINTS",
    "QUANTILES_CONSTRAINTS",
    "SIZES",
    "Compared",
    "check_collection_params",
    "check_column_names",
    "check_distance_data",
    "check_fit_data",
    "check_inference_data",
    "check_metric_beta",
    "check_metric_data",
    "check_metric_loss",
    "check_metric_params",
    "check_metric_scale",
    "check_mm_data",
    "check_mm_params",
    "check_params",
    "check_path_data",
    "check_path_params",
    "check_predict_data",
    "check_quantiles_data",
    "check_quantiles_params",
    "check_scale_weight",
    "check_score_data",
    "note_columns",
    "refuse_collections",
    "unchanged_on_error",
]
