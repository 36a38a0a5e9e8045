"""The report as one HTML file that needs nothing else: for somebody who opens what a build left
behind."""

import base64
import hashlib
import math
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

Report = dict[str, Any]

# The colours of an error: 18 steps in its logarithm. Lightness only falls (or only rises, on a dark
# page), and what is wrong stands out from the page, so that neither colour vision nor a black and
# white printer matters.
LOWEST, HIGHEST, STEPS = 0.25, 1e8, 18
LIGHT = ("#efebdf", "#f5d8a0", "#f0a860", "#d9604c", "#982a68", "#2b0a45")
DARK = ("#262a31", "#3f2f63", "#7f3379", "#c94c60", "#f29b55", "#fdf1bb")
LEGEND = (0.25, 10.0, 100.0, 1e4, 1e6, 1e8)

LAYERS = {
    "names": "Arguments of the contract that the port takes",
    "values": "The loss for hard targets: every γ, and both tails",
    "soft targets": "Loss and gradient for targets between 0 and 1, or class probabilities",
    "gradients": "The derivative in the logits, at the points of the values",
    "second order": "The derivative of the derivative, along one direction",
    "special values": "Infinite and NaN logits, empty and scalar input, nothing kept",
    "identities": "Equations and orderings that every focal loss obeys",
    "options": "Weights, masks, reductions and the other optional arguments",
    "backward": "Derivatives through cotangents, masks, weights and reductions",
    "kernel and bias": "Gradients in features, kernel and bias of a linear layer",
    "arguments": "Gradients in γ, α, weight and soft targets",
    "transformations": "Gradients that are compiled, mapped over rows, and in forward mode",
    "neighbours": "The same elements in other batches, in other orders, and again",
    "shapes": "Shapes that have to be refused, and not broadcast",
    "dtypes": "Loss and gradient in the other floating-point types",
}
NO_SIZE = {"limit": "", "share": 0.0}
# The data of the maps: compact, and without NaN, which JSON does not have.
JSON_FORM = {"allow_nan": False, "ensure_ascii": False, "separators": (",", ":")}
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# The strokes of a cell that is crossed out, from its upper left corner: once, and twice.
STROKES = {"nan": "m0 1l1-1", "inf": "m0 1l1-1m-1 0l1 1"}
# The neighbours of a cell, right and down, and the side between.
SIDES = {(0, -1): "M{x} {y}h1", (0, 1): "M{x} {y1}h1", (-1, 0): "M{x} {y}v1", (1, 0): "M{x1} {y}v1"}


class Cell(NamedTuple):
    """One cell of a map, whose rows are counted from the top, with its error beside what is
    allowed."""

    row: int
    column: int
    error: float | str | None
    allowed: float

    @property
    def excess(self) -> float:
        """How many times what is allowed; less than any error where there is no answer."""
        if self.error is None:
            return -1.0
        if isinstance(self.error, str):
            return math.inf
        return self.error / self.allowed

    @property
    def kind(self) -> str:
        """The class of the cell in the style sheet."""
        if self.error is None:
            return "none"
        if isinstance(self.error, str):
            return self.error
        return f"h{round((STEPS - 1) * _share(self.error))}"


def render(report: Report) -> str:
    """The page of a report that is plain data."""
    rows = [_row(row) for row in report["rows"]]
    legend = [(pretty(x), 100 * _share(x)) for x in LEGEND]
    template = _environment().get_template("page.html.jinja")
    return template.render(
        report=report,
        rows=rows,
        figures=_figures(report.get("maps")),
        summary=_summary(rows),
        legend=legend,
        palette=_palette(),
    )


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    summary["failing"] = [row["layer"] for row in rows if row["status"] == "FAIL"]
    for key in ("count", "wrong"):
        total = sum(row[key] for row in rows)
        summary[key] = f"{total:,}"
    return summary


def _environment() -> Environment:
    """Everything of a report is escaped: titles and messages of errors are not ours."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = JSON_FORM
    environment.filters |= {"digest": digest, "pretty": pretty, "margin": margin}
    return environment


def digest(script: str) -> str:
    """By which the page allows its own script, and no other."""
    hashed = hashlib.sha256(script.encode()).digest()
    return base64.b64encode(hashed).decode()


def pretty(number: float | str | None) -> str:
    """Three digits, as one would write them."""
    if number is None:
        return "—"
    x = float(number)
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "∞"
    if x == 0 or 1e-3 <= abs(x) < 1000:
        return f"{x:.3g}"
    if 1000 <= abs(x) < 1e4:
        return f"{x:.0f}"
    mantissa, exponent = f"{x:.2e}".split("e")
    power = "10" + str(int(exponent)).translate(RAISED)
    mantissa = mantissa.rstrip("0").rstrip(".")
    return power if mantissa == "1" else f"{mantissa}·{power}"


def margin(x: float) -> str:
    return f"{x:g}".replace("-", "−")


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """One layer as it is shown."""
    size = _size(row)
    point = row["point"] or {}
    facts = {"at": ", ".join(f"{name} = {x}" for name, x in point.items())}
    if size["limit"] or row["wrong"]:
        facts |= {"got": row["got"], "truth": row["truth"]}
    known = [(name, x) for name, x in facts.items() if x]
    return row | size | {"about": LAYERS.get(row["layer"], ""), "facts": known}


def _size(row: dict[str, Any]) -> dict[str, Any]:
    """The worst error in words. What can only be right or wrong has none to speak of."""
    if row["error"] is None or row["allowed"] is None:
        return NO_SIZE | {"error": "—", "numbers": "—"}
    error, allowed = float(row["error"]), float(row["allowed"])
    size = {"numbers": f"{row['wrong']:,} of {row['count']:,}"}
    if not allowed:
        return NO_SIZE | size | {"error": "wrong" if row["wrong"] else "right"}
    share = round(min(error / allowed, 2.0), 4)
    return size | {"error": pretty(error), "limit": pretty(allowed), "share": share}


def _palette() -> list[tuple[str, str]]:
    """Each step on a light page and on a dark one."""
    shares = [i / (STEPS - 1) for i in range(STEPS)]
    return [(_colour(LIGHT, share), _colour(DARK, share)) for share in shares]


def _colour(stops: tuple[str, ...], share: float) -> str:
    """Between the stops, each channel by itself."""
    place = share * (len(stops) - 1)
    left = min(int(place), len(stops) - 2)
    channels = []
    for a, b in zip(_channels(stops[left]), _channels(stops[left + 1]), strict=True):
        mixed = round(a + (b - a) * (place - left))
        channels.append(f"{mixed:02x}")
    return "#" + "".join(channels)


def _channels(colour: str) -> bytes:
    """Red, green and blue."""
    return bytes.fromhex(colour.removeprefix("#"))


def _share(error: float) -> float:
    """Where an error stands between the lowest and the highest that are told apart."""
    above_lowest = math.log(max(error, LOWEST) / LOWEST)
    return min(above_lowest / math.log(HIGHEST / LOWEST), 1.0)


def _figures(maps: dict[str, Any] | None) -> list[dict[str, Any]]:
    """For each order of derivatives the map of the port, and that of the reference if there is
    one."""
    if not maps:
        return []
    figures = []
    sides = [side for side in ("port", "reference") if maps[side]]
    for order in ("value", "gradient"):
        drawings = [_drawing(maps[side], side, order) for side in sides]
        silent = any("none" in drawing.get("paths", ()) for drawing in drawings)
        figures.append({"order": order, "maps": drawings, "silent": silent})
    return figures


def _drawing(shown: dict[str, Any], side: str, order: str) -> dict[str, Any]:
    """The cells of one map, those of one colour as one path, in units of cells; γ grows upwards."""
    layer = shown[order]
    drawing = {"side": side, "title": shown["title"], "layer": layer}
    if not layer:
        return drawing
    cells = _cells(layer)
    top = len(layer["error"]) - 1
    paths: dict[str, str] = defaultdict(str)
    for cell in cells:
        paths[cell.kind] += f"M{cell.column} {top - cell.row}h1v1h-1z"
    wrong = {(cell.column, top - cell.row) for cell in cells if cell.excess > 1}
    worst = max(cells, key=lambda cell: cell.excess)
    return drawing | {
        "paths": dict(paths),
        "strokes": {kind: _strokes(kind, paths.get(kind, "")) for kind in STROKES},
        "outline": _outline(wrong),
        "worst": worst,
        "says": _in_words(cells, len(wrong)),
    }


def _cells(layer: dict[str, Any]) -> list[Cell]:
    cells = []
    for row, errors in enumerate(layer["error"]):
        allowed = layer["allowed"][row]
        cells += [Cell(row, column, error, allowed) for column, error in enumerate(errors)]
    return cells


def _strokes(kind: str, path: str) -> str:
    """NaN is struck through once, infinity twice: marks that do not need colours."""
    return path.replace("h1v1h-1z", STROKES[kind])


def _outline(cells: set[tuple[int, int]]) -> str:
    """The border between these cells and all others."""
    lines = []
    for x, y in sorted(cells):
        for (right, down), line in SIDES.items():
            if (x + right, y + down) not in cells:
                lines.append(line.format(x=x, y=y, x1=x + 1, y1=y + 1))
    return "".join(lines)


def _in_words(cells: list[Cell], wrong: int) -> str:
    """The map in words."""
    answers = [cell.error for cell in cells if cell.error is not None]
    if not answers:
        return "no answer at any point"
    if not wrong:
        return f"all {len(answers)} points within what is allowed"
    message = f"{wrong} of {len(answers)} points beyond what is allowed"
    nans = answers.count("nan")
    return f"{message}, {nans} of them NaN" if nans else message
