"""Lines of two quantiles, and the margin that rows which were not fitted ask for.

python docs/pictures/conformal.py
"""

import numpy as np
from style import BLUE, INK, VERMILION, panels, save

from robustreg import QuantilesRegressor


def sample(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows that no line describes."""
    x = np.sort(rng.uniform(0, 4, size=n))
    return x[:, None], np.sin(x) + 0.3 * (1 + x) * rng.normal(size=n)


def main() -> None:
    """Draw new rows, and the interval before and after it was widened."""
    rng = np.random.default_rng(5)
    (X, y), (X_held, y_held), (X_new, y_new) = (sample(rng, n) for n in (60, 200, 400))
    model = QuantilesRegressor((0.05, 0.95)).fit(X, y)
    low, high = model.predict(X_held).T
    outside = np.maximum(low - y_held, y_held - high)
    margin = np.sort(outside)[int(np.ceil(0.9 * 201)) - 1]
    low, high = model.predict(X_new).T
    figure, (ax,) = panels(1, height=3.2)
    ax.scatter(X_new, y_new, s=9, color=INK, alpha=0.7, linewidths=0)
    for name, extra, color, dashes in (
        ("as fitted", 0.0, VERMILION, "--"),
        ("widened", margin, BLUE, "-"),
    ):
        held = np.mean((low - extra <= y_new) & (y_new <= high + extra))
        label = f"{name}: {held:.0%} of new rows"
        ax.plot(X_new, low - extra, dashes, color=color, label=label)
        ax.plot(X_new, high + extra, dashes, color=color)
    ax.set(xlabel="x", ylabel="y", ylim=(-4, 6.5))
    ax.legend(loc="upper left", handlelength=2.4)
    save(figure, __file__)


if __name__ == "__main__":
    main()
