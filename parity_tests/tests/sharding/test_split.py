"""The losses of several devices are those of one: simulated devices of JAX, and processes that find
each other.

Rows are split unevenly, and some devices have none that counts. The truth is that of `split.py`, in
float64.
"""

from collections.abc import Sequence
from itertools import product

import pytest

from parity_tests.contract.tolerances import SOFTMAX

from . import ranks
from .ranks import Ended, Error
from .split import CASES, SIGMOID

Cases = Sequence[int]
# A case of each loss and kind of targets, with γ for classes, for rows, and one that is learned.
SOME = (1, 3, 7, 9, 10, 12, 15, 16, 17)
# Compiled by PyTorch alone, which takes ten times as long.
FEW = (3, 10)
ALL = range(len(CASES))


def program(
    name: str, mesh: tuple[int, int], ways: tuple[str, ...], cases: Cases, *options: str
) -> list[str]:
    module = f"parity_tests.tests.sharding.{name}"
    start = ["-m", module, *map(str, mesh), *options]
    return [*start, "--way", *ways, "--case", *map(str, cases)]


def judge(errors: list[Error], ways: tuple[str, ...], cases: Cases) -> None:
    """All results are there, and none is wrong by more than a loss on one device may be."""
    expected = set()
    for number, way in product(cases, ways):
        case = CASES[number]
        expected |= {(case.name, way, what) for what in ("loss", *case.moved)}
    assert {error[:3] for error in errors} == expected
    worst = max(errors, key=lambda error: error.eps)
    assert worst.eps <= SOFTMAX, worst


@pytest.mark.parametrize(
    ("mesh", "ways", "cases"),
    [
        ((2, 4), ("shard_map",), ALL),
        ((2, 4), ("jit",), ALL),
        ((2, 4), ("auto",), SOME),
        ((8, 1), ("shard_map", "jit"), FEW),
        ((1, 8), ("shard_map", "jit"), FEW),
        ((1, 2), ("shard_map",), FEW),
        ((2, 1), ("shard_map",), FEW),
        ((1, 1), ("shard_map", "jit"), FEW),
    ],
    ids=str,
)
def test_devices_of_jax(mesh: tuple[int, int], ways: tuple[str, ...], cases: Cases) -> None:
    ended = ranks.jax_processes(program("split_jax", mesh, ways, cases))
    judge(ranks.errors(ended), ways, cases)


@pytest.mark.parametrize("mesh", [(2, 4), (4, 2), (1, 8)], ids=str)
def test_devices_of_two_processes_of_jax(mesh: tuple[int, int]) -> None:
    ways = ("shard_map", "jit")
    ended = ranks.jax_processes(program("split_jax", mesh, ways, FEW), processes=2)
    judge(ranks.errors(ended), ways, FEW)
    # Each has judged the parts that it has.
    of_first, of_second = (ranks.errors([one]) for one in ended)
    assert len(of_first) == len(of_second)


@pytest.mark.parametrize(
    ("mesh", "ways", "cases"),
    [
        ((2, 2), ("group", "dtensor"), ALL),
        ((4, 1), ("group",), SOME),
        ((2, 1), ("group", "dtensor"), SOME),
        ((1, 2), ("group", "dtensor"), SOME),
        ((1, 2), ("compiled",), FEW),
    ],
    ids=str,
)
def test_ranks_of_torch(mesh: tuple[int, int], ways: tuple[str, ...], cases: Cases) -> None:
    rows, classes = mesh
    ended = ranks.torch_ranks(program("split_torch", mesh, ways, cases), rows * classes)
    judge(ranks.errors(ended), ways, cases)


def test_local_divisors_would_be_noticed_in_jax() -> None:
    """The most frequent mistake: each device divides by the elements that it has."""
    wrong = program("split_jax", (8, 1), ("shard_map",), FEW, "--local")
    losses_are_far_off(ranks.jax_processes(wrong))


def test_local_divisors_would_be_noticed_in_torch() -> None:
    wrong = program("split_torch", (4, 1), ("group",), FEW, "--local")
    losses_are_far_off(ranks.torch_ranks(wrong, 4))


def losses_are_far_off(ended: list[Ended]) -> None:
    errors = ranks.errors(ended)
    losses = [error for error in errors if error.what == "loss"]
    assert len({error.case for error in errors}) == len(FEW)
    assert all(error.eps > 1000 for error in losses), errors


def test_some_cases_have_every_function_and_nearly_every_argument() -> None:
    some = [CASES[i] for i in SOME]
    functions = {case.function for case in CASES}
    assert {case.function for case in some} == functions
    arguments = {name for case in CASES for name in case.arrays}
    of_some = {name for case in some for name in case.arrays}
    assert of_some >= arguments - {"gamma_one", "gamma_rows", "gamma_all"}


@pytest.mark.parametrize("number", FEW)
def test_the_few_cases_have_a_divisor_that_can_be_wrong(number: int) -> None:
    case = CASES[number]
    assert case.reduction == "mean"
    assert case.function != SIGMOID


def test_dtensors_beside_plain_tensors() -> None:
    ended = ranks.torch_ranks(["-m", "parity_tests.tests.sharding.split_dtensors"], 2)
    assert [one.code for one in ended] == [0, 0], ended[0].err
