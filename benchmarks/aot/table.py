"""What the compiled programs do, as a table: one line for each case, one column for each device."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from benchmarks import table
from benchmarks.table import Sheet

from . import cases
from .cases import OURS, STRETCH, Case
from .verdict import Measurement

TITLE = "Compiled ahead of time"
NOTE = (
    "By device: bytes moved, in units of all arguments and all results once. Temporaries: the most "
    "of all devices, in units of the logits. Kernels: the fewest and the most."
)
Row = tuple[str, ...]


def sheet(measured: Sequence[Measurement], devices: Sequence[str]) -> Sheet:
    header = ("program", "allowed", *devices, "temporaries", "allowed", "kernels")
    chosen = dict.fromkeys(one.case for one in measured)
    rows = [_row(case, measured, devices) for case in chosen]
    return Sheet(TITLE, header, rows, words=("program",), caption=NOTE)


def _row(case: Case, measured: Sequence[Measurement], devices: Sequence[str]) -> Row:
    by_device = {one.device: one for one in measured if one.case == case}
    moved = [_moved(by_device.get(name)) for name in devices]
    most, kernels = _of_all_devices([one for one in by_device.values() if not one.error])
    traffic, temporaries = _allowed(case)
    return case.name, traffic, *moved, most, temporaries, kernels


def _moved(one: Measurement | None) -> str:
    if one is None:
        return ""
    if one.error:
        return "too large" if "RESOURCE_EXHAUSTED" in one.error else "error"
    return f"{one.traffic:.2f}"


def _of_all_devices(compiled: Sequence[Measurement]) -> tuple[str, str]:
    """The most temporaries, and the fewest and the most kernels."""
    if not compiled:
        return "", ""
    temporaries = max(one.beside for one in compiled)
    kernels = {one.kernels for one in compiled}
    ends = dict.fromkeys((min(kernels), max(kernels)))
    return f"{temporaries:.3f}", "–".join(map(str, ends))


def _allowed(case: Case) -> tuple[str, str]:
    """The bounds of traffic and temporaries; there are none for the losses of others."""
    if case.by != OURS:
        return "", ""
    return f"{cases.traffic(case):.2f}", f"{cases.temporaries(case):.3f}"


def stretch(measured: Iterable[Measurement]) -> str:
    """How many gradients of a softmax read their rows once."""
    ours = [one for one in measured if _is_our_softmax_gradient(one.case)]
    met = sum(not one.error and one.traffic <= STRETCH for one in ours)
    return (
        f"Gradients of softmax_focal_loss at {STRETCH:.2f} or less, whose rows stay on the chip: "
        f"{met} of {len(ours)}."
    )


def _is_our_softmax_gradient(case: Case) -> bool:
    return case.by == OURS and case.loss == "softmax" and case.run != "forward"


def markdown(measured: Sequence[Measurement], devices: Sequence[str]) -> str:
    """A table of the plain cases beside those of other losses, and one of all others."""
    plain = cases.plain()
    first = [one for one in measured if replace(one.case, by=OURS) in plain]
    rest = [one for one in measured if one not in first]
    tables = [table.markdown(sheet(part, devices)) for part in (first, rest) if part]
    return "\n\n".join([*tables, stretch(measured)])


def show(measured: Sequence[Measurement], devices: Sequence[str]) -> None:
    table.show(sheet(measured, devices))
    print(stretch(measured))
