"""What the compiled programs do, as a table: one line for each case, one column for each device."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich.console import Console
from rich.measure import Measurement as Width
from rich.table import Table

from . import cases
from .cases import OURS, STRETCH, Case
from .verdict import Measurement

NOTE = (
    "By device: bytes moved, in units of all arguments and all results once. Temporaries: the most of all devices, in "
    "units of the logits. Kernels: the fewest and the most."
)
Row = tuple[str, ...]


def header(devices: Sequence[str]) -> Row:
    return "program", "allowed", *devices, "temporaries", "allowed", "kernels"


def rows(found: Sequence[Measurement], devices: Sequence[str]) -> list[Row]:
    return [
        _row(case, {one.device: one for one in found if one.case == case}, devices)
        for case in dict.fromkeys(one.case for one in found)
    ]


def _row(case: Case, by_device: dict[str, Measurement], devices: Sequence[str]) -> Row:
    ours = case.by == OURS
    compiled = [one for one in by_device.values() if not one.error]
    cells = ((_cell(by_device[name]) if name in by_device else "") for name in devices)
    return (
        case.name,
        f"{cases.traffic(case):.2f}" if ours else "",
        *cells,
        f"{max(one.beside for one in compiled):.3f}" if compiled else "",
        f"{cases.temporaries(case):.3f}" if ours else "",
        _range([one.kernels for one in compiled]),
    )


def _cell(one: Measurement) -> str:
    if one.error:
        return "too large" if "RESOURCE_EXHAUSTED" in one.error else "error"
    return f"{one.traffic:.2f}"


def _range(numbers: Sequence[int]) -> str:
    return "–".join(str(n) for n in dict.fromkeys((min(numbers), max(numbers)))) if numbers else ""


def stretch(found: Iterable[Measurement]) -> str:
    """How many gradients of a softmax read their rows once."""
    ours = [
        one
        for one in found
        if one.case.by == OURS and one.case.loss == "softmax" and one.case.run != "forward"
    ]
    met = sum(not one.error and one.traffic <= STRETCH for one in ours)
    return f"Gradients of softmax_focal_loss at {STRETCH:.2f} or less, whose rows stay on the chip: {met} of {len(ours)}."


def markdown(found: Sequence[Measurement], devices: Sequence[str]) -> str:
    """A table of the plain cases beside those of other losses, and one of all others."""
    first = [one for one in found if replace(one.case, by=OURS) in cases.plain()]
    rest = [one for one in found if one not in first]
    return "\n\n".join(
        [*(_markdown(part, devices) for part in (first, rest) if part), stretch(found)]
    )


def _markdown(found: Sequence[Measurement], devices: Sequence[str]) -> str:
    names = header(devices)
    lines = (names, ("---", *("---:",) * (len(names) - 1)), *rows(found, devices))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def show(found: Sequence[Measurement], devices: Sequence[str]) -> None:
    pretty = Table(title="Compiled ahead of time", caption=NOTE)
    for name in header(devices):
        pretty.add_column(name, justify="left" if name == "program" else "right", no_wrap=True)
    for row in rows(found, devices):
        pretty.add_row(*row)
    # Where the window is too narrow, its lines wrap: rich would cut the numbers.
    unlimited = Console(width=1000)
    width = Width.get(unlimited, unlimited.options, pretty).maximum
    Console(width=max(Console().width, width)).print(pretty)
    print(stretch(found))
