"""The floors of this repository: which folder may import which.

python -m parity_tests.tests.project.floors --out docs/floors.svg    draws what they import
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from html import escape
from pathlib import Path

from .imports import MODULES, imported

PACKAGES = ("focal_jax", "focal_torch")
TRUTH = "parity_tests.truth"
CONTRACT = "parity_tests.contract"
PORTS = "parity_tests.ports"
LAYERS = "parity_tests.checker.layers"
DIAGNOSIS = "parity_tests.checker.diagnosis"
REPORT = "parity_tests.checker.report"
AUDIT = "parity_tests.checker.audit"
TABLES = "parity_tests.tables"
WRONG_PORTS = "parity_tests.wrong_ports"
CHECKER = (LAYERS, DIAGNOSIS)
BELOW_THE_CHECKER = (TRUTH, CONTRACT, PORTS)
# Each floor, and those above it in this list that it may import. The longest name that fits is a
# module's floor.
FLOORS: dict[str, tuple[str, ...]] = {
    "focal_jax._base": (),
    "focal_jax._core": ("focal_jax._base",),
    "focal_jax": ("focal_jax._base", "focal_jax._core"),
    "focal_torch._base": (),
    "focal_torch._core": ("focal_torch._base",),
    "focal_torch": ("focal_torch._base", "focal_torch._core"),
    TABLES: (),
    TRUTH: (),
    CONTRACT: (TRUTH,),
    PORTS: (*PACKAGES, CONTRACT),
    LAYERS: BELOW_THE_CHECKER,
    DIAGNOSIS: (*BELOW_THE_CHECKER, LAYERS),
    REPORT: (*BELOW_THE_CHECKER, LAYERS),
    AUDIT: (*BELOW_THE_CHECKER, LAYERS, DIAGNOSIS, TABLES),
    "parity_tests.checker.sweep": (*BELOW_THE_CHECKER, TABLES),
    "parity_tests.checker": (PORTS, LAYERS, DIAGNOSIS, REPORT),
    WRONG_PORTS: (TRUTH, CONTRACT),
    "parity_tests.lies": (*PACKAGES, CONTRACT, PORTS, LAYERS),
    "parity_tests.mutants": (CONTRACT, PORTS, LAYERS, TABLES),
    "parity_tests.versions": (*PACKAGES, "focal_torch._base", CONTRACT, TABLES),
    "parity_tests.pages": (CONTRACT, PORTS, *CHECKER, AUDIT, TABLES, WRONG_PORTS),
    "benchmarks": (*PACKAGES, CONTRACT, PORTS, AUDIT),
    "examples": (*PACKAGES, CONTRACT, "benchmarks"),
}


def floor(module: str) -> str:
    fitting = [name for name in FLOORS if f"{module}.".startswith(f"{name}.")]
    return max(fitting, key=len, default=module)


def imports_going_up(module: str, source: str) -> list[str]:
    """What a module imports that it may not."""
    own = floor(module)
    allowed = (own, *FLOORS[own])
    return [name for name in imported(module, source) if floor(name) not in allowed]


def edges() -> dict[str, set[str]]:
    """The other floors that each floor imports."""
    below: dict[str, set[str]] = {name: set() for name in FLOORS}
    for module, path in MODULES.items():
        own = floor(module)
        if own in FLOORS:
            others = {floor(name) for name in imported(module, path.read_text())}
            below[own] |= others - {own}
    return below


def levels(below: dict[str, set[str]]) -> dict[str, int]:
    """How many floors stand below each, one on the other. FLOORS has those below first."""
    level: dict[str, int] = {}
    for name in FLOORS:
        level[name] = 1 + max((level[other] for other in below[name]), default=-1)
    return level


def direct(below: dict[str, set[str]], name: str) -> set[str]:
    """What a floor imports, but for what one of those imports too."""
    through = {x for other in below[name] for x in reachable(below, other)}
    return below[name] - through


def reachable(below: dict[str, set[str]], name: str) -> set[str]:
    others = set(below[name])
    for other in below[name]:
        others |= reachable(below, other)
    return others


# Sizes in pixels.
BOX_WIDTH, BOX_HEIGHT, GAP, ROW = 150, 30, 22, 84


def drawing() -> str:
    """An SVG: a box for each floor, and a line to each floor below that it imports."""
    below = edges()
    level = levels(below)
    top = max(level.values())
    rows: list[list[str]] = [[] for _ in range(top + 1)]
    for name in FLOORS:
        rows[top - level[name]].append(name)
    widest = max(len(row) for row in rows)
    width = widest * (BOX_WIDTH + GAP) + GAP
    places: dict[str, tuple[float, float]] = {}
    for i, row in enumerate(rows):
        start = (width - len(row) * (BOX_WIDTH + GAP) + GAP) / 2
        for k, name in enumerate(row):
            places[name] = (start + k * (BOX_WIDTH + GAP), GAP + i * ROW)
    height = GAP + top * ROW + BOX_HEIGHT + GAP
    lines = [*_lines(below, places), *_boxes(places)]
    return "\n".join([*_opening(width, height), *lines, "</svg>", ""])


def _opening(width: int, height: int) -> list[str]:
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]


def _lines(below: dict[str, set[str]], places: dict[str, tuple[float, float]]) -> Iterator[str]:
    for name, (x, y) in places.items():
        for other in sorted(direct(below, name)):
            to_x, to_y = places[other]
            start = f"M{x + BOX_WIDTH / 2:g} {y + BOX_HEIGHT:g}"
            middle = (y + BOX_HEIGHT + to_y) / 2
            curve = f"C{x + BOX_WIDTH / 2:g} {middle:g} {to_x + BOX_WIDTH / 2:g} {middle:g}"
            end = f"{to_x + BOX_WIDTH / 2:g} {to_y:g}"
            yield f'<path d="{start} {curve} {end}" fill="none" stroke="#8a8f98"/>'


def _boxes(places: dict[str, tuple[float, float]]) -> Iterator[str]:
    for name, (x, y) in places.items():
        color = "#dbe9f6" if name.startswith(PACKAGES) else "#f3ead7"
        size = f'width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="4"'
        yield f'<rect x="{x:g}" y="{y:g}" {size} fill="{color}" stroke="#5b6470"/>'
        label = escape(name.removeprefix("parity_tests."))
        place = f'x="{x + BOX_WIDTH / 2:g}" y="{y + 20:g}"'
        yield f'<text {place} font-size="13" text-anchor="middle">{label}</text>'


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where to write the SVG")
    parser.parse_args().out.write_text(drawing())


if __name__ == "__main__":
    main()
