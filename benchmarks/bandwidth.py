"""How much of the bandwidth of a device a loss reaches: bytes that have to move per second, beside
a copy's."""

from collections.abc import Iterable

import pandas as pd

from .cases import BACKWARD, FLOAT32, Group
from .peers import CONTENDERS, LIMIT, Contender
from .report import Sheet, duration
from .timing import quartiles


def is_copy(contender: Contender) -> bool:
    return contender.role == LIMIT and contender.name.endswith("copy")


def ideal_bytes(contender: Contender, group: Group) -> int:
    """Logits and targets are read once; a copy, a triad and a gradient are written once. Scalars
    are free."""
    width = 4 if group.dtype == FLOAT32 else 2
    logits = group.case.elements * width
    written = logits if contender.role == LIMIT or group.mode == BACKWARD else 0
    if is_copy(contender):
        return logits + written
    elements, rows = group.case.elements, group.case.shape[0]
    ids = rows * (4 if contender.framework == "jax" else 8)
    targets = {"float": logits, "int": 4 * elements, "bool": elements, "ids": ids}[
        contender.targets
    ]
    return logits + targets + written


def sheets(times: pd.DataFrame, groups: Iterable[Group]) -> list[Sheet]:
    """One table per case, mode and dtype."""
    return [_sheet(times, group) for group in groups]


def _sheet(times: pd.DataFrame, group: Group) -> Sheet:
    of_group = (
        (times["case"] == group.case.name)
        & (times["mode"] == group.mode)
        & (times["dtype"] == group.dtype)
    )
    seconds = times.loc[of_group].pivot(index="round", columns="contender", values="seconds")
    contenders = [c for c in CONTENDERS[group.case.loss] if c.label in seconds]
    speeds = {c: ideal_bytes(c, group) / seconds[c.label] for c in contenders}
    copies = {c.framework: speeds[c] for c in contenders if is_copy(c)}
    rows = [
        (
            c.label,
            duration(seconds[c.label].median()),
            f"{speed.median() / 1e9:.1f}",
            *_shares(speed / copies[c.framework]),
        )
        for c, speed in speeds.items()
    ]
    return Sheet(group.name, ("contender", "time", "GB/s", "of the copy", "quartiles"), rows)


def _shares(of_copy: pd.Series) -> tuple[str, str]:
    low, middle, high = quartiles(of_copy)
    return f"{middle:.0%}", f"{low:.0%} to {high:.0%}"
