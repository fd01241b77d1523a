"""Data of many rows, on which costs are counted."""

import numpy as np


def data(n=60_000, p=10, seed=0):
    """Return correlated columns and a target with t(1.5) noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) @ (np.eye(p) + 0.5 * rng.normal(size=(p, p)))
    # All of X fits float32, so that every container holds the same numbers.
    X = X.astype(np.float32).astype(np.float64)
    return X, X @ rng.normal(size=p) + rng.standard_t(1.5, n)


def uneven(n):
    """Return weights, every seventh of them 0."""
    weight = np.random.default_rng(1).exponential(size=n)
    weight[::7] = 0.0
    return weight
