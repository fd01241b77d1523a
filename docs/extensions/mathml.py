"""Formulas as MathML: browsers show it as it is, with no script and no network."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

BAR = "<mo>&#x0007C;</mo>"


def mathml(formula: str, display: str) -> str:
    """Return a formula as MathML, in which bars in pairs stand close to what is in."""
    if "\\\\" in formula and "\\begin" not in formula:
        formula = rf"\begin{{align*}}{formula}\end{{align*}}"
    pieces = convert(formula, display=display).split(BAR)
    bars = [
        f'<mo form="{form}" stretchy="false">|</mo>' for form in ("prefix", "postfix")
    ]
    paired = [piece + bars[i % 2] for i, piece in enumerate(pieces[:-1])]
    return "".join([*paired, pieces[-1]])


def inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula that stands in a line."""
    self.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def displayed(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula that stands by itself, and scrolls where it is too wide."""
    formula = mathml(node.astext(), "block")
    self.body.append(f'<div class="formula">{formula}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Make this the renderer of formulas."""
    app.add_html_math_renderer("mathml", (inline, None), (displayed, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
