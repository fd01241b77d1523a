"""Residuals against those of Gaussian errors: quantiles, and how they may stray."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.base import clone

from robustreg.choosing import chosen_by
from robustreg.estimators.base import NoEffectWarning
from robustreg.plotting.drawing import Array
from robustreg.plotting.measuring import Measured
from robustreg.scale import MAD_FACTOR

# Of more rows samples are not fitted, only brought to scale: of n rows a fit of p
# coefficients moves quantiles by about p / n.
MOST_FITTED = 5_000
# The same where each fit is a search among subsets of rows, of seconds even for few.
MOST_SEARCHED = 500
# Share of simulated residuals outside the envelope, at each rank.
OUTSIDE = 0.05
# The fewest simulations of which one lies on either side.
LEAST_SIMULATIONS = round(2 / OUTSIDE) - 1


def positions(weight: Array) -> Array:
    """Return the share of weight below the middle of each row, in their order."""
    return np.asarray((np.cumsum(weight) - weight / 2) / weight.sum())


def envelope_of(of_fit: Measured, n_simulations: int, random_state: int) -> Array:
    """Return between which residuals those of Gaussian errors lie, rank by rank.

    Residuals of fits to ``fitted + residual_scale * e`` with Gaussian e, each in its
    own robust scale, with the same rows and weights [1]_. Of m simulations those that
    are the k-th from either end at a rank, with ``k = 0.025 (m + 1)``, hold one more
    between them with probability 0.95.

    References
    ----------
    .. [1] Atkinson, A. C. (1981). Two graphical displays for outlying and influential
       observations in regression. Biometrika 68, 13-20.
    """
    rng = np.random.default_rng(random_state)
    errors = rng.standard_normal((n_simulations, of_fit.fitted.size))
    searched = chosen_by(of_fit.model).starts_from_s
    few = of_fit.fitted.size <= (MOST_SEARCHED if searched else MOST_FITTED)
    residual = _refitted(of_fit, errors) if few else _scaled(errors)
    order = np.argsort(residual, axis=1)
    at = positions(of_fit.weight[np.argsort(of_fit.residual, kind="stable")])
    for i, rows in enumerate(order):
        own = positions(of_fit.weight[rows])
        residual[i] = np.interp(at, own, residual[i, rows])
    residual.sort(axis=0)
    k = int(OUTSIDE / 2 * (n_simulations + 1))
    return residual[[k - 1, -k]]


def _refitted(of_fit: Measured, errors: Array) -> Array:
    """Return the residuals of fits to simulated targets, in their scales."""
    model = clone(chosen_by(of_fit.model))
    targets = of_fit.residual_scale * errors.T
    if model.penalty is not None and model.alpha > 0:
        # A penalty sees what is fitted; all else adds it, and leaves residuals alone.
        targets += of_fit.fitted[:, None]
    with warnings.catch_warnings():
        # Who fitted the model has been told.
        warnings.simplefilter("ignore", NoEffectWarning)
        model.fit(of_fit.X, targets, of_fit.weight)
    residual = targets - model.predict(of_fit.X)
    return np.asarray((residual / model.residual_scale_).T)


def _scaled(errors: Array) -> Array:
    """Return errors in units of their median absolute one, as residuals are."""
    size = MAD_FACTOR * np.median(np.abs(errors), axis=1, keepdims=True)
    return np.asarray(errors / size)
