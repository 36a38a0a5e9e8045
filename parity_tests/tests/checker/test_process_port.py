"""Ports in other languages, through the real protocol: right ones, a wrong one, and ones that
misbehave."""

import fcntl
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from parity_tests.checker.layers import check, judge
from parity_tests.contract.records import RECORDS
from parity_tests.ports import program, questions
from parity_tests.ports.pipe import Process
from parity_tests.ports.program import ProcessPort
from parity_tests.ports.subject import (
    GRADIENT,
    SECOND,
    VALUE,
    BadPortError,
    Plan,
    PortError,
    RefusedError,
)

from .processes import (
    AT_3,
    COMMANDS,
    FAULTS,
    OFFERS,
    PATIENT,
    PLAN,
    SOFTMAX,
    SOON,
    TAKEN,
    faulty,
    port_text,
    problem,
    script,
)


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Process]]:
    """The processes of a test, none of which may be left at its end."""
    processes: list[Process] = []

    class Recorded(Process):
        def __init__(self, command: list[str], limit: float) -> None:
            super().__init__(command, limit)
            processes.append(self)

    monkeypatch.setattr(program, "Process", Recorded)
    yield processes
    for process in processes:
        assert process.popen.returncode is not None, process.popen.args


def patient(command: str, plan: Plan = PLAN) -> ProcessPort:
    """With more time for an answer than by default, for a machine that may be busy."""
    return ProcessPort(command, plan, PATIENT)


def rows(command: str, plan: Plan) -> dict[str, judge.Row]:
    with patient(command, plan) as port:
        report = check.check(port.first_contact(), port.plan)
    return {row.layer: row for row in report.rows}


def with_status(status: str, layers: dict[str, judge.Row]) -> list[str]:
    return [layer for layer, row in layers.items() if row.status == status]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["focal.c", "focal.js"])
def test_the_examples_pass_in_every_layer(commands: dict[str, str], name: str, dtype: str) -> None:
    with patient(commands[name], replace(PLAN, dtype=dtype)) as port:
        report = check.check(port.first_contact(), port.plan)
    assert report.grade == "exact"
    layers = {row.layer: row for row in report.rows}
    assert with_status(judge.FAIL, layers) == []
    # A program has no shapes, masks or reductions, and takes numbers alone.
    lacking = ["arguments", "backward", "options", "shapes", "transformations"]
    assert sorted(with_status(judge.NOT_OFFERED, layers)) == lacking
    for layer in with_status(judge.PASS, layers):
        assert layers[layer].count


def test_the_wrong_example_fails_for_its_values(commands: dict[str, str]) -> None:
    layers = rows(commands["wrong.py"], replace(PLAN, dtype="float64"))
    assert with_status(judge.FAIL, layers) == ["values"]
    assert {"gradients", "soft targets"} <= set(with_status(judge.NOT_OFFERED, layers))
    assert layers["soft targets"].note == "targets have to be 0 or 1"


@pytest.mark.parametrize(
    ("alpha", "logit", "wrong"), [(None, 1.0, False), (0.25, 1.0, True), (None, 50.0, True)]
)
def test_the_wrong_example_has_both_mistakes(
    commands: dict[str, str], alpha: float | None, logit: float, wrong: bool
) -> None:
    plan = replace(PLAN, dtype="float64")
    one = problem(logit, dtype="float64", alpha=alpha)
    with patient(commands["wrong.py"], plan) as port:
        (finding,) = judge.compared(one, plan, VALUE, port.answer(one, VALUE))
    assert (finding.error > finding.allowed) == wrong


@pytest.mark.parametrize("fault", FAULTS)
def test_a_port_that_fails_at_one_problem(
    tmp_path: Path, fault: str, started: list[Process]
) -> None:
    """Its message is one line, and the next problem is answered."""
    code, message = FAULTS[fault]
    with patient(faulty(tmp_path, code)) as port:
        logits = [1.0, 3.0, 2.0]
        if fault == "hangs":
            # Only what is never answered has little time: a busy machine may be slow at the rest.
            port.answer(problem(logits.pop(0)), VALUE)
            started[-1].limit = SOON
        with pytest.raises(PortError, match=message) as caught:
            port.answer(problem(*logits), VALUE)
        assert len(str(caught.value).splitlines()) == 1
        assert not isinstance(caught.value, RefusedError)
        assert port.answer(problem(2.0), VALUE).tolist() == [1]


def test_a_failure_is_a_note_in_its_layer_and_the_rest_is_checked(tmp_path: Path) -> None:
    at_nan = AT_3.replace("0x1.8000000000000p+1", "nan")
    with patient(faulty(tmp_path, "sys.exit(3)", at_nan)) as port:
        row = check.layer(port, PLAN, "special values")
    assert row.status == judge.FAIL
    assert row.note.count("ended with exit code 3") == 1
    # Of six problems with two samples each, all are judged that were answered.
    assert row.count == 12


def test_what_failed_is_not_sent_again(tmp_path: Path, started: list[Process]) -> None:
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
    command = f"[sys.executable, {str(child)!r}]"
    code = f"subprocess.Popen({command}, stdout=subprocess.PIPE).stdout.readline()"
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
    answer = f"sys.stdin.readline(); print(json.dumps({offer}), flush=True); sys.stdin.read()"
    command = script(tmp_path, f"import json, sys; {answer}")
    with pytest.raises(BadPortError, match=message), patient(command):
        pass


def test_answers_that_are_never_flushed(tmp_path: Path) -> None:
    """As C, and Python without flush, write to a pipe."""
    text = port_text("pass", "True", TAKEN).replace("flush=True", "file=kept")
    command = script(tmp_path, f"kept = open(1, 'w', closefd=False)\n{text}")
    message = COMMANDS["sleep 60"]
    with pytest.raises(BadPortError, match=message), ProcessPort(command, PLAN, SOON):
        pass


def test_a_setting_that_the_port_lacks_is_fixed_by_the_user(tmp_path: Path) -> None:
    command = faulty(tmp_path, "sys.exit(3)", '"gamma" in question["arguments"]', TAKEN[:3])
    with patient(command, replace(PLAN, fixed={"gamma": 2.0})) as port:
        assert port.takes("alpha")
        assert not port.takes("gamma")
        assert not port.takes("where")
        assert port.orders == (VALUE,)
        assert port.answer(problem(1.0), VALUE).tolist() == [1]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            "say(id=id, results={'loss': 'nan'}); continue",
            "returns NaN for every one of 6 ordinary logits",
        ),
        ("sys.exit(3)", "the port ended with exit code 3 after 0 answers"),
        ("say(id=id, error='not yet'); continue", "not yet"),
    ],
)
def test_first_contact_with_a_port_that_cannot_be_judged(
    tmp_path: Path, fault: str, message: str
) -> None:
    command = faulty(tmp_path, fault, "True")
    with patient(command) as port, pytest.raises(BadPortError, match=message):
        port.first_contact()


def test_a_port_that_refuses_to_have_no_alpha_is_not_asked_for_it(tmp_path: Path) -> None:
    refusal = "say(id=id, error='alpha is a number'); continue"
    command = faulty(tmp_path, refusal, '"alpha" in question["constants"]')
    with patient(command) as port:
        assert not port.first_contact().plan.without_alpha


@pytest.mark.parametrize("classes", [1, 3])
def test_a_softmax_in_all_orders(tmp_path: Path, classes: int) -> None:
    plan = Plan(RECORDS["softmax_focal_loss"], "float64")
    few = slice(30, 36)
    hard = questions.softmax_ids("float64", classes, 2.0)
    assert hard.ids is not None
    hard = replace(hard, points=hard.points[few], ids=hard.ids[few])
    soft = questions.softmax_soft("float64", classes, 0.5)
    weighted = {"gamma": 0.5, "alpha": [0.5, 2.0, 0.25][:classes]}
    soft = replace(soft, points=soft.points[few], constants=weighted)
    with patient(script(tmp_path, SOFTMAX), plan) as port:
        for one, order in itertools.product((hard, soft), port.orders):
            findings = list(judge.compared(one, plan, order, port.answer(one, order)))
            numbers = 1 if order == VALUE else classes
            assert len(findings) == 6 * numbers
            assert all(finding.error < 3 for finding in findings)
