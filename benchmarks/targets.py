"""The table of targets: our time over a peer's on the same data, and whether it is met.

Medians of interleaved runs with one thread for everybody, as processor time; slow peers
run less often, and the table says how often. Beside them, ratios by the wall clock with
as many threads as each library takes. A gap is relative to the objective: ours is the
certified bound, a peer's is measured from our optimum.
"""

from __future__ import annotations

import math
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import harness
import numpy as np
import timing
from cases import CASES, EPSILON, Case, Contender, Target
from solvers import Answer

from robustreg import SmoothL1Regressor
from robustreg.estimators import arrays

RUNS = 5
# A contender's runs end after so many seconds.
BUDGET, SLOW_BUDGET = 40.0, 10.0
# Calls shorter than this are repeated within a run.
SHORTEST_RUN = 0.05
# Seconds for a case, its data and all of its contenders.
LIMIT = 600.0


# The columns of two tables.
TARGETS = (
    "case",
    "ours",
    "peer",
    "target",
    "ratio",
    "met",
    "passes",
    "runs",
    "ratio, default threads",
    "measured at",
)
TIMES = (
    "data",
    "ours",
    "our time, s",
    "our gap",
    "peer",
    "peer's time, s",
    "peer's gap",
    "measured at",
)


def assemble(head: str, records: list[harness.Record]) -> None:
    """Write a table of targets, and one of seconds and gaps."""
    rows = harness.table_rows(records)
    met = sum(row["met"] == "met" for row in rows)
    targets = harness.markdown([{name: row[name] for name in TARGETS} for row in rows])
    count = f"{met} of {len(rows)} targets are met."
    harness.write("targets.md", f"{head}\n{count}\n\n{targets}")
    timed = [row for row in rows if row["our time, s"] == row["our time, s"]]
    times = harness.markdown([{name: row[name] for name in TIMES} for row in timed])
    harness.write("times.md", f"{head}\n{times}")


def measure_apart(name: str) -> list[dict[str, Any]]:
    """Return the rows of a case, measured in processes of its own."""
    run = timing.Limited(LIMIT)
    try:
        rows: list[dict[str, Any]] = run(measure, name)
    except TimeoutError as error:
        late = {"case": name, "data": described(name), "met": f"not met: {error}"}
        return [BLANK | late | who for who in run.patiently(targets_of, name)]
    finally:
        run.close()
    free = timing.Limited(LIMIT, one_thread=False)
    try:
        ratios = free(default_ratios, name)
    except TimeoutError:
        ratios = {}
    free.close()
    for row in rows:
        row["ratio, default threads"] = ratios.get((row["ours"], row["peer"]), math.nan)
    return rows


BLANK: dict[str, Any] = {
    "case": "",
    "data": "",
    "ours": "",
    "peer": "",
    "target": math.nan,
    "ratio": math.nan,
    "met": "",
    "our time, s": math.nan,
    "peer's time, s": math.nan,
    "our gap": math.nan,
    "peer's gap": math.nan,
    "passes": math.nan,
    "runs": "",
    "ratio, default threads": math.nan,
}


def targets_of(name: str) -> list[dict[str, Any]]:
    """Return who is measured against whom in a case."""
    targets = CASES[name]().targets
    return [{"ours": t.ours, "peer": t.peer, "target": t.ratio} for t in targets]


def measure(name: str) -> list[dict[str, Any]]:
    """Return the rows of a case."""
    warnings.simplefilter("ignore")
    case = CASES[name]()
    costs = memory_costs(case) if case.memory else time_costs(case, time.process_time)
    return [row(name, case, target, costs) for target in case.targets]


def default_ratios(name: str) -> dict[tuple[str, str], float]:
    """Return a case's ratios by the wall clock, but for those of slow contenders."""
    warnings.simplefilter("ignore")
    case = CASES[name]()
    slow = {name for name, contender in case.contenders.items() if contender.slow}
    targets = [t for t in case.targets if not {t.ours, t.peer} & slow]
    if case.memory or not targets:
        return {}
    used = {t.ours for t in targets} | {t.peer for t in targets}
    quick = {n: c for n, c in case.contenders.items() if n.split(",")[0] in used}
    costs = time_costs(Case(case.X, case.y, quick, targets), time.perf_counter)
    return {
        (t.ours, t.peer): costs[t.ours].median / best(costs, t.peer).median
        for t in targets
    }


class Cost:
    """What a contender's runs cost, and what the last of them returned."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.calls = 1
        self.result: Any = None
        self.error = ""
        self.passes = math.nan

    @property
    def median(self) -> float:
        """The median, nan without a run."""
        return float(np.median(self.times)) if self.times else math.nan


def time_costs(case: Case, clock: Callable[[], float]) -> dict[str, Cost]:
    """Return every contender's times, one run of each after the other."""
    costs = {name: Cost() for name in case.contenders}
    for turn in range(RUNS + 1):
        for name, contender in case.contenders.items():
            cost = costs[name]
            budget = SLOW_BUDGET if contender.slow else BUDGET
            if cost.error or sum(cost.times) * cost.calls > budget:
                continue
            passed = timed(cost, contender, clock)
            if cost.error:
                continue
            # The first run warms up, unless it is one of few.
            if turn > 0 or passed > 1.0:
                cost.times.append(passed)
            cost.calls = math.ceil(SHORTEST_RUN / max(passed, 1e-6))
    return costs


def timed(cost: Cost, contender: Contender, clock: Callable[[], float]) -> float:
    """Return the time of a call, by as many as the cost asks for."""
    original = arrays.make_rows
    made: list[Any] = []

    def counting(*arguments: Any, **options: Any) -> Any:
        made.append(original(*arguments, **options))
        return made[-1]

    arrays.make_rows = counting
    try:
        start = clock()
        for _ in range(cost.calls):
            cost.result = contender.run()
        passed = (clock() - start) / cost.calls
    except Exception as error:
        cost.error = f"{type(error).__name__}: {error}"
        return math.inf
    finally:
        arrays.make_rows = original
    cost.passes = float(made[-1].passes) if made else math.nan
    # Another program's fit was timed there.
    return cost.result.seconds if isinstance(cost.result, Answer) else passed


def memory_costs(case: Case) -> dict[str, Cost]:
    """Return every contender's largest memory, in units of X."""
    costs = {name: Cost() for name in case.contenders}
    for name, contender in case.contenders.items():
        tracemalloc.start()
        costs[name].result = contender.run()
        costs[name].times = [tracemalloc.get_traced_memory()[1] / case.X.nbytes]
        tracemalloc.stop()
    costs["bytes of X"] = Cost()
    costs["bytes of X"].times = [1.0]
    return costs


def best(costs: dict[str, Cost], peer: str) -> Cost:
    """Return the cheapest of a peer's layouts."""
    layouts = [cost for name, cost in costs.items() if name.split(",")[0] == peer]
    return min(layouts, key=lambda cost: cost.median)


def row(
    name: str, case: Case, target: Target, costs: dict[str, Cost]
) -> dict[str, Any]:
    """Return a row of the table."""
    own, peer = costs[target.ours], best(costs, target.peer)
    ratio = own.median / peer.median
    found = {
        "case": name,
        "data": described(name),
        "ours": target.ours,
        "peer": target.peer,
        "target": target.ratio,
        "ratio": ratio,
        "our time, s": math.nan if case.memory else own.median,
        "peer's time, s": math.nan if case.memory else peer.median,
        "our gap": own_gap(case, target.ours, own),
        "peer's gap": peer_gap(case, target.peer, peer, own),
        "passes": own.passes,
        "runs": f"{len(own.times)}, {len(peer.times)}",
    }
    return BLANK | found | {"met": verdict(target, own, peer, found)}


def described(name: str) -> str:
    """Return a case's data in words."""
    return (CASES[name].__doc__ or "").strip().rstrip(".")


def verdict(target: Target, own: Cost, peer: Cost, found: dict[str, Any]) -> str:
    """Return whether a target is met, and if not what fails."""
    if peer.error:
        return f"no peer: {peer.error}"
    if own.error:
        return "missing" if "robust_path" in own.error else f"not met: {own.error}"
    failed = []
    if not found["ratio"] <= target.ratio:
        failed.append("cost")
    if found["our gap"] > target.gap:
        failed.append("gap")
    if found["passes"] > target.passes:
        failed.append(f"more than {target.passes:g} passes")
    return f"not met: {', '.join(failed)}" if failed else "met"


def own_gap(case: Case, name: str, cost: Cost) -> float:
    """Return our certified gap over the objective, the largest of a path."""
    problem = case.contenders[name].problem
    if problem is None or cost.error:
        return math.nan
    X, y, result = case.X, case.y, cost.result
    if name == "robust_path":
        gaps = []
        for k, alpha in enumerate(result.alphas):
            at = vars(problem) | {"alpha": float(alpha)}
            coef, intercept = result.coefs[:, k], result.intercepts[k]
            value = type(problem)(**at).value(X, y, coef, float(intercept))
            gaps.append(float(result.dual_gaps[k]) / value)
        return max(gaps)
    value = problem.value(X, y, result.coef_, float(result.intercept_), result.scale_)
    return float(result.dual_gap_) / value


def peer_gap(case: Case, name: str, peer: Cost, own: Cost) -> float:
    """Return how far a peer's objective is from our optimum, relative to it."""
    contender = case.contenders.get(name)
    if contender is None or contender.problem is None or peer.error or own.error:
        return math.nan
    problem, result, fit = contender.problem, peer.result, own.result
    if isinstance(result, Answer):
        reached = problem.value(case.X, case.y, result.coef, result.intercept)
        optimum = problem.value(case.X, case.y, fit.coef_, float(fit.intercept_))
        return (reached - optimum) / optimum
    if name == "HuberRegressor":
        # The breakpoint at its own scale; the penalty is the same there.
        beta = EPSILON * float(result.scale_)
        problem = type(problem)(**(vars(problem) | {"beta": beta}))
        fit = SmoothL1Regressor(beta=beta, penalty="l2", alpha=problem.alpha).fit(
            case.X, case.y
        )
    optimum = problem.value(case.X, case.y, fit.coef_, float(fit.intercept_))
    reached = problem.value(
        case.X, case.y, np.ravel(result.coef_), float(result.intercept_)
    )
    return (reached - optimum) / optimum


BENCHMARK = harness.Benchmark(
    __file__, list(CASES), measure_apart, assemble, peers=["R: quantreg"]
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
