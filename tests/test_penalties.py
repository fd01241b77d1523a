"""Laws that every penalty obeys."""

import numpy as np
import pytest

from robustreg.penalties import PENALTIES, make_penalty

EPS = np.finfo(float).eps
ALPHA = np.array([0.7, 0.0, 2.5, 1e-3, 40.0])
COEF = np.array([1.3, -2.0, 0.0, -0.4, 7.0])
RATIOS = (0.0, 0.3, 1.0)


def build(name, ratio=0.3):
    """Return a penalty whose strength differs from coefficient to coefficient."""
    return PENALTIES[name](ALPHA, ratio)


def formula(name, ratio, coef):
    """Return the penalty as the documentation defines it."""
    l1, l2 = ALPHA @ np.abs(coef), 0.5 * ALPHA @ coef**2
    mixture = ratio * l1 + (1 - ratio) * l2
    return {"l1": l1, "l2": l2, "elasticnet": mixture, None: 0.0}[name]


def draws(seed, count=50):
    """Return random coefficients, a third of them 0."""
    rng = np.random.default_rng(seed)
    coef = rng.normal(scale=3, size=(count, ALPHA.size))
    return np.where(rng.random(coef.shape) < 1 / 3, 0.0, coef)


every_penalty = pytest.mark.parametrize("name", PENALTIES)
every_ratio = pytest.mark.parametrize("ratio", RATIOS)


@every_penalty
@every_ratio
def test_value_is_the_documented_formula(name, ratio):
    penalty = build(name, ratio)
    assert penalty.value(np.zeros_like(COEF)) == 0
    for coef in draws(0):
        expected = formula(name, ratio, coef)
        np.testing.assert_allclose(penalty.value(coef), expected, 16 * EPS)


@every_ratio
def test_ends_of_the_mixture_are_l1_and_l2(ratio):
    mixed = build("elasticnet", ratio)
    l1, l2 = build("l1"), build("l2")
    np.testing.assert_allclose(mixed.l1, ratio * l1.l1)
    np.testing.assert_allclose(mixed.l2, (1 - ratio) * l2.l2, 4 * EPS)
    assert not l1.l2.any() and not l2.l1.any()


@every_penalty
def test_convex(name):
    penalty = build(name)
    for a, b in zip(draws(2), draws(3), strict=True):
        chord = (penalty.value(a) + penalty.value(b)) / 2
        assert penalty.value((a + b) / 2) <= chord * (1 + 8 * EPS)
    assert (penalty.l2 >= 0).all() and (penalty.l1 >= 0).all()


@every_penalty
def test_conjugate_is_the_supremum(name):
    penalty = build(name)
    # On a grid of step h the supremum is missed by at most curvature h^2 / 8.
    grid, h = np.linspace(-15, 15, 1501), 0.02
    values = np.array([penalty.value(c * e) for c in grid for e in np.eye(ALPHA.size)])
    values = values.reshape(grid.size, ALPHA.size)
    for slope in 0.4 * ALPHA * draws(9, 10):
        supremum = (grid[:, None] * slope - values).max(axis=0)
        conjugate = penalty.conjugate(slope)
        atol = penalty.l2 * h**2 / 8 + 64 * EPS * (1 + values[-1])
        bounded = np.isfinite(conjugate)
        assert (np.abs(conjugate - supremum) <= atol)[bounded].all()
        # Without a bound it is where the grid ends.
        assert (supremum >= np.abs(slope * 15) - values[-1])[~bounded].all()


@every_penalty
def test_conjugate_is_infinite_only_beyond_a_kink_without_curvature(name):
    penalty = build(name)
    flat = penalty.l2 == 0
    for sign in (-1, 1):
        assert not penalty.conjugate(sign * penalty.l1).any()
        beyond = penalty.conjugate(sign * (penalty.l1 + 1e-9))
        np.testing.assert_array_equal(np.isposinf(beyond), flat)
        assert (beyond > 0).all()


@every_penalty
def test_fenchel_young(name):
    penalty = build(name)
    for coef, other in zip(draws(10), draws(11), strict=True):
        # At c = 0 any slope within the kink is a subgradient.
        side = np.where(coef == 0, np.clip(other, -1, 1), np.sign(coef))
        slope = penalty.l2 * coef + penalty.l1 * side
        terms = penalty.value(coef) + penalty.conjugate(slope).sum()
        np.testing.assert_allclose(terms, slope @ coef, 32 * EPS, 1e-14)
        gap = penalty.value(other) + penalty.conjugate(slope).sum() - slope @ other
        assert gap >= -32 * EPS * (1 + penalty.value(other))


@every_penalty
def test_rescaled_is_the_penalty_of_the_product(name):
    penalty, unit = build(name), np.array([2.0, 0.1, 0.0, 1.0, 1e-6])
    rescaled = penalty.rescaled(unit)
    np.testing.assert_allclose(rescaled.l1, unit * penalty.l1)
    np.testing.assert_allclose(rescaled.l2, unit**2 * penalty.l2, 8 * EPS)
    for coef, slope in zip(draws(12), draws(13), strict=True):
        product = unit * coef
        np.testing.assert_allclose(
            rescaled.value(coef), penalty.value(product), 16 * EPS
        )
        live = unit > 0
        np.testing.assert_allclose(
            rescaled.conjugate(unit * slope)[live], penalty.conjugate(slope)[live]
        )
    again = rescaled.rescaled(unit)
    np.testing.assert_allclose(again.value(COEF), penalty.value(unit**2 * COEF))


@every_penalty
def test_make_penalty_has_one_strength_for_all(name):
    penalty = make_penalty(name, 3, 0.25, 4)
    assert penalty.l1.shape == penalty.l2.shape == (4,)
    expected = PENALTIES[name](np.full(4, 3.0), 0.25)
    assert penalty.value(COEF[:4]) == expected.value(COEF[:4])
    assert make_penalty(name, 0.0, 0.25, 4).value(COEF[:4]) == 0
    assert make_penalty(name, 3, 0.25, 0).value(np.zeros(0)) == 0
