"""The text of a compiled program: its instructions, and the memory that the arrays in it take."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

FREE = ("bitcast", "constant", "get-tuple-element", "opt-barrier", "parameter", "tuple")
# Where these have their result, among the operands and flags of an operation that runs beside
# others.
STARTS = {"copy-start": 0, "slice-start": 1}
# Custom calls that are names for memory.
NAMES = ("AllocateBuffer", "ConcatBitcast")

COMPUTATION = re.compile(r"\n(ENTRY )?%?([\w.\-]+) \([^\n]*\{\n(.*?)\n\}", re.S)
INSTRUCTION = re.compile(r"\s+(ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*)")
ARRAY = re.compile(r"([a-z]\w*)\[([\d,]*)\](?:\{([^}]*)\})?")
NAME = re.compile(r"%([\w.\-]+)")


class Array(NamedTuple):
    kind: str
    dims: list[int]
    layout: str

    @property
    def elements(self) -> int:
        return math.prod(self.dims)

    @property
    def width(self) -> int:
        """Bytes of an element. Types are named by their bits, and a token has none."""
        if self.kind == "pred":
            return 1
        bits = re.search(r"\d+", self.kind)
        return int(bits[0]) // 8 if bits else 0

    @property
    def bytes(self) -> int:
        """What it takes in the memory of the device, which is memory space 0."""
        space = re.search(r"S\((\d+)\)", self.layout)
        if space and space[1] != "0":
            return 0
        return self.width * math.prod(self._tiled())

    def major(self) -> list[int]:
        """The numbers of its dimensions in the order of the memory, the outermost first."""
        order = self.layout.partition(":")[0]
        if not order:
            return list(range(len(self.dims)))
        return [int(i) for i in reversed(order.split(","))]

    def _tiled(self) -> list[int]:
        """Its dimensions, the innermost filled up to whole tiles. Tiles inside of the tile only
        reorder."""
        dims = [self.dims[i] for i in self.major()]
        written = re.search(r"T\(([\d,]+)\)", self.layout)
        tile = _numbers(written[1]) if written else [1]
        # The shorter of both is filled up with ones in front.
        dims = [1] * (len(tile) - len(dims)) + dims
        sides = [1] * (len(dims) - len(tile)) + tile
        return [-(-n // side) * side for n, side in zip(dims, sides, strict=True)]


def _numbers(text: str) -> list[int]:
    return [int(n) for n in text.split(",") if n]


def arrays(shape: str) -> Iterator[Array]:
    """Those of a shape, which may be a tuple."""
    for kind, dims, layout in ARRAY.findall(shape):
        yield Array(kind, _numbers(dims), layout)


def size(shape: str) -> int:
    return sum(array.bytes for array in arrays(shape))


class Instruction(NamedTuple):
    root: str | None
    name: str
    shape: str
    op: str
    rest: str

    @property
    def operands(self) -> list[str]:
        return NAME.findall(self.rest.split("), ")[0])

    @property
    def is_free(self) -> bool:
        if self.op in FREE or self.op.endswith("-done"):
            return True
        return any(f'target="{name}"' in self.rest for name in NAMES)

    @property
    def result(self) -> Array:
        return list(arrays(self.shape))[STARTS.get(self.op, 0)]

    @property
    def number(self) -> int:
        """Of a parameter."""
        return int(self.rest.split(")")[0])

    def called(self, role: str) -> str:
        """The name of the computation that it calls in this role."""
        return re.findall(rf"\b{role}=%?([\w.\-]+)", self.rest)[0]


Body = list[Instruction]


def parse(text: str) -> tuple[dict[str, Body], str]:
    """The computations of a module, and the name of the first to run."""
    bodies: dict[str, Body] = {}
    first = ""
    for entry, name, body in COMPUTATION.findall(text):
        matches = [INSTRUCTION.match(line) for line in body.splitlines()]
        bodies[name] = [Instruction(*match.groups()) for match in matches if match]
        if entry:
            first = name
    return bodies, first
