"""Each cell of a table knows the head of its column, and whether it is short.

On a telephone a row of a wide table is a card, and the style sheet writes that head in
front of the cell. Short cells, such as figures, stay in one line.
"""

from __future__ import annotations

from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

# Letters of a short cell.
SHORT = 12


def head_of(entry: nodes.entry) -> str:
    """Return the head of a cell's column, "" of a head and where there is none."""
    row = entry.parent
    group = row.parent.parent
    heads = [part for part in group if isinstance(part, nodes.thead)]
    if row.parent in heads or not heads:
        return ""
    cells = heads[0][0]
    place = row.index(entry)
    return cells[place].astext() if place < len(cells) else ""


def visit(self: HTML5Translator, node: nodes.entry) -> None:
    """Start a cell, with its head as an attribute."""
    text = node.astext()
    if len(text) <= SHORT:
        node["classes"].append("short" if text else "blank")
    HTML5Translator.visit_entry(self, node)
    if head := head_of(node):
        start = self.body[-1].replace("<td", f'<td data-head="{escape(head)}"', 1)
        self.body[-1] = start


def depart(self: HTML5Translator, node: nodes.entry) -> None:
    """End a cell."""
    HTML5Translator.depart_entry(self, node)


def setup(app: Sphinx) -> dict[str, Any]:
    """Take this for cells of tables."""
    app.add_node(nodes.entry, override=True, html=(visit, depart))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
