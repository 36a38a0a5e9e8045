"""Arguments as arrays: derivatives in γ, α, weight, and targets between 0 and 1, where a port takes
arrays for them and differentiates; and losses with several γ."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.exact import Draws
from parity_tests.contract.tolerances import DTYPES, FLOOR, allowed
from parity_tests.ports.compiled import Answers, gradients_together
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import (
    GRADIENT,
    VALUE,
    Plan,
    PortError,
    RefusedError,
    Subject,
)
from parity_tests.truth import oracle
from parity_tests.truth.jets import Jet, Key, Term, column

from . import truth
from .backward import differentiable
from .batch import (
    CLASS_WEIGHTS,
    REDUCED,
    WEIGHTS,
    Call,
    call_of,
    findings_of,
    logits_of,
    own_rounding,
)
from .judge import Finding, digits
from .option_jets import gamma_of_elements, jets_with
from .several_gammas import ALIKE, Accepted, accepted_gammas
from .ways import EVERY_OTHER

SOFT = (0.25, 0.75, 0.5, 0.125, 0.875, 0.625)


class Question(NamedTuple):
    """An argument in which a sum of losses is differentiated, and the truths in its order."""

    argument: str
    value: np.ndarray
    losses: list[Term]
    truths: list[Term]


def arguments(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    port = differentiable(subject, plan)
    if port is None or port.one_by_one or plan.convention("form") == "FL*":
        return
    call = call_of(plan)
    accepted = accepted_gammas(port, plan, call, failed)
    yield from _with_several_gammas(port, plan, call, accepted)
    questions = _of_classes(plan, call) if plan.record.classes else _of_elements(plan, call)
    asked = [question for question in questions if _is_taken(port, plan, question)]
    asked += _in_several_gammas(plan, call, accepted)
    known = _in_one_program(port, plan, call, asked)
    for question, answer in zip(asked, known, strict=True):
        try:
            yield from _findings(port, plan, call, question, answer)
        except RefusedError:
            # Most ports take numbers alone.
            continue
        except PortError as error:
            failed.append(error)


def _is_taken(port: PythonPort, plan: Plan, question: Question) -> bool:
    return question.argument not in plan.fixed and port.takes(question.argument)


def _with_several_gammas(
    port: PythonPort, plan: Plan, call: Call, accepted: list[Accepted]
) -> Iterator[Finding]:
    """Losses with several γ, where the port accepts them."""
    rounding = float(own_rounding(port, call, VALUE).max()) if accepted else 0.0
    for name, options, losses in accepted:
        terms = [jet[()] for jet in jets_with(plan, call, options)]
        message = (
            f"{name}: the losses are not those of these γ; if the loss takes one number, an array "
            "has to be an error"
        )
        for finding in findings_of(call, losses, terms, options, message):
            yield finding._replace(allowed=finding.allowed + rounding)


def _in_several_gammas(plan: Plan, call: Call, accepted: list[Accepted]) -> Iterator[Question]:
    """Gradients in γ, per class and per element."""
    ids = call.problem.ids
    assert ids is not None
    if plan.convention("alpha") not in ("positive", ""):
        return
    alpha = call.problem.constants.get("alpha")
    for _, options, _ in accepted:
        if "label_smoothing" in options:
            continue
        gamma: np.ndarray = options["gamma"]
        own = gamma_of_elements(gamma, ids)
        if plan.record.classes:
            one_hot = np.eye(call.problem.points.shape[1])[ids]
            jets = _softmax_jets(call, one_hot, alpha, own)
        else:
            jets = _sigmoid_jets(call, ids.tolist(), alpha, own)
        yield _of_several(gamma, ids, jets)


def _of_several(gamma: np.ndarray, ids: np.ndarray, jets: list[Jet]) -> Question:
    """Of one γ per element, or of one per class, which the elements of that class share."""
    truths = [_shared(i, jet[("gamma",)]) for i, jet in enumerate(jets)]
    losses = [jet[()] for jet in jets]
    if gamma.size == len(ids):
        return Question("gamma", gamma, losses, truths)
    totals: list[Term] = []
    for own in range(gamma.size):
        of_class = [term for term, id in zip(truths, ids.tolist(), strict=True) if id == own]
        totals.append(_sum(of_class))
    return Question("gamma", gamma, losses, totals)


def _in_one_program(port: PythonPort, plan: Plan, call: Call, questions: list[Question]) -> Answers:
    """The gradients that can be compiled together."""
    logits = logits_of(call.problem)
    dtype = DTYPES[plan.dtype]
    values = [(question.argument, question.value.astype(dtype)) for question in questions]
    arguments = port.arguments(call.problem, logits)
    return gradients_together(port, values, logits, arguments, np.array(EVERY_OTHER, dtype))


def _of_elements(plan: Plan, call: Call) -> Iterator[Question]:
    if plan.convention("alpha") != "positive":
        return
    ids = call.problem.ids
    assert ids is not None
    alpha = call.problem.constants["alpha"]
    jets = _sigmoid_jets(call, ids.tolist(), alpha)
    yield _of_sum("gamma", np.array(call.gamma), jets, ["gamma"])
    yield _of_each("weight", np.array(WEIGHTS), jets, [()])
    if alpha is not None:
        yield _of_sum("alpha", np.array(alpha), jets, ["alpha"])
    if plan.convention("soft_targets") == "interpolate":
        jets = _sigmoid_jets(call, SOFT, alpha)
        yield _of_each("targets", np.array(SOFT), jets, [("targets",)])


def _of_classes(plan: Plan, call: Call) -> Iterator[Question]:
    ids = call.problem.ids
    assert ids is not None
    classes = range(call.problem.points.shape[1])
    one_hot = np.eye(len(classes))[ids]
    alpha = call.problem.constants.get("alpha")
    jets = _softmax_jets(call, one_hot, alpha)
    yield _of_sum("gamma", np.array(call.gamma), jets, ["gamma"])
    yield _of_each("weight", np.array(WEIGHTS), jets, [()])
    weighted = _softmax_jets(call, one_hot, CLASS_WEIGHTS)
    names = [column("alpha", c) for c in classes]
    yield _of_sum("alpha", np.array(CLASS_WEIGHTS), weighted, names)
    soft = Draws(2).simplex(len(ids), len(classes))
    # Numbers of every dtype, which need not add up to 1.
    soft = np.round(soft * 16) / 16
    keys: list[Key] = [(column("targets", c),) for c in classes]
    yield _of_each("targets", soft, _softmax_jets(call, soft, alpha), keys)


def _sigmoid_jets(
    call: Call, targets: Any, alpha: float | None, gamma: Sequence[float] | None = None
) -> list[Jet]:
    """With the γ of the call, or one per element."""
    own = gamma or [call.gamma] * len(call.jets)
    samples = zip(call.problem.points[:, 0].tolist(), targets, own, strict=True)
    args = [(z, float(y), alpha, g) for z, y, g in samples]
    return [oracle.certified(oracle.sigmoid_focal_loss, *each) for each in args]


def _softmax_jets(
    call: Call, targets: np.ndarray, alpha: Any, gamma: Sequence[float] | None = None
) -> list[Jet]:
    """With the γ of the call, or one per element."""
    own = gamma or [call.gamma] * len(call.jets)
    samples = zip(call.problem.points.tolist(), targets.tolist(), own, strict=True)
    args = [(z, y, alpha, g) for z, y, g in samples]
    return [oracle.certified(oracle.softmax_focal_loss, *each) for each in args]


def _of_sum(argument: str, value: np.ndarray, jets: list[Jet], names: list[str]) -> Question:
    """Of an argument that all elements share, with these variables."""
    total: list[Term] = []
    for name in names:
        terms = [_shared(i, jet[(name,)]) for i, jet in enumerate(jets)]
        total.append(_sum(terms))
    return Question(argument, value, [jet[()] for jet in jets], total)


def _sum(terms: list[Term]) -> Term:
    with mpmath.workdps(truth.DIGITS):
        return sum(terms[1:], start=terms[0])


def _of_each(argument: str, value: np.ndarray, jets: list[Jet], keys: list[Key]) -> Question:
    """Of an argument that each element has its own of, with these keys."""
    terms = [_shared(i, jet[key]) for i, jet in enumerate(jets) for key in keys]
    return Question(argument, value, [jet[()] for jet in jets], terms)


def _shared(element: int, term: Term) -> Term:
    """The term times the cotangent of its element."""
    with mpmath.workdps(truth.DIGITS):
        cotangent = mpf(EVERY_OTHER[element])
        return term * Term(cotangent, abs(cotangent))


def _agree(losses: np.ndarray, question: Question) -> bool:
    expected = [float(loss.value) for loss in question.losses]
    if question.argument == "weight":
        expected = [x * weight for x, weight in zip(expected, WEIGHTS, strict=True)]
    return losses.shape == (len(expected),) and np.allclose(losses, expected, rtol=ALIKE)


def _findings(
    port: PythonPort, plan: Plan, call: Call, question: Question, result: np.ndarray | None
) -> Iterator[Finding]:
    logits = logits_of(call.problem)
    dtype = DTYPES[plan.dtype]
    others = port.arguments(call.problem, logits)
    cotangent = np.array(EVERY_OTHER, dtype)
    value = question.value.astype(dtype)
    losses = port.call(logits, others | {question.argument: value}).astype(float)
    if not _agree(losses, question):
        # What a port makes of these arguments by itself is the question of other layers.
        return
    if result is None:
        result = port.gradient_in(question.argument, value, logits, others, cotangent)
    result = result.astype(float)
    if result.shape != value.shape:
        raise RefusedError(f"a gradient of shape {result.shape} in {question.argument}")
    units = allowed(call.problem.function, (question.argument,), call.gamma, plan.dtype) + REDUCED
    floor = FLOOR[plan.dtype][GRADIENT]
    message = f"the gradient in {question.argument} is not the derivative of the loss"
    if not result.any():
        message = f"the gradient in {question.argument} is 0 everywhere"
    for entry, (x, term) in enumerate(zip(result.ravel().tolist(), question.truths, strict=True)):
        error = math.inf if math.isnan(x) else error_in_eps(x, term, plan.dtype, floor)
        point: dict[str, Any] = dict(call.problem.constants)
        point |= {"derivative in": question.argument, "entry": entry}
        yield Finding(error, units, x, digits(term), point, message)
