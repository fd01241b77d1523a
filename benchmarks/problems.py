"""Data sets with fixed seeds, and the objectives by which every answer is judged."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from robustreg.losses import make_loss

Array = NDArray[Any]

# Levels of the categorical columns of the sparse data: 26,593 in all.
LEVELS = (50, 500, 5000, 20_000, 7, 24, 12, 1000)


@dataclass(frozen=True)
class Problem:
    """An objective, in the terms of the estimators."""

    loss: str = "smooth_l1"
    beta: float = 1.0
    quantile: float = 0.5
    penalty: str | None = "l2"
    alpha: float = 0.0
    l1_ratio: float = 0.5
    fit_intercept: bool = True

    def params(self) -> dict[str, Any]:
        """Return the estimators' parameters."""
        return dict(vars(self))

    def value(
        self, X: Any, y: Array, coef: Array, intercept: float, scale: float = 1.0
    ) -> float:
        """Return the objective at some coefficients, in units of the scale."""
        loss = make_loss(self.loss, self.beta, self.quantile)
        residual = (y - X @ coef - intercept) / scale
        coef = coef / scale
        share = {"l1": 1.0, "l2": 0.0, "elasticnet": self.l1_ratio, None: 0.0}
        l1 = self.alpha * share[self.penalty]
        l2 = self.alpha - l1
        penalty = l1 * np.abs(coef).sum() + l2 * coef @ coef / 2
        return float(loss.value(residual).mean() + penalty)


@lru_cache(1)
def dense(rows: int, columns: int) -> tuple[Array, Array]:
    """Return correlated Gaussian columns and a target with t(1.5) noise."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((columns, columns))
    mixing = np.eye(columns) + 0.3 * mixing / np.sqrt(columns)
    coef = rng.standard_normal(columns)
    X = np.empty((rows, columns))
    # In blocks, so that ten million rows need little more than their own memory.
    for start in range(0, rows, 100_000):
        block = X[start : start + 100_000]
        block[:] = rng.standard_normal(block.shape) @ mixing
    return X, X @ coef + 3 + rng.standard_t(1.5, size=rows)


@lru_cache(1)
def few_coefficients(rows: int, columns: int) -> tuple[Array, Array]:
    """Return equally correlated columns of which 20 matter, and t(1.5) noise."""
    rng = np.random.default_rng(1)
    common = rng.standard_normal((rows, 1))
    X = 0.5 * common + rng.standard_normal((rows, columns))
    coef = np.zeros(columns)
    coef[:20] = 2 * rng.standard_normal(min(20, columns))
    return X, X @ coef + 1 + rng.standard_t(1.5, size=rows)


@lru_cache(1)
def with_dummies(rows: int, columns: int, levels: int) -> tuple[Array, Array]:
    """Return Gaussian columns beside the dummies of a factor, and t(1.5) noise.

    Its levels become rarer from one to the next, down to a tenth of the first; one more
    has no dummy.
    """
    rng = np.random.default_rng(2)
    share = np.geomspace(1.0, 0.1, levels + 1)
    level = rng.choice(levels + 1, size=rows, p=share / share.sum())
    dummies = 1.0 * (level[:, None] == np.arange(levels))
    X = np.column_stack([rng.standard_normal((rows, columns)), dummies])
    coef = rng.standard_normal(columns + levels)
    return X, X @ coef + rng.standard_t(1.5, size=rows)


@lru_cache(1)
def one_hot(rows: int = 300_000) -> tuple[Any, Array]:
    """Return one-hot categories with Zipf frequencies, eight ones in a row, as CSR."""
    rng = np.random.default_rng(0)
    starts = np.cumsum((0, *LEVELS[:-1]))
    columns = [
        start + rng.zipf(1.3, size=rows) % levels
        for start, levels in zip(starts, LEVELS, strict=True)
    ]
    index = np.stack(columns, axis=1).astype(np.int32)
    pointer = np.arange(0, index.size + 1, len(LEVELS), dtype=np.int32)
    ones = np.ones(index.size)
    X = scipy.sparse.csr_array(
        (ones, index.ravel(), pointer), shape=(rows, sum(LEVELS))
    )
    X.sort_indices()
    coef = rng.standard_normal(sum(LEVELS))
    return X, X @ coef + rng.standard_t(1.5, size=rows)
