"""The picture of the robustness benchmark: who survives what, a square for each."""

from __future__ import annotations

import drawing
import numpy as np
from contamination import KINDS, SHARES
from matplotlib.colors import LogNorm

# From as good as without bad rows to useless.
LOWEST, HIGHEST = 1.0, 4.0
TITLES = {
    "y": "bad rows in y (target far too large)",
    "X": "bad rows in X (far out, own target)",
    "both": "bad rows in both (far out, target far too small)",
}


def draw(errors: dict[str, dict[tuple[str, float], float]], ours: list[str]) -> None:
    """Draw the error of everybody, by kind and share of bad rows."""
    names = list(errors)
    height = 3 * (0.23 * len(names) + 0.9) + 0.6
    figure, panels = drawing.plt.subplots(3, 1, figsize=(6.6, height))
    for panel, kind in zip(panels, KINDS, strict=True):
        keys = [(kind if share else "none", share) for share in SHARES]
        values = np.array([[errors[name][key] for key in keys] for name in names])
        fill(panel, values)
        panel.set_title(TITLES[kind], loc="left", fontsize=10)
        panel.set_xticks(range(len(SHARES)), [f"{share:.0%}" for share in SHARES])
        panel.set_xlabel("share of bad rows among those to fit")
        panel.axhline(len(ours) - 0.5, color="white", lw=4)
        panel.set_yticks(range(len(names)), names)
        for label in panel.get_yticklabels()[: len(ours)]:
            label.set_fontweight("bold")
    figure.suptitle(
        "Median error on clean rows, relative to that of the median regression\n"
        "of clean rows; geometric mean over the data sets",
        x=0.01,
        y=1.0,
        ha="left",
        va="bottom",
        fontsize=10,
    )
    figure.tight_layout()
    drawing.save(figure, "robustness.svg")


def fill(panel: object, values: np.ndarray) -> None:
    """Colour the squares of a panel and write their figures into them."""
    # Readers with any kind of colour vision, and printers, see it rise evenly.
    norm = LogNorm(LOWEST, HIGHEST, clip=True)
    panel.imshow(values, cmap="cividis_r", norm=norm, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        panel.text(
            column,
            row,
            f"{value:.2f}" if value < 9.95 else f"{value:.0f}",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if norm(value) > 0.5 else "black",
        )
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
