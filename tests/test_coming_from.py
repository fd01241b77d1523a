"""What docs/coming_from says of other packages, with weights and other parameters.

Packages that no test installs are met by their documented formulas.
"""

import json

import numpy as np
import pytest
from pages import ROOT
from sklearn.linear_model import HuberRegressor, SGDRegressor
from sklearn.svm import LinearSVR

from robustreg import L1Regressor, SmoothL1Regressor
from robustreg.losses import make_loss

N = 120
RESIDUALS = np.linspace(-6, 6, 241)
FOLDER = ROOT / "docs" / "coming_from"


def make_data():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(N, 3)) * [1, 2, 0.5]
    y = X @ [1.0, -1.0, 2.0] + rng.standard_t(3, size=N)
    return X, y, rng.uniform(0.5, 2.0, size=N)


@pytest.mark.parametrize(("epsilon", "alpha"), [(1.1, 0.01), (1.35, 30.0), (2.5, 3.0)])
def test_huber_regressor_at_the_scale_it_finds(epsilon, alpha):
    X, y, weight = make_data()
    peer = HuberRegressor(epsilon=epsilon, alpha=alpha, tol=1e-9, max_iter=10**4)
    peer.fit(X, y + 7, weight)
    strength = alpha * peer.scale_ / weight.sum()
    model = SmoothL1Regressor(
        "huber", beta=epsilon, scale=peer.scale_, penalty="l2", alpha=strength
    )
    model.fit(X, y + 7, weight)
    np.testing.assert_allclose(model.coef_, peer.coef_, rtol=0, atol=1e-4)
    np.testing.assert_allclose(model.intercept_, peer.intercept_, rtol=0, atol=1e-4)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 2.0])
def test_linear_svr_is_an_l1_fit_of_rows_twice(epsilon):
    X, y, weight = make_data()
    peer = LinearSVR(
        C=0.05, epsilon=epsilon, fit_intercept=False, tol=1e-10, max_iter=10**6
    )
    peer.fit(X, y, weight)
    model = L1Regressor(
        penalty="l2", alpha=1 / (0.05 * weight.sum()), fit_intercept=False
    )
    twice = np.concatenate([y - epsilon, y + epsilon])
    model.fit(np.tile(X, (2, 1)), twice, np.tile(weight, 2))
    np.testing.assert_allclose(model.coef_, peer.coef_, rtol=0, atol=1e-6)


def test_squared_linear_svr_is_least_squares():
    X, y, weight = make_data()
    peer = LinearSVR(
        C=0.05,
        loss="squared_epsilon_insensitive",
        fit_intercept=False,
        tol=1e-10,
        max_iter=10**6,
    )
    strength = 1 / (2 * 0.05 * weight.sum())
    model = SmoothL1Regressor("l2", penalty="l2", alpha=strength, fit_intercept=False)
    peer.fit(X, y, weight)
    model.fit(X, y, weight)
    np.testing.assert_allclose(model.coef_, peer.coef_, rtol=0, atol=1e-6)


def test_the_alpha_of_sgd_is_over_the_mean_weight():
    X, y, weight = make_data()
    peer = SGDRegressor("huber", epsilon=0.5, alpha=0.3, tol=None, max_iter=400)
    peer.set_params(random_state=0, average=True, eta0=0.02)
    peer.fit(X, y, sample_weight=3 * weight)
    strength = 0.3 / (3 * weight.mean())
    model = SmoothL1Regressor("huber", beta=0.5, penalty="l2", alpha=strength)
    model.fit(X, y, 3 * weight)
    np.testing.assert_allclose(peer.coef_, model.coef_, rtol=0, atol=0.02)


def test_the_lasso_of_rq_has_rows_for_its_penalty():
    """`rq.fit.lasso` adds a row `lambda e_j` for each coefficient, at the median."""
    X, y, _ = make_data()
    strength = 15.0
    design = np.block([[X, np.ones((N, 1))], [strength * np.eye(3), np.zeros((3, 1))]])
    rows = L1Regressor(fit_intercept=False).fit(design, np.append(y, np.zeros(3)))
    model = L1Regressor(penalty="l1", alpha=strength / N).fit(X, y)
    own = np.append(model.coef_, model.intercept_)
    np.testing.assert_allclose(own, rows.coef_, rtol=1e-9, atol=1e-12)


def huber(r, d):
    return np.where(np.abs(r) <= d, r**2 / 2, d * (np.abs(r) - d / 2))


def bisquare(r, d):
    return d**2 / 6 * (1 - np.clip(1 - (r / d) ** 2, 0, None) ** 3)


def andrews(r, d):
    return (d / np.pi) ** 2 * (1 - np.cos(np.pi * np.clip(np.abs(r) / d, 0, 1)))


def talwar(r, d):
    return np.minimum(r**2, d**2) / 2


def logistic(r, d):
    return d**2 * np.log(np.cosh(r / d))


def pseudo_huber(r, d):
    return d**2 * (np.sqrt(1 + (r / d) ** 2) - 1)


# Losses of MLJLinearModels.jl and of boosting, up to constants: formula, breakpoint,
# name and beta here, and how many times the loss here it is.
FORMULAS = {
    "HuberRho": (huber, 0.5, "huber", 0.5, 1),
    "BisquareRho": (bisquare, 3.0, "tukey", 3.0, 1),
    "AndrewsRho": (andrews, 3.0, "andrews", 3.0 / np.pi, 1),
    "TalwarRho": (talwar, 2.0, "talwar", 2.0, 1),
    "LogisticRho": (logistic, 0.7, "log_cosh", 0.7, 0.7),
    "reg:pseudohubererror": (pseudo_huber, 2.0, "pseudo_huber", 2.0, 1),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_other_names_of_the_same_losses(name):
    formula, delta, loss, beta, times = FORMULAS[name]
    own = times * make_loss(loss, beta=beta).value(RESIDUALS)
    np.testing.assert_allclose(formula(RESIDUALS, delta), own, rtol=0, atol=1e-13)


def test_the_page_of_r_prints_what_r_gave():
    stored = json.loads((ROOT / "tests" / "data" / "inference.json").read_text())
    median = next(c for c in stored["quantile"]["stackloss"] if c["tau"] == 0.5)
    huber, mm = stored["huber"]["stackloss"], stored["mm"]["stackloss"]
    figures = [huber["scale"], mm["scale"], *median["p_value"]]
    for case, covariance in ((median, "nid"), (huber, "XtX"), (mm, "avar1")):
        figures += [*case["coef"], *np.sqrt(np.diag(case[covariance]))]
    page = (FOLDER / "r.md").read_text(encoding="utf-8")
    assert [f for f in figures if f"{f:.4f}" not in page] == []


def test_the_index_has_every_page():
    index = (FOLDER / "index.md").read_text(encoding="utf-8")
    pages = {page.stem for page in FOLDER.glob("*.md")} - {"index"}
    listed = index[index.index("```{toctree}") :].split()
    assert pages == set(listed) & pages and all(f"({p}.md)" in index for p in pages)
