"""All inputs of the loss of a linear layer as one list, and back.

A rule and an operator of torch.library take tensors, numbers and strings, and no records. Shapes
are those of `linear_chunk.py`, with one axis for all rows.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor

from .._base.arrays import is_floating
from .._base.collectives import Group
from .._base.tracing import needs_grad
from .linear_chunk import LayerSettings, RowInputs, SharedInputs

# Tensors, numbers and strings in the order of `Inputs.flatten`.
Flat: TypeAlias = Sequence[Any]


class ChunkSpec(NamedTuple):
    """What is no tensor: the fields of `LayerSettings` and of its group, and the number of
    chunks."""

    gamma: float | None
    softcap: float | None
    smoothing: float
    group: str
    rank: int
    size: int
    chunks: int

    @property
    def settings(self) -> LayerSettings:
        group = Group(self.group, self.rank, self.size)
        return LayerSettings(self.gamma, self.softcap, self.smoothing, group)


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
    gamma, softcap, smoothing, group = settings
    spec = ChunkSpec(gamma, softcap, smoothing, group.name, group.rank, group.size, chunks)
    # Ids and masks are never differentiated.
    wanted = [x is not None and is_floating(x) and needs_grad([x]) for x in (*rows, *shared)]
    return Inputs(rows, shared, spec, wanted)


def for_each(function: Callable[[Tensor], Tensor], rows: RowInputs) -> RowInputs:
    """The function of each field that is given."""
    # torch.compile of PyTorch 2.4 looks into no method of a NamedTuple.
    fields: list[Any] = [x if x is None else function(x) for x in rows]
    return RowInputs(*fields)
