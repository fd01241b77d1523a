"""Few cases in which any two values meet that meet in many.

What goes wrong does so for a value, or for two together; of all products of three and
more lists of values a small part shows it. The rest is time.
"""

from heapq import heapify, heapreplace
from itertools import combinations, product


def pairs_of(case):
    """Return any two values of a case, each with its place."""
    return set(combinations(enumerate(case), 2))


def covering(cases):
    """Return few of the cases, in order, that have all pairs of values of them all.

    Each time one with the most pairs that are new, which is near the fewest there are.
    """
    cases = list(cases)
    pairs = [pairs_of(case) for case in cases]
    missing, chosen = set().union(*pairs), []
    # What a case adds only falls, so that a figure of before is a bound.
    queue = [(-len(own), index) for index, own in enumerate(pairs)]
    heapify(queue)
    while missing:
        bound, index = queue[0]
        new = len(pairs[index] & missing)
        if new == -bound:
            missing -= pairs[index]
            chosen.append(index)
            new = 0
        heapreplace(queue, (-new, index))
    return [cases[index] for index in sorted(chosen)]


def pairwise(*factors):
    """Return few cases in which each value meets each value of the other factors."""
    return covering(product(*factors))
