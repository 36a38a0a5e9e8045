"""Why a port fails: it is compared with the known conventions and the published mistakes."""

from collections.abc import Iterator

from . import classes, formula, ladders, usage
from .evidence import Diagnosis, Evidence
from .subject import Plan, Subject


def diagnose(subject: Subject, plan: Plan) -> tuple[Diagnosis, ...]:
    """What explains the port's answers, the formula first. Nothing, where nothing known does."""
    evidence = Evidence(subject, plan)
    return tuple(dict.fromkeys(_all(evidence)))


def _all(evidence: Evidence) -> Iterator[Diagnosis]:
    yield from (classes if evidence.plan.record.classes else formula).diagnose(evidence)
    yield from ladders.diagnose(evidence)
    yield from usage.diagnose(evidence)
