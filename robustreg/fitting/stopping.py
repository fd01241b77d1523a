"""Where a fit ends that is stopped on its way."""

from __future__ import annotations

from robustreg.fitting.any_scale import AnyScale
from robustreg.fitting.estimated import fit_at_scale
from robustreg.report import StopFit
from robustreg.rows import Array
from robustreg.scale import FixedPoint
from robustreg.solvers import stopped_at


def fit_unless_stopped(scaled: AnyScale) -> tuple[FixedPoint, bool]:
    """Fit at its scale, or end at the best that a fit had which was stopped.

    Return the scale and whether it was stopped.
    """
    watched = scaled.watched
    if watched is None:
        return fit_at_scale(scaled), False
    try:
        return fit_at_scale(scaled), False
    except StopFit as stop:
        watched.end()
        return _end_at(scaled, stop.params, watched.n_passes), True
    finally:
        watched.end()


def _end_at(scaled: AnyScale, params: Array, n_iter: int) -> FixedPoint:
    """Make params, in units of y, the last fit; return the scale of its residuals.

    Or the scale that is given.
    """
    problem, collapsed = scaled.problem, False
    if problem.estimate is None:
        scale = float(problem.scale)
    else:
        in_units_of_y = scaled.objective(1.0, problem.loss)
        residual = in_units_of_y.residual(scaled.in_units_of(1.0, params))
        measured = scaled.measure(residual)
        scale, collapsed = max(measured, scaled.floor), measured <= scaled.floor
    objective = scaled.objective(scale, problem.loss)
    point = objective.evaluate(scaled.in_units_of(scale, params))
    result = stopped_at(objective, point, problem.tol, n_iter)
    scaled.take(scale, objective, result)
    return FixedPoint(scale, collapsed=collapsed, converged=True)
