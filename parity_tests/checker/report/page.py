"""The report as one HTML file that needs nothing else: for somebody who opens what a build left
behind."""

import base64
import hashlib
import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

Report = dict[str, Any]
Colour = tuple[int, int, int]

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
    "special values": "Infinite and NaN logits, empty and scalar input, types of labels",
    "identities": "Equations and orderings that every focal loss obeys",
    "options": "Weights, masks, reductions and the other optional arguments",
    "shapes": "Shapes that have to be refused, and not broadcast",
    "dtypes": "The loss in the other floating-point types",
}


def render(report: Report) -> str:
    """The page of a report that is plain data."""
    rows = [_row(row) for row in report["rows"]]
    figures = _figures(report["maps"]) if report.get("maps") else []
    summary = {"failing": [row["layer"] for row in rows if row["status"] == "FAIL"]}
    summary |= {key: f"{sum(row[key] for row in rows):,}" for key in ("count", "wrong")}
    legend = [(pretty(x), 100 * _share(x)) for x in LEGEND]
    template = _environment().get_template("page.html.jinja")
    return template.render(
        report=report,
        rows=rows,
        figures=figures,
        summary=summary,
        legend=legend,
        palette=_palette(),
    )


def _environment() -> Environment:
    """Everything of a report is escaped: titles and messages of errors are not ours."""
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.lstrip_blocks = True
    environment.policies["json.dumps_kwargs"] = {
        "allow_nan": False,
        "ensure_ascii": False,
        "separators": (",", ":"),
    }
    environment.filters |= {"digest": digest, "pretty": pretty, "margin": margin}
    return environment


def digest(script: str) -> str:
    """By which the page allows its own script, and no other."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def pretty(number: float | str | None) -> str:
    """Three digits, as one would write them."""
    if number is None:
        return "—"
    if not math.isfinite(x := float(number)):
        return "NaN" if math.isnan(x) else "∞"
    if x == 0 or 1e-3 <= abs(x) < 1e4:
        return f"{x:.3g}" if abs(x) < 1000 else f"{x:.0f}"
    mantissa, exponent = f"{x:.2e}".split("e")
    power = "10" + str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    mantissa = mantissa.rstrip("0").rstrip(".")
    return power if mantissa == "1" else f"{mantissa}·{power}"


def margin(x: float) -> str:
    return f"{x:g}".replace("-", "−")


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """One layer as it is shown."""
    size = _size(row)
    point = ", ".join(f"{name} = {x}" for name, x in (row["point"] or {}).items())
    values = [("got", row["got"]), ("truth", row["truth"])] if size["limit"] or row["wrong"] else []
    facts = [(name, x) for name, x in [("at", point), *values] if x]
    return row | size | {"about": LAYERS.get(row["layer"], ""), "facts": facts}


def _size(row: dict[str, Any]) -> dict[str, Any]:
    """The worst error in words. What can only be right or wrong has none to speak of."""
    if row["error"] is None or row["allowed"] is None:
        return {"error": "—", "limit": "", "share": 0.0, "numbers": "—"}
    error, allowed, numbers = (
        float(row["error"]),
        float(row["allowed"]),
        f"{row['wrong']:,} of {row['count']:,}",
    )
    if not allowed:
        return {
            "error": "wrong" if row["wrong"] else "right",
            "limit": "",
            "share": 0.0,
            "numbers": numbers,
        }
    share = min(error / allowed, 2.0)
    return {
        "error": pretty(error),
        "limit": pretty(allowed),
        "share": round(share, 4),
        "numbers": numbers,
    }


def _palette() -> list[tuple[str, str]]:
    return [(_colour(LIGHT, i / (STEPS - 1)), _colour(DARK, i / (STEPS - 1))) for i in range(STEPS)]


def _colour(stops: tuple[str, ...], share: float) -> str:
    """Between the stops, each channel by itself."""
    place = share * (len(stops) - 1)
    left = min(int(place), len(stops) - 2)
    ends = [[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in stops[left : left + 2]]
    mixed = [round(a + (b - a) * (place - left)) for a, b in zip(*ends, strict=True)]
    return "#" + "".join(f"{x:02x}" for x in mixed)


def _share(error: float) -> float:
    """Where an error stands between the lowest and the highest that are told apart."""
    share = math.log(max(error, LOWEST) / LOWEST) / math.log(HIGHEST / LOWEST)
    return min(share, 1.0)


def _figures(maps: dict[str, Any]) -> list[dict[str, Any]]:
    sides = [side for side in ("port", "reference") if maps[side]]
    drawn = {
        order: [_drawing(maps[side], side, order) for side in sides]
        for order in ("value", "gradient")
    }
    return [
        {
            "order": order,
            "maps": each,
            "silent": any("none" in one.get("paths", ()) for one in each),
        }
        for order, each in drawn.items()
    ]


def _drawing(of: dict[str, Any], side: str, order: str) -> dict[str, Any]:
    """The cells of one map, those of one colour as one path, in units of cells; γ grows upwards."""
    drawing = {"side": side, "title": of["title"], "layer": of[order]}
    if not of[order]:
        return drawing
    cells = [
        (row, column, x)
        for row, line in enumerate(of[order]["error"])
        for column, x in enumerate(line)
    ]
    top, allowed = len(of[order]["error"]) - 1, of[order]["allowed"]
    paths: dict[str, str] = {}
    for row, column, x in cells:
        paths[_kind(x)] = paths.get(_kind(x), "") + f"M{column} {top - row}h1v1h-1z"
    wrong = {(column, top - row) for row, column, x in cells if _excess(x, allowed[row]) > 1}
    worst = max(cells, key=lambda cell: _excess(cell[2], allowed[cell[0]]))
    return drawing | {
        "paths": paths,
        "strokes": {kind: _strokes(kind, paths.get(kind, "")) for kind in ("nan", "inf")},
        "outline": _outline(wrong),
        "worst": worst,
        "says": _says(cells, len(wrong), worst[2]),
    }


def _kind(x: float | str | None) -> str:
    if x is None:
        return "none"
    return x if isinstance(x, str) else f"h{round((STEPS - 1) * _share(x))}"


def _excess(x: float | str | None, allowed: float) -> float:
    if x is None:
        return -1.0
    return math.inf if isinstance(x, str) else x / allowed


def _strokes(kind: str, path: str) -> str:
    """NaN is struck through once, infinity twice: marks that do not need colours."""
    return path.replace("h1v1h-1z", "m0 1l1-1" if kind == "nan" else "m0 1l1-1m-1 0l1 1")


def _outline(cells: set[tuple[int, int]]) -> str:
    """The border between these cells and all others."""
    sides = {
        (0, -1): "M{x} {y}h1",
        (0, 1): "M{x} {y1}h1",
        (-1, 0): "M{x} {y}v1",
        (1, 0): "M{x1} {y}v1",
    }
    return "".join(
        line.format(x=x, y=y, x1=x + 1, y1=y + 1)
        for x, y in sorted(cells)
        for (right, down), line in sides.items()
        if (x + right, y + down) not in cells
    )


def _says(cells: list[tuple[int, int, Any]], wrong: int, worst: float | str | None) -> str:
    """The map in words."""
    asked = sum(x is not None for _, _, x in cells)
    if not asked:
        return "no answer at any point"
    if not wrong:
        return f"all {asked} points within what is allowed"
    nans = sum(x == "nan" for _, _, x in cells)
    said = f"{wrong} of {asked} points beyond what is allowed"
    return said + (f", {nans} of them NaN" if nans else "")
