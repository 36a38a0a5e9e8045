"""Ports in other languages, through the real protocol: right ones, a wrong one, and ones that misbehave."""

import fcntl
import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parity_tests.checker.layers import check, judge
from parity_tests.contract import golden
from parity_tests.contract.problems import Problem
from parity_tests.contract.records import RECORDS
from parity_tests.contract.tolerances import EPS, PER_GAMMA, SIGMOID
from parity_tests.ports import program, protocol, questions
from parity_tests.ports.pipe import Process
from parity_tests.ports.program import ORDERS, ProcessPort
from parity_tests.ports.subject import GRADIENT, SECOND, VALUE, BadPortError, Plan, PortError, RefusedError
from parity_tests.tests import ROOT

from .processes import (
    AT_3,
    COMMANDS,
    FAULTS,
    OFFERS,
    PATIENT,
    PORT,
    SOFTMAX,
    SOON,
    TAKEN,
    faulty,
    script,
)

EXAMPLES = ROOT / "examples" / "ports"
PLAN = Plan(RECORDS["sigmoid_focal_loss"], "float32")


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Process]]:
    """The processes of a test, none of which may be left at its end."""
    processes: list[Process] = []

    class Noted(Process):
        def __init__(self, command: list[str], limit: float) -> None:
            super().__init__(command, limit)
            processes.append(self)

    monkeypatch.setattr(program, "Process", Noted)
    yield processes
    assert [process.popen.args for process in processes if process.popen.returncode is None] == []


def tool(name: str) -> str:
    path = shutil.which(name)
    assert path, f"{name} is needed to test ports in other languages: install it"
    return path


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The examples, ready to run."""
    focal = tmp_path_factory.mktemp("c") / "focal"
    strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    command = [tool("cc"), "-O2", *strict, "-o", focal, EXAMPLES / "focal.c", "-lm"]
    subprocess.run(command, check=True, timeout=PATIENT)
    runners = {"focal.js": tool("node"), "wrong.py": sys.executable}
    return {"focal.c": str(focal)} | {name: shlex.join([x, str(EXAMPLES / name)]) for name, x in runners.items()}


def problem(*logits: float, dtype: str = "float32", alpha: float | None = 0.25) -> Problem:
    points, ids = np.array(logits)[:, None], np.ones(len(logits), int)
    return Problem("sigmoid_focal_loss", dtype, ("logits",), points, ids, {"gamma": 2.0, "alpha": alpha})


def patient(command: str, plan: Plan = PLAN) -> ProcessPort:
    """With more time for an answer than by default, for a machine that may be busy."""
    return ProcessPort(command, plan, PATIENT)


def rows(command: str, plan: Plan) -> dict[str, judge.Row]:
    with patient(command, plan) as port:
        report = check.check(port.first_contact(), port.plan)
    return {row.layer: row for row in report.rows}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["focal.c", "focal.js"])
def test_the_examples_pass_in_every_layer(commands: dict[str, str], name: str, dtype: str) -> None:
    found = rows(commands[name], replace(PLAN, dtype=dtype))
    assert [row for row in found.values() if row.status == judge.FAIL] == []
    # A program has no shapes, masks or reductions.
    assert {row.layer for row in found.values() if row.status == judge.NOT_OFFERED} == {"options", "shapes"}
    assert all(row.count for row in found.values() if row.status == judge.PASS)


def test_the_wrong_example_fails_for_its_values(commands: dict[str, str]) -> None:
    found = rows(commands["wrong.py"], replace(PLAN, dtype="float64"))
    assert [row.layer for row in found.values() if row.status == judge.FAIL] == ["values"]
    assert found["gradients"].status == found["soft targets"].status == judge.NOT_OFFERED
    assert found["soft targets"].note == "targets have to be 0 or 1"


@pytest.mark.parametrize(("alpha", "logit", "wrong"), [(None, 1.0, False), (0.25, 1.0, True), (None, 50.0, True)])
def test_the_wrong_example_has_both_mistakes(
    commands: dict[str, str], alpha: float | None, logit: float, wrong: bool
) -> None:
    plan, one = replace(PLAN, dtype="float64"), problem(logit, dtype="float64", alpha=alpha)
    with patient(commands["wrong.py"], plan) as port:
        (finding,) = judge.compared(one, plan, VALUE, port.answer(one, VALUE))
    assert (finding.error > finding.allowed) == wrong


@pytest.mark.parametrize("fault", FAULTS)
def test_a_port_that_fails_at_one_problem(tmp_path: Path, fault: str, started: list[Process]) -> None:
    """Its message is one line, and the next problem is answered."""
    code, message = FAULTS[fault]
    with patient(faulty(tmp_path, code)) as port:
        asked = [1.0, 3.0, 2.0]
        if fault == "hangs":
            # Only what is never answered has little time: a busy machine may be slow at the rest.
            port.answer(problem(asked.pop(0)), VALUE)
            started[-1].limit = SOON
        with pytest.raises(PortError, match=message) as caught:
            port.answer(problem(*asked), VALUE)
        assert len(str(caught.value).splitlines()) == 1
        assert not isinstance(caught.value, RefusedError)
        assert port.answer(problem(2.0), VALUE).tolist() == [1]


def test_a_failure_is_a_note_in_its_layer_and_the_rest_is_checked(tmp_path: Path) -> None:
    command = faulty(tmp_path, "sys.exit(3)", AT_3.replace("0x1.8000000000000p+1", "nan"))
    with patient(command) as port:
        row = check.layer(port, PLAN, "special values")
    assert (row.status, row.note.count("ended with exit code 3")) == (judge.FAIL, 1)
    # Of six problems with two samples each, all are judged that were answered.
    assert row.count == 12


def test_what_failed_is_not_asked_again(tmp_path: Path, started: list[Process]) -> None:
    one = problem(3.0)
    with patient(faulty(tmp_path, "sys.exit(3)")) as port:
        for order in (VALUE, GRADIENT, SECOND):
            with pytest.raises(PortError, match="exit code 3 after 0 answers"):
                port.answer(one, order)
    assert len(started) == 1


def test_a_refusal_ends_nothing(tmp_path: Path, started: list[Process]) -> None:
    with patient(faulty(tmp_path, "say(id=id, error='not\\n 3'); continue")) as port:
        with pytest.raises(RefusedError, match=r"^not 3$"):
            port.answer(problem(1.0, 3.0, 2.0), VALUE)
        assert port.answer(problem(2.0), VALUE).tolist() == [1]
    assert len(started) == 1


def test_questions_and_answers_fill_no_pipe(tmp_path: Path) -> None:
    """Half a megabyte each way, and more on stderr: pipes hold far less."""
    with patient(faulty(tmp_path, "sys.stderr.write('x' * 1000)")) as port:
        assert port.answer(problem(*[3.0] * 4000), VALUE).tolist() == [1] * 4000


def test_what_a_port_starts_is_killed_with_it(tmp_path: Path) -> None:
    """A child holds a lock until it is gone."""
    held, child, outlived = tmp_path / "lock", tmp_path / "child.py", tmp_path / "outlived"
    lock = f"f = open({str(held)!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX)"
    end = f"time.sleep(600); open({str(outlived)!r}, 'w')"
    child.write_text(f"import fcntl, time; {lock}; print(flush=True); {end}")
    code = f"subprocess.Popen([sys.executable, {str(child)!r}], stdout=subprocess.PIPE).stdout.readline()"
    with patient(faulty(tmp_path, code)) as port, held.open("w") as file:
        port.answer(problem(3.0), VALUE)
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        port.__exit__()
        fcntl.flock(file, fcntl.LOCK_EX)
    assert not outlived.exists(), "the child came to its end by itself"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_no_port(command: str) -> None:
    limit = SOON if command == "sleep 60" else PATIENT
    with pytest.raises(BadPortError, match=COMMANDS[command]), ProcessPort(command, PLAN, limit):
        pass


@pytest.mark.parametrize("kind", OFFERS)
def test_a_handshake_with(tmp_path: Path, kind: str) -> None:
    offer, message = OFFERS[kind]
    text = f"import json, sys\nsys.stdin.readline()\nprint(json.dumps({offer}), flush=True)\nsys.stdin.read()"
    with pytest.raises(BadPortError, match=message), patient(script(tmp_path, text)):
        pass


def test_answers_that_are_never_flushed(tmp_path: Path) -> None:
    """As C, and Python without flush, write to a pipe."""
    text = PORT.replace("flush=True", "file=kept").replace("WHEN", "True").replace("FAULT", "pass")
    command = script(tmp_path, f"kept = open(1, 'w', closefd=False)\n{text.replace('TAKEN', str(TAKEN))}")
    message = "no answer within 2 s before it answered the handshake: flush stdout after every line"
    with pytest.raises(BadPortError, match=message), ProcessPort(command, PLAN, SOON):
        pass


def test_a_setting_that_the_port_lacks_is_fixed_by_the_user(tmp_path: Path) -> None:
    command = faulty(tmp_path, "sys.exit(3)", '"gamma" in question["arguments"]', TAKEN[:3])
    with patient(command, replace(PLAN, fixed={"gamma": 2.0})) as port:
        assert (port.takes("alpha"), port.takes("gamma"), port.takes("where")) == (True, False, False)
        assert port.orders == (VALUE,)
        assert port.answer(problem(1.0), VALUE).tolist() == [1]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("say(id=id, results={'loss': 'nan'}); continue", "returns NaN for every one of 6 ordinary logits"),
        ("sys.exit(3)", "the port ended with exit code 3 after 0 answers"),
        ("say(id=id, error='not yet'); continue", "not yet"),
    ],
)
def test_first_contact_with_a_port_that_cannot_be_judged(tmp_path: Path, fault: str, message: str) -> None:
    command = faulty(tmp_path, fault, "True")
    with patient(command) as port, pytest.raises(BadPortError, match=message):
        port.first_contact()


def test_a_port_that_refuses_to_have_no_alpha_is_not_asked_for_it(tmp_path: Path) -> None:
    command = faulty(tmp_path, "say(id=id, error='alpha is a number'); continue", '"alpha" in question["constants"]')
    with patient(command) as port:
        assert not port.first_contact().plan.without_alpha


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
    one = Problem(record.name, "float64", ("logits0", "logits1", "logits2"), points, ids, {"gamma": 2})
    plan = Plan(record, "float64", fixed={"alpha": (0.5, 2.0, 0.25, 9.0)})
    logits = {"logits0": "0x1.0000000000000p+0", "logits1": "-inf", "logits2": "nan"}
    alpha = {f"alpha{c}": x.hex() for c, x in enumerate((0.5, 2.0, 0.25))}
    everything = protocol.question(one, 0, plan, TAKEN)
    assert everything["arguments"] == {**logits, "targets": 2, **alpha, "gamma": "0x1.0000000000000p+1"}
    assert protocol.question(one, 0, plan, TAKEN[:2]) == {"arguments": {**logits, "targets": 2}, "constants": {}}
    assert protocol.question(one, 0, Plan(record, "float64"), TAKEN)["constants"] == {"alpha": None}


@pytest.mark.parametrize("classes", [1, 3])
def test_a_softmax_in_all_orders(tmp_path: Path, classes: int) -> None:
    plan = Plan(RECORDS["softmax_focal_loss"], "float64")
    hard, soft = (questions.softmax_ids("float64", classes, 2.0), questions.softmax_soft("float64", classes, 0.5))
    assert hard.ids is not None
    weighted = {"gamma": 0.5, "alpha": [0.5, 2.0, 0.25][:classes]}
    few = slice(30, 36)
    asked = (
        replace(hard, points=hard.points[few], ids=hard.ids[few]),
        replace(soft, points=soft.points[few], constants=weighted),
    )
    with patient(script(tmp_path, SOFTMAX), plan) as port:
        for one, order in itertools.product(asked, port.orders):
            findings = list(judge.compared(one, plan, order, port.answer(one, order)))
            assert len(findings) == 6 * (classes if order else 1)
            assert all(finding.error < 3 for finding in findings)


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
    assert asked[0] == protocol.compact(protocol.handshake(replace(PLAN, dtype="float64"), "float64"))
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
