"""What a port's reductions divide by, with masks and weights; and one number for a batch where it
has no other."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from parity_tests.contract.problems import HEATMAP
from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import GRADIENT, VALUE, Plan, PortError
from parity_tests.truth.jets import Term

from .batch import (
    CLASS_WEIGHTS,
    KEPT,
    SMOOTHING,
    WEIGHTS,
    Call,
    ask,
    call_of,
    findings_of,
    logits_of,
    total_of,
    usual_calls,
    weighted,
    with_targets,
)
from .judge import Finding
from .option_jets import smooth_jets

# What a port is given that divides by one of its arguments; by 1 in all other questions.
DIVIDED = 4.0


class Batch(NamedTuple):
    """What a loss is called with, the elements that it keeps, and their weights."""

    options: dict[str, Any]
    kept: np.ndarray
    weights: np.ndarray

    @property
    def is_pair(self) -> bool:
        return len(self.options) > 1

    def beside(self, other: "Batch") -> "Batch":
        """Both options together."""
        options = self.options | other.options
        return Batch(options, self.kept & other.kept, self.weights * other.weights)

    def factors(self, call: Call) -> np.ndarray:
        """What multiplies the loss of each element, of smoothed labels if they are asked for."""
        factors = self.kept * self.weights
        if {"label_smoothing", "alpha"} <= self.options.keys():
            # There each class has its own α, and that of the target is no factor of all.
            factors = factors / np.take(CLASS_WEIGHTS, call.targets)
        return factors

    def terms(self, call: Call) -> list[Term]:
        """The loss of each element."""
        terms = call.terms
        if "label_smoothing" in self.options:
            terms = [jet[()] for jet in smooth_jets(call, self.options.get("alpha"))]
        return weighted(terms, self.factors(call).tolist())


def reductions(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    """sum, mean and mean_positive, or the one reduction that the port has: without a mask and with
    the one that it takes, and with weights."""
    for call in usual_calls(plan):
        yield from _of_call(port, plan, call)


def _of_call(port: PythonPort, plan: Plan, call: Call) -> Iterator[Finding]:
    for batch in batches(port, plan, call):
        offered = divisors(port, plan, batch, call)
        if batch.is_pair and "mean" in offered:
            # What is said of a mean is said of the other divisors.
            offered = {"mean": offered["mean"]}
        for reduction, divisor in offered.items():
            yield from _reduction(port, call, reduction, divisor, batch)
    if not plan.record.classes and "mean_positive" in divisors(port, plan, plain(call), call):
        yield from _without_positives(port, plan, call)


def plain(call: Call) -> Batch:
    """Without an option."""
    ones = np.ones(len(call.terms))
    return Batch({}, ones > 0, ones)


def _without_positives(port: PythonPort, plan: Plan, call: Call) -> Iterator[Finding]:
    """An image of background alone is divided by 1."""
    background = with_targets(call, np.zeros(len(call.terms)), plan)
    yield from _reduction(port, background, "mean_positive", 1.0, plain(background))


def nothing_kept(port: PythonPort, plan: Plan) -> Iterator[Finding]:
    """Reductions of losses that are all left out, and their gradients."""
    call = call_of(plan)
    if not port.leaves_open("where"):
        return
    logits = logits_of(call.problem)
    nothing = np.zeros(len(call.terms), bool)
    for reduction in divisors(port, plan, plain(call), call):
        arguments = port.arguments(call.problem, logits)
        arguments |= {"where": nothing, "reduction": reduction}
        for order in (VALUE, GRADIENT):
            if order in port.orders:
                numbers = port.call(logits, arguments, order).astype(float)
                worst = float(np.abs(numbers).max())
                kind = "gradient" if order else "loss"
                message = f"the {kind} of {reduction} has to be 0 where nothing is kept"
                point = {"where": "all False", "reduction": reduction, "derivative": order}
                yield Finding.exact(worst == 0, worst, "0.0", point, message)


def batches(port: PythonPort, plan: Plan, call: Call) -> Iterator[Batch]:
    """Without an option, with each that the port takes, and with each two of them."""
    yield plain(call)
    everything, ones = plain(call).kept, plain(call).weights
    targets = call.targets
    single = _leaving_out(port, targets, ones) + _weighting(port, plan, targets, everything)
    if plan.record.classes and port.leaves_open("label_smoothing"):
        single.append(Batch({"label_smoothing": SMOOTHING}, everything, ones))
    yield from single
    for one, other in itertools.combinations(single, 2):
        yield one.beside(other)


def _leaving_out(port: PythonPort, targets: np.ndarray, ones: np.ndarray) -> list[Batch]:
    chosen: list[Batch] = []
    if port.leaves_open("where"):
        kept = np.array(KEPT)
        chosen.append(Batch({"where": kept}, kept, ones))
    if port.leaves_open("ignore_index"):
        chosen.append(Batch({"ignore_index": 0}, targets != 0, ones))
    return chosen


def _weighting(
    port: PythonPort, plan: Plan, targets: np.ndarray, everything: np.ndarray
) -> list[Batch]:
    chosen: list[Batch] = []
    if port.leaves_open("weight"):
        weight = np.array(WEIGHTS, DTYPES[plan.dtype])
        chosen.append(Batch({"weight": weight}, everything, np.array(WEIGHTS)))
    if plan.record.classes and port.leaves_open("alpha"):
        # α of a class is a factor of its losses, and enters no divisor but that of a declared
        # weighted mean.
        alpha = np.array(CLASS_WEIGHTS, DTYPES[plan.dtype])
        chosen.append(Batch({"alpha": alpha}, everything, np.take(CLASS_WEIGHTS, targets)))
    return chosen


def divisors(port: PythonPort, plan: Plan, batch: Batch, call: Call) -> dict[str, float]:
    """What each reduction that the port offers divides by: the one that is set, or all."""
    mean = _mean(plan, batch, call)
    positives = _positives(plan, batch, call)
    if port.one_by_one and not port.takes("reduction"):
        own = _own(port, plan, call)
        return {own: {"sum": 1.0, "mean": mean, "mean_positive": positives}[own]}
    if not port.takes("reduction"):
        return {}
    fixed = plan.fixed.get("reduction")
    if fixed == "none":
        return {}
    offered = {"sum": 1.0, "mean": mean}
    if fixed is not None:
        possible = {**offered, "mean_positive": positives}
        return {fixed: possible[fixed]}
    if _has_mean_positive(port, plan):
        offered["mean_positive"] = positives
    return offered


def _positives(plan: Plan, batch: Batch, call: Call) -> float:
    """What mean_positive divides by: the sum of the targets that are kept, or 1; the number of
    peaks of a heatmap, and of rows of classes."""
    if plan.record.classes:
        return float(batch.kept.sum())
    targets = call.targets.astype(float)
    if call.problem.function == HEATMAP:
        targets = (targets >= call.problem.constants["peak"]).astype(float)
    if plan.convention("mean_positive") == "positives":
        targets = (targets > 0).astype(float)
    return max(1.0, float(targets[batch.kept].sum()))


def _has_mean_positive(port: PythonPort, plan: Plan) -> bool:
    """Few ports have it. Those that take any name make of it what they make of all that they do
    not know."""
    call = call_of(plan)
    try:
        ask(port, call, reduction="mean_positive")
    except PortError:
        return False
    try:
        ask(port, call, reduction="no such reduction")
    except PortError:
        return True
    return False


def _reduction(
    port: PythonPort, call: Call, reduction: str, divisor: float, batch: Batch
) -> Iterator[Finding]:
    result = ask(port, call, reduction=reduction, **batch.options)
    terms = batch.terms(call)
    total = total_of(terms, [1.0] * len(terms), divisor)
    names = ", ".join(batch.options) or "nothing"
    message = f"{reduction} divides by {divisor:g} here; {names} is given"
    yield from findings_of(call, result, [total], {"reduction": reduction} | batch.options, message)


def _mean(plan: Plan, batch: Batch, call: Call) -> float:
    weights = batch.kept * batch.weights
    alpha = plan.fixed.get("alpha")
    if plan.record.classes and alpha is not None:
        weights = weights * np.take(alpha, call.targets)
    count = len(call.terms)
    means = {"kept": batch.kept.sum(), "all": count, "weights": weights.sum(), "nothing": 1}
    return float(means[plan.convention("mean")])


def _own(port: PythonPort, plan: Plan, call: Call) -> str:
    """The reduction that a port has made which only gives one number for a batch: the one that is
    the nearest. A focal loss is expected to be a mean or a sum."""
    result = ask(port, call)
    if result.shape:
        raise PortError(f"a result of shape {result.shape}, where it was one number before")
    total = float(sum(term.value for term in call.terms))
    everything = plain(call)
    divisors = {"sum": 1.0, "mean": _mean(plan, everything, call)}
    if plan.record.family:
        divisors["mean_positive"] = _positives(plan, everything, call)
    return min(divisors, key=lambda name: abs(float(result) - total / divisors[name]))
