"""DTensors: what a loss is called with on each rank, and what its results are put together to.

This file is imported where there is a DTensor: the import takes as long as half of PyTorch.
"""

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor
from torch.distributed import get_rank, get_world_size
from torch.distributed.device_mesh import DeviceMesh

from .collectives import Group
from .versions import distributed_tensors

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor, Partial, Placement, Replicate, Shard
else:
    NAMES = ("DTensor", "Partial", "Placement", "Replicate", "Shard")
    DTensor, Partial, Placement, Replicate, Shard = (
        getattr(distributed_tensors(), x) for x in NAMES
    )


def replicated(x: Tensor, mesh: DeviceMesh) -> DTensor:
    """A plain tensor, which is the same on all ranks."""
    return DTensor.from_local(x, mesh, [Replicate()] * mesh.ndim, run_check=False)


class Axes(NamedTuple):
    """The names of arguments whose first axes are rows, and the axis of the classes of those that
    have one."""

    rows: frozenset[str]
    classes: dict[str, int]


class Layout(NamedTuple):
    """How a mesh shards a loss: for each axis of the mesh which axis of the rows it shards, None
    where it replicates them, and which axis of the mesh shards the classes."""

    axes: Axes
    mesh: DeviceMesh
    rows: tuple[int | None, ...]
    classes: int | None

    def group(self) -> Group:
        """The ranks that classes are sharded over."""
        if self.classes is None:
            return Group()
        group = self.mesh.get_group(self.classes)
        return Group(group.group_name, get_rank(group), get_world_size(group))

    def local(self, name: str, x: Any) -> Any:
        """What this rank has of an argument, or of each field of a record."""
        if isinstance(x, Group):
            return self.group()
        if hasattr(x, "_fields"):
            return type(x)(*(self.local(field, getattr(x, field)) for field in x._fields))
        return self._local_tensor(name, x) if isinstance(x, Tensor) else x

    def _local_tensor(self, name: str, x: Tensor) -> Tensor:
        if not isinstance(x, DTensor):
            x = replicated(x, self.mesh)
        placements = [self._placement(i, name, x) for i in range(self.mesh.ndim)]
        of_gradient: list[Placement] = []
        for i, placement in enumerate(placements):
            # Ranks with other rows have other parts of the gradient of what all rows share, as has
            # γ in those of classes.
            has_part = self.rows[i] is not None or (name == "gamma" and i == self.classes)
            of_gradient.append(Partial() if has_part and placement.is_replicate() else placement)
        return x.redistribute(placements=placements).to_local(grad_placements=of_gradient)

    def _placement(self, i: int, name: str, x: DTensor) -> Placement:
        """How axis i of the mesh has to shard an argument."""
        if i == self.classes:
            axis = self.axes.classes.get(name)
        else:
            axis = self.rows[i] if self._has_rows(name, x) else None
        if axis is None or x.shape[axis] == 1:
            return Replicate()
        return Shard(axis % x.ndim)

    def _has_rows(self, name: str, x: DTensor) -> bool:
        # One γ for each class has none.
        return name in self.axes.rows and not (name == "gamma" and x.ndim == 1)

    def join_rows(self, local: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The losses of the rows of all ranks, from those of this rank."""
        placements = [Replicate() if axis is None else Shard(axis) for axis in self.rows]
        # Without its shape DTensor would take that of this rank for all.
        meta = local.new_empty(shape, device="meta")
        return DTensor.from_local(
            local, self.mesh, placements, run_check=False, shape=meta.shape, stride=meta.stride()
        )

    def add(self, local: Tensor) -> Tensor:
        """The sum over the rows of all ranks, from that of this rank."""
        placements = [Replicate() if axis is None else Partial() for axis in self.rows]
        return DTensor.from_local(local, self.mesh, placements, run_check=False).full_tensor()


def call_with_shards(
    function: Callable[..., Tensor],
    axes: Axes,
    args: Sequence[object],
    kwargs: Mapping[str, object],
    each_row: bool,
) -> Tensor:
    """Call a loss with what this rank has of its arguments; join the losses of rows, or add up sums
    over rows."""
    arguments = signature(function).bind(*args, **kwargs).arguments
    layout, shape = _layout(axes, arguments)
    local = {name: layout.local(name, x) for name, x in arguments.items()}
    loss = function(**local)
    return layout.join_rows(loss, shape) if each_row else layout.add(loss)


def _layout(axes: Axes, arguments: Mapping[str, Any]) -> tuple[Layout, tuple[int, ...]]:
    """How the arguments of a loss are sharded, and the shape of its rows."""
    first, sharded, class_axis = _logits_or_layer(axes, arguments)
    if not isinstance(first, DTensor):
        raise TypeError(
            "focal_torch: expected logits or features that are a DTensor as others are, "
            "got a Tensor. With FSDP call the loss where the weights are whole, "
            "inside of the forward pass."
        )
    mesh, row_axes = first.device_mesh, first.ndim - 1
    placements = sharded.placements if isinstance(sharded, DTensor) else [Replicate()] * mesh.ndim
    # Which axes of the mesh shard the classes: one, or none.
    of_classes = Shard(class_axis % sharded.ndim)
    classes = [i for i, placement in enumerate(placements) if placement == of_classes]
    count, ranks = sharded.shape[class_axis], [mesh.size(i) for i in classes]
    if len(ranks) > 1 or (ranks and count % ranks[0]):
        raise ValueError(
            "focal_torch: expected classes that one axis of a mesh splits equally, "
            f"got {count} on {ranks} ranks. Pad the layer, or redistribute its logits."
        )
    rows: list[int | None] = []
    for placement in first.placements:
        # An axis of the mesh that shards the last axis, or none, repeats the rows.
        axis = placement.dim if isinstance(placement, Shard) else row_axes
        rows.append(axis if axis < row_axes else None)
    layout = Layout(axes, mesh, tuple(rows), classes[0] if classes else None)
    return layout, tuple(first.shape[:-1])


def _logits_or_layer(axes: Axes, arguments: Mapping[str, Any]) -> tuple[Tensor, Tensor, int]:
    """What has the rows, what has the classes, and their axis in it: the logits are both, or
    features and kernel."""
    if "z" in arguments:
        z = arguments["z"]
        return z, z, axes.classes["z"]
    kernel = arguments["shared"].kernel
    return arguments["rows"].features, kernel, axes.classes["kernel"]
