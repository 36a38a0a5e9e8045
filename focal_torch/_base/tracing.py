"""What is known of a tensor while PyTorch traces, how it is differentiated, and what is refused:
PyTorch here, JAX in the file of the same name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.fx import Proxy

from .arrays import is_bool
from .collectives import Group
from .versions import (
    forward_levels,
    has_dispatch_modes,
    is_distributed,
    is_forward,
    is_traced,
    is_transformed,
    transforms,
)


def record(proxy: Proxy, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Let torch.fx record a call as one node, instead of what is in it."""
    # A decorator would be a frame between each call and its arithmetic.
    return proxy.tracer.create_proxy("call_function", function, (), dict(arguments))


def is_concrete(x: Tensor) -> bool:
    """Whether the values of x are there, neither traced nor on a device that would have to be
    waited for."""
    if torch.compiler.is_compiling() or is_traced():
        return False
    return not is_distributed(x) and x.is_cpu


def from_sequence(x: Any, device: torch.device | None) -> Tensor:
    """A list, a tuple or an array of numpy as a tensor."""
    if isinstance(x, np.ndarray):
        # A copy, for PyTorch warns of an array that cannot be written.
        return torch.as_tensor(x.copy(), device=device)
    if any(isinstance(entry, Tensor) for entry in x):
        # Their gradients are those of the entries.
        return torch.stack([torch.as_tensor(entry, device=device) for entry in x])
    return torch.tensor(x, dtype=torch.float64, device=device)


def concrete_values(x: Tensor) -> np.ndarray | None:
    """The values of x, if they are concrete."""
    if not is_concrete(x):
        return None
    # numpy takes no tensor that requires a gradient.
    x = x.detach()
    if x.dtype.itemsize < 4 and x.is_floating_point():
        # numpy has no bfloat16.
        x = x.double()
    try:
        return x.numpy()
    except RuntimeError:
        # Inside torch.func.vmap, and under fake tensors.
        return None


def concrete_extremes(x: Tensor) -> tuple[float, float] | None:
    """The least and the greatest value of x, if they are concrete: NaN if any value is."""
    if not is_concrete(x) or not x.numel():
        return None
    try:
        # Not by numpy, which takes longer than a small loss.
        least, greatest = torch.aminmax(x.detach())
        return least.item(), greatest.item()
    except RuntimeError:
        # As in `concrete_values`; nor are there kernels for all integers.
        return None


def concrete_bool_targets(x: Tensor) -> Tensor | None:
    """Targets as booleans, if they are known to be 0 or 1 and nothing is differentiated in them."""
    if is_bool(x):
        return x
    # Booleans would have no gradient.
    if _is_differentiated(x) or not is_concrete(x):
        return None
    targets = x.bool()
    try:
        return targets if torch.equal(targets.to(x.dtype), x) else None
    except RuntimeError:
        # Under fake tensors.
        return None


def kept_rows(where: Tensor) -> Tensor | None:
    """The indices of the rows that a mask (N,) keeps, if they can be counted."""
    if torch.compiler.is_compiling() or is_traced() or has_dispatch_modes():
        return None
    if is_distributed(where):
        return None
    if where.is_cuda and torch.cuda.is_current_stream_capturing():
        return None
    try:
        return where.nonzero().squeeze(1)
    except RuntimeError:
        # As in `concrete_values`.
        return None


def needs_grad(args: Sequence[object]) -> bool:
    """Whether anything may be differentiated in one of the arguments."""
    # torch.func and forward mode differentiate tensors that do not say so.
    if torch.is_grad_enabled() and any(isinstance(x, Tensor) and x.requires_grad for x in args):
        return True
    return in_functorch_or_forward_mode()


def visible_to_compile(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs of a rule, so that torch.compile sees which of them are differentiated."""
    if not torch.compiler.is_compiling() or not torch.is_grad_enabled():
        return inputs
    return tuple(_visible(x) if isinstance(x, Tensor) else x for x in inputs)


def _visible(x: Tensor) -> Tensor:
    # Inside of torch.func.grad an argument does not require a gradient there, but a product with 1
    # does. Without it torch.compile would leave out the rule of the loss, and differentiate what is
    # written in the formula, which is NaN for large logits.
    if x.requires_grad or not x.is_floating_point():
        return x
    product = x * 1
    return product if product.requires_grad else x


def in_functorch_or_forward_mode() -> bool:
    """Whether something else than reverse mode may be at work: a function of torch.func, or forward
    mode."""
    return is_transformed() or is_forward()


def is_for_onnx() -> bool:
    """Whether torch.onnx makes a program."""
    # Eager calls are spared the look into its modules.
    return torch.compiler.is_compiling() and torch.onnx.is_in_onnx_export()


def _is_differentiated(x: Tensor) -> bool:
    return x.requires_grad or is_transformed() or forward_ad.unpack_dual(x).tangent is not None


def has_kernels(x: Tensor) -> bool:
    """Whether to call PyTorch's own functions: in eager mode, where each is a pass through memory
    anyway, and for float64, where a compiled loop of more operations is no better."""
    return x.dtype == torch.float64 or not torch.compiler.is_compiling()


@contextmanager
def without_autocast(x: Tensor) -> Iterator[None]:
    """Let every operation have the dtypes that are written, also under autocast."""
    device = x.device.type
    if torch.amp.is_autocast_available(device):
        context = torch.autocast(device, enabled=False)
    else:
        context = nullcontext()
    with context:
        yield


def refuse_nested_forward_mode() -> None:
    # PyTorch's forward mode over forward mode would return zeros without a word
    # (pytorch/pytorch#197867).
    if forward_levels() > 1:
        raise NotImplementedError(
            "focal_torch: PyTorch cannot nest forward mode (jvp, jacfwd) over a "
            "torch.autograd.Function. Use torch.func.hessian, or reverse mode inside or outside."
        )


def refuse_compiled_transforms(*, vmap: bool) -> None:
    """Let torch.compile differentiate once, in reverse mode, or map where `vmap` says so."""
    # Read here, so that a program without forward mode is not taken for a call with it.
    levels = ("Jvp",) if is_forward() else transforms()
    if levels in ((), ("Grad",)) or (vmap and set(levels) == {"Vmap"}):
        return
    # Of any torch.autograd.Function it would make a second derivative of 0, and in forward mode it
    # differentiates what is written in the formula, which is NaN for large logits.
    raise NotImplementedError(
        "focal_torch: torch.compile differentiates a loss once, in reverse mode, and does not map "
        f"that. It is inside of {', '.join(levels)}. Call jvp, hessian, and vmap of grad without "
        "torch.compile, or without fullgraph=True."
    )


def refuse_other_rules(group: Group) -> None:
    if group and in_functorch_or_forward_mode():
        raise NotImplementedError(
            "focal_torch: with classes on several ranks there is reverse mode only. "
            "For torch.func and forward mode leave class_group out, or call focal_jax."
        )


def refuse_second_derivative(group: Group) -> None:
    if group and torch.is_grad_enabled() and not torch.compiler.is_compiling():
        raise NotImplementedError(
            "focal_torch: with classes on several ranks there is no second derivative. "
            "Differentiate without create_graph, leave class_group out, or call focal_jax."
        )
