"""What the programs for many chips take and send, as a table: one line for each program."""

from collections import Counter
from collections.abc import Sequence

from benchmarks import table
from benchmarks.table import Sheet

from . import cases
from .cases import MIB
from .verdict import Measurement, failures

KIB = 1 << 10
TITLE = "Compiled for many chips"
NOTE = "Bytes are those of one device. Steps: how often the loop over chunks runs."
HEADER = (
    "slice",
    "chips",
    "data × model",
    "dtype",
    "chunk",
    "steps",
    "temporaries, MiB",
    "allowed",
    "gradients summed, MiB",
    "allowed",
    "all else sent, KiB",
    "allowed",
    "collectives: times (MiB)",
    "verdict",
)
WORDS = ("slice", "dtype", "chunk", "collectives: times (MiB)", "verdict")
Row = tuple[str, ...]


def rows(measured: Sequence[Measurement]) -> list[Row]:
    return [_row(one) for one in measured]


def _row(one: Measurement) -> Row:
    pod = one.pod
    program = (pod.slice, str(pod.chips), f"{pod.data} × {pod.model}", pod.dtype, pod.chunk)
    if one.error:
        empty = [""] * (len(HEADER) - len(program) - 1)
        return (*program, *empty, "does not compile")
    verdict = "refused" if list(failures(one)) else "met"
    return (*program, str(one.steps), *_sizes(one), _kinds(one), verdict)


def _sizes(one: Measurement) -> list[str]:
    """What is taken, summed and sent, each beside what is allowed."""
    gradients = cases.features_bytes() + cases.kernel_bytes()
    numbers = (
        one.temporaries / MIB,
        cases.temporaries(one.pod) / MIB,
        (one.features + one.kernel) / MIB,
        gradients / MIB,
        one.rest / KIB,
        cases.row_bytes(one.pod) / KIB,
    )
    return [f"{number:,.1f}" for number in numbers]


def _kinds(one: Measurement) -> str:
    """Each kind of collective, how often it runs in all, and the bytes that it leaves."""
    times: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for part in one.collectives:
        times[part.kind] += part.times
        sizes[part.kind] += part.bytes
    kinds = sorted(times)
    return ", ".join(f"{kind}: {times[kind]:,} ({sizes[kind] / MIB:,.2f})" for kind in kinds)


def refusals(measured: Sequence[Measurement]) -> list[str]:
    """Why the broken programs are refused."""
    return [line for one in measured if not one.pod.is_ours for line in failures(one)]


def sheet(measured: Sequence[Measurement]) -> Sheet:
    return Sheet(TITLE, HEADER, rows(measured), WORDS, NOTE)


def markdown(measured: Sequence[Measurement]) -> str:
    lines = table.markdown(sheet(measured))
    refused = [f"- {line}" for line in refusals(measured)]
    return "\n".join([lines, "\nRefused:\n", *refused]) if refused else lines


def show(measured: Sequence[Measurement]) -> None:
    table.show(sheet(measured))
    print("\n".join(refusals(measured)))
