"""Numbers beside points."""

from __future__ import annotations

from typing import Any

import numpy as np

from robustreg.plotting.drawing import Array, ink

# Width and height of a label, in pixels.
LABEL_ROOM = np.array([24.0, 13.0])


def label_rows(
    ax: Any, places: Array, rows: Array, n_labels: int, zorder: float
) -> list[Any]:
    """Label the first rows, but none so near to another that neither is legible."""
    pixels = ax.transData.transform(places)
    taken: list[int] = []
    for rank, pixel in enumerate(pixels):
        if len(taken) >= n_labels:
            break
        near = np.abs(pixels[taken] - pixel) < LABEL_ROOM
        if not near.all(axis=1).any():
            taken.append(rank)
    return [
        ax.annotate(
            str(rows[rank]),
            tuple(places[rank]),
            xytext=(4, 3),
            textcoords="offset points",
            fontsize="small",
            color=ink(),
            zorder=zorder,
        )
        for rank in taken
    ]
