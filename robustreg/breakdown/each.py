"""Who does work that comes in portions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Portion = TypeVar("Portion")
Made = TypeVar("Made")


class Each(Protocol):
    """Makes something of each portion, in order."""

    def __call__(
        self, function: Callable[[Portion], Made], portions: Sequence[Portion]
    ) -> list[Made]:
        """Return ``function(portion)`` of each."""


def one_by_one(
    function: Callable[[Portion], Made], portions: Sequence[Portion]
) -> list[Made]:
    """Return ``function(portion)`` of each, one after the other."""
    return [function(portion) for portion in portions]
