"""The objective of all rows, that of a sample, and the sample's when it is tilted.

python docs/pictures/tilted_sample.py
"""

import numpy as np
from style import BLUE, INK, VERMILION, panels, save

from robustreg import SmoothL1Regressor
from robustreg.losses import SmoothL1

LOSS = SmoothL1(1.0)
CONSTANTS = np.linspace(-1.2, 1.2, 400)
SAMPLE = 15


def objective(y: np.ndarray, constants: np.ndarray) -> np.ndarray:
    """Return the mean loss of the rows at each constant."""
    return np.array([LOSS.value(y - constant).mean() for constant in constants])


def best(y: np.ndarray) -> float:
    """Return the constant with the smallest mean loss."""
    return SmoothL1Regressor(LOSS).fit(np.zeros((y.size, 1)), y).intercept_


def main() -> None:
    """Draw the three, each with its minimum."""
    y = np.random.default_rng(7).standard_t(3, size=20_000)
    some = y[:SAMPLE]
    start = best(some)
    gradient = -LOSS.gradient(y - start).mean()
    tilted = objective(some, CONSTANTS) + gradient * (CONSTANTS - start)
    curves = {
        "all rows": (objective(y, CONSTANTS), INK, "-"),
        "a sample": (objective(some, CONSTANTS), VERMILION, "--"),
        "the sample, tilted": (tilted, BLUE, "-."),
    }
    figure, (ax,) = panels(1, height=3.2)
    for name, (curve, color, dashes) in curves.items():
        ax.plot(CONSTANTS, curve - curve.min(), dashes, color=color, label=name)
        ax.plot(CONSTANTS[curve.argmin()], 0, "o", color=color)
    ax.set(xlabel="coefficient", ylabel="above the minimum", ylim=(-0.02, 0.5))
    ax.legend(loc="upper center", handlelength=2.6)
    save(figure, __file__)


if __name__ == "__main__":
    main()
