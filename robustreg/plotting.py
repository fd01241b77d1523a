"""A picture of a fit's outliers; matplotlib is imported where it draws."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robustreg.leverage import robust_distance

Array = NDArray[Any]

# Colours of Okabe and Ito, which most colour-blind people tell apart, and markers.
STYLES = {
    "regular": ("#8c8c8c", "o"),
    "vertical outlier": ("#e69f00", "^"),
    "good leverage": ("#0072b2", "s"),
    "bad leverage": ("#d55e00", "D"),
}
CATEGORIES = np.array(list(STYLES))
# Cut-offs beyond which an axis is logarithmic from the first one on.
LINEAR_REACH = 20.0
# Width and height of a label, in pixels.
LABEL_ROOM = np.array([24.0, 13.0])
# Pictures of more points are stored as pixels.
MOST_VECTORS = 10_000


@final
class OutlierMapDisplay:
    """Outlier map: standardised residuals against robust distances [1]_.

    Two cut-offs make four kinds of rows: "regular"; "vertical outlier", whose y is
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

    Attributes
    ----------
    category : ndarray of str of shape (n_samples,)
        The kind of each row.
    ax_ : matplotlib Axes
        Axes of the last `plot`.
    figure_ : matplotlib Figure
        Figure of the axes.
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
    ) -> None:
        self.residual = np.asarray(residual, dtype=np.float64)
        self.distance = np.asarray(distance, dtype=np.float64)
        self.outlier_threshold = outlier_threshold
        self.distance_cutoff = distance_cutoff

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
        """Draw the outlier map of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted regressor of this package.
        X : array-like of shape (n_samples, n_features)
            Features, dense: those of the fit, or new rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        target : int, default=None
            The column of y to draw, if the estimator was fitted to several.
        random_state : int, default=0
            Seed of `robustreg.leverage.robust_distance`.
        ax, n_labels, scatter_kwargs, line_kwargs
            See `plot`.

        Returns
        -------
        OutlierMapDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator is not one of this package.
        ValueError
            For data of another shape than that of the fit, for sparse X, for an X of
            which no column varies in most rows, and for several targets of which none
            is named.
        ImportError
            If matplotlib is not installed.
        """
        display = cls(**_measured(estimator, X, y, target, random_state))
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
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        n_labels : int, default=5
            How many of the worst outliers and leverage points to label by the number
            of their row, counted from 0.
        scatter_kwargs, line_kwargs : dict, default=None
            Passed on to ``ax.scatter`` and to ``ax.axhline`` and ``ax.axvline``.

        Returns
        -------
        OutlierMapDisplay
            The display itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                "OutlierMapDisplay draws with matplotlib, which is not installed. "
                'Install it: pip install "robustreg[plot]".'
            ) from error
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self._draw_lines(line_kwargs or {})
        self._draw_points(scatter_kwargs or {})
        self._set_axes()
        self._draw_labels(n_labels)
        return self

    def _draw_lines(self, kwargs: dict[str, Any]) -> None:
        """Draw the cut-offs."""
        style = {"color": "#404040", "linewidth": 0.9, "linestyle": "--", "zorder": 1}
        style |= kwargs
        cut = self.outlier_threshold
        self.lines_ = [self.ax_.axhline(level, **style) for level in (-cut, cut)]
        self.lines_.append(self.ax_.axvline(self.distance_cutoff, **style))

    def _draw_points(self, kwargs: dict[str, Any]) -> None:
        """Draw the points, each kind with its colour and marker, and the legend."""
        category, many = self.category, self.residual.size > MOST_VECTORS
        self.points_ = {}
        for rank, (name, (color, marker)) in enumerate(STYLES.items()):
            rows = np.flatnonzero(category == name)
            if rows.size == 0:
                continue
            style = {
                "label": f"{name} ({rows.size:,})",
                "color": color,
                "marker": marker,
                "s": (6 if many else 22) + 8 * min(rank, 1),
                "alpha": 0.6 if rank == 0 else 0.9,
                "linewidths": 0.4,
                "edgecolors": "white",
                "rasterized": many,
                "zorder": 2 + rank,
            }
            self.points_[name] = self.ax_.scatter(
                self.distance[rows], self._height(rows), **(style | kwargs)
            )
        self.ax_.legend(
            loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, frameon=False
        )

    def _height(self, rows: Array) -> Array:
        """Return the residuals of some rows, an infinite one as a very large one."""
        largest = np.finfo(np.float64).max ** 0.5
        return np.asarray(np.clip(self.residual[rows], -largest, largest))

    def _set_axes(self) -> None:
        """Name the axes and choose their scales."""
        self.ax_.set_xlabel("robust distance of the row in X")
        self.ax_.set_ylabel("residual / robust scale")
        height = self._height(np.arange(self.residual.size))
        for axis, values, cut in (
            (self.ax_.xaxis, self.distance, self.distance_cutoff),
            (self.ax_.yaxis, height, self.outlier_threshold),
        ):
            if np.abs(values).max(initial=0.0) > LINEAR_REACH * cut:
                _compress(axis, cut)
        # Room for the labels.
        self.ax_.margins(0.07)
        self.ax_.set_xlim(left=0.0)

    def _draw_labels(self, n_labels: int) -> None:
        """Label the worst rows, but none so near to another that neither is legible."""
        order = self._worst_first()
        height = self._height(order)
        places = self.ax_.transData.transform(
            np.column_stack([self.distance[order], height])
        )
        taken: list[int] = []
        for rank, place in enumerate(places):
            if len(taken) >= n_labels:
                break
            near = np.abs(places[taken] - place) < LABEL_ROOM
            if not near.all(axis=1).any():
                taken.append(rank)
        self.texts_ = [
            self.ax_.annotate(
                str(order[rank]),
                (self.distance[order[rank]], height[rank]),
                xytext=(4, 3),
                textcoords="offset points",
                fontsize="small",
                color="#202020",
                # Above all points.
                zorder=2 + len(STYLES),
            )
            for rank in taken
        ]

    def _worst_first(self) -> Array:
        """Return the rows that are not regular: the worst of each kind in turn."""
        beyond = np.hypot(
            self._height(np.arange(self.residual.size)) / self.outlier_threshold,
            self.distance / self.distance_cutoff,
        )
        kinds = [np.flatnonzero(self.category == name) for name in CATEGORIES[:0:-1]]
        ranked = [rows[np.argsort(-beyond[rows], kind="stable")] for rows in kinds]
        turn = np.concatenate([np.arange(rows.size) for rows in ranked])
        return np.concatenate(ranked)[np.argsort(turn, kind="stable")]


def _compress(axis: Any, cut: float) -> None:
    """Make an axis logarithmic beyond a cut-off, with ticks at 0 and at decades."""
    from matplotlib.ticker import SymmetricalLogLocator

    scale = axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale
    scale("symlog", linthresh=cut)
    decade = 10.0 ** np.ceil(np.log10(cut))
    axis.set_major_locator(SymmetricalLogLocator(base=10.0, linthresh=decade))


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
    measured = _measured(estimator, X, y, target, random_state)
    return OutlierMapDisplay(**measured).category


def _measured(
    estimator: Any, X: ArrayLike, y: ArrayLike, target: int | None, random_state: int
) -> dict[str, Any]:
    """Return what a display is made of."""
    if getattr(estimator, "outlier_score", None) is None:
        raise TypeError(
            "estimator must be a fitted regressor of robustreg. Got "
            f"{type(estimator).__name__}. Of a pipeline pass the last step, and X as "
            "the steps before it leave it: pipeline[-1], pipeline[:-1].transform(X)."
        )
    score = estimator.outlier_score(X, y)
    far = robust_distance(X, random_state=random_state)
    # One column of targets is y of shape (n_samples,), as for the fit.
    target_values = np.asarray(y, dtype=np.float64).reshape(score.shape)
    residual = np.copysign(score, target_values - estimator.predict(X))
    return {
        "residual": _column(residual, target),
        "distance": far.distance,
        "outlier_threshold": float(estimator.outlier_threshold),
        "distance_cutoff": far.cutoff,
    }


def _column(residual: Array, target: int | None) -> Array:
    """Return the residuals of one target."""
    if residual.ndim == 1 and target is None:
        return residual
    n_targets = 1 if residual.ndim == 1 else residual.shape[1]
    if not isinstance(target, Integral) or not 0 <= target < n_targets:
        raise ValueError(
            "target must be the column of y to draw, of those of the fit: "
            f"{', '.join(map(str, range(n_targets)))}. Got {target!r}."
        )
    return residual.reshape(len(residual), n_targets)[:, target]
