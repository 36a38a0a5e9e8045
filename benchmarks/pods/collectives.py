"""What the devices of a compiled program send each other, read from the text of the program.

A collective counts the array that it leaves on each device, without the padding of a layout; in a
loop as often as the loop runs, of branches in all of them. One that runs beside others counts where
it is done.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.aot.hlo import Array, Instruction, arrays
from benchmarks.aot.traffic import Program

KINDS = (
    "all-gather",
    "all-reduce",
    "all-to-all",
    "collective-broadcast",
    "collective-permute",
    "ragged-all-to-all",
    "reduce-scatter",
)
# What an instruction runs, apart from the sum of two numbers that an all-reduce names.
CALLED = re.compile(
    r"\b(?:calls|body|condition|true_computation|false_computation|branch_computations)"
    r"=({[^}]*}|\S+)"
)
# All of a shape that is no array: layouts, and the numbers that long tuples are counted by.
LAYOUT = re.compile(r"\{[^}]*\}|/\*.*?\*/")


@dataclass(frozen=True)
class Collective:
    """What one instruction leaves on each device, and how often it runs."""

    kind: str
    shape: str
    times: int = 1

    @property
    def arrays(self) -> list[Array]:
        return list(arrays(self.shape))

    @property
    def bytes(self) -> int:
        return sum(map(logical, self.arrays)) * self.times


def logical(array: Array) -> int:
    return array.elements * array.width


class Exchange(Program):
    """A compiled module, by what is sent."""

    def collectives(self, name: str = "") -> Iterator[Collective]:
        """Those of a computation; without a name, of the whole program."""
        for i in self.bodies[name or self.entry]:
            kind = i.op.removesuffix("-done")
            if kind in KINDS:
                yield Collective(kind, LAYOUT.sub("", i.shape))
            times = self._trips(i) if i.op == "while" else 1
            for called in self._called(i):
                for one in self.collectives(called):
                    yield replace(one, times=one.times * times)

    def steps(self) -> int:
        """How often the loop with the most steps runs; 1 without any loop."""
        loops = (i for body in self.bodies.values() for i in body if i.op == "while")
        return max(map(self._trips, loops), default=1)

    def _called(self, i: Instruction) -> list[str]:
        """The computations that an instruction runs."""
        lists = CALLED.findall(i.rest)
        if i.op in ("call", "call-start"):
            lists.append(i.called("to_apply"))
        names = [name.strip(" {}%,") for name in ",".join(lists).split(",")]
        return [name for name in names if name in self.bodies]
