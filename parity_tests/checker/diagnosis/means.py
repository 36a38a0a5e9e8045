"""By which number a port's reductions divide, if not by the one that was asked for."""

import math
from collections.abc import Iterator

import numpy as np

from parity_tests.checker.layers import truth
from parity_tests.checker.layers.batch import Call, ask
from parity_tests.checker.layers.problems import hard_problem, usual_gammas
from parity_tests.checker.layers.reductions import CLASS_WEIGHTS, Batch, divisors
from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import PortError

from . import messages
from .evidence import Diagnosis, Evidence

# Seven elements, of which no two of the numbers below count the same.
LOGITS = (0.5, -1.0, 0.25, 1.5, -0.75, 0.75, -0.25)
ROWS = tuple((x, 0.5, -x) for x in LOGITS)
IDS = (1, 0, 0, 1, 1, 0, 0)
CLASSES = (1, 0, 2, 1, 1, 0, 2)
KEPT = (True, False, True, True, False, True, True)
WEIGHTS = (0.5, 2.0, 0.0, 1.0, 4.0, 0.25, 1.5)
ASKED = {"sum": "nothing", "mean_positive": "positives"}


def diagnose(evidence: Evidence, port: PythonPort) -> Iterator[Diagnosis]:
    call = _call(evidence)
    if not port.takes("reduction"):
        own = list(_own(evidence, port, call))
        if own:
            yield from own
            return
    found: dict[str, list[tuple[Batch, float, float]]] = {}
    for batch in _batches(evidence, port, call):
        for reduction, divisor in divisors(port, evidence.plan, batch, call).items():
            try:
                got = _divisor(evidence, port, call, batch, reduction)
            except (PortError, TypeError):
                continue
            found.setdefault(reduction, []).append((batch, got, divisor))
    for reduction, numbers in found.items():
        if not all(_is(evidence, got, divisor) for _, got, divisor in numbers):
            yield _diagnosis(evidence, call, reduction, numbers)


def _own(evidence: Evidence, port: PythonPort, call: Call) -> Iterator[Diagnosis]:
    """What the one number divides by that a port gives for a batch."""
    batch = Batch({}, np.ones(len(IDS), bool), np.ones(len(IDS)))
    total = math.fsum(float(term.value) for term in call.terms)
    try:
        got = total / float(ask(port, call))
    except (PortError, TypeError, ZeroDivisionError):
        return
    texts = {**messages.DIVISORS, **messages.DIVISORS_OF_ALL}
    numbers = _numbers(evidence, call, batch)
    names = [name for name in texts if _is(evidence, got, numbers.get(name, 0.0))]
    if {"kept", "nothing"} & {*names}:
        return
    divisor = texts[names[0]] if names else f"{got:.4g}, for a batch of {len(IDS)}"
    message = f"your one number for a batch is the sum over {divisor}; mean or sum is expected"
    yield Diagnosis(f"own_{names[0] if names else 'unknown'}", message)


def _is(evidence: Evidence, got: float, expected: float) -> bool:
    # The sum of seven losses, and a division.
    return math.isclose(got, expected, rel_tol=4 * evidence.near)


def _call(evidence: Evidence) -> Call:
    plan = evidence.plan
    gamma = usual_gammas(plan, (2.0, 0.5))[0]
    points, ids = np.array(LOGITS)[:, None], IDS
    if plan.record.classes:
        points, ids = np.array(ROWS), CLASSES
    problem = hard_problem(plan, points, np.array(ids), gamma, evidence.alpha)
    return Call(problem, truth.jets(problem, plan))


def _batches(evidence: Evidence, port: PythonPort, call: Call) -> Iterator[Batch]:
    """The batch as it is, and with each option that the losses follow: what is wrong with the
    others is not the divisor."""
    plan, ids = evidence.plan, call.targets
    dtype = DTYPES[plan.dtype]
    everything, ones = np.ones(len(ids), bool), np.ones(len(ids))
    kept = np.array(KEPT)
    options = [
        Batch({}, everything, ones),
        Batch({"where": kept}, kept, ones),
        Batch({"ignore_index": 0}, ids != 0, ones),
        Batch({"weight": np.array(WEIGHTS, dtype)}, everything, np.array(WEIGHTS)),
    ]
    if plan.record.classes:
        alpha = np.array(CLASS_WEIGHTS, dtype)
        options.append(Batch({"alpha": alpha}, everything, np.take(CLASS_WEIGHTS, ids)))
    for batch in options:
        if all(map(port.leaves_open, batch.options)) and _follows(evidence, port, call, batch):
            yield batch


def _follows(evidence: Evidence, port: PythonPort, call: Call, batch: Batch) -> bool:
    """Whether the losses without a reduction are those of the batch, if there are any."""
    if port.one_by_one:
        return True
    try:
        plain = ask(port, call).astype(float)
        losses = ask(port, call, **batch.options).astype(float)
    except PortError:
        return False
    expected = plain * batch.kept * batch.weights
    return losses.shape == expected.shape and evidence.agrees(losses, expected)


def _divisor(
    evidence: Evidence, port: PythonPort, call: Call, batch: Batch, reduction: str
) -> float:
    """What the sum of the port's own losses has to be divided by, to give its reduction."""
    losses = np.array([float(term.value) for term in call.terms])
    if not port.one_by_one:
        losses = ask(port, call).astype(float)
    total = math.fsum((losses * batch.kept * batch.weights).tolist())
    result = float(ask(port, call, reduction=reduction, **batch.options))
    return total / result if result else math.inf


def _diagnosis(
    evidence: Evidence, call: Call, reduction: str, numbers: list[tuple[Batch, float, float]]
) -> Diagnosis:
    texts = messages.DIVISORS
    if all(batch.kept.all() for batch, _, _ in numbers):
        texts = {**texts, **messages.DIVISORS_OF_ALL}
    asked = ASKED.get(reduction, evidence.plan.convention("mean"))
    text = f"asked was {texts[asked]}"
    if reduction == "sum":
        text = "a sum divides by nothing"
    for name in texts:
        known = [_numbers(evidence, call, batch).get(name, 0.0) for batch, _, _ in numbers]
        pairs = zip(numbers, known, strict=True)
        if all(_is(evidence, got, number) for (_, got, _), number in pairs):
            message = f"your {reduction} divides by {texts[name]}; {text}"
            return Diagnosis(f"{reduction}_{name}", message)
    wrong = [row for row in numbers if not _is(evidence, row[1], row[2])]
    batch, got, expected = wrong[0]
    given = ", ".join(batch.options) or "no option"
    message = (
        f"your {reduction} divides by {got:.4g} with {given} for a batch of {len(call.targets)}; "
        f"{text}, here {expected:g}"
    )
    return Diagnosis(f"{reduction}_unknown", message)


def _numbers(evidence: Evidence, call: Call, batch: Batch) -> dict[str, float]:
    """What is there to divide by, under the names of `messages.DIVISORS`."""
    ids = call.targets
    kept, weights = batch.kept, batch.weights
    count = len(ids)
    numbers: dict[str, float] = {
        "all": count,
        "kept": kept.sum(),
        "weights": (kept * weights).sum(),
        "all_weights": weights.sum(),
        "nonzero": (kept & (weights != 0)).sum(),
        "nothing": 1,
        "but_one": kept.sum() - 1,
    }
    if evidence.plan.record.classes:
        return numbers | {"logits": count * 3, "kept_logits": kept.sum() * 3, "classes": 3}
    positives = ids == 1
    numbers |= {"positives": (kept & positives).sum(), "all_positives": positives.sum()}
    if isinstance(evidence.alpha, float):
        alphas = np.where(positives, evidence.alpha, 1 - evidence.alpha)
        numbers["alphas"] = (kept * alphas).sum()
    return numbers
