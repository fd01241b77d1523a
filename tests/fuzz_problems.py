"""Random hard problems, each from a number that draws it again."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor
from robustreg.losses import LOSSES, make_loss

MOST_ROWS, MOST_COLUMNS, MOST_ENTRIES = 10**5, 60, 10**6
KINKED = ("l1", "quantile")


@dataclass(frozen=True)
class Problem:
    """Data and the parameters of an estimator."""

    number: int
    X: Any
    y: np.ndarray
    weight: np.ndarray | None
    estimator: type
    params: dict[str, Any] = field(default_factory=dict)
    container: str = "C"

    @property
    def size(self):
        """Rows and columns."""
        return self.X.shape

    def model(self, **changes):
        """Return the estimator, not fitted."""
        return self.estimator(**{**self.params, **changes})

    def contained(self):
        """Return X in its container."""
        return CONTAINERS[self.container](self.X)

    @property
    def loss(self):
        """The loss that is minimised."""
        model = self.model()
        return make_loss(model.loss, model.beta, model.quantile)

    @property
    def live(self):
        """The weights, sum 1."""
        weight = np.ones(len(self.y)) if self.weight is None else self.weight
        weight = weight / weight.max()
        return weight / weight.sum()

    def strengths(self, scale):
        """Return the weights of ``abs(c)`` and of ``c^2 / 2``."""
        model = self.model()
        share = {"l1": 1.0, "l2": 0.0, "elasticnet": model.l1_ratio, None: None}
        l1_ratio = share[model.penalty]
        if l1_ratio is None:
            return 0.0, 0.0
        l1, l2 = model.alpha * l1_ratio, model.alpha * (1 - l1_ratio)
        return l1 / scale, l2 / scale**2

    def describe(self):
        """Return the problem in a line."""
        n, p = self.size
        weighted = "weighted" if self.weight is not None else "equal weights"
        return f"#{self.number} {n} x {p} {self.container}, {weighted}, {self.model()}"


def _frame(X):
    import pandas as pd

    return pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])


CONTAINERS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "CSR": sp.csr_array,
    "CSC": sp.csc_array,
    "frame": _frame,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "float32": lambda X: X.astype(np.float32),
}


def draw(number, most_rows=MOST_ROWS):
    """Return the problem with a number."""
    rng = np.random.default_rng([number, 7])
    n, p = _draw_size(rng, most_rows)
    X = _draw_design(rng, n, p)
    y, noise = _draw_target(rng, X)
    weight = _draw_weight(rng, n)
    container = str(
        rng.choice(list(CONTAINERS), p=[0.4, 0.1, 0.15, 0.1, 0.1, 0.1, 0.05])
    )
    if container == "float32":
        # The same numbers in either precision.
        X = X.astype(np.float32).astype(np.float64)
    estimator, params = _draw_estimator(rng, noise)
    if params.get("scale") == "proposal2" and weight is not None:
        weight = _counting(weight, p + params["fit_intercept"])
    return Problem(number, X, y, weight, estimator, params, container)


def _draw_size(rng, most_rows):
    """Return rows and columns: mostly few rows, now and then more columns than rows."""
    n = max(1, int(10 ** (np.log10(most_rows) * rng.random() ** 3 + rng.random())))
    n = min(n, most_rows)
    p = int(10 ** (np.log10(MOST_COLUMNS) * rng.random() ** 1.5))
    if n > 30 and rng.random() < 0.7:
        p = min(p, n // 5)
    return n, max(1, min(p, MOST_ENTRIES // n))


def _draw_design(rng, n, p):
    """Return columns of many kinds side by side."""
    kinds = rng.choice(DESIGNS, size=p, p=np.array([9, 2, 2, 2, 2, 1]) / 18)
    X = np.column_stack([DESIGNS_BY_NAME[kind](rng, n) for kind in kinds])
    mood = rng.random()
    if mood < 0.15:
        X = X * 10.0 ** rng.integers(-8, 9, size=p)
    elif mood < 0.25:
        X = X + 10.0 ** rng.integers(0, 9, size=p)
    elif mood < 0.35 and p > 1:
        # Dependent columns: copies, or one that is the sum of others.
        X[:, -1] = X[:, 0] if rng.random() < 0.5 else X[:, :-1].sum(axis=1)
    elif mood < 0.4:
        X = np.eye(p)[rng.integers(0, p, size=n)]
    elif mood < 0.5 and n > 4:
        # Rows that repeat.
        X = X[rng.integers(0, max(n // 4, 1), size=n)]
    elif mood < 0.55:
        X[rng.random(n) < 0.05] *= 100.0
    return X


DESIGNS_BY_NAME = {
    "gaussian": lambda rng, n: rng.normal(size=n),
    "heavy": lambda rng, n: rng.standard_t(2, size=n),
    "binary": lambda rng, n: rng.integers(0, 2, size=n).astype(float),
    "integer": lambda rng, n: rng.integers(-3, 4, size=n).astype(float),
    "sparse": lambda rng, n: rng.normal(size=n) * (rng.random(n) < 0.1),
    "constant": lambda rng, n: np.full(n, float(rng.integers(-2, 3))),
}
DESIGNS = list(DESIGNS_BY_NAME)


def _draw_target(rng, X):
    """Return y and a number of the size of its noise."""
    n, p = X.shape
    deviation = X.std(axis=0)
    unit = 1 / np.where(deviation > 1e-9 * np.abs(X).max(axis=0), deviation, np.inf)
    signal = (X - X.mean(axis=0)) @ (rng.normal(size=p) * unit)
    noise = 10.0 ** rng.integers(-3, 2)
    kind = str(rng.choice(list(TARGETS)))
    y = TARGETS[kind](rng, signal + 10.0 ** rng.integers(-1, 4), noise, n)
    return y, max(noise, 1e-3)


def _mostly_one_value(rng, signal, noise, n):
    y = np.full(n, float(rng.integers(-1, 2)))
    few = rng.integers(0, n, size=max(1, min(n // 20, int(rng.integers(1, 9)))))
    y[few] += rng.integers(1, 4, size=few.size)
    return y


def _outliers(rng, signal, noise, n):
    y = signal + noise * rng.normal(size=n)
    far = rng.random(n) < 0.1
    y[far] += 10.0 ** rng.uniform(2, 12) * rng.standard_t(1, size=far.sum())
    return y


TARGETS = {
    "gaussian": lambda rng, s, noise, n: s + noise * rng.normal(size=n),
    "t(1.5)": lambda rng, s, noise, n: s + noise * rng.standard_t(1.5, size=n),
    "outliers": _outliers,
    "integer": lambda rng, s, noise, n: np.rint(s + noise * rng.normal(size=n)),
    "counts": lambda rng, s, noise, n: rng.poisson(1.0, size=n).astype(float),
    "mostly one value": _mostly_one_value,
    "exact": lambda rng, s, noise, n: s,
    "mostly exact": lambda rng, s, noise, n: s + noise * (rng.random(n) < 0.3),
    "constant": lambda rng, s, noise, n: np.full(n, s[0]),
}


def _draw_weight(rng, n):
    """Return weights or None."""
    kind = rng.integers(0, 8)
    if kind < 4:
        return None
    if kind == 4:
        weight = rng.integers(0, 4, size=n).astype(float)
    elif kind == 5:
        weight = rng.exponential(size=n)
    elif kind == 6:
        weight = 10.0 ** rng.uniform(-6, 6, size=n)
    else:
        weight = (rng.random(n) < 0.5).astype(float)
    weight[rng.integers(0, n)] = 1.0
    return weight


def _counting(weight, n_coefs):
    """Return weights that count rows for a scale that must know how many there are."""
    counts_none = weight.sum() <= n_coefs < np.count_nonzero(weight)
    return weight / weight.mean() if counts_none else weight


def _draw_estimator(rng, noise):
    """Return a class and its parameters."""
    estimator = (SmoothL1Regressor, L1Regressor, RobustRegressor)[rng.integers(0, 3)]
    default = {SmoothL1Regressor: "smooth_l1", L1Regressor: "l1"}
    loss = default.get(estimator, str(rng.choice(list(LOSSES))))
    if rng.random() < 0.2:
        loss = str(rng.choice(list(LOSSES)))
    params = {"loss": loss, "penalty": None}
    if rng.random() < 0.4:
        params["beta"] = float(f"{10 ** rng.uniform(-1.3, 1.3):.2g}")
    if loss == "quantile" or rng.random() < 0.15:
        params["quantile"] = float(rng.choice([0.02, 0.1, 0.25, 0.75, 0.9]))
    if rng.random() < 0.6:
        params["penalty"] = str(rng.choice(["l1", "l2", "elasticnet"]))
        params["alpha"] = float(f"{10 ** rng.uniform(-9, 1):.2g}")
        params["l1_ratio"] = float(rng.choice([0.1, 0.5, 0.9]))
    scale = rng.random()
    if scale < 0.45:
        params["scale"] = "mad" if scale < 0.3 else "proposal2"
    elif scale < 0.75:
        params["scale"] = float(f"{noise * 10 ** rng.uniform(-1, 1):.2g}")
    params["fit_intercept"] = bool(rng.random() < 0.85)
    return estimator, params
