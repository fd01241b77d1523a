"""What the pictures have in common: one file each, which reads on any ground.

Colours are of the Okabe-Ito palette, those that stand out on white and on black, and
lines differ in their dashes, too.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#7B7B7B"
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
# A picture is 420 pixels wide on a telephone, so that letters are large.
STYLE = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": "medium",
    "font.size": 11,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 2.2,
    "svg.hashsalt": "robustreg",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
mpl.rcParams.update(STYLE)


def panels(
    columns: int, height: float = 2.9, **shared: bool
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels, side by side."""
    figure = Figure(figsize=(6, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False, **shared)
    return figure, list(np.ravel(axes))


def save(figure: Figure, script: str) -> None:
    """Save the picture beside the script that draws it, under its name."""
    file = Path(script).with_suffix(".svg")
    figure.savefig(file, transparent=True, metadata={"Date": None})
