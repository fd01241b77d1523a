"""Scorers for ``scoring=``: larger is better, so that errors have a minus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.metrics import make_scorer

from robustreg.metrics.determination import robust_r2_score
from robustreg.metrics.errors import tau_scale, trimmed_mean_absolute_error
from robustreg.metrics.losses import (
    huber_loss,
    log_cosh_loss,
    pseudo_huber_loss,
    smooth_l1_loss,
)

neg_smooth_l1_loss = make_scorer(smooth_l1_loss, greater_is_better=False)
neg_huber_loss = make_scorer(huber_loss, greater_is_better=False)
neg_pseudo_huber_loss = make_scorer(pseudo_huber_loss, greater_is_better=False)
neg_log_cosh_loss = make_scorer(log_cosh_loss, greater_is_better=False)
neg_trimmed_mean_absolute_error = make_scorer(
    trimmed_mean_absolute_error, greater_is_better=False
)
neg_tau_scale = make_scorer(tau_scale, greater_is_better=False)
robust_r2 = make_scorer(robust_r2_score)

# What the scorer of a metric is called.
SCORERS: dict[Callable[..., Any], str] = {
    smooth_l1_loss: "neg_smooth_l1_loss",
    huber_loss: "neg_huber_loss",
    pseudo_huber_loss: "neg_pseudo_huber_loss",
    log_cosh_loss: "neg_log_cosh_loss",
    trimmed_mean_absolute_error: "neg_trimmed_mean_absolute_error",
    tau_scale: "neg_tau_scale",
    robust_r2_score: "robust_r2",
}
