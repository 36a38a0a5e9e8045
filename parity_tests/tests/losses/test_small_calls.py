"""What the time of small calls comes from: numbers of operations.

No test is about a time.
"""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import focal_jax
import focal_torch
import focal_torch._base.arguments
import focal_torch._core.eager
import focal_torch.losses
from focal_torch._base.collectives import ALONE

INF, NAN = float("inf"), float("nan")
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
