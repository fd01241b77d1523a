"""Residuals of a fit: the four pictures of R's ``plot(lm)``, for robust fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from robustreg.plotting.drawing import (
    BLUE,
    GREY,
    ORANGE,
    SKY,
    Array,
    check_some,
    compress_far,
    cut_style,
    drawable,
    label_rows,
    legend_of,
    panels_for,
    point_style,
)
from robustreg.plotting.measuring import breakpoint_of, measured, medians_along
from robustreg.plotting.normality import LEAST_SIMULATIONS, envelope_of, positions
from robustreg.plotting.outlier_map import OutlierMapDisplay, map_of

PANELS = ("fitted", "qq", "scale", "map")
BAND = {"color": SKY, "linewidth": 0}


@final
class ResidualsDisplay:
    """Residuals of a fit, in four pictures.

    - ``"fitted"``: residuals against fitted values, with the band in which the loss
      counts rows as it does near 0, ``abs(r) <= beta * scale_``. A trend says that the
      model lacks a term.
    - ``"qq"``: residuals in robust scales against quantiles of the Gaussian, with the
      envelope in which residuals of Gaussian errors lie, rank by rank [1]_.
    - ``"scale"``: roots of their absolute values against fitted values. A trend says
      that errors are larger for some rows than for others.
    - ``"map"``: residuals against robust distances, `OutlierMapDisplay`.

    Outliers have a residual of more than ``outlier_threshold`` robust scales. Trends
    are medians of groups of rows with neighbouring fitted values.

    Use `from_estimator` to make one.

    Parameters
    ----------
    fitted : array-like of shape (n_samples,)
        Fitted values.
    residual : array-like of shape (n_samples,)
        ``y - fitted`` over ``residual_scale``.
    residual_scale : float
        The robust scale of residuals, in units of y.
    outlier_threshold : float
        Residuals are outliers where their absolute value exceeds this.
    half_width : float or None, default=None
        Of the band of residuals, in units of y; None draws no band.
    envelope : array-like of shape (2, n_samples) or None, default=None
        The lower and upper end of the envelope of residuals in increasing order.
    outlier_map : OutlierMapDisplay or None, default=None
        The map of the same rows.
    weight : array-like of shape (n_samples,), default=None
        Positive weights of the rows; None is 1 for each.
    row : array-like of shape (n_samples,), default=None
        What rows are labelled by; None counts them from 0.

    Attributes
    ----------
    axes_, figure_ : ndarray of matplotlib Axes, and Figure
        Where the last `plot` drew, each panel in axes of its own.
    points_ : dict of str to list of matplotlib PathCollection
        Regular rows and outliers, of each panel but the map.
    lines_ : dict of str to list of matplotlib Line2D
        Lines of each panel but the map.
    bands_ : dict of str to matplotlib Artist
        The band and the envelope.

    References
    ----------
    .. [1] Atkinson, A. C. (1981). Two graphical displays for outlying and influential
       observations in regression. Biometrika 68, 13-20.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from robustreg import RobustRegressor
    >>> from robustreg.plotting import ResidualsDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 2))
    >>> y = X @ [1.0, 2.0] + rng.standard_t(3, size=100)
    >>> model = RobustRegressor().fit(X, y)
    >>> display = ResidualsDisplay.from_estimator(model, X, y, panels=["fitted"])
    >>> float(round(display.half_width / model.scale_, 3))
    1.345
    """

    def __init__(
        self,
        *,
        fitted: ArrayLike,
        residual: ArrayLike,
        residual_scale: float,
        outlier_threshold: float,
        half_width: float | None = None,
        envelope: ArrayLike | None = None,
        outlier_map: OutlierMapDisplay | None = None,
        weight: ArrayLike | None = None,
        row: ArrayLike | None = None,
    ) -> None:
        self.fitted = np.asarray(fitted, dtype=np.float64)
        self.residual = np.asarray(residual, dtype=np.float64)
        n = self.residual.size
        self.residual_scale = residual_scale
        self.outlier_threshold = outlier_threshold
        self.half_width = half_width
        self.envelope = None if envelope is None else np.asarray(envelope, np.float64)
        self.outlier_map = outlier_map
        self.weight = np.ones(n) if weight is None else np.asarray(weight, np.float64)
        self.row = np.arange(n) if row is None else np.asarray(row)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        target: int | None = None,
        n_simulations: int = 39,
        random_state: int = 0,
        panels: Sequence[str] = PANELS,
        ax: Any = None,
        n_labels: int = 3,
    ) -> Self:
        """Draw the residuals of a fitted estimator; return the display.

        Parameters
        ----------
        estimator : estimator
            A fitted regressor of this package, or a pipeline that ends in one.
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features of the fit, dense for the map. Of other rows, such as new ones, the
            residuals are errors of predictions in the fit's scale; pass
            ``n_simulations=0``, because the envelope is that of a fit to these rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets of the same rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights. Rows of weight 0 are not drawn; trends, quantiles and
            the envelope count a row of weight 2 twice.
        target : int, default=None
            The column of y to draw, if the estimator was fitted to several.
        n_simulations : int, default=39
            How many fits to Gaussian errors make the envelope, at least 39; 0 draws
            none. Of more than 5000 rows, and for `MMRegressor`, whose fits are
            searches, of more than 500, the errors are not fitted, only scaled.
        random_state : int, default=0
            Seed of these errors and of `robustreg.leverage.robust_distance`.
        panels, ax, n_labels
            See `plot`.

        Raises
        ------
        TypeError
            If the estimator is not one of this package.
        ValueError
            For a parameter out of its range, data of another shape than that of the
            fit, an X that has no distances where panels have a map, and several
            targets of which none is named.
        """
        check_some("panels", panels, PANELS)
        if n_simulations != 0 and not n_simulations >= LEAST_SIMULATIONS:
            raise ValueError(
                f"n_simulations must be 0, for no envelope, or at least "
                f"{LEAST_SIMULATIONS}, the fewest that tell where 95 % are. Got "
                f"{n_simulations!r}."
            )
        of_fit = measured(estimator, X, y, sample_weight, target)
        bend, envelope, outlier_map = breakpoint_of(of_fit.model), None, None
        if "map" in panels:
            try:
                outlier_map = OutlierMapDisplay(**map_of(of_fit, random_state))
            except ValueError as error:
                way_out = f"Or leave the map out: panels={PANELS[:-1]}."
                raise ValueError(f"{error} {way_out}") from error
        if "qq" in panels and n_simulations > 0:
            envelope = envelope_of(of_fit, n_simulations, random_state)
        display = cls(
            fitted=of_fit.fitted,
            residual=of_fit.residual,
            residual_scale=of_fit.residual_scale,
            outlier_threshold=float(of_fit.model.outlier_threshold),
            half_width=None if bend is None else bend * of_fit.scale,
            envelope=envelope,
            outlier_map=outlier_map,
            weight=of_fit.weight,
            row=of_fit.row,
        )
        return display.plot(ax, panels=panels, n_labels=n_labels)

    def plot(
        self, ax: Any = None, *, panels: Sequence[str] = PANELS, n_labels: int = 3
    ) -> Self:
        """Draw, and return the display itself.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            Where to draw: axes for each panel, or one that is divided; None makes a
            figure.
        panels : list of str, default=("fitted", "qq", "scale", "map")
            What to draw, each in axes of its own.
        n_labels : int, default=3
            How many of the worst outliers to label by the number of their row, counted
            from 0.

        Raises
        ------
        ValueError
            For other panels, a map of a display that has none, and another number of
            axes.
        """
        check_some("panels", panels, PANELS)
        draw: dict[str, Callable[..., Any]] = {
            "fitted": self._draw_fitted,
            "qq": self._draw_quantiles,
            "scale": self._draw_scale,
        }
        if self.outlier_map is not None:
            draw["map"] = self.outlier_map.plot
        elif "map" in panels:
            raise ValueError(
                "The display has no outlier_map. Leave 'map' out of panels, or make it "
                "with from_estimator."
            )
        self.axes_ = panels_for(self, ax, len(panels))
        self.figure_ = self.axes_[0].figure
        self.points_: dict[str, list[Any]] = {}
        self.lines_: dict[str, list[Any]] = {}
        self.bands_: dict[str, Any] = {}
        for panel, axes in zip(panels, self.axes_, strict=True):
            draw[panel](axes, n_labels=n_labels)
        legend_of(self.axes_, own_figure=ax is None)
        return self

    def _draw_fitted(self, ax: Any, n_labels: int) -> None:
        """Draw residuals against fitted values."""
        with np.errstate(over="ignore"):
            residual = drawable(self.residual * self.residual_scale)
        self.lines_["fitted"] = [ax.axhline(0.0, **cut_style())]
        if (half := self.half_width) is not None:
            style = BAND | {"alpha": 0.2, "label": "up to the breakpoint"}
            self.bands_["fitted"] = ax.axhspan(-half, half, **style)
        self._draw_trend("fitted", ax, residual)
        ax.set(xlabel="fitted value", ylabel="residual, in units of y")
        cut = self.outlier_threshold * self.residual_scale
        self._draw_points("fitted", ax, self.fitted, residual, cut, n_labels)

    def _draw_quantiles(self, ax: Any, n_labels: int) -> None:
        """Draw residuals against quantiles of the Gaussian."""
        order = np.argsort(self.residual, kind="stable")
        quantile = np.empty(order.size)
        quantile[order] = norm.ppf(positions(self.weight[order]))
        x = quantile[order]
        if self.envelope is not None:
            style = BAND | {"alpha": 0.3, "label": "95 % of Gaussian errors"}
            self.bands_["qq"] = ax.fill_between(x, *self.envelope, **style)
        self.lines_["qq"] = ax.plot(x, x, **cut_style() | {"zorder": 2})
        ax.set(xlabel="quantile of the Gaussian", ylabel="residual / robust scale")
        residual, cut = drawable(self.residual), self.outlier_threshold
        self._draw_points("qq", ax, quantile, residual, cut, n_labels)

    def _draw_scale(self, ax: Any, n_labels: int) -> None:
        """Draw roots of absolute residuals against fitted values."""
        root = np.sqrt(np.abs(drawable(self.residual)))
        self.lines_["scale"] = [ax.axhline(np.sqrt(norm.ppf(0.75)), **cut_style())]
        self._draw_trend("scale", ax, root)
        ax.set(xlabel="fitted value", ylabel="sqrt(abs(residual) / robust scale)")
        cut = self.outlier_threshold**0.5
        self._draw_points("scale", ax, self.fitted, root, cut, n_labels)

    def _draw_trend(self, panel: str, ax: Any, height: Array) -> None:
        """Draw medians of groups of rows with neighbouring fitted values."""
        x, weight = self.fitted, self.weight
        middle = [medians_along(x, values, weight) for values in (x, height)]
        style = {"color": BLUE, "linewidth": 1.6, "zorder": 4}
        self.lines_[panel] += ax.plot(*middle, label="median of neighbours", **style)

    def _draw_points(
        self, panel: str, ax: Any, x: Array, y: Array, cut: float, n_labels: int
    ) -> None:
        """Draw regular rows and outliers, with labels of the worst."""
        compress_far(ax.yaxis, y, cut)
        far, base = np.abs(self.residual) > self.outlier_threshold, point_style(x.size)
        kinds = {"regular": (~far, GREY, "o", 0.6), "outlier": (far, ORANGE, "^", 0.9)}
        self.points_[panel] = []
        for name, (rows, color, marker, alpha) in kinds.items():
            style = base | {"color": color, "marker": marker, "alpha": alpha}
            label = name if rows.any() else None
            self.points_[panel].append(
                ax.scatter(x[rows], y[rows], label=label, zorder=3, **style)
            )
        ax.margins(0.07)
        worst = np.argsort(-np.abs(self.residual), kind="stable")
        worst = worst[far[worst]]
        places = np.column_stack([x, y])[worst]
        label_rows(ax, places, self.row[worst], n_labels, zorder=5)
