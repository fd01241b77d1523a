"""Quantiles of house prices: the pipeline of the main example, and how sure it is.

Of 2,930 houses sold in Ames, Iowa, the example predicts the median price and the
quantiles 0.1 and 0.9 from 73 columns, many of them categories, and counts how often
unseen prices stay below each: a quantile that keeps its word has that share. It saves
a picture to ``examples/output``.

Run it from the project root::

    pip install ".[examples]"
    python examples/house_prices.py
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.metrics import (
    mean_absolute_error,
    mean_pinball_loss,
    median_absolute_error,
)
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder
from tabular import BLACK, BLUE, draw, load, pipeline

from robustreg import L1Regressor, RobustRegressor

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Predictions = dict[float, NDArray[np.float64]]

SEED = 0
QUANTILES = (0.1, 0.5, 0.9)
# An l1 penalty on an absolute loss has no units: dollars or euros, alpha is the same.
ALPHA = 0.003
# Some categories are so rare that the test has them and the training has not.
ENCODER = OneHotEncoder(min_frequency=10, handle_unknown="ignore", sparse_output=False)


def main() -> None:
    """Compare point predictions, then predict and check quantiles."""
    X, y = load("modeldata", "ames", target="Sale_Price")
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=SEED)
    print(f"Prices of {len(y):,} houses, {len(y_test)} of them kept for the test")
    print_point_predictions(X_train, X_test, y_train, y_test)
    predictions = {
        quantile: predict_quantile(quantile, X_train, y_train, X_test)
        for quantile in QUANTILES
    }
    print_coverage(predictions, y_test)
    print("\nPicture")
    paint = partial(paint_intervals, predictions, y_test)
    print(" ", draw("house_prices.png", paint, (8, 4.5)))


def print_point_predictions(
    X_train: pd.DataFrame, X_test: pd.DataFrame, y_train: pd.Series, y_test: pd.Series
) -> None:
    """Print the errors of a least squares fit and of a robust one."""
    print(f"\n  {'dollars':20}{'median |error|':>15}{'mean |error|':>15}")
    # Ridge adds up the rows of which robustreg takes the mean: the same penalty.
    for model in (
        Ridge(alpha=ALPHA * len(y_train)),
        RobustRegressor(penalty="l2", alpha=ALPHA),
    ):
        fit = pipeline(ENCODER, model).fit(X_train, y_train)
        prediction = fit.predict(X_test)
        median = median_absolute_error(y_test, prediction)
        mean = mean_absolute_error(y_test, prediction)
        print(f"  {type(model).__name__:20}{median:15,.0f}{mean:15,.0f}")


def predict_quantile(
    quantile: float, X_train: pd.DataFrame, y_train: pd.Series, X_test: pd.DataFrame
) -> NDArray[np.float64]:
    """Fit one conditional quantile and predict it."""
    model = L1Regressor(quantile=quantile, penalty="l1", alpha=ALPHA)
    start = time.perf_counter()
    fit = pipeline(ENCODER, model).fit(X_train, y_train)
    used = np.count_nonzero(fit["regressor"].coef_)
    columns = fit["regressor"].n_features_in_
    print(f"  quantile {quantile}: {used} of {columns} columns used, ", end="")
    print(f"{time.perf_counter() - start:.2f} s")
    return fit.predict(X_test)


def print_coverage(predictions: Predictions, y_test: pd.Series) -> None:
    """Print how often unseen prices stay below their predicted quantiles."""
    print(f"\n  {'quantile':>10}{'prices below':>15}{'pinball loss':>15}")
    for quantile, prediction in predictions.items():
        below = np.mean(y_test <= prediction)
        loss = mean_pinball_loss(y_test, prediction, alpha=quantile)
        print(f"  {quantile:10}{below:15.1%}{loss:15,.0f}")
    low, middle, high = (predictions[quantile] for quantile in QUANTILES)
    inside = np.mean((low <= y_test) & (y_test <= high))
    crossed = np.mean((low > middle) | (middle > high))
    print(f"  between 0.1 and 0.9: {inside:.1%} of prices, 80% promised")
    print(f"  quantiles fitted one by one can cross: here for {crossed:.1%} of houses")


def paint_intervals(
    predictions: Predictions, y_test: pd.Series, figure: Figure
) -> None:
    """Draw prices and predicted intervals, houses in order of predicted median."""
    low, middle, high = (predictions[quantile] / 1000 for quantile in QUANTILES)
    order = np.argsort(middle)
    houses = np.arange(len(order))
    axes = figure.add_subplot()
    axes.fill_between(
        houses, low[order], high[order], color=BLUE, alpha=0.3, lw=0, label="0.1 to 0.9"
    )
    axes.plot(houses, middle[order], color=BLUE, lw=2, label="predicted median")
    axes.scatter(
        houses, y_test.to_numpy()[order] / 1000, s=5, color=BLACK, label="sold for"
    )
    axes.set_title("Unseen prices and their predicted quantiles")
    axes.set(xlabel="houses, in order of predicted median", ylabel="thousand dollars")
    axes.set(yscale="log", yticks=[50, 100, 200, 400, 800], ylim=(30, 1000))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.legend(loc="upper left")


if __name__ == "__main__":
    main()
