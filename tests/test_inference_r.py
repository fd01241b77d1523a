"""Standard errors by R, stored in data/inference.json with the versions that gave them.

MASS solves for a scale with 1.4826 rounded otherwise, so that fits take R's scale.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from robustreg import L1Regressor, MMRegressor, RobustRegressor
from robustreg.inference import coef_covariance, coef_table

STORED = json.loads((Path(__file__).parent / "data" / "inference.json").read_text())
DATA = {
    name: (np.array(each["X"], dtype=float), np.array(each["y"], dtype=float))
    for name, each in STORED["sets"].items()
}
QUANTILES = [
    (name, case) for name, cases in STORED["quantile"].items() for case in cases
]
# R's median regression of the sorted residuals has no unique answer here, as R warns.
NOT_UNIQUE = {("stackloss", 0.5), ("stackloss", 0.75)}

every_quantile = pytest.mark.parametrize(
    ("name", "case"), QUANTILES, ids=lambda v: v if isinstance(v, str) else v["tau"]
)


def error(covariance, reference):
    """Return the largest difference, in units of the reference's standard errors."""
    deviation = np.sqrt(np.diag(reference))
    return np.abs((covariance - reference) / np.outer(deviation, deviation)).max()


def quantile_fit(name, case):
    X, y = DATA[name]
    model = L1Regressor("quantile", quantile=case["tau"]).fit(X, y)
    own = np.append(model.coef_, model.intercept_)
    np.testing.assert_allclose(own, case["coef"], rtol=1e-9, atol=1e-12)
    return model, X, y


@pytest.mark.parametrize("name", STORED["huber"])
@pytest.mark.parametrize("cov_type", ["XtX", "XtWX"])
def test_summary_of_rlm(name, cov_type):
    (X, y), case = DATA[name], STORED["huber"][name]
    model = RobustRegressor("huber", scale=case["scale"], tol=1e-14).fit(X, y)
    covariance = coef_covariance(model, X, y, cov_type=cov_type)
    assert error(covariance, np.array(case[cov_type])) < 1e-9


@every_quantile
@pytest.mark.parametrize("cov_type", ["nid", "ker", "iid"])
@pytest.mark.parametrize("bandwidth", ["hall-sheather", "bofinger"])
def test_summary_of_rq(name, case, cov_type, bandwidth):
    model, X, y = quantile_fit(name, case)
    with warnings.catch_warnings():
        # Fits that cross, of which R warns as well.
        warnings.simplefilter("ignore")
        covariance = coef_covariance(
            model, X, y, cov_type=cov_type, bandwidth=bandwidth
        )
    suffix = "_bofinger" if bandwidth == "bofinger" else ""
    reference = np.array(case[cov_type + suffix])
    if cov_type == "iid" and (name, case["tau"]) in NOT_UNIQUE:
        assert error(covariance, reference) < 0.1
    else:
        # summary.rq takes 1.5e-8 off what "nid" divides by.
        assert error(covariance, reference) < (1e-6 if cov_type == "nid" else 1e-9)


def test_p_values_are_those_of_summary_rq():
    name, case = QUANTILES[4]
    model, X, y = quantile_fit(name, case)
    table = coef_table(model, X, y, cov_type="nid")
    # R gives 2 (1 - pt(t)), which has no digits below 1e-16.
    np.testing.assert_allclose(table["p_value"], case["p_value"], rtol=1e-6, atol=1e-14)


@pytest.mark.parametrize("cov_type", ["XtX", "XtWX"])
def test_summary_of_rlm_with_tukeys_loss(cov_type):
    (X, y), case = DATA["engel"], STORED["tukey"]["engel"]
    model = RobustRegressor("tukey", scale=case["scale"]).fit(X, y)
    covariance = coef_covariance(model, X, y, cov_type=cov_type)
    assert error(covariance, np.array(case[cov_type])) < 1e-9


@pytest.mark.parametrize("name", STORED["mm"])
def test_vcov_of_lmrob(name):
    (X, y), case = DATA[name], STORED["mm"][name]
    model = MMRegressor(n_subsets=1000).fit(X, y)
    np.testing.assert_allclose(model.scale_, case["scale"], rtol=1e-8)
    assert error(coef_covariance(model, X, y), np.array(case["avar1"])) < 1e-6
