"""Pictures: logarithmic axes, direct labels, colours for colour-blind eyes.

They have no ground, and read on a light and on a dark one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from harness import RESULTS

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.ticker import NullFormatter

INK = "#7B7B7B"
# Okabe and Ito's; ours are the saturated ones, peers are thin and dashed as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#B8663B")
COLOURS += ("#8A6FD1",)
COLOURED = ("axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "text.color")
COLOURED += ("xtick.color", "ytick.color", "grid.color")
matplotlib.rcParams.update(dict.fromkeys(COLOURED, INK))
matplotlib.rcParams.update({"savefig.transparent": True, "svg.hashsalt": "robustreg"})
# Of labels: points of a letter, how wide it is of that, and of a line.
LETTER, WIDTH, LINE = 8, 0.6, 1.25


def log_axes(panel: Any, x: str, y: str, title: str) -> None:
    """Set up a panel with two logarithmic axes."""
    panel.set(xscale="log", yscale="log", xlabel=x, ylabel=y)
    panel.set_title(title, loc="left", fontsize=10)
    panel.spines[["top", "right"]].set_visible(False)
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.tick_params(labelbottom=True)
    panel.grid(alpha=0.25, linewidth=0.5)


def label_ends(panel: Any, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write names at the ends (x, y, name, colour) of lines, moved apart.

    Only names that would touch are moved, upwards.
    """
    (left, right), (low, high) = np.log(panel.get_xlim()), np.log(panel.get_ylim())
    points = 72 * panel.get_position().size * panel.figure.get_size_inches()
    letter, line = WIDTH * LETTER / points[0], LINE * LETTER / points[1]
    placed: list[tuple[float, float, float]] = []
    for x, y, name, colour in sorted(ends, key=lambda end: end[1]):
        name = name.removeprefix("statsmodels ")
        start = (np.log(x) - left) / (right - left) + 0.02
        end = start + letter * len(name)
        up = (np.log(y) - low) / (high - low)
        for other_start, other_end, other_up in sorted(placed, key=lambda p: p[2]):
            if start < other_end and other_start < end:
                up = max(up, other_up + line)
        placed.append((start, end, up))
        panel.annotate(
            name,
            (x, y),
            xytext=(start, up),
            textcoords="axes fraction",
            color=colour,
            fontsize=LETTER,
            va="center",
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.4, "alpha": 0.6},
        )


def save(figure: Any, name: str) -> None:
    """Write a picture among the results."""
    RESULTS.mkdir(exist_ok=True)
    figure.savefig(RESULTS / name, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
