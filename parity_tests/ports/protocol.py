"""The lines that a port in another language reads and writes, as docs/protocol.md describes them.

Each line is a JSON object in the format of the golden vectors. Numbers are hex floats in strings,
which every language reads and writes exactly.
"""

import itertools
import json
from collections.abc import Collection
from contextlib import suppress
from typing import Any

import numpy as np

from parity_tests.contract.problems import Problem, by_variable
from parity_tests.contract.records import VERSION
from parity_tests.contract.tolerances import DTYPES

from .subject import Plan, PortError, logit_names

PROTOCOL = 1
ONLY_ANSWERS = "print nothing but answers on stdout"

# A JSON object.
Message = dict[str, Any]


def compact(message: Message) -> str:
    """JSON without spaces after commas and colons, so that a port finds `"gamma":"` in it."""
    return json.dumps(message, separators=(",", ":"))


def handshake(plan: Plan, dtype: str) -> Message:
    return {"protocol": PROTOCOL, "contract": VERSION, "function": plan.record.name, "dtype": dtype}


def question(problem: Problem, row: int, plan: Plan, taken: Collection[str]) -> Message:
    """One sample, as far as the port takes it: numbers in `arguments`, words and null in
    `constants`."""
    values = problem.sample(row)
    classes = len(logit_names(problem))
    for name, value in _settings(problem, plan).items():
        if name not in values:
            values[name] = value[:classes] if np.ndim(value) else value
    for name in values.keys() - set(taken):
        del values[name]
    arguments: Message = {}
    constants: Message = {}
    for name, value in by_variable(values).items():
        if value is None or isinstance(value, str):
            constants[name] = value
        else:
            arguments[name] = float(value).hex()
    if plan.record.classes and problem.ids is not None:
        arguments["targets"] = int(problem.ids[row])
    return {"arguments": arguments, "constants": constants}


def _settings(problem: Problem, plan: Plan) -> Message:
    settings: Message = {"alpha": None}
    if "soft_targets" in plan.record.conventions:
        settings["soft_targets"] = plan.convention("soft_targets")
    return {**settings, **plan.fixed, **problem.constants}


def parse_line(line: str) -> Message:
    """One line as the object that it has to be."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise PortError(f"line {_short(line)} is not JSON: {ONLY_ANSWERS}") from None
    if not isinstance(message, dict):
        raise PortError(f"line {_short(line)} is not a JSON object: {ONLY_ANSWERS}")
    return message


def parse_results(answer: Message, names: list[str], order: int, dtype: str) -> np.ndarray:
    """The loss of an answer, its gradient in the logits `names`, or its Hessian: shape (), (C,) or
    (C, C)."""
    who = f"answer {answer.get('id')}"
    results = answer.get("results")
    if not isinstance(results, dict):
        raise PortError(
            f'{who} has no results and no error: give it {{"results":{{"loss":"0x1.8p+1"}}}}'
        )
    keys = list(itertools.product(names, repeat=order))
    numbers = np.array([_number(results, key, who) for key in keys])
    with np.errstate(all="ignore"):
        rounded = numbers.astype(DTYPES[dtype]).astype(float)
    alien = (numbers != rounded) & ~np.isnan(numbers)
    if alien.any():
        first = int(alien.argmax())
        raise PortError(
            f"{who}: {_name(keys[first])} is {numbers[first].hex()}, "
            f"not a number of {dtype}: round results to it"
        )
    return numbers.reshape((len(names),) * order)


def _number(results: Message, key: tuple[str, ...], who: str) -> float:
    """One number by its name; a second derivative may have its two logits in either order."""
    transposed = results.get(_name(key[::-1]))
    text = results.get(_name(key), transposed)
    if text is None:
        have = ", ".join(map(repr, results)) or "nothing"
        raise PortError(f"{who} has no {_name(key)!r}, only {have}")
    if _is_hex(text):
        with suppress(ValueError, OverflowError):
            return float.fromhex(text)
    raise PortError(
        f"{who}: {_name(key)} is {_short(text)}, "
        'not a hex float such as "0x1.8p+1": %a in C, float.hex in Python'
    )


def _is_hex(text: object) -> bool:
    """Whether it starts as a hex float does, or as inf or nan: `fromhex` reads "1.5", too, but as
    another number than the decimal one."""
    if not isinstance(text, str):
        return False
    text = text.lower()
    return "0x" in text or text.lstrip("+-").startswith(("i", "n"))


def _name(key: tuple[str, ...]) -> str:
    return " ".join(key) or "loss"


def one_line(value: object, size: int = 200) -> str:
    """What a port wrote, for a message."""
    text = " ".join(str(value).split())
    return text if len(text) <= size else f"{text[:size]}…"


def _short(value: object) -> str:
    return repr(one_line(value, 60))
