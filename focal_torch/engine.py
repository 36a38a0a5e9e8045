"""How the formulas and what runs them get along: PyTorch here, JAX in the file of the same name."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from .collectives import Devices
from .versions import forward_levels, is_distributed, is_forward, is_transformed

Function = Callable[..., Any]


def is_watched(args: Sequence[Any]) -> bool:
    if torch.is_grad_enabled() and any(isinstance(arg, Tensor) and arg.requires_grad for arg in args):
        return True
    return has_other_rules()


def has_other_rules() -> bool:
    """Whether something else than reverse mode may be at work: a function of torch.func, or forward mode."""
    return not torch.compiler.is_compiling() and (is_transformed() or is_forward())


@contextmanager
def as_typed(x: Tensor) -> Iterator[None]:
    """Let every operation have the dtypes that are written, also under autocast."""
    device = x.device.type
    with torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext():
        yield


def has_kernels(x: Tensor) -> bool:
    """Whether PyTorch's own functions are taken: each is a pass through memory, and as good as the loops in float64."""
    return x.dtype == torch.float64 or not torch.compiler.is_compiling()


def is_differentiated(x: Tensor) -> bool:
    return x.requires_grad or is_transformed() or forward_ad.unpack_dual(x).tangent is not None


def refuse_nested_forward_mode() -> None:
    # PyTorch's forward mode over forward mode would return zeros without a word (pytorch/pytorch#197867).
    if forward_levels() > 1:
        raise NotImplementedError(
            "focal_torch: PyTorch cannot nest forward mode (jvp, jacfwd) over a torch.autograd.Function. "
            "Use torch.func.hessian, or reverse mode inside or outside."
        )


def refuse_other_rules(devices: Devices) -> None:
    if devices and has_other_rules():
        raise NotImplementedError(
            "focal_torch: with classes on several ranks there is reverse mode only. "
            "For torch.func and forward mode leave class_group out, or call focal_jax."
        )


def refuse_second_derivative(devices: Devices) -> None:
    if devices and torch.is_grad_enabled() and not torch.compiler.is_compiling():
        raise NotImplementedError(
            "focal_torch: with classes on several ranks there is no second derivative. "
            "Differentiate without create_graph, leave class_group out, or call focal_jax."
        )


def whole(x: Tensor) -> Tensor:
    """All of a DTensor; any other tensor as it is."""
    distributed: Any = x
    return distributed.full_tensor() if is_distributed(x) else x


def on_any_mesh(each: bool) -> Callable[[Function], Function]:
    """With DTensors call a function for the shards of each rank. Its first tensor has rows on all axes but the last;
    the result is a sum, which is then that of all ranks, or one number for each row, which is sharded as the rows."""

    def decorate(function: Function) -> Function:
        @wraps(function)
        def call(*args: Any, **rest: Any) -> Tensor:
            given = args if isinstance(args[0], Tensor) else (*args[0].values(), *args[1].values())
            if not any(is_distributed(x) for x in (*given, *rest.values())):
                return function(*args, **rest)
            from .meshes import call_with_shards

            return call_with_shards(function, args, rest, each)

        return call

    return decorate
