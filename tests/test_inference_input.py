"""What inference refuses, what it says, and the bootstrap."""

import builtins
import re
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import HuberRegressor, LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline

from robustreg import (
    L1Regressor,
    MMRegressor,
    RobustRegressor,
    SmoothL1Regressor,
)
from robustreg.inference import coef_covariance, coef_table
from robustreg.losses import Loss, LossFacts, Pinball


@dataclass(frozen=True)
class Bent(Loss):
    """``abs(r) + r^2 / 2``: kinked and not piecewise linear."""

    facts = LossFacts(np.inf)

    def value(self, residual):
        return np.abs(residual) + residual**2 / 2

    def gradient(self, residual):
        return np.sign(residual) + residual

    def curvature(self, residual):
        return np.ones_like(residual)

    def conjugate(self, slope):
        return np.maximum(np.abs(slope) - 1, 0.0) ** 2 / 2


RNG = np.random.default_rng(3)
N = 120
X = RNG.normal(size=(N, 3))
Y = 1 + X @ [1.0, 0.0, -2.0] + RNG.standard_t(3, size=N)
GROUPS = np.arange(N) % 10
SMOOTH, KINKED = RobustRegressor().fit(X, Y), L1Regressor().fit(X, Y)


def refused(message, model=SMOOTH, X=X, y=Y, error=ValueError, **options):
    with pytest.raises(error, match=re.escape(message)):
        coef_table(model, X, y, **options)


def test_penalised_fits_are_refused_before_any_work():
    model = RobustRegressor(alpha=0.1).fit(X, Y)
    refused("penalty='l2', alpha=0.1", model, X=None, y=None)
    refused("cov_type='bootstrap'", model)
    refused("penalty=None on the columns", model, cov_type="HC3")


@pytest.mark.parametrize("params", [{"alpha": 0.0}, {"penalty": None, "alpha": 5.0}])
def test_a_penalty_that_is_none_is_no_penalty(params):
    model = RobustRegressor().set_params(**params).fit(X, Y)
    own, plain = (coef_covariance(m, X, Y) for m in (model, SMOOTH))
    np.testing.assert_allclose(own, plain, rtol=1e-6)


def test_estimators_that_have_no_table():
    refused("not fitted", RobustRegressor(), error=NotFittedError)
    refused("LinearRegression", LinearRegression().fit(X, Y), error=TypeError)
    neighbours = KNeighborsRegressor().fit(X, Y)
    refused("has no coef_", neighbours, error=TypeError, cov_type="bootstrap")
    search = GridSearchCV(RobustRegressor(), {"loss": ["l2"]}).fit(X, Y)
    refused("search its best_estimator_", search, error=TypeError)
    piped = make_pipeline(RobustRegressor()).fit(X, Y)
    refused("pipeline[-1], pipeline[:-1].transform(X)", piped, error=TypeError)
    several = RobustRegressor().fit(X, np.column_stack([Y, Y]))
    refused("estimator.fit(X, y[:, j])", several)


def test_a_covariance_of_other_losses_is_refused_in_words():
    refused("cov_type='HC1' is not for an absolute loss", KINKED, cov_type="HC1")
    refused("cov_type='nid' is not for a smooth loss", cov_type="nid")


@pytest.mark.parametrize("model", [SMOOTH, KINKED], ids=["smooth", "kinked"])
def test_data_of_another_fit(model):
    refused("do not minimise the loss", model, y=Y[::-1])
    refused("do not minimise the loss", model, X=X[:50], y=Y[:50])
    refused("do not minimise the loss", model, sample_weight=np.arange(N))
    refused("X has 2 features", model, X=X[:, :2])
    refused("inconsistent numbers of samples", model, y=Y[:-1])


def test_parameters_changed_after_the_fit():
    model = RobustRegressor().fit(X, Y).set_params(loss="l2")
    refused("with the parameters that it had", model)


@pytest.mark.parametrize(
    "model", [RobustRegressor(), L1Regressor(), RobustRegressor("tukey")]
)
def test_columns_that_depend_on_each_other_are_named(model):
    double = np.column_stack([X, X[:, 0] - X[:, 2]])
    refused("standard errors of x0, x2, x3 do not", model.fit(double, Y), X=double)
    constant = np.column_stack([X, np.full(N, 7.0)])
    refused("constant in x3", model.fit(constant, Y), X=constant)
    sparse = sp.csr_matrix(double)
    refused("standard errors of x0, x2, x3 do not", model.fit(sparse, Y), X=sparse)


def test_a_column_that_only_rows_without_curvature_have():
    column = np.zeros(N)
    column[:2] = 1.0
    y = Y + 1e6 * (np.arange(N) == 0) - 1e6 * (np.arange(N) == 1)
    wide = np.column_stack([X, column])
    model = SmoothL1Regressor().fit(wide, y)
    refused("of x3 do not exist", model, X=wide, y=y, cov_type="HC1")
    model = SmoothL1Regressor(fit_intercept=False).fit(wide, y)
    refused("of x3 do not exist", model, X=wide, y=y, cov_type="H3")


def test_too_few_rows():
    model = RobustRegressor("l2", scale=1.0).fit(X[:4], Y[:4])
    refused("more rows than the 4 coefficients. Got 4", model, X=X[:4], y=Y[:4])
    share = np.full(N, 1 / N)
    weighted = RobustRegressor().fit(X, Y, share)
    refused("the sum of the weights", weighted, sample_weight=share)
    few = L1Regressor().fit(X[:9], Y[:9])
    refused("cov_type='iid' needs", few, X=X[:9], y=Y[:9], cov_type="iid")


@pytest.mark.filterwarnings("ignore::robustreg.ScaleCollapseWarning")
def test_a_collapsed_scale_has_no_errors():
    y = np.where(np.arange(N) < 90, X @ [1.0, 2.0, 3.0], Y)
    refused("collapsed", RobustRegressor().fit(X, y), y=y)
    for cov_type in ("iid", "nid", "ker", "kernel-iid"):
        kinked = L1Regressor().fit(X, y)
        refused("fitted exactly", kinked, y=y, cov_type=cov_type)


def test_a_target_that_is_mostly_zero_has_no_density_at_its_median():
    y = np.where(np.arange(N) % 10 < 7, 0.0, np.exp(1 + X[:, 0]))
    kinked = L1Regressor().fit(X, y)
    refused("70% of the rows are fitted exactly", kinked, y=y)


@pytest.mark.filterwarnings("ignore::robustreg.ScaleCollapseWarning")
def test_mm_estimates_are_refused_in_their_own_words():
    y = np.where(np.arange(N) < 90, X @ [1.0, 2.0, 3.0], Y)
    model = MMRegressor(n_subsets=50)
    refused("The S-scale collapsed", model.fit(X, y), y=y)
    refused("do not minimise the loss", model.fit(X, Y), y=Y[::-1])
    refused("Use one of ['avar1', 'H1',", model, cov_type="nid")
    refused("penalty='l2', alpha=0.3", model.set_params(alpha=0.3).fit(X, Y))


def test_a_loss_with_a_kink_and_curvature_has_the_bootstrap_only():
    model = RobustRegressor("l2", scale=1.0).fit(X, Y)
    model.loss = Bent()
    refused("Use one of ['bootstrap']", model)


def test_redescending_losses_need_a_hessian_that_is_positive():
    """Two lines in one column: between them the loss is concave."""
    y = np.where(np.arange(N) % 2 == 0, 4.0, -4.0)
    model = RobustRegressor("cauchy", beta=1.0, scale=1.0).fit(X, y)
    model.coef_, model.intercept_ = np.zeros(3), np.float64(0.0)
    model.tol = 1.0
    refused("Hessian is not positive definite", model, y=y)


def test_a_row_that_decides_its_own_prediction():
    own = np.column_stack([X, np.arange(N) == 5])
    model = SmoothL1Regressor().fit(own, Y)
    for cov_type in ("HC2", "HC3"):
        refused("Row 5 decides", model, X=own, cov_type=cov_type)
    assert np.isfinite(coef_covariance(model, own, Y, cov_type="HC1")).all()


def test_options_out_of_range():
    refused("cov_type must be None or one of ['H1',", cov_type="hc1")
    refused("level must be a number in (0, 1). Got 95", level=95)
    refused("bandwidth must be", KINKED, bandwidth="silverman")
    refused("kernel must be", KINKED, kernel="gau")
    refused("interval must be", cov_type="bootstrap", interval="bca")
    refused("n_bootstrap must be", cov_type="bootstrap", n_bootstrap=1)
    refused("at least 2. Got 10.0", cov_type="bootstrap", n_bootstrap=10.0)


def test_covariances_of_other_losses():
    refused("Use one of ['iid',", KINKED, cov_type="HC1")
    refused("Use one of ['H1',", SMOOTH, cov_type="nid")


def test_options_that_would_do_nothing():
    refused("cov_type='HC1' has no use for kernel", kernel="gaussian")
    refused(
        "cov_type='nid' has no use for kernel",
        KINKED,
        cov_type="nid",
        kernel="gaussian",
    )
    refused("cov_type='H1' has no use for groups", cov_type="H1", groups=GROUPS)
    refused("is for cov_type='bootstrap'", interval="normal")
    refused("has no use for bandwidth", cov_type="bootstrap", bandwidth="bofinger")


def test_groups():
    refused("needs groups", cov_type="cluster")
    refused(f"shape ({N},)", groups=GROUPS[:5])
    refused("at least 2 groups", groups=np.zeros(N))
    refused("missing labels", groups=np.where(GROUPS == 3, np.nan, GROUPS))
    labels = np.array([None if g == 3 else "a" for g in GROUPS], dtype=object)
    refused("missing labels", groups=labels)


def test_bootstrap_refuses_groups_of_another_shape():
    refused(f"shape ({N},)", cov_type="bootstrap", groups=GROUPS[:5])


def test_pandas_is_named_if_missing(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "pandas":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=re.escape("robustreg[inference]")):
        coef_table(SMOOTH, X, Y)
    assert coef_covariance(SMOOTH, X, Y).shape == (4, 4)


def test_crossing_quantiles_are_said():
    wide = RNG.normal(size=(40, 12))
    y = wide[:, 0] + RNG.standard_t(2, size=40)
    model = L1Regressor().fit(wide, y)
    with pytest.warns(RuntimeWarning, match="cross in") as caught:
        coef_table(model, wide, y, cov_type="nid")
    assert caught[0].filename == __file__


def test_a_loss_of_the_users_own_quantile():
    model = L1Regressor(Pinball(-0.3, 0.7)).fit(X, Y)
    named = L1Regressor("quantile", quantile=0.7).fit(X, Y)
    tilted = L1Regressor(quantile=0.7).fit(X, Y)
    for cov_type in ("iid", "nid", "powell"):
        own, *others = (
            coef_covariance(m, X, Y, cov_type=cov_type) for m in (model, named, tilted)
        )
        for other in others:
            np.testing.assert_allclose(own, other, rtol=1e-9)


def test_a_perfect_fit_has_no_errors():
    y = X @ [1.0, 2.0, 0.0]
    model = RobustRegressor("l2", scale=1.0).fit(X, y)
    table = coef_table(model, X, y)
    assert table["std_err"].max() < 1e-12


def resampled(model, n_bootstrap, **options):
    return coef_table(
        model, X, Y, cov_type="bootstrap", n_bootstrap=n_bootstrap, **options
    )


LEAST_SQUARES = RobustRegressor("l2", scale=1.0).fit(X, Y)


def test_bootstrap_is_near_the_sandwich_and_repeatable():
    table = resampled(LEAST_SQUARES, 200, random_state=0)
    sandwich = coef_table(LEAST_SQUARES, X, Y)
    # The bootstrap's own error is one in sqrt(400).
    assert np.abs(table["std_err"] / sandwich["std_err"] - 1).max() < 0.2
    assert np.abs(table["lower"] - sandwich["lower"]).max() < 0.2
    assert table.equals(resampled(LEAST_SQUARES, 200, random_state=0))
    assert table.attrs["df"] == np.inf


def test_bootstrap_intervals_agree_with_their_p_values():
    draws = resampled(LEAST_SQUARES, 99, random_state=1)
    out = (draws["lower"] > 0) | (draws["upper"] < 0)
    np.testing.assert_array_equal(out, draws["p_value"] < 0.05)
    normal = resampled(LEAST_SQUARES, 99, random_state=1, interval="normal")
    np.testing.assert_array_equal(normal["std_err"], draws["std_err"])
    middle = (normal["lower"] + normal["upper"]) / 2
    np.testing.assert_allclose(middle, normal["coef"], rtol=1e-9, atol=1e-12)


def test_bootstrap_takes_penalties_and_foreign_estimators():
    lasso = RobustRegressor(penalty="l1", alpha=0.2, scale=1.0).fit(X, Y)
    table = resampled(lasso, 40, random_state=0)
    assert table.loc["x1", "coef"] == 0 and table.loc["x1", "p_value"] > 0.5
    assert table.loc["x0", "p_value"] < 0.05
    foreign = resampled(HuberRegressor().fit(X, Y), 10, random_state=0)
    assert (foreign["std_err"] > 0).all()


def test_bootstrap_of_groups_keeps_groups_together():
    """Twice the same row is no more than once if both are always drawn together."""
    twice = np.repeat(np.arange(60), 2)
    model = RobustRegressor("l2", scale=1.0).fit(X[twice], Y[twice])
    together, apart = (
        np.sqrt(
            np.diag(
                coef_covariance(
                    model,
                    X[twice],
                    Y[twice],
                    cov_type="bootstrap",
                    groups=groups,
                    n_bootstrap=150,
                    random_state=0,
                )
            )
        )
        for groups in (twice, None)
    )
    np.testing.assert_allclose(together / apart, np.sqrt(2), rtol=0.25)


def test_bootstrap_counts_weights_as_rows():
    """Weights of 4 are four times the rows, and half of the standard error."""
    model = RobustRegressor("l2", scale=1.0).fit(X, Y)
    one, four = (
        np.sqrt(
            np.diag(
                coef_covariance(
                    model,
                    X,
                    Y,
                    np.full(N, weight),
                    cov_type="bootstrap",
                    n_bootstrap=400,
                    random_state=0,
                )
            )
        )
        for weight in (1.0, 4.0)
    )
    np.testing.assert_allclose(one / four, 2, rtol=0.25)


def test_bootstrap_says_which_columns_few_rows_have():
    rare = np.column_stack([X, np.arange(N) < 3])
    model = RobustRegressor("l2", scale=1.0).fit(rare, Y)
    with pytest.warns(RuntimeWarning, match=r"some of the columns x3 are constant"):
        coef_covariance(
            model, rare, Y, cov_type="bootstrap", n_bootstrap=100, random_state=0
        )
    single = np.column_stack([X] + [np.arange(N) == row for row in range(3)])
    model.fit(single, Y)
    with pytest.raises(ValueError, match="Drop these columns"):
        coef_covariance(
            model, single, Y, cov_type="bootstrap", n_bootstrap=50, random_state=0
        )


def test_bootstrap_keeps_coefficients_that_ties_make_zero():
    """Medians of whole numbers are equal in many resamples; a warning would raise."""
    treated = (np.arange(N) % 2).astype(float).reshape(-1, 1)
    noise = np.random.default_rng(3).normal(size=N)
    ratings = np.clip(np.round(3 + 0.7 * treated[:, 0] + noise), 1, 5)
    model = L1Regressor().fit(treated, ratings)
    assert abs(model.coef_[0]) > 0.5
    found = coef_covariance(
        model, treated, ratings, cov_type="bootstrap", n_bootstrap=60, random_state=0
    )
    random, share, draws = np.random.RandomState(0), np.full(N, 1 / N), []
    for _ in range(60):
        model.fit(treated, ratings, random.multinomial(N, share))
        draws.append([*model.coef_, model.intercept_])
    assert np.mean(np.array(draws)[:, 0] == 0) > 0.05
    np.testing.assert_allclose(found, np.cov(draws, rowvar=False), rtol=1e-12)


def test_bootstrap_says_how_many_fits_warned():
    with pytest.warns(match="tol"):
        short = SmoothL1Regressor(max_iter=1, tol=1e-14).fit(X, Y)
    with pytest.warns(RuntimeWarning, match=r"\d+ of 20 resampled fits warned"):
        resampled(short, 20, random_state=0)
