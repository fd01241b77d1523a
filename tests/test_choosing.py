"""Cross-validation of losses and penalties: a grid search's scores, and its choice."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import make_scorer, mean_pinball_loss
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit

import robustreg.choosing.folds as folds
import robustreg.choosing.scores as scores
from robustreg import (
    NoEffectWarning,
    RobustRegressor,
    RobustRegressorCV,
    robust_path,
)
from robustreg.inference import coef_table
from robustreg.losses import LOSSES, make_loss
from robustreg.metrics import neg_tau_scale, tau_scale

TRUTH = np.array([2.0, 0.0, 0.0, 1.0])
ALPHAS = [0.2, 0.02]
# Fits from other starts end within rounding errors of each other.
EXACT = {"tol": 1e-14}


def data(n=90, seed=0, n_bad=9):
    """Return rows with outliers in y, and weights that count them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4)) * [1, 3, 0.3, 1] + [0, 5, -20, 0]
    y = X @ TRUTH + 3 + rng.normal(size=n)
    y[rng.choice(n, n_bad, replace=False)] += 50
    return X, y, rng.integers(0, 4, n).astype(float)


@pytest.fixture
def routed():
    """Let metadata be routed, as a grid search needs to weigh its scores."""
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def searched(estimator, grid, X, y, weight, scorer):
    """Return the grid search that a choice is the same as."""
    scorer = scorer.set_score_request(sample_weight=True)
    estimator = estimator.set_fit_request(sample_weight=True)
    search = GridSearchCV(estimator, grid, scoring=scorer, cv=3)
    return search.fit(X, y, sample_weight=weight)


SETTINGS = [("l2", 2.0), ("l1", "mad"), ("elasticnet", 2.0), (None, "proposal2")]
CASES = [
    (loss, *SETTINGS[i % 4], bool(i // 4 % 2)) for i, loss in enumerate(sorted(LOSSES))
]


@pytest.mark.usefixtures("routed")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("loss", "penalty", "scale", "weighted"), CASES, ids=str)
def test_scores_and_choice_are_those_of_a_grid_search(loss, penalty, scale, weighted):
    X, y, weight = data()
    weight = weight if weighted else None
    alphas = [0.0] if penalty is None else ALPHAS
    model = RobustRegressorCV(
        loss, beta=[0.8, 2.5], penalty=penalty, alphas=alphas, scale=scale, cv=3
    ).set_params(**EXACT)
    model.fit(X, y, weight)
    terms = {"loss": [loss], "beta": [0.8, 2.5], "penalty": [penalty], "alpha": alphas}
    grid = {**terms, "l1_ratio": [0.5], "quantile": [0.5]}
    # The scorer of the package is one object, whose request would stay set.
    scorer = clone(neg_tau_scale, safe=False)
    estimator = RobustRegressor(scale=scale, **EXACT)
    search = searched(estimator, grid, X, y, weight, scorer)
    assert set(model.cv_results_) == set(search.cv_results_)
    assert model.cv_results_["params"] == search.cv_results_["params"]
    for fold in range(3):
        name = f"split{fold}_test_score"
        expected = search.cv_results_[name]
        np.testing.assert_allclose(model.cv_results_[name], expected, rtol=1e-8)
    for name in ("mean_test_score", "std_test_score"):
        ours, theirs = model.cv_results_[name], search.cv_results_[name]
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-9)
    assert model.best_params_ == search.best_params_
    assert model.best_index_ == search.best_index_
    assert model.best_score_ == pytest.approx(search.best_score_, rel=1e-8)
    best = search.best_estimator_
    np.testing.assert_allclose(model.coef_, best.coef_, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("scale", [1.0, "mad", "proposal2"])
@pytest.mark.parametrize("loss", ["smooth_l1", "log_cosh", "l1"])
def test_scores_at_the_default_tolerance_are_those_of_a_grid_search(loss, scale):
    X, y, _ = data(300)
    alphas = np.geomspace(0.5, 1e-3, 10)
    model = RobustRegressorCV(loss, alphas=alphas, scale=scale).fit(X, y)
    estimator = RobustRegressor(loss, penalty="l1", scale=scale)
    search = GridSearchCV(estimator, {"alpha": alphas}, scoring=neg_tau_scale).fit(X, y)
    for fold in range(5):
        name = f"split{fold}_test_score"
        expected = search.cv_results_[name]
        np.testing.assert_allclose(model.cv_results_[name], expected, rtol=1e-6)


@pytest.mark.parametrize("scoring", ["neg_median_absolute_error", "r2", None])
def test_scores_by_name(scoring):
    X, y, _ = data()
    model = RobustRegressorCV("huber", alphas=ALPHAS, scoring=scoring, **EXACT)
    model.fit(X, y)
    search = GridSearchCV(
        RobustRegressor("huber", penalty="l1", **EXACT),
        {"alpha": ALPHAS},
        scoring=neg_tau_scale if scoring is None else scoring,
    ).fit(X, y)
    expected = search.cv_results_["mean_test_score"]
    np.testing.assert_allclose(model.cv_results_["mean_test_score"], expected, 1e-8)
    ranks = search.cv_results_["rank_test_score"]
    np.testing.assert_array_equal(model.cv_results_["rank_test_score"], ranks)


@pytest.mark.parametrize("loss", ["l1", "smooth_l1"])
def test_a_tilted_loss_is_scored_by_the_pinball_loss(loss):
    X, y, weight = data()
    model = RobustRegressorCV(loss, quantile=0.8, alphas=ALPHAS, **EXACT)
    fold = next(KFold(5).split(X))
    model.fit(X, y, weight)
    one = RobustRegressor(loss, quantile=0.8, penalty="l1", alpha=0.2, **EXACT)
    one.fit(X[fold[0]], y[fold[0]], weight[fold[0]])
    expected = -mean_pinball_loss(
        y[fold[1]], one.predict(X[fold[1]]), alpha=0.8, sample_weight=weight[fold[1]]
    )
    score = model.cv_results_["split0_test_score"][0]
    assert score == pytest.approx(expected, rel=1e-8)


def test_predictions_of_all_candidates_are_scored_as_one(monkeypatch):
    calls, score = [], scores.tau_scale

    def counted(y, predicted, **told):
        calls.append(predicted.shape)
        return score(y, predicted, **told)

    monkeypatch.setattr(scores, "tau_scale", counted)
    X, y, _ = data()
    terms = {"beta": [0.5, 1.0, 2.0], "alphas": ALPHAS}
    RobustRegressorCV(["huber", "log_cosh"], **terms).fit(X, np.column_stack([y, y]))
    # Twelve candidates and two targets, of a fifth of the rows.
    assert calls == 5 * [(18, 24)]


def test_what_was_chosen_is_fitted_to_all_rows():
    X, y, weight = data()
    model = RobustRegressorCV(["l2", "smooth_l1"], alphas=5).fit(X, y, weight)
    best = RobustRegressor(**model.best_params_).fit(X, y, weight)
    for name, value in vars(best).items():
        if name.endswith("_"):
            np.testing.assert_array_equal(getattr(model, name), value, err_msg=name)
    np.testing.assert_array_equal(model.predict(X), best.predict(X))
    np.testing.assert_array_equal(model.outlier_score(X, y), best.outlier_score(X, y))
    assert model.score(X, y, weight) == best.score(X, y, weight)
    assert (model.alpha_, model.loss_) == (best.alpha, best.loss)
    assert model.best_estimator_.get_params() == best.get_params()


def test_inference_takes_what_was_chosen():
    X, y, _ = data()
    model = RobustRegressorCV(["l2", "huber"], penalty=None).fit(X, y)
    table = coef_table(model.best_estimator_, X, y)
    np.testing.assert_array_equal(table["coef"].iloc[:-1], model.coef_)
    assert coef_table(model, X, y).equals(table)


def test_outliers_do_not_own_the_choice():
    X, y, _ = data(300, n_bad=45)
    losses = ["l2", "smooth_l1", "l1"]
    model = RobustRegressorCV(losses, penalty=None, cv=KFold(5)).fit(X, y)
    assert model.loss_ != "l2"
    np.testing.assert_allclose(model.coef_, TRUTH, atol=0.3)


def test_a_larger_breakpoint_does_not_win_by_its_units():
    """A loss's own mean grows with its breakpoint; the score is in units of y."""
    X, y, _ = data(300, n_bad=60)
    model = RobustRegressorCV("huber", beta=[1.0, 1e3], penalty=None).fit(X, y)
    assert model.beta_ == 1.0


@pytest.mark.parametrize("loss", ["l2", "smooth_l1", "l1", "tukey"])
@pytest.mark.parametrize("scale", [2.0, "mad"])
def test_alphas_start_where_no_column_is_left(loss, scale):
    X, y, _ = data()
    model = RobustRegressorCV(loss, alphas=3, eps=0.1, scale=scale, cv=2).fit(X, y)
    alphas = [params["alpha"] for params in model.cv_results_["params"]]
    np.testing.assert_allclose(alphas[2] / alphas[0], 0.1)
    np.testing.assert_allclose(alphas[1] ** 2, alphas[0] * alphas[2])
    settings = {"penalty": "l1", "scale": scale}
    none = RobustRegressor(loss, alpha=1.0001 * alphas[0], **settings).fit(X, y)
    np.testing.assert_array_equal(none.coef_, 0.0)
    if make_loss(loss).facts.convex:
        one = RobustRegressor(loss, alpha=0.98 * alphas[0], **settings).fit(X, y)
        assert np.count_nonzero(one.coef_) >= 1


def test_alphas_at_a_number_as_scale_are_those_of_a_path():
    X, y, weight = data()
    model = RobustRegressorCV(alphas=7, scale=2.0).fit(X, y, weight)
    path = robust_path(
        X, y, beta=None, scale=2.0, n_alphas=7, sample_weight=weight, penalty="l1"
    )
    alphas = [params["alpha"] for params in model.cv_results_["params"]]
    np.testing.assert_allclose(alphas, path.alphas, rtol=1e-9)


@pytest.mark.parametrize("loss", ["l2", "smooth_l1", "l1"])
def test_alphas_of_an_l2_penalty_shrink_by_half_and_then_hardly(loss):
    X, y, _ = data(n_bad=0)
    X, y = X * 1e3, y * 1e-3
    model = RobustRegressorCV(loss, penalty="l2", alphas=2, cv=2).fit(X, y)
    largest, smallest = (params["alpha"] for params in model.cv_results_["params"])
    assert largest == pytest.approx(1e3 * smallest)
    sizes = []
    for alpha in (0.0, smallest, largest):
        penalty = "l2" if alpha else None
        one = RobustRegressor(loss, penalty=penalty, alpha=alpha).fit(X, y)
        sizes.append(np.std(one.predict(X)))
    assert sizes[1] > 0.9 * sizes[0]
    assert sizes[2] < 0.7 * sizes[0]


def test_candidates_that_ask_for_the_same_are_fitted_once(monkeypatch):
    """Costs are fits, never the clock."""
    asked = []
    at_once = folds.fit_at_once
    monkeypatch.setattr(
        folds, "fit_at_once", lambda each: asked.append(len(each)) or at_once(each)
    )
    X, y, _ = data()
    model = RobustRegressorCV(
        ["l2", "smooth_l1"], beta=[0.5, 1.0], l1_ratio=[0.2, 0.8], alphas=ALPHAS, cv=3
    ).fit(X, y)
    # One l2 loss and two smooth ones, two alphas, three folds.
    assert asked == [3 * 2] * 3
    assert len(model.cv_results_["params"]) == 2 * 2 * 2 * 2


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_smooth_candidates_share_a_gram_matrix(penalty, monkeypatch):
    calls, alike = [], folds.fit_alike
    monkeypatch.setattr(
        folds, "fit_alike", lambda *args: calls.append(args) or alike(*args)
    )
    X, y, _ = data(600, n_bad=60)
    losses = ["smooth_l1", "huber", "log_cosh", "pseudo_huber"]
    settings = {"beta": [1.0, 2.0], "penalty": penalty, "alphas": ALPHAS}
    RobustRegressorCV(losses, **settings).fit(X, y)
    # Of 16 candidates in five folds.
    assert len(calls) <= 4


def test_a_kinked_candidate_starts_where_outliers_weigh_as_little(monkeypatch):
    """Of those that are found at once, whatever their order is."""
    starts, alike = [], folds.fit_alike
    monkeypatch.setattr(
        folds, "fit_alike", lambda *args: starts.append(args[2]) or alike(*args)
    )
    X, y, _ = data(600, n_bad=60)
    losses = ["l2", "l1", "smooth_l1"]
    RobustRegressorCV(losses, penalty="l2", alphas=[0.02], cv=2).fit(X, y)
    train, _ = next(KFold(2).split(X))
    like = RobustRegressor(penalty="l2", alpha=0.02).fit(X[train], y[train])
    assert len(starts) == 2
    np.testing.assert_allclose(starts[0].coef, like.coef_, rtol=1e-6)


def test_the_sparsest_within_a_standard_error():
    X, y, _ = data(60, seed=3)
    model = RobustRegressorCV("l1", alphas=12, selection="1se").fit(X, y)
    best = RobustRegressorCV("l1", alphas=12).fit(X, y)
    scores = np.array([model.cv_results_[f"split{i}_test_score"] for i in range(5)])
    mean, error = scores.mean(axis=0), scores.std(axis=0, ddof=1) / np.sqrt(5)
    assert model.alpha_ > best.alpha_
    chosen, top = model.best_index_, best.best_index_
    assert model.index_1se_ == best.index_1se_ == chosen
    assert mean[chosen] >= mean[top] - error[top]
    # Alphas fall: with a larger one the fit is out of reach.
    assert (mean[:chosen] < mean[top] - error[top]).all() or np.count_nonzero(
        model.coef_
    ) <= np.count_nonzero(best.coef_)


@pytest.mark.parametrize("scoring", [None, lambda model, X, y: np.nan])
def test_where_there_is_no_standard_error_the_best_is_chosen(scoring):
    X, y, _ = data()
    settings = {"alphas": ALPHAS, "cv": ShuffleSplit(1, random_state=0)}
    model = RobustRegressorCV(selection="1se", scoring=scoring, **settings).fit(X, y)
    best = RobustRegressorCV(scoring=scoring, **settings).fit(X, y)
    assert model.best_index_ == best.best_index_


def test_every_container_has_the_same_choice():
    X, y, weight = data()
    X[np.abs(X) < 0.5] = 0.0
    settings = {"alphas": 3, "cv": 3}
    dense = RobustRegressorCV(**settings).fit(X, y, weight)
    expected = dense.cv_results_["mean_test_score"]
    for convert in (sp.csr_array, sp.csc_matrix, np.asfortranarray):
        other = RobustRegressorCV(**settings).fit(convert(X), y, weight)
        assert other.best_index_ == dense.best_index_
        scores = other.cv_results_["mean_test_score"]
        np.testing.assert_allclose(scores, expected, 1e-5, err_msg=convert.__name__)


def test_frames_keep_their_names():
    pd = pytest.importorskip("pandas")
    X, y, _ = data()
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = RobustRegressorCV(alphas=3).fit(frame, pd.Series(y))
    assert list(model.feature_names_in_) == list("abcd")
    assert list(model.best_estimator_.feature_names_in_) == list("abcd")
    expected = RobustRegressorCV(alphas=3).fit(X, y).coef_
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-12)


def test_weights_are_repeated_rows_of_the_same_fold():
    X, y, weight = data(n=60)
    weight = weight.astype(int) + 1
    fold = np.arange(60) % 3
    repeated = np.repeat(np.arange(60), weight)

    def cv(of_rows):
        return [
            (np.flatnonzero(of_rows != k), np.flatnonzero(of_rows == k))
            for k in range(3)
        ]

    settings = {"loss": ["l1", "smooth_l1"], "alphas": 4, **EXACT}
    one = RobustRegressorCV(cv=cv(fold), **settings).fit(X, y, weight)
    two = RobustRegressorCV(cv=cv(fold[repeated]), **settings).fit(
        X[repeated], y[repeated]
    )
    ours, theirs = (m.cv_results_["mean_test_score"] for m in (one, two))
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)
    assert one.best_index_ == two.best_index_


def test_rows_without_weight_are_no_rows():
    X, y, _ = data()
    weight = np.ones(90)
    weight[::7] = 0
    hostile = y.copy()
    hostile[::7] = 1e200
    settings = {"alphas": ALPHAS, "cv": KFold(3)}
    one = RobustRegressorCV(**settings).fit(X, y, weight)
    two = RobustRegressorCV(**settings).fit(X, hostile, weight)
    np.testing.assert_array_equal(one.coef_, two.coef_)
    name = "mean_test_score"
    np.testing.assert_array_equal(one.cv_results_[name], two.cv_results_[name])


def test_several_targets_share_a_choice():
    X, y, weight = data()
    both = np.column_stack([y, -3 * y])
    one = RobustRegressorCV(alphas=ALPHAS, cv=3, **EXACT).fit(X, y, weight)
    two = RobustRegressorCV(alphas=ALPHAS, cv=3, **EXACT).fit(X, both, weight)
    name = "mean_test_score"
    np.testing.assert_allclose(two.cv_results_[name], 2 * one.cv_results_[name], 1e-6)
    assert two.coef_.shape == (2, 4)
    assert two.predict(X).shape == (90, 2)
    again = RobustRegressor(**two.best_params_, **EXACT).fit(X, both, weight)
    np.testing.assert_allclose(two.coef_, again.coef_, rtol=1e-12)


@pytest.mark.usefixtures("routed")
def test_groups_reach_the_splitter():
    X, y, _ = data()
    groups = np.repeat(np.arange(9), 10)
    model = RobustRegressorCV(alphas=ALPHAS, cv=GroupKFold(3)).fit(X, y, groups=groups)
    splits = list(GroupKFold(3).split(X, y, groups))
    other = RobustRegressorCV(alphas=ALPHAS, cv=splits).fit(X, y)
    name = "mean_test_score"
    np.testing.assert_array_equal(model.cv_results_[name], other.cv_results_[name])


def test_processes_change_nothing():
    X, y, _ = data()
    cv = ShuffleSplit(4, random_state=0)
    one = RobustRegressorCV(alphas=ALPHAS, cv=cv).fit(X, y)
    two = RobustRegressorCV(alphas=ALPHAS, cv=cv, n_jobs=2).fit(X, y)
    for name in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(one.cv_results_[name], two.cv_results_[name])
    assert one.n_splits_ == 4


def test_a_scorer_of_ones_own_takes_the_weights():
    X, y, weight = data()
    scorer = make_scorer(mean_pinball_loss, greater_is_better=False, alpha=0.5)
    model = RobustRegressorCV(alphas=ALPHAS, scoring=scorer).fit(X, y, weight)

    def own(estimator, X, y, sample_weight):
        error = np.abs(y - estimator.predict(X))
        return -0.5 * np.average(error, weights=sample_weight)

    other = RobustRegressorCV(alphas=ALPHAS, scoring=own).fit(X, y, weight)
    name = "mean_test_score"
    np.testing.assert_allclose(model.cv_results_[name], other.cv_results_[name])


REFUSED = [
    ({"loss": ["smooth_l1", "mse"]}, "'mse'.*'l2'"),
    ({"loss": []}, "'loss' parameter of RobustRegressorCV must be .* Got an empty"),
    ({"beta": [1.0, -1.0]}, "'beta' parameter of RobustRegressorCV must be"),
    ({"quantile": [0.5, 1.5]}, "'quantile' parameter of RobustRegressorCV must be"),
    ({"penalty": ["l1", "lasso"]}, "'penalty' parameter of RobustRegressorCV must"),
    ({"l1_ratio": 2.0}, "'l1_ratio' parameter of RobustRegressorCV must be"),
    ({"alphas": 0}, "'alphas' parameter of RobustRegressorCV must be"),
    ({"alphas": [0.1, -1.0]}, "alphas must be .* Got"),
    ({"alphas": [[0.1]]}, "alphas must be .* Got"),
    ({"alphas": []}, r"alphas must be a number of them or .* Got \[\]"),
    ({"eps": 1.0}, "'eps' parameter of RobustRegressorCV must be"),
    ({"selection": "2se"}, "'selection' parameter of RobustRegressorCV must be"),
    ({"scale": "iqr"}, "'scale' parameter of RobustRegressorCV must be"),
    ({"scoring": "no_such_score"}, "no_such_score"),
    ({"scoring": "neg_tau_scale"}, "'neg_tau_scale'.*import neg_tau_scale"),
    ({"scoring": tau_scale}, "the metric tau_scale.*scoring=neg_tau_scale"),
    ({"cv": GroupKFold(3)}, r"groups=groups.*enable_metadata_routing=True"),
    ({"cv": 1}, "'cv' parameter of RobustRegressorCV must be"),
]


@pytest.mark.parametrize(
    ("params", "message"), REFUSED, ids=[message for _, message in REFUSED]
)
def test_what_is_refused(params, message):
    X, y, _ = data()
    with pytest.raises(ValueError, match=message):
        RobustRegressorCV(**params).fit(X, y)


def test_a_fold_without_weight_is_named():
    X, y, _ = data()
    weight = np.ones(90)
    weight[:18] = 0
    with pytest.raises(ValueError, match="test rows of fold 0 all have weight 0"):
        RobustRegressorCV(alphas=ALPHAS).fit(X, y, weight)


def test_groups_without_routing_are_refused():
    X, y, _ = data()
    with pytest.raises(ValueError, match=r"\['groups'\].*enable_metadata_routing"):
        RobustRegressorCV(alphas=ALPHAS).fit(X, y, groups=np.arange(90))


def test_collections_are_refused_with_a_way_out():
    da = pytest.importorskip("dask.array")
    X, y, _ = data()
    with pytest.raises(ValueError, match=r"Choose by a sample.*best_params_"):
        RobustRegressorCV().fit(da.from_array(X), da.from_array(y))


def test_fits_that_do_not_converge_are_counted_once():
    X, y, _ = data()
    model = RobustRegressorCV("log_cosh", alphas=ALPHAS, max_iter=1, scale=2.0)
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(X, y)
    ours = [str(w.message) for w in caught if "RobustRegressorCV" in str(w.message)]
    assert len(ours) == 1
    assert "of 10 fits of folds" in ours[0]


@pytest.mark.parametrize("alphas", [5, [0.1]])
def test_strengths_without_a_penalty_have_no_effect(alphas):
    X, y, _ = data()
    model = RobustRegressorCV(penalty=[None], alphas=alphas, cv=2, scale=2.0)
    with pytest.warns(NoEffectWarning, match=r"alphas=\[?[05].*no effect") as caught:
        model.fit(X, y)
    assert [warning.filename for warning in caught] == [__file__]


def test_a_refused_fit_leaves_the_last_one():
    X, y, _ = data()
    model = RobustRegressorCV(alphas=ALPHAS).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((90, 7), np.nan), y)
    assert vars(model) == before


def test_no_warning_on_ordinary_data():
    X, y, _ = data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RobustRegressorCV(["l2", "l1", "smooth_l1"], alphas=5).fit(X, y)
        # An alpha of 0 is a candidate like any other.
        RobustRegressorCV(alphas=[0.0]).fit(X, y)
        RobustRegressorCV(penalty=None).fit(X, y)
