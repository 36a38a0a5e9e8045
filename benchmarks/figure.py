"""How all figures are drawn and written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

# Ordered by lightness for growing γ, so that the order survives greyscale print and every kind of
# colour vision.
GAMMA_COLOURS = {0.0: "#111111", 0.5: "#56269a", 1.0: "#b5367a", 2.0: "#f1605d", 5.0: "#f9a13f"}

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
    """Draw in the style above and write a PNG of 200 dots per inch, on the Agg canvas without any
    window."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(STYLE):
        draw().savefig(path, dpi=200, facecolor="white")
    print(f"wrote {path}")
