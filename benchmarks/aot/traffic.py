"""What a compiled program does with the memory of its device, read from the text of the program.

Every instruction of the entry computation is a kernel that reads its operands from memory and
writes its results there; what happens inside of a fusion stays on the chip. So the traffic is the
operands and results of all instructions, where

- an array takes the space of its layout: a TPU fills the last dimensions up to whole tiles;
- memory spaces other than 0 are on the chip and cost nothing, while copies to and from them do;
- an operand that is only gathered or sliced from counts what is taken; a scatter, or an update of a
  slice, works in place and counts what it replaces twice, as read and as written;
- an operand counts as often as the results come back to it, if no cache can have kept it;
- a loop counts as often as it runs, of two branches the dearer one, an asynchronous operation once.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from .hlo import NAME, STARTS, Body, Instruction, arrays, parse, size

TAKES = ("gather", "slice", "dynamic-slice")
# Where each has what it puts into its first operand.
REPLACES = {"scatter": 2, "dynamic-update-slice": 1}
# Inside of a fusion these hand on no more than they are asked for.
PASSES = ("bitcast", "broadcast", "convert", "copy", "reshape", "select", "transpose")
# More than any device has beside its memory.
CACHE = 1 << 27


class Traffic(NamedTuple):
    bytes: int = 0
    kernels: int = 0


class Program:
    """The computations of a compiled module."""

    def __init__(self, text: str) -> None:
        self.bodies, self.entry = parse(text)

    def ideal(self) -> int:
        """Every argument read once and every result written once."""
        body = self.bodies[self.entry]
        return sum(size(i.shape) for i in body if i.op == "parameter" or i.root)

    def wide(self, n: int) -> list[str]:
        """The instructions of the entry computation that make an array of n or more float32 or
        float64."""
        names = []
        for i in self.bodies[self.entry]:
            counts = [array.elements for array in arrays(i.shape) if array.kind in ("f32", "f64")]
            if not i.is_free and max(counts, default=0) >= n:
                names.append(i.name)
        return names

    def traffic(self, name: str = "") -> Traffic:
        """What one run of a computation does; without a name, of the whole program."""
        body = self.bodies[name or self.entry]
        shapes = {i.name: i.shape for i in body}
        return _total(self._cost(i, shapes) for i in body if not i.is_free)

    def _cost(self, i: Instruction, shapes: dict[str, str]) -> Traffic:
        if i.op == "while":
            once = _total(self.traffic(i.called(role)) for role in ("condition", "body"))
            return _total([once] * self._trips(i))
        if i.op == "conditional":
            names = NAME.findall(i.rest.split("_computation", 1)[1])
            return max(self.traffic(name) for name in names if name in self.bodies)
        if i.op in ("call", "call-start"):
            return self.traffic(i.called("to_apply"))
        return self._kernel(i, shapes)

    def _kernel(self, i: Instruction, shapes: dict[str, str]) -> Traffic:
        body = self._fused(i) or _alone(i, shapes)
        moved = _written(body, i)
        for n, name in enumerate(i.operands):
            moved += self._read(body, n, shapes[name])
        # A copy that runs beside the kernels is none itself.
        is_kernel = moved > 0 and not i.op.endswith("-start")
        return Traffic(moved, int(is_kernel))

    def _fused(self, i: Instruction) -> Body:
        """The instructions inside of a fusion; none of any other instruction."""
        return self.bodies[i.called("calls")] if i.op == "fusion" else []

    def _trips(self, loop: Instruction) -> int:
        """How often a loop runs: XLA notes it down for a GPU, and leaves it in the condition for a
        TPU."""
        limits = re.findall(r'"known_trip_count":{"n":"(\d+)"', loop.rest)
        if not limits:
            condition = self.bodies[loop.called("condition")]
            limits = [i.rest.split(")")[0] for i in condition if i.op == "constant"]
        if len(limits) != 1:
            raise ValueError(f"{loop.name}: the program does not say how often the loop runs")
        return int(limits[0])

    def _read(self, body: Body, n: int, shape: str) -> int:
        """The bytes of its operand n that a kernel reads."""
        whole = size(shape)
        name = _parameter(body, n)
        taken = self._taken(body, name)
        if taken is not None:
            width = next(arrays(shape)).width
            return min(whole, taken * width)
        if whole <= CACHE:
            return whole
        return whole * self._returns(body)[name]

    def _taken(self, body: Body, name: str) -> int | None:
        """How many elements of an array a computation reads; None is all of it."""
        elements = 0
        for user in body:
            for place in _places(user, name):
                taken = self._taken_by(user, place, body)
                if taken is None:
                    return None
                elements += taken
        return elements

    def _taken_by(self, user: Instruction, place: int, body: Body) -> int | None:
        if user.op == "fusion":
            inner = self._fused(user)
            return self._taken(inner, _parameter(inner, place))
        if user.op in PASSES:
            return None if user.root else self._taken(body, user.name)
        if place:
            return None
        if user.op.removesuffix("-start") in TAKES:
            return user.result.elements
        is_replaced = user.op in REPLACES and user.root
        return 0 if is_replaced else None

    def _returns(self, body: Body) -> dict[str, int]:
        """How often a kernel that makes its results in the order of the memory comes to each of its
        arrays."""
        times: dict[str, int] = defaultdict(lambda: 1)
        for i in reversed(body):
            inner = self._fused(i)
            within = self._returns(inner)
            for n, name in enumerate(i.operands):
                repeats = within[_parameter(inner, n)] if inner else _repeats(i)
                times[name] = max(times[name], times[i.name] * repeats)
        return times


def _repeats(i: Instruction) -> int:
    """How often a broadcast comes to each element: once for all dimensions before the first that
    its operand has."""
    if i.op != "broadcast":
        return 1
    listed = re.findall(r"dimensions={([\d,]*)}", i.rest)[0]
    major = i.result.major()
    places = [major.index(int(number)) for number in listed.split(",") if number]
    before = major[: min(places, default=0)]
    return math.prod(i.result.dims[number] for number in before)


def _alone(i: Instruction, shapes: dict[str, str]) -> Body:
    """An instruction as the only one of a fusion."""
    body = []
    for n, name in enumerate(i.operands):
        body.append(Instruction(None, name, shapes[name], "parameter", f"{n})"))
    return [*body, i._replace(root="ROOT ")]


def _parameter(body: Body, n: int) -> str:
    return next(i.name for i in body if i.op == "parameter" and i.number == n)


def _places(user: Instruction, name: str) -> list[int]:
    return [place for place, operand in enumerate(user.operands) if operand == name]


def _written(body: Body, i: Instruction) -> int:
    last = next(inner for inner in body if inner.root)
    if last.op in REPLACES:
        update = last.operands[REPLACES[last.op]]
        replaced = next(inner.result for inner in body if inner.name == update)
        return 2 * replaced.width * replaced.elements
    return i.result.bytes if i.op in STARTS else size(i.shape)


def _total(parts: Iterable[Traffic]) -> Traffic:
    parts = list(parts)
    moved = sum(part.bytes for part in parts)
    return Traffic(moved, sum(part.kernels for part in parts))
