"""The reliability diagrams: how often it happened, against how often it was said to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..style import GAMMA_COLOURS
from .metrics import events, reliability

if TYPE_CHECKING:
    from .report import Found, Row

# γ = 3 has the colour of 5: the line of the largest γ.
COLOURS = {
    "cross entropy": GAMMA_COLOURS[0.0],
    "focal, γ = 1": GAMMA_COLOURS[1.0],
    "focal, γ = 2": GAMMA_COLOURS[2.0],
    "focal, γ = 3": GAMMA_COLOURS[5.0],
    "FLSD-53": "#0072b2",
}
# A bin with fewer events of all seeds is noise.
FEWEST = 30
