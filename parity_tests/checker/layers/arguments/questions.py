"""The arguments in which a sum of losses is differentiated, with their truths."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import mpmath
import numpy as np
from mpmath import mpf

from parity_tests.contract.exact import Draws
from parity_tests.contract.problems import Problem, powers_of
from parity_tests.ports.subject import Plan
from parity_tests.truth import oracle
from parity_tests.truth.jets import Jet, Key, Term, column

from .. import truth
from ..batch import CLASS_WEIGHTS, WEIGHTS, Call
from ..option_jets import gamma_of_elements
from ..several_gammas import Accepted
from ..ways import EVERY_OTHER

SOFT = (0.25, 0.75, 0.5, 0.125, 0.875, 0.625)


class Question(NamedTuple):
    """An argument in which a sum of losses is differentiated, and the truths in its order."""

    argument: str
    value: np.ndarray
    losses: list[Term]
    truths: list[Term]


def questions(plan: Plan, call: Call) -> Iterator[Question]:
    if plan.record.family:
        return _of_family(call)
    return _of_classes(plan, call) if plan.record.classes else _of_elements(plan, call)


def _of_family(call: Call) -> Iterator[Question]:
    """In what multiplies the losses, in every power, and in targets of which none is hard."""
    constants = call.problem.constants
    powers = powers_of(call.problem.function)
    names = [name for name in ("alpha", *powers) if constants[name] is not None]
    settings = {name: np.array(float(constants[name])) for name in names}
    jets = _jets_in(call, settings)
    yield _of_each("weight", np.array(WEIGHTS), jets, [()])
    for name, value in settings.items():
        yield _of_sum(name, value, jets, [name])
    soft = {"targets": np.array(SOFT)}
    yield _of_each("targets", soft["targets"], _jets_in(call, soft), [("targets",)])


def _jets_in(call: Call, settings: Mapping[str, np.ndarray]) -> list[Jet]:
    """With these settings, numbers or arrays, as variables beside logits and targets."""
    problem = call.problem
    arguments = {"logits": problem.argument("logits"), "targets": call.targets}
    for name, value in settings.items():
        arguments[name] = np.resize(value, len(problem.points))
    constants = {name: x for name, x in problem.constants.items() if name not in settings}
    asked = Problem.of(problem.function, problem.dtype, arguments, constants=constants)
    return [asked.truth(row) for row in range(len(asked.points))]


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


def in_several_gammas(plan: Plan, call: Call, accepted: list[Accepted]) -> Iterator[Question]:
    """Gradients in γ, per class and per element."""
    if not plan.record.family and plan.convention("alpha") not in ("positive", ""):
        return
    alpha = call.problem.constants.get("alpha")
    targets = call.targets
    for _, options, _ in accepted:
        if "label_smoothing" in options:
            continue
        gamma: np.ndarray = options["gamma"]
        own = gamma_of_elements(gamma, targets)
        if plan.record.family:
            jets = _jets_in(call, {"gamma": gamma})
        elif plan.record.classes:
            one_hot = np.eye(call.problem.points.shape[1])[targets]
            jets = _softmax_jets(call, one_hot, alpha, own)
        else:
            jets = _sigmoid_jets(call, targets.tolist(), alpha, own)
        yield _of_several(gamma, targets, jets)


def _of_several(gamma: np.ndarray, targets: np.ndarray, jets: list[Jet]) -> Question:
    """Of one γ per element, or of one per class, which the elements of that class share."""
    truths = [_shared(i, jet[("gamma",)]) for i, jet in enumerate(jets)]
    losses = [jet[()] for jet in jets]
    if gamma.size == len(targets):
        return Question("gamma", gamma, losses, truths)
    totals: list[Term] = []
    for own in range(gamma.size):
        of_class = [term for term, id in zip(truths, targets.tolist(), strict=True) if id == own]
        totals.append(_sum(of_class))
    return Question("gamma", gamma, losses, totals)
