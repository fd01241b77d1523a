"""What the folds say of the candidates, one process a fold."""

from __future__ import annotations

from sklearn.utils.parallel import Parallel, delayed

from robustreg.choosing.candidates import Combination
from robustreg.choosing.folds import Fold, FoldResult, Options, fit_count, fold_result
from robustreg.validation import Callbacks


def judged(
    folds: list[Fold],
    combinations: list[Combination],
    options: Options,
    parallel: Parallel,
    callbacks: Callbacks | None,
) -> list[FoldResult]:
    """Return what each fold says of the candidates.

    Parameters
    ----------
    folds : list of Fold
        The folds.
    combinations : list of Combination
        The candidates.
    options : Options
        What all fits and scores share.
    parallel : Parallel
        Where folds are fitted.
    callbacks : Callbacks or None
        Whom to tell of each fit of each fold.

    Raises
    ------
    ValueError
        For a fold with no row to fit or to score.
    """
    _check(folds)
    each: list[Callbacks | None] = [None] * len(folds)
    if callbacks is not None:
        choice = callbacks.level("choose", len(folds))
        choice.begin()
        most = fit_count(combinations) * folds[0].targets.shape[1]
        # All are made before a process is sent one of them.
        each = [choice.level("fold", most) for _ in folds]
    found: list[FoldResult] = parallel(
        delayed(fold_result)(fold, combinations, options, told)
        for fold, told in zip(folds, each, strict=True)
    )
    if callbacks is not None:
        choice.end()
    return found


def _check(folds: list[Fold]) -> None:
    """Refuse folds in which no row has weight."""
    for number, fold in enumerate(folds):
        for part, rows in (("training", fold.train), ("test", fold.test)):
            if not fold.weight[rows].any():
                raise ValueError(
                    f"The {part} rows of fold {number} all have weight 0. Pass "
                    "another cv, or drop rows of weight 0 first."
                )
