"""The scale that agrees with the fit that is made at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from robustreg.fitting.any_scale import AnyScale
from robustreg.fitting.in_turn import FitsInTurn
from robustreg.losses import L1, Loss
from robustreg.rows import Array
from robustreg.scale import (
    LINES,
    MOST_FITS,
    MOST_SORTED,
    SCALE_RTOL,
    FixedPoint,
    find_fixed_point,
    is_agreement,
    mad,
)
from robustreg.solvers import Start, chosen, near_start
from robustreg.solvers.facts import facts_of, step_rule_for
from robustreg.solvers.majorised import convex_start
from robustreg.solvers.profiled import profiled_newton
from robustreg.solvers.reweighted import Reweighting
from robustreg.solvers.sampling import STARTING
from robustreg.solvers.starting import ROUGH_TOL
from robustreg.solvers.subsampled import preconditioner_at

# A sample's scale starts that of all rows, which is no closer than to this anyway: the
# scales of 5,000 rows differ by 1e-2.
ROUGH_RTOL = 1e-3
# A kinked fit of all rows costs little more than one of a sample, unless rows are this
# many times more.
SPARING = replace(STARTING, worthwhile=10.0)
# Where a scale may be 0, one that fell to this share of its start is on its way there.
VANISHING = 1e-3
# If this many params are in use and account for it, it is at this share; fits of fewer
# may agree below.
MANY_USED, FALLING = 100, 0.03
# Rows whose products with a probe differ by no more of the largest are equal.
EQUAL_ROWS = 1e-12
# Beside a sample's Hessian the scale is looked for to this share of the root of the
# tolerance, to which coefficients are close.
CLOSER = 1e-3


def estimated_scale(
    scaled: AnyScale, rtol: float = SCALE_RTOL, near: float | None = None
) -> FixedPoint:
    """Return the fixed point of a scale estimate, from a sample's or the L1 fit's MAD.

    For a loss that is not convex from the fit of a convex one, in whose valley fit and
    scale settle together. Fits far from the fixed point are made roughly. ``near`` is
    the scale of a like fit from which that of a convex loss starts.
    """
    start = _start(scaled) if near is None else FixedPoint(near)
    return _agreed(scaled, rtol, start)


def _start(scaled: AnyScale) -> FixedPoint:
    """Start from another fit; return its scale."""
    near = _near_sample(scaled)
    if not scaled.problem.loss.facts.convex:
        return _valley(scaled)
    if near is None:
        start = mad(_near_l1(scaled, scaled.unit), scaled.problem.weight, 0)
        near = FixedPoint(start if start > scaled.floor else scaled.unit)
    return near


def _agreed(
    scaled: AnyScale, rtol: float, near: FixedPoint, *, exactly: bool = False
) -> FixedPoint:
    """Return the scale that agrees with its own fit, from one near it.

    No fit is rough if all are to be made ``exactly``.
    """
    problem, convex = scaled.problem, scaled.problem.loss.facts.convex
    if near.converged and (together := _fit_with_scale(scaled, near)) is not None:
        return together
    if near.converged:
        # With a sample's Hessian each pass gains two digits of everything at once; more
        # of the scale than of the coefficients would be of no use.
        rtol = max(rtol, CLOSER * float(np.sqrt(problem.tol)))
    fits = FitsInTurn(scaled, exactly)

    def tells_side() -> bool:
        # The side that a rough fit is on is known only if the scale is not looked for
        # to more digits than it has.
        return fits.tells_side() or rtol >= ROUGH_RTOL

    found = find_fixed_point(
        fits.measure_at,
        near.scale,
        fits.floor,
        near.slope,
        rtol,
        tells_side,
        fits.hidden,
        continuous=convex,
        most_fits=0 if near.hopeless else MOST_FITS,
    )
    if found.collapsed and not convex and fits.nearest is not None:
        found = fits.nearest
    if found.collapsed:
        if scaled.scale != fits.floor or fits.tol > problem.tol:
            scaled.fit(fits.floor, problem.tol)
        return replace(found, scale=fits.floor)
    if found.disagreement:
        fits.back_to_best()
        # Of two fits that agree alike the search may have named the other.
        found = replace(found, scale=scaled.scale)
    was_rough = fits.tol > problem.tol
    if was_rough or not scaled.last.success:
        residual = scaled.fit(found.scale, problem.tol)
        if was_rough or not convex:
            most = rtol if convex else 0.0
            found = _measured(found, scaled.measure(residual), most, fits.hidden())
        if was_rough and not found.converged:
            # A rough fit may be another optimum than the one that is returned.
            return _agreed(scaled, rtol, found, exactly=True)
    return found


def _measured(
    found: FixedPoint, ratio: float, most: float, hidden: float
) -> FixedPoint:
    """Return a fixed point as the fit that was made there afterwards measures it."""
    disagreement = float(np.log(ratio)) if ratio > 0 else -np.inf
    agrees = abs(disagreement) <= most or is_agreement(disagreement, hidden)
    return replace(
        found, converged=agrees, disagreement=0.0 if agrees else disagreement
    )


def _near_l1(scaled: AnyScale, scale: float) -> Array:
    """Start from nearly the L1 fit and return its residuals in units of y."""
    objective = scaled.objective(scale, L1())
    start = scaled.start.rescaled(scaled.scale, scale).params
    params = near_start(objective, start, step_rule_for(objective)).params
    scaled.start_from(scale, Start(params, is_near=True))
    return np.asarray(objective.residual(params) * scale)


def _valley(scaled: AnyScale) -> FixedPoint:
    """Start where fit and scale settle from the L1 fit, or from that of a convex loss.

    Of many rows or columns the start is the fit of a convex loss at its own scale: it
    is nearly L1's and costs less.
    """
    whole = scaled.objective(1.0, scaled.problem.loss)
    if STARTING.draw(whole) is None and facts_of(whole).few_at_a_time:
        near = _near_loss(scaled, L1())
        return _beside_exact(scaled) if near.collapsed else _settle(scaled, near)
    other = scaled.with_loss(convex_start(scaled.problem.loss))
    found = _agreed(other, ROUGH_RTOL, _start(other))
    scaled.start_at(other)
    return (
        found if found.collapsed else _settle(scaled, replace(found, converged=False))
    )


def _beside_exact(scaled: AnyScale) -> FixedPoint:
    """Start from the fit of a convex loss where the L1 fit's scale is 0.

    That it passes through half of the rows says nothing of their scale. But if this
    falls on and on from the other start, too, it is 0, and the L1 fit near the end;
    unless that has a param for each row that it passes through: then none agrees.
    """
    exact, saturated = scaled.kept(), _is_saturated(scaled)
    many = saturated and np.count_nonzero(scaled.start.params) >= MANY_USED
    near = _near_loss(scaled, convex_start(scaled.problem.loss))
    if near.collapsed:
        return near
    start = scaled.start
    least = FALLING if many else VANISHING
    found = _settle(scaled, near, least * near.scale)
    if saturated and not scaled.start.settled:
        # The fit is that at a scale which is given, and starts as one.
        scaled.start_from(1.0, replace(start, is_near=False))
        return replace(near, hopeless=True)
    if found.collapsed:
        scaled.restore(exact)
    return found


def _is_saturated(scaled: AnyScale) -> bool:
    """Return whether the L1 fit passes through half of the rows as it has many params.

    A param in use accounts for one row, and for those that are equal to it. The other
    rows are mostly off.
    """
    problem, params = scaled.problem, scaled.start.params
    rows, weight = problem.rows, problem.weight
    residual = scaled.objective(1.0, L1()).residual(scaled.centred_params())
    exact = (np.abs(residual) <= scaled.floor) & (weight > 0)
    probe = np.random.default_rng(0).normal(size=rows.n_params)
    image = np.sort(rows.predict(probe)[exact])
    apart = np.diff(image) > EQUAL_ROWS * np.abs(image).max(initial=0.0)
    share = np.count_nonzero(params) / (1 + np.count_nonzero(apart))
    total, fitted = weight.sum(), weight[exact].sum()
    owed = min(1.0, share) * fitted
    return bool(2 * owed >= total and 2 * (fitted - owed) <= total - owed)


def _near_loss(scaled: AnyScale, loss: Loss) -> FixedPoint:
    """Start from the fit of a convex loss at the spread of y; return its MAD."""
    other = scaled.with_loss(loss)
    residual = other.fit(scaled.unit, ROUGH_TOL) * scaled.unit
    scaled.start_at(other)
    start = mad(residual, scaled.problem.weight, 0)
    collapsed = not start > scaled.floor
    return FixedPoint(scaled.floor if collapsed else start, collapsed=collapsed)


def _settle(scaled: AnyScale, near: FixedPoint, least: float = 0.0) -> FixedPoint:
    """Move to where fit and scale settle together, from the start; return it.

    Where they do not, to the nearest; nowhere if the scale vanishes. Below ``least`` it
    is 0.
    """
    weight, loss = scaled.problem.weight, scaled.problem.loss
    name = str(scaled.problem.estimate)

    def line(residual: Array, change: Array, reach: float) -> Callable[..., float]:
        if name in LINES and weight.size > MOST_SORTED:
            return LINES[name](weight, residual, change, reach)
        return lambda t: scaled.measure(residual + t * change)

    reweighting = Reweighting(
        lambda scale: scaled.objective(scale, loss),
        scaled.measure,
        line,
        step_rule_for(scaled.objective(1.0, loss)),
        max(scaled.floor, least),
    )
    settled = reweighting.settle(scaled.centred_params(), scaled.problem.tol)
    if settled is None and least > 0:
        return FixedPoint(scaled.floor, collapsed=True)
    if settled is None:
        return near
    params = settled.params / settled.scale
    start = Start(params, is_near=True, settled=True, residual=settled.residual)
    scaled.start_from(settled.scale, replace(start, unique=settled.unique))
    return replace(near, scale=settled.scale)


def _near_sample(scaled: AnyScale) -> FixedPoint | None:
    """Start from the fit of a sample of rows; return its scale.

    None if rows are few or if the sample's scale is no guide: one outlier more or
    less changes that of least squares. Which valley of a loss that is not convex a
    fit lies in is for all rows to say.
    """
    facts = scaled.problem.loss.facts
    if not (facts.convex and facts.bounded_slope):
        return None
    whole = scaled.objective(1.0, scaled.problem.loss)
    sampling = SPARING if facts.piecewise_linear else STARTING
    drawn = sampling.draw(whole)
    if drawn is None:
        return None
    few = AnyScale(scaled.problem.of_sample(drawn, ROUGH_TOL), scaled.params())
    found = _agreed(few, ROUGH_RTOL, _start(few))
    if not (found.converged and few.last.success):
        return None
    scaled.start_at(few)
    if found.collapsed:
        # Most rows are likely to be fitted exactly, too: that takes one fit to see.
        return FixedPoint(scaled.floor)
    # Around the centre of all rows, as are the params.
    target = drawn.objective.target / found.scale
    at_scale = drawn.objective.with_loss(scaled.problem.loss, target)
    if step_rule_for(at_scale).forms_hessian:
        there = replace(drawn, objective=at_scale)
        preconditioner = preconditioner_at(there, few.last.point)
        near = replace(scaled.start, preconditioner=preconditioner)
        scaled.start_from(scaled.scale, near)
    return found


def _fit_with_scale(scaled: AnyScale, near: FixedPoint) -> FixedPoint | None:
    """Fit at the scale of the fit's own residuals, by a sample's Hessian.

    None if there is none, if it will not do, or if another solver is asked for.
    """
    preconditioner, loss = scaled.start.preconditioner, scaled.problem.loss
    name = str(scaled.problem.estimate)
    if preconditioner is None or name not in LINES:
        return None
    # Its target takes no memory beside those of the fit.
    if not chosen(scaled.objective(near.scale, loss), scaled.problem.solver).factorises:
        return None
    weight = scaled.problem.weight
    found = profiled_newton(
        lambda scale: scaled.objective(scale, loss),
        scaled.centred_params(),
        near.scale,
        partial(LINES[name], weight),
        preconditioner,
        scaled.problem.tol,
    )
    if found is None or found[1] <= scaled.floor:
        return None
    result, scale = found
    # Rows far from the median may have come near unseen.
    measured = scaled.measure(result.point.residual)
    if not abs(measured - 1) <= SCALE_RTOL:
        return None
    scaled.take(scale, result.point.objective, result)
    return replace(near, scale=scale)
