"""The Python blocks of the pages run, and print what the pages say."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A block of code and, if one follows at once, the block of text that it prints.
BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n^```text\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)


PAGES = [
    str(page.relative_to(ROOT))
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "_build" not in page.parts and BLOCK.search(page.read_text(encoding="utf-8"))
]


# Clusters of other tests have dask's usual port.
@pytest.mark.filterwarnings("ignore:Port .* is already in use")
@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    text = (ROOT / page).read_text(encoding="utf-8")
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        # Leading newlines make the line numbers of a traceback those of the page.
        above = "\n" * text.count("\n", 0, block.start("code"))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(above + block["code"], page, "exec"), namespace)
        if block["output"] is not None:
            assert printed.getvalue() == block["output"], block["code"]
