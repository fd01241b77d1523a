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
    np.testing.assert_allclose(
        mixed.curvature(COEF), (1 - ratio) * l2.curvature(COEF), 4 * EPS
    )
    assert not l1.curvature(COEF).any() and not l2.l1.any()


@every_penalty
def test_gradient_and_curvature_of_the_smooth_part(name):
    penalty, h = build(name), 1e-3

    def smooth(coef):
        return penalty.value(coef) - penalty.l1 @ np.abs(coef)

    for coef in draws(1, 10):
        steps = h * np.eye(coef.size)
        slopes = [(smooth(coef + e) - smooth(coef - e)) / (2 * h) for e in steps]
        # Exact for parabolas but for rounding, eps * value / h.
        atol = 4 * EPS * penalty.value(np.abs(coef) + h) / h
        np.testing.assert_allclose(penalty.gradient(coef), slopes, 0, atol)
        bends = [
            (penalty.gradient(coef + e) - penalty.gradient(coef - e)) / (2 * h)
            for e in steps
        ]
        expected = np.diag(penalty.curvature(coef))
        np.testing.assert_allclose(bends, expected, 0, 1e-11 * ALPHA.max())


@every_penalty
def test_convex(name):
    penalty = build(name)
    for a, b in zip(draws(2), draws(3), strict=True):
        chord = (penalty.value(a) + penalty.value(b)) / 2
        assert penalty.value((a + b) / 2) <= chord * (1 + 8 * EPS)
    assert (penalty.curvature(COEF) >= 0).all() and (penalty.l1 >= 0).all()


@every_penalty
@pytest.mark.parametrize("step", [0.01, 1.0, 30.0])
def test_prox_meets_its_optimality_condition(name, step):
    penalty = build(name)
    for coef in draws(4):
        prox = penalty.prox(coef, step)
        slope = (coef - prox) / step - penalty.gradient(prox)
        at_zero = prox == 0
        # slope is a difference of terms as large as coef / step.
        rounding = 8 * EPS * np.abs(coef) * (1 / step + ALPHA)
        assert (np.abs(slope) <= penalty.l1 + rounding)[at_zero].all()
        missed = np.abs(slope - penalty.l1 * np.sign(prox))
        assert (missed <= rounding)[~at_zero].all()


@every_penalty
def test_prox_is_lower_than_its_neighbours(name):
    penalty, step = build(name), 0.8
    for coef in draws(5, 10):
        prox = penalty.prox(coef, step)

        def total(c, coef=coef):
            return penalty.value(c) + ((c - coef) ** 2).sum() / (2 * step)

        for change in draws(6, 20):
            for length in (1e-3, 1.0):
                assert total(prox) <= total(prox + length * change) * (1 + 16 * EPS)


@every_penalty
def test_prox_takes_no_two_points_apart(name):
    penalty = build(name)
    for a, b in zip(draws(7), draws(8), strict=True):
        moved = np.abs(penalty.prox(a, 0.5) - penalty.prox(b, 0.5))
        assert (moved <= np.abs(a - b) + 4 * EPS * (np.abs(a) + np.abs(b))).all()


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
        atol = penalty.curvature(COEF) * h**2 / 8 + 64 * EPS * (1 + values[-1])
        bounded = np.isfinite(conjugate)
        assert (np.abs(conjugate - supremum) <= atol)[bounded].all()
        # Without a bound it is where the grid ends.
        assert (supremum >= np.abs(slope * 15) - values[-1])[~bounded].all()


@every_penalty
def test_conjugate_is_infinite_only_beyond_a_kink_without_curvature(name):
    penalty = build(name)
    flat = penalty.curvature(COEF) == 0
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
        slope = penalty.gradient(coef) + penalty.l1 * side
        terms = penalty.value(coef) + penalty.conjugate(slope).sum()
        np.testing.assert_allclose(terms, slope @ coef, 32 * EPS, 1e-14)
        gap = penalty.value(other) + penalty.conjugate(slope).sum() - slope @ other
        assert gap >= -32 * EPS * (1 + penalty.value(other))


@every_penalty
def test_rescaled_is_the_penalty_of_the_product(name):
    penalty, unit = build(name), np.array([2.0, 0.1, 0.0, 1.0, 1e-6])
    rescaled = penalty.rescaled(unit)
    np.testing.assert_allclose(rescaled.l1, unit * penalty.l1)
    for coef, slope in zip(draws(12), draws(13), strict=True):
        product = unit * coef
        np.testing.assert_allclose(
            rescaled.value(coef), penalty.value(product), 16 * EPS
        )
        np.testing.assert_allclose(
            rescaled.gradient(coef), unit * penalty.gradient(product), 8 * EPS
        )
        np.testing.assert_allclose(
            rescaled.curvature(coef), unit**2 * penalty.curvature(product), 8 * EPS
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
    assert penalty.l1.shape == penalty.curvature(np.zeros(4)).shape == (4,)
    expected = PENALTIES[name](np.full(4, 3.0), 0.25)
    assert penalty.value(COEF[:4]) == expected.value(COEF[:4])
    assert make_penalty(name, 0.0, 0.25, 4).value(COEF[:4]) == 0
    assert make_penalty(name, 3, 0.25, 0).value(np.zeros(0)) == 0
