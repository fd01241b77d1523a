"""Fits of arrays and sparse matrices, in memory or, if they are large files, not."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from robustreg.breakdown import typical_rows
from robustreg.fitting import Fit, Problem, standardisations, with_absent
from robustreg.linalg import EPS, MOST_DIRECT_PARAMS
from robustreg.losses import Loss, relative_weight
from robustreg.outliers import flag
from robustreg.partitions import Drawing, Engine, InTurn, Part, draw, fit_partitions
from robustreg.rows import Array, Rows, make_rows, merged, present, product, taken
from robustreg.validation import Callbacks, check_fit_data

if TYPE_CHECKING:
    from robustreg.estimators.base import RobustLinearModel

# How many rows a fit by passes holds.
DRAWING = Drawing()
# A file of more bytes than this is read part by part, and nothing is made of it that
# has a value for each row but the answer.
LARGEST_MAPPED = 2**28
# Entries of a part: what is made of its rows is a small share of what a sample takes.
PART_ENTRIES = 2**22


def fit_arrays(
    model: RobustLinearModel,
    loss: Loss,
    X: Any,
    y: Any,
    sample_weight: Any,
    callbacks: Callbacks | None,
) -> tuple[list[Fit], Array, Array]:
    """Fit a model; return its fits, and the targets and weights of rows with weight."""
    data, target, weight = check_fit_data(model, X, y, sample_weight)
    targets = target[:, None] if target.ndim == 1 else target
    fit = _fits_by_parts if _is_read_by_parts(model, X) else fits_in_memory
    fits = fit(model, loss, data, targets, weight, callbacks)
    model._store(fits, target.ndim == 1)
    return fits, *taken(present(weight), targets, weight)


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
        fits = model._fit_each(rows, few.targets, few.weight, loss, eps, callbacks)
        if all(fit.will_do for fit in fits):
            break
    return [
        with_absent(fit.of_all(few), loss, every, column, live, model.outlier_threshold)
        for fit, column in zip(fits, every_target.T, strict=True)
    ]


def _is_read_by_parts(model: RobustLinearModel, X: Any) -> bool:
    """Return whether X, as given, is a large file of more rows than are drawn."""
    if not (isinstance(X, np.memmap) and X.nbytes > LARGEST_MAPPED):
        return False
    n, p = X.shape
    suits = model.solver == "auto" and p < MOST_DIRECT_PARAMS
    return suits and DRAWING.size(n, p + 1) < n


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
    size = max(PART_ENTRIES // p, 1)
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
        return model._problem(rows, y, weight, loss, model._asked_scale, EPS)

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
