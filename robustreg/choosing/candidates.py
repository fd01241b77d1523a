"""What is chosen from: every combination of terms, each with its strengths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from numbers import Integral
from typing import Any, final

import numpy as np

from robustreg.estimators.robust import RobustRegressor
from robustreg.losses import Loss
from robustreg.rows import Array

# The names of a combination, in the order of scikit-learn's ParameterGrid.
TERMS = ("beta", "l1_ratio", "loss", "penalty", "quantile")
# Strengths of each combination, where nothing else is asked for.
N_ALPHAS = 100


@final
@dataclass(frozen=True)
class Combination:
    """A loss and a penalty, and the strengths it is tried with.

    Parameters
    ----------
    terms : dict
        A value for each of `TERMS`.
    loss : Loss
        The loss that they make.
    alphas : ndarray of shape (n_alphas,)
        Strengths, in the order of candidates.
    """

    terms: dict[str, Any]
    loss: Loss
    alphas: Array

    def params(self, place: int) -> dict[str, Any]:
        """Return the parameters of a candidate, as a search names them."""
        return {"alpha": float(self.alphas[place]), **self.terms}

    def estimator(self, place: int, shared: dict[str, Any]) -> RobustRegressor:
        """Return the estimator of a candidate, with what all of them share."""
        return RobustRegressor(**self.params(place), **shared)

    def same_as(self, other: Combination) -> bool:
        """Return whether it asks for the same fits: what a loss ignores may differ."""
        mine, others = self.terms, other.terms
        mixes = mine["penalty"] == "elasticnet"
        return (
            self.loss == other.loss
            and mine["penalty"] == others["penalty"]
            and (not mixes or mine["l1_ratio"] == others["l1_ratio"])
            and np.array_equal(self.alphas, other.alphas)
        )


def listed(value: Any) -> list[Any]:
    """Return candidates as a list: what is no list or array is the only one."""
    return list(value) if isinstance(value, list | tuple | np.ndarray) else [value]


def asks_in_vain(penalty: Any, alphas: Any) -> bool:
    """Return whether strengths are asked for, but no candidate has a penalty."""
    if any(each is not None for each in listed(penalty)):
        return False
    asked = alphas != N_ALPHAS if isinstance(alphas, Integral) else np.any(alphas)
    return bool(asked)


def combinations_of(given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the combinations of all values of `TERMS`."""
    for values in product(*(listed(given[name]) for name in TERMS)):
        yield dict(zip(TERMS, values, strict=True))


def in_order(combinations: list[Combination]) -> list[tuple[int, int]]:
    """Return combination and place of each candidate, as a grid search orders them.

    Alphas change last, being the first name of the alphabet.
    """
    most = max(each.alphas.size for each in combinations)
    return [
        (index, place)
        for place in range(most)
        for index, each in enumerate(combinations)
        if place < each.alphas.size
    ]
