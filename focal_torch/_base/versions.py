"""What PyTorch has under names that are not public, or not in all versions: JAX in the file of the
same name.

No other file uses such a name. Where one is missing, the answer is the careful one: numbers stay
right, and cost time or memory, or an error says which version is needed.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional

Result = TypeVar("Result")


class HasFullTensor(Protocol):
    """A DTensor, whose class is imported where there is one."""

    def full_tensor(self) -> Tensor: ...


OLDEST = (2, 4)
VERSION = tuple(int(part) for part in torch.__version__.split(".")[:2])
if VERSION < OLDEST:
    raise ImportError(
        f"focal_torch needs PyTorch 2.4 or newer, and this is {torch.__version__}. Upgrade torch."
    )

# Before PyTorch 2.11 softplus takes no DTensor.
SOFTPLUS_TAKES_NO_DTENSOR = VERSION < (2, 11)
# Before PyTorch 2.8 a product of half precision is one, and rounded to it.
HAS_WIDE_PRODUCTS = "dtype_out" in torch.ops.aten.addmm.overloads()
# Before PyTorch 2.11, or 2.10, what such a product is added to has to be of half precision, too.
ADDS_WIDE_PRODUCTS = VERSION >= (2, 11)
# Before PyTorch 2.12 torch.compile does not look into is_autocast_available.
AUTOCAST_IS_OPAQUE = VERSION < (2, 12)


def _optional(module: str, name: str) -> Any:
    """What a module of PyTorch has under a name, or None where it does not have it."""
    try:
        return getattr(import_module(module), name, None)
    except ImportError:
        return None


# Which functions of torch.func are running, and what they do to a tensor.
_transforms_are_active = _optional("torch._C", "_are_functorch_transforms_active")
_is_of_transform = _optional("torch._C._functorch", "is_functorch_wrapped_tensor")
_is_of_batch = _optional("torch._C._functorch", "is_legacy_batchedtensor")
_transforms = _optional("torch._functorch.pyfunctorch", "retrieve_all_functorch_interpreters")
_is_tracing = _optional("torch._C", "_is_tracing")
# How many modes see the operations and the functions that are called.
_dispatch_modes = _optional("torch._C", "_len_torch_dispatch_stack")
_function_modes = _optional("torch._C", "_len_torch_function_stack")
# What an operator of torch.library switches off.
_key = _optional("torch._C", "DispatchKey")
_excluding = _optional("torch._C", "_SetExcludeDispatchKeyGuard")
# Collectives that torch.compile can trace.
_all_reduce = _optional("torch.distributed._functional_collectives", "all_reduce")
_wait = _optional("torch.distributed._functional_collectives", "wait_tensor")
_group_of_name = _optional("torch.distributed.distributed_c10d", "_resolve_process_group")


def is_transformed() -> bool:
    """Whether a function of torch.func is running."""
    # torch.compile does not look into this before PyTorch 2.5.
    if torch.compiler.is_compiling():
        return False
    return _transforms_are_active is None or _transforms_are_active()


def is_forward() -> bool:
    """Whether forward mode is on."""
    return getattr(forward_ad, "_current_level", 0) >= 0


def is_batched(x: Tensor) -> bool:
    """Whether a function of torch.func, or a batched backward pass, sees more in x than one
    tensor."""
    if torch.compiler.is_compiling():
        return False
    if _is_of_transform is None or _is_of_batch is None:
        return True
    return _is_of_transform(x) or _is_of_batch(x)


def is_traced() -> bool:
    """Whether torch.jit.trace is running, for which the values that it sees stand for others."""
    return _is_tracing is None or _is_tracing()


def is_eager() -> bool:
    """Whether PyTorch does nothing but what is written, and reverse mode."""
    if torch.compiler.is_compiling() or is_traced() or is_forward():
        return False
    return not (_transforms_are_active is None or _transforms_are_active())


def is_plain(x: Tensor) -> bool:
    """Whether the values of x can be looked at without waiting for them: those of a tensor on the
    CPU, and no subclass, in an eager call."""
    if not is_eager() or has_modes():
        return False
    return type(x) is Tensor and x.is_cpu and not is_batched(x)


def has_modes() -> bool:
    """Whether a mode sees what is called in this thread, as a counter of operations does, or a
    default device."""
    if _dispatch_modes is None or _function_modes is None:
        return True
    return _dispatch_modes() > 0 or _function_modes() > 0


def has_dispatch_modes() -> bool:
    """Whether a mode sees every operation in this thread, as one that makes a program of them."""
    return _dispatch_modes is None or _dispatch_modes() > 0


def has_forward_levels() -> bool:
    """Whether PyTorch says which functions of torch.func are nested in each other."""
    return _transforms is not None


def forward_levels() -> int:
    """How many of the nested functions of torch.func use forward mode."""
    return sum(level.key().name == "Jvp" for level in _transforms())


def transforms() -> tuple[str, ...]:
    """The functions of torch.func that are running, each inside the one before it, by what they do:
    Grad, Jvp, Vmap."""
    if _transforms is None:
        return ()
    return tuple(level.key().name for level in _transforms())


def device_name(device: torch.device) -> str:
    """The name of a GPU, or the type of another device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


# torch.compile asks while it traces, and does not look into them. The decorator for it would import
# the compiler.
for function in (transforms, device_name):
    vars(function)["_dynamo_marked_constant"] = True


def with_autograd(function: Callable[..., Result], *args: object) -> Result:
    """Call a function with autograd on, also inside an operator of torch.library, which runs below
    autograd."""
    if _key is None or _excluding is None:
        # A new thread leaves nothing out.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(function, *args).result()
    with _excluding(_key.AutogradFunctionality, False), _excluding(_key.ADInplaceOrView, False):
        return function(*args)


def autocast_dtype(device: str) -> torch.dtype | None:
    """The dtype of products of matrices under autocast, if it is on."""
    opaque = AUTOCAST_IS_OPAQUE and torch.compiler.is_compiling()
    if not opaque and not torch.amp.is_autocast_available(device):
        return None
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


def all_reduce(x: Tensor, operation: str, group: str) -> Tensor:
    """The sum or the maximum of what all ranks of a group have."""
    if _all_reduce is None or _wait is None:
        raise NotImplementedError(
            "focal_torch: losses on several ranks need the functional collectives that PyTorch 2.4 "
            f"to 2.15 have, and PyTorch {torch.__version__} lacks. Install one of those."
        )
    return _wait(_all_reduce(x.contiguous(), operation, group))


def process_group(name: str) -> Any:
    """The process group of this process that has a name, None where there is none."""
    if _group_of_name is None:
        return None
    try:
        return _group_of_name(name)
    except (LookupError, RuntimeError, ValueError):
        # There is none, or nothing is distributed here. Versions say it in different ways.
        return None


def is_distributed(x: object) -> bool:
    """Whether x is a DTensor."""
    # torch.compile does not look into hasattr of a plain tensor before PyTorch 2.5.
    return isinstance(x, Tensor) and type(x) is not Tensor and hasattr(x, "device_mesh")


def distributed_tensors() -> ModuleType:
    """The module that has DTensors, which PyTorch 2.5 made public."""
    public = import_module("torch.distributed.tensor")
    if hasattr(public, "DTensor"):
        return public
    return import_module("torch.distributed._tensor")


def softplus(u: Tensor, threshold: float) -> Tensor:
    """log(1 + exp(u)), which is u from the threshold on."""
    if SOFTPLUS_TAKES_NO_DTENSOR and is_distributed(u):
        return torch.logaddexp(u, torch.zeros_like(u))
    return functional.softplus(u, threshold=threshold)
