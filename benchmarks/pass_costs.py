"""What a fit by passes costs: a model, beside what was measured, and beyond it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Row = dict[str, Any]

COLUMNS = 20
# Of which the model's constants and the measured runs are drawn.
DRAWN = "dask, 2 processes, malloc set"
FIT = "smooth_l1, MAD"
# Of a part of the measured runs, and of what is drawn: dask's own choice, 128 MiB.
PART_ROWS, LARGE_PART_ROWS = 2**22 // COLUMNS, 2**27 // (4 * COLUMNS)
MOST_ROWS, MANY_WORKERS = 10**10, 64


@dataclass(frozen=True)
class Costs:
    """The constants of an engine.

    Parameters
    ----------
    latency, task : float
        Seconds of a pass, and of a part, without work; the client's.
    rate : float
        Entries that a worker adds up in a second.
    bandwidth : float
        Bytes that come back in a second.
    first : float
        How many others the first pass takes, which reads and standardises.
    """

    latency: float
    task: float
    rate: float
    bandwidth: float
    first: float

    def of_pass(self, entries: float, workers: int, parts: float) -> float:
        """Return the seconds of a pass from which only sums come back."""
        return self.latency + parts * self.task + entries / (workers * self.rate)

    def of_fit(
        self, entries: float, workers: int, parts: float, passes: float, back: float
    ) -> float:
        """Return the seconds of all passes of a fit, and of the bytes they bring."""
        one = self.of_pass(entries, workers, parts)
        return (passes - 1 + self.first) * one + back / self.bandwidth


def costs_in(rows: list[Row]) -> dict[str, tuple[Costs, int]]:
    """Return the constants of each engine and its number of workers."""
    return {
        row["engine"]: (
            Costs(
                row["ms a pass"] / 1e3,
                row["ms a part"] / 1e3,
                row["million entries a second of a worker"] * 1e6,
                row["MB a second back"] * 1e6,
                row["first pass, in others"],
            ),
            row["workers"],
        )
        for row in rows
        if row["kind"] == "Constants"
    }


def compared(rows: list[Row]) -> list[Row]:
    """Return what the model says of the measured fits, but of squares.

    Those bring the Gram matrix, which is as many passes as there are columns, faster.
    """
    costs, table = costs_in(rows), []
    for row in rows:
        if row["kind"] != "Fits" or row["engine"] not in costs or row["fit"] == "l2":
            continue
        known, _ = costs[row["engine"]]
        n = row["rows"]
        back = 1e6 * (row["MB of the sample"] + row["MB of other passes"])
        # Seconds are those of all workers together.
        said = known.of_fit(n * COLUMNS, 1, np.ceil(n / PART_ROWS), row["passes"], back)
        said += row["seconds outside passes"]
        table.append(
            {
                "rows": n,
                "fit": row["fit"],
                "engine": row["engine"],
                "seconds": row["seconds"],
                "seconds of the model": said,
                "model over measured": said / row["seconds"],
            }
        )
    return table


def draw(rows: list[Row]) -> None:
    """Draw seconds against rows, with few and with many workers."""
    import drawing

    costs = costs_in(rows)
    runs = [r for r in rows if r["kind"] == "Fits" and r["engine"] == DRAWN]
    runs = [r for r in runs if r["fit"] == FIT]
    others = [r for r in rows if r["kind"].startswith("L-BFGS")]
    if DRAWN not in costs or len(runs) < 2 or not others:
        return
    known, few = costs[DRAWN]
    figure, panels = drawing.plt.subplots(2, 1, figsize=(5.2, 8.4))
    figure.subplots_adjust(right=0.74, hspace=0.3)
    for panel, workers in zip(panels, (few, MANY_WORKERS), strict=True):
        title = f"{COLUMNS} columns, {workers} processes"
        drawing.log_axes(panel, "rows", "seconds", title)
        n = np.geomspace(10**6, MOST_ROWS, 60)
        parts = np.maximum(np.ceil(n / LARGE_PART_ROWS), workers)
        ends = []
        lines = lines_of(known, runs, others, workers, n, parts)
        for colour, (name, seconds) in zip(drawing.COLOURS, lines, strict=False):
            style = {"lw": 2.0} if name.startswith("robustreg") else {"ls": "--"}
            panel.plot(n, seconds, color=colour, **style)
            ends.append((n[-1], seconds[-1], name, colour))
        drawing.label_ends(panel, ends)
    drawing.save(figure, "partitions.svg")


def lines_of(
    known: Costs, runs: list[Row], others: list[Row], workers: int, n: Any, parts: Any
) -> list[tuple[str, Any]]:
    """Return names, and seconds for each number of rows."""
    size = np.array([row["rows"] for row in runs])
    back = np.array([row["MB of other passes"] for row in runs]) * 1e6
    growth = np.polyfit(np.log(size), np.log(back), 1)
    sample = 1e6 * runs[-1]["MB of the sample"]
    travels = sample + np.exp(np.polyval(growth, np.log(n)))
    passes = max(row["passes"] for row in runs)
    client = max(row["seconds outside passes"] for row in runs)
    entries = n * COLUMNS
    ours = known.of_fit(entries, workers, parts, passes, travels) + client
    lines = [(f"robustreg, {FIT}: {passes} passes", ours)]
    for row in others:
        if row["relative gap"] == 1e-10 and row["rows"] == size[0]:
            seconds = row["passes"] * known.of_pass(entries, workers, parts)
            name = f"L-BFGS, {row['columns']}: {row['passes']:.0f} passes"
            lines.append((name, seconds))
    return lines
