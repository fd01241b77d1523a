"""The cases that stand for all have any two values together."""

from itertools import combinations, product

import pytest
from pairwise import covering, pairs_of, pairwise

FACTORS = [
    (),
    ("ab", (None, True)),
    ("abc", range(4), (False, True), (None, "l1", "l2")),
    (range(13), range(7), range(5), range(2), range(2)),
]


@pytest.mark.parametrize("factors", FACTORS, ids=len)
def test_each_value_meets_each_of_the_other_factors(factors):
    cases = pairwise(*factors)
    met = set().union(*(pairs_of(case) for case in cases))
    assert met == set().union(*(pairs_of(case) for case in product(*factors)))
    places = combinations(range(len(factors)), 2)
    assert len(met) == sum(len(factors[i]) * len(factors[j]) for i, j in places)


@pytest.mark.parametrize("factors", FACTORS[1:], ids=len)
def test_they_are_few_different_and_always_the_same(factors):
    cases = pairwise(*factors)
    largest, second = sorted(map(len, factors))[-1:-3:-1]
    assert largest * second <= len(cases) <= 1.3 * largest * second
    assert len(set(cases)) == len(cases)
    assert cases == pairwise(*factors)


def test_what_is_left_out_stays_out():
    every = [case for case in product(range(5), range(4), range(3)) if sum(case) % 2]
    cases = covering(every)
    assert len(cases) < len(every)
    assert [case for case in every if case in cases] == cases
    assert {pair for case in cases for pair in pairs_of(case)} == {
        pair for case in every for pair in pairs_of(case)
    }
