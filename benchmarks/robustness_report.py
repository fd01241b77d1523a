"""The tables of the robustness benchmark, its goals and its picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import harness
import numpy as np
import robustness_picture
from contamination import KINDS, SHARES
from contenders import AS_HUBER, CHOSEN, CONTENDERS, DEFAULT, HUBER, LMROB

KEY = ("data", "kind", "share", "contender")
MEASURES = ("median", "mean", "distance")
# A goal is met up to a ratio of these, by what is chosen without bad rows in X up to
# the second; distances, which are in units of the error, may also differ by what is
# beyond 1.
SLACK, NEAR = 1.02, 1.05
# An estimator survives if its error grows by no more than this factor.
SURVIVED = 1.25
# So many cells in which a goal is missed are listed one by one.
LISTED = 12
SHARPER = f"RobustRegressor(beta={AS_HUBER})"
# The contenders that are fits of one of the losses which cross-validation chooses from.
ALONE = ("LinearRegression", DEFAULT, "L1Regressor()", 'RobustRegressor("tukey")')

Row = dict[str, Any]
# The figures of a contender, by data, kind and share.
Cells = dict[tuple[str, str, float], Row]


def key_of(row: Row) -> tuple[Any, ...]:
    """Return what tells a row from others."""
    return tuple(row[name] for name in KEY)


def report(head: str, rows: list[Row]) -> None:
    """Write the tables and the picture."""
    found: dict[str, Cells] = {}
    for row in rows:
        data, kind, share, contender = key_of(row)
        found.setdefault(contender, {})[data, kind, share] = row
    most = max(map(len, found.values()))
    figures = {name: cells for name, cells in found.items() if len(cells) == most}
    part = [f"`{name}` is not measured on all data." for name in found.keys() - figures]
    text = "\n".join(
        [head, *sections(figures), *(f"- {line}" for line in sorted(part))]
    )
    harness.write("robustness.md", text)
    robustness_picture.draw(
        {name: typical_errors(figures[name], "median") for name in figures},
        ours=[name for name in figures if is_ours(name)],
    )


def is_ours(name: str) -> bool:
    """Return whether a contender is this package's."""
    return name in CONTENDERS and CONTENDERS[name].ours


def is_linear(name: str) -> bool:
    """Return whether a contender is a linear model."""
    return name == LMROB or CONTENDERS[name].linear


def typical_errors(cells: Cells, measure: str) -> dict[tuple[str, float], float]:
    """Return the geometric mean over the data sets, by kind and share."""
    groups: dict[tuple[str, float], list[float]] = {}
    for (_, kind, share), row in cells.items():
        groups.setdefault((kind, share), []).append(row[measure])
    return {key: float(np.exp(np.mean(np.log(v)))) for key, v in groups.items()}


def sections(figures: dict[str, Cells]) -> Iterator[str]:
    """Yield the parts of the report."""
    cells = next(iter(figures.values()))
    data = list(dict.fromkeys(key[0] for key in cells))
    splits = next(iter(cells.values()))["fits"]
    yield (
        f"{len(data)} data sets: {', '.join(data)}; {splits} random splits of each.\n"
    )
    yield (
        f"**Survives** a share of bad rows: the largest at which its median error is "
        f"typically at most {SURVIVED} times that without bad rows.\n"
    )
    yield harness.markdown([survival(name, figures[name]) for name in figures])
    for kind in KINDS:
        yield f"**Mean absolute error, bad rows in {kind}**; in brackets, that of the"
        yield "worst data set.\n"
        yield harness.markdown(
            [table_row(name, figures[name], kind) for name in figures]
        )
    if {SHARPER, HUBER, *ALONE} <= set(figures):
        yield from goals(figures)
    yield from (f"- {line}" for line in failures(figures))


def survival(name: str, cells: Cells) -> Row:
    """Return up to which share of each kind an estimator survives, and its price."""
    error = typical_errors(cells, "median")
    row: Row = {"estimator": f"`{name}`"}
    for kind in KINDS:
        kept = [0.0]
        for share in SHARES[1:]:
            if not error[kind, share] <= SURVIVED * error["none", 0.0]:
                break
            kept.append(share)
        row[f"bad rows in {kind}"] = f"{kept[-1]:.0%}"
    row["error without bad rows"] = error["none", 0.0]
    times = [cell["seconds"] for cell in cells.values()]
    row["milliseconds a fit"] = 1000 * float(np.nanmedian(times))
    return row | {"measured at": harness.marks(cells.values())}


def table_row(name: str, cells: Cells, kind: str) -> Row:
    """Return the errors of an estimator for growing shares, typical and worst."""
    error = typical_errors(cells, "mean")
    row: Row = {"estimator": f"`{name}`"}
    for share in SHARES:
        key = (kind if share else "none", share)
        worst = max(cell["mean"] for c, cell in cells.items() if c[1:] == key)
        row[f"{share:.0%}"] = f"{error[key]:.3g} ({worst:.3g})"
    return row


def goals(figures: dict[str, Cells]) -> Iterator[str]:
    """Yield how often each goal is met; write all cells in which it is not."""
    ours = {name: cells for name, cells in figures.items() if is_ours(name)}
    linear = {name: cells for name, cells in figures.items() if is_linear(name)}
    peers = {name: cells for name, cells in linear.items() if not is_ours(name)}
    comparisons = {
        "one of ours is best, or within 2 % of the best linear peer": list(
            compared(ours, peers)
        )
    }
    for name in (n for n in figures if n in (DEFAULT, SHARPER, CHOSEN)):
        goal = f"`{name}` is never worse than `{HUBER}` by more than 2 %"
        comparisons[goal] = as_huber({name: figures[name]}, figures)
    if CHOSEN in figures:
        goal = (
            f"`{CHOSEN}` is within 5 % of the best other linear contender in nine of "
            "ten cells without bad rows in X"
        )
        comparisons[goal] = near_best({CHOSEN: linear.pop(CHOSEN)}, linear)
    for goal, rows in comparisons.items():
        yield from verdict(goal, rows)
    if CHOSEN in figures:
        yield from within_reach(figures, linear)
    missed = [
        {"goal": number} | {name: row[name] for name in row if name != "met"}
        for number, rows in enumerate(comparisons.values(), 1)
        for row in rows
        if not row["met"]
    ]
    if missed:
        harness.write_csv("robustness_missed.csv", missed)


def as_huber(ours: dict[str, Cells], figures: dict[str, Cells]) -> list[Row]:
    """Return how the best of ours compares with HuberRegressor."""
    return list(compared(ours, {HUBER: figures[HUBER]}))


def near_best(ours: dict[str, Cells], linear: dict[str, Cells]) -> list[Row]:
    """Return how the best of ours compares with linear ones, without bad rows in X."""
    kept = {
        name: {key: row for key, row in cells.items() if key[1] in ("none", "y")}
        for name, cells in ours.items()
    }
    return list(compared(kept, linear, NEAR))


def compared(
    ours: dict[str, Cells], peers: dict[str, Cells], slack: float = SLACK
) -> Iterator[Row]:
    """Yield the best of ours and of the peers in each cell, by each measure."""
    for data, kind, share in next(iter(ours.values())):
        for measure in MEASURES if share else MEASURES[:2]:
            own = best(ours, (data, kind, share), measure)
            peer = best(peers, (data, kind, share), measure)
            ratio = own[0] / peer[0]
            near = measure == "distance" and own[0] <= peer[0] + slack - 1
            yield {
                "bad rows": f"{share:.0%} in {kind}" if share else "none",
                "data": data,
                "measure": measure,
                "ours": own[1],
                "peer": peer[1],
                "our figure": own[0],
                "peer figure": peer[0],
                "ratio": ratio,
                "met": ratio <= slack or near,
            }


def best(
    figures: dict[str, Cells], key: tuple[str, str, float], measure: str
) -> tuple[float, str]:
    """Return the smallest figure in a cell and whose it is."""
    found = [(cells[key][measure], name) for name, cells in figures.items()]
    return min(pair for pair in found if np.isfinite(pair[0]))


def verdict(goal: str, comparisons: list[Row]) -> Iterator[str]:
    """Yield how often a goal is met, and where it is not.

    Few cells are listed, many are counted for each kind and share, with the worst.
    """
    missed = [row for row in comparisons if not row["met"]]
    yield f"**Goal: {goal}**: met in {in_words(comparisons)}.\n"
    if len(missed) > LISTED:
        groups: dict[str, list[Row]] = {}
        for row in comparisons:
            groups.setdefault(row["bad rows"], []).append(row)
        yield harness.markdown([share_of_met(*group) for group in groups.items()])
    elif missed:
        yield harness.markdown(
            [{"bad rows": row["bad rows"], "missed in": cell(row)} for row in missed]
        )
    names = [row["peer"] for row in missed]
    ranked = sorted(dict.fromkeys(names), key=lambda name: -names.count(name))
    if len(ranked) > 1:
        often = ", ".join(f"`{name}` {names.count(name)}" for name in ranked)
        yield f"Who is best where it is missed, and how often: {often}.\n"


def share_of_met(bad_rows: str, comparisons: list[Row]) -> Row:
    """Return how many comparisons of a kind and share meet a goal."""
    row = dict.fromkeys(("bad rows", *NAMES.values()), "")
    row |= {"bad rows": bad_rows} | counts(comparisons)
    worst = max(comparisons, key=lambda c: c["ratio"] * (not c["met"]))
    return row | {"worst cell": "" if worst["met"] else cell(worst)}


def counts(comparisons: list[Row]) -> dict[str, str]:
    """Return in how many cells a goal is met, by each measure."""
    met = {
        name: [row["met"] for row in comparisons if row["measure"] == measure]
        for measure, name in NAMES.items()
    }
    return {name: f"{sum(own)} of {len(own)}" for name, own in met.items() if own}


def over(name: str, figures: dict[str, Cells], known: dict[str, Cells]) -> Row:
    """Return the typical errors of an estimator over those of the best in each cell."""
    ratios = list(compared({name: figures[name]}, known))
    row: Row = {"estimator": f"`{name}`"}
    for measure in MEASURES[:2]:
        own = [r["ratio"] for r in ratios if r["measure"] == measure]
        row[NAMES[measure]] = f"{np.exp(np.mean(np.log(own))):.3f}"
    return row


def within_reach(figures: dict[str, Cells], linear: dict[str, Cells]) -> Iterator[str]:
    """Yield how near a choice is to the best of what it chooses from."""
    known = {name: figures[name] for name in ALONE}
    huber, near = as_huber(known, figures), near_best(known, linear)
    yield (
        "The best of its losses in each cell, which nobody knows, meets the goal of "
        f"`{HUBER}` in {in_words(huber)}, and that of the best linear contender in "
        f"{in_words(near)}. Errors over its, a geometric mean of all cells:\n"
    )
    yield harness.markdown([over(name, figures, known) for name in (CHOSEN, *known)])


def in_words(comparisons: list[Row]) -> str:
    """Return the counts as a part of a sentence."""
    met = counts(comparisons).items()
    return ", ".join(f"{count} cells by the {name}" for name, count in met)


def cell(row: Row) -> str:
    """Return a comparison in a line."""
    return (
        f"{row['data']}, {NAMES[row['measure']]}: `{row['ours']}` "
        f"{row['our figure']:.3g}, `{row['peer']}` {row['peer figure']:.3g}"
    )


NAMES = {"median": "median error", "mean": "mean error", "distance": "distance"}


def failures(figures: dict[str, Cells]) -> Iterator[str]:
    """Yield who could not fit how often."""
    for name, cells in figures.items():
        failed = sum(row["failed"] for row in cells.values())
        fits = sum(row["fits"] for row in cells.values())
        if failed:
            yield f"`{name}` failed in {failed} of {fits} fits, which are left out."
