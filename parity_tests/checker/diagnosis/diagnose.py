"""Why a port fails: it is compared with the known conventions and the published mistakes."""

from collections.abc import Iterator

from parity_tests.ports.subject import Plan, Subject

from . import sigmoid, softmax, tails, usage
from .evidence import Diagnosis, Evidence


def diagnose(subject: Subject, plan: Plan) -> tuple[Diagnosis, ...]:
    """What explains the port's answers, the formula first. Nothing, where nothing known does."""
    evidence = Evidence(subject, plan)
    return tuple(dict.fromkeys(_all(evidence)))


def _all(evidence: Evidence) -> Iterator[Diagnosis]:
    formula = softmax if evidence.plan.record.classes else sigmoid
    yield from formula.diagnose(evidence)
    yield from tails.diagnose(evidence)
    yield from usage.diagnose(evidence)
