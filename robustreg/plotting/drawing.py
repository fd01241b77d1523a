"""What all displays share: colours, axes and scales."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustreg.linalg import SUMMABLE

Array = NDArray[Any]

# Colours of Okabe and Ito, which most colour-blind people tell apart, but for yellow
# and black, which vanish on a light or a dark background.
BLUE, VERMILION, GREEN, ORANGE = "#0072b2", "#d55e00", "#009e73", "#e69f00"
PURPLE, SKY, GREY = "#cc79a7", "#56b4e9", "#8c8c8c"
COLORS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, GREY)
# As many as have no divisor in common with the colours, so that 28 lines differ.
DASHES = ("-", "--", "-.", ":")
# Cut-offs beyond which an axis is logarithmic from the first one on.
LINEAR_REACH = 20.0
# Pictures of more points are stored as pixels.
MOST_VECTORS = 10_000
# Width in inches from which on panels are side by side, and their height to width.
WIDE_ENOUGH, PANEL_SHAPE = 5.0, 0.95
# Of a legend, in inches: width of a handle with its gaps and of a letter, and height.
HANDLE, LETTER, LINE = 0.65, 0.075, 0.17
# Width and height of a number beside a point, in pixels.
LABEL_ROOM = np.array([24.0, 13.0])
# Room at the ends of an axis of alphas, as a share of what it spans.
BEYOND = 0.03


def check_some(name: str, given: Sequence[str], known: Collection[str]) -> None:
    """Refuse what is no list of some of the names of panels that are known."""
    if isinstance(given, str) or not len(given) or not set(given) <= set(known):
        raise ValueError(f"{name} must be a list of some of {[*known]}. Got {given!r}.")


def line_style(rank: int) -> dict[str, Any]:
    """Return colour and dashes of the line of a rank."""
    return {
        "color": COLORS[rank % len(COLORS)],
        "linestyle": DASHES[rank % len(DASHES)],
    }


def ink() -> str:
    """Return the colour of text, which any background shows."""
    from matplotlib import rcParams

    return str(rcParams["text.color"])


def cut_style() -> dict[str, Any]:
    """Return the style of lines that cut a picture in parts."""
    return {"color": ink(), "linewidth": 0.9, "linestyle": "--", "zorder": 1}


def point_style(n_points: int) -> dict[str, Any]:
    """Return the style of points, so many in all."""
    many = n_points > MOST_VECTORS
    return {
        "s": 6 if many else 22,
        "linewidths": 0.4,
        "edgecolors": "white",
        "rasterized": many,
    }


def axes_for(display: Any, ax: Any) -> Any:
    """Return the axes to draw in, those given or those of a new figure."""
    return panels_for(display, ax, 1)[0]


def panels_for(display: Any, ax: Any, count: int) -> Array:
    """Return axes for panels: those given, one given divided, or a new figure's.

    Raises
    ------
    ValueError
        For another number of axes, and for one that no grid has made.
    ImportError
        If matplotlib is not installed.
    """
    plt = _pyplot(type(display).__name__)
    if ax is None:
        width = float(plt.rcParams["figure.figsize"][0])
        shape = _grid_shape(width, count)
        height = width / shape[1] * PANEL_SHAPE * shape[0]
        size = None if count == 1 else (width, height)
        _, axes = plt.subplots(
            *shape, figsize=size, layout="constrained", squeeze=False
        )
        return np.asarray(axes).ravel()
    axes = np.asarray(ax, dtype=object).ravel()
    if axes.size == count:
        return axes
    if axes.size != 1 or axes[0].get_subplotspec() is None:
        raise ValueError(
            f"ax must be an array of {count} axes, or one made by plt.subplots, which "
            f"is divided into as many. Got {axes.size}. Pass "
            f"plt.subplots({count})[1]."
        )
    return _divided(axes[0], count)


def _pyplot(name: str) -> Any:
    """Return pyplot for a display of some name."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{name} draws with matplotlib, which is not installed. "
            "Install it: pip install matplotlib."
        ) from error
    return plt


def _grid_shape(width: float, count: int) -> tuple[int, int]:
    """Return rows and columns of panels in a figure so many inches wide."""
    columns = 1 if width < WIDE_ENOUGH else {4: 2}.get(count, min(count, 3))
    return ceil(count / columns), columns


def _divided(ax: Any, count: int) -> Array:
    """Return axes in the place of one."""
    from matplotlib.gridspec import GridSpecFromSubplotSpec

    ax.set_axis_off()
    rows, columns = _grid_shape(
        float(ax.get_window_extent().width / ax.figure.dpi), count
    )
    grid = GridSpecFromSubplotSpec(rows, columns, subplot_spec=ax.get_subplotspec())
    return np.array([ax.figure.add_subplot(grid[i]) for i in range(count)])


def legend_of(axes: Array, own_figure: bool) -> None:
    """Put one legend of all panels below a figure of our own, or one into each."""
    if not own_figure:
        for ax in axes:
            ax.legend(fontsize="small")
        return
    figure = axes[0].figure
    shown: dict[str, Any] = {}
    for ax in axes:
        handles, labels = ax.get_legend_handles_labels()
        shown.update(zip(labels, handles, strict=True))
        if ax.get_legend() is not None:
            ax.get_legend().remove()
    labels, handles = list(shown), list(shown.values())
    width, height = figure.get_size_inches()
    ncols = _legend_columns(labels, width)
    figure.set_figheight(height + LINE * (1 + ceil(len(labels) / ncols)))
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=ncols,
        frameon=False,
        fontsize="small",
    )


def legend_above(ax: Any) -> None:
    """Put the legend of the axes above them, where it hides nothing."""
    labels = ax.get_legend_handles_labels()[1]
    ncols = min(_legend_columns(labels, float(ax.figure.get_figwidth())), 2)
    corner = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1.0)}
    ax.legend(ncols=ncols, frameon=False, fontsize="small", **corner)


def _legend_columns(labels: list[str], width: float) -> int:
    """Return how many columns of a legend fit into so many inches, at least 1."""
    longest = max(map(len, labels), default=0)
    return max(1, min(len(labels), int(width / (HANDLE + LETTER * longest))))


def compress_far(axis: Any, values: Array, cut: float) -> None:
    """Make an axis logarithmic beyond a cut-off, if some values are far beyond it."""
    if np.abs(values).max(initial=0.0) > LINEAR_REACH * cut:
        _compress(axis, cut)


def _compress(axis: Any, cut: float) -> None:
    """Make an axis logarithmic beyond a cut-off, with ticks at 0 and at decades."""
    from matplotlib.ticker import SymmetricalLogLocator

    scale = axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale
    scale("symlog", linthresh=cut)
    decade = 10.0 ** np.ceil(np.log10(cut))
    axis.set_major_locator(SymmetricalLogLocator(base=10.0, linthresh=decade))


def strength_axis(ax: Any, alphas: Array) -> None:
    """Make x an axis of alphas that fall from left to right; 0 has a place on it."""
    largest, smallest = float(alphas.max()), float(alphas.min())
    if smallest > 0:
        ax.set_xscale("log")
        room = max((largest / smallest) ** BEYOND, 1 + BEYOND)
        ax.set_xlim(largest * room, smallest / room)
    elif largest > 0:
        unit = float(alphas[alphas > 0].min())
        ax.set_xscale("symlog", linthresh=unit)
        ax.set_xlim(largest * (1 + 2 * BEYOND), -2 * BEYOND * unit)
    ax.set_xlabel("alpha, the strength of the penalty")


def drawable(values: Array) -> Array:
    """Return values with infinite ones as very large ones."""
    return np.asarray(np.clip(values, -SUMMABLE, SUMMABLE))


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
