"""How much of the spread of targets predictions explain, from a pass."""

from __future__ import annotations

import numpy as np

from robustreg.partitions.engine import Engine
from robustreg.partitions.part import Moments, Part, Tally
from robustreg.rows import Array


def r2(engine: Engine, coef: Array, intercept: Array) -> float:
    """Return the mean coefficient of determination of the targets; takes a pass.

    That of targets without any spread is 1 if they are predicted exactly and else 0.

    Parameters
    ----------
    engine : Engine
        Where the rows are.
    coef : ndarray of shape (n_targets, n_features)
        Coefficients of the predictions.
    intercept : ndarray of shape (n_targets,)
        Their intercepts.
    """
    moments, missed = engine.run(squares, coef, intercept).sums
    varies = moments.square > 0
    share = 1 - missed / np.where(varies, moments.square, 1.0)
    return float(np.mean(np.where(varies, share, np.where(missed > 0, 0.0, 1.0))))


def squares(part: Part, coef: Array, intercept: Array) -> Tally:
    """Return the moments of the targets, and the sums of their squared residuals."""
    weight, total = part.weight, float(part.weight.sum())
    mean = weight @ part.y / total
    missed = part.y - (part.X @ coef.T + intercept)
    spread = Moments(total, mean, weight @ (part.y - mean) ** 2)
    return Tally((spread, weight @ missed**2))
