"""A check from first contact to report: the port is called once by hand, then judged layer by
layer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from parity_tests.contract.problems import Problem
from parity_tests.contract.records import Record
from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports import questions
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import BadPortError, Plan, PortError, Subject, UnsupportedError

from . import grades, judge
from .arguments import arguments
from .backward import backward
from .identities import IDENTITIES
from .judge import FAIL, NOT_OFFERED, PASS, Check, Finding, Row, verdict
from .linear import kernel_and_bias
from .neighbours import neighbours
from .options import ERRORS, options
from .special import SPECIAL
from .transformations import transformations


@dataclass(frozen=True)
class Report:
    """Everything that was found out about a port in one dtype."""

    title: str
    plan: Plan
    rows: tuple[Row, ...]
    diagnosis: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        return all(row.status != FAIL for row in self.rows)

    @property
    def grade(self) -> str:
        """The highest that all rows leave, or "" if that is none."""
        row = self.limit
        return grades.COMPLETE if row is None else grades.below(row.kept_from)

    @property
    def limit(self) -> Row | None:
        """The row that keeps the port from the next grade, the first of them."""
        kept = [row for row in self.rows if row.kept_from]
        return min(kept, key=lambda row: grades.ORDER.index(row.kept_from), default=None)


def _all_of(
    parts: list[Check], subject: Subject, plan: Plan, failed: list[PortError]
) -> Iterator[Finding]:
    """The findings of these parts of a layer; after an error of the port the next part is asked."""
    for part in parts:
        try:
            yield from part(subject, plan, failed)
        except PortError as error:
            failed.append(error)


def _special(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    parts = [SPECIAL[name] for name in plan.record.special]
    yield from _all_of(parts, subject, plan, failed)


def _identities(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if not plan.probabilities:
        parts = [IDENTITIES[name] for name in plan.record.identities]
        yield from _all_of(parts, subject, plan, failed)


def _shapes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    parts = [ERRORS[name] for name in plan.record.errors]
    yield from _all_of(parts, subject, plan, failed)


# A layer that is optional may be refused by an error of the port, but not answered wrongly.
LAYERS: dict[str, tuple[Check, bool]] = {
    "values": (judge.values, False),
    "soft targets": (judge.soft_targets, True),
    "gradients": (judge.gradients, False),
    "second order": (judge.second_order, False),
    "special values": (_special, False),
    "identities": (_identities, False),
    "options": (options, False),
    "backward": (backward, False),
    "kernel and bias": (kernel_and_bias, False),
    "arguments": (arguments, False),
    "transformations": (transformations, True),
    "neighbours": (neighbours, False),
    "shapes": (_shapes, False),
    "dtypes": (judge.other_dtypes, True),
}


def check(subject: Subject, plan: Plan, layers: Iterable[str] | None = None) -> Report:
    """The rows of these layers, or of all, after what was learned at first contact."""
    if layers is None:
        layers = layers_of(plan.record)
    rows = [_names(subject, plan)]
    rows += [layer(subject, plan, name) for name in layers]
    return Report(subject.title, plan, tuple(rows))


def layers_of(record: Record) -> list[str]:
    """Those that are about this function."""
    # Of a linear layer, targets are class ids.
    another = "soft targets" if record.of_logits else "kernel and bias"
    return [name for name in LAYERS if name != another]


def layer(subject: Subject, plan: Plan, name: str) -> Row:
    if name not in layers_of(plan.record):
        return Row(name, NOT_OFFERED, note=f"{plan.record.name} has none")
    judged, optional = LAYERS[name]
    failed: list[PortError] = []
    return verdict(name, judged(subject, plan, failed), failed, optional, plan.dtype)


def _names(subject: Subject, plan: Plan) -> Row:
    """What was learned at first contact: this row always passes."""
    arguments = [argument.name for argument in plan.record.arguments]
    lacking = [name for name in arguments if not subject.takes(name)]
    notes = [f"without {', '.join(lacking)}"] if lacking else []
    for name, value in plan.fixed.items():
        if not subject.takes(name):
            notes.append(f"{name} = {value}")
    if not plan.without_alpha:
        notes.append("alpha=None is refused")
    if getattr(subject, "one_by_one", False):
        notes.append("one number per batch")
    return Row("names", PASS, count=len(arguments) - len(lacking), note="; ".join(notes))


def first_contact(port: PythonPort) -> PythonPort:
    """Call the port once as its users do. Raise BadPortError, with what to do, if nothing can be
    learned from it."""
    problem = questions.first(port.plan)
    logits = problem.argument("logits").astype(DTYPES[port.plan.dtype])
    try:
        losses = port.call(logits, port.arguments(problem, logits))
    except UnsupportedError as error:
        message = f"{port.title} cannot be checked in {port.plan.dtype}: {error}"
        raise BadPortError(f"{message}; choose another --dtype") from None
    except PortError as error:
        raise BadPortError(
            f"{port.title} raised {error}; it was called with logits of shape {logits.shape}, "
            f"{port.plan.dtype}: see --map, --set, --pass and --dtype"
        ) from None
    _require_losses(port, logits, losses)
    port = replace(port, one_by_one=losses.shape == ())
    return _without_alpha(port, problem, logits)


def _without_alpha(port: PythonPort, problem: Problem, logits: np.ndarray) -> PythonPort:
    """Leave alpha=None out if the port raises an error for it."""
    if port.takes("alpha") and "alpha" not in port.plan.fixed and not port.plan.record.classes:
        arguments = port.arguments(problem, logits) | {"alpha": None}
        try:
            port.call(logits, arguments)
        except PortError:
            return replace(port, plan=replace(port.plan, without_alpha=False))
    return port


def _require_losses(port: PythonPort, logits: np.ndarray, losses: np.ndarray) -> None:
    """Raise BadPortError unless these are losses of the logits, one each or one for all."""
    # To numpy, bfloat16 is of the kind V.
    if losses.dtype.kind not in "fV" and losses.dtype != logits.dtype:
        raise BadPortError(
            f"{port.title} returned {losses.dtype}, not numbers: return the loss as an array"
        )
    expected = logits.shape[:1]
    if losses.shape not in ((), expected):
        raise BadPortError(
            f"{port.title} returned shape {losses.shape} for logits of shape {logits.shape}: "
            f"one loss per element, shape {expected}, is expected"
        )
    if not port.may_return(losses, logits):
        raise BadPortError(
            f"{port.title} returned {losses.dtype} for logits of {logits.dtype}: "
            f"return the dtype of the logits, or check with --dtype {losses.dtype}"
        )
    if np.isnan(losses.astype(float)).all():
        raise BadPortError(
            f"{port.title} returns NaN for every one of {len(logits)} ordinary logits: "
            "nothing to judge"
        )
