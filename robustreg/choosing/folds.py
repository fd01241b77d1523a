"""The candidates' fits on the training rows of one fold, and their scores."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from robustreg.choosing.candidates import Combination, estimator_of
from robustreg.estimators.robust import RobustRegressor
from robustreg.estimators.scaled_loss import problem_on
from robustreg.fitting import Alike, basis_of, fit_alike, in_standard
from robustreg.rows import Array, Index, Rows, make_rows, merged, present, taken

Score = Callable[[RobustRegressor, Any, Array, Array | None], float]


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


def fold_result(
    fold: Fold,
    combinations: list[Combination],
    shared: dict[str, Any],
    score: Score,
    weighted: bool,
    single: bool,
) -> FoldResult:
    """Return the scores of all candidates on a fold's test rows.

    Parameters
    ----------
    fold : Fold
        The fold.
    combinations : list of Combination
        The candidates.
    shared : dict
        Parameters that all candidates share.
    score : callable
        Takes a fitted estimator, test rows, their targets, and weights or None.
    weighted : bool
        Whether weights were given, which the score is then told.
    single : bool
        Whether y has one dimension.
    """
    fits, fit_times = _fits(fold, combinations, shared)
    test = np.asarray(fold.test)
    weight = fold.weight[test]
    kept = present(weight)
    rows, targets, weight = taken(kept, fold.X[test], fold.targets[test], weight)
    y = targets[:, 0] if single else targets
    result = FoldResult([], fit_times, [], [], _failures(fits))
    for combination, each in zip(combinations, fits, strict=True):
        scores, times = np.empty(len(each)), np.empty(len(each))
        for place, of_targets in enumerate(each):
            began = time.perf_counter()
            params = combination.params(place)
            model = fitted(estimator_of(params, shared), of_targets, single)
            scores[place] = score(model, rows, y, weight if weighted else None)
            times[place] = time.perf_counter() - began
        result.scores.append(scores)
        result.score_times.append(times)
        result.sizes.append(
            np.array([sum(np.count_nonzero(f.coef) for f in fits) for fits in each])
        )
    return result


def fitted(model: RobustRegressor, fits: list[Alike], single: bool) -> RobustRegressor:
    """Return an estimator that predicts by the fits of its targets."""
    coef, intercept = (
        np.array([f.coef for f in fits]),
        np.array([f.intercept for f in fits]),
    )
    scale = np.array([fit.scale for fit in fits])
    model.n_features_in_ = coef.shape[1]
    model.coef_ = coef[0] if single else coef
    model.intercept_ = intercept[0] if single else intercept
    model.scale_ = scale[0] if single else scale
    return model


def _failures(fits: list[list[list[Alike]]]) -> int:
    """Return how many fits did not converge."""
    return sum(not f.success for each in fits for targets in each for f in targets)


def _fits(
    fold: Fold, combinations: list[Combination], shared: dict[str, Any]
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
            _Sequence((rows, column, few.weight), eps, shared).fits(combinations, times)
            for column in few.targets.T
        ]
        return [
            [list(of_targets) for of_targets in zip(*fits, strict=True)]
            for fits in zip(*each, strict=True)
        ]

    fits = in_standard(
        lambda exactly: make_rows(few.X, few.weight, shared["fit_intercept"], exactly),
        fit_all,
        lambda fits: all(f.will_do for each in fits for ts in each for f in ts),
    )
    return fits, times


@final
class _Sequence:
    """The candidates' fits of one target, each near the one that it is most like."""

    def __init__(
        self, data: tuple[Rows, Array, Array], eps: float, shared: dict[str, Any]
    ) -> None:
        self._data, self._eps, self._shared = data, eps, shared

    def fits(
        self, combinations: list[Combination], times: list[Array]
    ) -> list[list[Alike]]:
        """Return the fits of each combination, and add up what they took.

        Alphas fall, so that columns enter one after the other; the first of them starts
        at that of the combination before.
        """
        found: list[list[Alike]] = []
        for index, combination in enumerate(combinations):
            twin = next(
                (i for i in range(index) if combination.same_as(combinations[i])), None
            )
            if twin is not None:
                found.append(found[twin])
                times[index] += times[twin]
                continue
            before = _nearest(combination, combinations[:index])
            near = None if before is None else found[before]
            found.append(self._chain(combination, near, times[index]))
        return found

    def _chain(
        self, combination: Combination, near: list[Alike] | None, times: Array
    ) -> list[Alike]:
        """Return the fits of a combination, the strongest penalty first."""
        order = np.argsort(-combination.alphas, kind="stable")
        fits: dict[int, Alike] = {}
        last = None
        for place in order.tolist():
            began = time.perf_counter()
            start = last if near is None else near[min(place, len(near) - 1)]
            params = combination.params(place)
            model = estimator_of(params, self._shared)
            problem = problem_on(model, *self._data, combination.loss, self._eps)
            last = fits[place] = fit_alike(problem, basis_of(problem), start)
            times[place] += time.perf_counter() - began
        return [fits[place] for place in range(combination.alphas.size)]


def _nearest(combination: Combination, before: list[Combination]) -> int | None:
    """Return which combination has fits that are most like those of another.

    The last one of the same quantile, and of the same penalty if there is one.
    """
    mine = combination.terms
    like = [i for i, b in enumerate(before) if b.terms["quantile"] == mine["quantile"]]
    same = [i for i in like if before[i].terms["penalty"] == mine["penalty"]]
    convex = [i for i in same or like if before[i].loss.facts.convex]
    return convex[-1] if convex else None
