"""Scores of candidates, with the best and the simplest that is as good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike

from robustreg.choosing import RobustRegressorCV
from robustreg.choosing.results import best_of, errors_of
from robustreg.plotting.drawing import (
    GREY,
    Array,
    axes_for,
    cut_style,
    ink,
    legend_of,
    line_style,
    strength_axis,
)
from robustreg.plotting.measuring import last_of

# What the line one standard error below the best is called.
WITHIN = "best less its standard error"
# The order in which parameters are said: what the loss is, then what makes it.
SAID_FIRST = ("loss", "beta", "quantile", "penalty", "l1_ratio")


@final
class CVDisplay:
    """Cross-validated scores of candidates against the strength of the penalty.

    A line for each combination of what was tried beside the strength: the mean score
    over folds, and one standard error on either side of the best line. Marked are the
    best candidate and the 1se choice, the sparsest one within one standard error of it
    [1]_. Where no penalty was tried candidates are dots with their standard errors, the
    best on top.

    Use `from_estimator` to make one.

    Parameters
    ----------
    scores : array-like of shape (n_candidates, n_splits)
        Scores of each candidate, higher is better.
    params : list of dict
        Parameters of each candidate, ``alpha`` among them.
    index_1se : int
        The place of the 1se choice.
    score_name : str, default="score"
        What the scores are called.

    Attributes
    ----------
    best_index : int
        The place of the highest mean score, the first of several.
    mean, error : ndarray of shape (n_candidates,)
        Mean scores, and their standard errors: nan for a single fold.
    ax_, figure_ : matplotlib Axes and Figure
        Where the last `plot` drew.
    lines_ : list of matplotlib Line2D
        A line for each combination, or the dots of the candidates.
    band_ : matplotlib PolyCollection or None
        The standard errors of the best line.
    marks_ : dict of str to matplotlib PathCollection
        The marks of ``"best"`` and ``"1se"``.

    References
    ----------
    .. [1] Breiman, L. et al. (1984). Classification and Regression Trees, section
       3.4.3. Wadsworth.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from robustreg import RobustRegressorCV
    >>> from robustreg.plotting import CVDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 3))
    >>> y = 2 * X[:, 0] + rng.standard_t(2, size=100)
    >>> model = RobustRegressorCV(["l2", "huber"], alphas=5, cv=3).fit(X, y)
    >>> display = CVDisplay.from_estimator(model)
    >>> display.best_index == model.best_index_
    True
    """

    def __init__(
        self,
        *,
        scores: ArrayLike,
        params: Sequence[dict[str, Any]],
        index_1se: int,
        score_name: str = "score",
    ) -> None:
        self.scores = np.asarray(scores, dtype=np.float64)
        self.params = list(params)
        self.index_1se = index_1se
        self.score_name = score_name
        self.mean, self.error = self.scores.mean(axis=1), errors_of(self.scores)
        self.best_index = best_of(self.mean)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        ax: Any = None,
        n_labels: int = 6,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the scores of a fitted `RobustRegressorCV`; return the display.

        Parameters
        ----------
        estimator : RobustRegressorCV or Pipeline
            A fitted choice, or a pipeline that ends in one.
        ax, n_labels, line_kwargs
            See `plot`.

        Raises
        ------
        TypeError
            If the estimator is no `RobustRegressorCV`.
        """
        model: RobustRegressorCV = last_of(
            estimator, RobustRegressorCV, " Of a search draw cv_results_ by itself."
        )
        results = model.cv_results_
        splits = range(model.n_splits_)
        display = cls(
            scores=np.column_stack([results[f"split{i}_test_score"] for i in splits]),
            params=results["params"],
            index_1se=model.index_1se_,
            score_name=_score_name(model),
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
            How many combinations to name, the best ones. Of more the others are grey
            lines, and where no penalty was tried they are left out.
        line_kwargs : dict, default=None
            Passed on to ``ax.plot``, or to ``ax.errorbar`` where no penalty was tried.
        """
        self.ax_ = axes_for(self, ax)
        self.figure_ = self.ax_.figure
        self.band_ = None
        groups = self._combinations()
        if max(map(len, groups)) > 1:
            self._draw_lines(groups, n_labels, line_kwargs or {})
        else:
            self._draw_dots([group[0] for group in groups], n_labels, line_kwargs or {})
        legend_of(np.array([self.ax_]), own_figure=ax is None)
        return self

    def _combinations(self) -> list[Array]:
        """Return the candidates that differ in their alpha alone, the best first."""
        terms = [{**params, "alpha": None} for params in self.params]
        groups = [
            np.array([j for j, other in enumerate(terms) if other == one])
            for i, one in enumerate(terms)
            if one not in terms[:i]
        ]
        mean = np.where(np.isnan(self.mean), -np.inf, self.mean)
        return sorted(groups, key=lambda group: -mean[group].max())

    def _draw_lines(
        self, groups: list[Array], n_labels: int, kwargs: dict[str, Any]
    ) -> None:
        """Draw scores against alpha, a combination without a penalty as a level."""
        alphas = np.array([params["alpha"] for params in self.params])
        low, high = self._view(next(group for group in groups if len(group) > 1))
        plain = {"color": GREY, "linewidth": 0.7, "alpha": 0.6, "zorder": 1.5}
        self.lines_ = []
        for rank, group in enumerate(groups):
            below = "" if self.mean[group].max() > low else " (below)"
            label = f"{self._name(group[0])}{below}"
            style = {"label": label, "zorder": 2.5, **line_style(rank)}
            style = (style if rank < n_labels else plain) | kwargs
            if len(group) > 1:
                order = group[np.argsort(-alphas[group], kind="stable")]
                self.lines_ += self.ax_.plot(alphas[order], self.mean[order], **style)
            else:
                self.lines_.append(self.ax_.axhline(self.mean[group[0]], **style))
        strength_axis(self.ax_, alphas)
        self.ax_.set_ylabel(self._score_label)
        self._draw_band(groups[0], alphas)
        self._draw_marks(alphas, self.mean)
        if low < high:
            self.ax_.set_ylim(low, high)

    def _view(self, curve: Array) -> tuple[float, float]:
        """Return what shows a combination; scores far below it leave the axes."""
        top, error = self.mean[self.best_index], self.error[self.best_index]
        some = np.append(self.mean[curve], [top - 1.5 * error, top + 1.5 * error])
        some = some[np.isfinite(some)]
        low, high = some.min(initial=np.inf), some.max(initial=-np.inf)
        return low - 0.1 * (high - low), high + 0.1 * (high - low)

    def _draw_band(self, best: Array, alphas: Array) -> None:
        """Draw the standard errors of the best combination."""
        mean, error, top = self.mean, self.error, self.best_index
        if not np.isfinite(error[top]):
            return
        self.ax_.axhline(mean[top] - error[top], label=WITHIN, **cut_style())
        if len(best) > 1:
            order = best[np.argsort(-alphas[best], kind="stable")]
            ends = (mean[order] + sign * error[order] for sign in (-1, 1))
            style = {"color": line_style(0)["color"], "alpha": 0.2, "linewidth": 0}
            self.band_ = self.ax_.fill_between(alphas[order], *ends, **style)

    def _draw_marks(self, x: Array, y: Array) -> None:
        """Mark the best candidate and the 1se choice, which may be one."""
        style = {"facecolors": "none", "edgecolors": ink(), "linewidths": 1.4}
        on_top = {"zorder": 4, "clip_on": False}
        # One fits around the other.
        marks = [
            ("best", self.best_index, {"marker": "o", "s": 45.0}),
            ("1se", self.index_1se, {"marker": "s", "s": 130.0}),
        ]
        self.marks_ = {
            name: self.ax_.scatter(x[i], y[i], label=name, **own, **style, **on_top)
            for name, i, own in marks
        }

    def _draw_dots(
        self, order: list[int], n_labels: int, kwargs: dict[str, Any]
    ) -> None:
        """Draw the mean of each candidate with its standard error, the best on top."""
        shown = np.array(order[: max(n_labels, 1)])
        if self.index_1se not in shown:
            shown = np.append(shown, self.index_1se)
        height = np.zeros(len(self.params))
        height[shown] = -np.arange(shown.size)
        style = {"fmt": "o", "color": line_style(0)["color"], "capsize": 3.0}
        error = np.nan_to_num(self.error[shown])
        drawn = self.ax_.errorbar(
            self.mean[shown], height[shown], xerr=error, **(style | kwargs)
        )
        self.lines_ = [drawn.lines[0]]
        top = self.best_index
        if np.isfinite(self.error[top]):
            edge = self.mean[top] - self.error[top]
            self.ax_.axvline(edge, label=WITHIN, **cut_style())
        self._draw_marks(self.mean, height)
        self.ax_.set_yticks(height[shown], [self._name(i) for i in shown])
        self.ax_.margins(y=0.15)
        left_out = len(self.params) - shown.size
        self.ax_.set_ylabel(f"candidates ({left_out} worse ones)" if left_out else "")
        self.ax_.set_xlabel(self._score_label)

    @property
    def _score_label(self) -> str:
        """What the axis of scores is called."""
        n_splits = self.scores.shape[1]
        folds = f"mean of {n_splits} folds" if n_splits > 1 else "one fold"
        return f"{self.score_name}\n{folds}"

    def _name(self, i: int) -> str:
        """Return what tells a candidate from others, but for its alpha."""
        varying = [
            name
            for name in self.params[i]
            if name != "alpha"
            and any(other[name] != self.params[0][name] for other in self.params)
        ]
        varying.sort(key=SAID_FIRST.index)
        said = [_said(name, self.params[i][name]) for name in varying]
        return ", ".join(said) or "mean score"


def _said(name: str, value: Any) -> str:
    """Return a value, with its name where it does not speak for itself."""
    if name == "penalty":
        return "no penalty" if value is None else f"penalty {value}"
    if name == "loss":
        return str(value)
    return f"{name}={value}"


def _score_name(model: RobustRegressorCV) -> str:
    """Return what a choice was made by."""
    if isinstance(model.scoring, str):
        return model.scoring
    if model.scoring is not None:
        return "score"
    tilted = model.quantile_ != 0.5
    return f"{'neg_mean_pinball_loss' if tilted else 'neg_tau_scale'} (unit of y)"
