"""Where beta lies at each of three scales, among residuals with a tail to one side.

python docs/pictures/scales.py
"""

import numpy as np
from style import BLUE, GREEN, INK, VERMILION, panels, save

from robustreg import RobustRegressor, SmoothL1Regressor

FITS = {
    "scale=1.0": (SmoothL1Regressor(beta=1.345), VERMILION, "--"),
    'scale="mad"': (RobustRegressor(), BLUE, "-"),
    'scale="proposal2"': (RobustRegressor(scale="proposal2"), GREEN, "-."),
}


def main() -> None:
    """Draw the rows, and where they count as squares in each fit."""
    rng = np.random.default_rng(0)
    y = 2.5 * rng.normal(size=600)
    y[:150] += rng.gamma(3.0, 4.0, size=150)
    nothing = np.zeros((600, 1))
    figure, (ax,) = panels(1, height=3.2)
    ax.hist(y, bins=np.arange(-8, 26, 0.75), color=INK, alpha=0.4)
    for height, (name, (model, color, dashes)) in zip(
        (-8, -17, -26), FITS.items(), strict=True
    ):
        model.fit(nothing, y)
        reach = 1.345 * model.scale_
        ends = model.intercept_ + reach * np.array([-1, 1])
        ax.plot(ends, [height, height], dashes, color=color, marker="|", ms=9)
        ax.plot(model.intercept_, height, "o", color=color, ms=5)
        ax.text(10, height, f"{name}: s = {model.scale_:.2f}", va="center")
    ax.set(xlabel="y", yticks=[], ylim=(-32, None))
    ax.spines["left"].set_visible(False)
    save(figure, __file__)


if __name__ == "__main__":
    main()
