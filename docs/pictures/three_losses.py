"""Value and gradient of squares, absolute values, and smooth L1.

python docs/pictures/three_losses.py
"""

import numpy as np
from style import BLUE, GREEN, VERMILION, panels, save

from robustreg.losses import make_loss

LINES = {
    "l1": ("L1", BLUE, "-", 4),
    "l2": ("L2", VERMILION, "--", 2.2),
    "smooth_l1": ("smooth L1", GREEN, "-.", 2.2),
}
# The middle is nan, so that a jump there is drawn as one.
RESIDUALS = np.sort(np.append(np.linspace(-3, 3, 400), [-1e-9, 1e-9]))
MIDDLE = RESIDUALS.size // 2


def main() -> None:
    """Draw a panel of values and one of gradients."""
    figure, (values, gradients) = panels(2)
    for name, (label, color, dashes, lw) in LINES.items():
        loss = make_loss(name, beta=1.0)
        style = {"color": color, "lw": lw, "label": label}
        values.plot(RESIDUALS, loss.value(RESIDUALS), dashes, **style)
        pulls = np.insert(loss.gradient(RESIDUALS), MIDDLE, np.nan)
        places = np.insert(RESIDUALS, MIDDLE, 0.0)
        gradients.plot(places, pulls, dashes, **style)
    gradients.plot([0, 0], [-1, 1], "o", color=BLUE, mfc="none")
    values.annotate("kink", (0, 0), (0.9, 0.1), va="center")
    gradients.annotate("jump", (0, 1), (-0.25, 1.25), ha="right")
    values.set(title="value", xlabel="residual", ylim=(-0.2, 4.6))
    gradients.set(title="gradient", xlabel="residual")
    values.legend(loc="upper center", handlelength=2.4)
    save(figure, __file__)


if __name__ == "__main__":
    main()
