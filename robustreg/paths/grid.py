"""Fits for a whole grid of penalties, each started from the one before."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from robustreg.fitting import Units, answers, standardisations, within_reach
from robustreg.linalg import SUM_ERROR
from robustreg.losses import Loss
from robustreg.objective import Objective
from robustreg.paths.null_fit import NullFit, null_fit
from robustreg.paths.warm import WarmFit, warm_fits
from robustreg.penalties import ElasticNet, make_penalty
from robustreg.rows import Array, Rows, make_rows, present, taken
from robustreg.validation import check_path_data, check_path_params

# The grid starts here at least, where no column has anything to explain.
SMALLEST_ALPHA = float(np.finfo(np.float64).resolution)


@final
class RobustPath(NamedTuple):
    """A regularisation path.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        Strengths of the penalty, decreasing.
    coefs : ndarray of shape (n_features, n_alphas)
        Coefficients, a column for each alpha.
    intercepts : ndarray of shape (n_alphas,)
        Intercepts, 0 if none is fitted.
    dual_gaps : ndarray of shape (n_alphas,)
        Upper bounds on the objective at the fit minus its minimum; nan for a
        redescending loss.
    """

    alphas: NDArray[Any]
    coefs: NDArray[Any]
    intercepts: NDArray[Any]
    dual_gaps: NDArray[Any]


def robust_path(
    X: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    loss: str | Loss = "smooth_l1",
    beta: float | None = 1.0,
    quantile: float = 0.5,
    penalty: str = "l1",
    l1_ratio: float = 0.5,
    alphas: ArrayLike | None = None,
    n_alphas: int = 100,
    eps: float = 1e-3,
    scale: float = 1.0,
    fit_intercept: bool = True,
    tol: float = 1e-10,
    max_iter: int = 500,
) -> RobustPath:
    r"""Fit a whole grid of penalties: `sklearn.linear_model.lasso_path`, robust.

    Solves, for every alpha, the problem of `SmoothL1Regressor`,

    .. math::

        \frac{\sum_i w_i \, \text{loss}(r_i / s)}{\sum_i w_i}
        + \alpha \, \text{penalty}(c / s),

    with the same answers, certified in the same way. Each fit starts at the one before.
    For a loss of parabolas and lines, such as smooth L1 and Huber's, residuals and Gram
    matrix are shared by all fits, and only rows that cross a breakpoint are touched.
    For a redescending loss the convex fits that start it are the sequence, so that a
    path and single fits end in the same local minima.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Features, as `SmoothL1Regressor.fit` takes them. Not copied.
    y : array-like of shape (n_samples,)
        Targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights, not all 0.
    loss, beta, quantile
        As for `SmoothL1Regressor`.
    penalty : {"l1", "l2", "elasticnet"}, default="l1"
        :math:`\sum_j \lvert c_j \rvert`, :math:`\sum_j c_j^2 / 2`, or their mixture by
        ``l1_ratio``. With ``"l2"``, or an ``l1_ratio`` of 0, ``alphas`` must be given:
        no alpha is large enough to make all coefficients 0.
    l1_ratio : float, default=0.5
        Share of l1 in the elastic net, in [0, 1].
    alphas : array-like of shape (n_alphas,), default=None
        Strengths of the penalty, at least 0, in any order. None takes ``n_alphas``
        from alpha_max, the smallest that makes all coefficients 0 (of a redescending
        loss and of the convex one that starts it), down to ``eps * alpha_max``,
        evenly spaced in their logarithm. Where all coefficients are 0 without a
        penalty, too, alpha_max is one that is enough for any y.
    n_alphas : int, default=100
        Length of the grid; ignored if ``alphas`` are given.
    eps : float, default=1e-3
        Smallest alpha over alpha_max, in (0, 1); ignored if ``alphas`` are given.
    scale : float, default=1.0
        Scale s of the residuals, in units of y: a positive number, the same for every
        alpha. For a robust one pass ``RobustRegressor().fit(X, y).scale_``.
    fit_intercept : bool, default=True
        Whether to fit an intercept, which is never penalised.
    tol : float, default=1e-10
        Positive; the relative dual gap at which a fit is done, as for the estimators.
    max_iter : int, default=500
        Largest number of iterations of each fit, at least 1.

    Returns
    -------
    RobustPath
        A named tuple of ``alphas`` (decreasing), ``coefs`` of shape (n_features,
        n_alphas), ``intercepts`` and ``dual_gaps``.

    Raises
    ------
    ValueError
        For a parameter out of its range, an l2 penalty without alphas, data that is
        not finite and real or of the wrong shape, and dask collections.

    Warns
    -----
    ConvergenceWarning
        Once, if the gap of some fit, or how far it is from a local minimum, is larger
        than ``tol`` allows.
    UserWarning
        If y is the same in so many rows that all coefficients are 0 at every alpha, as
        the median of a y that is mostly 0 has it, and a redescending loss for which all
        other rows are outliers.

    Examples
    --------
    >>> import numpy as np
    >>> from robustreg import robust_path
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 3))
    >>> y = 2 * X[:, 0] + rng.standard_t(2, size=100)
    >>> path = robust_path(X, y, n_alphas=3, eps=0.1)
    >>> (path.coefs != 0).sum(axis=0)
    array([0, 1, 1])
    >>> bool(path.dual_gaps.max() < 1e-10)
    True
    """
    given = {"loss": loss, "beta": beta, "quantile": quantile, "penalty": penalty}
    given |= {"l1_ratio": l1_ratio, "n_alphas": n_alphas, "eps": eps, "scale": scale}
    given |= {"fit_intercept": fit_intercept, "tol": tol, "max_iter": max_iter}
    # Underflow is meant wherever it happens: what is too small counts as 0.
    with np.errstate(under="ignore"):
        checked, grid = check_path_params(given, alphas)
        data, target, weight = check_path_data(X, y, sample_weight)
        data, target, weight = taken(present(weight), data, target, weight)
        target = within_reach(target, weight, checked, float(scale))
        # Any centre will do: it saves digits. A sum of two targets may overflow.
        center = fit_intercept * 2 * float(np.median(target / 2))
        units, share = Units(center, float(scale)), weight / weight.sum()

        def fitted(rows: Rows) -> _Walk:
            unit = _penalty(rows, penalty, 1.0, l1_ratio)
            objective = Objective(rows, units.of_target(target), share, checked, unit)
            null = null_fit(objective, tol, max_iter)
            strengths = _grid(objective, null, n_alphas, eps) if grid is None else grid
            each = [_penalty(rows, penalty, alpha, l1_ratio) for alpha in strengths]
            fits = warm_fits(objective, null, each, tol, max_iter)
            return _Walk(objective, null, strengths, each, fits)

        for rows in standardisations(partial(make_rows, data, weight, fit_intercept)):
            walk = fitted(rows)
            if all(fit.success for fit in walk.fits):
                break
    _warn(walk.fits, walk.strengths, tol)
    _warn_of_nothing(walk, target, _told(loss, quantile))
    return _as_path(walk, units, float(np.finfo(data.dtype).eps))


@dataclass(frozen=True)
class _Walk:
    """The fits of a grid, with what they were made of."""

    objective: Objective
    null: NullFit
    strengths: Array
    penalties: list[ElasticNet]
    fits: list[WarmFit]


def _as_path(walk: _Walk, units: Units, eps: float) -> RobustPath:
    """Return a path in original units."""
    rows = walk.objective.rows
    params = units.to_original(np.array([fit.params for fit in walk.fits]))
    coefs, intercepts = answers(rows, walk.objective.weight, params, units.scale, eps)
    gaps = np.array([fit.gap for fit in walk.fits])
    for i, (fit, penalty) in enumerate(zip(walk.fits, walk.penalties, strict=True)):
        if coefs[i].dtype != np.float64:
            exact = coefs[i].astype(np.float64), float(intercepts[i])
            rounded = units.from_original(rows.standard.from_original(*exact))
            objective = walk.objective.with_penalty(penalty)
            gaps[i] += _lost(objective, fit.params, rounded)
    return RobustPath(
        walk.strengths, np.column_stack(coefs), np.array(intercepts), gaps
    )


def _lost(objective: Objective, params: Array, rounded: Array) -> float:
    """Return by how much rounding raises the objective."""
    before, after = (objective.evaluate(p).value for p in (params, rounded))
    return max(after - before, 0.0)


def _penalty(rows: Rows, penalty: str, alpha: float, l1_ratio: float) -> ElasticNet:
    """Return the penalty of the standardised coefficients."""
    original = make_penalty(penalty, alpha, l1_ratio, rows.n_params - 1)
    return original.rescaled(rows.standard.unit)


def _enough(objective: Objective) -> float:
    """Return an alpha at which all coefficients are 0 whatever y is; 0 if none is."""
    facts, live = objective.loss.facts, objective.rows.varies & (objective.l1 > 0)
    if not facts.bounded_slope or not live.any():
        return 0.0
    # Standardised columns have a mean size of at most 1.
    return float(facts.steepest / objective.l1[live].min())


def strengths(
    objective: Objective, n_alphas: int, eps: float, tol: float, max_iter: int
) -> Array:
    """Return the alphas of a path, for a penalty of strength 1 with an l1 part."""
    return _grid(objective, null_fit(objective, tol, max_iter), n_alphas, eps)


def _grid(objective: Objective, null: NullFit, n_alphas: int, eps: float) -> Array:
    """Return alphas from the largest that matters down to ``eps`` times it."""
    enough = _enough(objective)
    largest = null.strength if null.strength > SUM_ERROR * enough else enough
    largest = max(largest, SMALLEST_ALPHA)
    grid = np.geomspace(largest, eps * largest, n_alphas)
    grid[0] = largest
    return grid


def _warn_of_nothing(walk: _Walk, target: Array, told: str) -> None:
    """Say that the intercept alone is the fit of a y that is mostly one value."""
    objective, null = walk.objective, walk.null
    enough, facts = _enough(objective), objective.loss.facts
    kinked = not facts.smooth
    if not enough or null.own_strength > SUM_ERROR * enough:
        return
    # A redescending loss may leave the valley of the convex fit that starts it.
    coefs = np.array([fit.params[:-1] for fit in walk.fits])
    left = not facts.convex and np.abs(coefs).max() <= objective.noise
    exact = np.abs(null.point.residual) <= objective.noise
    # Fewer leave their slopes too little room to balance every column.
    few = np.count_nonzero(exact) <= objective.rows.varies.sum()
    if not (kinked or left) or exact.all() or few:
        return
    even, way_out = ", even at 0", "another quantile, or a loss without a kink"
    if left:
        even, way_out = "", "a larger scale or beta, or a convex loss"
    warnings.warn(
        f"robust_path: all coefficients are 0 at every alpha{even}, because y is "
        f"{target[exact][0]:.6g} in {np.count_nonzero(exact)} of {exact.size} rows "
        f"and the fit by {told} is that constant. Choose {way_out}, such as "
        "'smooth_l1'.",
        UserWarning,
        stacklevel=3,
    )


def _told(loss: str | Loss, quantile: float) -> str:
    """Return the loss as the caller gave it."""
    return f"loss={loss!r}" + (f", quantile={quantile!r}" if quantile != 0.5 else "")


def _warn(fits: list[WarmFit], alphas: Array, tol: float) -> None:
    """Say once how many fits did not converge, and which is the worst."""
    failed = [index for index, fit in enumerate(fits) if not fit.success]
    if not failed:
        return
    worst = max(failed, key=lambda i: -np.inf if np.isnan(fits[i].gap) else fits[i].gap)
    gap = fits[worst].gap
    lack = (
        "is not yet at a local minimum"
        if np.isnan(gap)
        else f"may be {gap:.2g} above its minimum"
    )
    warnings.warn(
        f"robust_path stopped before tol={tol:g} was met for {len(failed)} of "
        f"{len(fits)} alphas. The worst is alpha={alphas[worst]:.6g}, whose objective "
        f"{lack}. The best fits found are kept. "
        "Raise max_iter or tol, or leave out the smallest alphas.",
        ConvergenceWarning,
        stacklevel=3,
    )
