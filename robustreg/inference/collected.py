"""A fit of rows that are elsewhere, as inference sees it: by sums over their parts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, final

import numpy as np

from robustreg.inference.algebra import AtFit, Inverse, of_full_leverage
from robustreg.inference.checks import (
    check_scale,
    noise_of,
    precision_of,
    refuse_few_rows,
    refuse_foreign,
)
from robustreg.inference.columns import refuse_constant
from robustreg.linalg import SUM_ERROR
from robustreg.losses import Loss, relative_weight
from robustreg.objective import Point
from robustreg.partitions import Drawing, Engine, PartitionError, collections
from robustreg.partitions.at_fit import RowValue, roots, weighted
from robustreg.partitions.part import Root
from robustreg.partitions.sums import Asked, sample
from robustreg.rows import Array, Index, Standard, independent, root_rank
from robustreg.scale import scale_floor
from robustreg.validation import check_column_names, refuse_no_numbers

# Rows that tell the spread of y, and by how much that of all may be larger.
FEW, NEAR_FLOOR = Drawing(most_rows=2_000, worthwhile=1.0), 2.0


def check_collected(
    estimator: Any, names: list[str], loss: Loss, X: Any, y: Any, sample_weight: Any
) -> Collected:
    """Return a fit with its rows, which takes two passes; refuse as `check_fit`."""
    refuse_no_numbers(X=X, y=y, sample_weight=sample_weight)
    engine = collections().DaskEngine(X, y, sample_weight)
    check_column_names(estimator, engine.given_names, engine.n_features)
    if engine.n_targets != 1:
        raise ValueError(
            f"y must be one target, of shape (n_samples,). Got {engine.n_targets} "
            "columns. Pass one of them at a time: y[:, j]."
        )
    engine.hold()
    return at_fit(engine, estimator, names, loss)


def at_fit(engine: Engine, estimator: Any, names: list[str], loss: Loss) -> Collected:
    """Return the fit of an engine's rows, if they are those that it was made of."""
    n, p = engine.n_rows, engine.n_features
    tally = engine.run(sample, n, FEW.size(n, p + 1), estimator.fit_intercept)
    (some,), (moments,) = tally.rows, tally.sums
    if some.weight.size:
        check_scale(estimator, NEAR_FLOOR * scale_floor(some.y[:, 0], some.weight))
    standard, scale = moments.standard(estimator.fit_intercept), float(estimator.scale_)
    coef = estimator.coef_.astype(np.float64)
    params = standard.from_original(coef / scale, estimator.intercept_ / scale)
    asked = Asked(standard, loss, 0, 0.0, scale, moments.total, params)
    precision = precision_of(estimator)
    refuse_constant(standard, names)
    fitted = Collected(engine, asked, names, precision)
    refuse_few_rows(fitted, fitted.n_rows)
    refuse_foreign(fitted.violation, estimator)
    return fitted


@final
class Collected(AtFit[RowValue]):
    """Sums over the rows of an engine at a fit, each of which takes a pass, once.

    Those that most covariances are made of come with the first. The precision is the
    rounding error of the stored coefficients.
    """

    def __init__(
        self, engine: Engine, asked: Asked, names: list[str], precision: float
    ) -> None:
        self.names, self.scale = names, asked.scale
        self._engine, self._asked = engine, asked
        self._grams: dict[RowValue, Array] = {}
        self._totals: dict[RowValue, float] = {}
        self._roots: dict[RowValue, tuple[Root, Root]] = {}
        terms = partial(_terms, precision=precision)
        common = _ones, _curvature, _squared_slopes
        self.n_rows, slope = self._read(common, (_squared_curvature, terms))
        total = self.mean(terms)
        # By how far the gradient misses 0, as a share of its terms.
        self.violation = float(np.abs(slope).max() / total) if total > 0 else 0.0

    @property
    def standard(self) -> Standard:
        """The coordinates of the design."""
        return self._asked.standard

    @property
    def n_obs(self) -> float:
        """How many rows the weights count."""
        return self._totals[_ones]

    @cached_property
    def rank(self) -> int:
        """How many params the design determines."""
        if independent(self.gram(_ones)):
            return int(self.columns.size)
        return root_rank(self.root(_ones))

    @property
    def ones(self) -> RowValue:
        """A 1 for each row."""
        return _ones

    @property
    def curvature(self) -> RowValue:
        """The loss's curvature at each residual."""
        return _curvature

    @property
    def squared_slopes(self) -> RowValue:
        """The square of the loss's gradient at each residual."""
        return _squared_slopes

    @property
    def robustness(self) -> RowValue:
        """The weight of each row in a least squares fit that is the same."""
        return _robustness

    def raised(self, bread: Inverse, power: int) -> RowValue:
        """Return the squared slopes over a power of 1 less the leverage of their rows.

        Where it is computed it refuses a leverage of 1.
        """
        half = np.zeros((self.standard.unit.size + 1, self.columns.size))
        half[self.columns] = bread.half
        return partial(_raised, half=half, power=power)

    def mean(self, value: RowValue) -> float:
        """Return the weighted mean of a value of each row."""
        if value not in self._totals:
            self._read((value,))
        return self._totals[value] / self.n_obs

    @property
    def curvature_variance(self) -> float:
        """The variance of the curvature, of divisor n."""
        variance = self.mean(_squared_curvature) - self.mean(_curvature) ** 2
        return max(variance, 0.0)

    def gram(self, value: RowValue) -> Array:
        """Return ``design.T @ diag(weight * value) @ design``, whatever its sign."""
        if value not in self._grams:
            self._read((value,))
        return self._grams[value]

    def root(self, value: RowValue) -> Array:
        """Return R with ``R.T @ R = gram(abs(value))``, by orthogonal steps."""
        above, below = self._roots_of(value)
        return (above + below).matrix[:, self.columns]

    def bent_root(self, value: RowValue) -> Array:
        """Return R with ``R.T @ R = gram(max(-value, 0))``; no rows if that is 0."""
        return self._roots_of(value)[1].matrix[:, self.columns]

    def _read(
        self, values: Sequence[RowValue], others: Sequence[RowValue] = ()
    ) -> tuple[int, Array]:
        """Take note of sums; return the number of rows and the gradient."""
        sums = self._engine.run(weighted, self._asked, values, others).sums
        n_rows, slope, grams, totals = sums
        on_columns = grams[:, self.columns[:, None], self.columns]
        self._grams.update(zip(values, on_columns, strict=True))
        self._totals.update(zip((*values, *others), totals.tolist(), strict=True))
        return n_rows, slope

    def _roots_of(self, value: RowValue) -> tuple[Root, Root]:
        """Return the roots of what is above and below 0."""
        if value not in self._roots:
            above, below = self._engine.run(roots, self._asked, value).sums
            self._roots[value] = above, below
        return self._roots[value]


def _ones(point: Point, number: Index) -> Array:
    """Return a 1 for each row."""
    return np.ones_like(point.residual)


def _curvature(point: Point, number: Index) -> Array:
    """Return the loss's curvature."""
    return point.objective.loss.curvature(point.residual)


def _squared_curvature(point: Point, number: Index) -> Array:
    """Return the square of the loss's curvature."""
    return np.asarray(_curvature(point, number) ** 2)


def _squared_slopes(point: Point, number: Index) -> Array:
    """Return the square of the loss's gradient."""
    return np.asarray(point.objective.loss.gradient(point.residual) ** 2)


def _robustness(point: Point, number: Index) -> Array:
    """Return the weights of a least squares fit that is the same."""
    return relative_weight(point.objective.loss, point.residual)


def _terms(point: Point, number: Index, precision: float) -> Array:
    """Return the size of each row's slope, that of rounding errors at least."""
    loss, residual = point.objective.loss, point.residual
    noise = noise_of(point.objective.target, residual, precision)
    return np.maximum(np.abs(loss.gradient(residual)), loss.gradient(noise))


def _raised(point: Point, number: Index, half: Array, power: int) -> Array:
    """Return squared slopes over a power of 1 less the leverage of their rows."""
    square = np.zeros_like(point.residual)
    for direction in half.T:
        square += point.objective.rows.predict(direction) ** 2
    left = 1 - _curvature(point, number) * square
    decided = left < SUM_ERROR
    if decided.any():
        raise PartitionError(of_full_leverage(int(number[decided][0])))
    return np.asarray(_squared_slopes(point, number) / left**power)
