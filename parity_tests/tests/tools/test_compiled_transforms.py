"""torch.compile around torch.func: a derivative that it would get wrong is never one."""

from collections.abc import Callable
from typing import Any, TypeAlias
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacrev, jvp, vmap

import focal_torch
from focal_torch._base import autodiff
from focal_torch._base.versions import VERSION

Loss: TypeAlias = Callable[[Tensor], Tensor]
# A program rounds float32 at other places: 84 eps. What was wrong was 0 or NaN, and with an atol of
# 0 no number is too small to count.
ROUNDED = 1e-5
# The power rule has 0^(γ − 1) at the large ones.
LOGITS = torch.tensor([[200.0, -200.0, 3.0], [-90.0, 100.0, 1.0], [1e4, -1e4, 0.5]])
BITS, IDS = torch.tensor([1, 0, 0]), torch.tensor(0)
SOFT, KERNEL = torch.tensor([0.75, 0.25, 0.5]), torch.eye(3) / 64
LOSSES: dict[str, Loss] = {
    "hard": lambda z: focal_torch.sigmoid_focal_loss(z, BITS.expand(z.shape), gamma=0.5).sum(),
    "soft": lambda z: focal_torch.sigmoid_focal_loss(z, SOFT.expand(z.shape), gamma=0.5).sum(),
    "softmax": lambda z: focal_torch.softmax_focal_loss(
        z, IDS.expand(z.shape[:-1]), axis=-1, gamma=0.5
    ).sum(),
    "linear": lambda z: focal_torch.linear_softmax_focal_loss(
        z, KERNEL, IDS.expand(z.shape[:-1]), gamma=0.5
    ),
    "posterior": lambda z: focal_torch.posterior_from_focal(z, 0.5, axis=-1).square().sum(),
}


def forward(loss: Loss, z: Tensor) -> Tensor:
    with forward_ad.dual_level():
        result = loss(forward_ad.make_dual(z, torch.ones_like(z)))
        tangent = forward_ad.unpack_dual(result).tangent
    assert tangent is not None
    return tangent


TRANSFORMS: dict[str, Callable[[Loss], Loss]] = {
    "jvp": lambda loss: lambda z: jvp(loss, (z,), (torch.ones_like(z),))[1],
    "forward_ad": lambda loss: lambda z: forward(loss, z),
    "grad of grad": lambda loss: grad(lambda z: grad(loss)(z).square().sum()),
    "hessian": lambda loss: hessian(loss),
    "vmap of grad": lambda loss: vmap(grad(loss)),
    "grad of vmap": lambda loss: grad(lambda z: vmap(loss)(z).sum()),
}
each_transform = pytest.mark.parametrize("transform", TRANSFORMS)
# Compilation takes a second each time.
OTHERS = [pytest.param(loss, marks=pytest.mark.slow) for loss in ("soft", "softmax", "posterior")]
each_loss = pytest.mark.parametrize("loss", ["hard", "linear", *OTHERS])


def compiled(function: Loss, **options: Any) -> Loss:
    torch._dynamo.reset()
    return torch.compile(function, backend="aot_eager", **options)


@each_transform
@each_loss
def test_what_torch_compile_cannot_differentiate_is_eager(transform: str, loss: str) -> None:
    function = TRANSFORMS[transform](LOSSES[loss])
    expected = function(LOGITS)
    assert expected.isfinite().all()
    torch.testing.assert_close(compiled(function)(LOGITS), expected, rtol=ROUNDED, atol=0)


@pytest.mark.parametrize("transform", ["jvp", "hessian"])
def test_with_fullgraph_the_error_says_why(transform: str) -> None:
    function = TRANSFORMS[transform](LOSSES["hard"])
    with pytest.raises(Exception, match="differentiates a loss once, in reverse mode"):
        compiled(function, fullgraph=True)(LOGITS)


@each_loss
def test_a_program_is_not_taken_for_a_call_in_forward_mode(loss: str) -> None:
    program = compiled(LOSSES[loss])
    program(LOGITS)
    expected = forward(LOSSES[loss], LOGITS)
    torch.testing.assert_close(forward(program, LOGITS), expected, rtol=ROUNDED, atol=0)


@pytest.mark.skipif(VERSION < (2, 11), reason="PyTorch refuses every autograd.Function there")
@each_loss
def test_one_gradient_is_compiled(loss: str) -> None:
    for function in (grad(LOSSES[loss]), jacrev(LOSSES[loss])):
        result = compiled(function, fullgraph=True)(LOGITS)
        torch.testing.assert_close(result, function(LOGITS), rtol=ROUNDED, atol=0)


def test_without_the_refusal_it_is_wrong() -> None:
    """That the tests above can fail."""

    def refuse_nothing(*, vmap: bool) -> None:
        """A function, since torch.compile looks into no mock."""

    function = TRANSFORMS["grad of grad"](LOSSES["hard"])
    with mock.patch.object(autodiff, "refuse_compiled_transforms", refuse_nothing):
        assert not compiled(function)(LOGITS).any()
    assert function(LOGITS).any()
