"""What a port in another language is asked, and that the page of the protocol says just this."""

import json
import re
import shlex
import subprocess
from dataclasses import replace

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
    for record in RECORDS.values():
        taken = ["logits", "targets", "alpha", "gamma", "weight", "soft_targets"]
        text = (golden.FOLDER / f"{record.name}_float64.jsonl").read_text()
        lines = iter(text.splitlines())
        for one, _ in golden.read(record.name, "float64"):
            for row, line in zip(range(len(one.points)), lines, strict=False):
                said = json.loads(line)
                asked = protocol.question(one, row, Plan(record, "float64"), taken)
                assert asked == {"arguments": said["arguments"], "constants": said["constants"]}


def test_settings_are_sent_as_far_as_the_port_takes_them() -> None:
    record = RECORDS["softmax_focal_loss"]
    points, ids = np.array([[1.0, -np.inf, np.nan]]), np.array([2])
    one = Problem(
        record.name, "float64", ("logits0", "logits1", "logits2"), points, ids, {"gamma": 2}
    )
    plan = Plan(record, "float64", fixed={"alpha": (0.5, 2.0, 0.25, 9.0)})
    logits = {"logits0": "0x1.0000000000000p+0", "logits1": "-inf", "logits2": "nan"}
    alpha = {f"alpha{c}": x.hex() for c, x in enumerate((0.5, 2.0, 0.25))}
    everything = protocol.question(one, 0, plan, TAKEN)
    assert everything["arguments"] == {
        **logits,
        "targets": 2,
        **alpha,
        "gamma": "0x1.0000000000000p+1",
    }
    assert protocol.question(one, 0, plan, TAKEN[:2]) == {
        "arguments": {**logits, "targets": 2},
        "constants": {},
    }
    assert protocol.question(one, 0, Plan(record, "float64"), TAKEN)["constants"] == {"alpha": None}


def printed(command: str, lines: list[str]) -> list[str]:
    words, given = shlex.split(command), "".join(f"{line}\n" for line in lines)
    return subprocess.check_output(words, input=given, text=True, timeout=PATIENT).splitlines()


def require_results(mine: dict[str, str], theirs: dict[str, str], gamma: float) -> None:
    """As close as results of a port have to be to the truth, which is what the page has."""
    assert mine.keys() == theirs.keys() == set(ORDERS.values())
    for order, name in ORDERS.items():
        bound = (SIGMOID[order] + PER_GAMMA * gamma) * EPS["float64"]
        got, truth = float.fromhex(mine[name]), float.fromhex(theirs[name])
        assert got == pytest.approx(truth, rel=bound, abs=0), name


@pytest.mark.parametrize("name", ["focal.c", "focal.js"])
def test_the_conversation_on_the_page(commands: dict[str, str], name: str) -> None:
    """What the page says is asked is asked, and what it says is answered is answered."""
    page = (ROOT / "docs" / "protocol.md").read_text()
    asked, answered = (re.findall(f"^{arrow} (.*)$", page, re.M) for arrow in "→←")
    assert asked[0] == protocol.compact(
        protocol.handshake(replace(PLAN, dtype="float64"), "float64")
    )
    points = {1: (problem(0.0), {"gamma": 0.0}), 2: (problem(np.inf, alpha=None), {"gamma": 2.0})}
    for number, (one, constants) in points.items():
        one = replace(one, ids=np.array([2 - number]), constants=one.constants | constants)
        sample = protocol.question(one, 0, PLAN, TAKEN)
        assert asked[number] == protocol.compact({"id": number, **sample})
    said = [json.loads(line) for line in printed(commands[name], asked)]
    expected = [json.loads(line) for line in answered]
    assert said[0] == expected[0]
    for mine, theirs, asks in zip(said[1:], expected[1:], asked[1:], strict=True):
        assert mine["id"] == theirs["id"]
        gamma = float.fromhex(json.loads(asks)["arguments"]["gamma"])
        require_results(mine["results"], theirs["results"], gamma)


def test_a_result_that_is_no_rounding_of_the_page_is_noticed() -> None:
    right = dict.fromkeys(ORDERS.values(), (1.0).hex())
    require_results(right, right, 0.0)
    for order, name in ORDERS.items():
        off = 1 + (SIGMOID[order] + 1) * EPS["float64"]
        with pytest.raises(AssertionError, match=name):
            require_results(right | {name: off.hex()}, right, 0.0)
