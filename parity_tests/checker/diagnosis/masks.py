"""What a port makes of where and ignore_index, if not what it should."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from parity_tests.checker.layers.batch import KEPT, Call, ask, call_of, logits_of, poisoned
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import GRADIENT, PortError

from .evidence import Diagnosis, Evidence

# What cross entropy leaves out if nobody says otherwise.
USUAL_INDEX = -100


class Mask(NamedTuple):
    """An option that leaves elements out, and those that it keeps."""

    name: str
    value: Any
    kept: np.ndarray

    def says(self, fault: str, message: str) -> Diagnosis:
        return Diagnosis(f"{self.name}_{fault}", message)


def diagnose(evidence: Evidence, port: PythonPort) -> Iterator[Diagnosis]:
    call = call_of(evidence.plan)
    ids = call.problem.ids
    assert ids is not None
    masks = (Mask("where", np.array(KEPT), np.array(KEPT)), Mask("ignore_index", 0, ids != 0))
    for mask in masks:
        if mask.name in evidence.plan.fixed or not port.takes(mask.name):
            continue
        try:
            yield from _of_mask(evidence, port, call, mask)
        except PortError:
            # An error of the port is a finding of its layer.
            continue


def _of_mask(evidence: Evidence, port: PythonPort, call: Call, mask: Mask) -> Iterator[Diagnosis]:
    plain = ask(port, call)
    masked = ask(port, call, **{mask.name: mask.value})
    if masked.shape != plain.shape:
        yield mask.says(
            "drops",
            f"your {mask.name} takes elements out of the result: shape {masked.shape} for "
            f"{len(plain)} losses; what is left out has to be 0",
        )
    elif np.array_equal(masked, plain):
        yield _without_effect(port, call, mask)
    else:
        fault = _fault(evidence, mask, plain.astype(float), masked.astype(float))
        if fault is not None:
            yield fault
        elif mask.name == "where":
            yield from _of_poison(evidence, port, call, mask)


def _without_effect(port: PythonPort, call: Call, mask: Mask) -> Diagnosis:
    """Whether it has one in a mean, or for another index."""
    if port.takes("reduction"):
        mean = ask(port, call, reduction="mean")
        masked = ask(port, call, reduction="mean", **{mask.name: mask.value})
        if not np.array_equal(mean, masked):
            message = f"your {mask.name} has an effect on reductions alone, not on the losses"
            return mask.says("of_reductions", message)
    if mask.name == "ignore_index":
        ids = call.problem.ids
        assert ids is not None
        other = int(ids.max())
        if np.any(ask(port, call, ignore_index=other) != ask(port, call)):
            message = (
                "ignore_index=0 is taken for none: ask whether it is None, not whether it is 0"
            )
            return mask.says("zero", message)
        if _leaves_out_the_usual(port, call):
            message = f"your ignore_index is {USUAL_INDEX} whatever is passed"
            return mask.says("fixed", message)
    return mask.says("ignored", f"your {mask.name} has no effect")


def _leaves_out_the_usual(port: PythonPort, call: Call) -> bool:
    ids = call.problem.ids
    assert ids is not None
    targets = np.where(ids == 0, USUAL_INDEX, ids)
    try:
        losses = ask(port, call, ignore_index=0, targets=targets)
    except PortError:
        return False
    return not np.any(losses[ids == 0])


def _fault(
    evidence: Evidence, mask: Mask, plain: np.ndarray, masked: np.ndarray
) -> Diagnosis | None:
    kept, left_out = mask.kept, ~mask.kept
    keeps = evidence.agrees(masked[kept], plain[kept])
    if keeps and not np.any(masked[left_out]):
        return None
    if keeps:
        number = float(masked[left_out][0])
        message = f"elements that your {mask.name} leaves out are {number:.4g}; they have to be 0"
        return mask.says("not_zero", message)
    if not np.any(masked[kept]) and evidence.agrees(masked[left_out], plain[left_out]):
        message = f"your {mask.name} is the wrong way round: it leaves out what it has to keep"
        return mask.says("inverted", message)
    return mask.says("changes", f"your {mask.name} changes the losses that it keeps")


def _of_poison(evidence: Evidence, port: PythonPort, call: Call, mask: Mask) -> Iterator[Diagnosis]:
    """What is left out may hold anything."""
    bad = poisoned(call, math.nan)
    losses = ask(port, bad, where=mask.value)
    if not np.all(np.isfinite(losses[~mask.kept].astype(float))):
        yield mask.says(
            "multiplied",
            "elements that where leaves out are NaN where their logits are NaN: select, and do not "
            "multiply by the mask",
        )
    elif evidence.differentiates() and _has_bad_gradient(port, bad, mask):
        yield mask.says(
            "gradient",
            "elements that where leaves out have a NaN gradient where their logits are NaN: select "
            "the logits before the loss, too",
        )


def _has_bad_gradient(port: PythonPort, call: Call, mask: Mask) -> bool:
    logits = logits_of(call.problem)
    arguments = port.arguments(call.problem, logits) | {"where": mask.value}
    grads = port.call(logits, arguments, GRADIENT).astype(float)
    return not np.all(np.isfinite(grads[~mask.kept]))
