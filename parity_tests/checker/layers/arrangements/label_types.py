"""Targets of every integer type that a port takes mean what they mean as numbers."""

from collections.abc import Iterator

from parity_tests.contract.problems import HEATMAP, VARIFOCAL
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import VALUE, Plan, PortError, Subject

from ..batch import ask, call_of, own_rounding, with_targets
from ..judge import Finding
from .alike import of_elements

# Their targets are overlaps or heights, for which nobody has integers.
OF_SCORES = (VARIFOCAL, HEATMAP)
KINDS = ("int64", "int32", "int16", "int8", "uint8", "bool")


def label_types(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if not isinstance(subject, PythonPort) or subject.one_by_one or plan.probabilities:
        return
    if plan.record.name in OF_SCORES:
        return
    call = call_of(plan)
    if plan.record.family:
        call = with_targets(call, call.targets == 1, plan)
    ids = call.targets.astype(int)
    usual = ask(subject, call)
    rounding = own_rounding(subject, call, VALUE)
    for kind in KINDS:
        if kind == "bool" and plan.record.classes:
            continue
        try:
            result = ask(subject, call, targets=ids.astype(kind))
        except PortError:
            # It need not take all of them.
            continue
        message = f"targets of type {kind} have other losses than the same numbers"
        if result.shape == usual.shape:
            where = {"targets": kind}
            yield from of_elements(call, VALUE, usual, result, where, message, rounding)
