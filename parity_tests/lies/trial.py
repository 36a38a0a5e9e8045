"""Whether the checker refuses a lie, in which layer, and with which words."""

from typing import NamedTuple

from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import LAYERS, layer
from parity_tests.checker.layers.judge import FAIL

from .lie import Lie


class Answer(NamedTuple):
    """The first layer that refuses, or "", and what it says."""

    layer: str
    note: str


def answer(lie: Lie) -> Answer:
    subject = build(Options(lie.port(), lie.function, "torch"), lie.dtype)
    # The layers that have to say it come first: a lie that none of them sees is one for all.
    order = [*lie.layers, *(name for name in LAYERS if name not in lie.layers)]
    for name in order:
        row = layer(subject, subject.plan, name)
        if row.status == FAIL:
            return Answer(name, row.note)
    return Answer("", "")
