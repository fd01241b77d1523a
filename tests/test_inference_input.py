"""What inference refuses, and what it says."""

import builtins
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
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
from robustreg.inference.density import KERNELS
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
    model = RobustRegressor(penalty="l2", alpha=0.1).fit(X, Y)
    refused("penalty='l2', alpha=0.1", model, X=None, y=None)
    refused("cov_type='bootstrap'", model)
    refused("penalty=None.", model, cov_type="HC3")
    lasso = RobustRegressor(penalty="l1", alpha=0.1).fit(X, Y)
    refused("penalty=None on the columns", lasso, cov_type="HC3")


@pytest.mark.filterwarnings("ignore::robustreg.NoEffectWarning")
@pytest.mark.parametrize("params", [{"penalty": "l2"}, {"alpha": 5.0}])
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
    around = TransformedTargetRegressor(RobustRegressor()).fit(X, Y)
    refused("TransformedTargetRegressor its regressor_", around, error=TypeError)
    piped = make_pipeline(KNeighborsRegressor()).fit(X, Y)
    refused("KNeighborsRegressor has no coef_", piped, error=TypeError)
    several = RobustRegressor().fit(X, np.column_stack([Y, Y]))
    refused("y must have shape (n_samples, 2), the targets of the fit", several)


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


@pytest.mark.parametrize("cov_type", [None, "bootstrap"])
@pytest.mark.parametrize("model", [RobustRegressor(), L1Regressor()])
def test_dummies_with_all_their_levels_are_refused_in_the_same_words(model, cov_type):
    levels = np.eye(3)[np.arange(N) % 3]
    wide = np.column_stack([X, levels])
    match = (
        "The standard errors of x3, x4, x5, intercept do not exist: the columns "
        "depend on each other. Drop some of them: of dummies with all their levels, "
        "one."
    )
    refused(match, model.fit(wide, Y), X=wide, cov_type=cov_type)
    constant = np.column_stack([X, np.full(N, 7.0)])
    refused("constant in x3", model.fit(constant, Y), X=constant, cov_type=cov_type)


def test_the_bootstrap_is_the_way_out_of_rows_without_curvature_alone():
    column = np.zeros(N)
    column[:2] = 1.0
    y = Y + 1e6 * (np.arange(N) == 0) - 1e6 * (np.arange(N) == 1)
    wide = np.column_stack([X, column])
    held = "in the rows that hold the fit. Drop some of them, or use cov_type='boot"
    refused(held, SmoothL1Regressor().fit(wide, y), X=wide, y=y)


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
    few = "more rows than coefficients. Got 4 rows and 4 coefficients. Drop"
    refused(few, model, X=X[:4], y=Y[:4])
    refused(few, model, X=X[:4], y=Y[:4], cov_type="bootstrap")
    wide = np.random.default_rng(0).normal(size=(20, 50))
    model = RobustRegressor(scale=1.0).fit(wide, Y[:20])
    refused("Got 20 rows and 51 coefficients", model, X=wide, y=Y[:20])
    share = np.full(N, 1 / N)
    weighted = RobustRegressor().fit(X, Y, share)
    refused("count 1 rows, their sum, and", weighted, sample_weight=share)
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
    refused(
        "penalty='l2', alpha=0.3", model.set_params(penalty="l2", alpha=0.3).fit(X, Y)
    )


def test_a_loss_with_a_kink_and_curvature_has_the_bootstrap_only():
    model = RobustRegressor("l2", scale=1.0).fit(X, Y)
    model.loss = Bent()
    refused("cov_type=None is not for a loss with a kink and a curve", model)
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
    absolute = "cov_type='HC1' is not for an absolute loss, such as L1(). "
    refused(absolute + "Use one of ['iid',", KINKED, cov_type="HC1")
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
    refused(
        "is for a cov_type in ['bootstrap', 'fast-robust-bootstrap']", interval="normal"
    )
    refused("has no use for bandwidth", cov_type="bootstrap", bandwidth="bofinger")


def test_groups():
    refused("needs groups", cov_type="cluster")
    refused(f"shape ({N},)", groups=GROUPS[:5])
    refused("at least 2 groups", groups=np.zeros(N))
    refused("missing labels", groups=np.where(GROUPS == 3, np.nan, GROUPS))
    labels = np.array([None if g == 3 else "a" for g in GROUPS], dtype=object)
    refused("missing labels", groups=labels)


@pytest.mark.parametrize("dtype", ["string", "Int64", "category", object])
def test_missing_groups_of_a_frame(dtype):
    labels = pd.Series([None if g == 3 else g for g in GROUPS.tolist()])
    labels = labels.astype("Int64").astype(dtype)
    refused("missing labels", groups=labels)
    whole = pd.Series(GROUPS).astype("Int64").astype(dtype)
    table = coef_table(SMOOTH, X, Y, groups=whole)
    assert table.equals(coef_table(SMOOTH, X, Y, groups=GROUPS))


def test_groups_that_have_no_order():
    labels = np.array([g if g < 5 else "a" for g in GROUPS.tolist()], dtype=object)
    refused("Got both int and str", groups=labels, error=TypeError)


def test_any_real_number_is_a_level():
    table = coef_table(SMOOTH, X, Y, level=np.float32(0.5))
    assert table.equals(coef_table(SMOOTH, X, Y, level=0.5))
    refused("(0, 1). Got np.float32(1.5)", level=np.float32(1.5))


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_gross_outlier_overflows_nothing(kernel):
    """Warnings are errors here."""
    y = np.where(np.arange(N) == 0, 1e200, Y)
    options = {"kernel": kernel}
    for cov_type in ("ker", "kernel-iid"):
        own, less = (
            coef_table(L1Regressor().fit(X, t), X, t, cov_type=cov_type, **options)
            for t in (y, np.where(np.arange(N) == 0, 1e3, Y))
        )
        assert np.abs(own["std_err"] / less["std_err"] - 1).max() < 0.1


def test_single_precision_is_named_where_it_is_the_cause():
    narrow, y = X.astype(np.float32), Y + 1e5
    message = "as closely as float32 can tell"
    refused(message, L1Regressor().fit(narrow, y), X=narrow, y=y)


def test_pandas_is_named_if_missing(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "pandas":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install pandas"):
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
