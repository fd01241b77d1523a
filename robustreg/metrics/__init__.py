"""Metrics of predictions, and the scorers made of them.

The losses are means and bend to outliers less than squares do; the others say which
share of outliers they survive. scikit-learn has more: `median_absolute_error`,
`mean_absolute_error`, `mean_pinball_loss` and `d2_absolute_error_score`.
"""

from robustreg.metrics.determination import robust_r2_score
from robustreg.metrics.errors import tau_scale, trimmed_mean_absolute_error
from robustreg.metrics.losses import (
    huber_loss,
    log_cosh_loss,
    pseudo_huber_loss,
    smooth_l1_loss,
)
from robustreg.metrics.scorers import (
    neg_huber_loss,
    neg_log_cosh_loss,
    neg_pseudo_huber_loss,
    neg_smooth_l1_loss,
    neg_tau_scale,
    neg_trimmed_mean_absolute_error,
    robust_r2,
)

__all__ = [
    "huber_loss",
    "log_cosh_loss",
    "neg_huber_loss",
    "neg_log_cosh_loss",
    "neg_pseudo_huber_loss",
    "neg_smooth_l1_loss",
    "neg_tau_scale",
    "neg_trimmed_mean_absolute_error",
    "pseudo_huber_loss",
    "robust_r2",
    "robust_r2_score",
    "smooth_l1_loss",
    "tau_scale",
    "trimmed_mean_absolute_error",
]
