"""Is any problem slow by accident? The time of many random shapes, worst and median.

A shape's cost is the time of our fit over the time of a `Ridge` fit of the same data
plus that of one of 500 x 10, without which small shapes would measure constants.
"""

from __future__ import annotations

import math
import sys
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import harness
import numpy as np
import timing
from problem_shapes import Shape, draw_shape, make_problem
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge

from robustreg import RobustRegressor, ScaleCollapseWarning

COUNT = 240
# Seconds that one shape may take, all its repeated fits together.
LIMIT = 90.0
# Fits are repeated up to this often, for so many seconds.
REPEATS, BUDGET = 5, 1.0
WORST = 15


# One process for all, new after a shape that took too long.
RUN = timing.Limited(LIMIT)


def measure_apart(case: str) -> list[dict[str, Any]]:
    """Return the row of a shape, in a process that a slow one does not hold."""
    number = int(case)
    try:
        outcome = RUN(measure, number)
    except TimeoutError as error:
        outcome = {"state": "too slow", "what": str(error), "seconds": LIMIT}
    return [asdict(draw_shape(number)) | BLANK | outcome]


def assemble(head: str, records: list[harness.Record]) -> None:
    """Write the summary."""
    rows = harness.table_rows(records)
    harness.write("shapes.md", f"{head}\n{summary(rows)}")


BLANK: dict[str, Any] = {
    "state": "",
    "seconds": math.nan,
    "ridge": math.nan,
    "cost": math.nan,
    "n_iter": None,
    "gap": math.nan,
    "what": "",
}


def measure(number: int) -> dict[str, Any]:
    """Return what a shape's fit cost and how it ended."""
    shape = draw_shape(number)
    X, y, weight, noise = make_problem(shape)
    model = make_model(shape, noise)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            own, _ = shortest(lambda: model.fit(X, y, weight))
        except Exception as error:
            return {"state": "error", "what": account(error)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ridge, _ = shortest(lambda: Ridge().fit(X, y, weight))
    return {
        "state": state_of(model, caught),
        "seconds": own,
        "ridge": ridge,
        "cost": own / (ridge + tiny_ridge()),
        "n_iter": model.n_iter_,
        "gap": float(model.dual_gap_),
        "what": "; ".join(sorted({str(w.message)[:400] for w in caught})),
    }


def account(error: Exception) -> str:
    """Return an exception in a line: what it says, and who called whom."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    calls = " > ".join(f"{Path(f.filename).stem}.{f.name}" for f in frames)
    return f"{type(error).__name__}: {error} ({calls})"


def make_model(shape: Shape, noise: float) -> RobustRegressor:
    """Return the estimator of a shape."""
    return RobustRegressor(
        shape.loss,
        beta=shape.beta,
        quantile=shape.quantile,
        penalty=None if shape.penalty == "none" else shape.penalty,
        alpha=shape.alpha,
        scale=noise if shape.scale == "number" else shape.scale,
        fit_intercept=shape.fit_intercept,
    )


def state_of(model: RobustRegressor, caught: Sequence[Any]) -> str:
    """Return how a fit ended, by what it warned of and what it returned."""
    kinds = {w.category for w in caught}
    if not (np.isfinite(model.coef_).all() and np.isfinite(model.intercept_)):
        return "not finite"
    if ConvergenceWarning in kinds:
        return "not converged"
    if kinds - {ScaleCollapseWarning}:
        return "warned"
    return "collapsed" if kinds else "converged"


def shortest(fit: Any) -> tuple[float, Any]:
    """Return the shortest time of a few fits, of one if they are long."""
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < BUDGET:
        passed, result = timing.seconds(fit)
        times.append(passed)
    return min(times), result


def tiny_ridge() -> float:
    """Return the time of a Ridge fit of 500 x 10."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(500, 10)), rng.normal(size=500)
    return float(
        np.median([timing.seconds(lambda: Ridge().fit(X, y))[0] for _ in range(11)])
    )


def summary(rows: list[dict[str, Any]]) -> str:
    """Return the figures: worst against median, and who the worst are."""
    timed = [row for row in rows if not math.isnan(row["cost"])]
    ranked = sorted(timed, key=lambda row: -row["cost"])
    slow = [row for row in rows if row["state"] == "too slow"]
    costs = np.array([row["cost"] for row in timed])
    states = sorted({row["state"] for row in rows})
    counts = ", ".join(f"{sum(r['state'] == s for r in rows)} {s}" for s in states)
    worst = (
        f"more than the limit ({len(slow)} shapes)" if slow else f"{costs.max():.3g}"
    )
    text = [
        f"{len(rows)} shapes: {counts}.\n",
        f"Cost in units of Ridge: median {np.median(costs):.3g}, nine in ten below "
        f"{np.quantile(costs, 0.9):.3g}, worst {worst}. The worst of those that were "
        f"timed is {costs.max() / np.median(costs):.3g} times the median.\n",
        f"The {WORST} most expensive:\n",
        harness.markdown([brief(row) for row in (slow + ranked)[:WORST]]),
    ]
    bad = [r for r in rows if r["state"] not in ("converged", "collapsed")]
    if bad:
        text += ["Those that did not converge without a word:\n"]
        text += [
            harness.markdown([brief(row) | {"what": one_line(row)} for row in bad])
        ]
    return "\n".join(text)


def one_line(row: dict[str, Any]) -> str:
    """Return what went wrong, without line breaks."""
    return " ".join(row["what"].split())[:300]


def listed(*words: str) -> str:
    """Return words in a line, without "none"."""
    return ", ".join(word for word in words if word not in ("", "none"))


def brief(row: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a row that a reader needs."""
    loss = row["loss"] if row["quantile"] == 0.5 else f"{row['loss']} {row['quantile']}"
    return {
        "shape": row["number"],
        "rows x columns": f"{row['rows']} x {row['columns']}",
        "X, y, weights": listed(
            row["X"],
            "sparse" if row["container"] == "sparse" else "",
            row["y"],
            row["weights"],
        ),
        "loss, penalty, scale": listed(
            loss,
            "" if row["beta"] is None else f"beta {row['beta']}",
            row["penalty"] + (f" {row['alpha']}" if row["alpha"] else ""),
            row["scale"],
            "" if row["fit_intercept"] else "no intercept",
        ),
        "seconds": row["seconds"],
        "Ridge": row["ridge"],
        "cost": row["cost"],
        "state": row["state"],
        "measured at": row["measured at"],
    }


BENCHMARK = harness.Benchmark(
    __file__, [str(number) for number in range(COUNT)], measure_apart, assemble
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
