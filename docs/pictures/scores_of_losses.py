"""Which alpha and loss two scores choose, where a tenth of the targets is wrong.

python docs/pictures/scores_of_losses.py
"""

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler
from style import BLUE, VERMILION, panels, save

from robustreg import RobustRegressorCV

SCORES = {
    "root mean square": "neg_root_mean_squared_error",
    "tau-scale": None,
}
LOSSES = {"l2": (VERMILION, "--"), "tukey": (BLUE, "-")}


def main() -> None:
    """Draw a panel for each score."""
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    y[::10] += 1000
    alphas = np.geomspace(1, 1e-3, 20)
    figure, axes = panels(2)
    for ax, (title, scoring) in zip(axes, SCORES.items(), strict=True):
        search = RobustRegressorCV([*LOSSES], alphas=alphas, scoring=scoring).fit(X, y)
        found = search.cv_results_
        for loss, (color, dashes) in LOSSES.items():
            rows = np.flatnonzero(found["param_loss"] == loss)
            errors = -found["mean_test_score"][rows]
            places = found["param_alpha"][rows].astype(float)
            ax.semilogx(places, errors, dashes, color=color, label=loss)
        ax.plot(
            search.alpha_,
            -search.best_score_,
            "o",
            ms=8,
            mfc="none",
            color=LOSSES[search.loss_][0],
        )
        ax.set(title=title, xlabel="alpha")
    axes[0].legend(handlelength=2.4)
    axes[0].set_ylabel("error in cross-validation")
    save(figure, __file__)


if __name__ == "__main__":
    main()
