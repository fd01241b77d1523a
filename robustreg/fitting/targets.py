"""The fits of targets: together if that is the same, else one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from robustreg.fitting.basis import basis_of, fit_in_basis
from robustreg.fitting.finished import finished
from robustreg.fitting.problem import Fit, Problem
from robustreg.fitting.together import fit_together, number_together
from robustreg.rows import Array


def fit_problem(problem: Problem, start: Array | None = None) -> Fit:
    """Fit one target.

    Parameters
    ----------
    problem : Problem
        What to fit.
    start : ndarray of shape (n_params,) or None
        Params in units of y to start from; None starts at the median of y.
    """
    return fit_targets([problem], [start])[0]


def fit_targets(
    problems: Iterable[Problem], starts: Iterable[Array | None]
) -> list[Fit]:
    """Fit targets that differ in y alone: least squares together, others one by one.

    Parameters
    ----------
    problems : iterable of Problem
        What to fit.
    starts : iterable of ndarray of shape (n_params,) or None
        For each as `fit_problem` takes it.
    """
    fits: list[Fit] = []
    shared, asked, basis = None, False, None
    pairs = zip(problems, starts, strict=True)
    for first in pairs:
        some = [first, *islice(pairs, number_together(first[0]) - 1)]
        found: list[Fit | None] = [None] * len(some)
        if len(some) > 1:
            found, shared = fit_together([problem for problem, _ in some], shared)
        for (problem, start), fit in zip(some, found, strict=True):
            if fit is None:
                # That of one is that of all: they share rows, weights and penalty.
                basis = basis if asked else basis_of(problem)
                asked = True
                ended = fit_in_basis(problem, start, basis, shared=shared)
                fit = finished(ended, problem.estimate is not None)
                basis, shared = ended.basis, ended.inner.shared_model()
            fits.append(fit)
    return fits


def fit_from(problem: Problem, start: Array, collapsed: bool) -> Fit:
    """Fit one target at an estimated scale, going down from exactly a start.

    Parameters
    ----------
    problem : Problem
        What to fit; its scale is a number.
    start : ndarray of shape (n_params,)
        Params in units of y. The fit is the minimum of the valley that they lie in,
        if the loss is not convex.
    collapsed : bool
        Whether the scale is the least that counts as positive.
    """
    ended = fit_in_basis(problem, start, basis_of(problem), is_near=True)
    at = replace(ended.at, collapsed=collapsed)
    return finished(replace(ended, at=at), True)
