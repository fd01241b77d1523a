"""Who is compared under contamination: ours and peers, each by its best settings."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from real_data import Array
from sklearn.base import RegressorMixin, clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import (
    HuberRegressor,
    LinearRegression,
    QuantileRegressor,
    RANSACRegressor,
    Ridge,
    TheilSenRegressor,
)

from robustreg import (
    L1Regressor,
    MMRegressor,
    RobustRegressor,
    RobustRegressorCV,
)

Predict = Callable[[Array], Array]
LMROB, ROBUSTBASE = "lmrob", "R: robustbase"
# A tenth of its default, which would take most of the benchmark's time.
SUBSETS = 1000


@dataclass(frozen=True)
class Contender:
    """A fit that returns how it predicts.

    ``ours`` is whether it is this package's, ``linear`` whether its predictions are a
    linear function of the columns.
    """

    fit: Callable[[Array, Array], Predict]
    ours: bool = False
    linear: bool = True


def of_sklearn(model: RegressorMixin) -> Callable[[Array, Array], Predict]:
    """Return the fit of an estimator."""

    def run(X: Array, y: Array) -> Predict:
        return clone(model).fit(X, y).predict

    return run


def linear(coef: Array, intercept: float) -> Predict:
    """Return the predictions of coefficients."""
    return lambda X: X @ coef + intercept


def rlm(norm: str) -> Callable[[Array, Array], Predict]:
    """Return statsmodels' M-estimate with a norm and the scale by MAD."""

    def run(X: Array, y: Array) -> Predict:
        import statsmodels.api as sm

        loss = getattr(sm.robust.norms, norm)()
        design = sm.add_constant(X, has_constant="add")
        params = sm.RLM(y, design, M=loss).fit(maxiter=500).params
        return linear(params[1:], params[0])

    return run


def rlm_det_smm(X: Array, y: Array) -> Predict:
    """Fit statsmodels' MM-estimate from deterministic starts.

    They come from robust distances, which fail on columns with few values. As many
    columns as it can do with are given to them, those with the most values first.
    """
    import statsmodels.api as sm
    from statsmodels.robust.resistant_linear_model import RLMDetSMM

    design = sm.add_constant(X, has_constant="add")
    values = np.array([np.unique(column).size for column in X.T])
    order = np.argsort(-values, kind="stable") + 1
    for used in range((values > 2).sum(), 0, -1):
        columns = sorted(order[:used].tolist())
        with contextlib.suppress(ZeroDivisionError, np.linalg.LinAlgError):
            params = RLMDetSMM(y, design, col_indices=columns).fit().params
            if np.isfinite(params).all():
                return linear(params[1:], params[0])
    raise ValueError("RLMDetSMM can use no column for its starts")


def lmrob(problems: list[tuple[Array, Array]]) -> list[tuple[Predict | None, float]]:
    """Return R's MM-estimates of some problems and their times."""
    script = Path(__file__).parent / "lmrob.R"
    with tempfile.TemporaryDirectory() as folder:
        for number, (X, y) in enumerate(problems):
            X.T.tofile(f"{folder}/X{number}")
            y.tofile(f"{folder}/y{number}")
        shape = (str(size) for size in (len(problems), *problems[0][0].shape))
        command = ["Rscript", str(script), folder, *shape]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-300:])
    return [_parsed(line) for line in done.stdout.splitlines()]


def _parsed(line: str) -> tuple[Predict | None, float]:
    """Return the fit and the time that a line of R's output holds."""
    *params, seconds = (float(word) for word in line.split())
    failed = not np.isfinite(params).all()
    return None if failed else linear(np.array(params[1:]), params[0]), seconds


def _own(model: RegressorMixin) -> Contender:
    """Return one of ours."""
    return Contender(of_sklearn(model), ours=True)


def _peer(model: RegressorMixin) -> Contender:
    """Return a linear estimator of scikit-learn's."""
    return Contender(of_sklearn(model))


DEFAULT, HUBER = "RobustRegressor()", "HuberRegressor"
# Where HuberRegressor's loss turns at its default epsilon, in standard deviations of
# Gaussian residuals; see efficiency.py.
AS_HUBER = 0.92
# What cross-validation chooses from: without outliers, with some, with many.
LOSSES = ["l2", "smooth_l1", "l1", "tukey"]
CHOSEN = f"RobustRegressorCV({', '.join(LOSSES)})"
CONTENDERS: dict[str, Contender] = {
    DEFAULT: _own(RobustRegressor()),
    f"RobustRegressor(beta={AS_HUBER})": _own(RobustRegressor(beta=AS_HUBER)),
    CHOSEN: _own(RobustRegressorCV(LOSSES, penalty=None)),
    "L1Regressor()": _own(L1Regressor()),
    'RobustRegressor("cauchy")': _own(RobustRegressor("cauchy")),
    'RobustRegressor("welsch")': _own(RobustRegressor("welsch")),
    'RobustRegressor("tukey")': _own(RobustRegressor("tukey")),
    'RobustRegressor("talwar")': _own(RobustRegressor("talwar")),
    "MMRegressor()": _own(MMRegressor()),
    "MMRegressor(efficiency=0.85)": _own(MMRegressor(efficiency=0.85)),
    "MMRegressor(n_subsets=0)": _own(MMRegressor(n_subsets=0)),
    "MMRegressor(n_subsets=0, efficiency=0.85)": _own(
        MMRegressor(n_subsets=0, efficiency=0.85)
    ),
    "LinearRegression": _peer(LinearRegression()),
    "Ridge": _peer(Ridge()),
    HUBER: _peer(HuberRegressor(alpha=0.0, max_iter=10_000, tol=1e-8)),
    "QuantileRegressor": _peer(QuantileRegressor(alpha=0.0, solver="highs")),
    "RANSACRegressor": _peer(RANSACRegressor(random_state=0)),
    "TheilSenRegressor": _peer(
        TheilSenRegressor(max_subpopulation=SUBSETS, random_state=0)
    ),
    "RLM Huber": Contender(rlm("HuberT")),
    "RLM Tukey": Contender(rlm("TukeyBiweight")),
    "RLMDetSMM": Contender(rlm_det_smm),
    "HistGradientBoosting": Contender(
        of_sklearn(HistGradientBoostingRegressor(loss="absolute_error")), linear=False
    ),
}
