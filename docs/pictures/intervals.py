"""The interval of what is fitted, and that of a new row.

python docs/pictures/intervals.py
"""

import numpy as np
from style import BLUE, INK, VERMILION, panels, save

from robustreg import RobustRegressor
from robustreg.inference import predict_table


def main() -> None:
    """Draw rows, the fit, and both intervals."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 10, size=60)
    y = 1 + 0.6 * x + rng.normal(size=60)
    y[:3] += [6, 7, 5]
    model = RobustRegressor().fit(x[:, None], y)
    grid = np.linspace(-2, 12, 100)
    table = predict_table(model, x[:, None], y, grid[:, None])
    figure, (ax,) = panels(1, height=3.2)
    ax.scatter(x, y, s=14, color=INK)
    ax.plot(grid, table["prediction"], color=BLUE)
    ax.fill_between(grid, table["lower"], table["upper"], color=BLUE, alpha=0.35, lw=0)
    ax.plot(grid, table[["obs_lower", "obs_upper"]], "--", color=VERMILION)
    ax.text(
        12, table["obs_upper"].iloc[-1] + 0.5, "a new row", color=VERMILION, ha="right"
    )
    ax.text(12, table["prediction"].iloc[-1] - 2.2, "the fit", color=BLUE, ha="right")
    ax.set(xlabel="x", ylabel="y")
    save(figure, __file__)


if __name__ == "__main__":
    main()
