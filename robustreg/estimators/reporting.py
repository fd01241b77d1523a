"""What callbacks are told of a fit of given rows."""

from __future__ import annotations

from functools import partial
from typing import Any

from robustreg.report import Report
from robustreg.rows import Array, Rows
from robustreg.validation import Callbacks


def report_of(callbacks: Callbacks | None, rows: Rows, n_targets: int) -> Report | None:
    """Return what a problem tells of its steps, None if nobody listens.

    Parameters
    ----------
    callbacks : Callbacks or None
        Those of the fit.
    rows : Rows
        The rows of the problem.
    n_targets : int
        How many the estimator fits, or quantiles. Before its end a fit of several
        predicts nothing.
    """
    if callbacks is None:
        return None

    def report(step: str, params: Array | None) -> bool:
        if params is None or n_targets > 1:
            return callbacks.step(step)
        return callbacks.step(step, partial(_attributes, rows, params))

    return report


def _attributes(rows: Rows, params: Array) -> dict[str, Any]:
    """Return what predictions by params in units of y are made of."""
    coef, intercept = rows.standard.to_original(params)
    return {"coef_": coef, "intercept_": float(intercept)}
