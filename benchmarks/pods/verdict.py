"""What was measured of a program for many chips, and which requirements it breaks."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.aot.hlo import Array

from . import cases
from .cases import CLASSES, FEATURES, GROWTH, MIB, PER_CHIP, ROWS, Pod
from .collectives import Collective, logical


@dataclass(frozen=True)
class Measurement:
    """What a program takes and sends on each device, in bytes; or the error of one that does not
    compile."""

    pod: Pod
    temporaries: int = 0
    # How often its longest loop runs.
    steps: int = 1
    collectives: list[Collective] = field(default_factory=list)
    error: str = ""

    @property
    def features(self) -> int:
        """What is added up of the features' gradient."""
        return self._reduced(is_of_features)

    @property
    def kernel(self) -> int:
        """What is added up of the kernel's gradient."""
        return self._reduced(is_of_kernel)

    @property
    def rest(self) -> int:
        """What all collectives leave, except for the sums of the gradients."""
        return sum(one.bytes for one in self.collectives) - self.features - self.kernel

    @property
    def largest(self) -> Collective:
        """The one that has the most part in the rest."""

        def rest(one: Collective) -> int:
            return Measurement(self.pod, collectives=[one]).rest

        return max(self.collectives, key=rest)

    def _reduced(self, belongs: Callable[[Array], bool]) -> int:
        """The bytes of all arrays that belong to a gradient and are added up."""
        total = 0
        for one in self.collectives:
            if one.kind == "all-reduce":
                once = sum(logical(array) for array in one.arrays if belongs(array))
                total += once * one.times
        return total


def is_of_kernel(array: Array) -> bool:
    return _sides(array) == sorted((FEATURES, CLASSES))


def is_of_features(array: Array) -> bool:
    """Of all rows of a device or of some."""
    rows = array.elements // FEATURES
    return array.dims[-1:] == [FEATURES] and rows <= ROWS and not is_of_kernel(array)


def _sides(array: Array) -> list[int]:
    return sorted(n for n in array.dims if n != 1)


def read(record: dict[str, Any]) -> Measurement:
    collectives = [Collective(**one) for one in record["collectives"]]
    fields: dict[str, Any] = record | {"pod": Pod(**record["pod"]), "collectives": collectives}
    return Measurement(**fields)


def failures(one: Measurement) -> Iterator[str]:
    """One line for every requirement that a program breaks by itself."""
    pod = one.pod
    where = f"{pod.name}: "
    if one.error:
        yield f"{where}does not compile: {one.error}"
        return
    rest, features, kernel = cases.row_bytes(pod), cases.features_bytes(), cases.kernel_bytes()
    if one.rest > rest:
        largest = f"the largest is {one.largest.kind} {one.largest.shape}"
        yield f"{where}besides the gradients sends {_mib(one.rest, rest)}; {largest}"
    if one.features > features:
        yield f"{where}for the features' gradient adds up {_mib(one.features, features)}"
    if one.kernel > kernel:
        yield f"{where}for the kernel's gradient adds up {_mib(one.kernel, kernel)}"
    temporaries = cases.temporaries(pod)
    if one.temporaries > temporaries:
        yield f"{where}temporaries take {_mib(one.temporaries, temporaries)}"


def growth(measured: Sequence[Measurement]) -> Iterator[str]:
    """One line for each slice that takes more temporary memory than another of the same devices.

    With as many rows a step on every device, that is any other; else only a smaller one, which has
    more rows a step.
    """
    groups: dict[tuple[str, ...], list[Measurement]] = defaultdict(list)
    for one in sorted(measured, key=lambda one: one.pod.devices):
        if one.pod.is_ours and not one.error:
            groups[one.pod.kind, one.pod.dtype, one.pod.chunk].append(one)
    for (*_, chunk), group in groups.items():
        base = group[0]
        if chunk == PER_CHIP:
            base = min(group, key=lambda one: one.temporaries)
        most = GROWTH * base.temporaries
        for one in group:
            if one.temporaries > most:
                taken = f"temporaries take {_mib(one.temporaries, most)}"
                yield f"{one.pod.name}: {taken}, since {base.pod.slice} takes no more"


def _mib(size: float, allowed: float) -> str:
    return f"{size / MIB:.3f} MiB, allowed {allowed / MIB:.3f}"
