"""What a resample has no estimate of, which its rows say before they are fitted."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustreg.breakdown import collapses
from robustreg.estimators.arrays import rows_of
from robustreg.estimators.base import RobustLinearModel
from robustreg.inference.checks import coefficients_of, is_penalised
from robustreg.inference.columns import listed_names
from robustreg.rows import Array, Rows, design_rank

# With more resamples lost than this share, those left say too little.
MOST_LOST = 0.5


@dataclass(frozen=True)
class Lacks:
    """What some resamples lack.

    Parameters
    ----------
    absent : ndarray of bool of shape (n_resamples, n_coefs)
        Coefficients of columns that vary, but not in the resample.
    dependent : ndarray of bool of shape (n_resamples,)
        Where columns depend on each other that do not in all rows.
    collapsing : ndarray of bool of shape (n_resamples,)
        Where an S-estimate fits so many rows exactly that its scale is 0.
    """

    absent: NDArray[np.bool_]
    dependent: NDArray[np.bool_]
    collapsing: NDArray[np.bool_]

    @property
    def unidentified(self) -> NDArray[np.bool_]:
        """Where rows leave some coefficient open."""
        return np.asarray(self.absent.any(axis=1) | self.dependent)

    @property
    def lost(self) -> NDArray[np.bool_]:
        """Where some coefficient has no estimate, or one that says nothing."""
        return np.asarray(self.unidentified | self.collapsing)


def joined(some: list[Lacks]) -> Lacks:
    """Return what the resamples of all portions lack."""
    return Lacks(
        np.concatenate([one.absent for one in some]),
        np.concatenate([one.dependent for one in some]),
        np.concatenate([one.collapsing for one in some]),
    )


@dataclass(frozen=True)
class Estimable:
    """A fit, and which of its coefficients the rows tell.

    Parameters
    ----------
    model : estimator
        The fit.
    X : array or sparse matrix of shape (n_rows, n_features)
        The features.
    varies : ndarray of bool of shape (n_coefs,)
        Coefficients that have no estimate but by a column that varies. None in fits
        with a penalty, which has an estimate for every column, and in those of other
        libraries.
    rank : int
        The rank of the design; 0 where there are no such coefficients, and no
        S-estimate, which has no penalty.
    """

    model: Any
    X: Any
    varies: NDArray[np.bool_]
    rank: int

    def lacks(self, counts: Array, asked: NDArray[np.bool_]) -> Lacks:
        """Return what those resamples lack that are asked for; others lack nothing.

        Each is a row of counts, how often each row of the data stands in it.
        """
        absent = np.zeros((len(counts), self.varies.size), dtype=bool)
        dependent, collapsing = np.zeros((2, len(counts)), dtype=bool)
        for i in np.flatnonzero(asked & (self.rank > 0)):
            weight = counts[i]
            rows = rows_of(self.model, self.X, weight)
            absent[i] = self.varies & ~rows.varies[: self.varies.size]
            if not absent[i].any():
                dependent[i] = (
                    not is_penalised(self.model)
                    and design_rank(rows, weight) < self.rank
                )
                collapsing[i] = not dependent[i] and self._collapses(rows, weight)
        return Lacks(absent, dependent, collapsing)

    def _collapses(self, rows: Rows, weight: Array) -> bool:
        """Return whether the rows drawn most often can be, and leave too few."""
        if not self.model.starts_from_s:
            return False
        often = np.zeros_like(weight)
        most = np.argsort(-weight, kind="stable")[: self.rank]
        often[most] = weight[most]
        few = collapses(weight, often, self.rank, float(self.model.breakdown))
        return few and design_rank(rows, often) == self.rank


def estimable(model: Any, X: Any, weight: Array) -> Estimable:
    """Return which coefficients of a fit the rows tell."""
    n_coefs = coefficients_of(model).size
    none = np.zeros(n_coefs, dtype=bool)
    if not isinstance(model, RobustLinearModel):
        return Estimable(model, X, none, 0)
    if is_penalised(model) and not model.starts_from_s:
        return Estimable(model, X, none, 0)
    rows = rows_of(model, X, weight)
    varies = none if is_penalised(model) else np.asarray(rows.varies[:n_coefs])
    return Estimable(model, X, varies, design_rank(rows, weight))


def refuse_lost(lacks: Lacks, names: list[str]) -> None:
    """Refuse resamples most of which have no estimates."""
    if lacks.lost.mean() <= MOST_LOST:
        return
    way_out = "Use cov_type='avar1', which takes no penalty, or fewer columns."
    if lacks.unidentified.sum() > lacks.collapsing.sum():
        drop = "these columns" if lacks.absent.any() else "some of them"
        way_out = f"Drop {drop}, or choose another cov_type."
    raise ValueError(f"{_lost(lacks, names)} {way_out}")


def warn_of_lost(lacks: Lacks, names: list[str]) -> None:
    """Say how many resamples have no estimate of some coefficient."""
    if not lacks.lost.any():
        return
    way_out = "cov_type='avar1', which takes no penalty, for so few rows"
    if lacks.unidentified.any():
        way_out = "another cov_type for columns that so few rows have"
    warnings.warn(
        f"{_lost(lacks, names)} These resamples are left out. Prefer {way_out}.",
        RuntimeWarning,
        stacklevel=6,
    )


def _lost(lacks: Lacks, names: list[str]) -> str:
    """Return in how many resamples there is no estimate of what, and why."""
    said, n_resamples = [], len(lacks.lost)
    if lacks.unidentified.any():
        said.append(
            f"In {lacks.unidentified.sum()} of {n_resamples} resamples "
            f"{_open(lacks, names)}, so that their coefficients have no estimate."
        )
    if lacks.collapsing.any():
        said.append(
            f"In {lacks.collapsing.sum()} of {n_resamples} resamples the coefficients "
            "are so many that an S-estimate fits most rows exactly, those drawn more "
            "than once among them: its scale is 0 there, and how far such fits spread "
            "says nothing."
        )
    return " ".join(said)


def _open(lacks: Lacks, names: list[str]) -> str:
    """Return what leaves coefficients open."""
    what = []
    if lacks.absent.any():
        absent = np.flatnonzero(lacks.absent.any(axis=0))
        what.append(f"some of the columns {listed_names(names, absent)} are constant")
    if lacks.dependent.any():
        what.append("columns depend on each other that do not in all rows")
    return " or ".join(what)
