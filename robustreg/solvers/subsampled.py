"""Newton's method with the Hessian of a sample of rows: three or four passes in all.

The Hessian of m rows differs from that of all by ``sqrt(p / m)``, so that each step
divides the gap by ``m / p`` at the price of one pass, where all rows' own Hessian costs
as much as p / 4 passes (subsampled Newton [1]_). Pairs of steps and changes of gradient
correct it further, as in L-BFGS [2]_. The sample's curvature also certifies the gap,
less sharply by the share of rows that it has.

Cost: about four passes, n p each, and m p^2 for the sample.

References
----------
.. [1] Roosta-Khorasani, F., Mahoney, M. W. (2019). Sub-sampled Newton methods.
   Mathematical Programming 174, 293-326.
.. [2] Nocedal, J., Wright, S. J. (2006). Numerical Optimization, 2nd edition,
   algorithm 7.4. Springer.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from robustreg.certificate import local_gap
from robustreg.linalg import SMALLEST_RCOND, factorise
from robustreg.objective import Model, Objective, Point
from robustreg.rows import Array, weighted_gram
from robustreg.solvers.results import Result, Start
from robustreg.solvers.sampling import Preconditioner, Sample
from robustreg.tolerance import allowed_gap

# A step that leaves more than this share of the gap is no better than a full Hessian's.
POOR = 0.1


# Steps and the changes of the gradient on them.
Pairs = list[tuple[Array, Array]]


def preconditioner_at(sample: Sample, point: Point) -> Preconditioner | None:
    """Return the Hessian of a sample's rows at a point, None if it will not do."""
    objective = sample.objective
    gram = weighted_gram(objective.rows, objective.curvature(point))
    hessian = objective.full_hessian(gram)
    factor = factorise(hessian)
    curved = (factor.scale > 0)[objective.rows.varies].all()
    usable = objective.loss.facts.unimodal and curved
    if factor.rcond < SMALLEST_RCOND or not usable:
        return None
    return Preconditioner(sample, Model(hessian, factor, gram))


def subsampled_newton(
    objective: Objective, start: Start, preconditioner: Preconditioner, tol: float
) -> Result:
    """Minimise an objective of many rows from a start near the optimum.

    Parameters
    ----------
    objective : Objective
        Smooth, with few params and no l1 part.
    start : Start
        Near the optimum.
    preconditioner : Preconditioner
        A sample's Hessian there.
    tol : float
        Done when the certified gap is allowed by `allowed_gap`.

    Returns
    -------
    Result
        As `newton` returns it; without success if the sample's Hessian will not do.
    """
    model = preconditioner.model
    if start.residual is None:
        # A gradient in single precision is near enough for the first two steps.
        point, rough = objective.evaluate_roughly(start.params), 2
    else:
        point, rough = objective.evaluate(start.params, start.residual), 0
    left, passes, success, gap = decrement(model, point), 1, False, np.inf
    pairs: Pairs = []
    while not success:
        params = point.params - corrected_step(model, pairs, point)
        evaluate = objective.evaluate_roughly if passes < rough else objective.evaluate
        trial = evaluate(params)
        passes, previous, left = passes + 1, left, decrement(model, trial)
        if not left < POOR * previous:
            break
        step, change = trial.params - point.params, trial.gradient - point.gradient
        if step @ change > 0:
            pairs.append((step, change))
        point = trial
        allowed = allowed_gap(objective, point, tol)
        if left <= preconditioner.sample.share * allowed:
            point = _exact(objective, point)
            gap = certified_gap(preconditioner, point)
            success = gap <= allowed
    point = _exact(objective, point)
    return Result(
        point,
        float(gap),
        passes - 1,
        success,
        "the sample's Hessian will not do",
        unique=success,
        preconditioner=preconditioner,
    )


def _exact(objective: Objective, point: Point) -> Point:
    """Return the point in full precision."""
    same = point.objective is objective
    return point if same else objective.evaluate(point.params)


def decrement(model: Model, point: Point) -> float:
    """Return what the model says is left to gain."""
    return 0.5 * float(point.gradient @ model.factor.solve(point.gradient))


def corrected_step(model: Model, pairs: Pairs, point: Point) -> Array:
    """Return the step's negative: the two loops of L-BFGS around the model."""
    q, scales = point.gradient, []
    for step, change in reversed(pairs):
        scales.append(float(step @ q) / float(step @ change))
        q = q - scales[-1] * change
    d = model.factor.solve(q)
    for (step, change), scale in zip(pairs, reversed(scales), strict=True):
        d = d + step * (scale - float(change @ d) / float(step @ change))
    return d


def certified_gap(preconditioner: Preconditioner, point: Point) -> float:
    """Return the bound on the gap from the sample's rows alone."""
    sample = preconditioner.sample
    there = replace(point, residual=point.residual[sample.index])
    return local_gap(sample.objective, there, preconditioner.model, sample.share)
