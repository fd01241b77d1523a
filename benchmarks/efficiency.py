"""What resistance costs if the errors are clean: efficiencies, computed and simulated.

::

    python benchmarks/efficiency.py               # the table; a few minutes
    python benchmarks/efficiency.py --fits 100    # a rougher one

An efficiency is the variance of least squares over that of the estimator. The computed
one is that of an M-estimate with a known scale and many rows, ``(E loss''(r))^2 var(r)
/ E loss'(r)^2``; the simulated one is of whole fits to few rows, with their own scale.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable
from typing import Any

import harness
import numpy as np
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
# Where densities are evaluated: densely in the middle, and far into the tails.
GRID = np.sinh(np.linspace(-12.0, 12.0, 1_000_001))


def main() -> None:
    """Compute, simulate, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=FITS, help="simulated fits")
    options = parser.parse_args()
    os.environ.update(dict.fromkeys(harness.THREADS, "1"))
    warnings.simplefilter("ignore")
    simulated = simulate(options.fits)
    rows = [row(name, loss, simulated[name]) for name, loss in losses().items()]
    text = f"{harness.machine()}.\n\n{harness.markdown(rows)}"
    harness.write("efficiency.md", text)
    print(text)


def losses() -> dict[str, Loss]:
    """Return the loss that each estimator ends with, at its default breakpoint."""
    own = {f'RobustRegressor("{n}")': make_loss(n, beta=None) for n in LOSSES}
    beta = EPSILON * concomitant_scale()
    return own | {
        "MMRegressor()": make_loss("tukey", beta=None),
        f"scikit-learn's HuberRegressor(epsilon={EPSILON})": Huber(beta),
    }


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


def row(name: str, loss: Loss, simulated: float) -> dict[str, Any]:
    """Return a line of the table."""
    return {
        "estimator": f"`{name}`",
        "Gaussian": f"{efficiency(loss, stats.norm):.3f}",
        "t(3)": f"{efficiency(loss, stats.t(3)):.2f}",
        f"Gaussian, simulated, {ROWS} x {COLUMNS}": f"{simulated:.2f}",
    }


def simulate(fits: int) -> dict[str, float]:
    """Return the efficiencies of whole fits, the same data for everybody."""
    models = {f'RobustRegressor("{name}")': RobustRegressor(name) for name in LOSSES}
    models['RobustRegressor("l1")'] = L1Regressor()
    models["MMRegressor()"] = MMRegressor()
    huber = HuberRegressor(epsilon=EPSILON, alpha=0.0, max_iter=10_000, tol=1e-8)
    models[f"scikit-learn's HuberRegressor(epsilon={EPSILON})"] = huber
    rng = np.random.default_rng(0)
    squares = dict.fromkeys(models, 0.0)
    reference = 0.0
    for _ in range(fits):
        X, y = rng.normal(size=(ROWS, COLUMNS)), rng.normal(size=ROWS)
        reference += float((LinearRegression().fit(X, y).coef_ ** 2).sum())
        for name, model in models.items():
            squares[name] += float((model.fit(X, y).coef_ ** 2).sum())
    return {name: reference / squares[name] for name in models}


if __name__ == "__main__":
    main()
