"""Links to programs of the gallery lead to their pages.

Pages name the program, `../examples/gallery/plot_losses.py`, which is there wherever
the repository is read; the page that is made of it is there on the site alone.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

PROGRAM = re.compile(r"\]\(((?:\.\./)*)\.\./examples/gallery/(\w+)\.py\)")


def to_pages(app: Sphinx, name: str, source: list[str]) -> None:
    """Put the page in the place of its program in the links of a text."""
    source[0] = PROGRAM.sub(r"](\1gallery/\2.rst)", source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Read each page with its links changed."""
    app.connect("source-read", to_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
