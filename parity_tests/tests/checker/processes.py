"""Processes that the tests of `ProcessPort` run: ports that misbehave, each with the message that
it gets."""

import shlex
import sys
from pathlib import Path

import numpy as np

from parity_tests.contract.problems import Problem
from parity_tests.contract.records import RECORDS
from parity_tests.ports.subject import Plan

PLAN = Plan(RECORDS["sigmoid_focal_loss"], "float32")
TAKEN = ["logits", "targets", "alpha", "gamma"]
# Seconds that the ports which hang are given, and those that answer, on a machine that may be busy.
SOON, PATIENT = 2.0, 120.0

# A port whose every loss is 1, and which does something else WHEN.
PORT = """
import json, os, signal, subprocess, sys, time

def say(**record):
    print(json.dumps(record), flush=True)

sys.stdin.readline()
say(protocol=1, arguments=TAKEN, results=["loss"])
for line in sys.stdin:
    question = json.loads(line)
    id = question["id"]
    if WHEN:
        FAULT
    say(id=id, results={"loss": "0x1p+0"})
"""

AT_3 = 'question["arguments"]["logits"] == "0x1.8000000000000p+1"'
FAULTS = {
    "exits": ("sys.exit(3)", r"^the port ended with exit code 3 after 1 answer$"),
    "raises": (
        "raise ValueError('no 3')",
        r"ended with exit code 1 after 1 answer; its last words: ValueError: no 3$",
    ),
    "is_killed": (
        "os.kill(os.getpid(), signal.SIGKILL)",
        r"^the port was ended by signal 9 \(Killed.*\) after 1 answer",
    ),
    "hangs": (
        "time.sleep(60)",
        r"^no answer within 2 s after 1 answer: flush stdout after every line, or raise --time",
    ),
    "closes_stdout": ("os.close(1); time.sleep(60)", r"^the port closed its stdout after 1 answer"),
    "ends_no_line": (
        "while True: os.write(1, b'x' * 4096)",
        r"^the port wrote 1048576 bytes without a line end after 1 answer",
    ),
    "prints_text": (
        "print('loss 1.0')",
        r"^line 'loss 1.0' is not JSON: print nothing but answers on stdout",
    ),
    "prints_a_list": (
        "print('[1]')",
        r"^line '\[1\]' is not a JSON object: print nothing but answers on stdout",
    ),
    "prints_brackets": ("print('[' * 99999)", r"^line '\[+…' is not JSON"),
    "skips_one": (
        "continue",
        r"^answer 3 came where 2 was asked: answer in the order of the questions, one line each",
    ),
    "answers_twice": (
        "say(id=id, results={'loss': '0x1p+0'})",
        r"^answer 2 came where 3 was asked",
    ),
    "has_no_id": (
        "say(results={'loss': '0x1p+0'})",
        r"^an answer without id came where 2 was asked",
    ),
    "has_no_loss": (
        "say(id=id, results={'x': '0x1p+0'}); continue",
        r"^answer 2 has no 'loss', only 'x'",
    ),
    "has_no_results": ("say(id=id); continue", r"^answer 2 has no results and no error"),
    "writes_decimals": (
        "say(id=id, results={'loss': '0.5'}); continue",
        r"^answer 2: loss is '0.5', not a hex float such",
    ),
    "writes_numbers": (
        "say(id=id, results={'loss': 0.5}); continue",
        r"^answer 2: loss is '0.5', not a hex float such as",
    ),
    "writes_words": (
        "say(id=id, results={'loss': 'none'}); continue",
        r"^answer 2: loss is 'none', not a hex float",
    ),
    "writes_too_much": (
        "say(id=id, results={'loss': '0x1p+9999'}); continue",
        r"^answer 2: loss is .*, not a hex float",
    ),
    "does_not_round": (
        "say(id=id, results={'loss': (0.1).hex()}); continue",
        r"^answer 2: loss is .*, not a number of flo",
    ),
}

SOFTMAX = """
import json, sys
from parity_tests.truth import oracle

def say(**record):
    print(json.dumps(record), flush=True)

def columns(given, stem):
    return [x for name, x in given.items() if name.startswith(stem)]

sys.stdin.readline()
say(protocol=1, arguments=["logits", "targets", "alpha", "gamma"], results=["loss", "logits", "logits logits"])
for line in sys.stdin:
    question = json.loads(line)
    given = question["arguments"]
    target = given.pop("targets", None)
    given = {name: float.fromhex(x) for name, x in given.items()}
    logits, alpha = columns(given, "logits"), columns(given, "alpha") or None
    targets = columns(given, "targets") if target is None else [float(c == target) for c in range(len(logits))]
    jet = oracle.certified(lambda: oracle.softmax_focal_loss(logits, targets, alpha, given["gamma"]))
    names = [f"logits{c}" for c in range(len(logits))]
    keys = [(), *((a,) for a in names), *((a, b) for a in names for b in names if a <= b)]
    say(id=question["id"], results={" ".join(key) or "loss": float(jet[key].value).hex() for key in keys})
"""

GOOD = {"protocol": 1, "arguments": TAKEN, "results": ["loss"]}
OFFERS = {
    "another_version": (
        GOOD | {"protocol": 2},
        r"the port answers protocol 2, not 1: see docs/protocol.md",
    ),
    "no_lists": ({"protocol": 1}, r"its handshake has no list of arguments: see docs/protocol.md"),
    "an_error": ({"error": "float64 only"}, r"float32: float64 only"),
    "no_targets": (
        GOOD | {"arguments": ["logits"]},
        r"'targets' is not in the arguments of its handshake",
    ),
    "no_loss": (GOOD | {"results": ["logits"]}, r"'loss' is not in the results of its handshake"),
    "no_gamma": (
        GOOD | {"arguments": TAKEN[:3]},
        r"takes no gamma; say which value it has, e.g. --set gamma=2.0",
    ),
}

COMMANDS = {
    "": r"cannot start ''",
    "./no-such-port": r"cannot start './no-such-port': No such file or directory; give a program with its path",
    "README.md": r"cannot start 'README.md': ",
    "'./focal": r"cannot start .*: No closing quotation",
    "true": r"the port ended with exit code 0 before it answered the handshake",
    "echo hello": r"line 'hello' is not JSON: print nothing but answers on stdout",
    "sleep 60": r"no answer within 2 s before it answered the handshake: flush stdout after every line",
}


def script(folder: Path, text: str) -> str:
    """The command that runs a text."""
    path = folder / "port.py"
    path.write_text(text)
    return shlex.join([sys.executable, str(path)])


def faulty(folder: Path, fault: str, when: str = AT_3, taken: list[str] = TAKEN) -> str:
    """The command of a port with a fault."""
    text = PORT.replace("WHEN", when).replace("FAULT", fault)
    return script(folder, text.replace("TAKEN", str(taken)))


def problem(*logits: float, dtype: str = "float32", alpha: float | None = 0.25) -> Problem:
    points, ids = np.array(logits)[:, None], np.ones(len(logits), int)
    return Problem(
        "sigmoid_focal_loss", dtype, ("logits",), points, ids, {"gamma": 2.0, "alpha": alpha}
    )
