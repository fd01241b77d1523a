"""What must be true of any fit, found out without the package's solvers.

An objective is judged from the fit: residuals there in extended precision, and then
by how much a change of the params, in standardised columns, can still lower it. So
nothing cancels, whatever the units and offsets.
"""

import math
import traceback
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from fuzz_problems import CONTAINERS
from scipy.optimize import linprog
from sklearn.exceptions import ConvergenceWarning

import robustreg
from robustreg import ScaleCollapseWarning
from robustreg.losses import SmoothL1

EPS = float(np.finfo(float).eps)
# A fit that says nothing is within this of the optimum, relative to its objective.
CLOSE = 1e-7
# The default tolerance, which a local minimum is found to.
TOL = 1e-10
# Linear programs of more entries take longer than the fits that they judge.
MOST_LP_ENTRIES = 20_000
# Seconds, after which they are left for descents.
LONGEST_LP = 20.0
# Of the Hessian's trace: much for rows without curvature, little for dependent columns.
DAMPING = (1e-9, 1e-13)
# A loss with a kink is minimised through smooth ones of these widths, of a residual.
WIDTHS = tuple(10.0**-k for k in range(9))
# What a redescending loss says that takes nearly all rows for outliers.
REJECTS = "rejects nearly all rows"
PACKAGE = str(Path(robustreg.__file__).parent)


@dataclass
class Outcome:
    """A fit and what it said."""

    model: object
    unconverged: bool
    collapsed: bool
    foreign: list


def run(problem, **changes):
    """Fit a problem, and sort its warnings into ours and others."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = problem.model(**changes)
        model.fit(problem.contained(), problem.y, sample_weight=problem.weight)
    kinds = [w.category for w in caught]
    foreign = [
        f"{w.category.__name__}: {w.message}"
        for w in caught
        if w.category not in (ConvergenceWarning, ScaleCollapseWarning)
        and REJECTS not in str(w.message)
    ]
    if kinds.count(ConvergenceWarning) > 1 or kinds.count(ScaleCollapseWarning) > 1:
        foreign.append("the same warning twice")
    unconverged = ConvergenceWarning in kinds
    return Outcome(model, unconverged, ScaleCollapseWarning in kinds, foreign)


def refusal(error):
    """Return why an error is no refusal of ours, None if it is one."""
    innermost = traceback.extract_tb(error.__traceback__)[-1].filename
    if type(error) is not ValueError or not innermost.startswith(PACKAGE):
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        where = " > ".join(f"{Path(f.filename).stem}.{f.name}" for f in frames)
        return f"{type(error).__name__}: {error} ({where})"
    return None


class Around:
    """The objective around a fit, as a function of changes of its params."""

    def __init__(self, problem, model):
        live = problem.live > 0
        self.weight = problem.live[live]
        # What predicts is what is judged, in the precision of the data.
        X = problem.X[live].astype(np.longdouble)
        coef = np.asarray(model.coef_, dtype=np.longdouble)
        terms = np.abs(X) @ np.abs(coef) + abs(float(model.intercept_))
        residual = problem.y[live] - X @ coef - np.longdouble(model.intercept_)
        scale = float(model.scale_)
        self.residual = np.asarray(residual / scale, dtype=float)
        digits = np.finfo(model.coef_.dtype).eps
        self.error = np.asarray(16 * digits * (terms + np.abs(problem.y[live])) / scale)
        self.error = self.error.astype(float)
        self.loss = problem.loss
        fits_intercept = problem.model().fit_intercept
        weight = self.weight.astype(np.longdouble)
        center = weight @ X if fits_intercept else 0 * coef
        centred = X - center
        deviation = np.sqrt(weight @ centred**2).astype(float)
        size = np.abs(problem.X[live]).max(axis=0)
        self.varies = deviation > 1e-11 * size
        unit = np.where(self.varies, 1 / np.where(self.varies, deviation, 1.0), 0.0)
        D = (centred * unit).astype(float)[:, self.varies]
        constant = np.full((len(D), 1), float(fits_intercept))
        self.design = np.hstack([D, constant])
        l1, l2 = problem.strengths(scale)
        self.unit = unit = unit[self.varies]
        self.l1 = np.append(l1 * scale * unit, 0.0)
        self.l2 = np.append(l2 * scale**2 * unit**2, 0.0)
        self.start = np.append(
            model.coef_.astype(float)[self.varies] / unit / scale, 0.0
        )

    def value(self, change, residual=None, loss=None):
        """Return the objective after a change."""
        loss = self.loss if loss is None else loss
        if residual is None:
            residual = self.residual - self.design @ change
        c = self.start + change
        rows = self.weight @ loss.value(residual)
        return rows + self.l1 @ np.abs(c) + self.l2 @ (c * c) / 2

    @property
    def slack(self):
        """What rounding errors of the stored params and of y may cost."""
        r = np.abs(self.residual)
        low, high = self.loss.facts.slopes
        steepest = max(-low, high)
        cost = self.loss.value(r + self.error) - self.loss.value(r)
        other = self.loss.value(-r - self.error) - self.loss.value(-r)
        cost = np.maximum(np.abs(cost), np.abs(other))
        if np.isfinite(steepest):
            cost = np.minimum(cost, steepest * self.error)
        params = np.abs(self.start) * 16 * EPS
        penalty = self.l1 @ params + self.l2 @ (np.abs(self.start) * params)
        return float(self.weight @ cost + penalty)

    @property
    def typical(self):
        """The objective with residuals clipped at four times their median."""
        middle = np.median(np.abs(self.residual))
        r = np.clip(self.residual, -4 * middle, 4 * middle)
        c = self.start
        rows = self.weight @ self.loss.value(r)
        return rows + self.l1 @ np.abs(c) + self.l2 @ (c * c) / 2


def improvement(around):
    """Return by how much the objective can be lowered, as far as is found out."""
    start = np.zeros(around.design.shape[1])
    before = around.value(start)
    if np.isfinite(around.loss.facts.largest_curvature):
        return max(before - around.value(descend(around, start, around.loss)), 0.0)
    best, change = before, start
    if around.design.size <= MOST_LP_ENTRIES:
        # With an l2 part it is another point to try.
        other, is_best = linear_program(around)
        best = min(best, around.value(other))
        if is_best and not around.l2.any():
            return before - best
    width = float(np.median(np.abs(around.residual)))
    low, high = around.loss.facts.slopes
    for share in WIDTHS if width > 0 else ():
        smooth = Sided(SmoothL1(share * width), -low, high)
        change = descend(around, change, smooth)
        best = min(best, around.value(change))
    return before - best


def is_stationary(around):
    """Return whether it is one for some y that differs by rounding errors, or to `tol`.

    That is all a local minimum can be known by: no certificate bounds what a direction
    of hardly any curvature may gain.
    """
    slopes = around.weight * around.loss.gradient(around.residual)
    curved = around.weight * np.abs(around.loss.curvature(around.residual))
    gradient = around.l2 * around.start - around.design.T @ slopes
    pull, _ = _pseudo_gradient(gradient, around.start, around.l1)
    rounding = np.abs(around.design).T @ (curved * around.error)
    return bool(np.all(np.abs(pull) <= rounding + TOL * np.abs(slopes).sum()))


@dataclass(frozen=True)
class Sided:
    """A symmetric loss times a factor on either side."""

    base: object
    below: float
    above: float

    def _factor(self, r):
        return np.where(r > 0, self.above, self.below)

    def value(self, r):
        """Return the value."""
        return self._factor(r) * self.base.value(r)

    def gradient(self, r):
        """Return the slope."""
        return self._factor(r) * self.base.gradient(r)

    def curvature(self, r):
        """Return the curvature."""
        return self._factor(r) * self.base.curvature(r)


def descend(around, change, loss, steps=12):
    """Lower an objective by Newton's method within an orthant.

    Andrew, G., Gao, J. (2007). Scalable training of L1-regularized log-linear models.
    International Conference on Machine Learning.
    """
    residual = around.residual - around.design @ change
    value, damping = around.value(change, residual, loss), list(DAMPING)
    for _ in range(steps):
        c = around.start + change
        gradient = around.l2 * c
        gradient -= around.design.T @ (around.weight * loss.gradient(residual))
        pull, orthant = _pseudo_gradient(gradient, c, around.l1)
        free = np.flatnonzero(pull)
        if free.size == 0:
            break
        curvature = around.weight * np.maximum(loss.curvature(residual), 0.0)
        D = around.design[:, free]
        hessian = D.T @ (curvature[:, None] * D) + np.diag(around.l2[free])
        hessian.flat[:: free.size + 1] += damping[0] * (1 + hessian.trace())
        step = np.zeros_like(pull)
        step[free] = -np.linalg.lstsq(hessian, pull[free], rcond=1e-14)[0]
        last, shortened = value, _shorten(around, change, step, orthant, value, loss)
        if shortened is not None:
            change, residual, value = shortened
        if last - value <= 1e-13 * abs(last):
            damping = damping[1:]
            if not damping:
                break
    return change


def _pseudo_gradient(gradient, c, l1):
    """Return the steepest one-sided slope of each param, and the sign it may have."""
    up, down = gradient + l1, gradient - l1
    at_zero = np.where(up < 0, up, np.where(down > 0, down, 0.0))
    pull = np.where((c == 0) & (l1 > 0), at_zero, gradient + l1 * np.sign(c))
    return pull, np.where(c == 0, -np.sign(pull), np.sign(c))


def _shorten(around, change, step, orthant, value, loss):
    """Return the first point along a halved step that is lower, None if none is."""
    for halving in range(30):
        c = around.start + change + 0.5**halving * step
        c = np.where((around.l1 > 0) & (c * orthant < 0), 0.0, c)
        new = c - around.start
        residual = around.residual - around.design @ new
        lower = around.value(new, residual, loss)
        if lower < value:
            return new, residual, lower
    return None


def linear_program(around):
    """Return a change for a piecewise linear loss and an l1 part, and if it is best."""
    n, p = around.design.shape
    unit = float(np.median(np.abs(around.residual))) or 1.0
    low, high = around.loss.facts.slopes
    # Changes, the two parts of each residual, and a bound on each abs(c).
    kinked = np.flatnonzero(around.l1)
    k = kinked.size
    cost = np.concatenate(
        [np.zeros(p), around.weight * high, -around.weight * low, around.l1[kinked]]
    )
    eye = sp.eye_array(n)
    A = sp.hstack([sp.csr_array(around.design), eye, -eye, sp.csr_array((n, k))])
    # Now and then the simplex method goes round in circles at these.
    tolerances = "primal_feasibility_tolerance", "dual_feasibility_tolerance"
    options = dict.fromkeys(tolerances, 1e-10) | {"time_limit": LONGEST_LP}
    inequality = bound = None
    if k:
        pick = sp.csr_array((np.ones(k), (np.arange(k), kinked)), shape=(k, p))
        free, bounds = sp.csr_array((k, 2 * n)), -sp.eye_array(k)
        inequality = sp.vstack(
            [
                sp.hstack([pick, free, bounds]),
                sp.hstack([-pick, free, bounds]),
            ]
        )
        c = around.start[kinked] / unit
        bound = np.concatenate([-c, c])
    limits = [(None, None)] * p + [(0, None)] * (2 * n + k)
    result = linprog(
        cost,
        A_ub=inequality,
        b_ub=bound,
        A_eq=A,
        b_eq=around.residual / unit,
        bounds=limits,
        method="highs-ds",
        options=options,
    )
    change = np.zeros(p) if result.x is None else result.x[:p] * unit
    return change, result.status == 0


def faults(problem, outcome):
    """Return what is wrong with a fit, a list of sentences."""
    model, found = outcome.model, list(outcome.foreign)
    stored = [model.coef_, model.intercept_, model.scale_, model.residual_scale_]
    if not all(np.isfinite(part).all() for part in stored):
        return [*found, "a fitted attribute is not finite"]
    small = np.abs(np.append(model.coef_, model.intercept_))
    if ((small > 0) & (small < np.finfo(np.float32).tiny * 1e-30)).any():
        found.append("a parameter is a denormal number")
    around = Around(problem, model)
    slack, typical = around.slack, around.typical
    lower = improvement(around)
    if not problem.loss.facts.convex and is_stationary(around):
        lower = 0.0
    allowed = CLOSE * (typical + slack) + 4 * slack
    if lower > allowed and not (outcome.unconverged or outcome.collapsed):
        found.append(f"{lower:.3g} above the optimum, of {typical:.3g}")
    gap = float(model.dual_gap_)
    convex = problem.loss.facts.convex
    if convex != math.isfinite(gap):
        found.append(f"dual_gap_ is {gap}")
    if convex and lower > gap * (1 + 1e-6) + 4 * slack + 1e-12 * typical:
        found.append(f"{lower:.3g} above the optimum, dual_gap_ says {gap:.3g}")
    # A bound that rounding errors swamp says nothing.
    most = 0.5 * around.value(0 * around.start) + slack
    if convex and outcome.unconverged and gap > most:
        found.append("the gap is as large as the objective")
    found += scale_faults(problem, outcome, around)
    return found


def scale_faults(problem, outcome, around):
    """Return whether an estimated scale is not that of the residuals."""
    model = outcome.model
    if problem.params.get("scale", model.scale) != "mad":
        return []
    if outcome.collapsed or outcome.unconverged:
        return []
    size = np.sort(np.abs(around.residual))
    order = np.argsort(np.abs(around.residual))
    sums = np.cumsum(around.weight[order])
    near = (sums >= 0.5 - 1e-9).argmax(), (sums > 0.5 + 1e-9).argmax()
    mad = 1.4826022185056018 * (size[near[0]] + size[near[1]]) / 2
    error = 1e-4 + 4 * float(np.median(around.error))
    return [] if abs(mad - 1) <= error else [f"scale_ is {1 / mad:.6g} of the MAD"]


# Two fits of one problem differ by less than this share of the scale in a typical row:
# the square root of what the objective's tolerance allows, with room for rounding.
SAME_FIT = 1e-3
# Exact fits differ by rounding errors, which dependent columns magnify.
EXACT = 1e-9
# Fits of y with other rounding errors, and how much less far these may move a fit than
# other words for the problem do.
ROUNDED, AS_FAR = 8, 0.1


def variants(problem):
    """Return the problem in other words, by what was changed, with the unit of y."""
    rng = np.random.default_rng([problem.number, 11])
    order = rng.permutation(len(problem.y))
    weight = problem.weight
    X, y = problem.X, problem.y
    shuffled = replace(
        problem,
        X=X[order],
        y=y[order],
        weight=None if weight is None else weight[order],
    )
    yield "rows in another order", shuffled, 1.0
    scale = problem.model().scale
    if weight is not None:
        if scale != "proposal2":
            far = 2.0 ** int(rng.integers(-900, 900))
            yield "weights times a constant", replace(problem, weight=weight * far), 1.0
        counts = weight.astype(int)
        if (counts == weight).all():
            repeated = replace(
                problem, X=np.repeat(X, counts, 0), y=np.repeat(y, counts), weight=None
            )
            yield "rows repeated", repeated, 1.0
    others = [name for name in CONTAINERS if name != "float32"]
    if problem.container != "float32":
        yield "container", replace(problem, container=str(rng.choice(others))), 1.0
    most = 20 if problem.container == "float32" else 500
    unit = 2.0 ** int(rng.integers(-most, most))
    params = dict(problem.params)
    if not isinstance(scale, str):
        params["scale"] = scale * unit
    yield "unit of y", replace(problem, y=y * unit, params=params), unit
    if problem.model().penalty is None and problem.container != "float32":
        far = 2.0 ** rng.integers(-200, 200, size=X.shape[1])
        yield "units of columns", replace(problem, X=X * far), 1.0


def undetermined(problem, model):
    """Return how far a fit may be from the optimum for all that rounding errors show.

    A strongly convex objective rises by half of its modulus times the squared distance.
    """
    around = Around(problem, model)
    modulus = around.l2[:-1].min(initial=np.inf)
    if not problem.loss.facts.convex or not 0 < modulus < np.inf:
        return 0.0
    gap = min(around.slack, 4 * EPS * around.value(0 * around.start))
    distance = np.sqrt(2 * gap / modulus)
    return float(model.scale_) * np.linalg.norm(around.design[:, :-1], 2) * distance


def one_to_a_pass(problem, model, change):
    """Return whether slopes in double precision tell a fit from where it moves to.

    Of a convex function the derivative along a line rises by the sum of w (slope there
    minus slope here) times the change; where that is less than the rounding errors of
    the derivatives at both ends, which are those of a pass over the rows, all that lies
    between is the optimum. A loss that is linear in the limit only has one optimum even
    so, but the last curvature that a direction has may be exp(-2 r) of a far row. No
    rule names one of these fits, as one does where tails are linear.
    """
    facts = problem.loss.facts
    limit_only = np.isfinite(facts.largest_curvature) and facts.linear_beyond == np.inf
    if not limit_only or any(problem.strengths(1.0)):
        return False
    around = Around(problem, model)
    change = change[problem.live > 0] / float(model.scale_)
    here = around.loss.gradient(around.residual)
    there = around.loss.gradient(around.residual - change)
    curved = np.abs(around.loss.curvature(around.residual)) * around.error
    rise = around.weight @ ((here - there) * change)
    rounding = around.weight @ ((16 * EPS * np.abs(here) + curved) * np.abs(change))
    return bool(rise <= 2 * rounding)


def moved_by_rounding(problem, model):
    """Return how far a fit moves when y does by rounding errors: predictions, scale.

    Where valleys are equally deep, or one begins, these choose among them.
    """
    rng = np.random.default_rng([problem.number, 13])
    far, factor = 0.0, 0.0
    for _ in range(ROUNDED):
        y = problem.y * (1 + 4 * EPS * rng.normal(size=problem.y.size))
        again = run(replace(problem, y=y)).model
        moved = problem.X @ (again.coef_ - model.coef_).astype(float)
        moved += float(again.intercept_) - float(model.intercept_)
        far = max(far, float(np.sqrt(problem.live @ moved**2)))
        factor = max(factor, abs(float(np.log(again.scale_ / model.scale_))))
    return far, factor


def contradictions(problem, outcome, which):
    """Return how the fit of one variant differs from the problem's own."""
    every = list(variants(problem))
    name, other, unit = every[which % len(every)]
    again = run(other)
    if outcome.unconverged or again.unconverged or outcome.collapsed != again.collapsed:
        return []
    found = [f"{name}: {text}" for text in again.foreign]
    own, their = outcome.model, again.model
    if not np.isfinite(their.coef_).all():
        return [*found, f"{name}: a coefficient is not finite"]
    restated = other
    if name == "rows repeated" or name == "rows in another order":
        other = replace(other, X=problem.X)
    prediction = problem.X @ own.coef_.astype(float) + own.intercept_
    coef, intercept = their.coef_.astype(float) / unit, float(their.intercept_) / unit
    scaled = other.X @ coef + intercept
    live = problem.live
    apart = np.sqrt(live @ (prediction - scaled) ** 2)
    rounding = float(own.scale_) * Around(problem, own).error.max()
    size = np.sqrt(live @ prediction**2)
    allowed = SAME_FIT * float(own.residual_scale_) + 4 * rounding + EXACT * size
    ratio = their.scale_ / unit / own.scale_
    far, rescaled = apart > allowed, abs(ratio - 1) > SAME_FIT
    if far:
        allowed += undetermined(problem, own) + undetermined(restated, their) / unit
        far = apart > allowed
    if far and problem.loss.facts.convex:
        far = not one_to_a_pass(problem, own, scaled - prediction)
    if (far or rescaled) and not problem.loss.facts.convex:
        moved, factor = moved_by_rounding(problem, own)
        far = far and AS_FAR * apart > moved
        rescaled = rescaled and AS_FAR * abs(np.log(ratio)) > factor
    if far and not outcome.collapsed:
        found.append(f"{name}: predictions {apart:.3g} apart, scale {own.scale_:.3g}")
    if rescaled and not outcome.collapsed:
        found.append(f"{name}: scale_ times {ratio:.6g}")
    return found
