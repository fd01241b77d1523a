"""The figures of the README's comparison with other packages.

Writes the rows of its table into it. Run it from the project root::

    pip install ".[bench]"
    python benchmarks/comparison.py
"""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable
from typing import Any

import harness
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
RUNS = 3
# Seconds for everything.
LIMIT = 900.0


def main() -> None:
    """Write the table."""
    run = harness.Limited(LIMIT)
    rows = [
        {"": what, "robustreg": own, "peer": peer} for what, own, peer in run(figures)
    ]
    run.close()
    names = ("scikit-learn", "statsmodels")
    packages = [f"{name} {harness.installed(name)}" for name in names]
    version = ".".join(platform.python_version_tuple()[:2])
    said = f"With {', '.join(packages)} and Python {version}:\n\n"
    table = said + harness.markdown(rows)
    harness.write("comparison.md", table)
    harness.splice("comparison", table)
    print(table)


def figures() -> list[tuple[str, str, str]]:
    """Return what is compared, our figure and the peers'."""
    warnings.simplefilter("ignore")
    robust, l1 = RobustRegressor(), L1Regressor()
    rows = [
        (
            "checks of `check_estimator` that fail",
            named(robust, failed_checks(robust)),
            named(HUBER, failed_checks(HUBER)),
        ),
        (
            "coefficients move if every column grows by 1000",
            named(robust, change(robust, offset=1000)),
            named(HUBER, change(HUBER, offset=1000)),
        ),
        (
            "coefficients move if y is in units of 1e-9",
            named(l1, change(l1, unit=1e-9)),
            named(MEDIAN, change(MEDIAN, unit=1e-9)),
        ),
        (
            "`scale_` of Gaussian errors with standard deviation 1",
            named(robust, f"{gaussian_scale(robust):.2g}"),
            named(HUBER, f"{gaussian_scale(HUBER):.2g}"),
        ),
        (
            "difference from `RLM` (Huber, MAD, tight tolerance)",
            named(robust, f"{difference_from_rlm():.2g}"),
            "",
        ),
    ]
    medians = {"statsmodels `QuantReg`": quantreg}
    for n in (500, 10_000):
        rows.append(times(f"median, {n:,} x 10", n, 10, [l1], [MEDIAN], medians))
    smooth = [SmoothL1Regressor(), robust]
    for n, p in ((500, 10), (200_000, 50)):
        what = f"Huber, {n:,} x {p}"
        rows.append(times(what, n, p, smooth, [HUBER, Ridge()], {"`RLM`": rlm}))
    return rows


def named(model: BaseEstimator, figure: str) -> str:
    """Return a figure and whose it is."""
    return f"`{type(model).__name__}` {figure}"


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


def change(model: BaseEstimator, offset: float = 0.0, unit: float = 1.0) -> str:
    """Return how far coefficients move when they should not, and whether it is said.

    An offset of the columns belongs in the intercept; a unit of y, in the coefficients.
    """
    X, y = data(300, 5)
    reference = clone(model).fit(X, y).coef_
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        moved = clone(model).fit(X + offset, unit * y).coef_ / unit
    far = float(np.abs(moved - reference).max())
    silent = far > 1e-3 * np.abs(reference).max() and not caught
    return f"{far:.2g}{', no warning' if silent else ''}"


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


def times(
    what: str,
    n: int,
    p: int,
    ours: list[BaseEstimator],
    peers: list[BaseEstimator],
    others: dict[str, Callable[[Array, Array], Any]],
) -> tuple[str, str, str]:
    """Return a row of the shortest times of three, in seconds."""
    X, y = data(n, p)
    own = [named(model, seconds(model.fit, X, y)) for model in ours]
    peer = [named(model, seconds(model.fit, X, y)) for model in peers]
    peer += [f"{name} {seconds(fit, X, y)}" for name, fit in others.items()]
    return f"{what}, seconds", ", ".join(own), ", ".join(peer)


def seconds(fit: Callable[[Array, Array], Any], X: Array, y: Array) -> str:
    """Return the shortest time of some fits, the processor's."""
    return f"{min(harness.seconds(lambda: fit(X, y))[0] for _ in range(RUNS)):.2g}"


def quantreg(X: Array, y: Array) -> None:
    """Fit a median regression by statsmodels."""
    sm.QuantReg(y, sm.add_constant(X)).fit(q=0.5)


def rlm(X: Array, y: Array) -> None:
    """Fit Huber's loss with a scale by MAD by statsmodels."""
    sm.RLM(y, sm.add_constant(X), M=sm.robust.norms.HuberT(1.345)).fit()


if __name__ == "__main__":
    main()
