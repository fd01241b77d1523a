"""The shape of the package: who imports whom, and how large and how plain it is."""

import ast
import dataclasses
import importlib
import inspect
import re
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import robustreg

ROOT = Path(robustreg.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
TEXTS = {path: path.read_text(encoding="utf-8") for path in FILES}
TREES = {path: ast.parse(text) for path, text in TEXTS.items()}
NODES = {path: list(ast.walk(tree)) for path, tree in TREES.items()}

# What imports are called in the table of rooms.
IMPORTED_AS = {
    "scikit-learn": "sklearn",
    "matplotlib where it draws": "matplotlib",
    "pandas in one file": "pandas",
    "dask in three files": "dask",
    "distributed in one file": "distributed",
}


def table_of_rooms():
    """Return, of each room, the rooms and the libraries it imports, bottom up."""
    page = Path(__file__).parents[1] / "docs" / "architecture.md"
    table = page.read_text("utf-8").partition("| room |")[2].partition("\n\n")[0]
    found = {}
    for line in table.splitlines()[2:]:
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rooms, libraries = (
            {IMPORTED_AS.get(word, word) for word in cell.split(", ")} - {"nothing"}
            for cell in cells[:2]
        )
        found[name.strip("`/")] = rooms, libraries
    return found


ROOMS = {**table_of_rooms(), "__init__": ({"choosing", "estimators", "paths"}, set())}
# Words that belong to some rooms only.
HOMES = {
    "fit_intercept": {
        "rows",
        "partitions",
        "validation",
        "estimators",
        "paths",
        "inference",
        "choosing",
    },
    "issparse": {"rows", "partitions", "validation"},
    "sample_weight": {
        "partitions",
        "validation",
        "estimators",
        "paths",
        "inference",
        "metrics",
        "choosing",
        "plotting",
    },
    "coef_": {"estimators", "inference", "choosing", "plotting"},
    "import warnings": {
        "validation",
        "estimators",
        "paths",
        "inference",
        "leverage",
        "choosing",
        "plotting",
    },
    "matplotlib.pyplot": {"plotting"},
}
# Libraries that an extra installs, and the files that import each.
OPTIONAL = {
    "dask": {f"partitions/dask_{name}.py" for name in ("arrays", "engine", "tasks")},
    "distributed": {"partitions/dask_engine.py"},
    "matplotlib": {"plotting/drawing.py"},
    "pandas": {
        f"inference/{name}.py" for name in ("prediction", "table", "targets", "wald")
    },
}
LONGEST_FUNCTION, LONGEST_FILE = 50, 400


def room_of(path):
    """Return the first part of a module's name below the package."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def nodes(path, *kinds):
    """Return all nodes of some kinds in a file, nested ones too."""
    return [node for node in NODES[path] if isinstance(node, kinds)]


@cache
def imports(path):
    """Return the full names of all that a file imports, wherever it does so."""
    names = [a.name for node in nodes(path, ast.Import) for a in node.names]
    for node in nodes(path, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno} of {path} is a relative import"
        names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def classes():
    """Return every class that the package defines."""
    found = []
    for path in FILES:
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
        members = inspect.getmembers(module, inspect.isclass)
        found += [cls for _, cls in members if cls.__module__ == module.__name__]
    return found


CLASSES = classes()


def test_rooms_only_look_down():
    below = set()
    for room, (allowed, _) in ROOMS.items():
        assert allowed <= below, room
        below.add(room)
    assert {room_of(path) for path in FILES} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_the_page_says(room):
    rooms, libraries = set(), set()
    for path in FILES:
        for name in imports(path) if room_of(path) == room else []:
            library, _, rest = name.partition(".")
            if library == "robustreg":
                rooms.add(rest.split(".")[0])
            else:
                libraries.add(library)
    expected, allowed = ROOMS[room]
    assert rooms - {room} == expected
    assert libraries - set(sys.stdlib_module_names) == allowed


def test_private_names_of_other_libraries_are_imported_by_validation_only():
    for path in FILES:
        if room_of(path) == "validation":
            continue
        for name in imports(path):
            library, *parts = name.split(".")
            private = any(part.startswith("_") for part in parts)
            assert not private or library == "__future__", (path, name)


def private_names(room):
    """Return the private names that a room gives to members."""
    names = set()
    for path in FILES:
        if room_of(path) != room:
            continue
        kinds = (ast.FunctionDef, ast.Assign, ast.AnnAssign)
        for node in nodes(path, *kinds):
            if isinstance(node, ast.FunctionDef):
                names.add(node.name)
                continue
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            inner = [n for target in targets for n in ast.walk(target)]
            names |= {n.attr for n in inner if isinstance(n, ast.Attribute)}
            names |= {n.id for n in inner if isinstance(n, ast.Name)}
    return {name for name in names if name.startswith("_")}


@pytest.mark.parametrize("room", sorted({*ROOMS} - {"validation"}))
def test_private_members_are_used_in_the_room_that_has_them(room):
    own = private_names(room)
    for path in FILES:
        for node in nodes(path, ast.Attribute) if room_of(path) == room else []:
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            assert not private or node.attr in own, (path.name, node.lineno)


@pytest.mark.parametrize("library", OPTIONAL)
def test_optional_libraries_are_imported_where_they_are_needed(library):
    users = {
        path.relative_to(ROOT).as_posix()
        for path in FILES
        if library in {name.partition(".")[0] for name in imports(path)}
    }
    assert users == OPTIONAL[library]


@pytest.mark.parametrize("word", HOMES)
def test_words_live_in_the_rooms_that_are_named_for_them(word):
    users = {room_of(path) for path in FILES if word in TEXTS[path]}
    assert users == HOMES[word]


def test_facts_are_asked_for_instead_of_types():
    plain = {"objective", "certificate", "solvers", "linalg", "rows"}
    for path in FILES:
        unwanted = {"hasattr", "print", "eval", "exec"}
        if room_of(path) in plain:
            unwanted |= {"isinstance", "issubclass", "type", "getattr"}
        called = [call.func for call in nodes(path, ast.Call)]
        names = [(f.id, f.lineno) for f in called if isinstance(f, ast.Name)]
        assert not [name for name in names if name[0] in unwanted], path


REPOSITORY = Path(__file__).parents[1]
PLACES = [
    path
    for room in (ROOT, *(REPOSITORY / name for name in ("tests", "docs", "benchmarks")))
    for path in (room, *room.rglob("*"))
    if path.suffix in ("", ".py", ".md")
]


@cache
def words():
    """Return every word of the code."""
    texts = [path.read_text("utf-8") for path in PLACES if path.suffix == ".py"]
    return set(re.findall(r"\w+", " ".join(texts)))


@pytest.mark.parametrize("page", ["architecture", "algorithms"])
def test_what_the_map_names_exists(page):
    text = (REPOSITORY / "docs" / f"{page}.md").read_text("utf-8")
    places = {path.as_posix() for path in PLACES}
    places |= {path.with_suffix("").as_posix() for path in PLACES}
    for code in re.findall("`([^`\n]+)`", text):
        if re.fullmatch(r"[\w/]+/\w*|\w+\.(py|md)|[\w/]+/\w+\.(py|md)", code):
            found = [
                place for place in places if place.endswith("/" + code.rstrip("/"))
            ]
            assert found, code
        else:
            names = set(re.findall(r"[A-Za-z_]\w+", code))
            assert names <= words(), code


def length_of(function):
    """Return the number of lines of a function without its docstring."""
    length = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is None:
        return length
    docstring = function.body[0]
    return length - (docstring.end_lineno - docstring.lineno + 1)


def test_size():
    for path in FILES:
        assert len(TEXTS[path].splitlines()) <= LONGEST_FILE, path
        for function in nodes(path, ast.FunctionDef, ast.AsyncFunctionDef):
            assert length_of(function) <= LONGEST_FUNCTION, (path, function.name)


def is_number(node):
    """Return whether a node is a number that stands in the text."""
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def constants(path):
    """Return the statements at the top of a file that name numbers."""
    found = []
    for node in TREES[path].body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        inner = list(ast.walk(node.value))
        texts = [each for each in inner if isinstance(each, ast.Constant)]
        if all(map(is_number, texts)) and any(map(is_number, texts)):
            found.append(node)
    return found


def test_numbers_have_a_reason():
    for path in FILES:
        lines, last = TEXTS[path].splitlines(), 0
        for node in constants(path):
            # A comment above is that of all that follow without a gap.
            above = lines[node.lineno - 2]
            explained = above.startswith("#") or node.lineno == last + 1
            assert explained, (path, node.lineno)
            last = node.end_lineno


@pytest.mark.parametrize("room", ROOMS)
def test_tolerances_have_a_name(room):
    for path in FILES:
        if room_of(path) != room:
            continue
        for function in nodes(path, ast.FunctionDef):
            inner = [each for line in function.body for each in ast.walk(line)]
            for node in filter(is_number, inner):
                small = isinstance(node.value, float) and 0 < node.value < 1e-2
                assert not small, (path, node.lineno)


def public_names(body):
    """Yield what is public among statements, and in public classes there."""
    for node in body:
        named = isinstance(node, ast.ClassDef | ast.FunctionDef)
        if named and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public_names(node.body)


def test_everything_public_has_a_docstring():
    for path in FILES:
        assert ast.get_docstring(TREES[path]), path
        for node in public_names(TREES[path].body):
            assert ast.get_docstring(node), (path, node.name)


def test_classes_are_abstract_or_final():
    for cls in CLASSES:
        record = dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen
        final = vars(cls).get("__final__", False)
        error = issubclass(cls, Exception)
        protocol = vars(cls).get("_is_protocol", False)
        assert inspect.isabstract(cls) or final or record or error or protocol, cls


def is_implemented(member):
    """Return whether a class's member is a method or property that does something."""
    abstract = getattr(member, "__isabstractmethod__", False)
    return not abstract and (callable(member) or isinstance(member, property))


def test_nothing_implemented_is_overridden():
    for cls in CLASSES:
        for base in cls.__mro__[1:]:
            if base.__module__.partition(".")[0] != "robustreg":
                continue
            for name in vars(cls).keys() & vars(base).keys():
                special = name.startswith("__")
                assert special or not is_implemented(vars(base)[name]), (cls, name)


def frames_to_a_step(model, X, y):
    """Return the most frames of the package from a fit to the step of a solver."""
    most, steps = 0, {"direct_step", "krylov_step", "proximal_step"}

    def count(frame, event, argument):
        nonlocal most
        if event != "call" or frame.f_code.co_name not in steps:
            return
        own = 0
        while frame is not None:
            own += Path(frame.f_code.co_filename).is_relative_to(ROOT)
            frame = frame.f_back
        most = max(most, own)

    sys.setprofile(count)
    try:
        model.fit(X, y)
    finally:
        sys.setprofile(None)
    return most


# Targets at a scale that is given, at one that is estimated, and in the valley of the
# convex fit at its own scale, which starts at that of a sample.
CHAINS = {
    "given": (robustreg.SmoothL1Regressor(), 300, 12),
    "estimated": (robustreg.RobustRegressor(), 300, 14),
    "redescending": (robustreg.RobustRegressor("tukey"), 20_000, 18),
}


@pytest.mark.parametrize("model, n_rows, most", CHAINS.values(), ids=CHAINS)
def test_few_frames_lie_between_a_fit_and_a_step(model, n_rows, most):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n_rows, 5)), rng.standard_t(2, size=n_rows)
    assert 5 < frames_to_a_step(model, X, y) <= most
