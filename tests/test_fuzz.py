"""Random hard problems: each fit is judged from its own coefficients.

`benchmarks/fuzz.py` draws many more of them, and larger ones.
"""

import numpy as np
import pytest
from fuzz_checks import (
    Around,
    contradictions,
    faults,
    improvement,
    one_to_a_pass,
    run,
)
from fuzz_problems import Problem, draw

from robustreg import RobustRegressor

ROWS = 1_000
BLOCKS = [range(start, start + 25) for start in range(0, 150, 25)]
# That had a fault once, among the first thousands of `benchmarks/fuzz.py`.
ONCE_WRONG = (
    652,
    1960,
    1974,
    1994,
    2226,
    2246,
    2754,
    3044,
    6319,
    6332,
    6932,
    7831,
    7871,
    10252,
    10820,
    10963,
    12594,
    15622,
    16731,
    17265,
    18295,
    24820,
    27308,
    33216,
    53868,
    60400,
)


@pytest.mark.parametrize("numbers", BLOCKS, ids=lambda block: f"from {block[0]}")
def test_random_problems_have_no_faults(numbers):
    found = []
    for number in numbers:
        problem = draw(number, ROWS)
        outcome = run(problem)
        wrong = faults(problem, outcome) + contradictions(problem, outcome, number)
        found += [f"{problem.describe()}: {sentence}" for sentence in wrong]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("number", ONCE_WRONG)
def test_what_was_wrong_once_is_not(number):
    problem = draw(number)
    outcome = run(problem)
    found = faults(problem, outcome) + contradictions(problem, outcome, number)
    assert not found, "\n".join([problem.describe(), *found])


@pytest.mark.parametrize("loss", ["log_cosh", "pseudo_huber"])
def test_slopes_tell_one_fit_from_another_unless_all_that_moves_is_far(loss):
    X = np.eye(3)[np.arange(12) % 3]
    y = np.where(X[:, 2] > 0, 1e12 * (-1.0) ** np.arange(12), np.arange(12.0))
    params = {"loss": loss, "penalty": None, "scale": 1.0, "fit_intercept": False}
    problem = Problem(0, X, y, None, RobustRegressor, params)
    model = run(problem).model
    for moved, same in ((0, False), (1, False), (2, True)):
        assert one_to_a_pass(problem, model, 1e-3 * X[:, moved]) == same


@pytest.mark.parametrize("number", range(0, 400, 8))
def test_the_checks_see_a_fit_that_is_a_little_off(number):
    problem = draw(number, ROWS)
    outcome = run(problem)
    around = Around(problem, outcome.model)
    sure = not (outcome.unconverged or outcome.collapsed) and around.typical > 0
    if not (sure and around.varies.any()):
        return
    # One column's share of the prediction moves by a hundredth of the scale.
    model, column = outcome.model, int(np.flatnonzero(around.varies)[0])
    model.coef_ = model.coef_.copy()
    model.coef_[column] += 0.01 * model.scale_ * around.unit[0]
    moved = Around(problem, model)
    still = np.zeros(moved.design.shape[1])
    higher = moved.value(still) - around.value(still)
    if higher > 100 * (moved.slack + 1e-9 * around.typical):
        assert improvement(moved) > 0.5 * higher
