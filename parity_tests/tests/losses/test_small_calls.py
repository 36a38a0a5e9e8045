"""What the time of small calls, and of calls beside busy processes, comes from: numbers of
operations and threads.

No test is about a time.
"""

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import focal_jax
import focal_torch
import focal_torch._base.arguments
import focal_torch._base.pieces
import focal_torch._core.eager
import focal_torch.losses
from focal_torch._base.collectives import ALONE

INF, NAN = float("inf"), float("nan")
# PyTorch shares an operation on as many numbers among its threads.
GRAIN = 2**15
IDS = torch.tensor([0, 2])
LOGITS = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]])
# The logits of class 0, then those of others.
ROWS = (
    *([1, 2, 3], [50, 0, 0], [0, 50, 0], [95, 0, 0], [0, 120, 0]),
    *([-INF, 1, 2], [1, -INF, 2], [2, -INF, -INF], [-INF, -INF, -INF]),
    *([3e38, 0, 0], [0, 3e38, 0], [3e38, -3e38, 0], [1e30, 1e30, 1]),
    *([INF, 0, 1], [0, INF, 1], [INF, INF, 0], [NAN, 0, 1]),
)


class Operations(TorchDispatchMode):
    """The operations of a call, with the most numbers that any result has."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.sizes: list[int] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.names.append(str(func))
        if isinstance(result, torch.Tensor):
            self.sizes.append(result.numel())
        return result


def count(loss: Callable[[torch.Tensor], torch.Tensor], z: torch.Tensor, gradient: bool) -> int:
    z = z.clone().requires_grad_(gradient)
    with Operations() as operations:
        value = loss(z)
        if gradient:
            torch.autograd.grad(value, z, torch.ones_like(value))
    return len(operations.names)


@pytest.mark.parametrize(("gradient", "most"), [(False, 13), (True, 32)])
def test_operations_of_the_softmax_loss(gradient: bool, most: int) -> None:
    """The textbook formula takes 7, and 23 with its gradient."""
    assert count(lambda z: focal_torch.softmax_focal_loss(z, IDS), LOGITS, gradient) <= most


@pytest.mark.parametrize(("gradient", "most"), [(False, 14), (True, 32)])
def test_operations_of_the_sigmoid_loss(gradient: bool, most: int) -> None:
    """Torchvision's formula takes 15, and 34 with its gradient."""
    y = (LOGITS > 0).float()
    assert count(lambda z: focal_torch.sigmoid_focal_loss(z, y), LOGITS, gradient) <= most


def test_the_softmax_loss_is_one_function_under_jit() -> None:
    """JAX traces and lowers each by itself, such as jnp.where and jnp.clip, which takes as long as
    the rest of a first call."""
    logits, ids = jnp.asarray(LOGITS.numpy()), jnp.asarray(IDS.numpy())
    text = str(jax.make_jaxpr(focal_jax.softmax_focal_loss)(logits, ids))
    names = re.findall(r"jit\[\s*name=(\w+)", text)
    assert set(names) == {"softmax_focal_of_ids", "take_along_axis"}


def test_valid_values_do_not_go_through_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(x: torch.Tensor) -> None:
        pytest.fail("a round trip through numpy takes longer than a small loss")

    monkeypatch.setattr(focal_torch._base.arguments, "concrete_values", fail)
    weights, y = torch.tensor([0.5, 1.0, 2.0]), torch.full_like(LOGITS, 0.5)
    focal_torch.softmax_focal_loss(LOGITS, IDS, alpha=weights)
    focal_torch.softmax_focal_loss(LOGITS, IDS, gamma=weights, ignore_index=1)
    focal_torch.softmax_focal_loss(LOGITS, y)
    focal_torch.sigmoid_focal_loss(LOGITS, y, gamma=weights)


def test_an_eager_call_binds_no_signature() -> None:
    """As PyTorch does for a rule whose forward has a setup_context."""
    z = LOGITS.clone().requires_grad_()
    loss = focal_torch.sigmoid_focal_loss(z, LOGITS > 0)
    assert loss.grad_fn is not None
    assert loss.grad_fn.name() == "EagerBackward"


@pytest.mark.parametrize("wrong", [-100, -1, 3])
def test_an_id_that_is_no_class_is_named(wrong: int) -> None:
    """Nothing but the loss itself looks at the ids of a small call."""
    for gradient in (False, True):
        z = LOGITS.clone().requires_grad_(gradient)
        with pytest.raises(ValueError, match=rf"targets=.*\[0, 3\).*got {wrong} at \(1,\)"):
            focal_torch.softmax_focal_loss(z, torch.tensor([0, wrong]))


def all_orders(z: torch.Tensor, gamma: float, settings: dict[str, Any]) -> list[torch.Tensor]:
    """The loss for class 0, its gradient, the same as it is differentiated again, and a second
    derivative."""
    z = z.clone().requires_grad_()
    t = torch.zeros(len(z), dtype=torch.int64)

    def loss() -> torch.Tensor:
        return focal_torch.softmax_focal_loss(z, t, gamma=gamma, **settings)

    (slope,) = torch.autograd.grad(loss().sum(), z)
    (again,) = torch.autograd.grad(loss().sum(), z, create_graph=True)
    (second,) = torch.autograd.grad(again.square().sum(), z)
    return [loss().detach(), slope, again.detach(), second]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.0, 7.5])
def test_the_eager_rule_is_the_composed_one(
    gamma: float, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row by row, since the rule is not for rows with inf."""
    settings = {"alpha": torch.tensor([0.5, 1.0, 2.0])}
    rows = [torch.tensor([row], dtype=dtype) for row in ROWS]
    rules: list[bool] = []

    def eager_id_focal(*args: Any, **kwargs: Any) -> torch.Tensor | None:
        loss = focal_torch._core.eager.eager_id_focal(*args, **kwargs)
        rules.append(loss is not None)
        return loss

    monkeypatch.setattr(focal_torch.losses, "eager_id_focal", eager_id_focal)
    eager = [all_orders(row, gamma, settings) for row in rows]
    # The rule is not for five rows: nothing but −inf, and four with inf or NaN. There are three
    # calls of each.
    assert rules.count(False) == 3 * 5
    assert rules.count(True) == 3 * (len(ROWS) - 5)
    monkeypatch.setattr(focal_torch.losses, "eager_id_focal", lambda *_, **__: None)
    composed = [all_orders(row, gamma, settings) for row in rows]
    # The margin is rounded with its logits, which are at most 120 where that shows.
    relative = 2 * torch.finfo(dtype).eps if dtype == torch.bfloat16 else 0
    relative += 120 * (gamma + 2) * torch.finfo(composed[0][0].dtype).eps
    for of_eager, of_composed in zip(eager, composed, strict=True):
        for x, y in zip(of_eager, of_composed, strict=True):
            # Below the normal numbers of float32 a rounding is no part of the value.
            torch.testing.assert_close(x, y, rtol=relative, atol=1e-37, equal_nan=True)


def test_the_eager_rule_weighs() -> None:
    def loss(weight: torch.Tensor | None) -> torch.Tensor:
        value = focal_torch._core.eager.eager_id_focal(
            LOGITS, IDS, 1.0, 2.0, 0.0, weight=weight, where=None, group=ALONE
        )
        assert value is not None
        return value

    factors = torch.tensor([3.0, 0.5])
    assert torch.equal(loss(factors), factors * loss(None))


@pytest.mark.parametrize("number", [1, 2, 15, 16, 17, 70])
def test_the_eager_rule_is_not_for_a_row_with_inf(number: int) -> None:
    """Also of many rows, and where their number is none that vectors have."""
    t = torch.zeros(number, dtype=torch.int64)
    for row in range(number):
        z = torch.zeros(number, 3)
        z[row, 0] = INF
        loss = focal_torch.softmax_focal_loss(z, t)
        assert loss[row] == 0
        assert loss.count_nonzero() == number - 1
        assert loss.isfinite().all()


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


def test_pieces_are_too_small_to_be_shared() -> None:
    z, y = large()
    z.requires_grad_()
    with Operations() as operations:
        loss = focal_torch.sigmoid_focal_loss(z, y)
        torch.autograd.grad(loss, z, torch.ones_like(loss))
    large_ones = [size for size in operations.sizes if size >= GRAIN]
    # Memory and another shape for both results, and the ones above.
    assert len(large_ones) == 5
    assert len(operations.sizes) > 30 * len(z) / GRAIN


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


@pytest.mark.parametrize("is_leaf", [True, False])
@pytest.mark.parametrize("moved", ["logits", "features", "kernel"])
def test_hooks_are_called_once_where_a_gradient_is_differentiated_again(
    is_leaf: bool, moved: str
) -> None:
    leaf = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 3.0], [1.0, 0.0, -1.0]], requires_grad=True)
    ids, other = torch.tensor([0, 2, 1]), torch.eye(3)

    def loss(x: torch.Tensor) -> torch.Tensor:
        if moved == "logits":
            return focal_torch.softmax_focal_loss(x, ids, reduction="sum")
        layer = (x, other) if moved == "features" else (other, x)
        return focal_torch.linear_softmax_focal_loss(*layer, ids, reduction="sum")

    (expected,) = torch.autograd.grad(loss(leaf), leaf)
    x = leaf if is_leaf else leaf * 1
    x.register_hook(lambda grad: grad * 2)
    (grad,) = torch.autograd.grad(loss(x), x, create_graph=True)
    torch.testing.assert_close(grad, 2 * expected)
    assert grad.requires_grad


def test_batched_gradients_keep_no_graph() -> None:
    x = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 3.0]], requires_grad=True)
    loss = focal_torch.softmax_focal_loss(x, torch.tensor([0, 2]))
    (grads,) = torch.autograd.grad(loss, x, torch.eye(2), is_grads_batched=True)
    assert not grads.requires_grad


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
