"""Several quantiles of one target, at the price of a few fits.

Problems that differ in their loss alone share rows, weights and target. Without a
penalty their fits are looked for together; those that are not found, or may not be the
only ones, are left to `fit_problem`, which has the documented answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustreg.fitting.basis import basis_of
from robustreg.fitting.coordinates import Units, units_of
from robustreg.fitting.precision import answers
from robustreg.fitting.problem import Fit, Problem
from robustreg.fitting.targets import fit_targets
from robustreg.linalg import EPS
from robustreg.objective import RESIDUAL_ERROR, Objective
from robustreg.outliers import rounding_scale
from robustreg.rows import Array, Block
from robustreg.scale import spread
from robustreg.solvers.many.quantiles import many_quantiles, mean_losses

# Of more params the arithmetic outweighs what fits share.
MOST_PARAMS = 150


@dataclass(frozen=True)
class QuantileFit:
    """The fit of one quantile, in original units.

    Parameters
    ----------
    coef : ndarray of shape (n_features,)
        Coefficients.
    intercept : float
        Intercept, 0 if none is fitted.
    dual_gap : float
        Bound on the objective there minus its minimum.
    n_iter : int
        Iterations, at least 1.
    success : bool
        Whether the tolerance was met.
    stopped : bool
        Whether a report asked to stop before its end.
    """

    coef: Array
    intercept: float
    dual_gap: float
    n_iter: int
    success: bool
    stopped: bool = False

    @property
    def will_do(self) -> bool:
        """Whether no other standardisation would lead to a better fit."""
        return self.success or self.stopped


@dataclass(frozen=True)
class QuantileFits:
    """The fits of several quantiles, and the share of the weight where they cross."""

    fits: list[QuantileFit]
    crossing_share: float


def fit_quantiles(problems: list[Problem]) -> QuantileFits:
    """Fit problems that differ in their loss alone: twice pinball losses, at scale 1.

    Parameters
    ----------
    problems : list of Problem
        What to fit.
    """
    together, report = quantiles_together(problems), problems[0].report
    pairs = list(zip(problems, together, strict=True))
    if report is not None and any(fit is not None for fit in together):
        # Whether to stop is for those to ask that are fitted one by one.
        report("quantiles together", None)
    left = [problem for problem, fit in pairs if fit is None]
    others = iter(fit_targets(left, [None] * len(left)))
    fits = [_of_quantile(next(others)) if fit is None else fit for _, fit in pairs]
    return QuantileFits(fits, crossing_share(problems, fits))


def _of_quantile(fit: Fit) -> QuantileFit:
    """Return what is kept of a fit that was made by itself."""
    done = fit.success, fit.stopped
    return QuantileFit(fit.coef, fit.intercept, fit.dual_gap, fit.n_iter, *done)


def crossing_share(problems: list[Problem], fits: list[QuantileFit]) -> float:
    """Return the share of the weight of rows for which a lower quantile is above.

    By more than rounding errors, of the stored answers and of the predictions here.
    """
    first = problems[0]
    rows, weight = first.rows, first.weight
    fits = [fits[i] for i in np.argsort(_levels(problems))]
    coef = np.array([fit.coef for fit in fits], np.float64)
    intercept = np.array([fit.intercept for fit in fits], np.float64)
    params = rows.standard.from_original(coef, intercept)
    largest = np.abs(coef).max(axis=0), np.abs(intercept).max()
    noise = 4 * rounding_scale(rows, weight, *largest, first.eps, 0.0)

    def terms(place: slice, block: Block) -> tuple[float]:
        lines = block.predict_each(params)
        fall = lines[:-1] - lines[1:]
        crosses = (fall > noise).any(axis=0)
        if not crosses.any():
            return (0.0,)
        fall -= RESIDUAL_ERROR * np.abs(lines[1:])
        return (float(weight[place] @ (fall > noise).any(axis=0)),)

    return float(rows.map_reduce(terms)[0]) / float(weight.sum())


def _levels(problems: list[Problem]) -> Array:
    """Return the quantiles of problems."""
    ends = np.array([problem.loss.facts.slopes for problem in problems])
    return np.asarray(ends[:, 1] / (ends[:, 1] - ends[:, 0]))


def quantiles_together(problems: list[Problem]) -> list[QuantileFit | None]:
    """Fit problems that differ in their loss alone: twice pinball losses, at scale 1.

    Returns
    -------
    list of QuantileFit or None
        None for what is left to `fit_problem`.
    """
    fits: list[QuantileFit | None] = [None] * len(problems)
    first = problems[0]
    few = first.rows.n_params <= MOST_PARAMS and first.rows.varies.any()
    bare = not (first.penalty.l1.any() or first.penalty.l2.any())
    if not (few and bare) or basis_of(first) is not None:
        return fits
    center = units_of(first).center
    unit = spread(first.y, first.weight)
    if unit == 0:
        return fits
    units = Units(center, unit)
    weight = first.weight / first.weight.sum()
    target = units.of_target(first.y)
    objective = Objective(first.rows, target, weight, first.loss, first.penalty)
    levels = _levels(problems)
    # What overflows is not certified.
    with np.errstate(all="ignore"):
        found = many_quantiles(objective, levels, first.tol, first.max_iter)
    done = np.flatnonzero(found.done)
    if not done.size:
        return fits
    params, gap = units.to_original(found.params[done]), found.gap[done]
    coef, intercept = answers(first.rows, first.weight, params, unit, first.eps)
    if first.eps > EPS:
        exact = np.array(coef, np.float64), np.array(intercept, np.float64)
        stored = units.from_original(first.rows.standard.from_original(*exact))
        before = mean_losses(objective, levels[done], found.params[done])
        after = mean_losses(objective, levels[done], stored)
        gap = gap + np.maximum(after - before, 0.0)
    # The losses are twice the pinball loss.
    gap = 2 * gap * unit
    for i, c, b, g in zip(done, coef, intercept, gap, strict=True):
        fits[i] = QuantileFit(c, b, float(g), max(found.n_iter, 1), True)
    return fits
