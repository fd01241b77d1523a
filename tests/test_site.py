"""Pages lead where they say, name what there is, and take what they advise."""

import importlib
import inspect
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

import robustreg

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAPER = DOCS / "paper" / "paper.md"
PAGES = [
    page
    for page in sorted(DOCS.rglob("*.md"))
    if "_build" not in page.parts and page != PAPER
]
GITHUB = ROOT / ".github"
WRITTEN = [README, ROOT / "CHANGELOG.md", *sorted(GITHUB.glob("*.md")), *PAGES]
FENCE = re.compile(r"^(`{3,}).*?^\1$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
PICTURE = re.compile(r'(?:src|srcset)="([^"]*)"|^```\{image\} (\S+)', re.MULTILINE)
SHOWN = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")
# What a page is made of besides its own text.
INCLUDE = re.compile(r"^```\{include\} (\S+)", re.MULTILINE)

every_page = pytest.mark.parametrize(
    "page", WRITTEN, ids=lambda page: page.relative_to(ROOT).as_posix()
)


def text_of(page):
    return page.read_text("utf-8")


def anchors(page):
    """Return the anchors of a page's headings, as GitHub and Sphinx make them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


@every_page
def test_links_and_pictures_lead_somewhere(page):
    text = text_of(page)
    for name, anchor in LINK.findall(FENCE.sub("", text)):
        target = page.parent / name if name else page
        assert target.exists(), name
        assert not anchor or anchor in anchors(target), f"{name}#{anchor}"
    for names in PICTURE.findall(text):
        assert (page.parent / "".join(names)).exists(), names
    for name in INCLUDE.findall(text):
        assert (page.parent / name).exists(), name


@every_page
def test_pictures_are_told_in_words_and_read_on_any_ground(page):
    text = FENCE.sub("", text_of(page))
    for words, name in SHOWN.findall(text):
        assert len(words.split()) > 2, name
        file = page.parent / name
        if file.suffix == ".png":
            assert imread(file)[0, 0, 3] == 0, name
        else:
            ground = text_of(file).partition('id="patch_1"')[2].partition("</g>")[0]
            assert "fill: none" in ground, name


def test_every_page_is_in_the_table_of_contents():
    listed = {DOCS / "index.md"}
    for page in PAGES:
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", text_of(page), re.DOTALL):
            names = [line for line in tree.split() if not line.startswith(":")]
            listed |= {(page.parent / name).with_suffix(".md") for name in names}
    assert set(PAGES) <= listed


def with_pages():
    """Return the public objects that the pages of reference are about, by name."""
    reference = text_of(DOCS / "reference" / "index.md")
    listed = {}
    for part in re.split(r"^\.\. module:: ", reference, flags=re.MULTILINE)[1:]:
        name, _, rest = part.partition("\n")
        module = importlib.import_module(name)
        names = re.findall(r"^   (\w+)$", rest, re.MULTILINE)
        listed |= {f"{name}.{n}": getattr(module, n) for n in names}
    return listed


PUBLIC = with_pages()


def test_pages_of_modules_can_be_linked_to():
    # The anchor of a module that a table follows is lost.
    reference = text_of(DOCS / "reference" / "index.md")
    assert not re.search(r"^\.\. module:: .*\n(?!```$)", reference, re.MULTILINE)


def test_every_public_name_has_a_page():
    for name in ("", ".inference", ".plotting"):
        module = importlib.import_module(f"robustreg{name}")
        names = [n for n in module.__all__ if n[0] != "_"]
        assert {getattr(module, n) for n in names} <= {*PUBLIC.values()}


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_make_pages_that_read_well(name):
    text = inspect.getdoc(PUBLIC[name])
    # A citation has another name on the page that lists all.
    assert "]_" not in text.splitlines()[0]
    assert [code for code in text.split("``")[1::2] if "^" in code] == []


def advised():
    """Return what each row of the table on choosing says to take."""
    table = text_of(DOCS / "choose.md").partition("| your problem |")[2]
    rows = table.partition("\n\n")[0].splitlines()[2:]
    return [row.split(" | ")[1].strip("`") for row in rows]


@pytest.mark.parametrize("advice", sorted({*advised()}))
def test_what_is_advised_fits(advice):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    model = eval(advice, vars(robustreg)).fit(X, X[:, 0] + rng.standard_t(3, size=60))
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("name", [n for n in robustreg.__all__ if "Regressor" in n])
def test_the_repr_links_to_no_page_that_does_not_exist(name):
    html = getattr(robustreg, name)()._repr_html_()
    assert "robustreg" not in "".join(re.findall(r'href="([^"]*)"', html))


def test_what_is_to_be_installed_exists():
    files = [*WRITTEN, *ROOT.glob("robustreg/**/*.py"), *ROOT.glob("examples/*.py")]
    for file in files:
        assert not re.search(r"install ['\"]?robustreg", text_of(file)), file


def test_the_readme_is_short_and_an_index_shows_it_without_files():
    assert len(text_of(README).splitlines()) < 150
    settings = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]["hatch"]
    text = text_of(README)
    for change in settings["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(change["pattern"], change["replacement"], text)
    assert not LINK.findall(text)
    assert not PICTURE.findall(text)


# Where seconds of a peer, and ours beside them, were measured.
HUBER = "comparison/Huber-200-000-x-50-seconds"
MEASURED = {
    "`HuberRegressor`": (HUBER, "`HuberRegressor` ", "`RobustRegressor` "),
    "`QuantileRegressor`": (
        "comparison/median-10-000-x-10-seconds",
        "`QuantileRegressor` ",
        "`L1Regressor` ",
    ),
    "`RLM`": (HUBER, "`RLM` ", "`RobustRegressor` "),
    "`lmrob`": ("breakdown/100-000-x-20", '"lmrob, s": ', '"MMRegressor, s": '),
}


@pytest.mark.parametrize("page", [README, PAPER], ids=lambda page: page.name)
@pytest.mark.parametrize("peer", MEASURED)
def test_seconds_that_are_quoted_are_near_those_measured(peer, page):
    rows = [x for x in text_of(page).splitlines() if x.startswith("|")]
    line = next(row for row in rows if peer in row)
    said = [float(s) for s in line.rstrip("| ").rpartition("|")[2].split(" and ")]
    file, *keys = MEASURED[peer]
    record = text_of(ROOT / "benchmarks" / "results" / f"{file}.json")
    found = [float(re.search(re.escape(key) + r"([\d.]+)", record)[1]) for key in keys]
    # Machines differ by more than a digit tells.
    assert np.all(np.abs(np.log2(np.divide(said, found))) < 1)


def test_the_paper_cites_what_its_bibliography_has():
    cited = re.findall(r"[\[ ]@(\w+)", text_of(PAPER))
    entries = re.findall(r"^@\w+\{(\w+),", text_of(PAPER.with_suffix(".bib")), re.M)
    assert sorted({*cited}) == sorted(entries)


def test_there_is_one_version():
    citation = re.search(r"^version: (.*)$", text_of(ROOT / "CITATION.cff"), re.M)
    newest = re.search(r"^## \[(.*)\]", text_of(ROOT / "CHANGELOG.md"), re.M)
    assert citation[1] == newest[1] == robustreg.__version__


def test_what_is_to_be_made_is_in_the_makefile():
    targets = re.findall(r"^([\w-]+):", text_of(ROOT / "Makefile"), re.M)
    hooks = ROOT / ".pre-commit-config.yaml"
    for page in [*WRITTEN, hooks, *GITHUB.rglob("*.yml")]:
        names = re.findall(r"(?:`|^|entry: )make ([a-z][\w-]*)", text_of(page), re.M)
        assert {*names} <= {*targets}, page


def test_a_workflow_runs_the_one_command_and_the_tests_on_the_newest_python():
    workflow = text_of(GITHUB / "workflows" / "tests.yml")
    assert re.findall(r"run: (.*)", workflow) == [".ci/run", "make test"]
    newest = re.findall(r"Python :: (3\.\d+)", text_of(ROOT / "pyproject.toml"))[-1]
    assert re.findall(r'python-version: "(.*)"', workflow) == ["3.11", newest]
