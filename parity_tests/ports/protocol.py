"""The lines that a port in another language reads and writes, as docs/protocol.md describes them.

Each line is a JSON object in the format of the golden vectors. Numbers are hex floats in strings,
which every language reads and writes exactly.
"""

import itertools
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from parity_tests.contract.problems import Problem
from parity_tests.contract.records import VERSION
from parity_tests.contract.tolerances import DTYPES

from .subject import Plan, PortError, logit_names

PROTOCOL = 1


def compact(record: Mapping[str, Any]) -> str:
    """JSON without spaces after commas and colons, so that a port finds `"gamma":"` in it."""
    return json.dumps(record, separators=(",", ":"))


def handshake(plan: Plan, dtype: str) -> dict[str, Any]:
    return {"protocol": PROTOCOL, "contract": VERSION, "function": plan.record.name, "dtype": dtype}


def question(problem: Problem, row: int, plan: Plan, taken: Collection[str]) -> dict[str, Any]:
    """One sample, as far as the port takes it: numbers in `arguments`, words and null in
    `constants`."""
    values: dict[str, Any] = dict(zip(problem.names, problem.points[row].tolist(), strict=True))
    if problem.ids is not None:
        values["targets"] = float(problem.ids[row])
    varying = {stem(name) for name in values}
    rule = (
        {"soft_targets": plan.convention("soft_targets")}
        if "soft_targets" in plan.record.conventions
        else {}
    )
    settings: dict[str, Any] = {"alpha": None, **rule, **plan.fixed, **problem.constants}
    for name, value in settings.items():
        if name not in varying:
            values |= _columns(name, value, len(logit_names(problem)))
    values = {name: value for name, value in values.items() if stem(name) in taken}
    constants = {
        name: value for name, value in values.items() if value is None or isinstance(value, str)
    }
    arguments: dict[str, Any] = {
        name: float(x).hex() for name, x in values.items() if name not in constants
    }
    if plan.record.classes and problem.ids is not None:
        arguments["targets"] = int(problem.ids[row])
    return {"arguments": arguments, "constants": constants}


def stem(name: str) -> str:
    return name.rstrip("0123456789")


def _columns(name: str, value: Any, classes: int) -> dict[str, Any]:
    """A setting with one number per class as that many settings."""
    return {f"{name}{c}": value[c] for c in range(classes)} if np.ndim(value) else {name: value}


def parse_line(line: str) -> dict[str, Any]:
    """One line as the object that it has to be."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise PortError(
            f"line {_short(line)} is not JSON: print nothing but answers on stdout"
        ) from None
    if not isinstance(found, dict):
        raise PortError(
            f"line {_short(line)} is not a JSON object: print nothing but answers on stdout"
        )
    return found


def parse_results(
    answer: Mapping[str, Any], names: list[str], order: int, dtype: str
) -> np.ndarray:
    """The loss of an answer, its gradient in the logits `names`, or its Hessian: shape (), (C,) or
    (C, C)."""
    results, who = answer.get("results"), f"answer {answer.get('id')}"
    if not isinstance(results, Mapping):
        raise PortError(
            f'{who} has no results and no error: give it {{"results":{{"loss":"0x1.8p+1"}}}}'
        )
    keys = list(itertools.product(names, repeat=order))
    found = np.array([_number(results, key, who) for key in keys])
    with np.errstate(all="ignore"):
        alien = (found != found.astype(DTYPES[dtype]).astype(float)) & ~np.isnan(found)
    if alien.any():
        first = int(alien.argmax())
        said = f"{_name(keys[first])} is {found[first].hex()}, not a number of {dtype}: round results to it"
        raise PortError(f"{who}: {said}")
    return found.reshape((len(names),) * order)


def _number(results: Mapping[str, Any], key: tuple[str, ...], who: str) -> float:
    """One number by its name; a second derivative may have its two logits in either order."""
    text = results.get(_name(key), results.get(_name(key[::-1])))
    if text is None:
        raise PortError(
            f"{who} has no {_name(key)!r}, only {', '.join(map(repr, results)) or 'nothing'}"
        )
    # A decimal without 0x would be read as another number.
    if isinstance(text, str) and (
        "0x" in text.lower() or text.lstrip("+-")[:1].lower() in ("i", "n")
    ):
        with suppress(ValueError, OverflowError):
            return float.fromhex(text)
    said = f'{_name(key)} is {_short(text)}, not a hex float such as "0x1.8p+1": %a in C, float.hex in Python'
    raise PortError(f"{who}: {said}")


def _name(key: tuple[str, ...]) -> str:
    return " ".join(key) or "loss"


def one_line(value: Any, size: int = 200) -> str:
    """What a port wrote, for a message."""
    text = " ".join(str(value).split())
    return text if len(text) <= size else f"{text[:size]}…"


def _short(value: Any) -> str:
    return repr(one_line(value, 60))
