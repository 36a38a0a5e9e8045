"""From a contender to a call that can be timed: with and without gradient, and the first call in a
fresh state."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import torch
from torch._inductor.utils import fresh_cache

from .cases import FIRST_CALL, FORWARD
from .peers import COMPILED, EAGER, LIMIT, Contender


def nothing(*_: Any) -> None:
    """PyTorch on a CPU has finished when it returns, and most calls need no preparation."""


def wall_clock(work: "Work", count: int) -> float:
    """Seconds per call, where each call has ended before the next one begins."""
    start = time.perf_counter()
    for _ in range(count):
        work.wait(work.call())
    return (time.perf_counter() - start) / count


@dataclass(frozen=True)
class Work:
    """`before` is not timed. `call` may return before its result is there, `wait` does not."""

    label: str
    call: Callable[[], Any]
    wait: Callable[[Any], Any] = nothing
    before: Callable[[], Any] = nothing
    clock: Callable[["Work", int], float] = wall_clock

    def time(self, count: int = 1) -> float:
        """Seconds per call."""
        return self.clock(self, count)


@dataclass(frozen=True)
class Device:
    """Where a framework computes, what that is called, and how it is timed there."""

    handle: Any
    name: str
    clock: Callable[[Work, int], float]


def takes_part(contender: Contender, mode: str) -> bool:
    """An eager call compiles nothing, and that of a copy says nothing about a loss."""
    return mode != FIRST_CALL or (contender.way != EAGER and contender.role != LIMIT)


def place(
    arrays: Mapping[str, np.ndarray], dtype: str, framework: str, name: str, device: Device
) -> Any:
    """One of the arrays for a framework on its device, floating ones in the dtype."""
    array = arrays[name]
    if array.dtype.kind == "f":
        array = array.astype(dtype, copy=False)
    if framework == "jax":
        return jax.device_put(array, device.handle)
    return _tensor(array).to(device.handle)


def _tensor(array: np.ndarray) -> torch.Tensor:
    """PyTorch takes no bfloat16 from numpy, but its bits."""
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def prepare(contender: Contender, mode: str, logits: Any, targets: Any, device: Device) -> Work:
    """The work of one contender in one mode."""
    gradient = mode != FORWARD and contender.role != LIMIT
    make = _in_jax if contender.framework == "jax" else _in_torch
    return make(contender, gradient, mode == FIRST_CALL, logits, targets, device)


def _in_jax(
    contender: Contender, gradient: bool, first: bool, z: Any, y: Any, device: Device
) -> Work:
    label = contender.label
    loss = jax.value_and_grad(contender.call) if gradient else contender.call
    function = jax.jit(loss)
    if first:
        return Work(label, lambda: function.lower(z, y).compile(), before=jax.clear_caches)
    return Work(label, lambda: function(z, y), jax.block_until_ready, clock=device.clock)


def _in_torch(
    contender: Contender, gradient: bool, first: bool, z: Any, y: Any, device: Device
) -> Work:
    z = z.detach().requires_grad_(gradient)

    def made() -> Callable[[], Any]:
        loss = contender.call
        if contender.way == COMPILED:
            loss = torch.compile(loss, fullgraph=True)

        def with_gradient() -> Any:
            value = loss(z, y)
            return value, *torch.autograd.grad(value, z)

        return with_gradient if gradient else lambda: loss(z, y)

    if first:
        return Work(contender.label, lambda: _fresh(made), before=torch._dynamo.reset)
    return Work(contender.label, made(), clock=device.clock)


def _fresh(made: Callable[[], Callable[[], Any]]) -> None:
    """Compile with empty caches on disk, and call once: PyTorch compiles the gradient when it is
    first called."""
    with fresh_cache():
        call = made()
        call()
