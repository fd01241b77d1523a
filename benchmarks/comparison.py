"""What a fit may get wrong: ours beside those of other packages."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import harness
import numpy as np
import statsmodels.api as sm
import timing
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import HuberRegressor, QuantileRegressor, Ridge
from sklearn.utils.estimator_checks import check_estimator

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor

Array = NDArray[np.float64]

HUBER = HuberRegressor(alpha=0, max_iter=10_000)
MEDIAN = QuantileRegressor(alpha=0)
RUNS = 3
# A process for all; seconds for a case.
RUN = timing.Limited(600.0)


def assemble(head: str, records: list[harness.Record]) -> None:
    """Write the table."""
    table = harness.markdown(harness.table_rows(records))
    harness.write("comparison.md", f"{head}\n{table}")


def measure_apart(case: str) -> list[dict[str, Any]]:
    """Return what is compared, our figure and the peers'."""
    own, peer = RUN(CASES[case])
    return [{"": case, "robustreg": own, "peer": peer}]


def checks() -> tuple[str, str]:
    """Return how many checks of an estimator fail."""
    return beside(failed_checks, RobustRegressor(), HUBER)


def offset() -> tuple[str, str]:
    """Return how far coefficients move with an offset of the columns."""
    return beside(partial(change, offset=1000), RobustRegressor(), HUBER)


def unit() -> tuple[str, str]:
    """Return how far coefficients move with the unit of y."""
    return beside(partial(change, unit=1e-9), L1Regressor(), MEDIAN)


def scale() -> tuple[str, str]:
    """Return the scales of Gaussian residuals."""
    return beside(gaussian_scale, RobustRegressor(), HUBER)


def rlm_difference() -> tuple[str, str]:
    """Return how far our fit is from statsmodels'."""
    return named(RobustRegressor(), f"{difference_from_rlm():.2g}"), ""


def median_times(n: int) -> tuple[str, str]:
    """Return the times of median regressions of 10 columns."""
    return times(n, 10, [L1Regressor()], [MEDIAN], {"statsmodels `QuantReg`": quantreg})


def huber_times(n: int, p: int) -> tuple[str, str]:
    """Return the times of fits with Huber's loss."""
    ours = [SmoothL1Regressor(), RobustRegressor()]
    return times(n, p, ours, [HUBER, Ridge()], {"`RLM`": rlm})


CASES: dict[str, Callable[[], tuple[str, str]]] = {
    "checks of `check_estimator` that fail": checks,
    "coefficients move if every column grows by 1000": offset,
    "coefficients move if y is in units of 1e-9": unit,
    "`scale_` of Gaussian errors with standard deviation 1": scale,
    "difference from `RLM` (Huber, MAD, tight tolerance)": rlm_difference,
    "median, 500 x 10, seconds": partial(median_times, 500),
    "median, 10,000 x 10, seconds": partial(median_times, 10_000),
    "Huber, 500 x 10, seconds": partial(huber_times, 500, 10),
    "Huber, 200,000 x 50, seconds": partial(huber_times, 200_000, 50),
}


def beside(
    figure: Callable[[Any], str], own: BaseEstimator, peer: BaseEstimator
) -> tuple[str, str]:
    """Return our figure and a peer's."""
    warnings.simplefilter("ignore")
    return named(own, figure(own)), named(peer, figure(peer))


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


def gaussian_scale(model: BaseEstimator) -> str:
    """Return the scale of clean Gaussian residuals of standard deviation 1."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50_000, 2))
    return f"{model.fit(X, X @ [1.0, 2.0] + rng.normal(size=len(X))).scale_:.2g}"


def difference_from_rlm() -> float:
    """Return how far the fit is from statsmodels' at a tight tolerance."""
    X, y = data(300, 5)
    norm = sm.robust.norms.HuberT(1.345)
    peer = sm.RLM(y, sm.add_constant(X), M=norm).fit(tol=1e-14, maxiter=1000)
    own = RobustRegressor().fit(X, y)
    difference = np.append(peer.params[1:] - own.coef_, peer.scale - own.scale_)
    return float(np.abs(difference).max())


def times(
    n: int,
    p: int,
    ours: list[BaseEstimator],
    peers: list[BaseEstimator],
    others: dict[str, Callable[[Array, Array], Any]],
) -> tuple[str, str]:
    """Return the shortest times of three, in seconds."""
    warnings.simplefilter("ignore")
    X, y = data(n, p)
    own = [named(model, seconds(model.fit, X, y)) for model in ours]
    peer = [named(model, seconds(model.fit, X, y)) for model in peers]
    peer += [f"{name} {seconds(fit, X, y)}" for name, fit in others.items()]
    return ", ".join(own), ", ".join(peer)


def seconds(fit: Callable[[Array, Array], Any], X: Array, y: Array) -> str:
    """Return the shortest time of some fits, the processor's."""
    return f"{min(timing.seconds(lambda: fit(X, y))[0] for _ in range(RUNS)):.2g}"


def quantreg(X: Array, y: Array) -> None:
    """Fit a median regression by statsmodels."""
    sm.QuantReg(y, sm.add_constant(X)).fit(q=0.5)


def rlm(X: Array, y: Array) -> None:
    """Fit Huber's loss with a scale by MAD by statsmodels."""
    sm.RLM(y, sm.add_constant(X), M=sm.robust.norms.HuberT(1.345)).fit()


BENCHMARK = harness.Benchmark(
    __file__, list(CASES), measure_apart, assemble, peers=["statsmodels"]
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
