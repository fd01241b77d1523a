"""A picture of a fit's outliers: residuals against distances."""

from __future__ import annotations

from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike

from robustreg.leverage import robust_distance
from robustreg.plotting.drawing import (
    BLUE,
    GREY,
    ORANGE,
    VERMILION,
    Array,
    axes_for,
    compress_far,
    cut_style,
    drawable,
    label_rows,
    legend_above,
    point_style,
)
from robustreg.plotting.measuring import Measured, measured

# Colours and markers.
STYLES = {
    "regular": (GREY, "o"),
    "vertical outlier": (ORANGE, "^"),
    "good leverage": (BLUE, "s"),
    "bad leverage": (VERMILION, "D"),
}
CATEGORIES = np.array(list(STYLES))


@final
class OutlierMapDisplay:
    """Outlier map: standardised residuals against robust distances.

    Two cut-offs make four kinds of rows [1]_: "regular"; "vertical outlier", whose y is
    far from the fit; "good leverage", far out in X but on the fit; and "bad leverage",
    far out in X and far from the fit. A fit that a bad leverage point has pulled to
    itself shows it as a good one: only as far as the fit itself resists leverage can
    the picture tell the last two apart.

    Use `from_estimator` to make one.

    Parameters
    ----------
    residual : array-like of shape (n_samples,)
        Residuals ``y - prediction`` in units of their robust scale.
    distance : array-like of shape (n_samples,)
        Robust distances of the rows of X.
    outlier_threshold : float
        Residuals are far where their absolute value exceeds this.
    distance_cutoff : float
        Distances are far beyond this.
    row : array-like of shape (n_samples,), default=None
        What rows are labelled by; None counts them from 0.

    Attributes
    ----------
    category : ndarray of str of shape (n_samples,)
        The kind of each row.
    ax_, figure_ : matplotlib Axes and Figure
        Where the last `plot` drew.
    points_ : dict of str to matplotlib PathCollection
        Points of each kind that occurs.
    lines_ : list of matplotlib Line2D
        The cut-offs.
    texts_ : list of matplotlib Annotation
        Labels of the worst rows.

    References
    ----------
    .. [1] Rousseeuw, P. J., van Zomeren, B. C. (1990). Unmasking multivariate outliers
       and leverage points. Journal of the American Statistical Association 85,
       633-639.
    """

    def __init__(
        self,
        *,
        residual: ArrayLike,
        distance: ArrayLike,
        outlier_threshold: float,
        distance_cutoff: float,
        row: ArrayLike | None = None,
    ) -> None:
        self.residual = np.asarray(residual, dtype=np.float64)
        self.distance = np.asarray(distance, dtype=np.float64)
        self.outlier_threshold = outlier_threshold
        self.distance_cutoff = distance_cutoff
        self.row = np.arange(self.residual.size) if row is None else np.asarray(row)

    @property
    def category(self) -> Array:
        """The kind of each row."""
        vertical = np.abs(self.residual) > self.outlier_threshold
        far = self.distance > self.distance_cutoff
        return np.asarray(CATEGORIES[vertical + 2 * far])

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        target: int | None = None,
        random_state: int = 0,
        ax: Any = None,
        n_labels: int = 5,
        scatter_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the outlier map of a fitted estimator; return the display.

        Parameters
        ----------
        estimator : estimator
            A fitted regressor of this package, or a pipeline that ends in one.
        X : array-like of shape (n_samples, n_features)
            Features, dense for the regressor: those of the fit, or new rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        target : int, default=None
            The column of y to draw, if the estimator was fitted to several.
        random_state : int, default=0
            Seed of `robustreg.leverage.robust_distance`.
        ax, n_labels, scatter_kwargs, line_kwargs
            See `plot`.

        Raises
        ------
        TypeError
            If the estimator is not one of this package.
        ValueError
            For data of another shape than that of the fit, for sparse X, for an X of
            which no column varies in most rows, and for several targets of which none
            is named.
        """
        rows = measured(estimator, X, y, None, target)
        display = cls(**map_of(rows, random_state))
        return display.plot(
            ax,
            n_labels=n_labels,
            scatter_kwargs=scatter_kwargs,
            line_kwargs=line_kwargs,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        n_labels: int = 5,
        scatter_kwargs: dict[str, Any] | None = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw, and return the display itself.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        n_labels : int, default=5
            How many of the worst outliers and leverage points to label by the number
            of their row, counted from 0.
        scatter_kwargs, line_kwargs : dict, default=None
            Passed on to ``ax.scatter`` and to ``ax.axhline`` and ``ax.axvline``.
        """
        ax = axes_for(self, ax)
        self.ax_, self.figure_ = ax, ax.figure
        self._draw_lines(line_kwargs or {})
        self._draw_points(scatter_kwargs or {})
        self._set_axes()
        self._draw_labels(n_labels)
        return self

    def _draw_lines(self, kwargs: dict[str, Any]) -> None:
        """Draw the cut-offs."""
        style = cut_style() | kwargs
        cut = self.outlier_threshold
        self.lines_ = [self.ax_.axhline(level, **style) for level in (-cut, cut)]
        self.lines_.append(self.ax_.axvline(self.distance_cutoff, **style))

    def _draw_points(self, kwargs: dict[str, Any]) -> None:
        """Draw the points, each kind with its colour and marker, and the legend."""
        category, base = self.category, point_style(self.residual.size)
        self.points_ = {}
        for rank, (name, (color, marker)) in enumerate(STYLES.items()):
            rows = np.flatnonzero(category == name)
            if rows.size == 0:
                continue
            style = base | {
                "label": f"{name} ({rows.size:,})",
                "color": color,
                "marker": marker,
                "s": base["s"] + 8 * min(rank, 1),
                "alpha": 0.6 if rank == 0 else 0.9,
                "zorder": 2 + rank,
            }
            self.points_[name] = self.ax_.scatter(
                self.distance[rows], drawable(self.residual[rows]), **(style | kwargs)
            )
        legend_above(self.ax_)

    def _set_axes(self) -> None:
        """Name the axes and choose their scales."""
        self.ax_.set_xlabel("robust distance of the row in X")
        self.ax_.set_ylabel("residual / robust scale")
        compress_far(self.ax_.xaxis, self.distance, self.distance_cutoff)
        compress_far(self.ax_.yaxis, drawable(self.residual), self.outlier_threshold)
        # Room for the labels.
        self.ax_.margins(0.07)
        self.ax_.set_xlim(left=0.0)

    def _draw_labels(self, n_labels: int) -> None:
        """Label the worst rows."""
        order = self._worst_first()
        places = np.column_stack([self.distance, drawable(self.residual)])[order]
        above = 2 + len(STYLES)
        self.texts_ = label_rows(self.ax_, places, self.row[order], n_labels, above)

    def _worst_first(self) -> Array:
        """Return the rows that are not regular: the worst of each kind in turn."""
        beyond = np.hypot(
            drawable(self.residual) / self.outlier_threshold,
            self.distance / self.distance_cutoff,
        )
        kinds = [np.flatnonzero(self.category == name) for name in CATEGORIES[:0:-1]]
        ranked = [rows[np.argsort(-beyond[rows], kind="stable")] for rows in kinds]
        turn = np.concatenate([np.arange(rows.size) for rows in ranked])
        return np.concatenate(ranked)[np.argsort(turn, kind="stable")]


def outlier_category(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike,
    *,
    target: int | None = None,
    random_state: int = 0,
) -> Array:
    """Return the kind of each row: what `OutlierMapDisplay` draws, without drawing.

    Parameters
    ----------
    estimator, X, y, target, random_state
        See `OutlierMapDisplay.from_estimator`.

    Returns
    -------
    ndarray of str of shape (n_samples,)
        ``"regular"``, ``"vertical outlier"``, ``"good leverage"`` or
        ``"bad leverage"``.

    Raises
    ------
    TypeError, ValueError
        See `OutlierMapDisplay.from_estimator`.

    Examples
    --------
    >>> import numpy as np
    >>> from robustreg import RobustRegressor
    >>> from robustreg.plotting import outlier_category
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 1))
    >>> y = 2 * X[:, 0] + 0.1 * rng.normal(size=100)
    >>> y[0] += 5.0
    >>> X[1], y[1] = 9.0, 18.0
    >>> model = RobustRegressor().fit(X, y)
    >>> outlier_category(model, X, y)[:3].tolist()
    ['vertical outlier', 'good leverage', 'regular']
    """
    rows = measured(estimator, X, y, None, target)
    return OutlierMapDisplay(**map_of(rows, random_state)).category


def map_of(rows: Measured, random_state: int) -> dict[str, Any]:
    """Return what the map of one target of some rows is made of."""
    far = robust_distance(rows.X, random_state=random_state)
    return {
        "residual": rows.residual,
        "distance": far.distance,
        "outlier_threshold": float(rows.model.outlier_threshold),
        "distance_cutoff": far.cutoff,
        "row": rows.row,
    }
