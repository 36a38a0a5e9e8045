"""Why a port of a varifocal, heatmap or asymmetric loss fails: its formula first, then its tails.

Of a formula that nobody knows the tails are not known either.
"""

from collections.abc import Collection, Iterator

from parity_tests.checker.diagnosis.evidence import Diagnosis, Evidence
from parity_tests.checker.diagnosis.usage import UNSTEADY

from . import ordinary, tails

# The layers that ask for losses or gradients of each sample.
OF_SAMPLES = {"values", "gradients", "second order", "special values", "dtypes"}


def diagnose(evidence: Evidence, layers: Collection[str]) -> Iterator[Diagnosis]:
    if not OF_SAMPLES & {*layers}:
        return
    if ordinary.is_unsteady(evidence):
        yield UNSTEADY
        return
    answers = ordinary.Answers.of(evidence)
    if not answers.asked:
        # What is an error of the port is a finding of its layer.
        return
    reading = ordinary.reading_of(answers)
    found = list(ordinary.diagnose(answers, reading))
    yield from found
    if reading is None:
        return
    named = {diagnosis.name for diagnosis in found}
    for diagnosis in tails.diagnose(evidence, reading.formula):
        # What is lost at ordinary logits is lost further out as well.
        if diagnosis.name not in named:
            yield diagnosis
