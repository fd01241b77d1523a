"""Quantiles, M-quantiles and expectiles of one sample whose spread grows.

python docs/pictures/tilted.py
"""

import numpy as np
from style import BLUE, GREEN, INK, VERMILION, panels, save

from robustreg import RobustRegressor

LINES = {
    "l1": ("quantile", BLUE, "-"),
    "smooth_l1": ("M-quantile", GREEN, "-."),
    "l2": ("expectile", VERMILION, "--"),
}


def main() -> None:
    """Draw the rows and three lines, with the share of the rows below each."""
    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(0, 4, size=300))
    y = 1 + x + (0.3 + 0.6 * x) * rng.normal(size=300)
    figure, (ax,) = panels(1, height=3.2)
    ax.scatter(x, y, s=9, color=INK, alpha=0.6, linewidths=0)
    for loss, (name, color, dashes) in LINES.items():
        model = RobustRegressor(loss, quantile=0.9).fit(x[:, None], y)
        line = model.predict(x[:, None])
        share = np.mean(y <= line + 1e-6)
        label = f"{name}: {share:.0%} of the rows below"
        ax.plot(x, line, dashes, color=color, label=label)
    ax.set(xlabel="x", ylabel="y", ylim=(-3.5, 12.5))
    ax.legend(loc="upper left", handlelength=2.6)
    save(figure, __file__)


if __name__ == "__main__":
    main()
