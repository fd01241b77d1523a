"""What the pages on pictures and on outliers draw, by their own blocks.

python docs/pictures/displays.py
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
from style import STYLE

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.append(str(ROOT / "tests"))

from pages import run_page  # noqa: E402

PAGES = ("docs/learn/pictures.md", "docs/learn/outliers.md")
SHARP = {"figure.dpi": 100, "savefig.dpi": 160, "savefig.transparent": True}


def main() -> None:
    """Run the pages, and keep the pictures that they show."""
    for page in PAGES:
        text = (ROOT / page).read_text("utf-8")
        with tempfile.TemporaryDirectory() as room, contextlib.chdir(room):
            with mpl.rc_context(STYLE | SHARP):
                run_page(page)
            for file in Path().glob("*.png"):
                if f"pictures/{file.name})" in text:
                    (HERE / file.name).write_bytes(file.read_bytes())


if __name__ == "__main__":
    mpl.use("Agg")
    main()
