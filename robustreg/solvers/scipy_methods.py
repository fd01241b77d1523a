"""SciPy's own methods: L-BFGS-B for smooth objectives, linprog for kinked ones."""

from __future__ import annotations

import numpy as np
import scipy.sparse
from scipy.optimize import OptimizeResult, linprog, minimize

from robustreg.certificate import duality_gap
from robustreg.objective import Objective
from robustreg.rows import Array
from robustreg.solvers.newton import allowed_gap


def l_bfgs_b(
    objective: Objective, start: Array, tol: float, max_iter: int
) -> OptimizeResult:
    """Minimise a smooth objective by limited-memory BFGS [1]_; two passes a step.

    References
    ----------
    .. [1] Byrd, R. H., Lu, P., Nocedal, J., Zhu, C. (1995). A limited memory algorithm
       for bound constrained optimization. SIAM Journal on Scientific Computing 16,
       1190-1208.
    """
    first = objective.evaluate(start)
    # Its tolerances are absolute, so the value is brought to 1 and ftol switched off.
    unit = first.value if first.value > 0 else 1.0

    def fun(params: Array) -> tuple[float, Array]:
        point = objective.evaluate(params)
        return point.value / unit, point.gradient / unit

    result = minimize(
        fun,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": max_iter, "ftol": 0.0, "gtol": 1e-12, "maxcor": 20},
    )
    point = objective.evaluate(result.x)
    slopes = objective.loss.gradient(point.residual)
    gap = duality_gap(objective, point, slopes)
    success = gap <= allowed_gap(objective, point, tol)
    return OptimizeResult(
        x=point.params,
        fun=point.value,
        point=point,
        gap=gap,
        slopes=slopes,
        nit=result.nit,
        success=success,
        message=str(result.message),
    )


def linear_program(
    objective: Objective, start: Array, tol: float, max_iter: int
) -> OptimizeResult:
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
    weight = objective.weight[live]
    target = objective.target[live]
    unit = float(weight @ np.abs(target)) or 1.0
    design, offset = objective.rows.take(live).design()
    share = weight / weight.mean()
    matrix = scipy.sparse.csr_array(design).multiply(share[:, None]).T.tocsr()
    limit = objective.l1 * live.size
    kinked = np.flatnonzero(limit > 0)
    fixed = np.flatnonzero(limit == 0)
    inequalities = scipy.sparse.vstack([matrix[kinked], -matrix[kinked]])
    result = linprog(
        -share * target / unit,
        A_ub=inequalities if kinked.size else None,
        b_ub=np.tile(limit[kinked], 2) if kinked.size else None,
        A_eq=matrix[fixed] if fixed.size else None,
        b_eq=np.zeros(fixed.size) if fixed.size else None,
        bounds=objective.loss.facts.slopes,
        method="highs",
        options={
            "maxiter": max(max_iter, 100 * live.size),
            "primal_feasibility_tolerance": 1e-10,
            "dual_feasibility_tolerance": 1e-10,
        },
    )
    params = np.zeros(objective.n_params)
    slopes = np.zeros_like(objective.target)
    if result.x is not None:
        slopes[live] = result.x
        half = kinked.size
        params[fixed] = -result.eqlin.marginals * unit if fixed.size else 0.0
        if half:
            multipliers = -result.ineqlin.marginals * unit
            params[kinked] = multipliers[:half] - multipliers[half:]
    params[-1] += offset @ params[:-1]
    point = objective.evaluate(params)
    gap = duality_gap(objective, point, slopes)
    return OptimizeResult(
        x=point.params,
        fun=point.value,
        point=point,
        gap=gap,
        slopes=slopes,
        nit=int(result.nit),
        success=gap <= allowed_gap(objective, point, tol, slopes),
        message=str(result.message),
    )
