"""SciPy's own methods: L-BFGS-B for smooth objectives, linprog for kinked ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from scipy.optimize import OptimizeResult, linprog, minimize

from robustreg.certificate import duality_gap
from robustreg.objective import Objective
from robustreg.rows import Array
from robustreg.solvers.results import Result, Start
from robustreg.tolerance import allowed_gap

# It goes on to rounding errors of the gradient, with more pairs than it has by default:
# they are few beside the rows.
L_BFGS_OPTIONS = {"ftol": 0.0, "gtol": 1e-15, "maxcor": 20}
# Of linear programs posed in shares: the tolerances are absolute, and HiGHS takes none
# that are closer.
LP_TOLERANCES = {
    "primal_feasibility_tolerance": 1e-10,
    "dual_feasibility_tolerance": 1e-10,
}


def l_bfgs_b(objective: Objective, start: Start, tol: float, max_iter: int) -> Result:
    """Minimise a smooth objective by limited-memory BFGS [1]_; two passes a step.

    References
    ----------
    .. [1] Byrd, R. H., Lu, P., Nocedal, J., Zhu, C. (1995). A limited memory algorithm
       for bound constrained optimization. SIAM Journal on Scientific Computing 16,
       1190-1208.
    """
    params, iterations, last = start.params, 0, np.inf
    # A fit that nears an exact one is restarted in smaller units while that helps.
    for _ in range(8):
        # Its tolerances are absolute: the value is brought to 1 and ftol switched off.
        unit = objective.evaluate(params).value or 1.0
        if unit > 0.9 * last:
            break
        result = minimize(
            lambda z, unit: _scaled(objective, z, unit),
            params,
            args=(unit,),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": max(max_iter - iterations, 1), **L_BFGS_OPTIONS},
        )
        params, last, iterations = result.x, unit, iterations + result.nit
    point = objective.evaluate(params)
    slopes = objective.loss.gradient(point.residual)
    gap = duality_gap(objective, point, slopes)
    success = gap <= allowed_gap(objective, point, tol)
    message = str(result.message)
    return Result(point, gap, iterations, success, message, slopes=slopes)


def _scaled(objective: Objective, params: Array, unit: float) -> tuple[float, Array]:
    """Return value and gradient over a unit."""
    point = objective.evaluate(params)
    return point.value / unit, point.gradient / unit


def linear_program(
    objective: Objective, start: Start, tol: float, max_iter: int
) -> Result:
    """Minimise a piecewise linear objective as the dual linear program [1]_.

    One variable a row, between the two slopes, and one constraint a param; the
    multipliers of the constraints are the params.

    References
    ----------
    .. [1] Koenker, R. (2005). Quantile Regression, section 6.2. Cambridge University
       Press.
    """
    del start
    live = np.flatnonzero(objective.weight > 0)
    unit = float(objective.weight @ np.abs(objective.target)) or 1.0
    design, offset = objective.rows.take(live).entries()
    share = objective.weight[live] / objective.weight[live].mean()
    matrix = scipy.sparse.csr_array(design).multiply(share[:, None]).T.tocsr()
    result = _dual_program(
        -share * objective.target[live] / unit,
        matrix,
        objective.l1 * live.size,
        objective.loss.facts.slopes,
        max(max_iter, 100 * live.size),
    )
    slopes = np.zeros_like(objective.target)
    params = np.zeros(objective.n_params)
    if result.x is not None:
        slopes[live] = result.x
        params = result.params * unit
        params[-1] += offset @ params[:-1]
    point = objective.evaluate(params)
    gap = duality_gap(objective, point, slopes)
    success = gap <= allowed_gap(objective, point, tol, slopes)
    message = str(result.message)
    return Result(point, gap, int(result.nit), success, message, slopes=slopes)


def _dual_program(
    cost: Array,
    matrix: Any,
    limit: Array,
    slopes: tuple[float, float],
    max_iter: int,
) -> OptimizeResult:
    """Minimise ``cost @ d`` with ``abs(matrix @ d) <= limit`` and d within slopes.

    ``params`` of the result are the multipliers.
    """
    kinked, fixed = np.flatnonzero(limit > 0), np.flatnonzero(limit == 0)
    both = scipy.sparse.vstack([matrix[kinked], -matrix[kinked]])
    result = linprog(
        cost,
        A_ub=both if kinked.size else None,
        b_ub=np.tile(limit[kinked], 2) if kinked.size else None,
        A_eq=matrix[fixed] if fixed.size else None,
        b_eq=np.zeros(fixed.size) if fixed.size else None,
        bounds=slopes,
        method="highs",
        options={"maxiter": max_iter, **LP_TOLERANCES},
    )
    if result.x is not None:
        params = np.zeros(limit.size)
        params[fixed] = -result.eqlin.marginals
        upper, lower = np.split(-result.ineqlin.marginals, 2)
        params[kinked] = upper - lower
        result.params = params
    return result
