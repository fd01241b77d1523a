"""Pages and peers that need the extra `tools`: `make tools` runs this file."""

import numpy as np
import pytest
from pages import NEED_TOOLS, run_page

from robustreg import SmoothL1Regressor
from robustreg.losses import make_loss

# What these packages warn of among themselves is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("page", NEED_TOOLS)
def test_every_block_runs_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page)


def test_the_linear_booster_of_xgboost_has_our_fit():
    import xgboost

    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = 5 + X @ [1.0, -2.0, 0.5] + rng.standard_t(3, size=300)
    options = {
        "booster": "gblinear",
        "updater": "coord_descent",
        "objective": "reg:pseudohubererror",
        "huber_slope": 2.0,
        "base_score": 0.0,
        "lambda": 0.0,
    }
    peer = xgboost.train(options, xgboost.DMatrix(X, y), 2000)
    model = SmoothL1Regressor("pseudo_huber", beta=2.0).fit(X, y)
    theirs = peer.predict(xgboost.DMatrix(X))
    np.testing.assert_allclose(theirs, model.predict(X), rtol=0, atol=1e-5)


@pytest.mark.parametrize("alpha", [0.9, 5.0])
def test_lightgbm_clips_residuals_at_alpha_in_units_of_y(alpha):
    import lightgbm

    residual = np.array([-20.0, -3.0, -0.5, 0.5, 3.0, 20.0])
    leaves = np.arange(6.0).reshape(-1, 1)
    options = {
        "objective": "huber",
        "alpha": alpha,
        "num_leaves": 6,
        "min_data_in_leaf": 1,
        "min_data_in_bin": 1,
        "learning_rate": 1.0,
        "boost_from_average": False,
        "verbose": -1,
    }
    data = lightgbm.Dataset(np.tile(leaves, (10, 1)), np.tile(residual, 10))
    steps = lightgbm.train(options, data, 1).predict(leaves)
    own = make_loss("huber", beta=alpha).gradient(residual)
    np.testing.assert_allclose(steps, own, rtol=1e-6)
