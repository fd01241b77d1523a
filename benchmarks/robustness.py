"""Which estimator survives what: real data with spoiled rows, judged on clean ones.

::

    python benchmarks/robustness.py             # all that is not measured yet; in all
                                                # half an hour of two idle processors
    python benchmarks/robustness.py --again     # all
    python benchmarks/robustness.py engel --contenders "MMRegressor()" --again
    python benchmarks/robustness.py --report    # tables and picture again

Each data set is split twenty times. Of the rows to fit, a share is spoiled in y, in X
or in both; the rows of the test stay as they are. Errors are relative to those of the
median regression of the same rows before they were spoiled.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import harness
import numpy as np
import robustness_report
from contamination import KINDS, SHARES, spoil
from contenders import CONTENDERS, LMROB, Predict, lmrob, missing
from real_data import DATA, Array, Split, split
from solvers import present

from robustreg import L1Regressor

REPETITIONS = 20
# A row for each fit, so that a run that was stopped goes on where it was.
MEASURED = Path(__file__).parent / "output" / "robustness"
# Consistent at the Gaussian.
MAD_TO_DEVIATION = 1.4826


def main() -> None:
    """Measure, write, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", help=f"of {', '.join(DATA)}")
    parser.add_argument("--contenders", nargs="+", help="those to measure")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--again", action="store_true", help="what is measured, too")
    parser.add_argument("--report", action="store_true", help="report only")
    options = parser.parse_args()
    known = [*CONTENDERS, LMROB]
    if unknown := set(options.contenders or []) - set(known):
        parser.error(f"contenders must be of {known}. Got {sorted(unknown)}.")
    for line in missing():
        print(line)
    if not options.report:
        tasks = [
            (name, number, options.contenders or known, options.again)
            for number in range(options.repetitions)
            for name in options.data or DATA
        ]
        measure_all(tasks, options.jobs)
    harness.write_csv(robustness_report.FILE, summary(measured()))
    robustness_report.report()


def measure_all(tasks: list[tuple[Any, ...]], jobs: int) -> None:
    """Measure what is asked for, each process with one thread."""
    os.environ.update(dict.fromkeys(harness.THREADS, "1"))
    MEASURED.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        done = pool.map(measure_task, *zip(*tasks, strict=True))
        for task, _ in zip(tasks, done, strict=True):
            print(
                f"{time.monotonic() - start:6.0f} s  {task[1]:3} {task[0]}", flush=True
            )


def measure_task(
    name: str, repetition: int, contenders: list[str], again: bool
) -> None:
    """Measure those contenders that are not measured yet, and keep the rows."""
    path = MEASURED / f"{name}-{repetition}.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    if again:
        rows = [row for row in rows if row["contender"] not in contenders]
    known = {row["contender"] for row in rows}
    rows += measure(name, [c for c in contenders if c not in known], repetition)
    # Whole or not at all, should the run be stopped here.
    written = path.with_suffix(".new")
    written.write_text(json.dumps(rows), encoding="utf-8")
    written.replace(path)


def measured() -> list[dict[str, Any]]:
    """Return all rows that were kept, in the order of the contenders."""
    rows: list[dict[str, Any]] = []
    for name in DATA:
        for path in MEASURED.glob(f"{name}-*.json"):
            rows += json.loads(path.read_text(encoding="utf-8"))
    order = {name: number for number, name in enumerate([*CONTENDERS, LMROB])}
    return sorted(rows, key=lambda row: order[row["contender"]])


def cells() -> list[tuple[str, float]]:
    """Return the kinds and shares of contamination; none is none of any kind."""
    kinds = [(kind, share) for kind in KINDS for share in SHARES if share > 0]
    return [("none", 0.0), *kinds]


def measure(name: str, contenders: list[str], repetition: int) -> list[dict[str, Any]]:
    """Return the errors of contenders on one split, however it is spoiled."""
    warnings.simplefilter("ignore")
    data = split(name, repetition)
    clean = L1Regressor().fit(data.X, data.y)
    residual = np.abs(data.y - clean.predict(data.X))
    noise = MAD_TO_DEVIATION * float(np.median(residual))
    unit = errors(clean.predict, data)
    how = (data.X.T @ clean.predict(data.X), noise, repetition)
    spoiled = [
        spoil(data.X, data.y, kind if share else KINDS[0], share, *how)
        for kind, share in cells()
    ]
    rows = []
    for contender, fits in fit_all(contenders, spoiled):
        # What it predicts if nothing is spoiled.
        before = fits[0][0]
        for cell, (predict, seconds) in zip(cells(), fits, strict=True):
            row = {"data": name, "kind": cell[0], "share": cell[1]}
            row |= {"contender": contender, "seconds": seconds}
            rows.append(row | judged(predict, before, data, unit))
    return rows


def fit_all(
    contenders: list[str], problems: list[tuple[Array, Array]]
) -> Iterator[tuple[str, list[tuple[Predict | None, float]]]]:
    """Yield each contender and its fits of all problems, with their times."""
    for name in contenders:
        if name != LMROB:
            yield name, [timed(CONTENDERS[name].fit, X, y) for X, y in problems]
        elif present("R: robustbase"):
            yield name, lmrob(problems)


def timed(fit: Any, X: Array, y: Array) -> tuple[Predict | None, float]:
    """Return a fit and the seconds that it took; None if it failed."""
    try:
        seconds, predict = harness.seconds(lambda: fit(X, y))
    except Exception:
        return None, np.nan
    return predict, seconds


def errors(predict: Predict, data: Split) -> dict[str, float]:
    """Return the errors on the rows of the test."""
    error = np.abs(data.y_test - predict(data.X_test))
    return {"median": float(np.median(error)), "mean": float(error.mean())}


def judged(
    predict: Predict | None,
    before: Predict | None,
    data: Split,
    unit: dict[str, float],
) -> dict[str, float]:
    """Return errors relative to a unit, and how far contamination moved the fit.

    The distance is the mean absolute change of the predictions, in units of the mean
    absolute error; that of a fit whose clean one failed is not known.
    """
    missing = {"median": np.nan, "mean": np.nan, "distance": np.nan}
    if predict is None:
        return missing
    found = errors(predict, data)
    if not np.isfinite(list(found.values())).all():
        return missing
    relative = {measure: found[measure] / unit[measure] for measure in unit}
    if before is None:
        return missing | relative
    moved = np.abs(predict(data.X_test) - before(data.X_test)).mean()
    return relative | {"distance": float(moved / unit["mean"])}


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each cell and contender: what is typical of the repetitions.

    The geometric mean of relative errors: half and double the error cancel, and one
    breakdown among twenty shows. A failed fit is left out, and counted.
    """
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        key = (row["data"], row["kind"], row["share"], row["contender"])
        groups.setdefault(key, []).append(row)
    return [
        dict(zip(("data", "kind", "share", "contender"), key, strict=True))
        | typical(group)
        for key, group in groups.items()
    ]


def typical(group: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is typical of some repetitions, nan if none has a fit."""
    fits = [row for row in group if np.isfinite(row["mean"])]
    failed = {"fits": len(group), "failed": len(group) - len(fits)}
    if not fits:
        return dict.fromkeys((*MEASURES, "seconds"), np.nan) | failed
    value = {m: np.array([row[m] for row in fits]) for m in (*MEASURES, "seconds")}
    return {
        "median": float(np.exp(np.log(value["median"]).mean())),
        "mean": float(np.exp(np.log(value["mean"]).mean())),
        "distance": float(np.nanmean(value["distance"])),
        "seconds": float(np.median(value["seconds"])),
    } | failed


MEASURES = ("median", "mean", "distance")

if __name__ == "__main__":
    main()
