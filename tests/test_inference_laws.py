"""What must hold of every covariance, without a peer."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import norm
from sklearn.datasets import make_regression

from robustreg import (
    L1Regressor,
    MMRegressor,
    RobustRegressor,
    SmoothL1Regressor,
)
from robustreg.inference import coef_covariance, coef_table
from robustreg.inference.families import COV_TYPES
from robustreg.inference.fitted import jumps_of
from robustreg.losses import LOSSES, make_loss
from robustreg.metrics import robust_r2_score

RNG = np.random.default_rng(7)
N = 80
X = RNG.normal([0.0, 30.0, 0.0], size=(N, 3))
X[:, 2] = RNG.integers(0, 3, N)
Y = X @ [1.0, -2.0, 0.5] + RNG.standard_t(4, size=N)
GROUPS = RNG.integers(0, 9, N)
COUNTS = RNG.integers(0, 4, N)

KINKED = [name for name in LOSSES if make_loss(name).facts.piecewise_linear]
JUMPING = [name for name in LOSSES if jumps_of(make_loss(name))]
SMOOTH = [name for name in LOSSES if name not in KINKED + JUMPING]
# Each covariance with one loss, and each loss with one that uses all of it.
ALL = [("smooth_l1", c) for c in COV_TYPES["a smooth loss"]]
ALL += [(loss, "HC3") for loss in SMOOTH if loss != "smooth_l1"]
ALL += [("talwar", c) for c in COV_TYPES["a loss whose slope jumps"]]
ALL += [("mm", c) for c in ("avar1", "HC3", "cluster")]
ALL += [("quantile", c) for c in COV_TYPES["an absolute loss"]] + [("l1", "powell")]
every_covariance = pytest.mark.parametrize(("loss", "cov_type"), ALL)


def fit(loss, X=X, y=Y, weight=None, **params):
    if loss == "mm":
        return MMRegressor(n_subsets=100).fit(X, y, sample_weight=weight)
    beta = 2.0 if make_loss(loss).facts.convex else 4.0
    model = RobustRegressor(loss, quantile=0.5, beta=beta, scale=1.0)
    model.set_params(**params)
    return model.fit(X, y, sample_weight=weight)


def covariance(loss, cov_type, X=X, y=Y, weight=None, groups=GROUPS, **params):
    model = fit(loss, X, y, weight, **params)
    groups = groups if cov_type == "cluster" else None
    return coef_covariance(model, X, y, weight, cov_type=cov_type, groups=groups)


@cache
def plain(loss, cov_type):
    """Return the covariance that changed data are compared with."""
    return covariance(loss, cov_type)


@every_covariance
def test_weights_are_repeated_rows(loss, cov_type):
    again = np.repeat(np.arange(N), COUNTS)
    weighted = covariance(loss, cov_type, weight=COUNTS)
    repeated = covariance(loss, cov_type, X[again], Y[again], groups=GROUPS[again])
    np.testing.assert_allclose(weighted, repeated, rtol=1e-6)


@every_covariance
def test_sparse_is_dense(loss, cov_type):
    sparse = covariance(loss, cov_type, sp.csr_matrix(X))
    np.testing.assert_allclose(sparse, plain(loss, cov_type), rtol=1e-6)


@every_covariance
def test_units_move_nothing_else(loss, cov_type):
    """Standard errors follow the units of y, and of the columns."""
    c, units = 1e3, np.array([10.0, 0.1, 1e4])
    plain = covariance(loss, cov_type, scale="mad")
    moved = covariance(loss, cov_type, X * units, c * Y, scale="mad")
    change = c / np.append(units, 1.0)
    np.testing.assert_allclose(moved, plain * np.outer(change, change), rtol=1e-6)


@every_covariance
def test_order_of_rows_is_of_no_account(loss, cov_type):
    order = RNG.permutation(N)
    moved = covariance(loss, cov_type, X[order], Y[order], groups=GROUPS[order])
    np.testing.assert_allclose(moved, plain(loss, cov_type), rtol=1e-6)


@every_covariance
def test_covariances_are_positive(loss, cov_type):
    values = np.linalg.eigvalsh(plain(loss, cov_type))
    assert values[0] > -1e-12 * values[-1]


@every_covariance
def test_float32_is_float64_but_for_rounding(loss, cov_type):
    X32 = (X - [0.0, 30.0, 0.0]).astype(np.float32)
    narrow = covariance(loss, cov_type, X32, Y)
    wide = covariance(loss, cov_type, X32.astype(float), Y)
    np.testing.assert_allclose(np.diag(narrow), np.diag(wide), rtol=1e-3)


@pytest.mark.parametrize("loss", SMOOTH)
@pytest.mark.parametrize("quantile", [0.5, 0.8])
def test_sandwich_is_that_of_its_definition(loss, quantile):
    """Bread and meat from dense sums and numerical derivatives of the gradient."""
    weight = COUNTS / 1.0
    model = fit(loss, weight=weight, quantile=quantile)
    design = np.column_stack([X, np.ones(N)])
    params = np.append(model.coef_, model.intercept_)
    psi = make_loss(loss, model.beta, quantile).gradient

    def score(b):
        return -design.T @ (weight * psi(Y - design @ b))

    step = 1e-7
    bread = np.array(
        [(score(params + d) - score(params - d)) / (2 * step) for d in step * np.eye(4)]
    )
    slopes = psi(Y - design @ params)
    meat = design.T @ ((weight * slopes**2)[:, None] * design)
    inverse = np.linalg.inv(bread)
    own = coef_covariance(model, X, Y, weight, cov_type="HC0")
    reference = inverse @ meat @ inverse.T
    deviation = np.sqrt(np.diag(reference))
    error = (own - reference) / np.outer(deviation, deviation)
    assert np.abs(error).max() < 1e-4


def test_talwars_jumps_are_part_of_the_bread():
    """At the Gaussian ``E psi'`` and ``E psi^2`` are the same number."""
    n, beta = 20_000, 1.5
    signs = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    y = norm.ppf((np.arange(n) // 2 + 0.5) / (n / 2))
    model = RobustRegressor("talwar", beta=beta, scale=1.0).fit(signs[:, None], y)
    own = coef_covariance(model, signs[:, None], y, cov_type="HC0")
    moment = 2 * norm.cdf(beta) - 1 - 2 * beta * norm.pdf(beta)
    np.testing.assert_allclose(np.diag(own) * n, 1 / moment, rtol=0.03)


def test_hc3_is_the_jackknife_of_least_squares():
    model = fit("l2")
    full = np.append(model.coef_, model.intercept_)
    changes = []
    for row in range(N):
        left = fit("l2", np.delete(X, row, axis=0), np.delete(Y, row))
        changes.append(np.append(left.coef_, left.intercept_) - full)
    own = coef_covariance(model, X, Y, cov_type="HC3")
    np.testing.assert_allclose(own, np.transpose(changes) @ changes, rtol=1e-8)


def test_hc3_is_nearly_the_jackknife_of_a_smooth_loss():
    """A Newton step from the full fit is what leaving a row out is."""
    model = fit("log_cosh")
    full = np.append(model.coef_, model.intercept_)
    changes = []
    for row in range(N):
        left = fit("log_cosh", np.delete(X, row, axis=0), np.delete(Y, row))
        changes.append(np.append(left.coef_, left.intercept_) - full)
    jackknife = np.sqrt(np.square(changes).sum(axis=0))
    for cov_type, bound in (("HC3", 0.01), ("HC0", 0.2)):
        table = coef_table(model, X, Y, cov_type=cov_type)
        assert np.abs(table["std_err"] / jackknife - 1).max() < bound
    assert (coef_table(model, X, Y, cov_type="HC0")["std_err"] < jackknife).all()


@pytest.mark.parametrize("loss", [*SMOOTH, *KINKED])
def test_a_group_for_each_row_is_no_group(loss):
    """Up to the corrections for few rows and groups; rows of weight 0 are no group."""
    model = fit(loss)
    grouped = coef_covariance(model, X, Y, groups=np.arange(N))
    if loss in SMOOTH:
        single = coef_covariance(model, X, Y, cov_type="HC1")
        np.testing.assert_allclose(grouped, single, rtol=1e-9)
    else:
        single = coef_covariance(model, X, Y, cov_type="powell") * N / (N - 4)
        np.testing.assert_allclose(np.diag(grouped), np.diag(single), rtol=0.2)


def test_groups_are_summed_before_squaring():
    """In blocks of any size, with groups that span several of them."""
    n, p = 3000, 200
    X, y = make_regression(n, p, noise=10.0, random_state=0)
    groups = np.where(np.arange(n) < 1500, 0, np.arange(n) % 301)
    model = SmoothL1Regressor("l2").fit(X, y)
    design = np.column_stack([X, np.ones(n)])
    scores = design * (y - model.predict(X))[:, None]
    sums = np.array([scores[groups == g].sum(axis=0) for g in np.unique(groups)])
    bread = np.linalg.inv(design.T @ design)
    share = len(sums) / (len(sums) - 1) * (n - 1) / (n - p - 1)
    own = coef_covariance(model, X, y, groups=groups)
    reference = share * bread @ (sums.T @ sums) @ bread
    scale = np.sqrt(np.outer(np.diag(reference), np.diag(reference)))
    assert np.abs((own - reference) / scale).max() < 1e-9


def test_weights_as_shares_are_rows_that_are_their_own_group():
    """The other meaning of weights: meat with the weights squared."""
    weight = RNG.uniform(0.5, 1.5, N)
    model = fit("l2", weight=weight)
    design = np.column_stack([X, np.ones(N)])
    score = design * (weight * (Y - model.predict(X)))[:, None]
    bread = np.linalg.inv(design.T @ (weight[:, None] * design))
    total = weight.sum()
    share = N / (N - 1) * (total - 1) / (total - 4)
    own = coef_covariance(model, X, Y, weight, groups=np.arange(N))
    np.testing.assert_allclose(own, share * bread @ score.T @ score @ bread, rtol=1e-9)


@pytest.mark.parametrize("cov_type", ["H2", "HC1", "HC3"])
def test_far_columns_cost_no_digits(cov_type):
    near, far = X.copy(), X.copy()
    far[:, 0] += 1e6
    slopes = [covariance("log_cosh", cov_type, each)[:3, :3] for each in (near, far)]
    np.testing.assert_allclose(slopes[1], slopes[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("loss", "cov_type"),
    [("l2", c) for c in ("H1", "H2", "H3", "HC1", "HC2", "HC3", "cluster")]
    + [("mm", c) for c in ("avar1", "HC3")]
    + [("l1", c) for c in ("powell", "kernel-robust", "cluster")],
)
@pytest.mark.parametrize("apart", [2.0**-20, 2.0**-27])
def test_nearly_dependent_columns_keep_their_digits(loss, cov_type, apart):
    """Orthogonal steps take over where the Gram matrix has lost the digits.

    The same fit in columns that are far from dependent tells the errors; a model in
    the dependent ones is given its coefficients, since a fit of them has fewer digits.
    """
    close = np.column_stack([X[:, 0], X[:, 0] + apart * X[:, 2]])
    well = np.column_stack([X[:, 0], (close[:, 1] - close[:, 0]) / apart])
    change = np.array([[1, -1 / apart, 0], [0, 1 / apart, 0], [0, 0, 1]])
    groups = GROUPS if cov_type == "cluster" else None
    model = fit(loss, well)
    reference = coef_covariance(model, well, Y, cov_type=cov_type, groups=groups)
    model.coef_ = change[:2, :2] @ model.coef_
    if loss == "mm":
        model.s_coef_ = change[:2, :2] @ model.s_coef_
    own = coef_covariance(model, close, Y, cov_type=cov_type, groups=groups)
    errors = np.sqrt(np.diag(change @ reference @ change.T))
    np.testing.assert_allclose(np.sqrt(np.diag(own)), errors, rtol=1e-6)


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_covariances_beyond_floating_point_are_refused(unit):
    for model in (RobustRegressor(), MMRegressor(n_subsets=50)):
        with pytest.raises(ValueError, match=r"beyond the range.*Divide y by \d"):
            coef_covariance(model.fit(X, unit * Y), X, unit * Y)


@pytest.mark.parametrize("unit", [1e200, 1e280])
def test_resamples_beyond_floating_point_are_refused(unit):
    model = RobustRegressor().fit(X, unit * Y)
    options = {"cov_type": "bootstrap", "n_bootstrap": 20, "random_state": 0}
    with pytest.raises(ValueError, match=r"beyond the range.*Divide y by \d"):
        coef_table(model, X, unit * Y, **options)


@pytest.mark.parametrize("value", [-1.79e308, 1.79e308])
@pytest.mark.parametrize("make", [RobustRegressor, SmoothL1Regressor, MMRegressor])
def test_an_outlier_of_the_largest_size_lets_no_warning_through(make, value):
    y = np.append(value, Y[1:])
    errors = coef_table(make().fit(X, y), X, y)["std_err"]
    assert np.isfinite(errors).all() and (errors > 0).all()


def test_data_are_not_changed():
    X.flags.writeable = Y.flags.writeable = False
    try:
        for loss in ("log_cosh", "l1"):
            coef_covariance(fit(loss), X, Y, groups=GROUPS)
    finally:
        X.flags.writeable = Y.flags.writeable = True


def test_without_intercept_there_is_no_row_for_one():
    model = SmoothL1Regressor(fit_intercept=False).fit(X, Y)
    table = coef_table(model, X, Y)
    assert list(table.index) == ["x0", "x1", "x2"]
    assert coef_covariance(model, X, Y).shape == (3, 3)


def test_rows_have_the_names_of_the_columns():
    frame = pd.DataFrame(X, columns=["age", "year", "sex"])
    model = L1Regressor().fit(frame, Y)
    table = coef_table(model, frame, Y)
    assert list(table.index) == ["age", "year", "sex", "intercept"]
    assert list(table.columns) == [
        "coef",
        "std_err",
        "statistic",
        "p_value",
        "lower",
        "upper",
    ]
    assert table.attrs == {
        "cov_type": "powell",
        "level": 0.95,
        "df": N - 4,
        "residual_scale": model.residual_scale_,
        "robust_r2": None,
    }
    np.testing.assert_array_equal(table["coef"][:-1], model.coef_)


@pytest.mark.parametrize("loss", SMOOTH + JUMPING)
@pytest.mark.parametrize("container", [np.asarray, np.ndarray.tolist])
def test_the_table_says_how_well_the_fit_fits(loss, container):
    model = RobustRegressor(loss).fit(X, Y)
    said = coef_table(model, container(X), container(Y)).attrs
    peer = robust_r2_score(Y, model.predict(X), loss=loss, scale=model.scale_)
    assert said["robust_r2"] == pytest.approx(peer, rel=1e-12)
    assert said["residual_scale"] == model.residual_scale_
