"""Fits of one strength after the other, at a scale that goes along, by switching rows.

For a loss of parabolas and lines, with the gradient ``level u + offset`` at
``u = r / s``, the optimality condition times the scale s,

    sum_i w_i (level_i r_i + s offset_i) x_i - l2 b - s l1 sign(b) = 0,

is linear in params b and scale until a row crosses a breakpoint. Its solution at a
scale, and how it moves with that, come of one factor; the scale is where residuals
that move so have it, which few rows near their median tell [1]_. Gram matrix and sums
pass from one strength to the next, brought up to date by the rows that crossed. A step
on which none crosses is exact.

Cost of a step: a factor, p^2 for each row that crosses, with p params, and two products
with the design of the rows that may cross. Two or three steps a strength. Which rows
these are one step to a strength farther ahead tells of all on the way; whether it told
right, one product of the design with the params of all. Where rows that may cross are
many, a strength alone takes two products of the whole design with a vector.

References
----------
.. [1] Huber, P. J. (1981). Robust Statistics, section 7.8 (modified Newton). Wiley.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robustreg.rows import Array
from robustreg.solvers.many.mean_curvature import Nearby
from robustreg.solvers.many.mean_models import Shared, Terms
from robustreg.solvers.many.newton import SCALE_RTOL
from robustreg.solvers.many.pieces import FEWEST_ROWS, Band, near_ways
from robustreg.solvers.many.scale_moves import BOTH_HOLDERS, Measure, share_of
from robustreg.solvers.many.walk import Reached, Walk

# Where strengths are farther apart than this ratio others come between.
LONGEST_STRIDE = 0.8
# Strengths that are looked at ahead. Rows that come nearer to an end than this share of
# a mean move may cross, too; if they are more than a share of all, these cost as much.
AHEAD, ASTRAY, MOST_FORESEEN = 8, 0.25, 0.3


def fit_by_switching(
    shared: Shared, terms: list[Terms], near: Nearby, measure: Measure | None
) -> tuple[Nearby, NDArray[np.bool_]]:
    """Return where fits are, and which were found: no others after one that was not.

    Parameters
    ----------
    shared : Shared
        The rows.
    terms : list of Terms
        A fit each, from strong penalties to weak ones; their loss is the same, of
        parabolas and lines.
    near : Nearby
        Where the first one starts.
    measure : Measure or None
        How the scale of residuals is measured; None keeps it.
    """
    walk = Walk(shared, terms[0].loss, near, measure)
    at = Nearby(np.zeros((len(terms), walk.params.size)), np.zeros(len(terms)))
    found = np.zeros(len(terms), dtype=bool)
    i, again = 0, 1
    while i < len(terms):
        reached = _run(walk, terms[i : i + AHEAD]) if i >= again else []
        if not reached:
            again = i + AHEAD // 2 if i >= again else again
            reached = _go(walk, _ways(shared, terms[max(i - 1, 0)], terms[i]))
        if not reached:
            break
        for each in reached:
            at.params[i], at.scales[i] = each.params, each.scale
            found[i] = each.is_unique
            i += 1
    return at, found


def _ways(shared: Shared, last: Terms, term: Terms) -> list[Terms]:
    """Return the penalties by which to go from one to another, which is last.

    Where the Gram matrix is no guide, rows that are few for their columns leave some of
    these without curvature, and long steps lead astray.
    """
    ratio = (term.l1 + term.l2).sum() / ((last.l1 + last.l2).sum() or 1.0)
    if shared.factor is not None or not 0 < ratio < LONGEST_STRIDE:
        return [term]
    count = int(np.ceil(np.log(ratio) / np.log(LONGEST_STRIDE)))
    back = ratio ** (np.arange(1 - count, 1) / count)
    return [Terms(term.loss, term.l1 * each, term.l2 * each) for each in back]


def _go(walk: Walk, ways: list[Terms]) -> list[Reached]:
    """Return the last of the fits of some penalties, if each leads to the next."""
    fit = None
    for term in ways:
        walk.band = None
        fit = walk.fit(term)
        if fit is None:
            return []
    return [fit] if fit else []


def _run(walk: Walk, terms: list[Terms]) -> list[Reached]:
    """Return the fits of some penalties, by the rows that may cross on the way.

    Those before the first one that all rows contradict.
    """
    walk.band = _foreseen(walk, terms[-1]) if len(terms) > 1 else None
    if walk.band is None:
        return []
    reached: list[Reached] = []
    for term in terms:
        fit = walk.fit(term)
        if fit is None:
            break
        reached.append(fit)
    return reached[: _confirmed(walk, reached)]


def _foreseen(walk: Walk, term: Terms) -> Band | None:
    """Return the rows that may cross on the way to a penalty, None if many may."""
    held, shared, scale = walk.measure, walk.shared, walk.scale
    many = shared.factor is not None and walk.residual.size >= FEWEST_ROWS
    way = walk.direction(term) if many else None
    if way is None:
        return None
    walk.settle()
    there, growth, left = walk.residual.copy(), 0.0, 0.0
    change = walk.moved(there, *way)
    if held is not None:
        growth, left = share_of(held, scale, there, change)
        there -= growth * change
    here, there = walk.residual / scale, there / (scale * (1 + growth))
    ends = walk.pieces.ends + (held.ends if held else ())
    room = ASTRAY * float(np.abs(there - here).mean()) + BOTH_HOLDERS / here.size
    index = near_ways(here, there, ends, room)
    if left == np.inf or index.size > MOST_FORESEEN * here.size:
        return None
    few = held.beside(walk.residual, index) if held else None
    if held and few is None:
        return None
    near = shared.design[index], walk.residual[index]
    return Band(index, *near, reach=np.inf, measure=few)


def _confirmed(walk: Walk, reached: list[Reached]) -> int:
    """Return how many fits come before one that all rows contradict."""
    params = np.array([each.params for each in reached] + [walk.params])
    residual = walk.shared.target - params @ walk.shared.design.T
    walk.settle(residual[-1])
    agree = (_agrees(walk, *each) for each in zip(reached, residual, strict=False))
    return next((i for i, each in enumerate(agree) if not each), len(reached))


def _agrees(walk: Walk, fit: Reached, residual: Array) -> bool:
    """Return whether a fit's residuals have its pieces and its scale."""
    if not np.array_equal(walk.pieces.of(residual, fit.scale), fit.piece):
        return False
    measured = fit.scale if walk.measure is None else walk.measure.of(residual)
    return abs(measured - fit.scale) <= SCALE_RTOL * fit.scale
