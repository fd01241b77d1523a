"""What a choice is made by, in the layout of scikit-learn's searches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from scipy.stats import rankdata

from robustreg.choosing.candidates import Combination, in_order
from robustreg.choosing.folds import FoldResult
from robustreg.rows import Array


@final
@dataclass(frozen=True)
class Results:
    """What all folds say of each candidate.

    Parameters
    ----------
    params : list of dict
        Of each candidate.
    scores, fit_times, score_times, sizes : ndarray of shape (n_candidates, n_folds)
        As `FoldResult` has them.
    """

    params: list[dict[str, Any]]
    scores: Array
    fit_times: Array
    score_times: Array
    sizes: Array

    def best(self) -> int:
        """Return the candidate with the highest mean score, the first of several."""
        return best_of(self.scores.mean(axis=1))

    def sparsest(self) -> int:
        """Return the sparsest candidate within one standard error of the best.

        Of those with as few coefficients the one with the strongest penalty, and of
        those the best. The standard error is that of the best one's mean [1]_.

        References
        ----------
        .. [1] Breiman, L. et al. (1984). Classification and Regression Trees, section
           3.4.3. Wadsworth.
        """
        mean, best = self.scores.mean(axis=1), self.best()
        error = errors_of(self.scores)[best]
        near = mean >= mean[best] - np.nan_to_num(error)
        near[best] = True
        within = np.flatnonzero(near)
        size = self.sizes.mean(axis=1)[within]
        alpha = np.array([self.params[i]["alpha"] for i in within])
        return int(within[np.lexsort((-mean[within], -alpha, size))[0]])

    def layout(self) -> dict[str, Any]:
        """Return the dict that a search calls ``cv_results_``."""
        found: dict[str, Any] = {}
        for name, values in (
            ("fit_time", self.fit_times),
            ("score_time", self.score_times),
        ):
            found[f"mean_{name}"] = values.mean(axis=1)
            found[f"std_{name}"] = values.std(axis=1)
        for name in self.params[0]:
            column = np.empty(len(self.params), dtype=object)
            column[:] = [params[name] for params in self.params]
            found[f"param_{name}"] = np.ma.MaskedArray(column)
        found["params"] = self.params
        for fold, column in enumerate(self.scores.T):
            found[f"split{fold}_test_score"] = column
        mean = self.scores.mean(axis=1)
        found["mean_test_score"] = mean
        found["std_test_score"] = self.scores.std(axis=1)
        lowest = np.nanmin(mean, initial=0.0) - 1
        ranked = rankdata(-np.where(np.isnan(mean), lowest, mean), method="min")
        found["rank_test_score"] = ranked.astype(np.int32)
        return found


def best_of(mean: Array) -> int:
    """Return the place of the highest mean score, the first of several."""
    return int(np.argmax(np.where(np.isnan(mean), -np.inf, mean)))


def errors_of(scores: Array) -> Array:
    """Return the standard error of each candidate's mean; nan for a single fold."""
    n_folds = scores.shape[1]
    if n_folds == 1:
        return np.full(len(scores), np.nan)
    return np.asarray(scores.std(axis=1, ddof=1) / np.sqrt(n_folds))


def gathered(combinations: list[Combination], folds: list[FoldResult]) -> Results:
    """Return what all folds say, candidates in the order of a grid search."""
    order = in_order(combinations)

    def table(name: str) -> Array:
        each = [getattr(fold, name) for fold in folds]
        return np.array([[of[i][place] for of in each] for i, place in order])

    return Results(
        [combinations[i].params(place) for i, place in order],
        *(table(name) for name in ("scores", "fit_times", "score_times", "sizes")),
    )
