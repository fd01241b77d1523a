"""Losses of one residual, and the registry that names them.

``loss=`` of every estimator takes a name in `LOSSES` or an instance of a `Loss`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from robustreg.losses.base import Loss, LossFacts, numerical_conjugate, relative_weight
from robustreg.losses.convex import (
    L1,
    L2,
    Envelope,
    Huber,
    LogCosh,
    Pinball,
    PseudoHuber,
    SmoothL1,
)
from robustreg.losses.redescending import Andrews, Cauchy, Hampel, Talwar, Tukey, Welsch
from robustreg.losses.tilted import Dilated, Tilted

__all__ = [
    "L1",
    "L2",
    "LOSSES",
    "Andrews",
    "Cauchy",
    "Dilated",
    "Envelope",
    "Hampel",
    "Huber",
    "LogCosh",
    "Loss",
    "LossEntry",
    "LossFacts",
    "Pinball",
    "PseudoHuber",
    "SmoothL1",
    "Talwar",
    "Tilted",
    "Tukey",
    "Welsch",
    "make_loss",
    "numerical_conjugate",
    "refuse_other_names",
    "relative_weight",
]


@dataclass(frozen=True)
class LossEntry:
    """How a name becomes a loss.

    Parameters
    ----------
    build : callable
        ``build(beta, quantile)`` returns the loss.
    efficient_beta : float or None
        The beta that has 95 % efficiency at the Gaussian when the scale is the
        standard deviation: ``(E curvature)^2 / E gradient^2 = 0.95`` [1]_. None for
        a loss without a beta.
    zero_beta : bool
        Whether ``beta=0`` has a meaning.

    References
    ----------
    .. [1] Huber, P. J. (1964). Robust estimation of a location parameter. Annals
       of Mathematical Statistics 35, 73-101.
    """

    build: Callable[[float, float], Loss]
    efficient_beta: float | None = None
    zero_beta: bool = True


def _tilted(loss: Loss, quantile: float) -> Loss:
    """Return the loss itself at the quantile that does not tilt it."""
    return loss if quantile == 0.5 else Tilted(loss, quantile)


def _entry(
    build: Callable[[float], Loss],
    efficient_beta: float | None = None,
    zero_beta: bool = False,
) -> LossEntry:
    """Return the entry of a symmetric loss, which is tilted by quantile."""
    return LossEntry(
        lambda beta, quantile: _tilted(build(beta), quantile), efficient_beta, zero_beta
    )


LOSSES: dict[str, LossEntry] = {
    "l2": _entry(lambda beta: L2(), zero_beta=True),
    "l1": _entry(lambda beta: L1(), zero_beta=True),
    "smooth_l1": _entry(
        lambda beta: SmoothL1(beta) if beta > 0 else L1(), 1.345, zero_beta=True
    ),
    "huber": _entry(Huber, 1.345),
    "pseudo_huber": _entry(PseudoHuber, 1.2871),
    "log_cosh": _entry(LogCosh, 1.2047),
    "quantile": LossEntry(lambda beta, quantile: Pinball(quantile - 1, quantile)),
    "cauchy": _entry(Cauchy, 2.385),
    "welsch": _entry(Welsch, 2.985),
    "tukey": _entry(Tukey, 4.685),
    "talwar": _entry(Talwar, 2.795),
    # The proportions of MASS and statsmodels, whose a = 2 has an efficiency of 99 %.
    "hampel": _entry(lambda beta: Hampel(beta, 2 * beta, 4 * beta), 1.382),
    "andrews": _entry(Andrews, 1.339),
}


# What other packages call ours.
OTHER_NAMES = {
    "absolute_error": "l1",
    "bisquare": "tukey",
    "biweight": "tukey",
    "lad": "l1",
    "logcosh": "log_cosh",
    "mae": "l1",
    "mse": "l2",
    "ols": "l2",
    "pinball": "quantile",
    "pseudohuber": "pseudo_huber",
    "smoothl1": "smooth_l1",
    "squared_error": "l2",
}


def refuse_other_names(loss: Any) -> None:
    """Refuse what other packages call a loss, and say what it is called here.

    So is a name in other letters: two spellings of one loss are two points of a grid.
    """
    if not isinstance(loss, str) or loss in LOSSES:
        return
    words = "_".join(loss.lower().replace("-", " ").split())
    plain = words.removesuffix("loss").rstrip("_")
    ours = plain if plain in LOSSES else OTHER_NAMES.get(plain)
    if ours is not None:
        raise ValueError(
            f"loss must be one of {sorted(LOSSES)} or an instance of "
            f"robustreg.losses.Loss. Got {loss!r}, which is called {ours!r} here: "
            f"pass loss={ours!r}."
        )


def make_loss(
    loss: str | Loss, beta: float | None = 1.0, quantile: float = 0.5
) -> Loss:
    """Return the loss of a name, a breakpoint and a quantile.

    Parameters
    ----------
    loss : str or Loss
        A name in `LOSSES`, or an instance, which keeps its own breakpoint.
    beta : float or None, default=1.0
        Breakpoint in units of the scale, at least 0; None takes the loss's constant
        for 95 % efficiency at the Gaussian.
    quantile : float, default=0.5
        Tilt in (0, 1); 0.5 leaves a symmetric loss as it is.

    Returns
    -------
    Loss

    Raises
    ------
    ValueError
        For an unknown name, a negative beta, a beta of 0 where the loss needs it
        positive, a quantile outside (0, 1) or the tilt of an asymmetric instance.

    Examples
    --------
    >>> from robustreg.losses import make_loss
    >>> make_loss("huber", beta=None)
    Huber(beta=1.345)
    >>> make_loss("l2", quantile=0.9)
    Tilted(base=L2(), quantile=0.9)
    """
    if not 0 < quantile < 1:
        raise ValueError(f"quantile must be in the range (0, 1). Got {quantile!r}.")
    if isinstance(loss, Loss):
        if quantile != 0.5 and not loss.facts.symmetric:
            raise ValueError(
                f"quantile={quantile!r} tilts symmetric losses only, and loss={loss!r} "
                "is not symmetric. Use quantile=0.5, or tilt its base."
            )
        return _tilted(loss, quantile)
    refuse_other_names(loss)
    if loss not in LOSSES:
        raise ValueError(
            f"loss must be one of {sorted(LOSSES)} or an instance of "
            f"robustreg.losses.Loss. Got {loss!r}."
        )
    entry = LOSSES[loss]
    if beta is None:
        beta = 1.0 if entry.efficient_beta is None else entry.efficient_beta
    if not 0 <= beta < float("inf"):
        raise ValueError(f"beta must be None or in the range [0, inf). Got {beta!r}.")
    if beta == 0 and not entry.zero_beta:
        raise ValueError(
            f"loss={loss!r} needs beta > 0. Got beta=0. "
            "Use loss='l1' for the absolute loss."
        )
    return entry.build(beta, quantile)
