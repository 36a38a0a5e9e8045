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
# Seconds for the ports that hang, and for those that answer, on a machine that may be busy.
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
# What a port does at a logit of 3, and the message that it gets.
ENDS = {
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
}
LINES = {
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
    "has_no_results": ("say(id=id); continue", r"^answer 2 has no results and no error"),
}
# The same for the results that it has there.
RESULTS = {
    "has_no_loss": ("{'x': '0x1p+0'}", r"^answer 2 has no 'loss', only 'x'"),
    "writes_decimals": ("{'loss': '0.5'}", r"^answer 2: loss is '0.5', not a hex float such"),
    "writes_numbers": ("{'loss': 0.5}", r"^answer 2: loss is '0.5', not a hex float such as"),
    "writes_words": ("{'loss': 'none'}", r"^answer 2: loss is 'none', not a hex float"),
    "writes_too_much": ("{'loss': '0x1p+9999'}", r"^answer 2: loss is .*, not a hex float"),
    "does_not_round": ("{'loss': (0.1).hex()}", r"^answer 2: loss is .*, not a number of flo"),
}
SAY = "say(id=id, results={}); continue"
WRONG_RESULTS = {name: (SAY.format(text), message) for name, (text, message) in RESULTS.items()}
FAULTS = ENDS | LINES | WRONG_RESULTS

SOFTMAX = """
import json, sys
from itertools import combinations_with_replacement
from parity_tests.truth import oracle

def say(**record):
    print(json.dumps(record), flush=True)

sys.stdin.readline()
results = ["loss", "logits", "logits logits"]
say(protocol=1, arguments=["logits", "targets", "alpha", "gamma"], results=results)
for line in sys.stdin:
    question = json.loads(line)
    arguments = question["arguments"]
    target = arguments.pop("targets", None)
    numbers = {name: float.fromhex(text) for name, text in arguments.items()}
    logits = [number for name, number in numbers.items() if name.startswith("logits")]
    alpha = [number for name, number in numbers.items() if name.startswith("alpha")] or None
    if target is None:
        targets = [number for name, number in numbers.items() if name.startswith("targets")]
    else:
        targets = [float(c == target) for c in range(len(logits))]
    gamma = numbers["gamma"]
    jet = oracle.certified(oracle.softmax_focal_loss, logits, targets, alpha, gamma)
    names = [f"logits{c}" for c in range(len(logits))]
    keys = [(), *((name,) for name in names), *combinations_with_replacement(names, 2)]
    results = {" ".join(key) or "loss": float(jet[key].value).hex() for key in keys}
    say(id=question["id"], results=results)
"""

# What a port offers in its handshake, and the message that it gets.
SEE = ": see docs/protocol.md"
GOOD = {"protocol": 1, "arguments": TAKEN, "results": ["loss"]}
OFFERS = {
    "another_version": (GOOD | {"protocol": 2}, f"the port answers protocol 2, not 1{SEE}"),
    "no_lists": ({"protocol": 1}, f"its handshake has no list of arguments{SEE}"),
    "an_error": ({"error": "float64 only"}, "float32: float64 only"),
    "no_targets": (
        GOOD | {"arguments": ["logits"]},
        "'targets' is not in the arguments of its handshake",
    ),
    "no_loss": (GOOD | {"results": ["logits"]}, "'loss' is not in the results of its handshake"),
    "no_gamma": (
        GOOD | {"arguments": TAKEN[:3]},
        "takes no gamma; say which value it has, e.g. --set gamma=2.0",
    ),
}

# Commands that are no port, and the message that their user gets.
FLUSH = "flush stdout after every line"
COMMANDS = {
    "": "cannot start ''",
    "./no-such-port": (
        "cannot start './no-such-port': No such file or directory; give a program with its path"
    ),
    "README.md": "cannot start 'README.md': ",
    "'./focal": "cannot start .*: No closing quotation",
    "true": "the port ended with exit code 0 before it answered the handshake",
    "echo hello": "line 'hello' is not JSON: print nothing but answers on stdout",
    "sleep 60": f"no answer within 2 s before it answered the handshake: {FLUSH}",
}


def script(folder: Path, text: str) -> str:
    """The command that runs a text."""
    path = folder / "port.py"
    path.write_text(text)
    return shlex.join([sys.executable, str(path)])


def faulty(folder: Path, fault: str, when: str = AT_3, taken: list[str] = TAKEN) -> str:
    """The command of a port with a fault."""
    return script(folder, port_text(fault, when, taken))


def port_text(fault: str, when: str, taken: list[str]) -> str:
    text = PORT.replace("WHEN", when).replace("FAULT", fault)
    return text.replace("TAKEN", str(taken))


def problem(*logits: float, dtype: str = "float32", alpha: float | None = 0.25) -> Problem:
    points = np.array(logits)[:, None]
    ids = np.ones(len(logits), int)
    constants = {"gamma": 2.0, "alpha": alpha}
    return Problem("sigmoid_focal_loss", dtype, ("logits",), points, ids, constants)
