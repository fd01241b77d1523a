"""Random problems, easy and nasty, each from a number that draws it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

Array = NDArray[Any]

FEWEST_ROWS, MOST_ROWS = 30, 100_000
MOST_COLUMNS = 300
MOST_ENTRIES = 10**7

COLUMNS = (
    "gaussian",
    "correlated",
    "collinear",
    "duplicates",
    "discrete",
    "dummies",
    "scales",
    "offsets",
    "heavy",
    "constant",
)
TARGETS = ("t(1.5)", "gaussian", "integer", "binary", "mostly 0", "outliers", "exact")
TARGETS += ("mostly exact", "skewed")
WEIGHTS = ("none", "none", "12 orders", "counts", "half 0")
LOSSES = ("l2", "l1", "smooth_l1", "huber", "pseudo_huber", "log_cosh", "quantile")
PENALTIES = ("none", "l1", "l2", "elasticnet")
SCALES = ("number", "mad", "proposal2")


@dataclass(frozen=True)
class Shape:
    """A problem's description, drawn from its number."""

    number: int
    rows: int
    columns: int
    container: str
    X: str
    y: str
    weights: str
    loss: str
    beta: float | None
    quantile: float
    penalty: str
    alpha: float
    scale: str
    fit_intercept: bool


def draw_shape(number: int) -> Shape:
    """Return the shape with a number."""
    rng = np.random.default_rng([number, 0])
    rows, columns = _draw_size(rng)
    X = str(rng.choice(COLUMNS))
    loss = str(rng.choice(LOSSES))
    level = float(rng.choice([0.1, 0.75, 0.99]))
    tilted = loss == "quantile" or rng.random() < 0.2
    penalty = str(rng.choice(PENALTIES))
    sparse = X in ("dummies", "discrete") and rng.random() < 0.5
    return Shape(
        number=number,
        rows=rows,
        columns=columns,
        container="sparse" if sparse else "dense",
        X=X,
        y=str(rng.choice(TARGETS)),
        weights=str(rng.choice(WEIGHTS)),
        loss=loss,
        beta=None if rng.random() < 0.5 else _log_uniform(rng, 0.05, 10),
        quantile=level if tilted else 0.5,
        penalty=penalty,
        alpha=0.0 if penalty == "none" else _log_uniform(rng, 1e-7, 0.3),
        scale=str(rng.choice(SCALES)),
        fit_intercept=bool(rng.random() < 0.85),
    )


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a number whose logarithm is uniform, with two digits."""
    return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.2g}")


def _draw_size(rng: np.random.Generator) -> tuple[int, int]:
    """Return how many rows and columns: tall, p near n, or p above n."""
    columns = round(_log_uniform(rng, 1, MOST_COLUMNS))
    kind = rng.choice(["tall", "tall", "tall", "near", "wide"])
    if kind == "tall" or columns < 8:
        most = min(MOST_ROWS, MOST_ENTRIES // columns)
        return round(_log_uniform(rng, FEWEST_ROWS, most)), columns
    columns = max(columns, FEWEST_ROWS)
    if kind == "near":
        return columns + int(rng.integers(0, columns // 5 + 2)), columns
    return round(_log_uniform(rng, FEWEST_ROWS, columns)), columns


def make_problem(shape: Shape) -> tuple[Any, Array, Array | None, float]:
    """Return X, y, the weights and the scale of the noise."""
    rng = np.random.default_rng([shape.number, 1])
    X = make_columns(rng, shape.X, shape.rows, shape.columns)
    deviation = X.std(axis=0)
    coef = rng.normal(size=shape.columns) * (rng.random(shape.columns) < 0.7)
    signal = (X - X.mean(axis=0)) @ (coef / np.where(deviation > 0, deviation, 1.0))
    y, noise = make_target(rng, shape.y, signal + 3)
    weight = make_weight(rng, shape.weights, shape.rows)
    return (
        scipy.sparse.csr_array(X) if shape.container == "sparse" else X,
        y,
        *(
            weight,
            noise,
        ),
    )


def make_columns(rng: np.random.Generator, kind: str, n: int, p: int) -> Array:
    """Return the columns of a kind."""
    Z = rng.normal(size=(n, p))
    match kind:
        case "gaussian":
            return Z
        case "correlated":
            return Z + 2 * rng.normal(size=(n, 1))
        case "collinear":  # the last of many columns is all but a sum of others
            return Z * 10.0 ** -rng.uniform(3, 8) + rng.normal(size=(n, 1))
        case "duplicates":
            return Z[:, rng.integers(0, max(p // 2, 1), size=p)]
        case "discrete":
            return rng.poisson(0.7, size=(n, p)).astype(float)
        case "dummies":  # every level of a few factors, so that their sums are equal
            return _dummies(rng, n, p)
        case "scales":
            return Z * 10.0 ** rng.uniform(-8, 8, size=p)
        case "offsets":
            return Z + 10.0 ** rng.uniform(0, 8, size=p)
        case "heavy":
            return np.exp(1.5 * Z)
        case "constant":
            return np.where(rng.random(p) < 0.3, 7.0, Z)
    raise ValueError(kind)


def _dummies(rng: np.random.Generator, n: int, p: int) -> Array:
    """Return p indicator columns of factors with up to 40 levels."""
    X = np.zeros((n, p))
    start = 0
    while start < p:
        levels = int(min(rng.integers(2, 41), p - start))
        X[np.arange(n), start + rng.zipf(1.4, size=n) % levels] = 1.0
        start += levels
    return X


def make_target(
    rng: np.random.Generator, kind: str, signal: Array
) -> tuple[Array, float]:
    """Return a target of a kind and the scale of its noise."""
    n = signal.size
    match kind:
        case "t(1.5)":
            return signal + rng.standard_t(1.5, size=n), 1.0
        case "gaussian":
            return 1e3 * (signal + rng.normal(size=n)), 1e3
        case "integer":
            return np.round(signal + rng.normal(size=n)), 1.0
        case "binary":
            return (signal + rng.normal(size=n) > 3).astype(float), 0.5
        case "mostly 0":
            return np.where(rng.random(n) < 0.6, 0.0, signal + rng.normal(size=n)), 1.0
        case "outliers":
            y = signal + rng.normal(size=n)
            y[rng.random(n) < 0.05] *= 1e12
            return y, 1.0
        case "exact":
            return signal, 1.0
        case "mostly exact":
            return signal + (rng.random(n) < 0.3) * rng.normal(size=n), 1.0
        case "skewed":
            return signal + rng.lognormal(sigma=2.0, size=n), 1.0
    raise ValueError(kind)


def make_weight(rng: np.random.Generator, kind: str, n: int) -> Array | None:
    """Return weights of a kind, not all 0."""
    match kind:
        case "none":
            return None
        case "12 orders":
            return np.asarray(10.0 ** rng.uniform(-6, 6, size=n))
        case "counts":
            return rng.poisson(1.0, size=n) + (np.arange(n) == 0.0)
        case "half 0":
            return (np.arange(n) % 2 == 0).astype(float)
    raise ValueError(kind)
