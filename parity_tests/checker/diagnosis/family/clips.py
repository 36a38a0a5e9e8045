"""A probability that is clamped, or has ε added, before its logarithm: which of them, and how large
ε is.

It is looked for where positives are missed, whose probabilities are exact in every dtype.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from parity_tests.checker.diagnosis.climb import LOST, first
from parity_tests.checker.diagnosis.evidence import Diagnosis

from .climbs import Climb
from .formulas import cost

# A larger ε is none that anybody adds.
LARGEST = 0.1


class Clip(NamedTuple):
    epsilon: float
    is_added: bool

    @property
    def number(self) -> str:
        mantissa, _, exponent = f"{self.epsilon:.1e}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"

    @property
    def formula(self) -> str:
        return f"log(p + {self.number})" if self.is_added else f"log(clamp(p, {self.number}))"

    def costs(self, z: np.ndarray) -> np.ndarray:
        """−log of the probability that is clipped."""
        if self.is_added:
            return -np.logaddexp(-cost(z), np.log(self.epsilon))
        return np.minimum(cost(z), -np.log(self.epsilon))


def diagnose(climbs: Sequence[Climb]) -> Diagnosis | None:
    """From the four climbs of a setting."""
    by_kind = {(climb.target, climb.is_missed): climb for climb in climbs}
    if not by_kind:
        return None
    positives = by_kind[(1, True)]
    clip = _found(positives)
    if clip is None:
        return None
    easy = by_kind[(1, False)]
    dead = [_dead_from(by_kind[(target, True)]) for target in (1, 0)]
    if easy.losses[-1] > 0 and not clip.is_added:
        distance = np.log1p(-clip.epsilon) - np.log(clip.epsilon)
        what = "gradient is 0" if None not in dead else "loss stays what it is"
        return Diagnosis(
            "clamped_sigmoid",
            f"your {what} beyond |logit| {distance:.1f}: the sigmoid is clamped at {clip.number}",
        )
    message = f"your loss is capped at {-np.log(clip.epsilon):.4g} where p is small"
    row = dead[0]
    if row is not None:
        message += f", and your gradient is 0 {positives.place(row)}"
    return Diagnosis("clipped_logarithm", f"{message}: it has {clip.formula}")


def _found(positives: Climb) -> Clip | None:
    """The clip that explains the loss of positives at all distances, if there is one."""
    z, truth = positives.logits, positives.truth
    factor = truth[-1] / cost(z[-1:])[0]
    cap = positives.losses[-1] / factor if factor else 0.0
    if not np.isfinite(cap) or cap <= -np.log(LARGEST) or not positives.off[-1]:
        return None
    errors: dict[Clip, float] = {}
    epsilon = float(f"{np.exp(-cap):.1e}")
    for is_added in (False, True):
        clip = Clip(epsilon, is_added)
        expected = truth * clip.costs(z) / cost(z)
        errors[clip] = float(np.max(np.abs(positives.losses / expected - 1)))
    best = min(errors, key=lambda clip: errors[clip])
    return best if errors[best] <= LOST[positives.dtype] else None


def _dead_from(climb: Climb) -> int | None:
    """From which row on the gradient of what is missed is 0."""
    if climb.grads is None:
        return None
    return first(np.abs(climb.grads) <= 0.01 * np.abs(climb.slopes))
