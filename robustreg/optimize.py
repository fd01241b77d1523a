"""The Newton descent of fits, as a method of SciPy's ``minimize``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
from scipy.optimize import OptimizeResult

from robustreg.linalg import SINGULAR, Array, factorise
from robustreg.objective import Model
from robustreg.solvers.descent import Step, descend
from robustreg.solvers.direct import factored_step
from robustreg.solvers.results import Start

MESSAGES = (
    "The largest entry of the gradient is at most tol.",
    "The limit of iterations is reached.",
    "No step from here leads down any further.",
    "The callback raised StopIteration.",
)


def newton(
    fun: Callable[..., float],
    x0: Array,
    args: tuple[Any, ...] = (),
    jac: Callable[..., Array] | None = None,
    hess: Callable[..., Array] | None = None,
    hessp: Callable[..., Array] | None = None,
    bounds: object = None,
    constraints: object = (),
    callback: Callable[..., object] | None = None,
    *,
    tol: float = 1e-8,
    maxiter: int | None = None,
) -> OptimizeResult:
    """Minimise a smooth function by Newton's method with a line search.

    To be passed to SciPy as ``scipy.optimize.minimize(..., method=newton)``, with
    ``jac`` and with ``hess`` or ``hessp``. It is the loop by which fits of smooth
    losses find their start [1]_: Newton's step, or the minimum along it if that is not
    where its model says. While the Hessian is not positive definite, and after short
    steps, a share of a diagonal that dominates it is added. Without rows there is no
    certificate, so that the gradient tells the end.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` returns the value.
    x0 : ndarray of shape (n,)
        Where to start.
    args : tuple
        More arguments of all functions.
    jac : callable
        ``jac(x, *args)`` returns the gradient.
    hess : callable or None
        ``hess(x, *args)`` returns the Hessian, an array of shape (n, n).
    hessp : callable or None
        ``hessp(x, p, *args)`` returns the product of the Hessian with p. If there is no
        ``hess``, its columns are n of these.
    bounds, constraints : None, empty
        Must not be given.
    callback : callable or None
        ``callback(x)``, or ``callback(intermediate_result=result)`` if that is the name
        of its only parameter, after each step. ``StopIteration`` ends the descent.
    tol : float
        Done when no entry of the gradient is larger.
    maxiter : int or None
        Largest number of steps; 200 a variable if None.

    Returns
    -------
    OptimizeResult
        ``x``, ``fun``, ``jac``, ``hess``, ``nit``, ``nfev``, ``njev``, ``nhev``,
        ``success``, ``status`` and ``message``. A convex function has its minimum
        there; of another one it is a stationary point, and need not be lower than all
        points on the way.

    Raises
    ------
    ValueError
        If derivatives are missing, or there are bounds or constraints.

    References
    ----------
    .. [1] Nocedal, J., Wright, S. J. (2006). Numerical Optimization, 2nd edition,
       sections 3.4 and 3.5. Springer.

    Examples
    --------
    >>> from scipy.optimize import minimize, rosen, rosen_der, rosen_hess
    >>> from robustreg.optimize import newton
    >>> result = minimize(
    ...     rosen, [-1.2, 1.0], jac=rosen_der, hess=rosen_hess, method=newton
    ... )
    >>> result.x.round(8)
    array([1., 1.])
    """
    if bounds is not None or constraints:
        raise ValueError("newton takes no bounds and no constraints.")
    if not callable(hess) and callable(hessp):
        hess = _columns_of(hessp)
    if not callable(jac) or not callable(hess):
        raise ValueError("newton needs callables as jac, and as hess or hessp.")
    function = _Function(fun, jac, hess, args)
    start = function.evaluate(np.atleast_1d(np.array(x0, dtype=np.float64)))
    most = 200 * start.params.size if maxiter is None else maxiter
    end = _End(tol, callback)
    point, nit = start, 0
    if not end.is_stationary(start):
        descent = descend(
            function, Start(start.params), step=_step, until=end, max_iter=most
        )
        point, nit = descent.point, descent.n_iter
    status = end.status(point, nit >= most)
    return OptimizeResult(
        x=point.params,
        fun=point.value,
        jac=point.gradient,
        hess=point.hessian,
        nit=nit,
        nfev=function.counts["fun"],
        njev=function.counts["jac"],
        nhev=function.counts["hess"],
        success=status == 0,
        status=status,
        message=MESSAGES[status],
    )


@final
class _Function:
    """A function of which a descent asks what it asks of an objective."""

    def __init__(
        self,
        fun: Callable[..., float],
        jac: Callable[..., Array],
        hess: Callable[..., Array],
        args: tuple[Any, ...],
    ) -> None:
        self._called = {"fun": fun, "jac": jac, "hess": hess}
        self._args = args
        self.counts = dict.fromkeys(self._called, 0)

    def call(self, name: str, params: Array) -> Array:
        """Return what one of the three makes of a copy of the params."""
        self.counts[name] += 1
        shape = params.shape * list(self._called).index(name)
        result = np.asarray(self._called[name](params.copy(), *self._args), float)
        if result.size != np.prod(shape) or result.ndim > max(len(shape), 1):
            raise ValueError(f"{name} returned shape {result.shape}, not {shape}.")
        return result.reshape(shape)

    def evaluate(self, params: Array, known: Array | None = None) -> _Point:
        """Return the point, of which nothing is computed yet."""
        del known
        return _Point(params, self)

    def curvature(self, point: _Point, majorised: float) -> Array:
        """Return the Hessian and a share of a diagonal that dominates it."""
        hessian = point.hessian
        size = np.abs(hessian).sum(axis=0)
        return hessian + np.diag(majorised * np.where(size > 0, 2 * size, 1.0))

    def slope(self, point: _Point, direction: Array, before: bool) -> float:
        """Return the derivative along a direction, up where there is no value."""
        del before
        slope = float(point.gradient @ direction)
        return slope if point.value < np.inf and not np.isnan(slope) else np.inf

    def line_slope(self, point: _Point, direction: Array) -> Callable[[float], float]:
        """Return the derivative along a line."""

        def slope(t: float) -> float:
            there = self.evaluate(point.params + t * direction)
            return self.slope(there, direction, before=False)

        return slope


@dataclass(frozen=True)
class _Point:
    """A point, and what is known there once it was asked for."""

    params: Array
    function: _Function

    @cached_property
    def value(self) -> float:
        """The value."""
        return float(self.function.call("fun", self.params))

    @cached_property
    def gradient(self) -> Array:
        """The gradient."""
        return self.function.call("jac", self.params)

    @cached_property
    def hessian(self) -> Array:
        """The Hessian."""
        return self.function.call("hess", self.params)


@final
class _End:
    """Where a descent ends, and why."""

    def __init__(self, tol: float, callback: Callable[..., object] | None) -> None:
        self._tol, self._callback, self._is_stopped = tol, callback, False

    def __call__(self, function: _Function, point: _Point, length: float) -> bool:
        """Return whether a point is the end, once the callback knows of it."""
        del function, length
        if self._callback is not None:
            self._is_stopped = _is_over(self._callback, point)
        return self._is_stopped or self.is_stationary(point)

    def is_stationary(self, point: _Point) -> bool:
        """Return whether the gradient is small enough."""
        return bool(np.abs(point.gradient).max(initial=0.0) <= self._tol)

    def status(self, point: _Point, is_late: bool) -> int:
        """Return the place of what happened in `MESSAGES`."""
        if self.is_stationary(point):
            return 0
        if self._is_stopped:
            return 3
        return 1 if is_late else 2


def _step(
    function: _Function, point: _Point, hessian: Array, last: Model | None
) -> Step:
    """Return Newton's step, none if the matrix is not positive definite."""
    del function, last
    factor = factorise(hessian)
    if factor.rcond < SINGULAR:
        return Step(np.zeros_like(point.params), 0.0, singular=True)
    return factored_step(point.gradient, factor)


def _columns_of(product: Callable[..., Array]) -> Callable[..., Array]:
    """Return the Hessian as a function, by the products that make its columns."""

    def hess(x: Array, *args: Any) -> Array:
        return np.column_stack([product(x, e, *args) for e in np.eye(x.size)])

    return hess


def _is_over(callback: Callable[..., object], point: _Point) -> bool:
    """Tell a callback where the descent is, in SciPy's way; return if it ends it."""
    try:
        if set(inspect.signature(callback).parameters) == {"intermediate_result"}:
            result = OptimizeResult(x=point.params.copy(), fun=point.value)
            callback(intermediate_result=result)
        else:
            callback(point.params.copy())
    except StopIteration:
        return True
    return False
