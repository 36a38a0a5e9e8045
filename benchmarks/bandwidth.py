"""How much of the bandwidth of a device a loss reaches: bytes that have to move per second, beside
a copy's."""

from collections.abc import Iterable

import pandas as pd

from .cases import BACKWARD, FLOAT32, Group
from .peers import CONTENDERS, LIMIT, Contender
from .report import duration
from .table import Sheet
from .timing import of_group, quartiles

HEADER = ("contender", "time", "GB/s", "of the copy", "quartiles")


def is_copy(contender: Contender) -> bool:
    return contender.role == LIMIT and contender.name.endswith("copy")


def ideal_bytes(contender: Contender, group: Group) -> int:
    """Logits and targets are read once; a copy, a triad and a gradient are written once. Scalars
    are free."""
    width = 4 if group.dtype == FLOAT32 else 2
    logits = group.case.elements * width
    writes = contender.role == LIMIT or group.mode == BACKWARD
    moved = 2 * logits if writes else logits
    return moved if is_copy(contender) else moved + _target_bytes(contender, group, logits)


def _target_bytes(contender: Contender, group: Group, logits: int) -> int:
    """Floating targets have the dtype of the logits; JAX has class ids of 4 bytes, PyTorch of 8."""
    elements, rows = group.case.elements, group.case.shape[0]
    ids = 4 * rows if contender.framework == "jax" else 8 * rows
    return {"float": logits, "int": 4 * elements, "bool": elements, "ids": ids}[contender.targets]


def sheets(times: pd.DataFrame, groups: Iterable[Group]) -> list[Sheet]:
    """One table per case, mode and dtype."""
    return [_sheet(times, group) for group in groups]


def _sheet(times: pd.DataFrame, group: Group) -> Sheet:
    rounds = of_group(times, group)
    columns = rounds.pivot(index="round", columns="contender", values="seconds")
    seconds = {str(label): column for label, column in columns.items()}
    contenders = [c for c in CONTENDERS[group.case.loss] if c.label in seconds]
    speeds = {c: ideal_bytes(c, group) / seconds[c.label] for c in contenders}
    copies = {c.framework: speeds[c] for c in contenders if is_copy(c)}
    rows = []
    for contender, speed in speeds.items():
        time = duration(seconds[contender.label].median())
        gigabytes = f"{speed.median() / 1e9:.1f}"
        low, middle, high = quartiles(speed / copies[contender.framework])
        share, spread = f"{middle:.0%}", f"{low:.0%} to {high:.0%}"
        rows.append((contender.label, time, gigabytes, share, spread))
    return Sheet(group.name, HEADER, rows, words=("contender",))
