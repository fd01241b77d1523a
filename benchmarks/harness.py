"""What the benchmarks share: cases, the files of what they measured, tables.

A benchmark is a program with named cases::

    python benchmarks/targets.py                # cases that are stale or not measured
    python benchmarks/targets.py --only tiny    # some again, by names or parts of them
    python benchmarks/targets.py --all          # all again
    python benchmarks/targets.py --tables       # none: tables and pictures only

Each case is kept in a file of its own as soon as it is measured, whole or not at all. A
case is stale if the package has changed since, or its program with what that imports
from beside it: their lines, but for comments, docstrings and empty ones, are compared
by a hash, whether they are committed or not. It is stale, too, if a peer that was
missing has been installed.
"""

from __future__ import annotations

import argparse
import ast
import csv
import hashlib
import io
import json
import platform
import re
import subprocess
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import robustreg

Row = dict[str, Any]

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PACKAGE = Path(robustreg.__file__).parent
PACKAGES = ("robustreg", "numpy", "scipy", "scikit-learn")
# The column that says where rows were measured, and what stale ones have there, too.
MARK, STALE = "measured at", ", stale"
# So many cases are named one by one where they are not measured.
NAMED = 12


@dataclass(frozen=True)
class Record:
    """What a case measured, and where; without a commit, before these were recorded."""

    case: str
    commit: str | None
    date: str | None
    machine: str
    versions: dict[str, str | None]
    sources: str
    rows: list[Row]
    stale: bool

    @property
    def mark(self) -> str:
        """Where the case was measured, for a cell of a table."""
        return (self.commit or "unrecorded") + (STALE if self.stale else "")

    @property
    def origin(self) -> str:
        """Where and with what the case was measured, in words."""
        when = f"at {self.commit} on {self.date}"
        if self.commit is None:
            when = "before commits were recorded"
        return f"measured {when}: {setting(self.versions, self.machine)}"


@dataclass(frozen=True)
class Benchmark:
    """A program: its cases, how to measure one of them, what to write of all.

    ``assemble`` is given what the tables start with, and the records. ``peers`` are
    packages whose versions are kept beside those of everybody.
    """

    program: str
    cases: Sequence[str]
    measure: Callable[[str], list[Row]]
    assemble: Callable[[str, list[Record]], None]
    peers: Iterable[str] = ()

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Measure what is asked for, write the tables, return the exit status."""
        names = self.asked(arguments)
        for peer in self.peers:
            if not installed(peer):
                print(f"{peer} is missing: {how_to_install(peer)}")
        origin = self.origin() if names else {}
        status = 0
        try:
            for number, case in enumerate(names, 1):
                print(f"{case} ({number} of {len(names)})", flush=True)
                if not self.keep(case, origin):
                    status = 1
        except KeyboardInterrupt:
            print("Stopped. The cases that were measured are kept.")
            status = 130
        self.write_tables()
        return status

    def asked(self, arguments: Sequence[str] | None) -> list[str]:
        """Return the cases that the command line asks for."""
        parser = argparse.ArgumentParser(
            description="Measure the cases that are stale or were never measured, "
            "and write tables and pictures."
        )
        choice = parser.add_mutually_exclusive_group()
        choice.add_argument("--stale", action="store_true", help="as without options")
        choice.add_argument("--all", action="store_true", help="measure all cases")
        choice.add_argument("--tables", action="store_true", help="measure nothing")
        only = "measure cases with these names, or with these in their names"
        choice.add_argument("--only", nargs="+", metavar="NAME", help=only)
        options = parser.parse_args(arguments)
        wanted: set[str] = set(self.cases if options.all else ())
        for name in options.only or ():
            found = self.named(name)
            if not found:
                parser.error(
                    f"--only must be names of cases, or parts of them: "
                    f"{'; '.join(self.cases)}. Got {name!r}."
                )
            wanted.update(found)
        if not (options.all or options.tables or options.only):
            fresh = {record.case for record in self.records() if not record.stale}
            wanted = set(self.cases) - fresh
        return [case for case in self.cases if case in wanted]

    def named(self, name: str) -> list[str]:
        """Return the case of a name; if there is none, those with it in their names."""
        return [name] if name in self.cases else [c for c in self.cases if name in c]

    def origin(self) -> dict[str, Any]:
        """Return what is kept of the code, the day and the machine."""
        return {
            "commit": commit(Path(self.program)),
            "date": date.today().isoformat(),
            "machine": processor(),
            "versions": versions(self.peers),
            "sources": sources(Path(self.program)),
        }

    def keep(self, case: str, origin: dict[str, Any]) -> bool:
        """Measure a case and keep it; return False, and say why, if that failed."""
        try:
            rows = self.measure(case)
        except ModuleNotFoundError as error:
            print(f"  not measured here: {error}")
            return True
        except Exception:
            traceback.print_exc()
            return False
        if sources(Path(self.program)) != origin["sources"]:
            print("  not kept: package or program changed meanwhile. Start again.")
            return False
        for row in rows:
            print("  " + ", ".join(filter(None, map(shown, row.values()))), flush=True)
        write(self.file(case), as_json({"case": case} | origin | {"rows": rows}))
        return True

    def file(self, case: str) -> Path:
        """Return where a case is kept."""
        name = re.sub(r"[^\w.=-]+", "-", case).strip("-")
        return RESULTS / Path(self.program).stem / f"{name}.json"

    def records(self) -> list[Record]:
        """Return what is kept, in the order of the cases."""
        now = sources(Path(self.program))
        files = [self.file(case) for case in self.cases]
        return [read(file, now) for file in files if file.exists()]

    def write_tables(self) -> None:
        """Write the tables and pictures of what is kept."""
        records = self.records()
        if records:
            self.assemble(self.head(records), records)
        else:
            print("No case is measured, so that there are no tables.")

    def head(self, records: Sequence[Record]) -> str:
        """Return what a table starts with: what was measured where, what is stale."""
        origins = [record.origin for record in records]
        lines = [
            f"{origins.count(origin)} of {len(self.cases)} cases {origin}."
            for origin in dict.fromkeys(origins)
        ]
        program = Path(self.program).name
        if stale := sum(record.stale for record in records):
            lines.append(
                f"{stale} of {len(self.cases)} cases are *stale*, as the tables say: "
                "the code has changed since, or a peer has been installed. "
                f"`python benchmarks/{program}` measures them."
            )
        kept = {record.case for record in records}
        if left := [case for case in self.cases if case not in kept]:
            names = "; ".join(left) if len(left) <= NAMED else len(left)
            lines.append(f"Not measured yet: {names}.")
        return "".join(f"- {line}\n" for line in lines)


def read(file: Path, now: str) -> Record:
    """Return the record in a file; it is stale unless the sources are those of now."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        missed = [name for name, found in kept["versions"].items() if found is None]
        stale = kept["sources"] != now or any(map(installed, missed))
        return Record(**kept, stale=stale)
    except (ValueError, KeyError, TypeError) as error:
        raise SystemExit(
            f"{file} must be the record of a case ({type(error).__name__}: {error}). "
            "Delete it, and the case is measured again."
        ) from error


def sources(program: Path) -> str:
    """Return a hash of the package and of a program with what it imports."""
    digest = hashlib.sha256()
    for folder, files in (
        (PACKAGE, PACKAGE.rglob("*.py")),
        (program.parent, needed(program)),
    ):
        for file in sorted(files):
            name = file.relative_to(folder).as_posix()
            digest.update(f"{name}\0{_that_count(file)}\0".encode())
    return digest.hexdigest()


def _that_count(file: Path) -> str:
    """Return the lines of a program that are no comments and no docstrings."""
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    for first, last in _docstrings(text) if file.suffix == ".py" else []:
        lines[first:last] = [""] * (last - first)
    return "\n".join(line for line in lines if line.split("#")[0].strip())


def _docstrings(text: str) -> Iterator[tuple[int, int]]:
    """Give the lines of each docstring of a program."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case (
                ast.Module(body=[ast.Expr(ast.Constant(str())) as doc, *_])
                | ast.ClassDef(body=[ast.Expr(ast.Constant(str())) as doc, *_])
                | ast.FunctionDef(body=[ast.Expr(ast.Constant(str())) as doc, *_])
            ):
                yield doc.lineno - 1, doc.end_lineno or doc.lineno


def needed(program: Path) -> set[Path]:
    """Return a program, what it imports from beside it as it starts, and what R runs.

    This file measures nothing; what makes tables and pictures only is imported later.
    """
    found: set[Path] = set()
    left = [program]
    while left:
        file = left.pop()
        if file in found or file.name == Path(__file__).name or not file.exists():
            continue
        text = file.read_text(encoding="utf-8")
        found |= {file, *(r for r in file.parent.glob("*.R") if r.name in text)}
        left += [file.with_name(f"{name}.py") for name in imported(text)]
    return found


def imported(text: str) -> Iterator[str]:
    """Yield the modules that a program imports as it starts."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def commit(program: Path) -> str:
    """Return the commit of the code, and whether the code is another by now."""
    folder = program.parent
    code = (str(PACKAGE), str(folder / "*.py"), str(folder / "*.R"))
    try:
        head = git(folder, "rev-parse", "--short", "HEAD")
        changed = git(folder, "status", "--porcelain", "--", *code)
    except (OSError, subprocess.CalledProcessError):
        return "an unknown commit"
    return f"{head} with changes" if changed else head


def git(folder: Path, *arguments: str) -> str:
    """Return what git says."""
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def versions(peers: Iterable[str] = ()) -> dict[str, str | None]:
    """Return the versions of everybody, None of who is missing."""
    found = {name: installed(name) for name in (*PACKAGES, *peers)}
    return {"Python": platform.python_version(), **found}


def setting(versions: dict[str, str | None], machine: str) -> str:
    """Return versions and a machine in a line."""
    found = [f"{name} {number}" for name, number in versions.items() if number]
    absent = [name for name, number in versions.items() if number is None]
    without = [f"without {', '.join(absent)}"] if absent else []
    return "; ".join([", ".join([*found, machine]), *without])


def machine() -> str:
    """Return what figures are made with, in a line."""
    return setting(versions(), processor())


def processor() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.machine()


@lru_cache
def installed(package: str) -> str | None:
    """Return the version of a package, of R's after "R: ", None if it is missing."""
    if package == "robustreg":
        return robustreg.__version__  # imported above, perhaps without being installed
    try:
        if not package.startswith("R: "):
            return version(package)
        question = f"cat(as.character(packageVersion('{package[3:]}')))"
        command = ["Rscript", "-e", question]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout
    except (PackageNotFoundError, OSError, subprocess.CalledProcessError):
        return None


def how_to_install(package: str) -> str:
    """Return how to install a package."""
    if package.startswith("R: "):
        return f"install R, and in it install.packages('{package[3:]}')"
    return f"pip install {package}"


def table_rows(records: Iterable[Record]) -> list[Row]:
    """Return the rows of records, each with where it was measured."""
    return [row | {MARK: r.mark} for r in records for row in r.rows]


def marks(rows: Iterable[Row]) -> str:
    """Return where the rows behind one row of a table were measured."""
    return "; ".join(dict.fromkeys(row[MARK] for row in rows))


def markdown(rows: Sequence[Row]) -> str:
    """Return rows as a table in Markdown, without columns in which nothing stands.

    If all rows were measured at one commit, a line below the table says so, and only
    the first cells which of them are stale where some are.
    """
    columns = [c for c in rows[0] if any(shown(row[c]) for row in rows)]
    cells = [[shown(row[c]) for c in columns] for row in rows]
    below = ""
    if MARK in columns and len({row[MARK].removesuffix(STALE) for row in rows}) == 1:
        columns, cells, mark = without_marks(columns, cells)
        below = f"\nMeasured at: {mark}.\n"
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n{below}"


def without_marks(
    columns: list[str], cells: list[list[str]]
) -> tuple[list[str], list[list[str]], str]:
    """Return columns and cells of a table of one commit without it, and its mark."""
    place = columns.index(MARK)
    marks = [line[place] for line in cells]
    kept = [line[:place] + line[place + 1 :] for line in cells]
    if len({*marks}) > 1:
        for line, mark in zip(kept, marks, strict=True):
            line[0] += STALE if mark.endswith(STALE) else ""
    return columns[:place] + columns[place + 1 :], kept, min(marks, key=len)


def shown(cell: Any) -> str:
    """Return a cell of a table as text; figures have three digits."""
    if isinstance(cell, float):
        return "" if cell != cell else f"{cell:.3g}"
    if type(cell) is int:
        return f"{cell:,}"
    return "" if cell is None else str(cell).replace("|", "\\|")


def as_json(record: dict[str, Any]) -> str:
    """Return a record as text, with each row of figures on a line."""
    fields = [f'"{k}": {json.dumps(v)}' for k, v in record.items() if k != "rows"]
    # Figures of NumPy's are numbers to JSON once they are Python's.
    rows = [json.dumps(row, default=lambda x: x.item()) for row in record["rows"]]
    between = ",\n  "
    return f'{{\n {", ".join(fields)},\n "rows": [\n  {between.join(rows)}\n ]\n}}\n'


def write(name: str | Path, text: str) -> None:
    """Write a file among the results, whole or not at all."""
    file = RESULTS / name
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(file)


def write_csv(name: str, rows: Sequence[Row]) -> None:
    """Write rows as a file of comma-separated values among the results."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
        )
    write(name, text.getvalue())
