"""The objective and its optimum, computed without a line of the package's numerics.

Everything is written again from its definition: the losses, the objective in the
user's units, and its minimum by SciPy's general-purpose optimisers.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog, minimize

from robustreg import SmoothL1Regressor
from robustreg.losses import (
    LOSSES,
    Loss,
    LossFacts,
    make_loss,
    numerical_conjugate,
)

CONVEX = [name for name in LOSSES if make_loss(name).facts.convex]
KINKED = ("l1", "quantile")
PENALTIES = ("l1", "l2", "elasticnet", None)


def _smooth_l1(t, beta):
    inside = np.abs(t) < beta
    value = np.where(inside, t**2 / (2 * beta), np.abs(t) - beta / 2)
    return value, np.where(inside, t / beta, np.sign(t)), inside / beta


def _huber(t, beta):
    return [beta * part for part in _smooth_l1(t, beta)]


def _pseudo_huber(t, beta):
    root = np.sqrt(1 + (t / beta) ** 2)
    return beta**2 * (root - 1), t / root, root**-3.0


def _log_cosh(t, beta):
    z = t / beta
    value = np.logaddexp(z, -z) - np.log(2)
    return beta * value, np.tanh(z), (1 - np.tanh(z) ** 2) / beta


def _l1(t, beta):
    return np.abs(t), np.sign(t), 0 * t


def _l2(t, beta):
    return t**2 / 2, t, np.ones_like(t)


BASES = {
    "l1": _l1,
    "l2": _l2,
    "smooth_l1": _smooth_l1,
    "huber": _huber,
    "pseudo_huber": _pseudo_huber,
    "log_cosh": _log_cosh,
    "quantile": _l1,
}


@dataclass(frozen=True)
class Case:
    """A problem in the user's terms."""

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None = None
    loss: str = "smooth_l1"
    penalty: str | None = None
    alpha: float = 0.1
    beta: float = 1.0
    quantile: float = 0.5
    l1_ratio: float = 0.5
    scale: float = 1.0

    def fit(self, **params):
        """Return the package's fit."""
        model = SmoothL1Regressor(
            self.loss,
            beta=self.beta,
            quantile=self.quantile,
            penalty=self.penalty,
            alpha=0.0 if self.penalty is None else self.alpha,
            l1_ratio=self.l1_ratio,
            scale=self.scale,
        )
        model.set_params(**params)
        return model.fit(self.X, self.y, sample_weight=self.weight)

    @property
    def share(self):
        """Weights that sum to 1."""
        weight = np.ones(len(self.y)) if self.weight is None else self.weight
        return weight / weight.sum()

    @property
    def strengths(self):
        """Weights of ``abs(c)`` and ``c^2 / 2`` for c in units of y."""
        ratio = {"l1": 1.0, "l2": 0.0, "elasticnet": self.l1_ratio, None: None}
        l1_ratio, s = ratio[self.penalty], self.scale
        if l1_ratio is None:
            return 0.0, 0.0
        return self.alpha * l1_ratio / s, self.alpha * (1 - l1_ratio) / s**2

    @property
    def slopes(self):
        """Slopes of a kinked loss on either side of 0, in units of the scale."""
        factor = 1.0 if self.loss == "quantile" else 2.0
        return -factor * (1 - self.quantile), factor * self.quantile

    def loss_parts(self, residual):
        """Return value, gradient and curvature at residuals in units of y."""
        t = residual / self.scale
        assert self.loss in BASES, f"add {self.loss!r} to BASES, from its definition"
        value, gradient, curvature = BASES[self.loss](t, self.beta)
        tilt = np.where(t > 0, 2 * self.quantile, 2 * (1 - self.quantile))
        tilt = tilt / 2 if self.loss == "quantile" else tilt
        s = self.scale
        return tilt * value, tilt * gradient / s, tilt * curvature / s**2

    def objective(self, coef, intercept):
        """Return the objective."""
        l1, l2 = self.strengths
        value = self.loss_parts(self.y - self.X @ coef - intercept)[0]
        return self.share @ value + l1 * np.abs(coef).sum() + l2 * coef @ coef / 2

    def reached(self, model):
        """Return the objective of a fit."""
        return self.objective(model.coef_, model.intercept_)


def optimum(case):
    """Return the minimum of the objective, to about 1e-13 of it.

    The columns of X and y are centred first, which changes the intercept alone.
    """
    X, y = case.X - case.share @ case.X, case.y - np.median(case.y)
    case = replace(case, X=X, y=y)
    if case.loss not in KINKED:
        return _smooth_optimum(case)
    if case.strengths[1] == 0:
        return _linear_program(case)
    return _kinked_optimum(case)


def _smooth_optimum(case):
    """Minimise in c+, c- >= 0 if there is an l1 part, else by a trust region."""
    l1, l2 = case.strengths
    p = case.X.shape[1]
    D = np.column_stack([case.X, np.ones(len(case.y))])
    ridge = np.append(np.full(p, l2), 0.0)

    def fun(params):
        value, gradient, _ = case.loss_parts(case.y - D @ params)
        total = case.share @ value + ridge @ params**2 / 2
        return total, ridge * params - D.T @ (case.share * gradient)

    def hess(params):
        curvature = case.loss_parts(case.y - D @ params)[2]
        return D.T @ (D * (case.share * curvature)[:, None]) + np.diag(ridge)

    if l1 == 0:
        options = {"gtol": 1e-11, "maxiter": 5000}
        start = np.zeros(p + 1)
        result = minimize(
            fun, start, jac=True, hess=hess, method="trust-exact", options=options
        )
        return result.fun
    split = np.hstack([np.eye(p), -np.eye(p), np.zeros((p, 1))])
    split = np.vstack([split, np.append(np.zeros(2 * p), 1.0)])

    def split_fun(parts):
        value, gradient = fun(split @ parts)
        kinked = np.append(np.full(2 * p, l1), 0.0)
        return value + kinked @ parts, split.T @ gradient + kinked

    bounds = [(0, None)] * (2 * p) + [(None, None)]
    return _l_bfgs_b(split_fun, np.zeros(2 * p + 1), bounds).fun


def _l_bfgs_b(fun, start, bounds):
    options = {"ftol": 0.0, "gtol": 1e-12, "maxiter": 50_000, "maxfun": 50_000}
    options["maxcor"] = 50
    return minimize(
        fun, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )


def _linear_program(case):
    """Minimise over c+, c-, b+, b- and the two parts of each residual."""
    n, p = case.X.shape
    low, high = case.slopes
    share = case.share / case.scale
    cost = np.concatenate(
        [np.full(2 * p, case.strengths[0]), [0, 0], share * high, -share * low]
    )
    D = np.hstack([case.X, -case.X, np.ones((n, 1)), -np.ones((n, 1))])
    A = sp.hstack([sp.csr_array(D), sp.eye_array(n), -sp.eye_array(n)])
    names = ("primal_feasibility_tolerance", "dual_feasibility_tolerance")
    options = dict.fromkeys(names, 1e-10)
    result = linprog(cost, A_eq=A, b_eq=case.y, method="highs-ds", options=options)
    params = result.x[: p + 1] - np.append(result.x[p : 2 * p], result.x[2 * p + 1])
    params[p] = result.x[2 * p] - result.x[2 * p + 1]
    return _best_intercept(case, params[:p])[0]


def _best_intercept(case, coef):
    """Return the least objective over the intercept, which is at some residual."""
    candidates = case.y - case.X @ coef
    values = [case.objective(coef, b) for b in candidates]
    return min(values), candidates[int(np.argmin(values))]


def _kinked_optimum(case):
    """Solve the dual in the rows' slopes, then the equations it leaves for c.

    The dual value is a lower bound and the primal value at c an upper one; they must
    meet.
    """
    slopes, value = _dual(case)
    coef = _coef_of(case, slopes)
    reached = _best_intercept(case, coef)[0]
    assert abs(reached - value) <= 1e-11 * reached
    return reached


def _dual(case):
    """Maximise ``share d y - penalty*(X' share d)`` with ``share d = 0`` in a box.

    By the method of multipliers; the multiplier is the intercept.
    """
    (l1, l2), share = case.strengths, case.share
    low, high = (slope / case.scale for slope in case.slopes)
    bounds = [(low, high)] * len(case.y)
    intercept, slopes = 0.0, np.zeros(len(case.y))
    price = 10.0 * case.scale * np.abs(case.y).mean()

    def fun(d):
        pull = case.X.T @ (share * d)
        size = np.maximum(np.abs(pull) - l1, 0)
        total = share @ d
        value = size @ size / (2 * l2) - share @ (d * case.y)
        value += intercept * total + price * total**2 / 2
        slope = np.sign(pull) * size / l2
        linear = intercept + price * total - case.y
        return value, share * (case.X @ slope + linear)

    for _ in range(30):
        slopes = _l_bfgs_b(fun, slopes, bounds).x
        intercept += price * (share @ slopes)
        if abs(share @ slopes) < 1e-15:
            break
    return slopes, -fun(slopes)[0]


def _coef_of(case, slopes):
    """Return c from the rows that are fitted exactly and the signs of c.

    Unknowns: the coefficients of the support, the intercept, the slopes of the exact
    rows. Equations: those rows, stationarity, and slopes that sum to 0.
    """
    (l1, l2), share = case.strengths, case.share
    low, high = (slope / case.scale for slope in case.slopes)
    margin = 1e-6 * (high - low)
    exact = (slopes > low + margin) & (slopes < high - margin) & (share > 0)
    pull = case.X.T @ (share * slopes)
    support = np.abs(pull) > l1
    d = np.where(exact, 0.0, np.where(slopes > (low + high) / 2, high, low))
    D = np.column_stack([case.X[:, support], np.ones(len(case.y))])
    k, m = D.shape[1], int(exact.sum())
    curved = np.diag(np.append(np.full(k - 1, l2), 0.0))
    top = np.hstack([D[exact], np.zeros((m, m))])
    bottom = np.hstack([curved, -(D[exact] * share[exact, None]).T])
    right = D.T @ (share * d) - np.append(l1 * np.sign(pull[support]), 0.0)
    system, target = np.vstack([top, bottom]), np.append(case.y[exact], right)
    solution = np.linalg.lstsq(system, target, rcond=1e-13)[0]
    coef = np.zeros(case.X.shape[1])
    coef[support] = solution[: k - 1]
    return coef


def assert_same_fit(model, other, rtol=1e-9, factor=1.0):
    """The first fit is ``factor`` times the other, to ``rtol`` of its size."""
    coef, intercept = factor * other.coef_, factor * other.intercept_
    size = np.abs(coef).max(initial=0) + np.abs(intercept).max()
    np.testing.assert_allclose(model.coef_, coef, rtol=0, atol=rtol * size)
    np.testing.assert_allclose(model.intercept_, intercept, rtol=0, atol=rtol * size)


@dataclass(frozen=True)
class Fair(Loss):
    """The loss that the docstring of `Loss` shows to users."""

    beta: float

    @property
    def facts(self):
        return LossFacts(1.0, (-self.beta, self.beta), unimodal=True)

    def value(self, residual):
        t = np.abs(residual) / self.beta
        return self.beta**2 * (t - np.log1p(t))

    def gradient(self, residual):
        return residual / (1 + np.abs(residual) / self.beta)

    def curvature(self, residual):
        return (1 + np.abs(residual) / self.beta) ** -2

    def conjugate(self, slope):
        return numerical_conjugate(self, slope)
