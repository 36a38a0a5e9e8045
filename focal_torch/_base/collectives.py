"""Sums and maxima over the ranks of a group, where elements or classes are sharded."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .versions import all_reduce, process_group

# Room for all sizes of the tensors that are compared over a group.
MOST_SIZES = 32


# No NamedTuple: forward mode takes the arguments of a function apart.
@dataclass(frozen=True)
class Group:
    """The ranks of a process group. Without a name, a rank is alone.

    Ranks that have elements return one loss each, and the gradients of these `losses` are averaged.
    Ranks that have classes return the same one.
    """

    name: str = ""
    rank: int = 0
    size: int = 1
    losses: int = 1

    def __bool__(self) -> bool:
        return bool(self.name)


# Making one takes as long as an operation on few numbers.
ALONE = Group()


class GroupName(NamedTuple):
    """What a process group is pickled as."""

    name: str

    def group(self) -> Any:
        group = process_group(self.name)
        if group is None:
            raise RuntimeError(
                f"focal_torch: a loss was pickled with the process group {self.name!r}, which this "
                "process does not have. Call torch.distributed.init_process_group and new_group "
                "first, as where it was pickled, or pickle its state_dict instead."
            )
        return group


def sum_over(x: Tensor, group: Group) -> Tensor:
    if not group:
        return x
    # The collective by itself has no derivative that fits a loss of each rank.
    if x.requires_grad and torch.is_grad_enabled():
        return _SumOver.apply(x, group)
    return _all_reduce(x, "sum", group)


def max_over(x: Tensor, group: Group) -> Tensor:
    return _all_reduce(x, "max", group) if group else x


def copy_to_group(x: Tensor, group: Group) -> Tensor:
    """x, which all ranks have, for the classes of each: its gradient is the sum of theirs."""
    return _CopyToGroup.apply(x, group) if group and x.requires_grad else x


def rank(group: Group) -> int:
    """The number of this rank in its group."""
    return group.rank


def size(group: Group) -> int:
    return group.size


def group_of(args: Iterable[object]) -> Group:
    """The group among arguments, if there is one."""
    for x in args:
        if isinstance(x, Group):
            return x
    return ALONE


def shape_mismatch(tensors: tuple[Tensor, ...], group: Group) -> str | None:
    """What is known of the shapes on other ranks, if they are not the same."""
    sizes = [size for x in tensors for size in x.shape]
    padding = [0] * (MOST_SIZES - len(sizes))
    mine = torch.tensor([len(sizes), *sizes, *padding])
    # One tensor of fixed size for all: a collective of different sizes would hang.
    low = -max_over(-mine, group)
    high = max_over(mine, group)
    if torch.equal(low, high):
        return None
    first, last = (x[1 : 1 + len(sizes)].tolist() for x in (low, high))
    return f"sizes from {first} to {last}"


class _SumOver(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return _all_reduce(x, "sum", group)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None]:
        # Gradients are averaged over ranks that have a loss each.
        return cotangents[0] * ctx.group.losses, None


class _CopyToGroup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None]:
        return _all_reduce(cotangents[0], "sum", ctx.group), None


def _all_reduce(x: Tensor, operation: str, group: Group) -> Tensor:
    if torch.compiler.is_compiling():
        return all_reduce(x, operation, group.name)
    try:
        return all_reduce(x, operation, group.name)
    except RuntimeError as error:
        raise RuntimeError(
            f"focal_torch: the {operation} over the {group.size} ranks of group {group.name!r} "
            "failed. Have all of them called the loss, and is none gone?"
        ) from error
