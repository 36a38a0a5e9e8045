"""What devices tell each other, where elements or classes are split over several."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .versions import reduced

# Two tensors have no more dimensions than this.
MOST_SIZES = 32


# No NamedTuple: forward mode takes the arguments of a function apart.
@dataclass(frozen=True)
class Devices:
    """The ranks of a process group. Without a group, a device is alone.

    Ranks that have elements return one loss each, and the gradients of these `losses` are averaged. Ranks that have
    classes return the same one.
    """

    group: Any = ""
    here: int = 0
    size: int = 1
    losses: int = 1

    def __bool__(self) -> bool:
        return bool(self.group)


def sum_over(x: Tensor, devices: Devices) -> Tensor:
    if not devices:
        return x
    return _Sum.apply(x, devices) if x.requires_grad and torch.is_grad_enabled() else _reduced(x, "sum", devices)


def max_over(x: Tensor, devices: Devices) -> Tensor:
    return _reduced(x, "max", devices) if devices else x


def spread(x: Tensor, devices: Devices) -> Tensor:
    """x, which all devices have, for the classes of each: its gradient is the sum of theirs."""
    return _Spread.apply(x, devices) if devices and x.requires_grad else x


def place(devices: Devices) -> int:
    """The number of this device among all."""
    return devices.here


def count(devices: Devices) -> int:
    return devices.size


def devices_of(args: Any) -> Devices:
    """The devices among arguments."""
    for x in args:
        if isinstance(x, Devices):
            return x
    return Devices()


def differing(tensors: tuple[Tensor, ...], devices: Devices) -> str | None:
    """What is known of the shapes on other ranks, if they are not the same."""
    sizes = [size for x in tensors for size in x.shape]
    mine = torch.tensor([len(sizes), *sizes, *[0] * (MOST_SIZES - len(sizes))])
    low, high = -max_over(-mine, devices), max_over(mine, devices)
    if torch.equal(low, high):
        return None
    first, last = (x[1 : 1 + len(sizes)].tolist() for x in (low, high))
    return f"sizes from {first} to {last}"


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, devices: Devices) -> Tensor:
        ctx.devices = devices
        return _reduced(x, "sum", devices)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None]:
        return cotangents[0] * ctx.devices.losses, None


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, devices: Devices) -> Tensor:
        ctx.devices = devices
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None]:
        return _reduced(cotangents[0], "sum", ctx.devices), None


def _reduced(x: Tensor, operation: str, devices: Devices) -> Tensor:
    if torch.compiler.is_compiling():
        return reduced(x, operation, devices.group)
    try:
        return reduced(x, operation, devices.group)
    except RuntimeError as error:
        raise RuntimeError(
            f"focal_torch: the {operation} over the {devices.size} ranks of group {devices.group!r} failed. "
            "Have all of them called the loss, and is none gone?"
        ) from error
