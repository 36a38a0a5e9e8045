"""What the losses have to be as fast as: ratios of times that were measured in the same rounds of
one run.

Required is what integer labels take. Booleans and floats are reported beside them: torch.compile
reads booleans slowly, and for floats that it does not know it makes the formula for soft targets.
"""

from collections.abc import Iterable
from dataclasses import dataclass

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
from .timing import quartiles


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
        return {
            (self.case.name, self.mode, FLOAT32, label)
            for label in (self.numerator, self.denominator)
        }


TARGETS = ("", ", bool targets", ", float targets")
REQUIREMENTS = (
    *(
        Requirement(DETECTOR, BACKWARD, f"focal_jax, jit{of}", "optax, jit", 1 / 4, not of)
        for of in TARGETS
    ),
    Requirement(DETECTOR, BACKWARD, "focal_jax, jit", "focal_torch, compiled", 1.0, required=False),
    *(
        Requirement(
            DETECTOR,
            BACKWARD,
            f"focal_torch, {way}{of}",
            f"torchvision's formula, {way}",
            bound,
            not of,
        )
        for way, bound in (("eager", 0.7), ("compiled", 0.6))
        for of in TARGETS
    ),
    # The focus for free: cross entropy without it is the measure.
    Requirement(LANGUAGE_MODEL, BACKWARD, "focal_jax, jit", "optax CE, jit", 1.1),
    Requirement(LANGUAGE_MODEL, BACKWARD, "focal_torch, eager", "PyTorch CE, eager", 1.1),
    Requirement(LANGUAGE_MODEL, BACKWARD, "focal_torch, compiled", "PyTorch CE, compiled", 1.1),
    # Tracing and compiling.
    Requirement(DETECTOR, FIRST_CALL, "focal_jax, jit", "optax BCE, jit", 2.0),
    Requirement(LANGUAGE_MODEL, FIRST_CALL, "focal_jax, jit", "optax CE, jit", 2.0),
    # The overhead of Python, which is all that a thousand logits take.
    Requirement(SMALLEST, FORWARD, "focal_torch, eager", "torchvision's formula, eager", 1.5),
    Requirement(
        SMALLEST,
        BACKWARD,
        "focal_torch, eager",
        "torchvision's formula, eager",
        1.5,
        required=False,
    ),
)


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
    found = ((requirement, _ratios(times, requirement)) for requirement in requirements)
    return [
        Verdict(requirement, *quartiles(ratios)) for requirement, ratios in found if len(ratios)
    ]


def _ratios(times: pd.DataFrame, asked: Requirement) -> pd.Series:
    """One ratio per round."""
    of_group = (
        (times["case"] == asked.case.name)
        & (times["mode"] == asked.mode)
        & (times["dtype"] == FLOAT32)
    )
    seconds = times.loc[of_group].set_index("round")
    above, below = (
        seconds.loc[seconds["contender"] == x, "seconds"]
        for x in (asked.numerator, asked.denominator)
    )
    return above.div(below).dropna()
