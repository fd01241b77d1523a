"""Sphinx configuration; builds without a network."""

from robustreg import __version__

project = "robustreg"
author = "the robustreg developers"
copyright = "2026, the robustreg developers"
release = __version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
# A single backtick in a docstring names an object.
default_role = "py:obj"
autodoc_typehints = "none"
numpydoc_show_class_members = False
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"robustreg {release}"
