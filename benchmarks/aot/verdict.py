"""What was measured of a compiled program, and which requirements it breaks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from . import cases
from .cases import Case


@dataclass(frozen=True)
class Measurement:
    """What a program does, in bytes where nothing else is said; or the error of one that does not
    compile."""

    device: str
    case: Case
    moved: int = 0
    ideal: int = 1
    temporaries: int = 0
    logits: int = 1
    # Of the arguments' memory, what the results take over.
    aliased: int = 0
    kernels: int = 0
    # Kernels that write as many float32 numbers as there are logits, although a logit has half of
    # that.
    wide: list[str] = field(default_factory=list)
    error: str = ""

    @property
    def traffic(self) -> float:
        """In units of all arguments and all results once."""
        return self.moved / self.ideal

    @property
    def beside(self) -> float:
        """Temporaries in units of the logits."""
        return self.temporaries / self.logits


def read(record: dict[str, Any]) -> Measurement:
    fields: dict[str, Any] = record | {"case": Case(**record["case"])}
    return Measurement(**fields)


def failures(one: Measurement) -> Iterator[str]:
    """One line for every requirement that a program breaks."""
    case = one.case
    where = f"{one.device}: {case.name}: "
    if one.error:
        yield f"{where}does not compile: {one.error}"
        return
    traffic, temporaries = cases.traffic(case), cases.temporaries(case)
    stored = cases.stored_ranges(one.device, case)
    traffic += 2 * stored / one.ideal
    temporaries += stored / one.logits
    if one.traffic > traffic:
        yield f"{where}moves {one.traffic:.3f} of the ideal bytes, allowed {traffic:.3f}"
    if one.beside > temporaries:
        yield f"{where}temporaries are {one.beside:.3f} of the logits, allowed {temporaries:.3f}"
    if one.wide and case.run != "vmap":
        names = ", ".join(one.wide)
        yield f"{where}stores float32 for its {case.dtype} logits in {names}, allowed nowhere"
    if case.run == "donated" and one.aliased < one.logits:
        share = one.aliased / one.logits
        yield f"{where}the gradient takes over {share:.2f} of donated logits, allowed 1.00"
