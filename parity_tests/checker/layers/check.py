"""A check from what was learned at first contact to the report, layer by layer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from parity_tests.contract.records import Record
from parity_tests.ports.subject import Plan, PortError, Subject

from . import grades, judge
from .arguments.arguments import arguments
from .arrangements.axes import in_axes
from .arrangements.beside import beside_gradient, in_memory
from .arrangements.classes import among_classes
from .arrangements.label_types import label_types
from .arrangements.neighbours import neighbours
from .arrangements.random_states import random_states_stay
from .backward import backward
from .family.identities import IDENTITIES as FAMILY_IDENTITIES
from .family.special import SPECIAL as FAMILY_SPECIAL
from .identities import IDENTITIES
from .judge import FAIL, NOT_OFFERED, PASS, Check, Finding, Row, verdict
from .linear_layer.kernel_and_bias import kernel_and_bias
from .options import in_other_dtypes, options
from .shapes import ERRORS
from .soft_options import soft_options
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
    known = FAMILY_SPECIAL if plan.record.family else SPECIAL
    parts = [known[name] for name in plan.record.special]
    yield from _all_of(parts, subject, plan, failed)


def _identities(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if not plan.probabilities:
        known = FAMILY_IDENTITIES if plan.record.family else IDENTITIES
        parts = [known[name] for name in plan.record.identities]
        yield from _all_of(parts, subject, plan, failed)


def _shapes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    parts = [ERRORS[name] for name in plan.record.errors]
    yield from _all_of(parts, subject, plan, failed)


def _dtypes(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    yield from _all_of([judge.other_dtypes, in_other_dtypes], subject, plan, failed)


def _soft_targets(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    yield from _all_of([judge.soft_targets, soft_options], subject, plan, failed)


def _backward(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    yield from _all_of([backward, beside_gradient], subject, plan, failed)


ARRANGEMENTS: list[Check] = [among_classes, in_axes, in_memory, label_types, random_states_stay]


def _neighbours(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    is_right = True
    for finding in _all_of([neighbours], subject, plan, failed):
        is_right = is_right and finding.error <= finding.allowed
        yield finding
    if is_right:
        # What depends on its neighbours would be blamed for its axes as well.
        yield from _all_of(ARRANGEMENTS, subject, plan, failed)


# A layer that is optional may be refused by an error of the port, but not answered wrongly.
LAYERS: dict[str, tuple[Check, bool]] = {
    "values": (judge.values, False),
    "soft targets": (_soft_targets, True),
    "gradients": (judge.gradients, False),
    "second order": (judge.second_order, False),
    "special values": (_special, False),
    "identities": (_identities, False),
    "options": (options, False),
    "backward": (_backward, False),
    "kernel and bias": (kernel_and_bias, False),
    "arguments": (arguments, False),
    "transformations": (transformations, True),
    "neighbours": (_neighbours, False),
    "shapes": (_shapes, False),
    "dtypes": (_dtypes, True),
}


def check(subject: Subject, plan: Plan, layers: Iterable[str] | None = None) -> Report:
    """The rows of these layers, or of all, after what was learned at first contact."""
    if layers is None:
        layers = layers_of(plan.record)
    return report(subject, plan, [layer(subject, plan, name) for name in layers])


def report(subject: Subject, plan: Plan, rows: Iterable[Row]) -> Report:
    """These rows, after what was learned at first contact."""
    return Report(subject.title, plan, (_names(subject, plan), *rows))


def layers_of(record: Record) -> list[str]:
    """Those that are about this function."""
    names = [*LAYERS]
    if not record.of_logits:
        names.remove("kernel and bias")
    # Of a linear layer, targets are class ids, and those of the family are soft in all layers.
    if record.family or record.of_logits:
        names.remove("soft targets")
    return names


def layer(subject: Subject, plan: Plan, name: str) -> Row:
    if name not in layers_of(plan.record):
        return Row(name, NOT_OFFERED, note=f"no layer of {plan.record.name}")
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
    notes += getattr(subject, "notes", ())
    return Row("names", PASS, count=len(arguments) - len(lacking), note="; ".join(notes))
