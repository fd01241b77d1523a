"""How a pass over all rows runs, wherever these are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from robustreg.partitions.part import Part, Tally, tallied
from robustreg.report import Report
from robustreg.rows import prepared, rows_in
from robustreg.solvers.orthogonal import Basis

# Of a part and further arguments.
Verb = Callable[..., Tally]


@final
@dataclass(frozen=True)
class Pass:
    """A pass that was made.

    Parameters
    ----------
    verb : str
        What was computed.
    nbytes : int
        How much came back.
    """

    verb: str
    nbytes: int


@final
@dataclass(frozen=True)
class VerbInBasis:
    """A verb of rows that are in a basis."""

    verb: Verb
    basis: Basis

    @property
    def __name__(self) -> str:
        """What the verb is called."""
        return self.verb.__name__

    def __call__(self, part: Part, *args: Any) -> Tally:
        """Return what the verb makes of a part."""
        rows = rows_in(prepared(part.X), self.basis.standard)
        return self.verb(replace(part, X=self.basis.columns(rows)), *args)


class Engine(ABC):
    """Parts of rows, and a way to run a function on each of them.

    Attributes
    ----------
    n_rows, n_features, n_targets : int
        The size of all data.
    passes : list of Pass
        Those made so far.
    report : Report or None
        Whom to tell of each.
    stopped : bool
        Whether it asked to stop, for those who make passes as long as they gain.
    basis : Basis or None
        The coordinates in which verbs see the rows.
    """

    n_rows: int
    n_features: int
    n_targets: int

    def __init__(self) -> None:
        self.passes: list[Pass] = []
        self.report: Report | None = None
        self.stopped = False
        self.basis: Basis | None = None

    def run(self, verb: Verb, *args: Any) -> Tally:
        """Return the tally of all parts, which takes one pass.

        Raises
        ------
        ValueError
            If no row has weight.
        """
        tally = self._tally(
            verb if self.basis is None else VerbInBasis(verb, self.basis), args
        )
        if tally is None:
            raise ValueError(
                "Sample weights are all zero: no row is left to fit. "
                "Pass at least one positive weight."
            )
        name = self._next_name(verb)
        self.passes.append(Pass(verb.__name__, tally.nbytes))
        if self.report is not None:
            self.stopped = self.report(name, None)
        return tally

    def _next_name(self, verb: Verb) -> str:
        """Return what the next pass is called, wherever it is shown."""
        return f"pass {len(self.passes) + 1}: {verb.__name__}"

    @abstractmethod
    def _tally(self, verb: Verb, args: tuple[Any, ...]) -> Tally | None:
        """Return the `tallied` of a verb of each part, None if none has rows."""


@final
class InTurn(Engine):
    """One part after the other, so that one at a time is in memory.

    Parameters
    ----------
    parts : sequence of callable
        Each returns a `Part`.
    n_rows, n_features, n_targets : int
        The size of all data.
    """

    def __init__(
        self,
        parts: Sequence[Callable[[], Part]],
        n_rows: int,
        n_features: int,
        n_targets: int,
    ) -> None:
        super().__init__()
        self._parts = parts
        self.n_rows, self.n_features, self.n_targets = n_rows, n_features, n_targets

    def _tally(self, verb: Verb, args: tuple[Any, ...]) -> Tally | None:
        """Return the tally, made part by part."""
        return tallied([of_part(part(), verb, args) for part in self._parts])


def of_part(part: Part, verb: Verb, args: tuple[Any, ...]) -> Tally | None:
    """Return what a verb makes of the rows that have weight, None if none has."""
    live = part.live()
    return verb(live, *args) if live.weight.size else None
