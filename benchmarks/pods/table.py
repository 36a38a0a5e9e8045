"""What the programs for many chips take and send, as a table: one line for each program."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement as Width
from rich.table import Table

from . import cases
from .cases import MIB
from .verdict import Measurement, failures

KIB = 1 << 10
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


def rows(found: Sequence[Measurement]) -> list[Row]:
    return [_row(one) for one in found]


def _row(one: Measurement) -> Row:
    pod, verdict = one.pod, "refused" if list(failures(one)) else "met"
    named = (pod.slice, str(pod.chips), f"{pod.data} × {pod.model}", pod.dtype, pod.chunk)
    if one.error:
        return (*named, *[""] * (len(HEADER) - len(named) - 1), "does not compile")
    gradients = cases.features_bytes() + cases.kernel_bytes()
    numbers = (
        str(one.steps),
        _number(one.temporaries / MIB),
        _number(cases.temporaries(pod) / MIB),
        _number((one.features + one.kernel) / MIB),
        _number(gradients / MIB),
        _number(one.rest / KIB),
        _number(cases.row_bytes(pod) / KIB),
    )
    return (*named, *numbers, _kinds(one), verdict)


def _number(x: float) -> str:
    return f"{x:,.1f}"


def _kinds(one: Measurement) -> str:
    """Each kind of collective, how often it runs in all, and the bytes that it leaves."""
    times: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for part in one.collectives:
        times[part.kind] += part.times
        sizes[part.kind] += part.bytes
    return ", ".join(
        f"{kind}: {times[kind]:,} ({sizes[kind] / MIB:,.2f})" for kind in sorted(times)
    )


def refusals(found: Sequence[Measurement]) -> list[str]:
    """Why the broken programs are refused."""
    return [line for one in found if not one.pod.is_ours for line in failures(one)]


def markdown(found: Sequence[Measurement]) -> str:
    rule = ("---" if name in WORDS else "---:" for name in HEADER)
    lines = ("| " + " | ".join(line) + " |" for line in (HEADER, tuple(rule), *rows(found)))
    refused = "\n".join(f"- {line}" for line in refusals(found))
    return "\n".join(lines) + (f"\n\nRefused:\n\n{refused}" if refused else "")


def show(found: Sequence[Measurement]) -> None:
    pretty = Table(title="Compiled for many chips", caption=NOTE)
    for name in HEADER:
        pretty.add_column(name, justify="left" if name in WORDS else "right", no_wrap=True)
    for row in rows(found):
        pretty.add_row(*row)
    # Where the window is too narrow, its lines wrap: rich would cut the numbers.
    unlimited = Console(width=1000)
    width = Width.get(unlimited, unlimited.options, pretty).maximum
    Console(width=max(Console().width, width)).print(pretty)
    print("\n".join(refusals(found)))
