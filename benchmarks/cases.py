"""The cases of the table of targets: data, contenders, and the ratios to reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from harness import installed
from problems import (
    Array,
    Problem,
    dense,
    few_coefficients,
    one_hot,
    with_dummies,
)
from sklearn.linear_model import (
    HuberRegressor,
    LassoCV,
    QuantileRegressor,
    Ridge,
    lasso_path,
)
from sklearn.model_selection import GridSearchCV
from solvers import Answer, in_r

import robustreg
from robustreg import (
    L1Regressor,
    QuantilesRegressor,
    RobustRegressor,
    RobustRegressorCV,
    SmoothL1Regressor,
)

# Where scikit-learn's loss turns; times its own scale it is our beta.
EPSILON = 1.35


@dataclass(frozen=True)
class Target:
    """A ratio to reach: our time is to be at most ``ratio`` times the peer's."""

    ours: str
    peer: str
    ratio: float
    passes: float = np.inf
    gap: float = 1e-8


@dataclass(frozen=True)
class Contender:
    """Somebody's fit.

    ``problem`` is what it minimises, None if that is another problem than ours or if
    it is only timed. ``slow`` ones are run less often.
    """

    run: Callable[[], Any]
    problem: Problem | None = None
    slow: bool = False


@dataclass(frozen=True)
class Case:
    """Contenders on the same data."""

    X: Any
    y: Array
    contenders: dict[str, Contender]
    targets: list[Target]
    # Whether to measure memory in place of time.
    memory: bool = False


def ridges(X: Array, y: Array, slow: bool = False) -> dict[str, Contender]:
    """Return Ridge in both layouts; the faster counts."""
    fortran = np.asfortranarray(X)

    def run(layout: Array) -> Callable[[], Any]:
        return lambda: Ridge(alpha=1.0, solver="cholesky").fit(layout, y)

    return {
        "Ridge": Contender(run(fortran), slow=slow),
        "Ridge, C order": Contender(run(X), slow=slow),
    }


def ours(estimator: Any, X: Any, y: Array, problem: Problem) -> Contender:
    """Return our fit of a problem."""
    return Contender(lambda: estimator.fit(X, y), problem)


def smooth(rows: int, columns: int, targets: list[Target], huber: bool = False) -> Case:
    """Return smooth_l1 with a slight l2 penalty on dense data."""
    X, y = dense(rows, columns)
    problem = Problem(alpha=1e-6)
    model = SmoothL1Regressor(penalty="l2", alpha=1e-6, tol=1e-8)
    contenders = {"smooth_l1": ours(model, X, y, problem)} | ridges(X, y)
    if huber:
        contenders["HuberRegressor"] = huber_regressor(X, y, problem)
    return Case(X, y, contenders, targets)


def huber_regressor(X: Any, y: Array, problem: Problem) -> Contender:
    """Return HuberRegressor with the same penalty per row; its scale is its own."""
    alpha = problem.alpha * EPSILON * X.shape[0]
    model = HuberRegressor(epsilon=EPSILON, alpha=alpha, max_iter=10_000)
    return Contender(lambda: model.fit(X, y), problem, slow=True)


def smooth_dense() -> Case:
    """1,000,000 x 50."""
    against_ridge = Target("smooth_l1", "Ridge", 0.4, passes=6)
    against_huber = Target("smooth_l1", "HuberRegressor", 0.1)
    return smooth(1_000_000, 50, [against_ridge, against_huber], huber=True)


def smooth_narrow() -> Case:
    """1,000,000 x 5."""
    return smooth(1_000_000, 5, [Target("smooth_l1", "Ridge", 1.2)])


def smooth_wide() -> Case:
    """200,000 x 200."""
    return smooth(200_000, 200, [Target("smooth_l1", "Ridge", 1.0)])


def scale_mad() -> Case:
    """1,000,000 x 50, the scale estimated."""
    X, y = dense(1_000_000, 50)
    own = ours(RobustRegressor(), X, y, Problem(beta=1.345))
    targets = [Target("RobustRegressor()", "Ridge", 2.0)]
    return Case(X, y, {"RobustRegressor()": own} | ridges(X, y), targets)


def medians(X: Array, y: Array, *quantiles: float) -> dict[str, Contender]:
    """Return our exact quantile regressions."""
    return {
        "l1" if q == 0.5 else f"quantile {q}": ours(
            L1Regressor(quantile=q), X, y, Problem("l1", quantile=q)
        )
        for q in quantiles
    }


def quantile_regressor(X: Array, y: Array) -> dict[str, Contender]:
    """Return scikit-learn's exact median regression."""
    model = QuantileRegressor(alpha=0, solver="highs")
    run = Contender(lambda: model.fit(X, y), Problem("l1"), slow=True)
    return {"QuantileRegressor": run}


def l1_dense() -> Case:
    """Median and 90 % quantile, 1,000,000 x 50."""
    X, y = dense(1_000_000, 50)
    contenders = medians(X, y, 0.5, 0.9) | ridges(X, y)
    names = ("l1", "quantile 0.9")
    return Case(X, y, contenders, [Target(n, "Ridge", 1.3, 20) for n in names])


def l1_mid() -> Case:
    """Median, 100,000 x 20."""
    X, y = dense(100_000, 20)

    def pfn() -> Answer:
        if not installed("R: quantreg"):
            raise RuntimeError("R's quantreg is not installed")
        return in_r("pfn")(X, y, problem, 1e-6)

    problem = Problem("l1")
    contenders = medians(X, y, 0.5) | ridges(X, y)
    contenders["quantreg pfn (R)"] = Contender(pfn, problem, slow=True)
    targets = [Target("l1", "Ridge", 5.0), Target("l1", "quantreg pfn (R)", 1.0)]
    return Case(X, y, contenders, targets)


def l1_small_tall() -> Case:
    """Median, 10,000 x 10."""
    X, y = dense(10_000, 10)
    contenders = medians(X, y, 0.5) | quantile_regressor(X, y)
    return Case(X, y, contenders, [Target("l1", "QuantileRegressor", 1 / 100)])


def l1_small() -> Case:
    """Median, 2,000 x 20."""
    X, y = dense(2_000, 20)
    contenders = medians(X, y, 0.5) | quantile_regressor(X, y)
    return Case(X, y, contenders, [Target("l1", "QuantileRegressor", 1 / 20)])


def quantiles(rows: int, columns: int) -> Case:
    """Return the quantiles 0.05, 0.5 and 0.95 together, against single fits."""
    X, y = dense(rows, columns)
    levels = (0.05, 0.5, 0.95)
    together = QuantilesRegressor(levels)
    each = [L1Regressor(quantile=level) for level in levels]
    contenders = {
        "QuantilesRegressor": Contender(lambda: together.fit(X, y)),
        "one by one": Contender(lambda: [model.fit(X, y) for model in each]),
    }
    return Case(X, y, contenders, [Target("QuantilesRegressor", "one by one", 1 / 3)])


def quantiles_small() -> Case:
    """Three quantiles, 500 x 10."""
    return quantiles(500, 10)


def quantiles_mid() -> Case:
    """Three quantiles, 10,000 x 10."""
    return quantiles(10_000, 10)


def quantiles_tall() -> Case:
    """Three quantiles, 300,000 x 10."""
    return quantiles(300_000, 10)


def quantiles_wide() -> Case:
    """Three quantiles, 20,000 x 50."""
    return quantiles(20_000, 50)


def l1_penalised() -> Case:
    """Median with each penalty, alpha 0.01, 100,000 x 50."""
    X, y = dense(100_000, 50)
    contenders, targets = ridges(X, y), []
    for penalty in ("l1", "l2", "elasticnet"):
        problem = Problem("l1", penalty=penalty, alpha=0.01)
        model = L1Regressor(penalty=penalty, alpha=0.01)
        name = f"l1 loss with {penalty} penalty"
        contenders[name] = ours(model, X, y, problem)
        targets.append(Target(name, "Ridge", 8.0))
    return Case(X, y, contenders, targets)


def path(rows: int, columns: int, ratio: float) -> Case:
    """Return 100 alphas down to a twentieth of the largest, against lasso_path."""
    X, y = few_coefficients(rows, columns)
    problem = Problem(penalty="l1")
    centred = np.asfortranarray(X - X.mean(axis=0))
    target = y - y.mean()
    largest = np.abs(centred.T @ target).max() / rows
    alphas = np.geomspace(largest, 0.05 * largest, 100)

    def own() -> Any:
        options = {"loss": "smooth_l1", "beta": 1.0, "penalty": "l1"}
        # The package's own name is looked up when it runs, so that a package without
        # it makes a row that says so.
        return robustreg.robust_path(X, y, **options, n_alphas=100, eps=0.05)

    contenders = {
        "robust_path": Contender(own, problem),
        "lasso_path": Contender(lambda: lasso_path(centred, target, alphas=alphas)),
    }
    return Case(X, y, contenders, [Target("robust_path", "lasso_path", ratio)])


def path_tall() -> Case:
    """100 alphas, 100,000 x 200."""
    return path(100_000, 200, 1.2)


def path_wide() -> Case:
    """100 alphas, 1,000 x 5,000."""
    return path(1_000, 5_000, 2.0)


def ridge_sparse(X: Any, y: Array, alpha: float) -> dict[str, Contender]:
    """Return Ridge by conjugate gradients with the same penalty per row."""
    model = Ridge(alpha=alpha * X.shape[0], solver="sparse_cg")
    return {"Ridge(sparse_cg)": Contender(lambda: model.fit(X, y), slow=True)}


def sparse() -> Case:
    """smooth_l1 with l2, one-hot CSR 300,000 x 26,593."""
    X, y = one_hot()
    problem = Problem(alpha=1e-5)
    contenders = {
        "smooth_l1": ours(SmoothL1Regressor(penalty="l2", alpha=1e-5), X, y, problem),
        "HuberRegressor": huber_regressor(X, y, problem),
    } | ridge_sparse(X, y, 1e-5)
    targets = [
        Target("smooth_l1", "Ridge(sparse_cg)", 0.3),
        Target("smooth_l1", "HuberRegressor", 1 / 40),
    ]
    return Case(X, y, contenders, targets)


def sparse_l1() -> Case:
    """Median and 90 % quantile with l2, the same sparse data."""
    X, y = one_hot()
    contenders, targets = ridge_sparse(X, y, 1e-5), []
    for q, name in ((0.5, "l1"), (0.9, "quantile 0.9")):
        model = L1Regressor(quantile=q, penalty="l2", alpha=1e-5, tol=1e-6)
        problem = Problem("l1", quantile=q, alpha=1e-5)
        contenders[name] = ours(model, X, y, problem)
        targets.append(Target(name, "Ridge(sparse_cg)", 3.0, gap=1e-6))
    return Case(X, y, contenders, targets)


def tiny() -> Case:
    """500 x 10."""
    X, y = dense(500, 10)
    contenders = {
        "smooth_l1": ours(SmoothL1Regressor(), X, y, Problem()),
        "RobustRegressor()": ours(RobustRegressor(), X, y, Problem(beta=1.345)),
        "l1": ours(L1Regressor(), X, y, Problem("l1")),
        "Ridge()": Contender(lambda: Ridge().fit(X, y)),
    }
    limits = {"smooth_l1": 2.0, "RobustRegressor()": 4.0, "l1": 5.0}
    return Case(X, y, contenders, [Target(n, "Ridge()", r) for n, r in limits.items()])


def grid() -> Case:
    """GridSearchCV of 4 losses, 4 betas, 4 alphas, 5 folds, 20,000 x 30."""
    X, y = dense(20_000, 30)
    losses = ["l2", "l1", "smooth_l1", "log_cosh"]
    alphas = [1e-4, 1e-3, 1e-2, 1e-1]
    ours = {"loss": losses, "beta": [0.5, 1.0, 2.0, None]}
    ours |= {"penalty": ["l2"], "alpha": alphas}
    peers = {"alpha": list(np.geomspace(1.0, 1e4, 64))}

    def run(estimator: Any, settings: dict[str, Any]) -> Contender:
        search = GridSearchCV(estimator, settings, cv=5, refit=False)
        return Contender(lambda: search.fit(X, y), slow=True)

    contenders = {
        "grid of SmoothL1Regressor": run(SmoothL1Regressor(), ours),
        "grid of RobustRegressor": run(RobustRegressor(), ours),
        "grid of Ridge": run(Ridge(), peers),
    }
    names = list(contenders)[:2]
    return Case(X, y, contenders, [Target(n, "grid of Ridge", 3.0) for n in names])


def choosing() -> Case:
    """The same 64 candidates and 5 folds, chosen by RobustRegressorCV."""
    X, y = dense(20_000, 30)
    settings: dict[str, Any] = {
        "loss": ["l2", "l1", "smooth_l1", "log_cosh"],
        "beta": [0.5, 1.0, 2.0, None],
        "penalty": "l2",
        "alphas": [1e-4, 1e-3, 1e-2, 1e-1],
    }
    ridge = GridSearchCV(Ridge(), {"alpha": list(np.geomspace(1.0, 1e4, 64))}, cv=5)
    contenders = {
        "GridSearchCV of Ridge": Contender(lambda: ridge.fit(X, y), slow=True)
    }
    targets = []
    for scale in (1.0, "mad"):
        name = f"RobustRegressorCV at scale {scale!r}"
        grid = GridSearchCV(RobustRegressor(scale=scale), _grid(settings), cv=5)
        chooser = RobustRegressorCV(**settings, scale=scale)
        contenders[name] = Contender(partial(chooser.fit, X, y), slow=True)
        contenders[f"GridSearchCV at scale {scale!r}"] = Contender(
            partial(grid.fit, X, y), slow=True
        )
        targets += [
            Target(name, "GridSearchCV of Ridge", 1.5),
            Target(name, f"GridSearchCV at scale {scale!r}", 0.2),
        ]
    return Case(X, y, contenders, targets)


def _grid(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the grid of the candidates of a choice."""
    alphas = {"alpha": settings["alphas"], "penalty": [settings["penalty"]]}
    return {name: settings[name] for name in ("loss", "beta")} | alphas


def choosing_dummies() -> Case:
    """24 alphas and 5 folds, 10,000 x 43 with 34 dummy columns."""
    X, y = with_dummies(10_000, 9, 34)
    ridge = GridSearchCV(Ridge(), {"alpha": list(np.geomspace(1.0, 1e4, 24))}, cv=5)
    peer = "GridSearchCV of Ridge"
    contenders = {peer: Contender(lambda: ridge.fit(X, y), slow=True)}
    for penalty in ("l1", "l2"):
        chooser = RobustRegressorCV(penalty=penalty, alphas=24)
        name = f"RobustRegressorCV with {penalty}"
        contenders[name] = Contender(partial(chooser.fit, X, y), slow=True)
    targets = [Target(name, peer, 1.5) for name in list(contenders)[1:]]
    return Case(X, y, contenders, targets)


def choosing_alphas() -> Case:
    """100 alphas and 5 folds, 20,000 x 100, beside LassoCV."""
    X, y = dense(20_000, 100)
    lasso, chooser = LassoCV(cv=5), RobustRegressorCV(alphas=100)
    contenders = {
        "LassoCV": Contender(lambda: lasso.fit(X, y), slow=True),
        "RobustRegressorCV": Contender(lambda: chooser.fit(X, y), slow=True),
    }
    return Case(X, y, contenders, [Target("RobustRegressorCV", "LassoCV", 2.0)])


def float32() -> Case:
    """1,000,000 x 50, single precision against double."""
    X, y = dense(1_000_000, 50)
    single = X.astype(np.float32), y.astype(np.float32)
    problem = Problem(alpha=1e-6)
    contenders = {
        "float32": ours(
            SmoothL1Regressor(penalty="l2", alpha=1e-6, tol=1e-8), *single, problem
        ),
        "float64": ours(
            SmoothL1Regressor(penalty="l2", alpha=1e-6, tol=1e-8), X, y, problem
        ),
    }
    return Case(X, y, contenders, [Target("float32", "float64", 0.6)])


def memory() -> Case:
    """1,000,000 x 50, the largest memory beyond X and y."""
    X, y = dense(1_000_000, 50)
    smooth_l1 = ours(
        SmoothL1Regressor(penalty="l2", alpha=1e-6), X, y, Problem(alpha=1e-6)
    )
    ridge = Contender(lambda: Ridge(alpha=1.0, solver="cholesky").fit(X, y))
    contenders = {"smooth_l1": smooth_l1} | medians(X, y, 0.5) | {"Ridge": ridge}
    targets = [Target(name, "bytes of X", 0.2) for name in ("smooth_l1", "l1")]
    return Case(X, y, contenders, targets, memory=True)


CASES: dict[str, Callable[[], Case]] = {
    "smooth-dense": smooth_dense,
    "smooth-narrow": smooth_narrow,
    "smooth-wide": smooth_wide,
    "scale-mad": scale_mad,
    "l1-dense": l1_dense,
    "l1-mid": l1_mid,
    "l1-small (10,000 x 10)": l1_small_tall,
    "l1-small (2,000 x 20)": l1_small,
    "quantiles-small": quantiles_small,
    "quantiles-mid": quantiles_mid,
    "quantiles-tall": quantiles_tall,
    "quantiles-wide": quantiles_wide,
    "l1-penalised": l1_penalised,
    "path-tall": path_tall,
    "path-wide": path_wide,
    "sparse": sparse,
    "sparse-l1": sparse_l1,
    "tiny": tiny,
    "grid": grid,
    "choosing": choosing,
    "choosing-dummies": choosing_dummies,
    "choosing-alphas": choosing_alphas,
    "float32": float32,
    "memory": memory,
}
