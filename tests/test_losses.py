"""Laws that every loss obeys, and where two losses are the same."""

import dataclasses
import pickle
from decimal import Decimal, localcontext

import numpy as np
import pytest
from oracles import Fair
from scipy.optimize import brentq
from scipy.stats import norm

from robustreg.losses import (
    L1,
    LOSSES,
    Dilated,
    Envelope,
    Huber,
    LogCosh,
    Pinball,
    PseudoHuber,
    SmoothL1,
    Talwar,
    Tilted,
    Tukey,
    make_loss,
    numerical_conjugate,
    relative_weight,
)
from robustreg.losses.base import BreakpointLoss

EPS = np.finfo(float).eps
BETAS = (0.1, 1.0, 1.345, 30.0)
QUANTILES = (0.5, 0.1, 0.9)
METHODS = ("value", "gradient", "curvature", "conjugate")


REGISTERED = [
    (name, beta, quantile)
    for name, entry in LOSSES.items()
    for beta in (BETAS if entry.efficient_beta else BETAS[:1])
    for quantile in QUANTILES
]
COMPOSED = [
    Fair(1.4),
    Tilted(Fair(1.4), 0.8),
    Dilated(SmoothL1(1.345), 3.0),
    Dilated(Tilted(Huber(0.7), 0.2), 0.25),
    Dilated(PseudoHuber(2.0), 5.0),
    Dilated(LogCosh(0.3), 4.0),
    Envelope(-1.0, 1.0, 0.5),
    Envelope(-0.2, 1.8, 1.5),
    Dilated(Tukey(4.685), 3.0),
    Dilated(Tilted(Talwar(2.8), 0.2), 0.25),
]
EVERY = [make_loss(*case) for case in REGISTERED] + COMPOSED
CONVEX = [loss for loss in EVERY if loss.facts.convex]
REDESCENDING = [loss for loss in EVERY if not loss.facts.convex]
every_loss = pytest.mark.parametrize("loss", EVERY, ids=repr)
every_convex = pytest.mark.parametrize("loss", CONVEX, ids=repr)
every_redescending = pytest.mark.parametrize("loss", REDESCENDING, ids=repr)


def width_of(loss):
    """Return the natural unit of residuals, 1 where the loss has none."""
    low, high = loss.facts.slopes
    width = max(-low, high) / loss.facts.largest_curvature
    return width if 0 < width < np.inf else 1.0


def end_of(loss):
    """Return the beta of a loss, as it is after a dilation."""
    if isinstance(loss, Dilated):
        return loss.factor * end_of(loss.base)
    return end_of(loss.base) if isinstance(loss, Tilted) else loss.beta


def smooth_points(loss, distance):
    """Return residuals at a distance from wherever a derivative may jump."""
    jumps = np.array([0.0, -loss.facts.linear_beyond, loss.facts.linear_beyond])
    jumps = np.append(jumps, loss.facts.breakpoints or ())
    for name, end in (("Tukey", 1.0), ("Andrews", np.pi)):
        # Here the curvature, or the curvature of the curvature, jumps.
        if name in repr(loss):
            jumps = np.append(jumps, end * end_of(loss) * np.array([-1.0, 1.0]))
    r = width_of(loss) * np.linspace(-8.03, 8.07, 322)
    return r[np.abs(r[:, None] - jumps).min(axis=1) > distance]


def interior_slopes(loss):
    """Return slopes strictly inside the conjugate's domain, or some of them."""
    low, high = np.clip(loss.facts.slopes, -50.0, 50.0)
    share = np.append(np.linspace(0.01, 0.99, 37), [1e-6, 1e-3, 0.999])
    return np.concatenate([low * share, [0.0], high * share])


@every_loss
@pytest.mark.parametrize("lower, upper", [METHODS[:2], METHODS[1:3]])
def test_derivatives_agree_with_differences(loss, lower, upper):
    h = 1e-3 * width_of(loss)
    r, f = smooth_points(loss, 3 * h), getattr(loss, lower)
    near, far = f(r + h) - f(r - h), f(r + 2 * h) - f(r - 2 * h)
    # Truncation: (h / width)^4 = 1e-12; rounding: eps * size / h = 2e-13 size / width.
    atol = 1e-11 * np.abs(f(r)).max() / width_of(loss)
    difference = (8 * near - far) / (12 * h)
    np.testing.assert_allclose(getattr(loss, upper)(r), difference, 0, atol)


@every_loss
def test_zero_is_the_minimum(loss):
    r = width_of(loss) * np.linspace(-8, 8, 320)
    assert (loss.value(r) > 0).all()
    assert loss.value(np.zeros(1))[0] == 0
    assert loss.gradient(np.zeros(1))[0] == 0


@every_convex
def test_convex(loss):
    r = width_of(loss) * np.linspace(-8, 8, 321)
    value = loss.value(r)
    chord = (value[:-2] + value[2:]) / 2 - value[1:-1]
    assert (chord >= -4 * EPS * value.max()).all()
    assert (np.diff(loss.gradient(r)) >= 0).all()
    assert (loss.curvature(r) >= 0).all()


@every_redescending
def test_redescending(loss):
    r = width_of(loss) * np.linspace(-8, 8, 33)
    value = loss.value(r)
    assert ((value[:-2] + value[2:]) / 2 - value[1:-1]).min() < -1e-4 * value.max()
    # Farther away is never better, and pulls less and less.
    size = width_of(loss) * np.geomspace(1e-3, 1e12, 3001)
    for side in (-1, 1):
        assert (np.diff(loss.value(side * size)) >= 0).all()
        pull = side * loss.gradient(side * size)
        peak = int(pull.argmax())
        assert (pull >= 0).all() and (np.diff(pull[peak:]) <= 0).all()
        # No parabola of that curvature at this residual bends less than the loss:
        # with it a majorising step never goes up.
        assert (loss.curvature(side * size) <= pull / size + 4 * EPS).all()


@every_loss
def test_largest_value_is_the_limit(loss):
    far = width_of(loss) * np.array([-1e100, -1e50, 1e50, 1e100])
    value, most = loss.value(far), loss.facts.largest_value
    if np.isfinite(most):
        assert not loss.facts.convex
        np.testing.assert_allclose(value.max(), most, 4 * EPS)
    else:
        assert (value[[0, 3]] >= 1.9 * value[1:3]).all()


@every_redescending
def test_conjugate_of_a_loss_that_every_line_outgrows(loss):
    size = width_of(loss) * 1e12
    assert (loss.value(np.array([-size, size])) <= 1e-9 * size * width_of(loss)).all()
    slopes = interior_slopes(loss)
    expected = np.where(slopes == 0, 0.0, np.inf)
    np.testing.assert_array_equal(loss.conjugate(slopes), expected)


@every_loss
def test_symmetry_is_as_declared(loss):
    r = width_of(loss) * np.linspace(0.1, 8, 80)
    low, high = loss.facts.slopes
    if loss.facts.symmetric:
        np.testing.assert_array_equal(loss.value(r), loss.value(-r))
        np.testing.assert_array_equal(loss.gradient(r), -loss.gradient(-r))
        np.testing.assert_array_equal(loss.curvature(r), loss.curvature(-r))
    elif low != -high:
        assert loss.value(r)[-1] != loss.value(-r)[-1]


@pytest.mark.parametrize("name, beta, quantile", REGISTERED)
def test_quantile_is_the_share_of_the_upper_side(name, beta, quantile):
    loss = make_loss(name, beta, quantile)
    r = width_of(loss) * np.linspace(0.1, 8, 80)
    ratio = loss.value(r) / loss.value(-r)
    np.testing.assert_allclose(ratio, quantile / (1 - quantile), 8 * EPS)
    assert quantile == 0.5 or not loss.facts.symmetric


@every_loss
def test_slopes_bound_the_gradient_and_are_its_limits(loss):
    low, high = loss.facts.slopes
    size = width_of(loss) * np.geomspace(1e-3, 1e12, 3001)
    gradient = loss.gradient(np.append(-size, size))
    assert (gradient >= low).all() and (gradient <= high).all()
    if not loss.facts.convex:
        reached = [gradient.min(), gradient.max()]
        np.testing.assert_allclose(reached, [low, high], 1e-2)
        assert (np.abs(gradient[[3000, -1]]) <= 1e-10 * max(-low, high)).all()
    elif np.isfinite([low, high]).all():
        # Fair's loss is the slowest: 1 - 1e-12 of the slope here.
        np.testing.assert_allclose(gradient[[3000, -1]], [low, high], 1e-11)
    else:
        assert (low, high) == (-np.inf, np.inf) and np.abs(gradient[-1]) > 1e11


@every_loss
def test_largest_curvature_is_the_supremum(loss):
    near = width_of(loss) * np.array([-1e-9, 1e-9])
    largest = loss.facts.largest_curvature
    if np.isfinite(largest):
        r = np.append(near, width_of(loss) * np.linspace(-8, 8, 321))
        assert loss.curvature(r).max() <= largest * (1 + 4 * EPS)
        # All of these bend most at 0; Fair's is 1 - 2e-9 of it at 1e-9.
        np.testing.assert_allclose(loss.curvature(r).max(), largest, 1e-8)
    else:
        assert np.diff(loss.gradient(near)) > 0.1


@every_loss
def test_facts_agree_with_each_other(loss):
    facts, r = loss.facts, width_of(loss) * np.linspace(-8, 8, 321)
    assert facts.steepest == np.abs(facts.slopes).max()
    assert facts.smooth == (loss.curvature(np.zeros(1))[0] > 0)
    assert facts.quadratic == (np.ptp(loss.curvature(r)) == 0 and facts.smooth)


@every_loss
def test_linear_beyond_is_the_smallest_radius_of_linearity(loss):
    facts, width = loss.facts, width_of(loss)
    low, high = facts.slopes
    if facts.linear_beyond < np.inf:
        beyond = facts.linear_beyond * (1 + 1e-9) + width * np.linspace(1e-9, 50, 99)
        assert (loss.gradient(beyond) == high).all()
        assert (loss.gradient(-beyond) == low).all()
    inside = min(0.99 * facts.linear_beyond, 3 * width) * np.array([-1.0, 1.0])
    assert (loss.gradient(inside) != [low, high]).any() or facts.linear_beyond == 0
    assert facts.piecewise_linear == (facts.linear_beyond == 0)


@every_convex
def test_fenchel_young_inequality(loss):
    r, d = width_of(loss) * np.linspace(-8, 8, 161)[:, None], interior_slopes(loss)
    terms = loss.value(r) + loss.conjugate(d)
    assert (terms - r * d >= -8 * EPS * (terms + np.abs(r * d))).all()


@every_convex
def test_fenchel_young_equality_at_the_gradient(loss):
    size = np.append(np.linspace(0, 8, 161), np.geomspace(10, 1e6, 101))
    r = width_of(loss) * np.append(-size, size)
    d = loss.gradient(r)
    # The last digit of d changes the left side in second order only.
    np.testing.assert_allclose(loss.value(r) + loss.conjugate(d), r * d, 32 * EPS)


@every_convex
def test_conjugate_is_finite_between_the_slopes_only(loss):
    ends = np.array(loss.facts.slopes)
    assert np.isfinite(loss.conjugate(interior_slopes(loss))).all()
    assert loss.conjugate(np.zeros(1))[0] == 0
    if np.isfinite(ends).all():
        assert np.isposinf(loss.conjugate(ends * (1 + 1e-9))).all()
        assert np.isposinf(loss.conjugate(ends * 1e9)).all()
        # Fair's conjugate is infinite at the ends; how near depends on the method.
        closed = np.isfinite(loss.facts.linear_beyond)
        assert np.isfinite(loss.conjugate(ends)).all() or not closed
        assert not np.isnan(loss.conjugate(ends)).any()


@every_convex
def test_conjugate_agrees_with_the_numerical_one(loss):
    d = interior_slopes(loss)
    # The numerical one subtracts terms up to a thousand times as large as it is.
    numerical = numerical_conjugate(loss, d)
    np.testing.assert_allclose(loss.conjugate(d), numerical, 1e3 * EPS)


def test_numerical_conjugate_of_fair_has_its_closed_form():
    d = np.linspace(-1.399, 1.399, 201)
    t = np.abs(d) / 1.4
    expected = -(1.4**2) * (np.log1p(-t) + t)
    # The closed form itself cancels near 0, by eps * t.
    found = Fair(1.4).conjugate(d)
    np.testing.assert_allclose(found, expected, 1e3 * EPS, 1e-15)


def exact_redescending(name, r, beta):
    """Return the same for the losses whose slope falls again."""
    t, one, zero = r / beta, Decimal(1), Decimal(0)
    square = t * t
    if name == "cauchy":
        share = 1 / (1 + square)
        log = (1 + square).ln() if square > Decimal("1e-50") else square
        return beta**2 / 2 * log, r * share, (1 - square) * share**2
    if name == "welsch":
        decay = (-square).exp() if square < 1000 else zero
        gone = 1 - decay if square > Decimal("1e-40") else square
        return beta**2 / 2 * gone, r * decay, (1 - 2 * square) * decay
    if name == "talwar":
        kept = r <= beta
        return min(r, beta) ** 2 / 2, r * kept, one * kept
    if name == "hampel":
        return exact_hampel(r, beta, 2 * beta, 4 * beta)
    if name == "andrews":
        sine, cosine = sine_and_cosine(t) if t < PI else (zero, -one)
        value = beta**2 * (1 - cosine)
        small = square / 2 - square**2 / 24
        value = value if t > Decimal("1e-10") else beta**2 * small
        return value, beta * sine, cosine if t < PI else zero
    assert name == "tukey", f"add {name!r} to exact_redescending, in decimals"
    room = max(1 - square, zero)
    gone = min(square, one) * (3 - min(square, one) * (3 - min(square, one)))
    return beta**2 / 6 * gone, r * room**2, room * (1 - 5 * square)


def exact_hampel(r, a, b, c):
    """Return the same for a slope that is a from a to b and falls to 0 at c."""
    zero, one = Decimal(0), Decimal(1)
    if r <= a:
        return r * r / 2, r, one
    if r <= b:
        return a * (r - a / 2), a, zero
    left = max((c - r) / (c - b), zero)
    value = a * (b - a / 2) + a * (c - b) / 2 * (1 - left**2)
    return value, a * left, -a / (c - b) if r < c else zero


PI = Decimal("3.14159265358979323846264338327950288419716939937511")


def sine_and_cosine(t):
    """Return both in decimals, by their series."""
    sine, cosine, term = Decimal(0), Decimal(0), Decimal(1)
    for power in range(80):
        sign = -1 if power % 4 > 1 else 1
        if power % 2:
            sine += sign * term
        else:
            cosine += sign * term
        term *= t / (power + 1)
    return sine, cosine


def exact(name, r, beta):
    """Return value, gradient and curvature in decimals, for r > 0 and no tilt."""
    r, beta, one = Decimal(r), Decimal(beta), Decimal(1)
    t = r / beta
    if name == "l2":
        return r * r / 2, r, one
    if name in ("l1", "quantile"):
        slope = one if name == "l1" else one / 2
        return slope * r, slope, 0 * one
    if name in ("huber", "smooth_l1"):
        unit = one if name == "huber" else 1 / beta
        value = r * r / 2 if r <= beta else beta * (r - beta / 2)
        return unit * value, unit * min(r, beta), unit * (r <= beta)
    if name == "pseudo_huber":
        root = (1 + t * t).sqrt()
        return r * r / (1 + root), r / root, 1 / root**3
    if not make_loss(name).facts.convex:
        return exact_redescending(name, r, beta)
    assert name == "log_cosh", f"add {name!r} to exact, in decimals"
    if t < Decimal("1e-6"):
        return beta * t * t / 2 * (1 - t * t / 6), t - t**3 / 3, (1 - t * t) / beta
    decay = (-2 * t).exp() if t < 1000 else 0 * one
    value = t + (1 + decay).ln() - Decimal(2).ln()
    return beta * value, (1 - decay) / (1 + decay), 4 * decay / (1 + decay) ** 2 / beta


@pytest.mark.parametrize("name, beta, quantile", REGISTERED)
def test_accurate_from_the_smallest_to_the_largest_residual(name, beta, quantile):
    loss = make_loss(name, beta, quantile)
    size = np.append(10.0 ** np.arange(-300, 301, 10), np.geomspace(1e-3, 1e3, 61))
    with localcontext() as context:
        context.prec = 60
        truth = np.array([[float(x) for x in exact(name, r, beta)] for r in size])
    t = size / beta
    # exp(-2 t) has 2 t times the rounding error of t, until it underflows.
    rtol = (8 + 4 * np.minimum(t, 400) * (name == "log_cosh")) * EPS
    if name == "welsch":
        rtol = (8 + 4 * np.minimum(t, 27) ** 2) * EPS
    # A curvature that crosses 0 has the errors of its two terms, and 1 - t or a cosine
    # that of t.
    crosses = name in ("cauchy", "welsch", "tukey", "andrews")
    slack = 32 * EPS * crosses * np.minimum(1, 1 / t)
    for side, tilt in ((1.0, 2 * quantile), (-1.0, 2 * (1 - quantile))):
        signs = (tilt, side * tilt, tilt)
        for method, expected in zip(METHODS, (truth * signs).T, strict=False):
            finite = np.abs(expected) < 1e307
            with np.errstate(over="raise", invalid="raise", divide="raise"):
                found = getattr(loss, method)(side * size[finite])
            expected = expected[finite]
            # Below 1e-290 a product may have passed through subnormal numbers.
            allowed = rtol[finite] * np.abs(expected) + 1e-290
            if method != "value":
                allowed += slack[finite] * (size[finite] if method == "gradient" else 1)
            assert (np.abs(found - expected) <= allowed).all(), method


@pytest.mark.parametrize("method", METHODS)
def test_shape_is_kept(method):
    for loss in EVERY:
        for shape in ((), (0,), (3,), (2, 3)):
            result = np.asarray(getattr(loss, method)(np.full(shape, 0.01)))
            assert result.shape == shape and result.dtype == np.float64, loss


def test_losses_pickle_compare_and_hash():
    for loss in EVERY:
        copy = pickle.loads(pickle.dumps(loss))
        assert copy == loss and len({copy, loss, Envelope(-9.0, 9.0, 9.0)}) == 2, loss
        for field in dataclasses.fields(loss):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(loss, field.name, 1.0)


@pytest.mark.parametrize(
    "loss", [x for x in EVERY if np.isfinite(x.facts.largest_curvature)], ids=repr
)
def test_relative_weight_falls_from_one(loss):
    for side in (-1, 1):
        r = side * width_of(loss) * np.linspace(0, 8, 81)
        weight = relative_weight(loss, r)
        assert weight[0] == 1 and weight.min() >= 0
        assert (np.diff(weight) <= 4 * EPS).all()
        product = weight * r * loss.facts.largest_curvature
        np.testing.assert_allclose(product, loss.gradient(r), 8 * EPS)


SAME = [
    *((make_loss("huber", b), b, make_loss("smooth_l1", b)) for b in BETAS),
    *((make_loss("l1", 1, q), 2, make_loss("quantile", 1, q)) for q in QUANTILES),
    (make_loss("smooth_l1", 0), 1, L1()),
    (Envelope(-1.0, 1.0, 2.0), 1, SmoothL1(2.0)),
    (Dilated(SmoothL1(1.0), 2.0), 1, SmoothL1(2.0)),
]


@pytest.mark.parametrize("method", METHODS[:3])
@pytest.mark.parametrize("left, factor, right", SAME)
def test_two_names_for_one_loss(left, factor, right, method):
    r = np.linspace(-40, 40, 401)
    expected = factor * getattr(right, method)(r)
    np.testing.assert_allclose(getattr(left, method)(r), expected, 8 * EPS)


def efficiency(name, beta):
    """Return ``(E psi')^2 / E psi^2`` at the Gaussian; ``E psi' = E z psi`` (Stein)."""
    # By Gauss and Legendre, between all places where some loss has a jump.
    node, share = np.polynomial.legendre.leggauss(60)
    ends = np.unique(np.minimum(beta * np.array([0, 1, 2, np.pi, 4, np.inf]), 12.0))
    middle, half = (ends[1:] + ends[:-1]) / 2, np.diff(ends) / 2
    z = middle[:, None] + half[:, None] * node
    density = norm.pdf(z) * half[:, None] * share
    psi = make_loss(name, beta).gradient(z)
    return 2 * (z * psi * density).sum() ** 2 / (psi**2 * density).sum()


@pytest.mark.parametrize("name", [k for k, v in LOSSES.items() if v.efficient_beta])
def test_default_beta_is_95_percent_efficient(name):
    beta = LOSSES[name].efficient_beta
    solved = brentq(lambda b: efficiency(name, b) - 0.95, 0.8 * beta, 1.2 * beta)
    assert round(solved, len(str(beta).partition(".")[2])) == beta
    assert make_loss(name, beta=None) == make_loss(name, beta=beta)


NO_ZERO = [name for name, entry in LOSSES.items() if not entry.zero_beta]
ERRORS = [
    *(({"loss": "l1", "quantile": q}, "quantile must") for q in (0, 1, -0.5, np.nan)),
    *(({"loss": k, "beta": -1.0}, "beta must be None or .* -1.0") for k in LOSSES),
    *(({"loss": "l1", "beta": b}, "beta must be None or") for b in (np.inf, np.nan)),
    *(({"loss": k, "beta": 0}, f"loss='{k}' needs beta > 0") for k in NO_ZERO),
    ({"loss": "hubr"}, "loss must be one of .*'huber'.* Got 'hubr'"),
    ({"loss": Pinball(-0.2, 0.8), "quantile": 0.9}, "tilts symmetric losses only"),
]


@pytest.mark.parametrize("arguments, message", ERRORS)
def test_errors_name_the_parameter_and_the_way_out(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_loss(**arguments)


def test_an_instance_keeps_its_beta_and_is_tilted_if_symmetric():
    assert make_loss(Fair(1.4), beta=9.0) == Fair(1.4)
    for loss in (Fair(1.4), Pinball(-1.0, 1.0), Envelope(-1.0, 1.0, 0.5)):
        assert make_loss(loss, quantile=0.9) == Tilted(loss, 0.9)
    assert make_loss(Pinball(-0.2, 0.8)) == Pinball(-0.2, 0.8)


@pytest.mark.parametrize("beta", [-1.0, 0.0, np.nan, np.inf, "1"])
def test_a_breakpoint_that_makes_no_loss_is_refused(beta):
    for kind in BreakpointLoss.__subclasses__():
        with pytest.raises(ValueError, match=f"{kind.__name__} needs a finite beta"):
            kind(beta)
    assert Tukey in BreakpointLoss.__subclasses__()
