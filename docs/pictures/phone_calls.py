"""The picture of the landing page, light and dark.

International phone calls from Belgium, in tens of millions [1]_. From 1964 to 1969, and
in parts of 1963 and 1970, another recording system counted minutes.

    python docs/pictures/phone_calls.py

.. [1] Rousseeuw, P. J., Leroy, A. M. (1987). Robust Regression and Outlier Detection,
   page 26, table 2. Wiley.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.linear_model import LinearRegression

from robustreg import MMRegressor

YEARS = np.arange(1950, 1974).reshape(-1, 1)
CALLS = np.ravel(
    [
        [0.44, 0.47, 0.47, 0.59, 0.66, 0.73, 0.81, 0.88, 1.06, 1.20, 1.35, 1.49],
        [1.61, 2.12, 11.9, 12.4, 14.2, 15.9, 18.2, 21.2, 4.30, 2.40, 2.70, 2.90],
    ]
)
# Ink, and the two of the Okabe-Ito palette that stand out on either ground.
THEMES = {
    "light": {"ink": "#222222", "squares": "#D55E00", "robust": "#0072B2"},
    "dark": {"ink": "#DDDDDD", "squares": "#E69F00", "robust": "#56B4E9"},
}
STYLE = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 11,
    "svg.hashsalt": "robustreg",
}


def paint(axes: Axes, ink: str, squares: str, robust: str) -> None:
    """Draw the calls and two lines through them."""
    for model, color in ((LinearRegression(), squares), (MMRegressor(), robust)):
        line = model.fit(YEARS, CALLS).predict(YEARS)
        axes.plot(YEARS, line, color=color, lw=2.5)
        name = type(model).__name__
        axes.annotate(name, (1973.3, line[-1]), color=color, va="center", weight="bold")
    found = model.outliers_
    axes.scatter(YEARS[~found], CALLS[~found], s=28, color=ink, zorder=3)
    axes.scatter(YEARS[found], CALLS[found], s=28, fc="none", ec=ink, zorder=3)
    axes.annotate("minutes, not calls", (1963.6, 17), color=ink, ha="right")
    axes.set_ylabel("calls, tens of millions", color=ink)
    axes.tick_params(colors=ink)
    axes.spines[:].set_color(ink)


def main() -> None:
    """Save the picture for each theme."""
    for theme, colors in THEMES.items():
        with mpl.rc_context(STYLE):
            figure = Figure(figsize=(8, 4), layout="constrained")
            paint(figure.add_subplot(), **colors)
            file = Path(__file__).with_name(f"phone_calls_{theme}.svg")
            figure.savefig(file, transparent=True, metadata={"Date": None})


if __name__ == "__main__":
    main()
