"""Every public function of PyTorch's package inside every tool."""

from itertools import product
from typing import Any

import pytest

import focal_torch

from .torch_calls import CALLS, MOST_USED
from .torch_tools import QUICK, TOOLS

# Of the compilers `make test` has one for each loss.
IN_TEST = {(tool, name) for tool, name in product(("compile",), MOST_USED)}
# The compilers and exporters take seconds for a call: they share those with all options, the most
# used ones, and one of each function besides. `torch_tools.py` is a command for all calls.
SAMPLE = {name for name in CALLS if name in MOST_USED or name.endswith(", all")}
SAMPLE |= {"linear, γ of rows", "module weighted", "posterior of softmax", "counts", "prior"}
SAMPLE |= {"γ of p_t", "softmax ids, γ 1c11"}
# They make two programs or three of a call, which takes the longest: the most used calls alone.
LONGEST = ("compile", "compile, inductor")
# Ways of one tool: the most used calls go all of them, the others of the sample take turns.
WAYS = (
    ("compile, dynamic", "compile, marked"),
    ("export", "export, strict", "export, named", "export, strict, named"),
)


def sample_of(tool: str) -> set[str]:
    """The calls that go through a tool."""
    if tool in QUICK:
        return {*CALLS}
    if tool in LONGEST:
        return {*MOST_USED}
    others = [name for name in CALLS if name in SAMPLE - {*MOST_USED}]
    if tool == "onnx":
        return {*MOST_USED, *others[2::3]}
    for ways in WAYS:
        if tool in ways:
            return {*MOST_USED, *others[ways.index(tool) :: len(ways)]}
    raise ValueError(tool)


def table() -> list[Any]:
    """Every tool with its calls, and those that take seconds in the slow tier."""
    cells: list[Any] = []
    for tool, name in product(TOOLS, CALLS):
        if name not in sample_of(tool):
            continue
        is_quick = tool in QUICK or (tool, name) in IN_TEST
        mark = () if is_quick else pytest.mark.slow
        cells.append(pytest.param(tool, name, marks=mark))
    return cells


@pytest.mark.parametrize(("tool", "name"), table())
def test_what_a_tool_makes_of_a_call(tool: str, name: str) -> None:
    TOOLS[tool](CALLS[name])


def test_every_call_of_the_sample_goes_one_way() -> None:
    for ways in WAYS:
        taken = [name for tool in ways for name in sample_of(tool)]
        assert {*taken} == SAMPLE
        for name in SAMPLE:
            assert taken.count(name) == (len(ways) if name in MOST_USED else 1)


def test_no_public_name_is_left_out() -> None:
    assert {call.name for call in CALLS.values()} == set(focal_torch.__all__)
