"""What resistance costs if the errors are clean: efficiencies, computed and simulated.

An efficiency is the variance of least squares over that of the estimator. The computed
one is that of an M-estimate with a known scale and many rows, ``(E loss''(r))^2 var(r)
/ E loss'(r)^2``; the simulated one is of whole fits to few rows, with their own scale.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import harness
import numpy as np
import timing
from numpy.typing import NDArray
from scipy import integrate, optimize, stats
from sklearn.linear_model import HuberRegressor, LinearRegression

from robustreg import L1Regressor, MMRegressor, RobustRegressor
from robustreg.losses import Huber, Loss, make_loss

Array = NDArray[np.float64]

ROWS, COLUMNS, FITS = 100, 5, 400
EPSILON = 1.35
LOSSES = ("l2", "l1", "smooth_l1", "pseudo_huber", "log_cosh", "cauchy", "welsch")
LOSSES += ("tukey", "talwar")
OWN = {f'RobustRegressor("{name}")': name for name in LOSSES}
MM, HUBER = "MMRegressor()", f"scikit-learn's HuberRegressor(epsilon={EPSILON})"
# A process for all; seconds for an estimator.
RUN = timing.Limited(3600.0)
# Where densities are evaluated: densely in the middle, and far into the tails.
GRID = np.sinh(np.linspace(-12.0, 12.0, 1_000_001))


def measure(case: str) -> list[dict[str, Any]]:
    """Return the line of an estimator."""
    row: dict[str, Any] = RUN(line, case)
    return [row]


def assemble(head: str, records: list[harness.Record]) -> None:
    """Write the table."""
    table = harness.markdown(harness.table_rows(records))
    harness.write("efficiency.md", f"{head}\n{table}")


def loss_of(name: str) -> Loss:
    """Return the loss that an estimator ends with, at its default breakpoint."""
    if name == HUBER:
        return Huber(EPSILON * concomitant_scale())
    return make_loss(OWN.get(name, "tukey"), beta=None)


def model_of(name: str) -> Any:
    """Return an estimator."""
    if name == HUBER:
        return HuberRegressor(epsilon=EPSILON, alpha=0.0, max_iter=10_000, tol=1e-8)
    if name == MM:
        return MMRegressor()
    loss = OWN[name]
    return L1Regressor() if loss == "l1" else RobustRegressor(loss)


def concomitant_scale() -> float:
    """Return the scale that HuberRegressor finds for Gaussian errors of deviation 1.

    Its optimality condition is ``E min((r / scale)^2, epsilon^2) = 1``.
    """

    def excess(scale: float) -> float:
        return expected(lambda r: np.minimum((r / scale) ** 2, EPSILON**2)) - 1

    return float(optimize.brentq(excess, 0.1, 2.0))


def expected(function: Callable[[Array], Array]) -> float:
    """Return the expectation of a function of a Gaussian error."""
    return float(integrate.simpson(function(GRID) * stats.norm.pdf(GRID), x=GRID))


def efficiency(loss: Loss, errors: Any) -> float:
    """Return the efficiency at errors with a density, the scale being their MAD.

    The curvature's expectation is ``-E loss'(r) f'(r) / f(r)``, kinks and all.
    """
    scale = float(errors.ppf(0.75) / stats.norm.ppf(0.75))
    slope = loss.gradient(GRID / scale)
    density = errors.pdf(GRID)
    curvature = -integrate.simpson(slope * np.gradient(density, GRID), x=GRID)
    variance = integrate.simpson(slope**2 * density, x=GRID) / curvature**2
    return float(errors.var() / variance)


def line(name: str) -> dict[str, Any]:
    """Return a line of the table."""
    warnings.simplefilter("ignore")
    loss = loss_of(name)
    return {
        "estimator": f"`{name}`",
        "Gaussian": f"{efficiency(loss, stats.norm):.3f}",
        "t(3)": f"{efficiency(loss, stats.t(3)):.2f}",
        f"Gaussian, simulated, {ROWS} x {COLUMNS}": f"{simulated(name):.2f}",
    }


def simulated(name: str) -> float:
    """Return the efficiency of whole fits, the same data for everybody."""
    rng = np.random.default_rng(0)
    model, square, reference = model_of(name), 0.0, 0.0
    for _ in range(FITS):
        X, y = rng.normal(size=(ROWS, COLUMNS)), rng.normal(size=ROWS)
        reference += float((LinearRegression().fit(X, y).coef_ ** 2).sum())
        square += float((model.fit(X, y).coef_ ** 2).sum())
    return reference / square


BENCHMARK = harness.Benchmark(__file__, [*OWN, MM, HUBER], measure, assemble)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
