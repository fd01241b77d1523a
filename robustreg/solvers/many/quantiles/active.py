"""The rows of several fits that are near a kink, and Newton steps on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robustreg.linalg import TINY
from robustreg.rows import Array, Index
from robustreg.solvers.many.kinks import Kinks, OwnRows

# The share of its trace that lets a Gram matrix of dependent columns have a factor.
FAINT_RIDGE = 1e-12


@dataclass(frozen=True)
class Active:
    """Rows that may cross the kink of each fit, all others held on their side.

    Parameters
    ----------
    places : ndarray of int of shape (k, n_active)
        Which rows they are, -1 for none.
    kinks : Kinks
        What they and the others cost; rows without weight come last.
    size : ndarray of shape (1 or k, n_active)
        How far off predictions of the rows are beside that of a typical one, at least
        1: errors grow with the norm of a row.
    """

    places: Index
    kinks: Kinks
    size: Array

    def nearest(self, params: Array, count: int) -> Active:
        """Return the rows nearest to the kink, the others held on their side there."""
        if count >= self.places.shape[1]:
            return self
        kinks, residual = self.kinks, self.residual(params)
        weights = kinks.weights
        distance = np.where(weights > 0, np.abs(residual) / self.size, np.inf)
        chosen = np.argpartition(distance, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(distance, chosen, axis=1), axis=1)
        chosen = np.take_along_axis(chosen, order, axis=1)
        slopes = np.copysign(weights / 2, residual)
        np.put_along_axis(slopes, chosen, 0.0, axis=1)
        linear = kinks.linear - kinks.rows.adjoint(slopes)
        rows = OwnRows(kinks.rows.block(chosen), kinks.rows.targets(chosen))
        each = np.broadcast_to(self.size, weights.shape), weights, self.places
        size, few, places = (np.take_along_axis(a, chosen, axis=1) for a in each)
        return Active(places, Kinks(rows, few, kinks.low, kinks.high, linear), size)

    def residual(self, params: Array) -> Array:
        """Return the residuals of each fit, of shape (k, n_active)."""
        return self.kinks.rows.residual(params)

    def newton(self, residual: Array, count: Array) -> tuple[Array, Array]:
        """Return a step for slopes that rise over the nearest rows, and the Hessian.

        Parameters
        ----------
        residual : ndarray of shape (k, n_active)
            Residuals where it starts.
        count : ndarray of shape (k,)
            How many rows lie within the width of each loss.

        Returns
        -------
        ndarray of shape (k, n_params)
            The steps.
        ndarray of shape (k, n_params, n_params)
            The Hessians.
        """
        kinks = self.kinks
        unit = 0.5 / self._reach(np.abs(residual), count)[:, None]
        slopes = residual * unit
        curvature = np.where(np.abs(slopes) < 0.5, kinks.weights * unit, 0.0)
        np.clip(slopes, -0.5, 0.5, out=slopes)
        slopes *= kinks.weights
        hessian = np.stack([self._gram(i, c) for i, c in enumerate(curvature)])
        force = kinks.rows.adjoint(slopes) - kinks.linear
        return solved(hessian, force), hessian

    def _gram(self, fit: int, c: Array) -> Array:
        """Return the Gram matrix of a fit's rows, weighted."""
        inside = np.flatnonzero(c)
        root = self.kinks.rows.of(fit).take(inside, axis=0)
        root *= np.sqrt(c[inside])[:, None]
        return root.T @ root

    def reach(self, params: Array, count: Array) -> Array:
        """Return within which distance of each kink so many rows are."""
        return self._reach(np.abs(self.kinks.rows.residual(params)), count)

    def _reach(self, size: Array, count: Array) -> Array:
        """Return the distance of the last of so many nearest rows."""
        weights = self.kinks.weights
        if not weights.all():
            size = np.where(weights > 0, size, np.inf)
        live = np.count_nonzero(weights, axis=1)
        last = np.clip(count.astype(np.intp), 1, live) - 1
        each = zip(size, last, strict=True)
        return np.array([np.partition(a, place)[place] for a, place in each])


def sizes(norms: Array, n_params: int) -> Array:
    """Return how far off predictions are, given the norms of rows; as in `Active`."""
    return np.maximum(norms / np.sqrt(n_params), 1.0)


def solved(grams: Array, forces: Array) -> Array:
    """Return ``gram^-1 force`` of each, 0 if there is none."""
    ridge = FAINT_RIDGE * np.trace(grams, axis1=1, axis2=2) + TINY
    regular = grams + ridge[:, None, None] * np.eye(grams.shape[1])
    try:
        found = np.linalg.solve(regular, forces[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        return np.zeros_like(forces)
    return np.where(np.isfinite(found).all(axis=1, keepdims=True), found, 0.0)
