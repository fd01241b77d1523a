"""Rows spoiled on purpose: in y, in X, or in both."""

from __future__ import annotations

import numpy as np
from real_data import Array, continuous

KINDS = ("y", "X", "both")
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4)
# How far a spoiled row is moved: robust deviations of the residuals in y, deviations
# of the columns in X.
NEAREST, FARTHEST = 10.0, 30.0


def spoil(
    X: Array,
    y: Array,
    kind: str,
    share: float,
    rise: Array,
    noise: float,
    seed: int,
) -> tuple[Array, Array]:
    """Return copies of X and y of which a share of the rows is spoiled.

    In y, the target grows by 10 to 30 times the ``noise``, all to the same side, as
    entries in a wrong unit or of another quantity do. In X, the row moves by 10 to 30
    standard deviations along ``rise``, the direction in which rows with higher targets
    lie; its own target stays. In both, the row moves as far, and the target falls by
    10 to 30 times the noise: a group of rows that is far out and follows another law.
    Columns that are dummies stay what they are.

    The rows of a smaller share are among those of a larger one, and the same for all
    kinds.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}. Got {kind!r}.")
    rng = np.random.default_rng([seed, len(y)])
    rows = rng.permutation(len(y))[: round(share * len(y))]
    far = rng.uniform(NEAREST, FARTHEST, size=(2, len(y)))
    direction = rise * continuous(X)
    direction /= np.linalg.norm(direction)
    X, y = X.copy(), y.copy()
    if kind != "y":
        X[rows] += np.outer(far[0, rows], direction)
    if kind != "X":
        y[rows] += noise * far[1, rows] * (1 if kind == "y" else -1)
    return X, y
