"""Fits of arrays and sparse matrices, in memory or, if they are large files, not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from robustreg.breakdown import typical_rows
from robustreg.estimators.reporting import report_of
from robustreg.fitting import (
    Fit,
    Problem,
    standardisations,
    with_absent,
    within_reach,
)
from robustreg.linalg import EPS, MOST_DIRECT_PARAMS
from robustreg.losses import Loss, relative_weight
from robustreg.outliers import flag
from robustreg.partitions import Drawing, Engine, InTurn, Part, draw, fit_partitions
from robustreg.penalties import make_penalty
from robustreg.report import Report
from robustreg.rows import Array, Rows, make_rows, merged, present, product, taken
from robustreg.rows.base import MOST_ENTRIES
from robustreg.validation import Callbacks

if TYPE_CHECKING:
    from robustreg.estimators.base import RobustLinearModel

# How many rows a fit by passes holds.
DRAWING = Drawing()
# A file of more bytes than this is read part by part, and nothing is made of it that
# has a value for each row but the answer.
LARGEST_MAPPED = 2**28


def fits_in_memory(
    model: RobustLinearModel,
    loss: Loss,
    every: Any,
    every_target: Array,
    weight: Array,
    callbacks: Callbacks | None,
) -> list[Fit]:
    """Return the fit of each target of checked data."""
    live = present(weight)
    data, targets, weight = taken(live, every, every_target, weight)
    eps = float(np.finfo(data.dtype).eps)
    few = merged(data, targets, weight)
    for rows in standardisations(partial(rows_of, model, few.X, few.weight)):
        n_targets = few.targets.shape[1]
        report = report_of(callbacks, rows, n_targets)
        problems = (
            problem_on(model, rows, y, few.weight, loss, eps, report)
            for y in few.targets.T
        )
        fits = model._fit_of_each(rows, n_targets)(problems)
        if all(fit.will_do for fit in fits):
            break
    return [
        with_absent(fit.of_all(few), loss, every, column, live, model.outlier_threshold)
        for fit, column in zip(fits, every_target.T, strict=True)
    ]


def way_to_fit(model: RobustLinearModel, X: Any) -> Callable[..., list[Fit]]:
    """Return what fits X as given: part by part a large file that is not all drawn."""
    if not (isinstance(X, np.memmap) and X.nbytes > LARGEST_MAPPED):
        return fits_in_memory
    n, p = X.shape
    suits = model.solver == "auto" and p < MOST_DIRECT_PARAMS
    by_parts = suits and DRAWING.size(n, p + 1) < n
    return _fits_by_parts if by_parts else fits_in_memory


def _fits_by_parts(
    model: RobustLinearModel,
    loss: Loss,
    X: Any,
    targets: Array,
    weight: Array,
    callbacks: Callbacks | None,
) -> list[Fit]:
    """Return the fit of each target of checked data in a large file."""
    n, p = X.shape
    size = max(MOST_ENTRIES // p, 1)
    places = [slice(low, min(low + size, n)) for low in range(0, n, size)]
    parts = [partial(_rows, X, targets, weight, place) for place in places]
    engine = InTurn(parts, n, p, targets.shape[1])
    fits, _ = fits_by_passes(model, loss, engine, callbacks)
    return [
        _with_rows(model, loss, fit, X, y, places)
        for fit, y in zip(fits, targets.T, strict=True)
    ]


def fits_by_passes(
    model: RobustLinearModel,
    loss: Loss,
    engine: Engine,
    callbacks: Callbacks | None = None,
) -> tuple[list[Fit], Part]:
    """Return a model's fit of each target, and the rows that were drawn.

    Rows that are few enough are all drawn, and fitted in memory. Otherwise the fits
    come without flags and weights of rows.
    """
    squares = loss.facts.quadratic
    if callbacks is not None:
        engine.report = lambda step, _: callbacks.step(step)
    some = draw(engine, model.fit_intercept, DRAWING, squares)
    part = some.part
    if some.everything:
        every = part.X, part.y, part.weight
        return fits_in_memory(model, loss, *every, callbacks), part
    rows = some.rows(model.fit_intercept)
    if model.starts_from_s:
        near = rows_of(model, part.X.astype(np.float64, copy=False), part.weight)
        rows = near if (near.varies >= rows.varies).all() else rows

    def ask(rows: Rows, y: Array, weight: Array) -> Problem:
        return problem_on(model, rows, y, weight, loss, EPS)

    fit, typical = model._fit_of_whole(), model.starts_from_s
    return fit_partitions(engine, some, rows, ask, fit, typical=typical), part


def _rows(X: Any, targets: Array, weight: Array, place: slice) -> Part:
    """Return the rows of a place."""
    number = np.arange(place.start, place.stop)
    return Part(X[place], targets[place], weight[place], number)


def _with_rows(
    model: RobustLinearModel,
    loss: Loss,
    fit: Fit,
    X: Any,
    y: Array,
    places: list[slice],
) -> Fit:
    """Return a fit with flags and weights of its rows."""
    outliers, weights = np.empty(y.size, dtype=bool), None
    if loss.facts.smooth:
        weights = np.empty(y.size)
    cut = model.outlier_threshold * fit.residual_scale
    for place in places:
        residual = y[place] - (product(X[place], fit.coef) + fit.intercept)
        outliers[place] = flag(residual, cut)
        if weights is not None:
            weights[place] = relative_weight(loss, residual / fit.scale)
    return replace(fit, outliers=outliers, weights=weights)


def rows_of(
    model: RobustLinearModel, X: Any, weight: Array, exactly: bool = False
) -> Rows:
    """Return rows as a model fits them, for those who look at its fit.

    Parameters
    ----------
    model : RobustLinearModel
        The model.
    X : array or sparse matrix of shape (n_rows, n_features)
        Its checked features.
    weight : ndarray of shape (n_rows,)
        Weights that count rows.
    exactly : bool
        As for `make_rows`.
    """
    make = typical_rows if model.starts_from_s else make_rows
    return make(X, weight, model.fit_intercept, exactly)


def problem_of(model: RobustLinearModel, X: Any, y: Array, weight: Array) -> Problem:
    """Return what a model minimises on some data, as `rows_of` takes it, for a target.

    For those who look at its fit.
    """
    rows, loss = rows_of(model, X, weight), model._checked_loss()
    return problem_on(model, rows, y, weight, loss, float(np.finfo(X.dtype).eps))


def problem_on(
    model: RobustLinearModel,
    rows: Rows,
    y: Array,
    weight: Array,
    loss: Loss,
    eps: float,
    report: Report | None = None,
) -> Problem:
    """Return what a model minimises on rows that it shares with others.

    Parameters
    ----------
    model : RobustLinearModel
        The model.
    rows : Rows
        Its design.
    y, weight : ndarray of shape (n_rows,)
        One target, and weights that count rows.
    loss : Loss
        The loss that its parameters make.
    eps : float
        Relative rounding error of the precision of its data.
    report : Report or None
        Whom to tell of each pass.
    """
    model._check_weight(rows.standard, weight)
    scale, n_coefs = model._asked_scale, rows.n_params - 1
    comes_of_data = model.starts_from_s or isinstance(scale, str)
    unit = None if comes_of_data else float(scale)
    return Problem(
        rows=rows,
        y=within_reach(np.ascontiguousarray(y), weight, loss, unit),
        weight=weight,
        loss=loss,
        penalty=make_penalty(model.penalty, model.alpha, model.l1_ratio, n_coefs),
        scale=scale,
        solver=model.solver,
        tol=model.tol,
        max_iter=model.max_iter,
        outlier_threshold=float(model.outlier_threshold),
        eps=eps,
        report=report,
    )
