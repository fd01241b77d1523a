"""Random hard problems by the thousand: is any fit wrong, slow, or badly put?

::

    python benchmarks/fuzz.py                  # 100,000 problems
    python benchmarks/fuzz.py --only 162       # one again

Each fit is judged from its own coefficients by `tests/fuzz_checks.py`: whether the
objective can be lowered, whether the certificate says so, whether the scale is that of
the residuals, whether the same problem in other words has the same answer, and whether
any warning or error is not the package's own. Its time is compared with the median of
the fits of its size.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import harness
import timing

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

COUNT = 100_000
# Large data takes most of the time: three problems of four have no more rows than this.
FEW_ROWS = 1_000
# Fits are compared with those whose data has as many entries, within this factor.
SIZE_FACTOR = 4.0
SLOWEST = 10
# Numbers that a process takes at a time.
CHUNK = 50


def main() -> None:
    """Judge the problems that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--start", type=int, default=0, help="the first number")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of problems")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    numbers = options.only or range(options.start, options.start + options.count)
    rows = judge_all(numbers, options.jobs)
    text = summary(rows)
    print(text)
    if options.only is None and options.count >= COUNT:
        harness.write("fuzz.md", text)


def judge_all(numbers: Sequence[int], jobs: int) -> list[dict[str, Any]]:
    """Return a row for each problem, in the order of their numbers."""
    for name in timing.THREADS:
        os.environ[name] = "1"
    rows, start = [], time.monotonic()
    # A fit that ends its process ends all of them, where a Pool would wait for ever.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for row in pool.map(judge, numbers, chunksize=CHUNK):
            rows.append(row)
            if row["wrong"]:
                print(f"{row['problem']}\n    {row['wrong']}", flush=True)
            if len(rows) % 5_000 == 0:
                passed = time.monotonic() - start
                print(f"{len(rows)} problems, {passed:.0f} s", flush=True)
    return rows


def judge(number: int) -> dict[str, Any]:
    """Fit a problem and return what was found."""
    from fuzz_checks import contradictions, faults, refusal, run
    from fuzz_problems import MOST_ROWS, draw

    problem = draw(number, FEW_ROWS if number % 4 else MOST_ROWS)
    row = {"number": number, "problem": problem.describe(), "entries": problem.X.size}
    try:
        seconds, outcome = timing.seconds(lambda: run(problem))
        wrong = faults(problem, outcome) + contradictions(problem, outcome, number)
    except Exception as error:
        wrong = [refusal(error) or f"refused: {error}"]
        return row | {"seconds": 0.0, "wrong": wrong[0], "state": "error"}
    states = [(outcome.unconverged, "warned"), (outcome.collapsed, "collapsed")]
    state = next((name for true, name in states if true), "converged")
    return row | {"seconds": seconds, "wrong": "; ".join(wrong), "state": state}


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """Return what was found, with the slowest fits beside the median of their size."""
    counts = defaultdict(int)
    for row in rows:
        counts[row["state"]] += 1
    wrong = [row for row in rows if row["wrong"]]
    states = ", ".join(f"{counts[name]:,} {name}" for name in sorted(counts))
    lines = [f"{len(rows):,} problems: {states}; {len(wrong)} with a fault.\n"]
    lines += [f"- {row['problem']}: {row['wrong']}" for row in wrong]
    slow = sorted(with_ratio(rows), key=lambda row: -row["ratio"])[:SLOWEST]
    table = [
        {
            "problem": row["problem"],
            "seconds": row["seconds"],
            "median of its size": row["median"],
            "ratio": row["ratio"],
            "state": row["state"],
        }
        for row in slow
    ]
    return "\n".join(lines) + f"\n{harness.markdown(table)}\n{harness.machine()}\n"


def with_ratio(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with the median time of their size."""
    classes = defaultdict(list)
    for row in rows:
        classes[size_class(row)].append(row["seconds"])
    medians = {size: median(times) for size, times in classes.items()}
    return [
        row | {"median": typical, "ratio": row["seconds"] / typical}
        for row in rows
        if (typical := medians[size_class(row)]) > 0
    ]


def size_class(row: dict[str, Any]) -> int:
    """Return which sizes a problem is compared with."""
    size, entries = 0, row["entries"]
    while entries > SIZE_FACTOR:
        size, entries = size + 1, entries / SIZE_FACTOR
    return size


if __name__ == "__main__":
    main()
