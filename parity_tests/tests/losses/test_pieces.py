"""Large tensors, whose pieces are worked off by threads: as many as PyTorch has, with the result of
one, and in the state of their caller."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import focal_torch
import focal_torch._base.openmp
import focal_torch._base.pieces
from focal_torch._base.openmp import in_this_thread

from .test_small_calls import Operations

# PyTorch shares an operation on as many numbers among its threads.
GRAIN = 2**15


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def large() -> tuple[torch.Tensor, torch.Tensor]:
    whole_numbers = torch.arange(2**19)
    return whole_numbers / 2**15 - 8, whole_numbers % 2 > 0


def value_and_slope(one_gamma: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """One γ for each class repeats its numbers, so that the arguments are laid out in two ways."""
    z, y = (x.view(2, -1, 2) for x in large())
    gamma = 2.0 if one_gamma else torch.tensor([1.5, 2.5])
    z.requires_grad_()
    loss = focal_torch.sigmoid_focal_loss(z, y, gamma=gamma)
    (slope,) = torch.autograd.grad(loss.sum(), z)
    return loss.detach(), slope


def without_openmp(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the functions of OpenMP are not found."""
    monkeypatch.setattr(focal_torch._base.openmp, "OPENMP", None)


class Piece(NamedTuple):
    is_of_caller: bool
    shared_among: int
    size: int


def worked_off(z: torch.Tensor) -> list[Piece]:
    """The pieces of z, of which two threads have at least one each."""
    pieces: list[Piece] = []
    other_has_begun = threading.Event()

    def record(x: torch.Tensor) -> torch.Tensor:
        is_of_caller = threading.current_thread() is threading.main_thread()
        pieces.append(Piece(is_of_caller, torch.get_num_threads(), x.numel()))
        if not is_of_caller:
            other_has_begun.set()
        # The first piece is that of the caller, before there is another thread.
        assert len(pieces) == 1 or other_has_begun.wait(60)
        return x

    with threads(2):
        focal_torch._base.pieces.in_pieces(record, [z])
        # The number is that of before.
        assert torch.get_num_threads() == 2
    assert {piece.is_of_caller for piece in pieces} == {True, False}
    return pieces


# Where it is not found pieces are small, as the next test asks.
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere OpenMP may not be found by name")
def test_no_thread_shares_an_operation_on_a_large_piece() -> None:
    z, _ = large()
    pieces = worked_off(z)
    assert {piece.shared_among for piece in pieces} == {1}
    assert max(piece.size for piece in pieces) == focal_torch._base.pieces.LARGE_PIECE > GRAIN


def test_pieces_are_too_small_to_be_shared_where_openmp_is_not_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_openmp(monkeypatch)
    z, _ = large()
    pieces = worked_off(z)
    assert {piece.shared_among for piece in pieces} == {2}
    assert max(piece.size for piece in pieces) == focal_torch._base.pieces.PIECE < GRAIN


def test_what_cannot_be_small_is_shared_by_the_threads_of_pytorch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each half of a tensor with two rows is larger than a piece."""
    pools = sizes_of_pools(monkeypatch)
    numbers: list[int] = []

    def record(x: torch.Tensor) -> torch.Tensor:
        numbers.append(torch.get_num_threads())
        return x

    z = torch.zeros((2,) * 18).permute(*reversed(range(18)))
    with threads(2):
        focal_torch._base.pieces.in_pieces(record, [z])
    assert numbers == [2, 2]
    assert not pools


def test_an_interrupted_piece_leaves_the_number_as_it_was() -> None:
    def interrupt(_: torch.Tensor) -> torch.Tensor:
        raise KeyboardInterrupt

    z, _ = large()
    with threads(2):
        with pytest.raises(KeyboardInterrupt):
            focal_torch._base.pieces.in_pieces(interrupt, [z])
        assert torch.get_num_threads() == 2


def test_other_threads_keep_their_number() -> None:
    """What OpenMP is told in one thread holds there alone."""
    numbers: list[int] = []
    is_inside, is_done = threading.Event(), threading.Event()

    def inside() -> None:
        with in_this_thread():
            is_inside.set()
            is_done.wait(60)

    with threads(2):
        other = threading.Thread(target=inside)
        other.start()
        assert is_inside.wait(60)
        late = threading.Thread(target=lambda: numbers.append(torch.get_num_threads()))
        late.start()
        late.join()
        numbers.append(torch.get_num_threads())
        is_done.set()
        other.join()
    assert numbers == [2, 2]


def test_pieces_have_the_same_result_where_openmp_is_not_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with threads(2):
        expected = value_and_slope(True)
        without_openmp(monkeypatch)
        results = value_and_slope(True)
    for result, truth in zip(results, expected, strict=True):
        assert torch.equal(result, truth)


def sizes_of_pools(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each pool of threads."""
    pools: list[int] = []

    def pool(size: int) -> ThreadPoolExecutor:
        pools.append(size)
        return ThreadPoolExecutor(size)

    monkeypatch.setattr(focal_torch._base.pieces, "ThreadPoolExecutor", pool)
    return pools


@pytest.mark.parametrize("one_gamma", [True, False])
@pytest.mark.parametrize(("number", "workers"), [(1, None), (2, 1), (3, 2), (64, 7)])
def test_threads_work_off_the_pieces(
    number: int, workers: int | None, one_gamma: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is one of them, and the result does not depend on their number."""
    with threads(1):
        expected = value_and_slope(one_gamma)
    pools = sizes_of_pools(monkeypatch)
    with threads(number):
        results = value_and_slope(one_gamma)
    assert pools == ([] if workers is None else [workers, workers])
    for result, truth in zip(results, expected, strict=True):
        assert torch.equal(result, truth)


@pytest.mark.parametrize(
    "context",
    [
        nullcontext,
        torch.no_grad,
        torch.inference_mode,
        lambda: torch.autocast("cpu", torch.bfloat16),
        Operations,
        lambda: torch.device("cpu"),
    ],
    ids=["none", "no_grad", "inference", "autocast", "dispatch mode", "function mode"],
)
def test_threads_do_as_their_caller(
    context: Callable[[], AbstractContextManager[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mode sees the operations of the thread that it is in, so there is no other."""
    pools = sizes_of_pools(monkeypatch)
    z, y = large()
    with threads(1):
        truth = focal_torch.sigmoid_focal_loss(z, y)
    with threads(3), context():
        result = focal_torch.sigmoid_focal_loss(z, y)
        is_inference = torch.is_inference_mode_enabled()
        is_mode = isinstance(context(), (TorchDispatchMode, torch.device))
    assert torch.equal(result, truth)
    assert result.is_inference() == is_inference
    assert pools == ([] if is_mode else [2])


def test_an_error_in_a_thread_is_raised() -> None:
    has_begun = threading.Event()

    def fail(x: torch.Tensor) -> torch.Tensor:
        if threading.current_thread() is not threading.main_thread():
            has_begun.set()
            raise ArithmeticError("in a thread")
        # The first piece is that of the caller.
        assert not x[0] > -8 or has_begun.wait(60)
        return x

    z, _ = large()
    with threads(2), pytest.raises(ArithmeticError, match="in a thread"):
        focal_torch._base.pieces.in_pieces(fail, [z])


LATE = """
import threading, torch, focal_torch
torch.set_num_threads(2)
z = torch.zeros(300_037, requires_grad=True)
def train():
    threading.main_thread().join()
    focal_torch.sigmoid_focal_loss(z, z.detach() > 0, reduction="sum").backward()
    print(z.grad.shape[0])
threading.Thread(target=train).start()
"""


def test_a_thread_that_outlives_the_main_one_has_its_loss() -> None:
    process = subprocess.run(
        [sys.executable, "-c", LATE], capture_output=True, text=True, timeout=120, check=True
    )
    assert process.stdout == "300037\n"
