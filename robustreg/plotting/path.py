"""Coefficients against the strength of the penalty."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from robustreg.choosing import RobustRegressorCV
from robustreg.estimators.base import NoEffectWarning
from robustreg.estimators.robust import RobustRegressor
from robustreg.paths import RobustPath
from robustreg.pipelines import feature_names_of, features_of
from robustreg.plotting.drawing import (
    GREY,
    Array,
    axes_for,
    cut_style,
    legend_above,
    line_style,
    strength_axis,
)
from robustreg.plotting.measuring import last_of, place_of
from robustreg.validation import check_score_data

# Coefficients of the choice that are this share of the largest apart are of other data.
FOREIGN, FOREIGN_FLOAT32 = 1e-4, 1e-2
# Least distance of two names, in inches.
NAME_ROOM = 0.15


@final
class PathDisplay:
    """Regularisation path: coefficients against the strength of the penalty.

    A line for each feature, alphas falling from left to right, so that coefficients
    enter one after the other; those that are largest at the end have colours and names.

    Use `from_path` or `from_estimator` to make one.

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,)
        Strengths of the penalty, decreasing.
    coefs : array-like of shape (n_features, n_alphas)
        Coefficients, in units of y by those of their columns.
    feature_names : list of str or None, default=None
        What features are called; None calls them x0, x1, and so on.
    alpha : float or None, default=None
        The strength that was chosen.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Where the last `plot` drew.
    lines_ : list of matplotlib Line2D
        A line for each feature.
    chosen_ : matplotlib Line2D or None
        The mark of the chosen strength.
    texts_ : list of matplotlib Annotation
        Names of features.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from robustreg import robust_path
    >>> from robustreg.plotting import PathDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 3))
    >>> y = 2 * X[:, 0] + rng.standard_t(2, size=100)
    >>> display = PathDisplay.from_path(robust_path(X, y), n_labels=1)
    >>> [text.get_text() for text in display.texts_]
    ['x0']
    """

    def __init__(
        self,
        *,
        alphas: ArrayLike,
        coefs: ArrayLike,
        feature_names: Sequence[str] | None = None,
        alpha: float | None = None,
    ) -> None:
        self.alphas = np.asarray(alphas, dtype=np.float64)
        self.coefs = np.asarray(coefs, dtype=np.float64)
        names = feature_names
        if names is None:
            names = [f"x{j}" for j in range(len(self.coefs))]
        if len(names) != len(self.coefs):
            raise ValueError(
                f"feature_names must have a name for each of {len(self.coefs)} "
                f"features. Got {len(names)}."
            )
        self.feature_names = [str(name) for name in names]
        self.alpha = alpha

    @classmethod
    def from_path(
        cls,
        path: RobustPath,
        *,
        feature_names: Sequence[str] | None = None,
        alpha: float | None = None,
        ax: Any = None,
        n_labels: int = 6,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw what `robust_path` returned, and return the display.

        Parameters
        ----------
        path : RobustPath
            The path.
        feature_names : list of str or None, default=None
            What features are called; None calls them x0, x1, and so on.
        alpha : float or None, default=None
            A strength to mark.
        ax, n_labels, line_kwargs
            See `plot`.

        Raises
        ------
        ValueError
            For another number of names than of features.
        """
        display = cls(
            alphas=path.alphas,
            coefs=path.coefs,
            feature_names=feature_names,
            alpha=alpha,
        )
        return display.plot(ax, n_labels=n_labels, line_kwargs=line_kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        target: int | None = None,
        ax: Any = None,
        n_labels: int = 6,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the path on which a `RobustRegressorCV` chose; return the display.

        The chosen loss and penalty with each alpha that was tried, fitted to all rows,
        each fit with a scale of its own.

        Parameters
        ----------
        estimator : RobustRegressorCV or Pipeline
            A fitted choice, or a pipeline that ends in one.
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features of the fit.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets of the fit.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the fit.
        target : int, default=None
            The column of y to draw, if the estimator was fitted to several.
        ax, n_labels, line_kwargs
            See `plot`.

        Raises
        ------
        TypeError
            If the estimator is no `RobustRegressorCV`.
        ValueError
            If no penalty was chosen, for data that is not that of the fit, and for
            several targets of which none is named.

        Warns
        -----
        ConvergenceWarning
            Once, if some fits did not converge.
        """
        model: RobustRegressorCV = last_of(
            estimator, RobustRegressorCV, " PathDisplay.from_path draws a RobustPath."
        )
        place, rows = place_of(target, model), features_of(estimator, X)
        alphas = _tried(model)
        values, _ = check_score_data(rows, y, np.shape(model.coef_), sample_weight)
        column = values if values.ndim == 1 else values[:, place]
        coefs = _coefs(model.best_estimator_, alphas, rows, column, sample_weight)
        chosen = np.atleast_2d(model.coef_)[place]
        _refuse_foreign(coefs[:, np.argmax(alphas == model.alpha_)], chosen)
        display = cls(
            alphas=alphas,
            coefs=coefs,
            feature_names=feature_names_of(estimator, len(coefs)),
            alpha=model.alpha_,
        )
        return display.plot(ax, n_labels=n_labels, line_kwargs=line_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        n_labels: int = 6,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw, and return the display itself.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        n_labels : int, default=6
            How many features to name and to colour.
        line_kwargs : dict, default=None
            Passed on to ``ax.plot``.
        """
        self.ax_ = axes_for(self, ax)
        self.figure_ = self.ax_.figure
        # The largest coefficients where alpha is smallest.
        order = np.argsort(-np.abs(self.coefs[:, -1]), kind="stable")
        named = [int(j) for j in order[:n_labels] if self.coefs[j].any()]
        styles = {j: line_style(rank) for rank, j in enumerate(named)}
        self._draw_lines(styles, line_kwargs or {})
        self.chosen_ = None
        if self.alpha is not None:
            style = cut_style() | {"label": f"chosen: alpha = {self.alpha:.3g}"}
            self.chosen_ = self.ax_.axvline(self.alpha, **style)
            legend_above(self.ax_)
        strength_axis(self.ax_, self.alphas)
        self.ax_.set_ylabel("coefficient")
        self._draw_names(styles)
        return self

    def _draw_lines(
        self, styles: dict[int, dict[str, Any]], kwargs: dict[str, Any]
    ) -> None:
        """Draw a line for each feature."""
        plain = {"color": GREY, "linewidth": 0.8, "alpha": 0.6, "zorder": 1.5}
        strong = {"linewidth": 1.8, "zorder": 2}
        dot = {"marker": "o"} if self.alphas.size == 1 else {}
        self.lines_ = []
        for j, row in enumerate(self.coefs):
            style = strong | styles[j] if j in styles else plain
            self.lines_ += self.ax_.plot(self.alphas, row, **(style | dot | kwargs))

    def _draw_names(self, styles: dict[int, dict[str, Any]]) -> None:
        """Write the names of features to the right of their lines, apart."""
        named = sorted(styles, key=lambda j: self.coefs[j, -1])
        low, high = self.ax_.get_ylim()
        heights = (self.coefs[named, -1] - low) / (high - low)
        inches = self.ax_.get_window_extent().height / self.figure_.dpi
        beside = {"xycoords": "axes fraction", "va": "center", "fontsize": "small"}
        offset = {"xytext": (5, 0), "textcoords": "offset points", **beside}
        self.texts_ = [
            self.ax_.annotate(
                self.feature_names[j], (1.0, y), color=styles[j]["color"], **offset
            )
            for j, y in zip(named, _apart(heights, NAME_ROOM / inches), strict=True)
        ]


def _apart(heights: Array, room: float) -> Array:
    """Return increasing heights moved so that each is clear of the one below."""
    moved = heights.copy()
    for i in range(1, moved.size):
        moved[i] = max(moved[i], moved[i - 1] + room)
    return np.asarray(moved - np.mean(moved - heights)) if moved.size else moved


def _tried(model: RobustRegressorCV) -> Array:
    """Return the alphas that were tried with what was chosen, decreasing."""
    if model.penalty_ is None:
        raise ValueError(
            "The chosen fit has no penalty, and so no path. Pass a RobustRegressorCV "
            "whose only penalties are 'l1', 'l2' or 'elasticnet', or what robust_path "
            "returns, to PathDisplay.from_path."
        )
    chosen = {**model.best_params_, "alpha": None}
    tried = [
        params["alpha"]
        for params in model.cv_results_["params"]
        if {**params, "alpha": None} == chosen
    ]
    return np.unique(tried)[::-1]


def _coefs(
    best: RobustRegressor, alphas: Array, X: Any, y: Array, sample_weight: Any
) -> Array:
    """Return the coefficients of a fit for each alpha, from the largest on."""
    model = clone(best).set_params(warm_start=True)
    coefs = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        # An alpha of 0 is tried like any other.
        warnings.simplefilter("ignore", NoEffectWarning)
        for alpha in alphas:
            model.set_params(alpha=float(alpha)).fit(X, y, sample_weight)
            coefs.append(model.coef_)
    if caught:
        warnings.warn(
            f"PathDisplay: {len(caught)} of {alphas.size} fits warned. They are drawn "
            f"as they were found. The first: {caught[0].message}",
            caught[0].category,
            stacklevel=3,
        )
    return np.array(coefs, dtype=np.float64).T


def _refuse_foreign(found: Array, chosen: Array) -> None:
    """Refuse data at which the chosen fit has other coefficients."""
    share = FOREIGN if chosen.dtype == np.float64 else FOREIGN_FLOAT32
    away = float(np.abs(found - chosen).max(initial=0.0))
    if not away <= share * np.abs(chosen).max(initial=0.0):
        raise ValueError(
            "The chosen loss and penalty have other coefficients on this X, y and "
            f"sample_weight (by {away:.2g}). Pass the data and weights of the fit."
        )
