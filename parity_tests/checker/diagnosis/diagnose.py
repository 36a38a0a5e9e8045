"""Why a port fails: it is compared with the known conventions and the published mistakes."""

from collections.abc import Collection, Iterator

from parity_tests.checker.layers.check import LAYERS
from parity_tests.contract.family_records import FAMILY
from parity_tests.ports.subject import Plan, Subject

from . import sigmoid, soft, softmax, tails, usage
from .evidence import Diagnosis, Evidence
from .family.diagnose import diagnose as family


def diagnose(
    subject: Subject, plan: Plan, layers: Collection[str] = tuple(LAYERS)
) -> tuple[Diagnosis, ...]:
    """What explains the port's answers in the layers that fail, the formula first. Nothing, where
    nothing known does."""
    evidence = Evidence(subject, plan)
    explained = family if plan.record.name in FAMILY else _all
    return tuple(dict.fromkeys(explained(evidence, layers)))


def _all(evidence: Evidence, layers: Collection[str]) -> Iterator[Diagnosis]:
    if usage.is_unsteady(evidence):
        # Nothing else can be told from one answer.
        yield usage.UNSTEADY
        return
    formula = softmax if evidence.plan.record.classes else sigmoid
    found = list(formula.diagnose(evidence))
    yield from found
    if not found and "soft targets" in layers:
        yield from soft.diagnose(evidence)
    is_unknown = "unknown" in {diagnosis.name for diagnosis in found}
    # A softmax over the batch has other tails, and its rows depend on each other.
    is_over_rows = softmax.WRONG_AXIS in found
    if not is_unknown and not is_over_rows:
        yield from tails.diagnose(evidence, layers)
    # Of losses that nobody knows, options and sums are not known either.
    usable = {"shapes", "values"} & {*layers} if is_unknown else layers
    for diagnosis in usage.diagnose(evidence, usable):
        if diagnosis.name != "mixes_rows" or not is_over_rows:
            yield diagnosis
