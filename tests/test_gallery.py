"""Programs of the gallery run, draw, are short, and assert what they say."""

import runpy
from pathlib import Path

import matplotlib as mpl
import pytest

GALLERY = Path(__file__).parents[1] / "examples" / "gallery"
MOST_LINES = 60


@pytest.fixture
def drawn(monkeypatch):
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.extend(plt.get_fignums()))
    yield shown
    plt.close("all")


@pytest.mark.parametrize(
    "file", sorted(GALLERY.glob("plot_*.py")), ids=lambda f: f.stem
)
def test_a_program_of_the_gallery(file, drawn):
    assert len(file.read_text("utf-8").splitlines()) <= MOST_LINES
    runpy.run_path(str(file), run_name="__main__")
    assert drawn
