"""What PyTorch has under names that are not public, or not in all versions: JAX in the file of the same name.

No other file reaches for such a name. Where one is missing, the answer is the careful one: numbers stay
right, and cost time or memory, or an error says which version is needed.
"""
# What is found by its name has no type.
# pyright: reportUnknownMemberType=false

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional

Function = Callable[..., Any]

OLDEST = (2, 4)
VERSION = tuple(int(part) for part in torch.__version__.split(".")[:2])
if VERSION < OLDEST:
    raise ImportError(f"focal_torch needs PyTorch 2.4 or newer, and this is {torch.__version__}. Upgrade torch.")

# Before PyTorch 2.11 softplus takes no DTensor, nor does isinf in 2.4.
FEW_TAKE_DTENSORS = VERSION < (2, 11)
# Before PyTorch 2.12 torch.compile does not look into is_autocast_available.
AUTOCAST_IS_OPAQUE = VERSION < (2, 12)


def _found(module: str, name: str) -> Any:
    """What a module of PyTorch has under a name, or None."""
    try:
        return getattr(import_module(module), name, None)
    except ImportError:
        return None


_transforms_are_active = _found("torch._C", "_are_functorch_transforms_active")
_is_of_transform = _found("torch._C._functorch", "is_functorch_wrapped_tensor")
_is_of_batch = _found("torch._C._functorch", "is_legacy_batchedtensor")
_transforms = _found("torch._functorch.pyfunctorch", "retrieve_all_functorch_interpreters")
_is_tracing = _found("torch.jit", "is_tracing")
_key = _found("torch._C", "DispatchKey")
_excluding = _found("torch._C", "_SetExcludeDispatchKeyGuard")
_all_reduce = _found("torch.distributed._functional_collectives", "all_reduce")
_wait = _found("torch.distributed._functional_collectives", "wait_tensor")


def is_transformed() -> bool:
    """Whether a function of torch.func is at work."""
    # torch.compile does not look into this before PyTorch 2.5.
    if torch.compiler.is_compiling():
        return False
    return _transforms_are_active is None or _transforms_are_active()


def is_forward() -> bool:
    """Whether forward mode is at work."""
    return getattr(forward_ad, "_current_level", 0) >= 0


def is_wrapped(x: Tensor) -> bool:
    """Whether a function of torch.func, or a batched backward pass, sees more in x than one tensor."""
    if torch.compiler.is_compiling():
        return False
    if _is_of_transform is None or _is_of_batch is None:
        return True
    return _is_of_transform(x) or _is_of_batch(x)


def is_traced() -> bool:
    """Whether torch.jit.trace is at work, for which the values that it sees stand for others."""
    return _is_tracing is None or _is_tracing()


def has_forward_levels() -> bool:
    """Whether PyTorch says which functions of torch.func are at work in each other."""
    return _transforms is not None


def forward_levels() -> int:
    """How many of them use forward mode."""
    return [level.key().name for level in _transforms()].count("Jvp")


def recorded(function: Function, *args: Any) -> Any:
    """Call a function so that autograd sees what it does, also inside an operator of torch.library,
    which is called below autograd."""
    if _key is None or _excluding is None:
        # A new thread leaves nothing out.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(function, *args).result()
    with _excluding(_key.AutogradFunctionality, False), _excluding(_key.ADInplaceOrView, False):
        return function(*args)


def autocast_dtype(device: str) -> torch.dtype | None:
    """The dtype of products of matrices under autocast, if it is on."""
    unseen = AUTOCAST_IS_OPAQUE and torch.compiler.is_compiling()
    if (unseen or torch.amp.is_autocast_available(device)) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return None


def reduced(x: Tensor, operation: str, group: str) -> Tensor:
    """The sum or the maximum of what all ranks of a group have."""
    if _all_reduce is None or _wait is None:
        raise NotImplementedError(
            "focal_torch: losses on several ranks need the functional collectives that PyTorch 2.4 to "
            f"2.15 have, and PyTorch {torch.__version__} lacks. Install one of those."
        )
    return _wait(_all_reduce(x.contiguous(), operation, group))


def is_distributed(x: Any) -> bool:
    """Whether x is a DTensor."""
    # torch.compile does not look into hasattr of a plain tensor before PyTorch 2.5.
    return isinstance(x, Tensor) and type(x) is not Tensor and hasattr(x, "device_mesh")


def distributed_tensors() -> ModuleType:
    """The module that has DTensors, which PyTorch 2.5 made public."""
    found = import_module("torch.distributed.tensor")
    return found if hasattr(found, "DTensor") else import_module("torch.distributed._tensor")


def is_infinite(x: Tensor) -> Tensor:
    """Whether each number is ±inf."""
    return x.abs() == torch.inf if FEW_TAKE_DTENSORS and is_distributed(x) else torch.isinf(x)


def softplus(u: Tensor, threshold: float) -> Tensor:
    """log(1 + exp(u)), which is u from the threshold on."""
    if FEW_TAKE_DTENSORS and is_distributed(u):
        return torch.logaddexp(u, torch.zeros_like(u))
    return functional.softplus(u, threshold=threshold)
