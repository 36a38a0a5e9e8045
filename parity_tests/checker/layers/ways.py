"""The calls whose derivatives are asked for: what the loss of each element is multiplied by, and by
which options."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from parity_tests.ports.python import PythonPort
from parity_tests.ports.signature import DIVISOR
from parity_tests.ports.subject import SECOND, Plan

from .batch import Call
from .reductions import DIVIDED, Batch, batches, divisors, plain
from .several_gammas import accepted_gammas

EVERY_OTHER = (1.0, -2.0, 0.0, 0.5, -0.125, 3.0)
# Of a number: large enough for the gradient of a mean to be clamped where somebody clamps.
OF_ALL = -24.0
ONE_OF_SIX = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
# By how many powers of 2 a cotangent is huge or tiny.
FAR = {"float16": 8, "bfloat16": 40, "float32": 40, "float64": 40}


@dataclass(frozen=True)
class Way:
    """A call whose derivative is asked for: what its result is multiplied by, and what that makes
    of the derivative of each element."""

    name: str
    cotangent: np.ndarray
    factors: np.ndarray
    options: Mapping[str, Any] = field(default_factory=dict)
    # What the reduction divides by.
    divisor: float = 1.0

    def has(self, order: int) -> bool:
        """Whether this derivative is asked for: a second one beside a reduction through one option
        at most, since it takes a compiler three times as long as a first one."""
        return order != SECOND or len(self.options.keys() - {"reduction"}) < 2


def ways(port: PythonPort, plan: Plan, call: Call) -> Iterator[Way]:
    ones = np.ones(len(EVERY_OTHER))
    if not port.one_by_one:
        for name, cotangent in _cotangents(plan).items():
            yield Way(name, cotangent, ones)
    # Other dtypes than the plan's are asked for what is most used.
    is_main = plan.dtype == port.plan.dtype
    if not is_main:
        yield from _ways_of(port, plan, plain(call), call)
        return
    for batch in batches(port, plan, call):
        yield from _ways_of(port, plan, batch, call)
    if port.takes(DIVISOR):
        yield from _divided(port, plan, call)


def ways_with_gammas(port: PythonPort, plan: Plan, call: Call) -> Iterator[Way]:
    """Calls with several γ whose losses are right. Wrong losses are reported by the layer of
    arguments, and so are errors."""
    if plan.dtype != port.plan.dtype:
        return
    for accepted in accepted_gammas(port, plan, call, []):
        if accepted.is_right(plan, call):
            ones = np.ones(len(EVERY_OTHER))
            yield Way(accepted.name, np.array(EVERY_OTHER), ones, accepted.options)


def _cotangents(plan: Plan) -> dict[str, np.ndarray]:
    mixed = np.array(EVERY_OTHER)
    far = math.ldexp(1.0, FAR[plan.dtype])
    return {
        "a cotangent of both signs": mixed,
        "a cotangent of 0": np.zeros(len(mixed)),
        "a cotangent of one element": np.array(ONE_OF_SIX),
        "a huge cotangent": far * mixed,
        "a tiny cotangent": mixed / far,
    }


def _ways_of(port: PythonPort, plan: Plan, batch: Batch, call: Call) -> Iterator[Way]:
    """A batch without a reduction; and with each reduction, if it has one option at most."""
    factors = batch.factors(call)
    names = ", ".join(batch.options)
    if names and not port.one_by_one:
        yield Way(names, np.array(EVERY_OTHER), factors, batch.options)
        if batch.is_pair:
            return
    for reduction, divisor in divisors(port, plan, batch, call).items():
        name = f"{reduction} with {names}" if names else reduction
        options = batch.options | {"reduction": reduction}
        yield Way(name, np.array(OF_ALL), factors, options, divisor)


def _divided(port: PythonPort, plan: Plan, call: Call) -> Iterator[Way]:
    """What divides the loss divides its gradient."""
    options = {DIVISOR: DIVIDED}
    ones = plain(call).weights
    if not port.one_by_one:
        yield Way(DIVISOR, np.array(EVERY_OTHER), ones / DIVIDED, options)
    for reduction, divisor in divisors(port, plan, plain(call), call).items():
        asked = options | {"reduction": reduction}
        name = f"{reduction} with {DIVISOR}"
        yield Way(name, np.array(OF_ALL), ones, asked, divisor * DIVIDED)
