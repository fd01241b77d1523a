"""Pictures: logarithmic axes, direct labels, colours for colour-blind eyes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from harness import RESULTS

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.ticker import NullFormatter

# Okabe and Ito's; ours are the saturated ones, peers are thin and dashed as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
COLOURS += ("#A0522D",)
# Labels that start within a share of the width of each other keep a share of the height
# apart.
WIDE, APART = 0.35, 0.045


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

    Only names that would touch are moved: those that start at about the same x.
    """
    (left, right), (low, high) = np.log(panel.get_xlim()), np.log(panel.get_ylim())
    placed: list[tuple[float, float]] = []
    for x, y, name, colour in sorted(ends, key=lambda end: end[1]):
        across = (np.log(x) - left) / (right - left) + 0.02
        up = (np.log(y) - low) / (high - low)
        for other_across, other_up in placed:
            if abs(across - other_across) < WIDE:
                up = max(up, other_up + APART)
        placed.append((across, up))
        panel.annotate(
            name,
            (x, y),
            xytext=(across, up),
            textcoords="axes fraction",
            color=colour,
            fontsize=8,
            va="center",
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.4, "alpha": 0.6},
        )


def save(figure: Any, name: str) -> None:
    """Write a picture among the results."""
    RESULTS.mkdir(exist_ok=True)
    figure.savefig(RESULTS / name, dpi=110, bbox_inches="tight")
    plt.close(figure)
