"""Arrays on a mesh of devices: PyTorch here, JAX in the file of the same name.

DTensors take as long to import as half of PyTorch, so this file is imported where there is one.
"""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor
from torch.distributed import get_rank, get_world_size
from torch.distributed.device_mesh import DeviceMesh

from .collectives import Devices
from .versions import distributed_tensors

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor, Partial, Placement, Replicate, Shard
else:
    NAMES = ("DTensor", "Partial", "Placement", "Replicate", "Shard")
    DTensor, Partial, Placement, Replicate, Shard = (getattr(distributed_tensors(), name) for name in NAMES)

# Which axis of an argument has the classes, and whether those before it are rows. α and γ per class have no rows.
AXES = {
    "z": (-1, True),
    "y": (-1, True),
    "gamma": (-1, True),
    "t": (None, True),
    "targets": (None, True),
    "features": (None, True),
    "weight": (None, True),
    "where": (None, True),
    "alpha": (-1, False),
    "bias": (-1, False),
    "kernel": (0, False),
    "divisor": (None, False),
}


class Layout(NamedTuple):
    """How a mesh splits a loss: for each axis of the mesh which axis of the rows it splits, None where it repeats all,
    and which axis of the mesh splits the classes."""

    mesh: DeviceMesh
    rows: tuple[int | None, ...]
    classes: int | None

    def devices(self) -> Devices:
        if self.classes is None:
            return Devices()
        group = self.mesh.get_group(self.classes)
        return Devices(group.group_name, get_rank(group), get_world_size(group))

    def local(self, name: str, x: Any) -> Any:
        """What this rank has of an argument. A plain tensor is the same on all ranks."""
        if not isinstance(x, Tensor):
            return x
        if not isinstance(x, DTensor):
            x = DTensor.from_local(x, self.mesh, [Replicate()] * self.mesh.ndim, run_check=False)
        placements = [self._placement(i, name, x) for i in range(self.mesh.ndim)]
        # Ranks with other rows have other parts of the gradient of what all rows share, as has γ in those of classes.
        parts = [axis is not None or (name == "gamma" and i == self.classes) for i, axis in enumerate(self.rows)]
        of_gradient = [
            Partial() if part and placement.is_replicate() else placement
            for part, placement in zip(parts, placements, strict=True)
        ]
        return x.redistribute(placements=placements).to_local(grad_placements=of_gradient)

    def _placement(self, i: int, name: str, x: DTensor) -> Placement:
        class_axis, has_rows = AXES[name]
        if i == self.classes:
            axis = class_axis
        else:
            axis = self.rows[i] if has_rows and not (name == "gamma" and x.ndim == 1) else None
        return Replicate() if axis is None or x.shape[axis] == 1 else Shard(axis % x.ndim)

    def joined(self, local: Tensor, rows: tuple[int, ...]) -> Tensor:
        """The losses of the rows of all ranks."""
        placements = [Replicate() if axis is None else Shard(axis) for axis in self.rows]
        meta = local.new_empty(rows, device="meta")
        return DTensor.from_local(local, self.mesh, placements, run_check=False, shape=meta.shape, stride=meta.stride())

    def added(self, local: Tensor) -> Tensor:
        """The sum of what ranks have of a sum over rows."""
        placements = [Replicate() if axis is None else Partial() for axis in self.rows]
        return DTensor.from_local(local, self.mesh, placements, run_check=False).full_tensor()


def call_with_shards(function: Callable[..., Any], args: Any, rest: Any, each: bool) -> Tensor:
    """Call a loss with what this rank has of its arguments; join the losses of rows, or add up what is a sum."""
    given = signature(function).bind(*args, **rest).arguments
    layout, rows = _layout(given)
    found = function(**{name: _local(layout, name, x) for name, x in given.items()})
    return layout.joined(found, rows) if each else layout.added(found)


def _local(layout: Layout, name: str, x: Any) -> Any:
    if name == "devices":
        return layout.devices()
    if name == "settings":
        return x._replace(devices=layout.devices())
    if isinstance(x, Mapping):
        return {name: layout.local(name, x) for name, x in x.items()}
    return layout.local(name, x)


def _layout(given: Mapping[str, Any]) -> tuple[Layout, tuple[int, ...]]:
    """How the arguments of a loss are split, and the shape of its rows."""
    arrays = {**given, **given.get("rows", {}), **given.get("shared", {})}
    first, split = (arrays["z"],) * 2 if "z" in arrays else (arrays["features"], arrays["kernel"])
    if not isinstance(first, DTensor):
        raise TypeError(
            "focal_torch: expected logits or features that are a DTensor as others are, got a Tensor. "
            "With FSDP call the loss where the weights are whole, inside of the forward pass."
        )
    mesh, rows = first.device_mesh, first.ndim - 1
    own = [placement.dim if isinstance(placement, Shard) else None for placement in first.placements]
    class_axis = AXES["z" if "z" in arrays else "kernel"][0]
    placements = split.placements if isinstance(split, DTensor) else [Replicate()] * mesh.ndim
    classes = [i for i, placement in enumerate(placements) if placement == Shard(class_axis % split.ndim)]
    count, ranks = split.shape[class_axis], [mesh.size(i) for i in classes]
    if len(ranks) > 1 or (ranks and count % ranks[0]):
        raise ValueError(
            f"focal_torch: expected classes that one axis of a mesh splits equally, got {count} on {ranks} ranks. "
            "Pad the layer, or redistribute its logits."
        )
    layout = Layout(mesh, tuple(axis if axis is not None and axis < rows else None for axis in own), *classes or [None])
    return layout, tuple(first.shape[:-1])
