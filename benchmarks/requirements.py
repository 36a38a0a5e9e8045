"""What the losses have to be as fast as: ratios of times that were measured in the same rounds of
one run.

Required is what integer labels take. Booleans and floats are reported beside them: torch.compile
reads booleans slowly, and for floats that it does not know it makes the formula for soft targets.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import pandas as pd

from .cases import (
    BACKWARD,
    DETECTOR,
    FIRST_CALL,
    FLOAT32,
    FORWARD,
    LANGUAGE_MODEL,
    SMALLEST,
    Case,
    Group,
)
from .timing import of_group, quartiles


@dataclass(frozen=True)
class Requirement:
    """The time of `numerator` is at most `bound` times that of `denominator`. Not required:
    reported beside it."""

    case: Case
    mode: str
    numerator: str
    denominator: str
    bound: float
    required: bool = True

    @property
    def needs(self) -> set[tuple[str, str, str, str]]:
        """Case, mode, dtype and contender of both times."""
        labels = (self.numerator, self.denominator)
        return {(self.case.name, self.mode, FLOAT32, label) for label in labels}


# What the labels of our contenders end with; the first is that of integers.
TARGETS = ("", ", bool targets", ", float targets")


def _requirements() -> Iterator[Requirement]:
    detector = partial(Requirement, DETECTOR, BACKWARD)
    for targets in TARGETS:
        yield detector(f"focal_jax, jit{targets}", "optax, jit", 1 / 4, required=not targets)
    yield detector("focal_jax, jit", "focal_torch, compiled", 1.0, required=False)
    for way, bound in (("eager", 0.7), ("compiled", 0.6)):
        peer = f"torchvision's formula, {way}"
        for targets in TARGETS:
            yield detector(f"focal_torch, {way}{targets}", peer, bound, required=not targets)
    # The focus for free: cross entropy without it is the measure.
    model = partial(Requirement, LANGUAGE_MODEL, BACKWARD)
    yield model("focal_jax, jit", "optax CE, jit", 1.1)
    yield model("focal_torch, eager", "PyTorch CE, eager", 1.1)
    yield model("focal_torch, compiled", "PyTorch CE, compiled", 1.1)
    # Tracing and compiling.
    yield Requirement(DETECTOR, FIRST_CALL, "focal_jax, jit", "optax BCE, jit", 2.0)
    yield Requirement(LANGUAGE_MODEL, FIRST_CALL, "focal_jax, jit", "optax CE, jit", 2.0)
    # The overhead of Python, which is all that a thousand logits take.
    eager = ("focal_torch, eager", "torchvision's formula, eager")
    yield Requirement(SMALLEST, FORWARD, *eager, 1.5)
    yield Requirement(SMALLEST, BACKWARD, *eager, 1.5, required=False)


REQUIREMENTS = tuple(_requirements())
# Case, mode, dtype and contender of all that is compared.
NEEDED = set().union(*(requirement.needs for requirement in REQUIREMENTS))


def is_judged(group: Group) -> bool:
    return any(place[:3] == (group.case.name, group.mode, group.dtype) for place in NEEDED)


@dataclass(frozen=True)
class Verdict:
    requirement: Requirement
    low: float
    ratio: float
    high: float

    @property
    def met(self) -> bool:
        return self.ratio <= self.requirement.bound

    @property
    def broken(self) -> bool:
        return self.requirement.required and not self.met


def judge(times: pd.DataFrame, requirements: Iterable[Requirement] = REQUIREMENTS) -> list[Verdict]:
    """The median ratio of every requirement whose two times were measured, with its quartiles."""
    verdicts = []
    for requirement in requirements:
        ratios = _ratios(times, requirement)
        if len(ratios):
            verdicts.append(Verdict(requirement, *quartiles(ratios)))
    return verdicts


def _ratios(times: pd.DataFrame, requirement: Requirement) -> pd.Series:
    """One ratio per round."""
    group = Group(requirement.case, requirement.mode, FLOAT32)
    rounds = of_group(times, group).set_index("round")
    labels, seconds = rounds["contender"], rounds["seconds"]
    above = seconds.loc[labels == requirement.numerator]
    below = seconds.loc[labels == requirement.denominator]
    return above.div(below).dropna()
