"""First fits: outliers, weights, a quantile, several targets at once.

Everything here needs scikit-learn only, and its own data sets. Run it from the project
root::

    pip install .
    python examples/quickstart.py
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split

from robustreg import L1Regressor, RobustRegressor, SmoothL1Regressor

Array = NDArray[np.float64]
SEED = 0


def main() -> None:
    """Run the four fits on data with one row in twenty spoiled."""
    X, y = load_diabetes(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=SEED)
    spoiled = np.random.default_rng(SEED).random(len(y)) < 0.05
    y_spoiled = np.where(spoiled, 10 * y, y)
    first_fit(X, y_spoiled, X_test, y_test, spoiled)
    weighted_fit(X, y_spoiled, spoiled)
    quantile_fit(X, y, X_test, y_test)
    boxes_fit()


def first_fit(
    X: Array, y: Array, X_test: Array, y_test: Array, spoiled: NDArray[np.bool_]
) -> None:
    """Fit in three lines, and find the spoiled rows by their weights."""
    model = RobustRegressor()
    model.fit(X, y)
    prediction = model.predict(X_test)

    least_squares = LinearRegression().fit(X, y).predict(X_test)
    suspects = np.argsort(model.weights_)[: spoiled.sum()]
    print(f"First fit: {spoiled.sum()} of {len(y)} targets are ten times too large")
    print("  mean |error| on clean rows")
    print(f"    LinearRegression     {mean_absolute_error(y_test, least_squares):8.2f}")
    print(f"    RobustRegressor      {mean_absolute_error(y_test, prediction):8.2f}")
    print(f"  {spoiled[suspects].sum()} of the {len(suspects)} rows with the ", end="")
    print("smallest weights_ are spoiled ones")


def weighted_fit(X: Array, y: Array, spoiled: NDArray[np.bool_]) -> None:
    """Show that a weight of 0 is a row left out and a weight of 2 a row repeated."""
    weights = np.where(spoiled, 0, np.arange(len(y)) % 2 + 1)
    weighted = RobustRegressor().fit(X, y, sample_weight=weights)
    repeated = RobustRegressor().fit(np.repeat(X, weights, 0), np.repeat(y, weights))
    difference = np.abs(weighted.coef_ / repeated.coef_ - 1).max()
    print("\nWeighted fit: weight 0 for a row left out, 2 for a row repeated")
    print(f"  largest relative difference of coefficients {difference:.0e}")


def quantile_fit(X: Array, y: Array, X_test: Array, y_test: Array) -> None:
    """Predict a value that nine targets in ten stay below."""
    model = L1Regressor(quantile=0.9).fit(X, y)
    print("\nQuantile fit: targets at or below the predicted 0.9 quantile")
    for name, rows, target in (("training", X, y), ("unseen", X_test, y_test)):
        # The fit passes through some rows, up to rounding: they count as below it.
        share = np.mean(target <= model.predict(rows) + 1e-6)
        print(f"  {name:9} rows {share:7.1%}")


def boxes_fit() -> None:
    """Fit the four edges of boxes at once, some of them in wrong units."""
    X, boxes = ink_and_boxes()
    X, X_test, y, y_test = train_test_split(X, boxes, random_state=SEED)
    # The 8 x 8 images were made from 32 x 32 bitmaps: a likely mix-up of units.
    wrong = np.random.default_rng(SEED).random(len(y)) < 0.1
    y = np.where(wrong[:, np.newaxis], 4 * y, y)
    print(f"\nFour targets: boxes around digits, {wrong.mean():.0%} in wrong units")
    print("  mean overlap of predicted and true box on clean rows")
    for model in (LinearRegression(), SmoothL1Regressor(beta=0.1)):
        overlap = box_overlap(model.fit(X, y).predict(X_test), y_test).mean()
        print(f"    {type(model).__name__:20} {overlap:8.1%}")
    print(f"  coef_ {model.coef_.shape}, intercept_ {model.intercept_.shape}")


def ink_and_boxes() -> tuple[Array, Array]:
    """Place digits on a page; return where their ink is, and the boxes around them."""
    images = load_digits().images
    page = np.random.default_rng(SEED).integers(0, 25, size=(2, len(images)))
    x_ink, left, right = ink_and_edges(images.sum(axis=1), page[0])
    y_ink, top, bottom = ink_and_edges(images.sum(axis=2), page[1])
    return np.c_[x_ink, y_ink], np.c_[left, top, right, bottom]


def ink_and_edges(ink: Array, start: Array) -> tuple[Array, Array, Array]:
    """Return centre and spread of the ink along one axis, and its two edges."""
    pixels = np.arange(8) + 0.5
    share = ink / ink.sum(axis=1, keepdims=True)
    centre = share @ pixels
    spread = np.sqrt(share @ pixels**2 - centre**2)
    inked = share > 0.02
    first, last = inked.argmax(axis=1), 8 - inked[:, ::-1].argmax(axis=1)
    return np.c_[start + centre, spread], start + first, start + last


def box_overlap(box: Array, other: Array) -> Array:
    """Return intersection over union of boxes (left, top, right, bottom)."""
    near = np.maximum(box[:, :2], other[:, :2])
    far = np.minimum(box[:, 2:], other[:, 2:])
    shared = np.prod(np.clip(far - near, 0, None), axis=1)
    areas = [np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (box, other)]
    return shared / (areas[0] + areas[1] - shared)


if __name__ == "__main__":
    main()
