"""Settings that libraries read when they are first imported, and what tests share."""

import os
from collections import defaultdict
from importlib.util import find_spec
from random import Random

import pytest

# scikit-learn skips its array API checks without the first; forked and threaded
# tests share the cores without the second.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Callbacks are new in scikit-learn 1.9.
collect_ignore = [] if find_spec("sklearn.callback") else ["test_callbacks.py"]


def pytest_addoption(parser):
    help = "run no more cases of each test than this, drawn by its name"
    parser.addoption("--few", type=int, metavar="N", help=help)


def pytest_collection_modifyitems(config, items):
    most = config.getoption("few")
    if most is None:
        return
    cases = defaultdict(list)
    for item in items:
        cases[item.nodeid.partition("[")[0]].append(item)
    kept = set()
    for test, every in cases.items():
        kept.update(Random(test).sample(every, min(most, len(every))))
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


@pytest.fixture
def factors(monkeypatch):
    """Return a list to which each Cholesky factor adds its size."""
    # Imported here, where the settings above have been made.
    import scipy.linalg

    sizes, factor = [], scipy.linalg.lapack.dpotrf

    def count(matrix, **options):
        sizes.append(len(matrix))
        return factor(matrix, **options)

    monkeypatch.setattr(scipy.linalg.lapack, "dpotrf", count)
    return sizes
