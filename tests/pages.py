"""The Python blocks of a page: they run in order, and print what the page says."""

import contextlib
import io
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
# A block of code and, if one follows at once, the block of text that it prints.
BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n^```text\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
# Pages whose packages are too large for `make test`; `make tools` runs them.
NEED_TOOLS = ["docs/deployment.md"]
# Pages of what scikit-learn has from 1.9 on.
NEED_CALLBACKS = ["docs/learn/progress.md"]


def run_page(page):
    """Run the blocks of a page, whose path is relative to the root."""
    text = (ROOT / page).read_text(encoding="utf-8")
    namespace: dict[str, object] = {"__name__": "__main__"}
    blocks = list(BLOCK.finditer(text))
    assert blocks
    for block in blocks:
        # Leading newlines make the line numbers of a traceback those of the page.
        above = "\n" * text.count("\n", 0, block.start("code"))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(above + block["code"], page, "exec"), namespace)
        if block["output"] is not None:
            assert printed.getvalue() == block["output"], block["code"]
