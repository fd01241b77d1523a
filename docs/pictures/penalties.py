"""Coefficients of two columns that say nearly the same, against alpha.

python docs/pictures/penalties.py
"""

import numpy as np
from style import BLUE, INK, VERMILION, panels, save

from robustreg import robust_path

ALPHAS = np.geomspace(3, 0.003, 60)
TITLES = {"l1": "L1 penalty", "elasticnet": "elastic net", "l2": "L2 penalty"}


def main() -> None:
    """Draw a panel for each penalty."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(200, 5))
    X[:, 1] = X[:, 0] + 0.15 * X[:, 1]
    y = 1.2 * X[:, 0] + 0.8 * X[:, 1] + rng.standard_t(2, size=200)
    figure, axes = panels(3, sharey=True)
    for ax, (penalty, title) in zip(axes, TITLES.items(), strict=True):
        path = robust_path(X, y, penalty=penalty, alphas=ALPHAS)
        ax.semilogx(path.alphas, path.coefs[2:].T, color=INK, lw=1)
        ax.semilogx(path.alphas, path.coefs[0], "-", color=BLUE)
        ax.semilogx(path.alphas, path.coefs[1], "--", color=VERMILION)
        ax.set(title=title, xlabel="alpha", xticks=[0.01, 0.1, 1])
        ax.minorticks_off()
    axes[0].set_ylabel("coefficient")
    save(figure, __file__)


if __name__ == "__main__":
    main()
