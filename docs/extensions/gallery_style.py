"""The gallery draws without a ground, in colours that white and black show."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
from style import BLUE, GREEN, PURPLE, STYLE, VERMILION

# In the places of matplotlib's own, which programs name: C3 is red. Seven with four
# kinds of dashes make 28 lines that differ.
CYCLE = (BLUE, "#E69F00", GREEN, VERMILION, PURPLE, "#56B4E9", "#B8663B")


def reset(conf: dict[str, Any], name: str) -> None:
    """Set the style before each program, after that of the one before is gone."""
    del conf, name
    cycle = mpl.rcsetup.cycler(color=CYCLE)
    mpl.rcParams.update(STYLE)
    mpl.rcParams.update({"axes.prop_cycle": cycle, "savefig.transparent": True})
