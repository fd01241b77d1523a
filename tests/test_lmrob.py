"""MM-estimates of classic data sets, beside those of robustbase's lmrob in R.

The reference values are in data/lmrob.json, which data/lmrob.R made.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from robustreg import MMRegressor
from robustreg.inference import coef_covariance

FILE = Path(__file__).parent / "data" / "lmrob.json"
SETS = json.loads(FILE.read_text())["sets"]
DIGITS = 1e-6
every_set = pytest.mark.parametrize("name", SETS)


def fitted(name, **params):
    """Return the reference and the model of a data set."""
    reference = SETS[name]
    return reference, MMRegressor(**params).fit(reference["X"], reference["y"])


@every_set
def test_coefficients_and_scale(name):
    reference, model = fitted(name)
    found = np.append(model.intercept_, model.coef_)
    assert_allclose(found, reference["coefficients"], rtol=DIGITS)
    assert_allclose(model.scale_, reference["scale"], rtol=DIGITS)
    found = np.append(model.s_intercept_, model.s_coef_)
    assert_allclose(found, reference["s_coefficients"], rtol=DIGITS)


@every_set
def test_standard_errors(name):
    reference, model = fitted(name)
    covariance = coef_covariance(model, reference["X"], reference["y"])
    errors = np.roll(np.sqrt(np.diag(covariance)), 1)
    assert_allclose(errors, reference["std_errors"], rtol=DIGITS)


@every_set
@pytest.mark.parametrize("seed", [1, 2])
def test_no_seed_misses_the_smallest_scale(name, seed):
    reference, model = fitted(name, random_state=seed)
    assert model.scale_ <= reference["scale"] * (1 + DIGITS)


def test_published_outliers_have_no_weight():
    # Rousseeuw, Leroy (1987): the giant stars, and the first ten planted rows of hbk.
    _, stars = fitted("starsCYG")
    assert set(np.flatnonzero(stars.weights_ < 0.1) + 1) >= {11, 20, 30, 34}
    _, planted = fitted("hbk")
    assert set(np.flatnonzero(planted.weights_ == 0)) == set(range(10))
    _, calls = fitted("telef")
    assert set(range(14, 20)) <= set(np.flatnonzero(calls.weights_ == 0))
