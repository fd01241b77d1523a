"""Losses of one residual, their slopes and their weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike

from robustreg.losses import LOSSES, Loss, make_loss, relative_weight
from robustreg.losses.base import BESIDE
from robustreg.plotting.drawing import (
    Array,
    check_some,
    legend_of,
    line_style,
    panels_for,
)

# What is drawn of a loss: the name of an attribute, and that of its axis.
QUANTITIES = {
    "value": "loss(r)",
    "gradient": "slope, loss'(r)",
    "weight": "weight, loss'(r) / r",
}
# Points of a line, so many that it bends where it does.
N_RESIDUALS = 601


@final
class LossDisplay:
    r"""Losses against the residual: value, slope and weight.

    The value :math:`\text{loss}(r)` is what a residual r costs, the slope
    :math:`\text{loss}'(r)` how hard it pulls at the fit, and the weight how much its
    row counts beside one of least squares: :math:`\text{loss}'(r) / r` relative to the
    loss's largest curvature, as ``weights_`` of a fit has it. A loss with a kink at 0
    has no largest curvature; its weight is :math:`\text{loss}'(r) / r` itself, which
    has no bound.

    Use `from_losses` to make one.

    Parameters
    ----------
    residual : array-like of shape (n_residuals,)
        Residuals in units of the scale, increasing.
    value, gradient, weight : array-like of shape (n_losses, n_residuals)
        What each loss has there.
    names : list of str
        What the losses are called.

    Attributes
    ----------
    axes_, figure_ : ndarray of matplotlib Axes, and Figure
        Where the last `plot` drew, each quantity in axes of its own.
    lines_ : dict of str to list of matplotlib Line2D
        A line for each loss, of each quantity.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from robustreg.losses import SmoothL1
    >>> from robustreg.plotting import LossDisplay
    >>> display = LossDisplay.from_losses(["l2", "huber", SmoothL1(0.5)])
    >>> display.names
    ['l2', 'huber, beta=1.345', 'SmoothL1(beta=0.5)']
    >>> display.gradient[:, -1].tolist()
    [6.0, 1.345, 1.0]
    """

    def __init__(
        self,
        *,
        residual: ArrayLike,
        value: ArrayLike,
        gradient: ArrayLike,
        weight: ArrayLike,
        names: Sequence[str],
    ) -> None:
        self.residual = np.asarray(residual, dtype=np.float64)
        self.value = np.asarray(value, dtype=np.float64)
        self.gradient = np.asarray(gradient, dtype=np.float64)
        self.weight = np.asarray(weight, dtype=np.float64)
        self.names = list(names)

    @classmethod
    def from_losses(
        cls,
        losses: Sequence[str | Loss],
        *,
        beta: float | None = None,
        quantile: float = 0.5,
        residual_range: tuple[float, float] = (-6.0, 6.0),
        quantities: Sequence[str] = tuple(QUANTITIES),
        ax: Any = None,
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw some losses, and return the display.

        Parameters
        ----------
        losses : list of str and Loss
            Names, as ``loss`` of `RobustRegressor` takes them, and instances.
        beta : float or None, default=None
            Breakpoint of those named, in units of the scale. None takes each one's
            constant for 95 % efficiency at the Gaussian.
        quantile : float, default=0.5
            Tilt in (0, 1) of all of them, as that of `RobustRegressor`.
        residual_range : tuple of float, default=(-6.0, 6.0)
            The smallest and the largest residual, in units of the scale.
        quantities, ax, line_kwargs
            See `plot`.

        Raises
        ------
        ValueError
            If there are no losses, for what `robustreg.losses.make_loss` refuses, and
            for a range that does not increase.
        """
        if isinstance(losses, str | Loss) or not len(losses):
            raise ValueError(
                "losses must be a list of at least one name or instance, such as "
                f"['l2', 'huber']. Got {losses!r}."
            )
        made = [make_loss(loss, beta, quantile) for loss in losses]
        residual = _residuals(made, *residual_range)
        display = cls(
            residual=residual,
            value=[loss.value(residual) for loss in made],
            gradient=[loss.gradient(residual) for loss in made],
            weight=[_weight(loss, residual) for loss in made],
            names=[_name(loss, beta, quantile) for loss in losses],
        )
        return display.plot(ax, quantities=quantities, line_kwargs=line_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        quantities: Sequence[str] = tuple(QUANTITIES),
        line_kwargs: dict[str, Any] | None = None,
    ) -> Self:
        """Draw, and return the display itself.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            Where to draw: axes for each quantity, or one that is divided; None makes a
            figure.
        quantities : list of str, default=("value", "gradient", "weight")
            What to draw, each in axes of its own.
        line_kwargs : dict, default=None
            Passed on to ``ax.plot``.

        Raises
        ------
        ValueError
            For other quantities, and another number of axes.
        """
        check_some("quantities", quantities, QUANTITIES)
        self.axes_ = panels_for(self, ax, len(quantities))
        self.figure_ = self.axes_[0].figure
        each = zip(quantities, self.axes_, strict=True)
        self.lines_ = {
            name: self._draw(name, of, line_kwargs or {}) for name, of in each
        }
        legend_of(self.axes_, own_figure=ax is None)
        return self

    def _draw(self, quantity: str, ax: Any, kwargs: dict[str, Any]) -> list[Any]:
        """Draw one quantity of all losses."""
        curves = {"value": self.value, "gradient": self.gradient, "weight": self.weight}
        lines = []
        for rank, (name, curve) in enumerate(
            zip(self.names, curves[quantity], strict=True)
        ):
            style = {"label": name, "linewidth": 1.6, **line_style(rank)}
            lines += ax.plot(self.residual, curve, **(style | kwargs))
        ax.set_xlabel("residual r, in scales")
        ax.set_ylabel(QUANTITIES[quantity])
        ax.set_xlim(self.residual[0], self.residual[-1])
        if quantity == "weight":
            # The largest is 1, but for losses with a kink.
            ax.set_ylim(0.0, 1.1)
        elif curves[quantity].shape[0] > 2:
            _keep_most_visible(ax, curves[quantity])
        return lines


def _keep_most_visible(ax: Any, curves: Array) -> None:
    """Let a curve that is far beyond most others, as the square, leave the axes."""
    reach = 1.6 * np.median(np.abs(curves).max(axis=1))
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, -reach), min(high, reach))


def _residuals(losses: list[Loss], low: float, high: float) -> Array:
    """Return residuals in a range, with two on either side of each breakpoint."""
    if not -np.inf < low < high < np.inf:
        raise ValueError(
            "residual_range must be two numbers, the smaller one first. Got "
            f"{(low, high)!r}."
        )
    ends = {0.0}.union(*(loss.facts.breakpoints or () for loss in losses))
    beside = BESIDE * (high - low) * np.array([-1.0, 1.0])
    every = [np.linspace(low, high, N_RESIDUALS), *(end + beside for end in ends)]
    residual = np.unique(np.concatenate(every))
    # At 0 itself a kinked loss has no weight.
    inside = (residual >= low) & (residual <= high) & (residual != 0)
    return np.asarray(residual[inside])


def _weight(loss: Loss, residual: Array) -> Array:
    """Return how much each residual counts."""
    if loss.facts.smooth:
        return relative_weight(loss, residual)
    return np.asarray(loss.gradient(residual) / residual)


def _name(loss: str | Loss, beta: float | None, quantile: float) -> str:
    """Return what a loss is called: its name and what made it, or its class."""
    if isinstance(loss, Loss):
        return repr(loss)
    of_its_own = LOSSES[loss].efficient_beta
    used = of_its_own if beta is None else beta
    bent = "" if of_its_own is None else f", beta={used:g}"
    tilted = "" if quantile == 0.5 else f", quantile={quantile:g}"
    return f"{loss}{bent}{tilted}"
