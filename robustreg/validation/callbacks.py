"""Callbacks, which scikit-learn has from 1.9 on: who is told of the steps of a fit.

The only file that knows of them. With an older version nothing is told, and there is no
``set_callbacks``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin(ABC):  # type: ignore[no-redef]
        """Nothing: this version of scikit-learn has no callbacks."""

        @abstractmethod
        def __init__(self) -> None:
            """Store the parameters."""

    def with_callbacks(method: Any) -> Any:
        """Return what is only called where there are callbacks."""
        return method


__all__ = ["CallbackSupportMixin", "Callbacks", "watched"]

# Makes the attributes by which a fit that ended here would predict.
Attributes = Callable[[], dict[str, Any]]


@final
class Callbacks:
    """The callbacks of an estimator at one level of its tasks.

    Once a callback asked to stop, every later step says so as well.

    Parameters
    ----------
    estimator : object
        The estimator.
    context : sklearn.callback.CallbackContext
        The task that this level is.
    data : dict
        What hooks are given as ``X``, ``y`` and ``metadata``.
    """

    def __init__(self, estimator: Any, context: Any, data: dict[str, Any]) -> None:
        self._estimator, self._context, self._data = estimator, context, data
        self._n_told, self._stopped = 0, False

    def begin(self) -> None:
        """Tell that the task begins."""
        self._context.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def end(self, attributes: Attributes | None = None) -> bool:
        """Tell that the task is done; return whether a callback asks to stop."""
        stops = self._context.call_on_fit_task_end(
            estimator=self._estimator,
            reconstruction_attributes=attributes,
            **self._data,
        )
        return bool(stops)

    def step(self, name: str, attributes: Attributes | None = None) -> bool:
        """Tell of a task without steps that was done; return whether to stop.

        More steps than there were to be are some that were made again, and not told of.
        """
        most = self._context.max_subtasks
        if most is None or self._n_told < most:
            context = self._context.subcontext(task_name=name)
            task = Callbacks(self._estimator, context, self._data)
            task.begin()
            self._stopped |= task.end(attributes)
            self._n_told += 1
        return self._stopped

    def level(self, name: str, most: int) -> Callbacks:
        """Return the level of a task that has at most so many steps.

        Data are not given to its hooks, nor sent to a process in which they are called.
        """
        context = self._context.subcontext(task_name=name, max_subtasks=most)
        return Callbacks(self._estimator, context, {})

    @contextmanager
    def around(self, name: str, inner: Any) -> Iterator[None]:
        """Tell of a task that is the fit of another estimator, which tells on."""
        context = self._context.subcontext(task_name=name)
        task = Callbacks(self._estimator, context, {})
        with context.propagate_callback_context(inner):
            task.begin()
            yield
            task.end()


@contextmanager
def watched(
    estimator: Any, X: Any, y: Any, sample_weight: Any, n_steps: int | None = None
) -> Iterator[Callbacks | None]:
    """Tell the callbacks of an estimator of a fit that leaves it fitted.

    Yield a `Callbacks`, or None if nobody is to be told.

    Parameters
    ----------
    estimator : object
        The estimator.
    X, y, sample_weight : array-like
        Data, as they were given.
    n_steps : int or None
        Number of steps, if it is known.
    """
    if not vars(estimator).get("_skl_callbacks"):
        yield None
        return
    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    data = {"X": X, "y": y, "metadata": metadata}
    try:
        context = estimator._init_callback_context(max_subtasks=n_steps)
        callbacks = Callbacks(estimator, context, data)
        callbacks.begin()
        yield callbacks
        callbacks.end(dict)
    finally:
        _tear_down(estimator)


@with_callbacks  # type: ignore[untyped-decorator]
def _tear_down(estimator: Any) -> None:
    """End the callbacks of a fit, as scikit-learn does after a method."""
