"""Everybody who can fit a robust regression, each with the settings that suit it.

A solver takes X, y, a problem and a tolerance, and returns an `Answer`. What is not
installed is left out, and `missing` says how to install it.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timing
from problems import Array, Problem
from sklearn.linear_model import (
    HuberRegressor,
    Lasso,
    LinearRegression,
    QuantileRegressor,
    Ridge,
    SGDRegressor,
)
from sklearn.svm import LinearSVR

from robustreg import RobustRegressor

MANY = 100_000
HUBER_EPSILON = 1.35


@dataclass(frozen=True)
class Answer:
    """Coefficients, and what a solver says of itself.

    ``beta`` is the breakpoint if the solver chose it itself, ``seconds`` its time if it
    ran in another program.
    """

    coef: Array
    intercept: float = 0.0
    beta: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Solver:
    """Somebody's fit, and which problems it can do.

    ``losses`` and ``penalties`` name what it minimises; ``scale`` is whether it does so
    with an estimated scale. One without a tolerance runs once.
    """

    run: Callable[[Any, Array, Problem, float], Answer]
    losses: set[str]
    penalties: set[str | None]
    package: str = "scikit-learn"
    scale: bool = False
    intercept: set[bool] = frozenset({True, False})  # type: ignore[assignment]
    sparse: bool = False
    tolerant: bool = True

    def suits(self, problem: Problem, mad: bool, sparse: bool) -> bool:
        """Return whether it can minimise a problem on such data."""
        return (
            problem.loss in self.losses
            and problem.penalty in self.penalties
            and problem.fit_intercept in self.intercept
            and self.scale == mad
            and (self.sparse or not sparse)
        )


def of_sklearn(model: Any, X: Any, y: Array, beta: float | None = None) -> Answer:
    """Return the answer of a model in scikit-learn's manner."""
    model.fit(X, y)
    intercept = float(np.ravel(model.intercept_)[0])
    return Answer(np.ravel(model.coef_), intercept, beta)


def own(X: Any, y: Array, problem: Problem, tol: float) -> Answer:
    """Fit by robustreg."""
    return of_sklearn(RobustRegressor(**problem.params(), scale=1.0, tol=tol), X, y)


def own_mad(X: Any, y: Array, problem: Problem, tol: float) -> Answer:
    """Fit by robustreg, with a scale by MAD."""
    return of_sklearn(RobustRegressor(**problem.params(), tol=tol), X, y)


def huber_regressor(X: Any, y: Array, problem: Problem, tol: float) -> Answer:
    """Fit by HuberRegressor: the same problem at the scale that it finds."""
    model = HuberRegressor(
        epsilon=HUBER_EPSILON,
        alpha=problem.alpha * HUBER_EPSILON * X.shape[0],
        fit_intercept=problem.fit_intercept,
        max_iter=MANY,
        tol=tol,
    )
    answer = of_sklearn(model, X, y)
    return Answer(answer.coef, answer.intercept, HUBER_EPSILON * float(model.scale_))


def quantile_regressor(X: Any, y: Array, problem: Problem, tol: float) -> Answer:
    """Fit by QuantileRegressor, whose loss is half of ours."""
    del tol
    alpha = problem.alpha / 2
    model = QuantileRegressor(alpha=alpha, fit_intercept=problem.fit_intercept)
    return of_sklearn(model, X, y)


def sgd(X: Any, y: Array, problem: Problem, tol: float) -> Answer:
    """Fit by averaged stochastic gradients, longer for a smaller tolerance."""
    losses = {"smooth_l1": "huber", "l1": "epsilon_insensitive", "l2": "squared_error"}
    model = SGDRegressor(
        losses[problem.loss],
        epsilon=problem.beta if problem.loss == "smooth_l1" else 0.0,
        penalty=problem.penalty,
        alpha=problem.alpha * problem.beta if problem.loss != "l1" else problem.alpha,
        fit_intercept=problem.fit_intercept,
        max_iter=max(5, round(5 * (1e-4 / tol) ** 0.33)),
        tol=None,
        average=problem.penalty != "l1",  # averages of truncated steps drift away
        random_state=0,
    )
    return of_sklearn(model, X, y)


def linear_svr(X: Any, y: Array, problem: Problem, tol: float) -> Answer:
    """Fit by LinearSVR without a tube: the absolute loss."""
    cost = 1 / (problem.alpha * X.shape[0])
    model = LinearSVR(C=cost, tol=tol, fit_intercept=False, max_iter=MANY)
    return of_sklearn(model, X, y)


def linear_regression(X: Any, y: Array, problem: Problem, tol: float) -> Answer:
    """Fit least squares."""
    del tol
    return of_sklearn(LinearRegression(fit_intercept=problem.fit_intercept), X, y)


def ridge(X: Any, y: Array, problem: Problem, tol: float) -> Answer:
    """Fit least squares with an l2 penalty."""
    solver = "cholesky" if isinstance(X, np.ndarray) else "sparse_cg"
    model = Ridge(alpha=problem.alpha * X.shape[0], solver=solver, tol=tol)
    return of_sklearn(model.set_params(fit_intercept=problem.fit_intercept), X, y)


def lasso(X: Any, y: Array, problem: Problem, tol: float) -> Answer:
    """Fit least squares with an l1 penalty."""
    model = Lasso(alpha=problem.alpha, tol=tol, max_iter=MANY)
    return of_sklearn(model.set_params(fit_intercept=problem.fit_intercept), X, y)


def statsmodels_quantreg(X: Any, y: Array, problem: Problem, tol: float) -> Answer:
    """Fit by QuantReg: iteratively reweighted least squares."""
    import statsmodels.api as sm

    model = sm.QuantReg(y, sm.add_constant(X))
    params = model.fit(q=problem.quantile, p_tol=tol, max_iter=MANY).params
    return Answer(params[1:], params[0])


def statsmodels_rlm(X: Any, y: Array, problem: Problem, tol: float) -> Answer:
    """Fit by RLM: iteratively reweighted least squares."""
    import statsmodels.api as sm

    norm = sm.robust.norms.HuberT(problem.beta)
    params = sm.RLM(y, sm.add_constant(X), M=norm).fit(tol=tol, maxiter=1000).params
    return Answer(params[1:], params[0])


def skglm_huber(X: Any, y: Array, problem: Problem, tol: float) -> Answer:
    """Fit by skglm's coordinate descent with Anderson's acceleration."""
    from skglm import GeneralizedLinearEstimator
    from skglm.datafits import Huber
    from skglm.penalties import L1
    from skglm.solvers import AndersonCD

    solver = AndersonCD(tol=tol, fit_intercept=problem.fit_intercept, max_iter=1000)
    penalty = L1(problem.alpha * problem.beta)
    return of_sklearn(
        GeneralizedLinearEstimator(Huber(problem.beta), penalty, solver),
        np.asfortranarray(X),
        y,
    )


def skglm_pinball(X: Any, y: Array, problem: Problem, tol: float) -> Answer:
    """Fit by skglm's primal-dual coordinate descent, whose loss is a sum of halves."""
    from skglm.experimental.pdcd_ws import PDCD_WS
    from skglm.experimental.quantile_regression import Pinball
    from skglm.penalties import L1
    from skglm.utils.jit_compilation import compiled_clone

    loss = compiled_clone(Pinball(0.5))
    penalty = compiled_clone(L1(problem.alpha * X.shape[0] / 2))
    solver = PDCD_WS(tol=tol, max_iter=1000)
    return Answer(solver.solve(np.asfortranarray(X), y, loss, penalty)[0])


def rehline(X: Any, y: Array, problem: Problem, tol: float) -> Answer:
    """Fit by ReHLine: coordinate descent on the dual, linear in the rows."""
    from rehline import plqERM_Ridge

    cost = 1 / (problem.alpha * X.shape[0])
    if problem.loss == "l1":
        loss, cost = {"name": "QR", "qt": 0.5}, 2 * cost
    else:
        loss, cost = {"name": "huber", "tau": problem.beta}, cost / problem.beta
    model = plqERM_Ridge(loss, C=cost, tol=tol, max_iter=MANY).fit(X, y)
    return Answer(model.coef_)


def pyfixest(method: str) -> Callable[[Any, Array, Problem, float], Answer]:
    """Return pyfixest's interior point method, or the one that reduces rows first."""

    def run(X: Any, y: Array, problem: Problem, tol: float) -> Answer:
        import pandas as pd
        from pyfixest import quantreg

        names = [f"x{j}" for j in range(X.shape[1])]
        frame = pd.DataFrame(X, columns=names).assign(y=y)
        formula = "y ~ " + " + ".join(names)
        passed, fit = timing.seconds(
            lambda: quantreg(
                formula,
                frame,
                vcov="iid",
                quantile=problem.quantile,
                method=method,
                tol=tol,
                seed=0,
            )
        )
        params = fit.coef().to_numpy()
        return Answer(params[1:], params[0], seconds=passed)

    return run


def in_r(method: str) -> Callable[[Any, Array, Problem, float], Answer]:
    """Return a method of R's, timed by R."""

    def run(X: Any, y: Array, problem: Problem, tol: float) -> Answer:
        script = Path(__file__).parent / "solvers.R"
        with tempfile.TemporaryDirectory() as folder:
            X.T.tofile(f"{folder}/X")
            y.tofile(f"{folder}/y")
            figures = (*X.shape, problem.quantile, problem.beta, problem.alpha, tol)
            command = ["Rscript", str(script), method, folder, *map(repr, figures)]
            done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip()[-300:])
        seconds, intercept, *coef = map(float, done.stdout.split())
        return Answer(np.array(coef), intercept, seconds=seconds)

    return run


LINEAR, NONE = {"l1"}, {None}
STATSMODELS = {"package": "statsmodels", "intercept": {True}}
PYFIXEST = {"package": "pyfixest", "intercept": {True}}
R = {"intercept": {True}}
SOLVERS: dict[str, Solver] = {
    "robustreg": Solver(
        own,
        {"l1", "smooth_l1", "l2"},
        {None, "l1", "l2"},
        "robustreg",
        sparse=True,
    ),
    "robustreg, MAD": Solver(own_mad, {"smooth_l1"}, NONE, "robustreg", scale=True),
    "HuberRegressor": Solver(huber_regressor, {"smooth_l1"}, {"l2"}, sparse=True),
    "QuantileRegressor": Solver(
        quantile_regressor, LINEAR, {None, "l1"}, tolerant=False
    ),
    "SGDRegressor": Solver(sgd, {"l1", "smooth_l1"}, {None, "l1", "l2"}, sparse=True),
    "LinearSVR": Solver(linear_svr, LINEAR, {"l2"}, intercept={False}, sparse=True),
    "LinearRegression": Solver(linear_regression, {"l2"}, NONE, tolerant=False),
    "Ridge": Solver(ridge, {"l2"}, {"l2"}, sparse=True),
    "Lasso": Solver(lasso, {"l2"}, {"l1"}),
    "statsmodels QuantReg": Solver(statsmodels_quantreg, LINEAR, NONE, **STATSMODELS),
    "statsmodels RLM": Solver(
        statsmodels_rlm, {"smooth_l1"}, NONE, scale=True, **STATSMODELS
    ),
    "skglm": Solver(skglm_huber, {"smooth_l1"}, {"l1"}, "skglm"),
    "skglm PDCD": Solver(skglm_pinball, LINEAR, {"l1"}, "skglm", intercept={False}),
    "ReHLine": Solver(
        rehline, {"l1", "smooth_l1"}, {"l2"}, "rehline", intercept={False}
    ),
    "pyfixest fn": Solver(pyfixest("fn"), LINEAR, NONE, **PYFIXEST),
    "pyfixest pfn": Solver(pyfixest("pfn"), LINEAR, NONE, **PYFIXEST),
    "quantreg fn": Solver(in_r("fn"), LINEAR, NONE, "R: quantreg", **R),
    "quantreg pfn": Solver(in_r("pfn"), LINEAR, NONE, "R: quantreg", **R),
    "MASS rlm": Solver(in_r("rlm"), {"smooth_l1"}, NONE, "R: MASS", scale=True, **R),
    "hqreg": Solver(in_r("hqreg"), {"smooth_l1"}, {"l1"}, "R: hqreg", **R),
}
