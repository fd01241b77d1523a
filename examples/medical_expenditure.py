"""Robust regression of medical bills, from a data frame to tuned model and pictures.

The bills are those of 5,574 people in the RAND Health Insurance Experiment: a typical
bill is 32 dollars, the largest is 39,182. The example builds a pipeline for numbers and
categories, chooses loss, breakpoint and penalty by cross-validation, compares the
result with scikit-learn's linear models on people it has not seen, and saves three
pictures to ``examples/output``.

Run it from the project root::

    pip install ".[examples]"
    python examples/medical_expenditure.py
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import (
    HuberRegressor,
    LinearRegression,
    QuantileRegressor,
    Ridge,
)
from sklearn.metrics import mean_absolute_error, median_absolute_error
from sklearn.model_selection import GridSearchCV, KFold, ParameterGrid, train_test_split
from sklearn.preprocessing import OneHotEncoder
from tabular import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    draw,
    load,
    pipeline,
    preprocessor,
)

from robustreg import L1Regressor, RobustRegressor
from robustreg.losses import make_loss

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from sklearn.base import RegressorMixin

SEED = 0
FOLDS = 3
# Without its first level no category repeats another, and a fit without a penalty has
# one answer only.
ENCODER = OneHotEncoder(drop="first", sparse_output=False)
SMOOTH_LOSSES = ["smooth_l1", "huber", "pseudo_huber", "log_cosh"]
PENALTIES = {
    "regressor__penalty": ["l1", "l2"],
    "regressor__alpha": [0.001, 0.01, 0.1],
}
GRID = [
    {"regressor__loss": ["l2", "l1"], **PENALTIES},
    {
        "regressor__loss": SMOOTH_LOSSES,
        "regressor__beta": [0.1, 0.5, None],
        **PENALTIES,
    },
]
LOSSES = ["l2", "l1", "quantile", "smooth_l1", "huber", "pseudo_huber", "log_cosh"]


@dataclass
class Split:
    """People to learn from and people to be judged on."""

    X_train: pd.DataFrame
    X_test: pd.DataFrame
    y_train: pd.Series
    y_test: pd.Series


@dataclass
class Score:
    """What the table says about one model."""

    name: str
    prediction: NDArray[np.float64]
    seconds: float
    converged: bool


def main() -> None:
    """Tune, compare, draw."""
    X, y = load("Ecdat", "MedExp", target="med")
    split = Split(*train_test_split(X, y, test_size=0.3, random_state=SEED))
    describe(y)
    search = tune(split)
    scores = compare(split, search.best_estimator_["regressor"])
    print_table(split, scores)
    print_means_and_medians(split, scores)
    save_pictures(split, scores)


def describe(y: pd.Series) -> None:
    """Say how far the outliers are."""
    print(f"Medical bills of {len(y):,} people, in dollars")
    for share in (0.5, 0.9, 0.99, 1.0):
        print(f"  {share:4.0%} pay at most {y.quantile(share):10,.2f}")


@contextmanager
def convergence() -> Iterator[list[warnings.WarningMessage]]:
    """Collect the convergence warnings of a block instead of printing them."""
    found: list[warnings.WarningMessage] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield found
    found += [w for w in caught if issubclass(w.category, ConvergenceWarning)]


def tune(split: Split) -> GridSearchCV:
    """Choose loss, breakpoint and penalty by the cross-validated absolute error."""
    search = GridSearchCV(
        pipeline(ENCODER, RobustRegressor()),
        GRID,
        scoring="neg_mean_absolute_error",
        cv=KFold(FOLDS, shuffle=True, random_state=SEED),
    )
    fits = FOLDS * len(ParameterGrid(GRID)) + 1
    print(f"\nGrid search: {fits} fits", end="", flush=True)
    start = time.perf_counter()
    with convergence() as unconverged:
        search.fit(split.X_train, split.y_train)
    print(f" in {time.perf_counter() - start:.1f} s, ", end="")
    print(f"{fits - len(unconverged)} of them converged")
    print_best_of_each_loss(search)
    return search


def print_best_of_each_loss(search: GridSearchCV) -> None:
    """Print the best setting of every loss, best loss first."""
    results = search.cv_results_
    best: dict[str, tuple[float, dict[str, Any]]] = {}
    for error, raw in zip(-results["mean_test_score"], results["params"], strict=True):
        setting = {name.removeprefix("regressor__"): raw[name] for name in raw}
        loss = setting["loss"]
        if loss not in best or error < best[loss][0]:
            best[loss] = error, setting
    print(f"  {'loss':14}{'beta':>6}{'penalty':>9}{'alpha':>8}{'CV error':>10}")
    for loss, (error, setting) in sorted(best.items(), key=lambda pair: pair[1][0]):
        beta = setting.get("beta", "-") or "auto"
        print(f"  {loss:14}{beta:>6}{setting['penalty']:>9}", end="")
        print(f"{setting['alpha']:>8}{error:10.2f}")


def compare(split: Split, tuned: RegressorMixin) -> list[Score]:
    """Fit every model on the same prepared columns, so that times compare."""
    models = {
        "LinearRegression": LinearRegression(),
        "Ridge": Ridge(),
        "HuberRegressor": HuberRegressor(),
        "QuantileRegressor(alpha=0)": QuantileRegressor(quantile=0.5, alpha=0),
        "robustreg L1Regressor": L1Regressor(),
        "robustreg RobustRegressor": RobustRegressor(),
        "robustreg after grid search": clone(tuned),
    }
    prepare = preprocessor(ENCODER).fit(split.X_train)
    columns = [prepare.transform(part) for part in (split.X_train, split.X_test)]
    return [
        fit_and_predict(name, model, *columns, split.y_train)
        for name, model in models.items()
    ]


def fit_and_predict(
    name: str, model: RegressorMixin, train: Any, test: Any, y: pd.Series
) -> Score:
    """Fit one model, by the clock and with an ear for warnings."""
    start = time.perf_counter()
    with convergence() as unconverged:
        model.fit(train, y)
    seconds = time.perf_counter() - start
    return Score(name, model.predict(test), seconds, not unconverged)


def print_table(split: Split, scores: list[Score]) -> None:
    """Print the errors on unseen people beside the price of the fit."""
    print(f"\nOn {len(split.y_test):,} people not seen before, in dollars")
    print(f"  {'':29}{'median':>9}{'mean':>9}{'fit':>9}")
    print(f"  {'':29}{'|error|':>9}{'|error|':>9}{'seconds':>9}{'converged':>11}")
    for score in scores:
        median = median_absolute_error(split.y_test, score.prediction)
        mean = mean_absolute_error(split.y_test, score.prediction)
        print(f"  {score.name:29}{median:9.2f}{mean:9.2f}{score.seconds:9.4f}", end="")
        print(f"{'yes' if score.converged else 'no':>11}")


def print_means_and_medians(split: Split, scores: list[Score]) -> None:
    """Say what the table does not: the models answer two different questions."""
    print("\nBills are skewed: least squares estimates the mean bill, a median fit the")
    print("typical bill. Neither is wrong; for the sum of all bills take the mean.")
    print(f"  {'average bill':29}{split.y_test.mean():9.2f}")
    for score in (scores[0], scores[-1]):
        print(f"  {score.name:29}{score.prediction.mean():9.2f}  average prediction")


def save_pictures(split: Split, scores: list[Score]) -> None:
    """Draw the three pictures and say where they are."""
    order = np.argsort(split.y_test)
    residuals = {
        score.name: (split.y_test - score.prediction).iloc[order]
        for score in (scores[0], scores[-1])
    }
    print("\nPictures")
    print(" ", draw("fit_against_outliers.png", paint_phone_calls, (7.5, 4.5)))
    print(" ", draw("residuals.png", partial(paint_residuals, residuals), (10, 4.2)))
    print(" ", draw("loss_curves.png", paint_losses, (10, 5)))


def paint_phone_calls(figure: Figure) -> None:
    """Draw lines through the calls from Belgium, six years of which are in minutes."""
    calls, y = load("robustbase", "telef", target="Calls")
    years = 1900 + calls["Year"]
    models: dict[str, tuple[RegressorMixin, str]] = {
        "LinearRegression": (LinearRegression(), ORANGE),
        "RobustRegressor": (RobustRegressor(), BLUE),
        "L1Regressor": (L1Regressor(), GREEN),
    }
    axes = figure.add_subplot()
    for name, (model, color) in models.items():
        prediction = model.fit(calls, y).predict(calls)
        axes.plot(years, prediction, color=color, lw=2, label=name)
    wrong = years.between(1964, 1969)
    axes.scatter(years, y, s=30, zorder=3, ec=BLACK, c=np.where(wrong, "white", BLACK))
    axes.text(1963.5, 16, "1964 to 1969:\nminutes, not calls", ha="right", va="center")
    axes.set_title("Wrong units bend least squares")
    axes.set_ylabel("phone calls from Belgium, tens of millions")
    axes.legend(loc="upper left")


def paint_residuals(residuals: dict[str, pd.Series], figure: Figure) -> None:
    """Draw the residuals one by one, and the share of them below each size."""
    left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.08})
    for (name, values), color in zip(residuals.items(), (ORANGE, BLUE), strict=True):
        people = np.linspace(0, 100, len(values))
        left.scatter(people, values, s=3, color=color)
        right.plot(np.sort(np.abs(values)), people, color=color, lw=2, label=name)
    left.axhline(0, color=BLACK, lw=1)
    left.set_yscale("symlog", linthresh=10)
    left.set_title("Residuals of unseen people")
    left.set(xlabel="people in order of their bill, %", ylabel="bill - prediction, $")
    right.set_title("How many are predicted how well")
    right.set(xscale="log", xlim=(1, None), xlabel="|bill - prediction|, at most $")
    right.set_ylabel("people, %")
    right.legend(loc="lower right")


def paint_losses(figure: Figure) -> None:
    """Draw every loss with its gradient, over least squares in grey."""
    grid = figure.subplots(2, 4, sharex=True, sharey=True).ravel()
    for axes, name in zip(grid, LOSSES, strict=False):
        paint_loss(axes, name)
    handles, labels = grid[1].get_legend_handles_labels()
    grid[-1].axis("off")
    grid[-1].legend(handles, labels, loc="center", title="beta = 1.5", fontsize=11)
    figure.supxlabel("residual", fontsize=10)


def paint_loss(axes: Axes, name: str) -> None:
    """Draw one loss."""
    quantile = 0.75 if name == "quantile" else 0.5
    loss = make_loss(name, beta=1.5, quantile=quantile)
    residual = np.linspace(-4, 4, 801)
    axes.plot(residual, residual**2 / 2, color=GREY, lw=1, label="least squares")
    axes.plot(residual, loss.value(residual), color=BLUE, lw=2, label="loss")
    slope = loss.gradient(residual)
    axes.plot(residual, slope, color=RED, lw=2, ls="--", label="gradient")
    axes.set_title(f"{name} {quantile}" if name == "quantile" else name)
    axes.set_ylim(-2.2, 5)


if __name__ == "__main__":
    main()
