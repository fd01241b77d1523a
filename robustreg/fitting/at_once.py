"""Smooth fits of the same rows that differ in loss, penalty or scale, all at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import final

import numpy as np
from numpy.typing import NDArray

from robustreg.fitting.alike import Alike
from robustreg.fitting.coordinates import units_of
from robustreg.fitting.precision import answers
from robustreg.fitting.problem import Problem
from robustreg.linalg import SUM_ERROR, factorise
from robustreg.penalties import ElasticNet
from robustreg.rows import Array, Index
from robustreg.scale import BESIDE, COUNTED, LINES, SCALES
from robustreg.solvers.many.mean_curvature import Nearby, fit_by_mean_curvature
from robustreg.solvers.many.mean_models import Shared, Terms
from robustreg.solvers.many.scale_moves import Measure
from robustreg.solvers.many.switching import fit_by_switching
from robustreg.solvers.many.vertices import REGULAR
from robustreg.solvers.orthogonal import all_but_depend
from robustreg.solvers.proximal import RIDGE

# Where rows are few for their columns, mean curvature times the Gram matrix is no
# Hessian; a design of more entries is not formed.
FEWEST_ROWS, MOST_FORMED = 10, 2**24
# Steps end three digits beyond what is asked for, and each gains about two.
AT_ONCE = 1e-3
# One in this many penalties that differ in strength comes first, others between,
# on the line through two of them but for rounding errors.
SPARSELY = 8
# Strengths that are near enough to each other for each to lead to the next, at least;
# and where only that leads to them.
MANY, SEVERAL = 8, 2


def fit_at_once(problems: list[Problem]) -> list[Alike | None]:
    """Return the fits of problems with convex and smooth losses, by one Gram matrix.

    None for those that it does not lead to, or not for certain, and for all if rows are
    sparse or fewer than their columns, or these all but depend on each other. Many
    strengths of a loss of parabolas and lines are fitted one after the other. Where the
    Gram matrix is a guide, a few of those of the first loss start at the median of y,
    its others between these, and those of other losses where the first one is with the
    same penalty.

    Parameters
    ----------
    problems : list of Problem
        With the same rows, weights and kind of scale.
    """
    smooth = [i for i, problem in enumerate(problems) if _is_smooth(problem)]
    shared = _shared(problems[smooth[0]]) if smooth else None
    if shared is None:
        return [None] * len(problems)
    first = [i for i in smooth if problems[i].loss == problems[smooth[0]].loss]
    few = [first[i] for i in _sparsely([problems[i].penalty for i in first])]
    run = _Run(problems, shared)
    for sequence in _sequences(problems, smooth, shared):
        run.fit_sequence(sequence)
    for group in (few, first, smooth):
        run.fit_also(group)
    return run.fits


@final
class _Run:
    """Fits that start where others were found."""

    def __init__(self, problems: list[Problem], shared: Shared) -> None:
        self.fits: list[Alike | None] = [None] * len(problems)
        self._problems, self._shared = problems, shared
        self._asked: set[int] = set()
        first, name = problems[0], problems[0].estimate
        self._units = units_of(first)
        self._measure = None if name is None else _measure(first, name)
        if self._measure is None:
            scale = float(first.scale)
        else:
            scale = self._measure.of(shared.target) or 1.0
        n_fits = len(problems)
        self._at = Nearby(
            np.zeros((n_fits, first.rows.n_params)),
            np.full(n_fits, scale),
        )
        self._strengths = np.array([strength_of(p.penalty) for p in problems])

    def fit_also(self, group: list[int]) -> None:
        """Fit those of a group that were not tried yet."""
        new = np.array([i for i in group if i not in self._asked], dtype=np.intp)
        self._asked.update(new.tolist())
        starts = np.array([i for i, f in enumerate(self.fits) if f], dtype=np.intp)
        if not new.size or self._shared.factor is None:
            return
        near = self._at.taken(new)
        if starts.size:
            near = self._between(self._strengths[new], starts)
        self._fit(new, near)

    def fit_sequence(self, sequence: list[int]) -> None:
        """Fit a loss of parabolas and lines for one strength after the other."""
        self._walk(sequence)
        if self.fits[sequence[0]] is None:
            # From far one step may not lead to the next.
            self.fit_also(sequence[:1])
            if self.fits[sequence[0]] is not None:
                self._walk(sequence)

    def _walk(self, sequence: list[int]) -> None:
        """Go from strength to strength, from where the first one may be near."""
        some = np.array(sequence, dtype=np.intp)
        terms = [_terms(self._problems[i]) for i in sequence]
        start = self._at.taken(some[:1])
        self._take(some, *fit_by_switching(self._shared, terms, start, self._measure))

    def _between(self, strengths: Array, starts: Index) -> Nearby:
        """Return where fits may be that lie between two others in strength."""
        pairs = [between(own, self._strengths[starts]) for own in strengths]
        low, high, share = (np.array(each) for each in zip(*pairs, strict=True))
        ends = self._at.taken(starts[low]), self._at.taken(starts[high])
        return ends[0].moved(ends[1], share)

    def _fit(self, some: Index, near: Nearby) -> None:
        """Fit some problems from where they are likely to be."""
        problems = [self._problems[i] for i in some]
        first = problems[0]
        found, is_found = fit_by_mean_curvature(
            self._shared,
            [_terms(problem) for problem in problems],
            near,
            self._measure,
            AT_ONCE * first.tol,
            first.max_iter,
        )
        self._take(some, found, is_found)

    def _take(self, some: Index, found: Nearby, is_found: NDArray[np.bool_]) -> None:
        """Take what was found."""
        there, some = found.taken(np.flatnonzero(is_found)), some[is_found]
        self._asked.update(some.tolist())
        self._at.put(some, there)
        first, params = self._problems[0], self._units.to_original(there.params)
        data, scales = (first.rows, first.weight), there.scales
        stored = answers(*data, params, scales[:, None], first.eps)
        each = zip(params, *stored, scales.tolist(), strict=True)
        for i, fit in zip(some, each, strict=True):
            self.fits[i] = Alike(*fit, success=True, will_do=True)


def strength_of(penalty: ElasticNet) -> Array:
    """Return the sums of what a penalty weighs, of shape (2,)."""
    return np.array([penalty.l1.sum(), penalty.l2.sum()])


def between(own: Array, others: Array) -> tuple[int, int, float]:
    """Return between which two of others something lies, and its place there.

    On the line through the nearest one, as a share of the way to the second; 0 where
    there is none on the other side.

    Parameters
    ----------
    own : ndarray of shape (2,)
        What lies there.
    others : ndarray of shape (n_others, 2)
        The others.
    """
    low = int(np.argmin(np.abs(others - own).sum(axis=1)))
    way, wanted = others - others[low], own - others[low]
    square = (way**2).sum(axis=1)
    share = way @ wanted / np.where(square > 0, square, 1.0)
    missed = np.abs(way * share[:, None] - wanted).sum(axis=1)
    there = (share > 0) & (share <= 1) & (missed <= SUM_ERROR * np.abs(own).sum())
    if not there.any():
        return low, low, 0.0
    high = int(np.argmin(np.where(there, square, np.inf)))
    return low, high, float(share[high])


def _sequences(
    problems: list[Problem], smooth: list[int], shared: Shared
) -> list[list[int]]:
    """Return which problems lead from one to the next, the strongest penalty first.

    Those that share a loss of parabolas and lines and a mixture of l1 and l2, where
    they are many or nothing else leads to them, and few rows tell how the scale moves.
    Of columns that depend on each other without a penalty the fit is not unique.
    """
    if problems[0].scale in SCALES.keys() - LINES.keys():
        return []
    groups: list[list[int]] = []
    for i in smooth:
        unique = not shared.ridge or strength_of(problems[i].penalty).any()
        if problems[i].loss.facts.breakpoints is None or not unique:
            continue
        like = [
            group for group in groups if _are_alike(problems[group[0]], problems[i])
        ]
        if like:
            like[0].append(i)
        else:
            groups.append([i])
    return [
        sorted(group, key=lambda i: -strength_of(problems[i].penalty).sum())
        for group in groups
        if len(group) >= (MANY if shared.factor is not None else SEVERAL)
    ]


def _are_alike(one: Problem, other: Problem) -> bool:
    """Return whether problems share a loss and a mixture of l1 and l2."""
    strengths = [strength_of(problem.penalty) for problem in (one, other)]
    low, high = _mixtures(np.array(strengths))
    return one.loss == other.loss and bool(low == high)


def _mixtures(strengths: Array) -> Array:
    """Return the shares of l1 in penalties, 0 without one."""
    total = strengths.sum(axis=1)
    return np.round(strengths[:, 0] / np.where(total > 0, total, 1.0), 6)


def _sparsely(penalties: list[ElasticNet]) -> list[int]:
    """Return the places of a few penalties between which the others lie.

    Of each mixture of l1 and l2, in the order of their strengths, one in `SPARSELY`.
    """
    strengths = np.array([strength_of(penalty) for penalty in penalties])
    total = strengths.sum(axis=1)
    mixture = _mixtures(strengths)
    order = np.lexsort((total, mixture))
    ends = np.flatnonzero(np.diff(mixture[order], append=np.inf))
    places = np.union1d(np.arange(0, order.size, SPARSELY), ends)
    return sorted(order[places].tolist())


def _terms(problem: Problem) -> Terms:
    """Return what tells a problem from others, of standardised params."""
    penalty = problem.penalty.rescaled(problem.rows.standard.unit)
    return Terms(problem.loss, np.append(penalty.l1, 0.0), np.append(penalty.l2, 0.0))


def _is_smooth(problem: Problem) -> bool:
    """Return whether a loss has a curvature everywhere, and one valley."""
    facts = problem.loss.facts
    return facts.convex and facts.smooth


def _shared(problem: Problem) -> Shared | None:
    """Return what problems share, None if it is too much, or has too few digits."""
    rows = problem.rows
    n, p = rows.n_rows, rows.n_params
    if rows.stored is not None or n * p > MOST_FORMED or n < p:
        return None
    if all_but_depend(rows, problem.weight, np.zeros(p)):
        return None
    weight = problem.weight / problem.weight.sum()
    gram = rows.gram(weight, np.arange(p))
    # Of what does not vary the params are 0.
    gram[np.diag_indices(p)] += ~rows.varies
    factor = factorise(gram)
    regular = factor.rcond >= REGULAR
    guide = factor if regular and n >= FEWEST_ROWS * p else None
    target = problem.y - units_of(problem).center
    ridge = 0.0 if regular else RIDGE
    return Shared(rows.dense(np.arange(n)), target, weight, gram, guide, ridge)


def _measure(problem: Problem, name: str) -> Measure:
    """Return what measures the scale of residuals, for columns that do not depend."""
    weight = problem.weight
    n_params = int(problem.rows.varies.sum()) if name in COUNTED else 0

    def of(residual: Array) -> float:
        return SCALES[name](residual, weight, n_params)

    def along(
        residual: Array, change: Array, reach: float, measured: float
    ) -> Callable[[float], float]:
        if name in LINES:
            return LINES[name](weight, residual, change, reach, measured)
        return lambda t: of(residual + t * change)

    if name not in BESIDE:
        return Measure(of, along)
    beside, end = BESIDE[name]
    return Measure(of, along, (-end, end), partial(beside, weight))
