"""What dask collections are refused for, by the name of partition and column."""

import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from robustreg import RobustRegressor, robust_path
from robustreg.inference import coef_table
from robustreg.plotting import outlier_category

N = 2_000
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 4))
Y = X @ [1.0, -0.5, 0.0, 0.2] + RNG.standard_t(2, N)
FEATURES = da.from_array(X, chunks=(300, 2))
TARGET = da.from_array(Y, chunks=500)
NAMES = ["age", "dose", "sex", "site"]
ROWS = pd.DataFrame(X, columns=NAMES).assign(y=Y)
FRAME = dd.from_pandas(ROWS, npartitions=7)


@pytest.fixture(autouse=True)
def threads():
    with dask.config.set(scheduler="threads", num_workers=2):
        yield


def with_bad(values, place, bad=np.nan):
    """Return a copy with a bad value."""
    values = np.array(values)
    values[place] = bad
    return values


def refused(message, *given, model=None):
    """Assert that a fit is refused."""
    model = RobustRegressor() if model is None else model
    with pytest.raises(ValueError, match=message):
        model.fit(*given)
    assert "coef_" not in vars(model)
    assert "n_features_in_" not in vars(model)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_features_that_are_not_finite(bad, container):
    given = da.from_array(with_bad(X, (1_550, 2), bad), chunks=(300, 4))
    given = given.map_blocks(container)
    message = r"partition 5 holds NaN or infinity in column '2', first in its row 50"
    refused(message, given, TARGET)
    model = RobustRegressor().fit(X, Y)
    for made in (model.predict(given), model.outlier_score(given, Y)):
        with pytest.raises(ValueError, match=message):
            made.compute()
    with pytest.raises(ValueError, match=message):
        model.score(given, Y)


def test_values_that_are_masked():
    masked = da.ma.masked_greater(FEATURES, X[:, 2].max() - 1e-9)
    refused("holds NaN or infinity in column", masked, TARGET)
    largest = Y.max() - 1e-9
    refused("y must be finite", FEATURES, da.ma.masked_greater(TARGET, largest))
    model = RobustRegressor(tol=1e-16).fit(da.ma.masked_greater(FEATURES, 1e9), Y)
    expected = RobustRegressor(tol=1e-16).fit(X, Y)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-8)


@pytest.mark.parametrize("name", ["y", "sample_weight"])
def test_masked_values_in_memory_beside_a_collection(name):
    data = {"X": X, "y": Y, "sample_weight": np.ones(N)}
    model = RobustRegressor().fit(**data)
    data["X"] = FEATURES
    data[name] = np.ma.masked_array(data[name], np.arange(N) == 7)
    message = rf"{name} is a masked array with 1 masked value.* {name}.filled"
    refused(message, *data.values())
    of_targets = [model.outlier_score] if name == "y" else []
    calls = [lambda *given: coef_table(model, *given), model.score, *of_targets]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call(*list(data.values())[: 2 if call in of_targets else 3])


def test_the_name_of_the_column_is_told():
    frame = dd.from_pandas(ROWS.assign(dose=with_bad(ROWS["dose"], 1_550)), 7)
    message = "partition 5 holds NaN or infinity in column 'dose'"
    refused(message, frame[NAMES], frame["y"])
    model = RobustRegressor().fit(FRAME[NAMES], FRAME["y"])
    with pytest.raises(ValueError, match=message):
        model.predict(frame[NAMES]).compute()


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_targets_that_are_not_finite(bad):
    given = da.from_array(with_bad(Y, 1_700, bad), chunks=300)
    message = "y must be finite, but partition 5 .* row 200"
    refused(message, FEATURES, given)
    refused(message, FEATURES, with_bad(Y, 1_700, bad))
    model = RobustRegressor().fit(X, Y)
    with pytest.raises(ValueError, match=message):
        model.outlier_score(FEATURES, given).compute()
    with pytest.raises(ValueError, match=message):
        model.score(FEATURES, given)


@pytest.mark.parametrize("of", ["fit", "score"])
def test_weights(of):
    model = RobustRegressor().fit(X, Y)
    method = getattr(model, of)
    for bad, message in (
        (with_bad(np.ones(N), 1_700, -1.0), "negative, but in partition 5 it is -1"),
        (with_bad(np.ones(N), 1_700), "sample_weight must be finite, but partition 5"),
        (np.zeros(N), "weights are all zero"),
        (np.ones((N, 2)), "sample_weight must have one dimension"),
        (np.ones(N - 1), "sample_weight must have as many rows as X, which has 2000"),
    ):
        for given in (bad, da.from_array(bad, chunks=100)):
            with pytest.raises(ValueError, match=message):
                method(FEATURES, TARGET, given)


def test_words():
    frame = dd.from_pandas(ROWS.assign(sex="f", site=pd.Categorical(["a"] * N)), 3)
    message = r"X must be numbers. \['sex', 'site'\] are not.* by .*get_dummies"
    refused(message, frame[NAMES], frame["y"])
    refused(r"All columns of y must be numbers. \['sex'\]", FEATURES, frame["sex"])
    words = X.astype(object)
    words[1_550, 1] = "many"
    given = da.from_array(words, chunks=(300, 4))
    refused("Column '1' of X must hold real numbers, but partition 5", given, TARGET)
    refused("y must hold real numbers, but partition 5", FEATURES, words[:, 1])
    for kind in (complex, str):
        refused("X must hold real numbers. Got the", FEATURES.astype(kind), TARGET)
        refused("y must hold real numbers. Got the", FEATURES, TARGET.astype(kind))
        refused("y must hold real numbers. Got the", FEATURES, Y.astype(kind))
    given = FEATURES.map_blocks(np.ndarray.astype, str, dtype=float)
    refused("X must hold real numbers, but partition", given, TARGET)


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
@pytest.mark.parametrize("collected", [True, False])
def test_dates_and_times(zone, collected):
    days = pd.date_range("2020", periods=N, tz=zone)
    rows = ROWS.assign(date=days, time=days - days[0])
    frame = dd.from_pandas(rows, 7) if collected else rows
    ways_out = {
        "date": r"with \({0} - {0}.min\(\)\) / np.timedelta64\(1, 'D'\), which are "
        "days; from those of new rows take the same first one",
        "time": r"with {0} / np.timedelta64\(1, 'D'\), which",
    }
    for kind, way_out in ways_out.items():
        holds = "real numbers, but {0} holds dates or times. Convert it " + way_out
        named = holds.format(rf"X\['{kind}'\]")
        refused(named, frame[["age", kind]], frame["y"])
        refused(holds.format("y"), frame[NAMES], frame[kind])
        # In memory beside whatever X is.
        refused(holds.format("y"), FEATURES, rows[kind])
        refused(holds.format("sample_weight"), frame[NAMES], frame["y"], rows[kind])
        values = rows[kind].dt.tz_localize(None) if kind == "date" else rows[kind]
        given = values.to_numpy()[:, None]
        given = da.from_array(given, chunks=300) if collected else given
        refused(holds.format("X"), given, frame["y"])
        refused(holds.format("y"), FEATURES, given)
        refused(holds.format("y"), FEATURES, given[:, 0])


def test_names():
    twice = FRAME.rename(columns={"dose": "age"})[["age", "sex", "age"]]
    refused("must have different names. More than one is called 'age'", twice, Y)
    model = RobustRegressor()
    some = FRAME[NAMES].rename(columns={"age": 0})
    with pytest.raises(TypeError, match=r"all columns of X or none .* by strings"):
        model.fit(some, FRAME["y"])
    with pytest.raises(TypeError, match=r"all columns of X or none .* by strings"):
        RobustRegressor().fit(X, Y).predict(some)
    model.fit(FRAME[NAMES].rename(columns=dict(zip(NAMES, range(4), strict=True))), Y)
    assert "feature_names_in_" not in vars(model)


@pytest.mark.parametrize("kind", ["Float64", "Int64", "double[pyarrow]"])
def test_types_of_pandas(kind):
    rows = ROWS.assign(age=(ROWS["age"] * 9).round().astype(kind), sex=ROWS["sex"] > 0)
    frame = dd.from_pandas(rows, 7)
    model = RobustRegressor(tol=1e-16).fit(frame[NAMES], frame["y"])
    expected = RobustRegressor(tol=1e-16).fit(rows[NAMES].astype(float), Y)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-8)
    rows.loc[1_550, "age"] = pd.NA
    frame = dd.from_pandas(rows, 7)
    for names in (NAMES, ["age"]):
        message = "partition 5 holds NaN or infinity in column 'age'"
        refused(message, frame[names], frame["y"])
    refused("y must be finite, but partition 5", FRAME[NAMES], frame["age"])


def test_levels_that_are_named_are_the_columns_of_any_rows():
    kinds = {"site": pd.CategoricalDtype(["b", "a", "c"])}
    rows = ROWS.assign(site=np.array(["a", "b", "c"])[np.arange(N) % 3])
    frame = dd.get_dummies(dd.from_pandas(rows, 7).astype(kinds), drop_first=True)
    model = RobustRegressor(tol=1e-16).fit(frame.drop(columns="y"), frame["y"])
    given = pd.get_dummies(rows.astype(kinds), drop_first=True).drop(columns="y")
    expected = RobustRegressor(tol=1e-16).fit(given, Y)
    np.testing.assert_array_equal(model.feature_names_in_, expected.feature_names_in_)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-7)
    few = rows[:1].astype(kinds).drop(columns="y")
    one = model.predict(pd.get_dummies(few, drop_first=True))
    np.testing.assert_allclose(one, expected.predict(given[:1]), rtol=1e-7)


def test_partitions_that_do_not_match():
    by_age, by_dose = FRAME[FRAME["age"] > 1], FRAME[FRAME["dose"] > 1]
    message = r"y must have the same partitions as X, but partition \d has \d+ rows of"
    refused(message, by_age[NAMES], by_dose["y"])
    with pytest.raises(ValueError, match=message):
        model = RobustRegressor().fit(FRAME[NAMES], FRAME["y"])
        model.outlier_score(by_age[NAMES], by_dose["y"]).compute()
    # Twice the rows are not two targets.
    half = FEATURES[: N // 2]
    refused("y must have as many rows as X, which has 1000", half, TARGET)
    every = da.ones(N, chunks=500, dtype=bool)
    refused(message, FEATURES.rechunk((500, 4))[every[:]][:], _doubled())
    few = FRAME.repartition(npartitions=3)
    message = "y must have the same partitions as X, of which there are 7. Got 3"
    refused(message, FRAME[NAMES], few["y"])
    refused("sample_weight must have the same", FRAME[NAMES], FRAME["y"], few["y"] ** 2)
    refused("y must have as many rows as X", FEATURES, Y[:-1])
    refused("y must have as many rows as X", FRAME[NAMES], Y[:-1])


def _doubled():
    """Return a target with unknown chunks, each twice as long as those of 500 rows."""
    twice = da.from_array(np.repeat(Y, 2), chunks=1_000)
    return twice[da.ones(2 * N, chunks=1_000, dtype=bool)]


def test_shapes():
    refused("X must have two dimensions", TARGET, TARGET)
    message = r"X must have two dimensions. .* One column is frame\[\['name'\]\]"
    refused(message, FRAME["age"], FRAME["y"])
    refused("X has no rows", FEATURES[:0], TARGET[:0])
    refused("X has no columns", FEATURES[:, :0], TARGET)
    refused("y must have one dimension or two", FEATURES, np.ones((N, 2, 2)))
    refused("y has no columns", FRAME[NAMES], FRAME[[]])
    refused("y is needed. Got None", FEATURES, None)
    nobody = FRAME[FRAME["age"] > 1e9]
    refused("X has no rows", nobody[NAMES], nobody["y"])


def test_other_collections():
    for given in (db.from_sequence([1, 2]), dask.delayed(X), dask.delayed(Y)):
        refused("X must be a dask array or frame", given, Y)
        refused("y must be a dask array or frame", FEATURES, given)
        refused("sample_weight must be a dask array", FEATURES, TARGET, given)
        frame, target = FRAME[NAMES], FRAME["y"]
        refused("sample_weight must be a dask array", frame, target, given)


def test_solvers_of_data_in_memory():
    model = RobustRegressor(solver="newton")
    refused("solver='newton' does not fit dask collections", FEATURES, Y, model=model)


def test_columns_of_new_rows():
    model = RobustRegressor().fit(FRAME[NAMES], FRAME["y"])
    for call in (
        model.predict,
        lambda new: model.outlier_score(new, Y),
        lambda new: model.score(new, Y),
    ):
        with pytest.raises(ValueError, match="X must have 4 columns"):
            call(FEATURES[:, :3])
        with pytest.raises(ValueError, match="The columns of X must be those of the"):
            call(FRAME[NAMES[::-1]])
    two = np.column_stack([Y, Y])
    model.fit(FEATURES, Y)
    for method in (model.outlier_score, model.score):
        with pytest.raises(ValueError, match="y must have the targets of the fit"):
            method(FEATURES, two)
    model.fit(FEATURES, two)
    with pytest.raises(ValueError, match="y must have the targets of the fit"):
        model.outlier_score(FEATURES, TARGET)


def test_new_rows_with_and_without_names():
    fitted = {
        "with": RobustRegressor().fit(FRAME[NAMES], FRAME["y"]),
        "without": RobustRegressor().fit(FEATURES, TARGET),
    }
    known = "but RobustRegressor was fitted"
    for told, new, message in (
        ("with", FEATURES, f"X does not have valid feature names, {known} with "),
        ("without", FRAME[NAMES], f"X has feature names, {known} without "),
    ):
        model = fitted[told]
        for call in (model.predict, lambda new, model=model: model.score(new, Y)):
            with pytest.warns(UserWarning, match=message) as caught:
                call(new)
            assert len(caught) == 1
        # In the words of scikit-learn.
        with pytest.warns(UserWarning) as known_words:
            model.predict(new.compute())
        assert str(known_words[0].message) == str(caught[0].message)


@pytest.mark.parametrize("name", ["X", "y", "sample_weight"])
def test_what_reads_all_rows_at_once_is_refused_by_name(name):
    data = {"X": X, "y": Y, "sample_weight": np.ones(N)}
    model = RobustRegressor().fit(**data)
    data[name] = da.from_array(data[name], chunks=500)
    message = f"does not take dask collections: pass {name}.compute"
    with pytest.raises(ValueError, match=f"robust_path {message}"):
        robust_path(**data, penalty="l1")
    for options in ({}, {"cov_type": "bootstrap"}) if name != "X" else ():
        with pytest.raises(ValueError, match=f"A table of rows in memory {message}"):
            coef_table(model, **data, **options)
    if name == "X":
        with pytest.raises(ValueError, match=f"robustreg.plotting {message}"):
            outlier_category(model, data["X"], Y)


def test_a_model_of_partitions_has_a_table_of_rows_in_memory():
    model = RobustRegressor(tol=1e-16).fit(FEATURES, TARGET)
    expected = coef_table(RobustRegressor(tol=1e-16).fit(X, Y), X, Y)
    pd.testing.assert_frame_equal(coef_table(model, X, Y), expected)
