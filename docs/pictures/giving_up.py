"""How hard rows pull, and what rows that are wrong in X do to a slope.

python docs/pictures/giving_up.py
"""

import numpy as np
from style import BLUE, GREEN, PURPLE, VERMILION, panels, save

from robustreg import L1Regressor, MMRegressor, RobustRegressor
from robustreg.losses import make_loss

PULLS = {
    "smooth_l1": (1.345, GREEN, "-."),
    "cauchy": (2.385, PURPLE, ":"),
    "tukey": (4.685, BLUE, "-"),
}
FITS = {
    "L2": (RobustRegressor("l2"), VERMILION, "--"),
    "L1": (L1Regressor(), GREEN, "-."),
    "tukey": (RobustRegressor("tukey"), PURPLE, ":"),
    "MM": (MMRegressor(random_state=0), BLUE, "-"),
}
SHARES = np.linspace(0, 0.5, 11)


def slopes(model: RobustRegressor | MMRegressor) -> list[float]:
    """Return the slope for each share of rows that are far out in X."""
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 200))
    found = []
    for share in SHARES:
        bad = np.arange(200) < round(share * 200)
        X, y = (x + 8 * bad)[:, None], np.where(bad, -8, x) + 0.3 * noise
        found.append(model.fit(X, y).coef_[0])
    return found


def main() -> None:
    """Draw a panel of gradients and one of slopes."""
    figure, (gradients, lines) = panels(2, height=3.1)
    residuals = np.linspace(0, 8, 300)
    for name, (beta, color, dashes) in PULLS.items():
        pull = make_loss(name, beta=beta).gradient(residuals)
        gradients.plot(residuals, pull, dashes, color=color, label=name)
    for name, (model, color, dashes) in FITS.items():
        lines.plot(100 * SHARES, slopes(model), dashes, color=color, label=name)
    gradients.set(title="pull of a row", xlabel="residual, in scales")
    lines.set(title="slope of the fit", xlabel="rows wrong in X, %")
    gradients.set_ylim(-0.05, 2.4)
    gradients.legend(loc="upper right", handlelength=2.6)
    lines.legend(handlelength=2.6)
    save(figure, __file__)


if __name__ == "__main__":
    main()
