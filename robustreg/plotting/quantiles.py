"""Several quantiles of a target, with the rows that they should divide."""

from __future__ import annotations

import copy
from numbers import Integral
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike

from robustreg.estimators.quantiles import QuantilesRegressor
from robustreg.linalg import SUM_ERROR
from robustreg.pipelines import feature_names_of, features_of
from robustreg.plotting.drawing import (
    BLUE,
    DASHES,
    GREY,
    VERMILION,
    Array,
    axes_for,
    legend_of,
    point_style,
)
from robustreg.plotting.measuring import last_of, medians_along
from robustreg.rows import present, taken
from robustreg.scale import median_of_each
from robustreg.validation import (
    check_predict_data,
    check_score_data,
    refuse_collections,
    refuse_sparse_rows,
)

# Points of a line against a feature: what is sorted bends where lines cross.
N_POINTS = 201
# What can be drawn without medians.
WITHOUT = "leave feature None to draw against the middle quantile"


@final
class QuantilesDisplay:
    """Fitted quantiles against one feature, or against the one in the middle.

    Against a feature lines are predictions for its values with all other features at
    their medians. That holds a feature made of it, such as its square in another
    column, at its median, too, so that the lines are not what is predicted for rows:
    leave ``feature`` None there. Without one lines are medians of the predictions of
    neighbouring rows, along the quantile nearest to 0.5. Bands lie between quantiles
    that are as far from either end, and the legend has the share of rows below their
    prediction, those on it by half: what a calibrated fit makes the quantile itself, on
    rows that it has not seen.

    Use `from_estimator` to make one.

    Parameters
    ----------
    x : array-like of shape (n_samples,)
        Where rows are drawn.
    y : array-like of shape (n_samples,)
        Their targets.
    quantiles : array-like of shape (n_quantiles,)
        Levels in (0, 1).
    line_x : array-like of shape (n_points,)
        Where lines are drawn, increasing.
    line_y : array-like of shape (n_points, n_quantiles)
        The quantiles there.
    share_below : array-like of shape (n_quantiles,)
        Shares of the rows below their prediction, by weight.
    x_name : str
        What x is called.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where the last `plot` drew.
    points_ : matplotlib PathCollection
        The rows.
    lines_ : list of matplotlib Line2D
        A line for each quantile, in the order given.
    bands_ : list of matplotlib PolyCollection
        The bands, the widest first.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from robustreg import QuantilesRegressor
    >>> from robustreg.plotting import QuantilesDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(1, 5, size=(1000, 1))
    >>> y = X.ravel() * (1 + rng.normal(size=1000))
    >>> model = QuantilesRegressor((0.1, 0.5, 0.9)).fit(X, y)
    >>> display = QuantilesDisplay.from_estimator(model, X, y, feature=0)
    >>> display.share_below.round(3)
    array([0.1, 0.5, 0.9])
    """

    def __init__(
        self,
        *,
        x: ArrayLike,
        y: ArrayLike,
        quantiles: ArrayLike,
        line_x: ArrayLike,
        line_y: ArrayLike,
        share_below: ArrayLike,
        x_name: str,
    ) -> None:
        self.x = np.asarray(x, dtype=np.float64)
        self.y = np.asarray(y, dtype=np.float64)
        self.quantiles = np.asarray(quantiles, dtype=np.float64)
        self.line_x = np.asarray(line_x, dtype=np.float64)
        self.line_y = np.asarray(line_y, dtype=np.float64)
        self.share_below = np.asarray(share_below, dtype=np.float64)
        self.x_name = x_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        feature: int | str | None = None,
        sample_weight: ArrayLike | None = None,
        ax: Any = None,
        scatter_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
        band_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw a fitted `QuantilesRegressor` with rows; return the display.

        Parameters
        ----------
        estimator : QuantilesRegressor or Pipeline
            A fitted estimator, or a pipeline that ends in one.
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features: those of the fit, or new rows. Against a feature they must be
            dense for the regressor.
        y : array-like of shape (n_samples,)
            Targets.
        feature : int, str or None, default=None
            The number or the name of a feature, of those that the regressor sees; None
            is the middle quantile.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, which shares and medians count. Rows of weight 0 are
            not drawn.
        ax, scatter_kwargs, line_kwargs, band_kwargs
            See `plot`.

        Raises
        ------
        TypeError
            If the estimator is no `QuantilesRegressor`.
        ValueError
            For a feature that is none, a sparse X against a feature, and data of
            another shape than that of the fit.
        """
        model: QuantilesRegressor = last_of(estimator, QuantilesRegressor)
        refuse_collections("robustreg.plotting", X=X, y=y, sample_weight=sample_weight)
        names = feature_names_of(estimator, model.n_features_in_)
        place = _place_of(feature, names)
        X = features_of(estimator, X)
        target, weight = check_score_data(X, y, model.coef_[0].shape, sample_weight)
        rows = check_predict_data(model, X)
        rows, target, weight = taken(present(weight), rows, target, weight)
        model = _nameless(model)
        predicted = model.predict(rows)
        if place is None:
            drawn = _against_middle(model, predicted, weight)
        else:
            drawn = _against_feature(model, rows, weight, place, names)
        display = cls(
            y=target,
            quantiles=model.quantiles,
            share_below=_share_below(target, predicted, weight),
            **drawn,
        )
        return display.plot(
            ax,
            scatter_kwargs=scatter_kwargs,
            line_kwargs=line_kwargs,
            band_kwargs=band_kwargs,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        scatter_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
        band_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw, and return the display itself.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        scatter_kwargs, line_kwargs, band_kwargs : dict, default=None
            Passed on to ``ax.scatter``, ``ax.plot`` and ``ax.fill_between``.
        """
        self.ax_ = axes_for(self, ax)
        self.figure_ = self.ax_.figure
        style = point_style(self.y.size) | {"color": GREY, "alpha": 0.6, "zorder": 2}
        self.points_ = self.ax_.scatter(
            self.x, self.y, **style | (scatter_kwargs or {})
        )
        self._draw_bands(band_kwargs or {})
        self._draw_lines(line_kwargs or {})
        self.ax_.set_xlabel(self.x_name)
        self.ax_.set_ylabel("y")
        legend_of(np.array([self.ax_]), own_figure=ax is None)
        return self

    def _draw_bands(self, kwargs: dict[str, Any]) -> None:
        """Draw a band between each two quantiles that are as far from either end."""
        order = np.argsort(self.quantiles)
        style = {"color": BLUE, "alpha": 0.12, "linewidth": 0, "zorder": 1}
        self.bands_ = [
            self.ax_.fill_between(
                self.line_x, self.line_y[:, low], self.line_y[:, high], **style | kwargs
            )
            for low, high in zip(order, order[::-1], strict=True)
            if self.quantiles[low] < self.quantiles[high]
        ]

    def _draw_lines(self, kwargs: dict[str, Any]) -> None:
        """Draw a line for each quantile: the nearer to the middle, the less broken."""
        away = np.abs(self.quantiles - 0.5)
        levels = np.unique(away.round(12))
        self.lines_ = []
        for j, level in enumerate(self.quantiles):
            rank = int(np.argmin(np.abs(levels - away[j])))
            style = {
                "color": VERMILION if rank == 0 else BLUE,
                "linestyle": DASHES[rank % len(DASHES)],
                "linewidth": 1.6 if rank == 0 else 1.2,
                "zorder": 3,
                "label": f"{level:g}: {self.share_below[j]:.1%} of rows below",
            }
            self.lines_ += self.ax_.plot(
                self.line_x, self.line_y[:, j], **style | kwargs
            )


def _place_of(feature: int | str | None, names: list[str]) -> int | None:
    """Return the number of a feature, of those with some names."""
    if feature is None:
        return None
    if isinstance(feature, str) and feature in names:
        return names.index(feature)
    if isinstance(feature, Integral) and 0 <= feature < len(names):
        return int(feature)
    raise ValueError(
        "feature must be None, or the number or the name of a feature that the "
        f"regressor sees, of {names}. Got {feature!r}."
    )


def _nameless(model: QuantilesRegressor) -> QuantilesRegressor:
    """Return a fit that takes arrays as they are, whatever its features are called."""
    nameless = copy.copy(model)
    if "feature_names_in_" in vars(nameless):
        del nameless.feature_names_in_
    return nameless


def _share_below(y: Array, predicted: Array, weight: Array) -> Array:
    """Return the share of y below each prediction; what is on the line counts half."""
    target = y[:, None]
    on = np.isclose(target, predicted, rtol=SUM_ERROR, atol=0.0)
    below = np.where(on, 0.5, target < predicted)
    return np.asarray(weight @ below / weight.sum())


def _against_middle(
    model: QuantilesRegressor, predicted: Array, weight: Array
) -> dict[str, Any]:
    """Return rows against the quantile nearest to 0.5, and lines through neighbours."""
    middle = int(np.argmin(np.abs(np.asarray(model.quantiles) - 0.5)))
    name = f"predicted {model.quantiles[middle]:g} quantile of the row"
    x = predicted[:, middle]
    curves = np.column_stack([medians_along(x, of, weight) for of in predicted.T])
    return {"x": x, "line_x": curves[:, middle], "line_y": curves, "x_name": name}


def _against_feature(
    model: QuantilesRegressor, rows: Any, weight: Array, place: int, names: list[str]
) -> dict[str, Any]:
    """Return rows and lines against a feature, all others at their medians."""
    refuse_sparse_rows(rows, "medians of its columns need all entries", WITHOUT)
    x = rows[:, place].astype(np.float64)
    line_x = np.linspace(x.min(), x.max(), N_POINTS)
    medians = median_of_each(rows.T.astype(np.float64), weight)
    grid = np.tile(medians, (N_POINTS, 1))
    grid[:, place] = line_x
    others = ", other features at their medians" if len(names) > 1 else ""
    name, line_y = f"{names[place]}{others}", model.predict(grid)
    return {"x": x, "line_x": line_x, "line_y": line_y, "x_name": name}
