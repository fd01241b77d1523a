"""The Python blocks of the pages run, and print what the pages say."""

from importlib.util import find_spec

import pytest
from pages import BLOCK, NEED_CALLBACKS, NEED_TOOLS, ROOT, run_page

PAGES = [
    str(page.relative_to(ROOT))
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "_build" not in page.parts and BLOCK.search(page.read_text(encoding="utf-8"))
]
ELSEWHERE = NEED_TOOLS if find_spec("sklearn.callback") else NEED_TOOLS + NEED_CALLBACKS


# Clusters of other tests have dask's usual port.
@pytest.mark.filterwarnings("ignore:Port .* is already in use")
@pytest.mark.parametrize("page", [page for page in PAGES if page not in ELSEWHERE])
def test_every_block_runs_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    run_page(page)
