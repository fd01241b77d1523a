"""The figures of the README's comparison with other packages.

Prints the rows of its table, in Markdown. Run it from the project root::

    pip install ".[test]"
    OPENBLAS_NUM_THREADS=1 python benchmarks/peers.py
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import statsmodels.api as sm
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import HuberRegressor, QuantileRegressor, Ridge
from sklearn.utils.estimator_checks import check_estimator

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor

Array = NDArray[np.float64]

HUBER = HuberRegressor(alpha=0, max_iter=10_000)
MEDIAN = QuantileRegressor(alpha=0)


def main() -> None:
    """Print the rows."""
    warnings.simplefilter("ignore")
    row("checks failed by RobustRegressor", failed_checks(RobustRegressor()))
    row("checks failed by HuberRegressor", failed_checks(HuberRegressor()))
    row("columns + 1000, RobustRegressor", change(RobustRegressor(), offset=1000))
    row("columns + 1000, HuberRegressor", change(HUBER, offset=1000))
    row("y in units of 1e-9, L1Regressor", change(L1Regressor(), unit=1e-9))
    row("y in units of 1e-9, QuantileRegressor", change(MEDIAN, unit=1e-9))
    row("scale of N(0, 1), RobustRegressor", gaussian_scale(RobustRegressor()))
    row("scale of N(0, 1), HuberRegressor", gaussian_scale(HUBER))
    row("RobustRegressor minus RLM", difference_from_rlm())
    for n in (500, 10_000):
        print_seconds(n, 10, [L1Regressor().fit, MEDIAN.fit, quantreg])
    for n, p in ((500, 10), (200_000, 50)):
        smooth = [SmoothL1Regressor().fit, RobustRegressor().fit, HUBER.fit]
        print_seconds(n, p, [*smooth, rlm, Ridge().fit])


def row(what: str, figure: float | str) -> None:
    """Print a row of the table."""
    text = f"{figure:.2g}" if isinstance(figure, float) else figure
    print(f"| {what} | {text} |")


def failed_checks(model: BaseEstimator) -> str:
    """Return how many of scikit-learn's checks of an estimator fail."""
    results = check_estimator(model, on_fail=None)
    failed = sum(result["status"] == "failed" for result in results)
    return f"{failed} of {len(results)}"


def data(n: int, p: int) -> tuple[Array, Array]:
    """Return Gaussian columns and targets with heavy-tailed errors."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p))
    return X, X @ np.arange(1.0, p + 1) + rng.standard_t(2, size=n)


def change(model: BaseEstimator, offset: float = 0.0, unit: float = 1.0) -> float:
    """Return how far coefficients move when they should not.

    An offset of the columns belongs in the intercept; a unit of y, in the coefficients.
    """
    X, y = data(300, 5)
    reference = clone(model).fit(X, y).coef_
    moved = clone(model).fit(X + offset, unit * y).coef_ / unit
    return float(np.abs(moved - reference).max())


def gaussian_scale(model: BaseEstimator) -> float:
    """Return the scale of clean Gaussian residuals of standard deviation 1."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50_000, 2))
    return float(model.fit(X, X @ [1.0, 2.0] + rng.normal(size=len(X))).scale_)


def difference_from_rlm() -> float:
    """Return how far the fit is from statsmodels' at a tight tolerance."""
    X, y = data(300, 5)
    norm = sm.robust.norms.HuberT(1.345)
    peer = sm.RLM(y, sm.add_constant(X), M=norm).fit(tol=1e-14, maxiter=1000)
    own = RobustRegressor().fit(X, y)
    difference = np.append(peer.params[1:] - own.coef_, peer.scale - own.scale_)
    return float(np.abs(difference).max())


def print_seconds(n: int, p: int, fits: list[Callable[[Array, Array], Any]]) -> None:
    """Print the time of each fit, the shortest of three.

    The processor's, not the wall clock's: the same with one thread on an idle machine,
    and all but the same on a busy one.
    """
    X, y = data(n, p)
    for fit in fits:
        times = []
        for _ in range(3):
            start = time.process_time()
            fit(X, y)
            times.append(time.process_time() - start)
        owner = getattr(fit, "__self__", None)
        name = type(owner).__name__ if owner is not None else fit.__name__
        row(f"seconds, {n:,} x {p}, {name}", min(times))


def quantreg(X: Array, y: Array) -> None:
    """Fit a median regression by statsmodels."""
    sm.QuantReg(y, sm.add_constant(X)).fit(q=0.5)


def rlm(X: Array, y: Array) -> None:
    """Fit Huber's loss with a scale by MAD by statsmodels."""
    sm.RLM(y, sm.add_constant(X), M=sm.robust.norms.HuberT(1.345)).fit()


if __name__ == "__main__":
    main()
