"""Cases of benchmarks: what is measured again, what is kept, what tables say of it."""

import importlib
import json
import math
import re
import time

import harness
import pytest
import robustness_picture
from sklearn.datasets import load_diabetes

from robustreg import RobustRegressor

PROGRAMS = sorted(
    file.stem
    for file in harness.HERE.glob("*.py")
    if "BENCHMARK = " in file.read_text("utf-8")
)


class Toy:
    """A benchmark of two cases, which counts, in files that a test may change."""

    def __init__(self, folder, monkeypatch):
        self.package = folder / "package" / "fit.py"
        self.program = folder / "programs" / "toy.py"
        self.measured, self.obstacle, self.text = [], {}, ""
        monkeypatch.setattr(harness, "PACKAGE", self.package.parent)
        monkeypatch.setattr(harness, "RESULTS", folder / "results")
        harness.write(self.package, "one = 1\n")
        harness.write(
            self.program, "import beside\n\ndef draw():\n    import picture\n"
        )
        harness.write(self.program.with_name("beside.py"), "two = 2\n")

    def measure(self, case):
        self.measured.append(case)
        self.obstacle.get(case, lambda: None)()
        return [{"case": case, "figure": len(self.measured) / 8}]

    def assemble(self, head, records):
        self.text = head + "\n" + harness.markdown(harness.table_rows(records))

    def run(self, *arguments, peers=()):
        """Return the exit status, and what was measured."""
        self.measured.clear()
        cases = ["small", "large", "large, sparse"]
        benchmark = harness.Benchmark(
            str(self.program), cases, self.measure, self.assemble, peers
        )
        return benchmark.main(arguments), list(self.measured)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    return Toy(tmp_path, monkeypatch)


def stop():
    raise KeyboardInterrupt


def fail():
    raise ValueError("no fit")


def lack():
    raise ModuleNotFoundError("a peer is missing")


ALL = ["small", "large", "large, sparse"]


def test_what_is_measured_is_not_measured_again(toy):
    assert toy.run() == (0, ALL)
    assert toy.run() == (0, [])
    assert "3 of 3 cases measured at" in toy.text
    assert "stale" not in toy.text


def test_only_and_all_measure_again(toy):
    toy.run()
    assert toy.run("--only", "large") == (0, ["large"])
    assert toy.run("--only", "sparse", "small") == (0, ["small", "large, sparse"])
    assert toy.run("--only", "l") == (0, ALL)
    assert toy.run("--all") == (0, ALL)
    assert toy.run("--tables") == (0, [])


def test_an_unknown_name_is_refused(toy, capsys):
    with pytest.raises(SystemExit):
        toy.run("--only", "tiny")
    said = capsys.readouterr().err
    assert "--only must be" in said
    assert "small; large; large, sparse. Got 'tiny'" in said


@pytest.mark.parametrize("changed", ["package", "program", "beside"])
def test_a_change_of_the_code_makes_cases_stale(toy, changed):
    toy.run()
    folder = toy.program.parent
    files = {"package": toy.package, "program": toy.program}
    file = files.get(changed, folder / "beside.py")
    harness.write(file, file.read_text("utf-8") + "changed = True\n")
    toy.run("--tables")
    assert "3 of 3 cases are *stale*" in toy.text
    toy.run("--only", "small")
    assert "| small |" in toy.text
    assert "| large, stale |" in toy.text
    assert "| large, sparse, stale |" in toy.text
    assert toy.run("--stale") == (0, ["large", "large, sparse"])
    assert "stale" not in toy.text


def test_a_change_of_comments_does_not(toy):
    code = "def f():\n    {}\n    return 1\n"
    harness.write(toy.package, code.format('"""Say one."""'))
    toy.run()
    docs = '"""Return one.\n\n    It says so.\n    """'
    harness.write(toy.package, "# Why.\n\n" + code.format(docs) + "    # Why not.\n")
    assert toy.run() == (0, [])
    harness.write(toy.package, "1\n" + code.format(docs))
    assert toy.run() == (0, ALL)


def test_a_change_of_what_only_draws_does_not(toy):
    harness.write(toy.program.with_name("picture.py"), "colour = 1\n")
    toy.run()
    harness.write(toy.program.with_name("picture.py"), "colour = 2\n")
    assert toy.run() == (0, [])


def test_a_file_that_is_moved_in_the_package_makes_cases_stale(toy):
    toy.run()
    toy.package.rename(toy.package.with_name("other.py"))
    assert toy.run() == (0, ALL)


def test_a_case_that_is_interrupted_leaves_the_others(toy, capsys):
    toy.obstacle["large"] = stop
    assert toy.run() == (130, ["small", "large"])
    assert "are kept" in capsys.readouterr().out
    kept = [file.name for file in harness.RESULTS.rglob("*") if file.is_file()]
    assert kept == ["small.json"]
    assert "Not measured yet: large; large, sparse." in toy.text
    toy.obstacle.clear()
    assert toy.run() == (0, ["large", "large, sparse"])


def test_a_case_that_is_interrupted_again_keeps_what_it_had(toy):
    toy.run()
    file = harness.RESULTS / "toy" / "large.json"
    before = file.read_text("utf-8")
    toy.obstacle["large"] = stop
    assert toy.run("--all") == (130, ["small", "large"])
    assert file.read_text("utf-8") == before


def test_a_case_that_fails_leaves_the_others(toy, capsys):
    toy.obstacle["large"] = fail
    assert toy.run() == (1, ALL)
    assert "no fit" in capsys.readouterr().err
    assert toy.run() == (1, ["large"])


def test_a_case_whose_peer_is_missing_is_no_failure(toy, capsys):
    toy.obstacle["large"] = lack
    assert toy.run() == (0, ALL)
    assert "not measured here: a peer is missing" in capsys.readouterr().out
    assert "Not measured yet: large." in toy.text


def test_code_that_changes_meanwhile_is_measured_again(toy, capsys):
    toy.obstacle["small"] = lambda: harness.write(toy.package, "one = 2\n")
    status, _ = toy.run("--only", "small")
    assert status == 1
    assert "changed meanwhile" in capsys.readouterr().out
    assert not harness.RESULTS.exists()


def test_a_peer_that_is_installed_since_makes_cases_stale(toy, monkeypatch, capsys):
    monkeypatch.setattr(harness, "installed", {"numpy": "2"}.get)
    toy.run(peers=["R: peer"])
    assert "R: peer is missing: install R, and in it" in capsys.readouterr().out
    assert "without robustreg, scipy, scikit-learn, R: peer." in toy.text
    assert toy.run(peers=["R: peer"]) == (0, [])
    monkeypatch.setattr(harness, "installed", {"numpy": "2", "R: peer": "1"}.get)
    assert toy.run(peers=["R: peer"]) == (0, ALL)


def test_a_file_that_is_no_record_is_named(toy):
    toy.run()
    harness.write("toy/large.json", "<<<<<<<\n")
    with pytest.raises(SystemExit, match=r"large\.json must be the record of a case"):
        toy.run()


def test_figures_are_kept_to_the_last_digit():
    rows = [{"ratio": 1 / 3, "gap": float("nan"), "fits": None}, {"ratio": 0.1}]
    kept = json.loads(harness.as_json({"case": "a", "rows": rows}))["rows"]
    assert str(kept) == str(rows)


def test_where_all_rows_were_measured_is_no_column():
    rows = [
        {"fit": name, "rows": 10**6, "note": "", harness.MARK: "1234567, stale"}
        for name in ("l1", "l2")
    ]
    head = "| fit | rows |\n| --- | --- |\n"
    table = f"{head}| l1 | 1,000,000 |\n| l2 | 1,000,000 |\n"
    assert harness.markdown(rows) == f"{table}\nMeasured at: 1234567, stale.\n"
    rows[0][harness.MARK] = "1234567"
    table = f"{head}| l1 | 1,000,000 |\n| l2, stale | 1,000,000 |\n"
    assert harness.markdown(rows) == f"{table}\nMeasured at: 1234567.\n"
    rows[0][harness.MARK] = "7654321"
    assert harness.MARK in harness.markdown(rows)


def test_make_bench_runs_every_program():
    makefile = (harness.HERE.parent / "Makefile").read_text("utf-8")
    named = re.search(r"^BENCHMARKS :=((?:.*\\\n)*.*)", makefile, re.MULTILINE)[1]
    named = named.replace("\\\n", "")
    assert sorted(named.split()) == PROGRAMS


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_tables_are_those_of_the_records(program, tmp_path, monkeypatch):
    module = importlib.import_module(program)
    for drawing in (module, robustness_picture):
        monkeypatch.setattr(drawing, "draw", lambda *_, **__: None, raising=False)
    benchmark = module.BENCHMARK
    records = benchmark.records()
    files = {benchmark.file(case).name.lower() for case in benchmark.cases}
    assert len(files) == len(benchmark.cases)
    assert {f.name.lower() for f in (harness.RESULTS / program).iterdir()} <= files

    monkeypatch.setattr(harness, "RESULTS", tmp_path / "results")
    benchmark.assemble(benchmark.head(records), records[:-1])
    benchmark.assemble(benchmark.head(records), records)
    written = list(harness.RESULTS.glob("*.md"))
    assert written
    for page in written:
        committed = harness.HERE / "results" / page.name
        # What is stale is as of the last time that tables were written.
        figures, expected = (
            f.read_text("utf-8").replace(", stale", "").partition("\n\n")[2]
            for f in (page, committed)
        )
        assert figures == expected


def test_the_goals_of_a_choice_are_counted_by_each_measure(monkeypatch):
    """Its median error is 3 % worse than that of anybody, its mean error 6 %."""
    report = importlib.import_module("robustness_report")
    monkeypatch.setattr(harness, "write_csv", lambda *_: None)
    others = {report.SHARPER, report.HUBER, *report.ALONE}
    cells = [("toy", "none", 0.0), ("toy", "y", 0.1), ("toy", "X", 0.1)]

    def every(median, mean):
        row = {"median": median, "mean": mean, "distance": 1.0}
        return dict.fromkeys(cells, row)

    figures = dict.fromkeys(others, every(1.0, 1.0)) | {
        report.CHOSEN: every(1.03, 1.06)
    }
    text = "\n".join(report.goals(figures))
    goals = [line for line in text.splitlines() if f"Goal: `{report.CHOSEN}`" in line]
    found = [re.findall(r"\d+ of \d+", goal) for goal in goals]
    assert found == [["0 of 3", "0 of 3", "2 of 2"], ["2 of 2", "0 of 2", "1 of 1"]]
    assert "meets the goal of `HuberRegressor` in 3 of 3 cells by the median" in text
    assert f"| `{report.CHOSEN}` | 1.030 | 1.060 |" in text


def test_a_contender_is_timed_with_its_passes():
    cases, targets = (importlib.import_module(name) for name in ("cases", "targets"))
    X, y = load_diabetes(return_X_y=True)
    model = RobustRegressor()
    cost = targets.Cost()
    passed = targets.timed(
        cost, cases.Contender(lambda: model.fit(X, y)), time.process_time
    )
    assert not cost.error
    assert 0.0 < passed < math.inf
    assert cost.passes >= 1.0
