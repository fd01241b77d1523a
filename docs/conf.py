"""Sphinx configuration; builds without a network."""

import sys
from pathlib import Path

from robustreg import __version__

for folder in ("extensions", "pictures"):
    sys.path.append(str(Path(__file__).parent / folder))

project = "robustreg"
author = "the robustreg developers"
copyright = "2026, the robustreg developers"
release = __version__

extensions = [
    "cards",
    "gallery_links",
    "mathml",
    "myst_parser",
    "numpydoc",
    "short_names",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
# The paper is in the format of its journal.
exclude_patterns = ["_build", "paper"]
templates_path = ["templates"]

html_math_renderer = "mathml"
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 4
# Their definitions stand below a heading of their own.
myst_footnote_transition = False

# A single backtick in a docstring names an object; every one of ours must be found.
default_role = "py:obj"
nitpicky = True
# Attributes of a fit are no objects, nor are names of losses; the rest is of peers.
OTHERS = (
    "BaseEstimator DataFrame GridSearchCV KFold LassoCV LinearRegression QuantReg "
    "RLM l1 mean_absolute_error median_absolute_error quantile r2_score summary.rlm "
    "summary.rq talwar"
)
nitpick_ignore_regex = [
    ("py:.*", r"(dask|joblib|matplotlib|numpy|pandas|scipy|sklearn|statsmodels)\..*"),
    ("py:obj", r"\w+_"),
    ("py:obj", r"(robustreg\.losses\.)?LOSSES|robustreg\.metrics\.neg_\w+"),
    ("py:obj", "|".join(OTHERS.split())),
]
autodoc_typehints = "none"
autosummary_generate = True
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "image_srcset": ["2x"],
    "abort_on_example_error": True,
    "capture_repr": (),
    "download_all_examples": False,
    "min_reported_time": 1e6,
    "reset_modules": ("matplotlib", "gallery_style.reset"),
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "furo"
pygments_dark_style = "monokai"
html_title = f"robustreg {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_favicon = "static/favicon.svg"
html_theme_options = {"navigation_with_keys": True}
