"""What a Wald test is asked: linear hypotheses of the coefficients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from robustreg.linalg import NO_DIRECTION
from robustreg.rows import Array


@dataclass(frozen=True)
class Hypothesis:
    """``matrix @ coefficients = values``, with a matrix of full row rank."""

    name: str
    matrix: Array
    values: Array


def hypotheses_of(given: Any, values: Any, names: list[str]) -> list[Hypothesis]:
    """Return the hypotheses that are given; refuse what is none."""
    if not isinstance(given, Mapping):
        return [_hypothesis(_name_of(given), given, values, names)]
    if values is not None:
        raise ValueError(
            "values are those of one matrix, and hypotheses is a dict. Test each "
            "matrix that has values by itself."
        )
    if not given:
        raise ValueError("hypotheses is empty. Name the coefficients to test.")
    return [_hypothesis(str(name), one, None, names) for name, one in given.items()]


def _name_of(given: Any) -> str:
    """Return what a hypothesis without a name is called."""
    if isinstance(given, str):
        return given
    return ", ".join(given) if _are_names(given) else "hypothesis"


def _are_names(given: Any) -> bool:
    """Return whether these are names, not numbers."""
    return np.ndim(given) == 1 and all(isinstance(one, str) for one in given)


def _hypothesis(name: str, given: Any, values: Any, names: list[str]) -> Hypothesis:
    """Return one hypothesis: that named coefficients are 0, or a matrix and values."""
    given = [given] if isinstance(given, str) else given
    if _are_names(given):
        matrix = np.eye(len(names))[_places(list(given), names)]
    else:
        matrix = _checked_matrix(given, names)
    return Hypothesis(name, matrix, _checked_values(values, len(matrix)))


def _places(given: list[str], names: list[str]) -> list[int]:
    """Return the places of names among those of the coefficients."""
    if not given:
        raise ValueError("A hypothesis names no coefficient. Name one at least.")
    for name in given:
        if name not in names:
            raise ValueError(f"There is no coefficient {name!r}. There are {names}.")
        if names.count(name) > 1:
            raise ValueError(
                f"There are {names.count(name)} coefficients {name!r}. Pass a matrix."
            )
        if given.count(name) > 1:
            raise ValueError(f"{name!r} is named more than once. Once will do.")
    return [names.index(name) for name in given]


def _checked_matrix(given: Any, names: list[str]) -> Array:
    """Return a matrix of restrictions; refuse what is none."""
    try:
        matrix = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            "A hypothesis is a name, a list of names or a matrix of numbers. "
            f"Got {given!r}."
        ) from error
    if matrix.ndim != 2 or matrix.shape[1] != len(names) or not len(matrix):
        raise ValueError(
            f"A matrix of restrictions must have shape (n_restrictions, {len(names)}), "
            f"a column for each of {names}. Got shape {matrix.shape}."
        )
    if not np.isfinite(matrix).all():
        raise ValueError("A matrix of restrictions must have finite numbers.")
    size = np.linalg.norm(matrix, axis=1, keepdims=True)
    if not size.all() or (
        np.linalg.matrix_rank(matrix / size, tol=NO_DIRECTION) < len(matrix)
    ):
        raise ValueError(
            "The rows of a matrix of restrictions depend on each other. Drop those "
            "that others imply."
        )
    return matrix


def _checked_values(values: Any, n_restrictions: int) -> Array:
    """Return what coefficients are compared with, 0 by default."""
    if values is None:
        return np.zeros(n_restrictions)
    found = np.asarray(values, dtype=np.float64)
    if found.shape != (n_restrictions,) or not np.isfinite(found).all():
        raise ValueError(
            f"values must be {n_restrictions} finite numbers, one for each row of the "
            f"matrix. Got {values!r}."
        )
    return found
