"""The losses of several devices are those of one: simulated devices of JAX, and processes that find
each other.

Rows are split unevenly, and some devices have none that counts. The truth is that of `split.py`, in
float64.
"""

from typing import Any

import pytest

from parity_tests.contract.tolerances import SOFTMAX

from . import ranks
from .ranks import Error
from .split import CASES, SIGMOID

# A case of each loss and kind of targets, with γ for classes, for rows, and one that is learned.
SOME = (1, 3, 7, 9, 10, 12)
# Compiled by PyTorch alone, which takes ten times as long.
FEW = (3, 10)
ALL = range(len(CASES))
IN_JAX, IN_TORCH = (
    ("-m", "parity_tests.tests.sharding.split_jax"),
    ("-m", "parity_tests.tests.sharding.split_torch"),
)


def asked(
    program: Any, mesh: tuple[int, int], ways: tuple[str, ...], cases: Any, *more: str
) -> list[str]:
    return [*program, *map(str, mesh), *more, "--way", *ways, "--case", *map(str, cases)]


def judge(found: list[Error], ways: tuple[str, ...], cases: Any) -> None:
    """All results are there, and none is wrong by more than a loss on one device may be."""
    given = [CASES[i] for i in cases]
    expected = {
        (case.name, way, what) for case in given for way in ways for what in ("loss", *case.moved)
    }
    assert {error[:3] for error in found} == expected
    worst = max(found, key=lambda error: error.eps)
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
def test_devices_of_jax(mesh: tuple[int, int], ways: tuple[str, ...], cases: Any) -> None:
    judge(ranks.errors(ranks.jax_processes(asked(IN_JAX, mesh, ways, cases))), ways, cases)


@pytest.mark.parametrize("mesh", [(2, 4), (4, 2), (1, 8)], ids=str)
def test_devices_of_two_processes_of_jax(mesh: tuple[int, int]) -> None:
    ways = ("shard_map", "jit")
    ended = ranks.jax_processes(asked(IN_JAX, mesh, ways, FEW), processes=2)
    judge(ranks.errors(ended), ways, FEW)
    # Each has judged the parts that it has.
    assert len(ranks.errors(ended[:1])) == len(ranks.errors(ended[1:]))


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
def test_ranks_of_torch(mesh: tuple[int, int], ways: tuple[str, ...], cases: Any) -> None:
    judge(
        ranks.errors(ranks.torch_ranks(asked(IN_TORCH, mesh, ways, cases), mesh[0] * mesh[1])),
        ways,
        cases,
    )


def test_divisors_of_their_own_would_be_noticed_in_jax() -> None:
    """The most frequent mistake: each device divides by the elements that it has."""
    wrong(ranks.errors(ranks.jax_processes(asked(IN_JAX, (8, 1), ("shard_map",), FEW, "--local"))))


def test_divisors_of_their_own_would_be_noticed_in_torch() -> None:
    wrong(ranks.errors(ranks.torch_ranks(asked(IN_TORCH, (4, 1), ("group",), FEW, "--local"), 4)))


def wrong(found: list[Error]) -> None:
    assert len({error.case for error in found}) == len(FEW)
    assert all(error.eps > 1000 for error in found if error.what == "loss"), found


def test_the_cases_are_what_they_are_taken_for() -> None:
    assert {CASES[i].function for i in SOME} == {case.function for case in CASES}
    arrays = {name for case in CASES for name in case.arrays}
    assert {name for i in SOME for name in CASES[i].arrays} >= arrays - {
        "gamma_one",
        "gamma_rows",
        "gamma_all",
    }
    assert all(CASES[i].reduction == "mean" and CASES[i].function != SIGMOID for i in FEW)
