"""Links for names in docstrings that leave out the module, such as `MMRegressor`."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def link(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element
) -> nodes.Element | None:
    """Return a link to the one object that ends in the name, None if there is none."""
    if node["refdomain"] != "py":
        return None
    python = env.domains.python_domain
    name = f".{node['reftarget']}"
    found = [
        full
        for full, entry in python.objects.items()
        if full.endswith(name) and not entry.aliased
    ]
    if len(found) != 1:
        return None
    return python.resolve_xref(
        env, node["refdoc"], app.builder, "obj", found[0], node, content
    )


def setup(app: Sphinx) -> dict[str, Any]:
    """Ask this where Sphinx finds no object."""
    app.connect("missing-reference", link)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
