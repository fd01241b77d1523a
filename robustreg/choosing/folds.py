"""The candidates' fits on the training rows of one fold, and their scores."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import numpy as np

from robustreg.choosing.candidates import Combination
from robustreg.estimators.arrays import problem_on
from robustreg.estimators.predictor import set_each
from robustreg.estimators.robust import RobustRegressor
from robustreg.fitting import (
    Alike,
    Problem,
    basis_of,
    fit_alike,
    fit_at_once,
    standardisations,
)
from robustreg.penalties import make_penalty
from robustreg.rows import Array, Index, Rows, make_rows, merged, present, taken
from robustreg.validation import Callbacks

Scores = Callable[[list[RobustRegressor], Any, Array, Array | None], Array]


@final
@dataclass(frozen=True)
class Fold:
    """What a fold's fits are made of.

    Parameters
    ----------
    X : array or sparse matrix of shape (n_rows, n_features)
        All rows, checked.
    targets : ndarray of shape (n_rows, n_targets)
        Their targets.
    weight : ndarray of shape (n_rows,)
        Weights that count rows.
    train, test : ndarray
        The numbers of rows to fit and to score.
    """

    X: Any
    targets: Array
    weight: Array
    train: Index
    test: Index


@final
@dataclass(frozen=True)
class FoldResult:
    """What a fold says of each candidate, by combination and place.

    Parameters
    ----------
    scores, fit_times, score_times, sizes : list of ndarray of shape (n_alphas,)
        An array for each combination; sizes count the coefficients that are not 0.
    failed : int
        How many fits did not converge.
    """

    scores: list[Array]
    fit_times: list[Array]
    score_times: list[Array]
    sizes: list[Array]
    failed: int


@final
@dataclass(frozen=True)
class Options:
    """What the fits and scores of all folds share.

    Parameters
    ----------
    shared : dict
        Parameters that all candidates share.
    scores_of : callable
        Takes fitted estimators, test rows, their targets, and weights or None.
    weighted : bool
        Whether weights were given, which the score is then told.
    single : bool
        Whether y has one dimension.
    """

    shared: dict[str, Any]
    scores_of: Scores
    weighted: bool
    single: bool


def fold_result(
    fold: Fold,
    combinations: list[Combination],
    options: Options,
    callbacks: Callbacks | None,
) -> FoldResult:
    """Return the scores of all candidates on a fold's test rows.

    Parameters
    ----------
    fold : Fold
        The fold.
    combinations : list of Combination
        The candidates.
    options : Options
        What it shares with other folds.
    callbacks : Callbacks or None
        Whom to tell of each fit.
    """
    if callbacks is not None:
        callbacks.begin()
    fits, fit_times = _fits(fold, combinations, options.shared, callbacks)
    test = np.asarray(fold.test)
    weight = fold.weight[test]
    kept = present(weight)
    rows, targets, weight = taken(kept, fold.X[test], fold.targets[test], weight)
    y = targets[:, 0] if options.single else targets
    told = weight if options.weighted else None
    began, shared, single = time.perf_counter(), options.shared, options.single
    models = [
        fitted(combination.estimator(place, shared), of_targets, single)
        for combination, each in zip(combinations, fits, strict=True)
        for place, of_targets in enumerate(each)
    ]
    scores = options.scores_of(models, rows, y, told)
    took = np.full(len(models), (time.perf_counter() - began) / len(models))
    ends = np.cumsum([len(each) for each in fits])[:-1]
    result = FoldResult(
        np.split(scores, ends),
        fit_times,
        np.split(took, ends),
        [np.array([_size(of_targets) for of_targets in each]) for each in fits],
        _failures(fits),
    )
    if callbacks is not None:
        callbacks.end()
    return result


def fit_count(combinations: list[Combination]) -> int:
    """Return how many fits of each target a fold takes."""
    own = [c for i, c in enumerate(combinations) if _twin(combinations, i) == i]
    return sum(combination.alphas.size for combination in own)


def fitted(model: RobustRegressor, fits: list[Alike], single: bool) -> RobustRegressor:
    """Return an estimator that predicts by the fits of its targets."""
    model.n_features_in_ = fits[0].coef.size
    set_each(model, fits, ("coef", "intercept", "scale"), single)
    return model


def _size(fits: list[Alike]) -> int:
    """Return how many coefficients of a candidate are not 0."""
    return int(sum(np.count_nonzero(fit.coef) for fit in fits))


def _failures(fits: list[list[list[Alike]]]) -> int:
    """Return how many fits did not converge."""
    return sum(not f.success for each in fits for targets in each for f in targets)


def _fits(
    fold: Fold,
    combinations: list[Combination],
    shared: dict[str, Any],
    callbacks: Callbacks | None,
) -> tuple[list[list[list[Alike]]], list[Array]]:
    """Return the fit of each target for each candidate, and what they took."""
    weight = fold.weight[fold.train]
    live = present(weight)
    train = fold.train if live is None else fold.train[live]
    data, targets = fold.X[train], fold.targets[train]
    few = merged(data, targets, fold.weight[train])
    eps = float(np.finfo(data.dtype).eps)
    times = [np.zeros(each.alphas.size) for each in combinations]

    def fit_all(rows: Rows) -> list[list[list[Alike]]]:
        each = [
            _Sequence((rows, column, few.weight), eps, shared, callbacks).fits(
                combinations, times
            )
            for column in few.targets.T
        ]
        return [
            [list(of_targets) for of_targets in zip(*fits, strict=True)]
            for fits in zip(*each, strict=True)
        ]

    rows_of = partial(make_rows, few.X, few.weight, shared["fit_intercept"])
    for rows in standardisations(rows_of):
        fits = fit_all(rows)
        if all(fit.will_do for each in fits for ts in each for fit in ts):
            break
    return fits, times


@final
@dataclass(frozen=True)
class _Sequence:
    """The candidates' fits of one target, each near the one that it is most like.

    Parameters
    ----------
    data : tuple of (Rows, ndarray, ndarray)
        The design, a target and its weights.
    eps : float
        Relative rounding error of the precision of the data.
    shared : dict
        Parameters that all candidates share.
    callbacks : Callbacks or None
        Whom to tell of each fit.
    """

    data: tuple[Rows, Array, Array]
    eps: float
    shared: dict[str, Any]
    callbacks: Callbacks | None

    def fits(
        self, combinations: list[Combination], times: list[Array]
    ) -> list[list[Alike]]:
        """Return the fits of each combination, and add up what they took.

        Smooth ones at once where that leads to them, others one after the other.
        """
        twins = [_twin(combinations, index) for index in range(len(combinations))]
        own = [index for index, twin in enumerate(twins) if twin == index]
        problems = {index: self._problems(combinations[index]) for index in own}
        at_once = self._at_once(own, problems, times)
        found = {
            index: [fit for fit in fits if fit is not None]
            for index, fits in at_once.items()
            if None not in fits
        }
        for index in own:
            others = [other for other in sorted(found) if other != index]
            before = _nearest(combinations[index], [combinations[i] for i in others])
            near = None if before is None else found[others[before]]
            alphas = combinations[index].alphas
            found[index] = self._chain(
                problems[index], at_once[index], alphas, near, times[index]
            )
        for index, twin in enumerate(twins):
            times[index] += times[twin] if twin < index else 0.0
        return [found[twin] for twin in twins]

    def _problems(self, combination: Combination) -> list[Problem]:
        """Return what is asked for with each alpha."""
        model = combination.estimator(0, self.shared)
        first = problem_on(model, *self.data, combination.loss, self.eps)
        name, share, n_coefs = model.penalty, model.l1_ratio, first.rows.n_params - 1
        penalties = (make_penalty(name, a, share, n_coefs) for a in combination.alphas)
        return [replace(first, penalty=penalty) for penalty in penalties]

    def _at_once(
        self, own: list[int], problems: dict[int, list[Problem]], times: list[Array]
    ) -> dict[int, list[Alike | None]]:
        """Return what is found at once, and share out what it took."""
        began = time.perf_counter()
        every = [problem for index in own for problem in problems[index]]
        fits = iter(fit_at_once(every))
        took = (time.perf_counter() - began) / len(every)
        found = {}
        for index in own:
            found[index] = [next(fits) for _ in problems[index]]
            times[index] += took
        return found

    def _chain(
        self,
        problems: list[Problem],
        at_once: list[Alike | None],
        alphas: Array,
        near: list[Alike] | None,
        times: Array,
    ) -> list[Alike]:
        """Return the fits of a combination, the strongest penalty first.

        Each starts at the last one, or at that of a like combination and like alpha.
        """
        fits: dict[int, Alike] = {}
        last = None
        for place in np.argsort(-alphas, kind="stable").tolist():
            began = time.perf_counter()
            start = last if near is None else near[min(place, len(near) - 1)]
            last = at_once[place]
            if last is None:
                last = fit_alike(problems[place], basis_of(problems[place]), start)
            fits[place] = last
            if self.callbacks is not None:
                self.callbacks.step("candidate")
            times[place] += time.perf_counter() - began
        return [fits[place] for place in range(alphas.size)]


def _twin(combinations: list[Combination], index: int) -> int:
    """Return the first combination that asks for the same fits, itself if none does."""
    mine = combinations[index]
    return next(i for i in range(index + 1) if mine.same_as(combinations[i]))


def _nearest(combination: Combination, others: list[Combination]) -> int | None:
    """Return which combination has fits that are most like those of another.

    The last one of the same quantile, of the same penalty if there is one, and then
    that bounds what an outlier weighs if it does.
    """
    mine, bounded = combination.terms, combination.loss.facts.bounded_slope
    like = [
        i
        for i, other in enumerate(others)
        if other.terms["quantile"] == mine["quantile"] and other.loss.facts.convex
    ]
    same = [i for i in like if others[i].terms["penalty"] == mine["penalty"]] or like
    close = [i for i in same if others[i].loss.facts.bounded_slope == bounded] or same
    return close[-1] if close else None
