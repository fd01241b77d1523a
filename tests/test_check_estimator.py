"""scikit-learn's own checks, with no expected failure, for every kind of setting."""

import pytest
from sklearn.base import RegressorMixin
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_estimator,
    check_inplace_ensure_writeable,
    check_param_validation,
    estimator_checks_generator,
)

from robustreg import (
    L1Regressor,
    MMRegressor,
    QuantilesRegressor,
    RobustRegressor,
    RobustRegressorCV,
    SmoothL1Regressor,
)
from robustreg.losses import LOSSES

# Half of the checks fit more columns than rows, exactly: there the estimated scale
# collapses, and the warning of it is right. One of them sets alpha itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore::robustreg.ScaleCollapseWarning"),
    pytest.mark.filterwarnings("ignore:.* alpha=0.01 has no effect"),
]

CLASSES = [SmoothL1Regressor, L1Regressor, RobustRegressor, MMRegressor]
# A scale that is a number suits targets about 25 apart: at 1 a redescending loss takes
# nearly all for outliers, and says so.
SETTINGS = [
    {},
    {"scale": "proposal2"},
    {"scale": 30.0},
    {"penalty": "l1", "alpha": 0.01, "scale": 30.0},
    {"penalty": "l2", "alpha": 0.01, "scale": 30.0},
    {"penalty": "elasticnet", "alpha": 0.01, "scale": 30.0},
    {"penalty": "l1", "alpha": 0.01, "quantile": 0.3, "scale": 30.0},
    {"penalty": "l2", "alpha": 0.01, "scale": "proposal2"},
    {"fit_intercept": False},
    {"quantile": 0.3, "scale": 30.0},
    {"quantile": 0.8, "fit_intercept": False},
    {"beta": 0.5, "tol": 1e-3},
    {"beta": 100.0, "warm_start": True},
]

# What the public list of checks leaves out and scikit-learn's own suite runs.
OTHER_CHECKS = [
    check_dataframe_column_names_consistency,
    check_inplace_ensure_writeable,
    check_param_validation,
]

# Of each solver, beside "auto", a loss and a penalty that it can do.
SOLVERS = {
    "newton": ("smooth_l1", "l2"),
    "newton-cg": ("log_cosh", "l2"),
    "proximal-newton": ("smooth_l1", "l1"),
    "l-bfgs-b": ("l2", None),
    "interior-point": ("l1", None),
    "augmented-lagrangian": ("l1", "elasticnet"),
    "augmented-lagrangian-cg": ("l1", "l2"),
    "linprog": ("quantile", None),
}
SOLVER_SETTINGS = [
    {
        "loss": loss,
        "penalty": penalty,
        "solver": solver,
        "alpha": 0.0 if penalty is None else 0.01,
    }
    for solver, (loss, penalty) in SOLVERS.items()
]

OTHER_SETTINGS = [
    {"quantile": 0.3, "penalty": "l2", "alpha": 0.01},
    {"beta": 0.0, "fit_intercept": False},
    {"penalty": "l1", "alpha": 0.01, "scale": "mad"},
    {"warm_start": True, "scale": 0.5},
]


def settings_id(settings):
    """Return a test's name, such as ``loss=l1-scale=mad``."""
    return "-".join(f"{name}={value}" for name, value in settings.items())


def check_in_turn(estimators):
    """Run every check, each on the next of the estimators; tell which of them failed.

    A check that is skipped has failed.
    """
    checks = zip(*map(estimator_checks_generator, estimators), strict=True)
    failed, n_checks = [], 0
    for n_checks, alike in enumerate(checks, 1):
        estimator, check = alike[n_checks % len(alike)]
        try:
            check(estimator)
        except Exception as error:
            failed.append(f"{check.func.__name__} of {estimator!r}: {error!r}")
    assert n_checks > 50
    assert not failed, "\n".join(failed)


def check_everything(estimator):
    """Run every check; tell which of them failed."""
    check_in_turn([estimator])


@pytest.mark.parametrize("cls", CLASSES)
def test_default(cls):
    check_everything(cls())


@pytest.mark.parametrize("check", OTHER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("cls", [*CLASSES, QuantilesRegressor])
def test_checks_outside_the_public_list(cls, check):
    check(cls.__name__, cls())


@pytest.mark.parametrize("loss", LOSSES)
def test_each_check_meets_each_loss_and_each_setting(loss):
    """And each loss each setting: what fails does so for one of these pairs."""
    first = list(LOSSES).index(loss)
    settings = SETTINGS[first:] + SETTINGS[:first]
    check_in_turn([RobustRegressor(loss, **each) for each in settings])


def test_each_setting_is_first_once():
    assert len(SETTINGS) <= len(LOSSES)


@pytest.mark.parametrize("settings", SOLVER_SETTINGS, ids=settings_id)
def test_solver(settings):
    check_everything(SmoothL1Regressor(**settings))


@pytest.mark.parametrize("settings", OTHER_SETTINGS, ids=settings_id)
def test_other_settings(settings):
    check_everything(SmoothL1Regressor(**settings))


def test_mm():
    settings = {"fit_intercept": False, "random_state": None, "breakdown": 0.3}
    check_everything(MMRegressor(n_subsets=50, **settings))


class OneOfThem(RegressorMixin, QuantilesRegressor):
    """The first of several quantiles, as a regressor predicts: one value a row."""

    def predict(self, X):
        return super().predict(X)[:, 0]


# These ask for predictions of shape (n_samples,) of whatever takes sparse data.
SHAPE_CHECKS = {"check_estimator_sparse_array", "check_estimator_sparse_matrix"}
LASSO = {"penalty": "l1", "alpha": 0.01, "non_crossing": False}


def test_each_of_several_quantiles():
    check_everything(OneOfThem(quantiles=(0.5, 0.05, 0.95)))
    one = OneOfThem(quantiles=(0.5,), fit_intercept=False)
    check_in_turn([one, OneOfThem(quantiles=(0.5, 0.9), **LASSO)])


def test_several_quantiles():
    results = check_estimator(QuantilesRegressor(), on_skip=None, on_fail=None)
    others = {r["check_name"] for r in results if r["status"] != "passed"}
    assert others == SHAPE_CHECKS


def test_cross_validation():
    check_everything(RobustRegressorCV(scale=1.0, alphas=2, cv=2))


@pytest.mark.parametrize("check", OTHER_CHECKS, ids=lambda check: check.__name__)
def test_cross_validation_outside_the_public_list(check):
    check("RobustRegressorCV", RobustRegressorCV(alphas=2, cv=2))
