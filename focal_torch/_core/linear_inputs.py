"""All inputs of the loss of a linear layer as one list, and back; and the rows of each chunk.

A rule and an operator of torch.library take tensors, numbers and strings, and no records. Shapes
are those of `linear_chunk.py`, with one axis for all rows.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor

from .._base.arrays import is_floating
from .._base.collectives import Group
from .._base.tracing import is_for_onnx, kept_rows, needs_grad
from .linear_chunk import LayerSettings, RowInputs, SharedInputs

# Tensors, numbers and strings in the order of `Inputs.flatten`.
Flat: TypeAlias = Sequence[Any]


class ChunkSpec(NamedTuple):
    """What is no tensor: the fields of `LayerSettings` and of its group, and the number of
    chunks."""

    gamma: float | None
    softcap: float | None
    smoothing: float
    z_loss: float
    group: str
    rank: int
    size: int
    chunks: int

    @property
    def settings(self) -> LayerSettings:
        group = Group(self.group, self.rank, self.size)
        return LayerSettings(self.gamma, self.softcap, self.smoothing, self.z_loss, group)


TENSORS = len(RowInputs._fields) + len(SharedInputs._fields)


class Inputs(NamedTuple):
    """All inputs, and which fields of rows and shared are differentiated, in their order."""

    rows: RowInputs
    shared: SharedInputs
    spec: ChunkSpec
    wanted: Sequence[bool]

    @classmethod
    def of(cls, flat: Flat) -> "Inputs":
        *tensors, wanted = flat
        first = len(RowInputs._fields)
        rows, shared = RowInputs(*tensors[:first]), SharedInputs(*tensors[first:TENSORS])
        return cls(rows, shared, ChunkSpec(*tensors[TENSORS:]), wanted)

    def flatten(self) -> Flat:
        return (*self.rows, *self.shared, *self.spec, self.wanted)

    def tensors(self) -> tuple[Tensor | None, ...]:
        return (*self.rows, *self.shared)

    def with_views(self) -> "Inputs":
        """The same with a view of each tensor that is differentiated."""
        views: list[Tensor | None] = []
        for x, wanted in zip(self.tensors(), self.wanted, strict=True):
            views.append(x.view_as(x) if wanted and x is not None else x)
        return Inputs.of((*views, *self.spec, self.wanted))

    def differentiated(self) -> list[Tensor]:
        pairs = zip(self.tensors(), self.wanted, strict=True)
        return [x for x, wanted in pairs if wanted and x is not None]


def inputs_of(
    rows: RowInputs, shared: SharedInputs, chunks: int, settings: LayerSettings
) -> Inputs:
    gamma, softcap, smoothing, z_loss, group = settings
    spec = ChunkSpec(gamma, softcap, smoothing, z_loss, group.name, group.rank, group.size, chunks)
    # Ids and masks are never differentiated.
    wanted = [x is not None and is_floating(x) and needs_grad([x]) for x in (*rows, *shared)]
    return Inputs(rows, shared, spec, wanted)


def for_each(function: Callable[[Tensor], Tensor], rows: RowInputs) -> RowInputs:
    """The function of each field that is given."""
    # torch.compile of PyTorch 2.4 looks into no method of a NamedTuple.
    fields: list[Any] = [x if x is None else function(x) for x in rows]
    return RowInputs(*fields)


def chunks_of(inputs: Inputs) -> Iterator[slice | Tensor]:
    """The rows of one chunk after the other, without those that a mask leaves out where they can be
    counted."""
    if is_for_onnx():
        # How many rows there are is left open, and so would be the number of chunks.
        yield slice(None)
        return
    size, where = len(inputs.rows.features), inputs.rows.where
    step = -(-size // inputs.spec.chunks) or 1
    kept = None if where is None else kept_rows(where)
    if kept is None:
        for start in range(0, size, step):
            yield slice(start, start + step)
    else:
        # As many chunks as without the other rows, and all of nearly one size; without rows an
        # empty one, so that there is a graph.
        chunks = -(-len(kept) // step) or 1
        yield from kept.split(-(-len(kept) // chunks) or 1)


def part_of(rows: RowInputs, part: slice | Tensor) -> RowInputs:
    """The rows of one chunk."""
    # Indices are those of rows that are kept.
    where = None if isinstance(part, Tensor) else rows.where
    return for_each(lambda x: x[part], rows._replace(where=where))
