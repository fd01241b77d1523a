"""What callbacks of scikit-learn are told of each estimator, and how they stop it."""

import pickle
import warnings
from collections import Counter

import dask.array
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from robustreg import (
    L1Regressor,
    MMRegressor,
    QuantilesRegressor,
    RobustRegressor,
    RobustRegressorCV,
    SmoothL1Regressor,
)
from robustreg.estimators import arrays
from robustreg.partitions import Drawing
from robustreg.validation import Callbacks, watched

# Of each estimator the steps that it tells of, below its own fit.
ESTIMATORS = {
    RobustRegressor(): {"pass"},
    SmoothL1Regressor(): {"pass"},
    L1Regressor(): {"pass"},
    MMRegressor(n_subsets=20): {"subsets", "pass"},
    QuantilesRegressor(): {"quantiles together"},
    QuantilesRegressor(penalty="l2", alpha=0.1): {"pass"},
    RobustRegressorCV(alphas=2, cv=2, scale=1.0): {
        "choose",
        "fold",
        "candidate",
        "fit",
        "pass",
    },
}
every_estimator = pytest.mark.parametrize(
    "estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__
)


class Recorder:
    """Takes note of all hooks, and asks to stop from one task's end on."""

    def __init__(self, most=np.inf):
        self.calls, self.ended, self._most = [], [], most

    def setup(self, estimator, context):
        self.calls.append(("setup", context.task_name))

    def teardown(self, estimator, context):
        self.calls.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.calls.append(("begin", id(context)))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None):
        self.calls.append(("end", id(context)))
        self.ended.append(context)
        return len(self.ended) >= self._most

    @property
    def names(self):
        return [context.task_name for context in self.ended]


class Propagated(Recorder):
    """One that estimators inside of others are told of, too."""

    max_propagation_depth = None


def make_data(n=60, p=3):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(n, p))
    return X, X.sum(axis=1) + 0.3 * rng.standard_t(2, size=n) + 2


@every_estimator
def test_tasks_begin_and_end_and_change_nothing(estimator):
    X, y = make_data()
    recorder = Propagated()
    model = clone(estimator).set_callbacks(recorder).fit(X, y)
    assert_array_equal(model.coef_, clone(estimator).fit(X, y).coef_)
    assert recorder.calls[0] == ("setup", "fit")
    assert recorder.calls[-1] == ("teardown", "fit")
    began, ended = (
        Counter(which for hook, which in recorder.calls if hook == name)
        for name in ("begin", "end")
    )
    assert began == ended
    assert recorder.names[-1] == "fit" and recorder.ended[-1].parent is None
    assert set(recorder.names[:-1]) == ESTIMATORS[estimator]


@every_estimator
def test_a_clone_has_the_callbacks_and_a_pickle_predicts(estimator):
    X, y = make_data()
    recorder = Recorder()
    model = clone(clone(estimator).set_callbacks(recorder)).fit(X, y)
    assert recorder.names
    again = pickle.loads(pickle.dumps(model.set_callbacks()))
    assert_array_equal(again.predict(X), model.predict(X))
    recorder.ended.clear()
    model.fit(X, y)
    assert not recorder.ended


@every_estimator
def test_a_search_of_a_pipeline_tells_of_all_below(estimator):
    X, y = make_data()
    recorder = Propagated()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), clone(estimator)), {}, cv=2, refit=False
    )
    search.set_callbacks(recorder).fit(X, y)
    inner = [c for c in recorder.ended if c.estimator_name == type(estimator).__name__]
    fits = [context for context in inner if context.task_name == "fit"]
    assert {context.source_estimator_name for context in fits} == {"Pipeline"}
    assert len(fits) == 2 and set(recorder.names) >= ESTIMATORS[estimator]
    for context in fits:
        path = []
        while context is not None:
            path.append(context.estimator_name)
            context = context.parent
        assert path[1:] == ["Pipeline", "GridSearchCV", "GridSearchCV"]


@pytest.mark.parametrize(
    "estimator",
    [
        RobustRegressor(),
        L1Regressor(),
        RobustRegressor("tukey"),
        MMRegressor(n_subsets=20),
        QuantilesRegressor(penalty="l2", alpha=0.1),
    ],
    ids=repr,
)
def test_a_stop_keeps_the_best_fit_and_warns_once(estimator):
    X, y = make_data()
    recorder = Recorder(3)
    with pytest.warns(ConvergenceWarning, match="callback") as caught:
        estimator.set_callbacks(recorder).fit(X, y)
    assert len(caught) == 1 and caught[0].filename == __file__
    # The fit ends, and each other target of it where it starts.
    assert len(recorder.names) <= 3 + 3
    assert np.isfinite(estimator.predict(X)).all()


def test_a_stop_at_the_last_step_is_none():
    X, y = make_data()
    recorder = Recorder()
    model = SmoothL1Regressor().set_callbacks(recorder).fit(X, y)
    coef, steps = model.coef_, len(recorder.names) - 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_callbacks(Recorder(steps)).fit(X, y)
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-6)


def test_scores_of_passes_are_those_of_fits_that_end_there():
    X, y = make_data()
    monitor = ScoringMonitor(scoring="r2")
    weight = np.linspace(0.5, 2, len(y))
    model = RobustRegressor().set_callbacks(monitor).fit(X, y, weight)
    log = monitor.get_logs().data_as_pandas
    assert log["r2"].iloc[0] == pytest.approx(model.score(X, y, weight))
    assert log["r2"].iloc[-1] == pytest.approx(log["r2"].iloc[0], abs=1e-6)
    assert log["r2"].iloc[1] < log["r2"].iloc[-1]
    stops = Recorder(4)
    with pytest.warns(ConvergenceWarning):
        model.set_callbacks(stops).fit(X, y, weight)
    assert log["r2"].iloc[4] == pytest.approx(model.score(X, y, weight))


def test_hooks_are_given_the_data_of_the_fit():
    class Data(Recorder):
        def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None):
            given.append((X, y, metadata))

    X, y = make_data()
    frame, weight, given = pd.DataFrame(X), np.ones(len(y)), []
    model = RobustRegressor().set_callbacks(Data()).fit(frame, y, weight)
    assert all(each[0] is frame and each[1] is y for each in given)
    assert all(each[2]["sample_weight"] is weight for each in given)
    given.clear()
    model.fit(frame, y)
    assert {each[2] for each in given} == {None}


def test_candidates_of_folds_are_counted_once():
    X, y = make_data()
    recorder = Propagated()
    losses, beta = ["l2", "smooth_l1", "l1"], [1.0, 2.0]
    model = RobustRegressorCV(losses, beta=beta, alphas=3, scale=1.0, cv=2)
    model.set_callbacks(recorder).fit(X, y)
    names = Counter(recorder.names)
    # The fits of losses without a breakpoint are those of any.
    assert names["candidate"] == 2 * 3 * (1 + 2 + 1)
    assert (names["choose"], names["fold"], names["fit"]) == (1, 2, 2)
    folds = [context for context in recorder.ended if context.task_name == "fold"]
    assert {fold.max_subtasks for fold in folds} == {3 * 4}


def test_a_fold_is_told_of_in_another_process_without_its_data():
    X, y = make_data(n=10_000)
    model, size = RobustRegressorCV().set_callbacks(ScoringMonitor(scoring="r2")), []
    # The end of a fit asks for predictions.
    model.coef_, model.intercept_, model.n_features_in_ = np.ones(3), 2.0, 3

    with watched(model, X, y, None) as callbacks:
        fold = callbacks.level("choose", 1).level("fold", 2)
        size.append(len(pickle.dumps(fold)))
        assert isinstance(pickle.loads(pickle.dumps(fold)), Callbacks)
        assert [fold.step("candidate") for _ in range(3)] == [False] * 3
    assert size[0] < 10_000


def test_a_fit_that_fails_is_torn_down_and_leaves_no_trace():
    X, y = make_data()
    recorder = Recorder()
    model = RobustRegressor().set_callbacks(recorder)
    before = set(vars(model))
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X, np.full(len(y), np.nan))
    assert recorder.calls[-1] == ("teardown", "fit")
    assert set(vars(model)) == before


@pytest.mark.filterwarnings("ignore:.* alpha=0.01 has no effect")
def test_scikit_learns_own_checks_with_a_callback():
    check_estimator(SmoothL1Regressor().set_callbacks(Recorder()), on_skip=None)


@pytest.mark.parametrize(
    "estimator",
    [RobustRegressor(), L1Regressor(scale="mad"), MMRegressor(n_subsets=20)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_passes_over_partitions_have_the_names_of_the_dashboard(estimator, monkeypatch):
    monkeypatch.setattr(arrays, "DRAWING", Drawing(most_rows=500, worthwhile=1.0))
    X, y = (dask.array.from_array(each, chunks=1_000) for each in make_data(n=2_000))
    recorder = Recorder()
    model = estimator.set_callbacks(recorder).fit(X, y)
    *passes, last = recorder.names
    assert last == "fit" and len(passes) == model.n_iter_
    assert [name.partition(":")[0] for name in passes] == [
        f"pass {k + 1}" for k in range(len(passes))
    ]
    assert passes[0] == "pass 1: sample"
    with pytest.warns(ConvergenceWarning, match="callback"):
        model.set_callbacks(Recorder(2)).fit(X, y)
    # What a kinked fit gathers and checks takes two more.
    assert model.n_iter_ <= 4
    assert np.isfinite(model.scale_) and np.abs(model.coef_ - 1).max() < 0.1
