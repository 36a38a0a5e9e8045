"""How figures are drawn and written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.grid": True,
    "axes.xmargin": 0.0,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 12,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "legend.framealpha": 1.0,
    "legend.edgecolor": "none",
}


def save_figure(draw: Callable[[], Figure], path: Path) -> None:
    """Draw in the style above and write a PNG of 200 dots per inch, on the Agg canvas without any window."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(STYLE):
        draw().savefig(path, dpi=200, facecolor="white")
    print(f"wrote {path}")
