"""The questions for a port in another language, and that the page of the protocol has them."""

import json
import re
import shlex
import subprocess
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from parity_tests.contract import golden
from parity_tests.contract.problems import Problem
from parity_tests.contract.records import RECORDS
from parity_tests.contract.tolerances import EPS, PER_GAMMA, SIGMOID
from parity_tests.ports import protocol
from parity_tests.ports.program import ORDERS
from parity_tests.ports.subject import Plan
from parity_tests.tests import ROOT

from .processes import PATIENT, PLAN, TAKEN, problem


def test_questions_have_the_form_of_the_golden_vectors() -> None:
    """Where everything varies, a question is a golden vector without its results."""
    taken = ["logits", "targets", "alpha", "gamma", "weight", "soft_targets"]
    for record in RECORDS.values():
        if record.of_logits:
            # No program is asked about it: it answers the vectors.
            continue
        plan = Plan(record, "float64")
        text = (golden.FOLDER / f"{record.name}_float64.jsonl").read_text()
        vectors = map(json.loads, text.splitlines())
        for one, _ in golden.read(record.name, "float64"):
            for row, vector in zip(range(len(one.points)), vectors, strict=False):
                question = protocol.question(one, row, plan, taken)
                assert question.keys() == {"arguments", "constants"}
                assert question.items() <= vector.items()


def test_settings_are_sent_as_far_as_the_port_takes_them() -> None:
    record = RECORDS["softmax_focal_loss"]
    names = ("logits0", "logits1", "logits2")
    points = np.array([[1.0, -np.inf, np.nan]])
    one = Problem(record.name, "float64", names, points, np.array([2]), {"gamma": 2})
    plan = Plan(record, "float64", fixed={"alpha": (0.5, 2.0, 0.25, 9.0)})
    logits = {"logits0": "0x1.0000000000000p+0", "logits1": "-inf", "logits2": "nan"}
    alpha = {"alpha0": (0.5).hex(), "alpha1": (2.0).hex(), "alpha2": (0.25).hex()}
    arguments = {**logits, "targets": 2}
    everything = protocol.question(one, 0, plan, TAKEN)
    assert everything["arguments"] == {**arguments, **alpha, "gamma": (2.0).hex()}
    little = protocol.question(one, 0, plan, TAKEN[:2])
    assert little == {"arguments": arguments, "constants": {}}
    free = protocol.question(one, 0, Plan(record, "float64"), TAKEN)
    assert free["constants"] == {"alpha": None}


def answers_of(command: str, questions: list[str]) -> list[Any]:
    text = "".join(f"{line}\n" for line in questions)
    lines = subprocess.check_output(shlex.split(command), input=text, text=True, timeout=PATIENT)
    return [json.loads(line) for line in lines.splitlines()]


def require_results(mine: dict[str, str], theirs: dict[str, str], gamma: float) -> None:
    """As close as results of a port have to be to the truth, which is what the page has."""
    assert mine.keys() == theirs.keys() == set(ORDERS.values())
    for order, name in ORDERS.items():
        bound = (SIGMOID[order] + PER_GAMMA * gamma) * EPS["float64"]
        truth = float.fromhex(theirs[name])
        assert float.fromhex(mine[name]) == pytest.approx(truth, rel=bound, abs=0), name


@pytest.mark.parametrize("name", ["focal.c", "focal.js"])
def test_the_conversation_on_the_page(commands: dict[str, str], name: str) -> None:
    """The questions of the page are those of the protocol, and its answers those of the port."""
    page = (ROOT / "docs" / "protocol.md").read_text()
    questions = re.findall("^→ (.*)$", page, re.M)
    expected = [json.loads(line) for line in re.findall("^← (.*)$", page, re.M)]
    handshake = protocol.handshake(replace(PLAN, dtype="float64"), "float64")
    first = replace(problem(0.0), constants={"gamma": 0.0, "alpha": 0.25})
    second = replace(problem(np.inf, alpha=None), ids=np.array([0]))
    samples = [protocol.question(one, 0, PLAN, TAKEN) for one in (first, second)]
    lines = (handshake, {"id": 1, **samples[0]}, {"id": 2, **samples[1]})
    assert questions == [protocol.compact(line) for line in lines]
    answers = answers_of(commands[name], questions)
    assert answers[0] == expected[0]
    gammas = [float.fromhex(json.loads(line)["arguments"]["gamma"]) for line in questions[1:]]
    for mine, theirs, gamma in zip(answers[1:], expected[1:], gammas, strict=True):
        assert mine["id"] == theirs["id"]
        require_results(mine["results"], theirs["results"], gamma)


def test_a_result_that_is_no_rounding_of_the_page_is_noticed() -> None:
    right = dict.fromkeys(ORDERS.values(), (1.0).hex())
    require_results(right, right, 0.0)
    for order, name in ORDERS.items():
        off = 1 + (SIGMOID[order] + 1) * EPS["float64"]
        wrong = right | {name: off.hex()}
        with pytest.raises(AssertionError, match=name):
            require_results(wrong, right, 0.0)
